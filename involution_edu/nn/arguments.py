"""Argument checks of layers, and weight initialisation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import (
    ArgumentError,
    IntOrPair,
    Pair,
    WrongTypeError,
    as_int,
    as_pair,
    check_shape,
    quoted,
)
from ..arrays import Array, array_module, as_numpy, check_array, check_current, kind_of_array
from ..files import shown


def as_input(x: Array, weight: Array | None = None) -> Array:
    """Return ``x``, contiguous; raise unless it has the dtype and device of ``weight``."""
    fix = f" or layer.to({kind_of_array(x)!r})"
    x = check_array("x", x, gpu=True, like=weight, owner="the layer", fix=fix)
    check_current("x", x)
    return x


def as_features(x: Array, channels: int | None = None, weight: Array | None = None) -> Array:
    """Return ``x`` (N, C, H, W) as `as_input` does; raise unless C is ``channels``."""
    x = as_input(x, weight)
    if x.ndim != 4 or channels not in (None, x.shape[1]):
        wanted = "" if channels is None else f" with C = {channels}"
        raise ArgumentError("x", f"has shape {x.shape}", f"(N, C, H, W){wanted}")
    if min(x.shape[1:]) < 1:
        need = "at least one channel, one row and one column"
        raise ArgumentError("x", f"has shape {x.shape}", need)
    return x


def as_window(kernel_size: IntOrPair) -> Pair:
    """Return the rows and columns of a window; raise unless they are odd."""
    window = as_pair("kernel_size", kernel_size)
    if not all(k % 2 for k in window):
        raise ArgumentError("kernel_size", f"is {kernel_size}", "odd sizes, for a middle pixel")
    return window


def as_groups(channels: int, groups: int | None, group_channels: int) -> int:
    """Return G, of ``groups`` or else of ``group_channels``; raise unless it divides C."""
    name, size = ("group_channels", group_channels) if groups is None else ("groups", groups)
    size = as_int(name, size)
    if channels % size:
        raise ArgumentError(name, f"is {size}", f"a divisor of the {channels} channels")
    return channels // size if groups is None else size


def kaiming_normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Return normal weights of variance 2 / fan_out, with fan_out = out_channels * K_h * K_w."""
    out_channels, _, k_h, k_w = shape
    return rng.normal(0.0, np.sqrt(2 / (out_channels * k_h * k_w)), shape).astype(dtype)


def copy_state(state: Mapping[str, Array], own: Mapping[str, Array]) -> None:
    """Copy ``state`` into the arrays of ``own``: all, or nothing if one does not fit."""
    lacking, unknown = own.keys() - state.keys(), state.keys() - own.keys()
    if names := lacking or unknown:
        some, more = sorted(shown(str(name)) for name in names)[:3], len(names) - 3
        listed = ", ".join(some) + (f" and {more} more" if more > 0 else "")
        got = f"{'lacks' if lacking else 'has the unknown'} {listed}"
        raise ArgumentError("state", got, "the names of state_dict()")
    cast = {}
    for name, array in own.items():
        item: object = as_numpy(state[name])
        label = f"state[{quoted(name)}]"
        if not isinstance(item, np.ndarray | np.generic) or not np.can_cast(
            item.dtype, array.dtype, "same_kind"
        ):
            kind = getattr(item, "dtype", type(item).__name__)
            raise WrongTypeError(label, f"is {kind}", f"an array that casts to {array.dtype}")
        check_shape(label, np.asarray(item), array.shape, "the shape in state_dict()")
        if not getattr(array.flags, "writeable", True):  # CuPy's flags have no such name
            raise ArgumentError(quoted(name), "is read-only", "an array to copy state into")
        cast[name] = array_module(array).asarray(np.asarray(item, array.dtype))
    for name, array in own.items():
        array[...] = cast[name]
