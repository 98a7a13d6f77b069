"""The checks every rung must pass, kept here so that `test_faults` can show that they bite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

import involution_edu as inv
from involution_edu.arguments import Pair
from involution_edu.arrays import Array
from involution_edu.backends import LADDER, loops, on_numpy_arrays
from involution_edu.cases import operator_options, scaled_error
from involution_edu.geometry import Geometry

Operands = tuple[Array, Array, Array]  # x, kernel, dy

REASONS = on_numpy_arrays()
# Every rung; one that cannot run here is skipped with its reason.
RUNGS = [
    pytest.param(
        rung.name,
        marks=pytest.mark.skipif(
            REASONS[rung.name] is not None, reason=f"{rung.name}: {REASONS[rung.name]}"
        ),
    )
    for rung in LADDER
]
RUNNABLE = [name for name, reason in REASONS.items() if reason is None]


def run(backend: str, operands: Operands, options: dict[str, Any]) -> dict[str, Array]:
    """Return y, dx and dkernel by name, through the public functions."""
    x, kernel, dy = operands
    y = inv.involution(x, kernel, backend=backend, **options)
    dx, dkernel = inv.involution_backward(dy, x, kernel, backend=backend, **options)
    return {"y": y, "dx": dx, "dkernel": dkernel}


def definition(operands: Operands, geom: Geometry) -> dict[str, Array]:
    """Return y, dx and dkernel by name, from the seven loops themselves."""
    x, kernel, dy = operands
    return {
        "y": loops.forward(x, kernel, geom),
        "dx": loops.backward_input(dy, kernel, geom),
        "dkernel": loops.backward_kernel(dy, x, geom),
    }


def pairs(low: int, high: int) -> st.SearchStrategy[Pair]:
    """Draw (rows, columns), which may differ."""
    return st.tuples(st.integers(low, high), st.integers(low, high))


def small_integers(geom: Geometry, dtype: Any, seed: int) -> Operands:
    """Return operands whose sums are exact in any order and dtype, so that errors must be 0."""
    rng = np.random.default_rng(seed)
    shapes = geom.x_shape, geom.kernel_shape, geom.y_shape
    x, kernel, dy = (rng.integers(-4, 5, shape).astype(dtype) for shape in shapes)
    return x, kernel, dy


def check_rung(backend: str, geom: Geometry, operands: Operands, tolerance: float) -> None:
    """Fail on the first of y, dx and dkernel that is not what the seven loops give."""
    got = run(backend, operands, operator_options(geom))
    for name, want in definition(operands, geom).items():
        assert got[name].dtype == want.dtype, f"{name} of {backend} is {got[name].dtype}"
        assert got[name].shape == want.shape, f"{name} of {backend} is {got[name].shape}"
        error = scaled_error(got[name], want)
        assert error <= tolerance, f"{name} of {backend} is wrong by {error:.1e} for {geom}"


def check_adjoint(backend: str, geom: Geometry, operands: Operands) -> None:
    """Fail unless each gradient is the adjoint of the operator, which is linear in both operands.

    With small integers all three sums are exact: <dy, y> = <dx, x> = <dkernel, kernel>.
    """
    x, kernel, dy = operands
    got = run(backend, operands, operator_options(geom))
    loss = float((dy * got["y"]).sum())
    for name, operand in (("dx", x), ("dkernel", kernel)):
        other = float((got[name] * operand).sum())
        assert other == loss, f"{name} of {backend} gives {other}, not {loss}, for {geom}"


def check_nonfinite(backend: str, geom: Geometry, operands: Operands) -> None:
    """Fail unless NaN and Inf arrive exactly where the seven loops put them."""
    with np.errstate(invalid="ignore"):  # 0 * Inf and Inf - Inf are meant
        got = run(backend, operands, operator_options(geom))
        for name, want in definition(operands, geom).items():
            np.testing.assert_array_equal(got[name], want, err_msg=f"{name} of {backend}")


def check_size(size: int, padding: int, k: int, stride: int, dilation: int, out: int) -> None:
    """Fail unless ``out`` is the number of windows that fit, counted one by one."""
    padded = size + 2 * padding
    tops = [
        top
        for top in range(0, padded, stride)
        if all(top + tap * dilation < padded for tap in range(k))
    ]
    assert out == len(tops), f"{out} windows counted; {len(tops)} fit, at {tops}"
