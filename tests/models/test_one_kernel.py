"""The best kernel for all pixels: no other has a smaller error."""

from __future__ import annotations

import numpy as np

import involution_edu as inv
from involution_edu.geometry import make_geometry
from involution_edu.models.one_kernel import best_one_kernel

RNG = np.random.default_rng(3)
GEOM = make_geometry((1, 2, 11, 14), 1, (3, 5))


def test_the_kernel_of_a_convolution_is_found_again() -> None:
    x, taps = RNG.standard_normal((1, 2, 11, 14)), RNG.standard_normal((1, 1, 3, 5, 1, 1))
    kernel = np.broadcast_to(taps, (1, 1, 3, 5, 11, 14))
    found = best_one_kernel(x, inv.involution(x, kernel), GEOM)
    assert found.shape == kernel.shape
    np.testing.assert_allclose(found, kernel, atol=1e-10)


def test_no_kernel_beside_it_has_a_smaller_error() -> None:
    x, target = RNG.standard_normal((2, 1, 2, 11, 14))
    best = best_one_kernel(x, target, GEOM)

    def error(kernel: object) -> float:
        return float(np.square(inv.involution(x, kernel) - target).sum())

    for _ in range(20):
        step = 0.01 * RNG.standard_normal((1, 1, 3, 5, 1, 1))
        assert error(best) < error(best + step)


def test_a_picture_of_one_colour_has_a_finite_kernel() -> None:
    x = np.ones((1, 2, 11, 14), np.float32)
    best = best_one_kernel(x, x, GEOM)
    assert best.dtype == np.float32
    np.testing.assert_allclose(inv.involution(x, best)[..., 4:7, 5:8], 1, atol=1e-4)
