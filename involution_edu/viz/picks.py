"""Choice of the pixels to explain or to show enlarged."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np

from ..arguments import Pair
from ..arrays import Array
from .measures import orientation
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


def along_an_edge(kernels: Array, steps: int) -> list[Pair]:
    """Return pixels along an edge that turns, each two further in the direction of the last's kernel.

    ``kernels`` is (H, W, K_h, K_w). Of the ways from the most elongated kernels of 8 x 8 blocks it
    is the longest, thinnest and most bent. A way ends near the border, at a round kernel, or after
    ``steps`` pixels.
    """
    angle, strength = orientation(kernels)
    ways = []
    H, W = strength.shape
    for (top, bottom), (left, right) in product(_blocks(H, 8), _blocks(W, 8)):
        i, j = maximum_inside(strength[top:bottom, left:right], 0, 0)
        ways.append(_way(np.radians(angle), strength, (top + i, left + j), steps))
    worth = [sum(strength[at] for at in way) * (1 + turned) for way, turned in ways]
    return ways[int(np.argmax(worth))][0]


def _way(angle: Array, strength: Array, start: Pair, steps: int) -> tuple[list[Pair], float]:
    """Return the pixels from ``start`` on, and by how many radians the direction turned."""
    H, W = strength.shape
    room = min(12, min(H, W) // 4)  # rows and columns to the border
    (y, x), way, heading = start, [start], angle[start]
    turned = []
    while len(way) < steps:
        y, x = y - 2 * np.sin(heading), x + 2 * np.cos(heading)
        at = round(y), round(x)
        if not (room <= at[0] < H - room and room <= at[1] < W - room) or strength[at] < 0.25:
            break
        turn = (angle[at] - heading + np.pi / 2) % np.pi - np.pi / 2  # an axis has no sign
        if abs(turn) > 0.8:  # another edge
            break
        heading += 0.5 * turn  # a mean, against the noise
        turned.append(heading)
        way.append(at)
    return way, min(2.0, float(np.ptp(turned or [0])))


def maximum_inside(values: Array, top: int, left: int) -> Pair:
    """Return (i, j) of the largest value of (H, W), at least ``top`` and ``left`` from the border."""
    H, W = values.shape
    inside = values[top : H - top, left : W - left]
    i, j = np.unravel_index(inside.argmax(), inside.shape)
    return top + int(i), left + int(j)


def _blocks(pixels: int, count: int) -> list[Pair]:
    """Return (start, stop) of ``count`` blocks of ``pixels``, or of fewer."""
    return list(pairwise(sorted({pixels * n // count for n in range(count + 1)})))
