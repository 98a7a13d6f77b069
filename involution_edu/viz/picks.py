"""Choice of the pixels to explain or to show enlarged."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..arguments import Pair
from ..arrays import Array
from .measures import entropy, orientation
from .trace import OperatorTrace, Trace


def telling_pixel(trace: Trace) -> Pair:
    """Return the pixel (i, j) near the middle that the layer changes most: noise, if there is any."""
    change = np.abs(trace.y - trace.x).sum(axis=(0, 1))
    return maximum_inside(change, 3 * change.shape[0] // 8, 3 * change.shape[1] // 8)


def strongest_pixel(trace: Trace) -> Pair:
    """Return the pixel (i, j) near the middle whose reduced features have the largest sum."""
    strength = trace.reduced[0].sum(axis=0)
    return maximum_inside(strength, strength.shape[0] // 4, strength.shape[1] // 4)


def varied_pixels(trace: OperatorTrace, first: Pair, rows: int, columns: int) -> list[Pair]:
    """Return ``first`` and, of every other block of the output, the kernel least like those before."""
    kernels = trace.kernels[0, 0]  # (H_out, W_out, K_h, K_w)
    chosen = [first]
    nearest = np.square(kernels - kernels[first]).sum(axis=(2, 3))  # squared distance to chosen
    for band, (top, bottom) in enumerate(_blocks(trace.geom.H_out, rows)):
        for left, right in _blocks(trace.geom.W_out, columns)[:: -1 if band % 2 else 1]:
            if top <= first[0] < bottom and left <= first[1] < right:
                continue
            block = nearest[top:bottom, left:right]
            r, c = np.unravel_index(block.argmax(), block.shape)
            chosen.append((top + int(r), left + int(c)))
            distance = np.square(kernels - kernels[chosen[-1]]).sum(axis=(2, 3))
            nearest = np.minimum(nearest, distance)
    return chosen


def elongated_pixel(trace: OperatorTrace) -> Pair:
    """Return the pixel (i, j) off the border with the longest kernel: a stroke, not a dot or tap."""
    length = orientation(trace.kernels[0, 0])[1] * entropy(trace.kernels[0, 0])
    return maximum_inside(length, *(min(1, (n - 1) // 2) for n in length.shape))


def varied_patch(trace: OperatorTrace, size: Pair) -> Pair:
    """Return the first row and column of the patch of ``size`` whose kernels differ most."""
    kernels = trace.kernels[0, 0].reshape(trace.geom.H_out, trace.geom.W_out, -1)
    means, squares = (
        sliding_window_view(a, size, axis=(0, 1)).mean(axis=(-2, -1))
        for a in (kernels, (kernels**2).sum(axis=2))
    )
    spread = squares - (means**2).sum(axis=2)
    # Not beside the border, where there is room: a window without zeros is clearer.
    margins = (min(k, (n - 1) // 2) for k, n in zip(trace.geom.window, spread.shape, strict=True))
    return maximum_inside(spread, *margins)


def maximum_inside(values: Array, top: int, left: int) -> Pair:
    """Return (i, j) of the largest value of (H, W), at least ``top`` and ``left`` from the border."""
    H, W = values.shape
    inside = values[top : H - top, left : W - left]
    i, j = np.unravel_index(inside.argmax(), inside.shape)
    return top + int(i), left + int(j)


def _blocks(pixels: int, count: int) -> list[Pair]:
    """Return (start, stop) of ``count`` blocks of ``pixels``, or of fewer."""
    return list(pairwise(sorted({pixels * n // count for n in range(count + 1)})))
