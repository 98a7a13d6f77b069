"""Every rung against the loops, and the loops against hand counts, convolution and algebra."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from by_hand import BY_HAND
from checks import (
    RUNGS,
    RUNNABLE,
    check_adjoint,
    check_rung,
    check_size,
    pairs,
    run,
    small_integers,
)
from hypothesis import given
from hypothesis import strategies as st

import involution_edu as inv
from involution_edu.cases import AWKWARD, TOLERANCE, operator_options, random_operands
from involution_edu.geometry import Geometry, make_geometry

DTYPES = [np.float32, np.float64]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", BY_HAND)
@pytest.mark.parametrize("backend", RUNGS)
def test_numbers_countable_by_hand(backend: str, case: str, dtype: Any) -> None:
    c = BY_HAND[case]
    operands = c.x.astype(dtype), c.kernel.astype(dtype), c.dy.astype(dtype)
    got = run(backend, operands, c.options)
    np.testing.assert_array_equal(got["y"], c.y)
    np.testing.assert_array_equal(got["dx"], c.dx)
    np.testing.assert_array_equal(got["dkernel"], c.dkernel)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize("backend", [r for r in RUNGS if r.values != ("loops",)])
def test_rung_against_the_loops(backend: str, case: str, dtype: Any) -> None:
    geom = AWKWARD[case]
    check_rung(backend, geom, random_operands(geom, dtype, seed=1), TOLERANCE[np.dtype(dtype)])


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Choose the window first, then an image that it fits in."""
    window, stride, dilation = draw(pairs(1, 5)), draw(pairs(1, 3)), draw(pairs(1, 3))
    odd = window[0] % 2 == window[1] % 2 == 1
    padding = draw(st.one_of(pairs(0, 4), st.sampled_from(["valid", *["same"] * odd])))
    geom = make_geometry((1, 1, 99, 99), 1, window, stride, dilation, padding)
    smallest = (max(1, e - 2 * p) for e, p in zip(geom.extent, geom.padding, strict=True))
    H, W = (low + draw(st.integers(0, 5)) for low in smallest)
    N, G, C_g = draw(st.integers(0, 2)), draw(st.integers(1, 3)), draw(st.integers(1, 5))
    return make_geometry((N, G * C_g, H, W), G, window, stride, dilation, padding)


@given(geom=geometries(), dtype=st.sampled_from(DTYPES), seed=st.integers(0, 2**32 - 1))
def test_any_geometry(geom: Geometry, dtype: Any, seed: int) -> None:
    for axis, out in enumerate((geom.H_out, geom.W_out)):
        size, p, k = geom.x_shape[2 + axis], geom.padding[axis], geom.window[axis]
        check_size(size, p, k, geom.stride[axis], geom.dilation[axis], out)
    operands = small_integers(geom, dtype, seed)
    for backend in RUNNABLE:
        check_adjoint(backend, geom, operands)
        if backend != "loops":
            check_rung(backend, geom, operands, tolerance=0.0)


@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize("backend", RUNGS)
def test_gradients_are_adjoints(backend: str, case: str) -> None:
    check_adjoint(backend, AWKWARD[case], small_integers(AWKWARD[case], np.float64, seed=2))


@pytest.mark.parametrize("backend", RUNGS)
def test_linear_in_x_and_in_kernel(backend: str) -> None:
    geom = AWKWARD["dilation (2, 1), 3x5, stride (3, 2)"]
    options = operator_options(geom)
    x, kernel, _ = small_integers(geom, np.float64, seed=3)
    x_2, kernel_2, _ = small_integers(geom, np.float64, seed=4)

    def y(x: Any, kernel: Any) -> Any:
        return inv.involution(x, kernel, backend=backend, **options)

    np.testing.assert_array_equal(y(5 * x + x_2, kernel), 5 * y(x, kernel) + y(x_2, kernel))
    np.testing.assert_array_equal(y(x, 5 * kernel + kernel_2), 5 * y(x, kernel) + y(x, kernel_2))


@pytest.mark.parametrize("backend", RUNGS)
def test_a_kernel_constant_over_pixels_is_a_convolution(backend: str) -> None:
    """The reference is `numpy.correlate`: rows end to end turn the 2-D window into a 1-D one."""
    geom = make_geometry((2, 3, 6, 8), 3, (3, 5))
    x, kernel, _ = small_integers(geom, np.float64, seed=5)
    weight = kernel[:1, :, :, :, :1, :1]  # one for all images and pixels, (1, G, K_h, K_w, 1, 1)
    y = inv.involution(x, np.broadcast_to(weight, geom.kernel_shape), backend=backend)
    H_padded, W_padded = geom.padded_size
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)))
    for n, c in np.ndindex(2, 3):
        window = np.zeros((3, W_padded))
        window[:, :5] = weight[0, c, :, :, 0, 0]
        line = np.correlate(padded[n, c].ravel(), window.ravel()[: 2 * W_padded + 5], "valid")
        ends = np.append(line, np.zeros(4)).reshape(H_padded - 2, W_padded)  # windows over two rows
        np.testing.assert_array_equal(y[n, c], ends[:, :8])


@pytest.mark.parametrize(("u", "v"), [(1, 2), (0, 2), (2, 0), (1, 4)])
@pytest.mark.parametrize("backend", RUNGS)
def test_a_kernel_of_one_tap_shifts_the_image(backend: str, u: int, v: int) -> None:
    geom = make_geometry((2, 4, 5, 7), 2, (3, 5))
    x, _, dy = random_operands(geom, np.float32, seed=6)
    kernel = np.zeros(geom.kernel_shape, np.float32)
    kernel[:, :, u, v] = 1

    got = run(backend, (x, kernel, dy), {})
    down, right = 1 - u, 2 - v  # (1, 2) is the middle: no shift
    np.testing.assert_array_equal(got["y"], shifted(x, down, right))
    np.testing.assert_array_equal(got["dx"], shifted(dy, -down, -right))


def shifted(image: Any, down: int, right: int) -> Any:
    H, W = image.shape[2:]
    moved = np.zeros_like(image)
    for h, w in np.ndindex(H, W):
        if 0 <= h - down < H and 0 <= w - right < W:
            moved[:, :, h, w] = image[:, :, h - down, w - right]
    return moved
