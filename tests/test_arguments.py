"""Checks of numbers, away from the functions that use them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from involution_edu.arguments import as_int, as_number, as_pair


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -0.1, "1", None, 1j])
def test_a_number_is_finite_and_not_negative(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^lr is .*; need a number of at least 0$"):
        as_number("lr", value)


@pytest.mark.parametrize("value", [np.float32(0.5), np.float64(0.5), 0, 1])
def test_any_kind_of_number_is_taken(value: Any) -> None:
    assert as_number("lr", value, 1) == float(value)


@pytest.mark.parametrize("value", [True, False, np.True_, 1.0, "1"])
def test_an_int_is_no_bool_and_no_float(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^size is .*; need an int >= 0$"):
        as_int("size", value, 0)


def test_the_limits_of_an_int_are_included() -> None:
    assert [as_int("size", size, 2, 4) for size in (2, 3, 4)] == [2, 3, 4]
    for size in 1, 5:
        with pytest.raises(ValueError, match=r"^size is"):
            as_int("size", size, 2, 4)


def test_a_pair_keeps_its_order() -> None:
    assert as_pair("stride", [2, 3]) == (2, 3)
    for pair, at in ((0, 3), 0), ((3, 0), 1):
        with pytest.raises(ValueError, match=rf"^stride\[{at}\] is 0"):
            as_pair("stride", pair)
