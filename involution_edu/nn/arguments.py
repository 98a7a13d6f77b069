"""What layers are made with and called with: the checks, and the random start of their weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ..arrays import check_array, check_current, check_place, kind_of_array
from ..geometry import Array

Rng = np.random.Generator | int | None


def as_input(x: Array, weight: Array | None = None) -> Array:
    """Return ``x``, contiguous; raise unless it has the dtype and the place of ``weight``."""
    x = check_array("x", x, gpu=True)
    if weight is not None:
        check_place("x", x, weight, "the layer", f" or layer.to({kind_of_array(x)!r})")
        if x.dtype != weight.dtype:
            raise TypeError(f"x has dtype {x.dtype}; need {weight.dtype}, the dtype of the layer")
    check_current("x", x)
    return x


def as_features(x: Array, channels: int | None = None, weight: Array | None = None) -> Array:
    """Return ``x`` (N, C, H, W) as `as_input` does; raise unless C is ``channels``."""
    x = as_input(x, weight)
    if x.ndim != 4 or channels not in (None, x.shape[1]):
        wanted = "" if channels is None else f" with C = {channels}"
        raise ValueError(f"x has shape {x.shape}; need (N, C, H, W){wanted}")
    if min(x.shape[1:]) < 1:
        raise ValueError(
            f"x has shape {x.shape}; need at least one channel, one row and one column"
        )
    return x


def as_generator(rng: Rng) -> np.random.Generator:
    """Return the random numbers that ``rng`` stands for: its own, a seed's, or new ones."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise ValueError(f"rng is {rng!r}; need a Generator, an int >= 0 or None") from None


def as_fraction(name: str, value: object) -> float:
    """Return ``value`` as a float from 0 to 1."""
    if not isinstance(value, int | float | np.floating) or not 0 <= value <= 1:
        raise ValueError(f"{name} is {value!r}; need a number from 0 to 1")
    return float(value)


def kaiming_normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Return normal weights of variance 2 / fan_out, with fan_out = out_channels * K_h * K_w."""
    out_channels, _, k_h, k_w = shape
    return rng.normal(0.0, np.sqrt(2 / (out_channels * k_h * k_w)), shape).astype(dtype)
