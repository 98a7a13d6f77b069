"""Test cases shared by ``compare``, ``gradcheck``, ``bench`` and the tests, and their tolerances."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arguments import ArgumentError, Pair
from .arrays import Array
from .geometry import Geometry, make_geometry

# Max error between two rungs, relative to the largest number of the reference, for sums of at
# most `FEW_TERMS` products; see `tolerance`.
TOLERANCE = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-12}
FEW_TERMS = 49  # a 7 x 7 window
# For float16 on GPUs, summed in float32, against float64 sums of the same operands: the result is
# rounded once, with a relative error of at most half a unit in its 11th bit, 2^-11 = 4.9e-4.
HALF_TOLERANCE = 5e-4

# Each case has H != W; together they cover the usual mistakes of implementations.
AWKWARD = {
    "plain 3x3": make_geometry((2, 4, 6, 5), 2, 3),
    "one image, 7x7, larger than the image": make_geometry((1, 4, 5, 4), 2, 7),
    "rectangular 3x5": make_geometry((2, 4, 6, 7), 2, (3, 5)),
    "rectangular 5x1, valid": make_geometry((1, 6, 8, 5), 3, (5, 1), padding="valid"),
    "even window 2x4": make_geometry((1, 4, 6, 7), 2, (2, 4), padding=(1, 2)),
    "1x1 window": make_geometry((2, 4, 3, 5), 2, 1),
    "stride 2, odd sizes": make_geometry((2, 4, 7, 9), 2, 3, stride=2),
    "stride 2, even sizes": make_geometry((1, 4, 6, 8), 2, 5, stride=2),
    "stride 3, 7x7": make_geometry((1, 4, 10, 8), 2, 7, stride=3),
    "stride (1, 2)": make_geometry((1, 4, 6, 7), 2, 3, stride=(1, 2)),
    "dilation 2": make_geometry((1, 4, 7, 6), 2, 3, dilation=2),
    "dilation 3, stride 2": make_geometry((1, 4, 9, 10), 2, 3, stride=2, dilation=3),
    "dilation (2, 1), 3x5, stride (3, 2)": make_geometry((2, 4, 9, 8), 2, (3, 5), (3, 2), (2, 1)),
    "padding wider than the window": make_geometry((1, 2, 4, 5), 1, 3, padding=(4, 3)),
    "unequal padding": make_geometry((1, 4, 5, 6), 2, 3, padding=(0, 2)),
    "one group": make_geometry((2, 5, 4, 6), 1, 3),
    "a group per channel": make_geometry((2, 5, 4, 6), 5, 3),
    "C_g = 3": make_geometry((1, 9, 5, 7), 3, 3),
    "one row": make_geometry((1, 4, 1, 9), 2, 3),
    "one pixel": make_geometry((3, 4, 1, 1), 2, 3),
    "no images": make_geometry((0, 4, 5, 6), 2, 3),
}


def random_operands(geom: Geometry, dtype: Any, seed: int) -> tuple[Array, Array, Array]:
    """Return random normal x, kernel and dy of the sizes in ``geom``."""
    rng = np.random.default_rng(seed)
    shapes = geom.x_shape, geom.kernel_shape, geom.y_shape
    x, kernel, dy = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    return x, kernel, dy


def operator_options(geom: Geometry) -> dict[str, Pair]:
    """Return the stride, padding and dilation of ``geom`` as arguments of `involution`."""
    return {"stride": geom.stride, "padding": geom.padding, "dilation": geom.dilation}


def tolerance(dtype: Any, terms: int) -> float:
    """Return the largest error, relative to the sum, of a right sum of ``terms`` products."""
    # Each rounds the sum so far, on average half of the whole, by up to eps/2.
    extra = max(0, terms - FEW_TERMS) * float(np.finfo(dtype).eps) / 4
    return TOLERANCE[np.dtype(dtype)] + extra


def scaled_error(a: Array, reference: Array, scale: Array | None = None) -> float:
    """Return the max of |a - reference| / (``scale`` or max|reference|, or 1 for 0), or infinity."""
    if a.shape != reference.shape or a.dtype != reference.dtype:
        need = f"{reference.dtype} {reference.shape}, as the reference"
        raise ArgumentError("a", f"is {a.dtype} {a.shape}", need)
    if reference.size == 0:
        return 0.0
    scale = np.abs(reference).max() if scale is None else scale
    with np.errstate(invalid="ignore"):  # of Inf - Inf and Inf / Inf
        error = np.abs(a - reference) / np.where(scale == 0, 1, scale).astype(np.float64)
    return float("inf") if np.isnan(error).any() else float(error.max())
