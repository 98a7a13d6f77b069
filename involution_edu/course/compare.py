"""Comparison of a learner's result with the right one."""

from __future__ import annotations

from reprlib import repr as shorten
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array

ROUNDING = 1e-9  # relative; float64 sums in another order agree much better


def numbers(result: Any) -> Array | None:
    """Return a result as an array of numbers, or None if it is not one."""
    try:
        array = np.asarray(result)
    except Exception:  # noqa: BLE001 - lists of unequal lengths; an object may raise anything
        return None
    return array if array.dtype.kind in "biuf" else None


def wrong_numbers(got: Array, want: Array) -> NDArray[np.bool_]:
    """Return where two arrays of one shape differ by more than rounding."""
    largest = np.abs(want[np.isfinite(want)]).max(initial=0)
    return ~np.isclose(got, want, rtol=ROUNDING, atol=ROUNDING * float(largest), equal_nan=True)


def same(got: Any, want: Any) -> bool:
    """Return whether two results are equal up to rounding."""
    a, b = numbers(got), numbers(want)
    return a is not None and b is not None and a.shape == b.shape and not wrong_numbers(a, b).any()


def fits(got: Any, want: Any) -> bool:
    """Return whether a result is made of numbers and has the right shape."""
    a = numbers(got)
    return a is not None and a.shape == np.shape(want)


def first_wrong(got: Any, want: Any) -> tuple[int, ...] | None:
    """Return the index of the first wrong number, or None if the shapes differ."""
    a, b = numbers(got), np.asarray(want)
    if a is None or a.shape != b.shape:
        return None
    return tuple(int(i) for i in np.argwhere(wrong_numbers(a, b))[0])


def difference(got: Any, want: Any) -> str:
    """Return what is wrong with a result that differs."""
    a, b = numbers(got), np.asarray(want)
    if a is None:
        return f"it returned {shorten(got)}; need {'numbers' if b.ndim > 1 else b.tolist()}"
    if a.shape != b.shape:
        return f"its shape is {a.shape}; need {b.shape}"
    wrong = wrong_numbers(a, b)
    index = tuple(np.argwhere(wrong)[0])
    at = f"[{', '.join(map(str, index))}]" if index else "the result"
    many = f", and {wrong.sum() - 1:,} more of {wrong.size:,} are wrong" if wrong.sum() > 1 else ""
    return "{} is {}; need {}{}".format(at, *_written(a[index], b[index]), many)


def _written(a: Any, b: Any) -> tuple[str, str]:
    """Write two numbers with as many digits as tell them apart, and none before the point lost."""
    large = max(abs(float(a)), abs(float(b)))
    digits = len(f"{large:.0f}") if 1 <= large < 1e15 else 1  # also False for nan
    for precision in range(max(6, digits), 18):
        one, other = f"{a:.{precision}g}", f"{b:.{precision}g}"
        if one != other:
            break
    return one, other
