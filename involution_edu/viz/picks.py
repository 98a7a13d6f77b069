"""Which pixels are worth a closer look."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..arguments import Pair
from .trace import OperatorTrace, Trace


def telling_pixel(trace: Trace) -> Pair:
    """Return the pixel of the middle that the layer changes most: a speck, if there is one."""
    change = np.abs(trace.y - trace.x).sum(axis=(0, 1))
    H, W = change.shape
    top, left = 3 * H // 8, 3 * W // 8
    middle = change[top : H - top, left : W - left]
    i, j = np.unravel_index(middle.argmax(), middle.shape)
    return top + int(i), left + int(j)


def varied_pixels(trace: OperatorTrace, first: Pair, rows: int, columns: int) -> list[Pair]:
    """Return ``first`` and a pixel (i, j) of each other of rows x columns blocks of the output.

    Each is the pixel of its block whose kernel is least like the kernels chosen before. The way
    through the blocks goes from left to right and back.
    """
    kernels = trace.kernels[0, 0]  # (H_out, W_out, K_h, K_w)
    chosen = [first]
    nearest = np.square(kernels - kernels[first]).sum(axis=(2, 3))  # squared distance, so far
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


def _blocks(pixels: int, count: int) -> list[Pair]:
    """Return the first pixel and the one behind the last of ``count`` blocks, or of fewer."""
    edges = sorted({pixels * n // count for n in range(count + 1)})
    return list(pairwise(edges))
