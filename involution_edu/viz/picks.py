"""Choice of the pixels to explain or to show enlarged."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..arguments import Pair
from ..arrays import Array
from .measures import entropy, orientation
from .trace import OperatorTrace, Trace

ROUND = 0.35  # strength of the direction below which a kernel is nearly round


def telling_pixel(trace: Trace) -> Pair:
    """Return the pixel (i, j) near the middle that the layer changes most: noise, if there is any."""
    change = np.abs(trace.y - trace.x).sum(axis=(0, 1))
    return maximum_inside(change, 3 * change.shape[0] // 8, 3 * change.shape[1] // 8)


def varied_pixels(trace: OperatorTrace, first: Pair, rows: int, columns: int) -> list[Pair]:
    """Return ``first`` and, of every other block of the output, the kernel least like those before.

    Where there is room, they are so far from the border that windows have no zeros around the image.
    """
    kernels = trace.kernels[0, 0]  # (H_out, W_out, K_h, K_w)
    chosen = [first]
    nearest = np.square(kernels - kernels[first]).sum(axis=(2, 3))  # squared distance to chosen
    outside = np.ones(nearest.shape, bool)
    m_h, m_w = (
        min(k // 2, (n - 1) // 2) for k, n in zip(kernels.shape[2:], outside.shape, strict=True)
    )
    outside[m_h : outside.shape[0] - m_h, m_w : outside.shape[1] - m_w] = False
    nearest[outside] = -1
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
    (H, W), (y, x) = strength.shape, start
    room = min(12, min(H, W) // 4)  # rows and columns to the border
    way, heading = [start], angle[start]
    headings = [heading]
    while len(way) < steps:
        up, right = np.sin(heading), np.cos(heading)
        # Two pixels on, and at most one aside, to where the kernel is narrowest.
        ahead = [(y - 2 * up + s * right, x + 2 * right + s * up) for s in (0, -1, 1)]
        inside = [
            at
            for at in ahead
            if room <= round(at[0]) < H - room and room <= round(at[1]) < W - room
        ]
        if not inside:
            break
        y, x = max(inside, key=lambda at: strength[round(at[0]), round(at[1])])
        here = round(y), round(x)
        turn = (angle[here] - heading + np.pi / 2) % np.pi - np.pi / 2  # an axis has no sign
        if strength[here] < ROUND or abs(turn) > 0.8:  # the end of the edge, or another one
            break
        heading += 0.5 * turn  # a mean, against the noise
        headings.append(heading)
        way.append(here)
    return way, min(2.0, float(np.ptp(headings)))


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
