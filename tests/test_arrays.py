"""Unusual arrays: any layout is read correctly, never written to and never returned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from checks import RUNGS, check_nonfinite, definition, run

import involution_edu as inv
from involution_edu.arrays import Array
from involution_edu.backends import loops
from involution_edu.cases import AWKWARD, operator_options, random_operands, scaled_error
from involution_edu.geometry import Geometry, make_geometry

GEOM = AWKWARD["stride 2, odd sizes"]


def transposed(a: Array) -> Array:
    return a.transpose().copy().transpose()


def every_other(a: Array) -> Array:
    wide = np.full((*a.shape[:-1], 2 * a.shape[-1]), np.nan, a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


def backwards(a: Array) -> Array:
    return a[..., ::-1, ::-1].copy()[..., ::-1, ::-1]


def swapped_bytes(a: Array) -> Array:
    return a.astype(a.dtype.newbyteorder("S"))


def read_only(a: Array) -> Array:
    a = a.copy()
    a.flags.writeable = False
    return a


def off_its_alignment(a: Array) -> Array:
    raw = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    raw[...] = a
    assert not raw.flags.aligned
    return raw


def subclass(a: Array) -> Array:
    class Named(np.ndarray):
        pass

    return a.view(Named)


LAYOUTS = [
    transposed, every_other, backwards, swapped_bytes, read_only, off_its_alignment, subclass
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("backend", RUNGS)
def test_any_layout(backend: str, layout: Callable[[Array], Array], dtype: type) -> None:
    plain = random_operands(GEOM, dtype, seed=1)
    x, kernel, dy = (layout(a) for a in plain)
    check_untouched(backend, (x, kernel, dy), plain)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_backend_gets_plain_contiguous_arrays(
    layout: Callable[[Array], Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[Array] = []

    def spy(a: Array, b: Array, geom: Geometry) -> Array:
        received.extend((a, b))
        return a

    for name in ("forward", "backward_input", "backward_kernel"):
        monkeypatch.setattr(loops, name, spy)
    x, kernel, dy = (layout(a) for a in random_operands(GEOM, np.float32, seed=1))
    run("loops", (x, kernel, dy), operator_options(GEOM))
    assert len(received) == 6
    for a in received:
        assert type(a) is np.ndarray
        assert a.flags.c_contiguous
        assert a.dtype.isnative


@pytest.mark.parametrize("mode", ["r", "c", "r+"])
@pytest.mark.parametrize("backend", RUNGS)
def test_memory_mapped(backend: str, mode: Literal["r", "c", "r+"], tmp_path: Path) -> None:
    plain = random_operands(GEOM, np.float32, seed=1)
    mapped = []
    for index, a in enumerate(plain):
        np.save(tmp_path / f"{index}.npy", a)
        mapped.append(np.load(tmp_path / f"{index}.npy", mmap_mode=mode))
    check_untouched(backend, (mapped[0], mapped[1], mapped[2]), plain)
    for index, a in enumerate(plain):
        np.testing.assert_array_equal(np.load(tmp_path / f"{index}.npy"), a)


def check_untouched(
    backend: str, operands: tuple[Array, Array, Array], plain: tuple[Array, Array, Array]
) -> None:
    """Fail unless the results are right, plain and new, and the operands as they were."""
    got = run(backend, operands, operator_options(GEOM))
    for name, want in definition(plain, GEOM).items():
        result = got[name]
        assert type(result) is np.ndarray
        assert result.dtype == want.dtype
        assert result.dtype.isnative
        assert result.flags.c_contiguous
        assert result.flags.writeable
        assert scaled_error(result, want) < 1e-6
        assert not any(np.shares_memory(result, a) for a in operands)
    for a, before in zip(operands, plain, strict=True):
        np.testing.assert_array_equal(a, before)


@pytest.mark.parametrize("backend", RUNGS)
def test_results_are_new_even_where_nothing_changes(backend: str) -> None:
    """One tap, no padding, kernel 1: y = x and dx = dy, but as new arrays."""
    geom = make_geometry((1, 2, 3, 4), 2, 1)
    x, _, dy = random_operands(geom, np.float32, seed=1)
    kernel = np.ones(geom.kernel_shape, np.float32)
    got = run(backend, (x, kernel, dy), {})
    np.testing.assert_array_equal(got["y"], x)
    np.testing.assert_array_equal(got["dx"], dy)
    for result in got.values():
        assert not any(np.shares_memory(result, a) for a in (x, kernel, dy))


@pytest.mark.parametrize("backend", RUNGS)
def test_the_same_array_twice(backend: str) -> None:
    """dy may be x itself."""
    geom = make_geometry((1, 2, 3, 4), 2, 3)
    x, kernel, _ = random_operands(geom, np.float64, seed=1)
    dx, dkernel = inv.involution_backward(x, x, kernel, backend=backend)
    want = definition((x, kernel, x.copy()), geom)
    assert scaled_error(dx, want["dx"]) < 1e-12
    assert scaled_error(dkernel, want["dkernel"]) < 1e-12


@pytest.mark.parametrize("backend", RUNGS)
def test_no_images(backend: str) -> None:
    geom = AWKWARD["no images"]
    got = run(backend, random_operands(geom, np.float32, seed=1), operator_options(geom))
    assert {name: a.shape for name, a in got.items()} == {
        "y": geom.y_shape,
        "dx": geom.x_shape,
        "dkernel": geom.kernel_shape,
    }


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("operand", [0, 1, 2])
@pytest.mark.parametrize("backend", RUNGS)
def test_nan_and_inf_propagate(backend: str, operand: int, value: float) -> None:
    geom = make_geometry((2, 4, 5, 6), 2, 3)
    operands = random_operands(geom, np.float32, seed=1)
    operands[operand][(1,) * operands[operand].ndim] = value  # in one image and group
    check_nonfinite(backend, geom, rounded(operands))


@pytest.mark.parametrize("backend", RUNGS)
def test_inf_times_padding_is_nan(backend: str) -> None:
    """The equation multiplies the zeros around the image too."""
    geom = make_geometry((1, 1, 4, 5), 1, 3)
    x, kernel, dy = rounded(random_operands(geom, np.float64, seed=1))
    kernel[0, 0, 0, 0, 0, 0] = np.inf
    check_nonfinite(backend, geom, (x, kernel, dy))
    with np.errstate(invalid="ignore"):
        y = inv.involution(x, kernel, backend=backend)
    assert np.isnan(y[0, 0, 0, 0])
    assert np.isnan(y).sum() == 1


def rounded(operands: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Return whole numbers, so that finite results are the same in any order of summation."""
    x, kernel, dy = (np.round(4 * a) for a in operands)
    return x, kernel, dy
