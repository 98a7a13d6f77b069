"""The error between two backends, and the random numbers they are compared on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from involution_edu.cases import AWKWARD, TOLERANCE, random_operands, scaled_error

A = np.array([[3.0, -4.0], [0.5, 1.0]])


def test_the_error_is_the_largest_relative_to_the_largest() -> None:
    other = A + np.array([[0.0, 0.5], [0.0, -1.0]])
    assert scaled_error(other, A) == 0.25
    assert scaled_error(A, A) == 0
    assert scaled_error(A[:0], A[:0]) == 0
    assert scaled_error(np.full(2, 0.5), np.zeros(2)) == 0.5


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_single_number_that_is_not_finite_is_an_infinite_error(value: float) -> None:
    other = A.copy()
    other[1, 0] = value
    assert scaled_error(other, A) == math.inf
    assert scaled_error(A, other) == math.inf


@pytest.mark.parametrize("other", [A[:1], A.ravel(), A.astype(np.float32)], ids=str)
def test_arrays_of_another_shape_or_dtype_are_not_compared(other: Any) -> None:
    with pytest.raises(ValueError, match=r"^a is .*; need float64 \(2, 2\), as the reference$"):
        scaled_error(other, A)


@pytest.mark.parametrize(("dtype", "digits"), [(np.float32, 6), (np.float64, 12)])
def test_the_tolerance_tells_the_last_digits(dtype: Any, digits: int) -> None:
    right = A.astype(dtype)
    wrong = right * dtype(1 + 2 * 10.0**-digits)
    assert scaled_error(wrong, right) > TOLERANCE[np.dtype(dtype)]
    rounded = right * (1 + np.finfo(dtype).eps)
    assert scaled_error(rounded, right) < TOLERANCE[np.dtype(dtype)]


def test_every_seed_has_its_own_operands() -> None:
    geom = AWKWARD["stride 2, odd sizes"]
    one, same, other = (random_operands(geom, np.float32, seed) for seed in (1, 1, 2))
    for a, b, c, shape in zip(
        one, same, other, (geom.x_shape, geom.kernel_shape, geom.y_shape), strict=True
    ):
        assert a.shape == shape
        assert a.dtype == np.dtype(np.float32)
        np.testing.assert_array_equal(a, b)
        assert not np.isin(a, c).any()


def test_some_case_has_a_tap_that_never_touches_the_image() -> None:
    assert any(
        geom.padding[0] >= geom.extent[0] and geom.padding[1] >= geom.extent[1]
        for geom in AWKWARD.values()
    )
