"""The tolerance of a comparison grows with the number of products in a sum, and only then."""

from __future__ import annotations

import numpy as np
import pytest

from involution_edu.backends import loops, windows
from involution_edu.cases import AWKWARD, TOLERANCE, scaled_error, tolerance
from involution_edu.geometry import make_geometry

SINGLE = np.dtype(np.float32)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_short_sums_keep_the_tolerance_of_the_table(dtype: np.dtype[np.floating]) -> None:
    for geom in AWKWARD.values():
        for terms in (geom.C_g, geom.window[0] * geom.window[1]):
            assert tolerance(dtype, terms) == TOLERANCE[dtype]
    assert tolerance(dtype, 50) > TOLERANCE[dtype]


@pytest.mark.parametrize("channels", [300, 1024])
@pytest.mark.parametrize("value", [0.1, 0.7, 1.1])
def test_equal_products_round_in_the_same_direction(value: float, channels: int) -> None:
    """The worst case of a right sum: dkernel over the channels of a large group, one by one."""
    geom = make_geometry((1, channels, 1, 2), 1, 1)
    x, dy = np.full((2, *geom.x_shape), value, np.float32)
    error = scaled_error(loops.backward_kernel(dy, x, geom), windows.backward_kernel(dy, x, geom))
    assert error <= tolerance(SINGLE, channels) < 0.5 / channels  # a lost product is larger


def test_errors_are_relative_to_a_scale() -> None:
    a, reference = np.array([1.5, 0.25]), np.array([1.0, 0.0])
    assert scaled_error(a, reference) == 0.5
    assert scaled_error(a, reference, np.array([2.0, 0.125])) == 2.0
    assert scaled_error(a, reference, np.array([2.0, 0.0])) == 0.25
    assert scaled_error(np.array([np.nan, 0.0]), reference, np.ones(2)) == np.inf
