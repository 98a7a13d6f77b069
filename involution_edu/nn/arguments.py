"""Argument checks of layers, and weight initialisation."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import ArgumentError, WrongTypeError
from ..arrays import Array, check_array, check_current, check_place, kind_of_array


def as_input(x: Array, weight: Array | None = None) -> Array:
    """Return ``x``, contiguous; raise unless it has the dtype and the place of ``weight``."""
    x = check_array("x", x, gpu=True)
    if weight is not None:
        check_place("x", x, weight, "the layer", f" or layer.to({kind_of_array(x)!r})")
        if x.dtype != weight.dtype:
            raise WrongTypeError(
                "x", f"has dtype {x.dtype}", f"{weight.dtype}, the dtype of the layer"
            )
    check_current("x", x)
    return x


def as_features(x: Array, channels: int | None = None, weight: Array | None = None) -> Array:
    """Return ``x`` (N, C, H, W) as `as_input` does; raise unless C is ``channels``."""
    x = as_input(x, weight)
    if x.ndim != 4 or channels not in (None, x.shape[1]):
        wanted = "" if channels is None else f" with C = {channels}"
        raise ArgumentError("x", f"has shape {x.shape}", f"(N, C, H, W){wanted}")
    if min(x.shape[1:]) < 1:
        raise ArgumentError(
            "x", f"has shape {x.shape}", "at least one channel, one row and one column"
        )
    return x


def kaiming_normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Return normal weights of variance 2 / fan_out, with fan_out = out_channels * K_h * K_w."""
    out_channels, _, k_h, k_w = shape
    return rng.normal(0.0, np.sqrt(2 / (out_channels * k_h * k_w)), shape).astype(dtype)
