"""Rung 3 with neighbouring pixels side by side: dkernel.

The gradient of the kernel sums over the channels of a group, so a vector holds one channel of
neighbouring pixels, in the order of ``numba_cpu/layout.py``. Each thread copies its bands of x and
dy, and writes a block of dkernel that fits its cache before it copies that out, in long runs.

Arrays are passed flat, as in ``numba_cpu/channels.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...arguments import Pair
from ...arrays import Array
from .vectors import (
    Vector,
    compiled,
    fma,
    inlined,
    lanes,
    load,
    load_as,
    no_inlining,
    opaque,
    pair_of_zeros,
    store,
    zeros,
)

Offsets = NDArray[np.intp]
# Bytes of dkernel to finish before they are written out: half of a common second-level cache.
# Short runs to many places are slow; a quarter of this takes 1.1 to 1.4 times as long.
BLOCK_BYTES = 1 << 18


@inlined
def tap_offsets(window: Pair, stride: Pair, dilation: Pair, pitch: int, count: int) -> Offsets:
    """Return, for each tap (u, v), the distance of its pixel from that of tap (0, 0)."""
    offsets = np.zeros(count, np.intp)
    for u in range(window[0]):
        for v in range(window[1]):
            column = v * dilation[1]
            column = column % stride[1] * (pitch // stride[1]) + column // stride[1]
            offsets[u * window[1] + v] = u * dilation[0] * pitch + column
    return offsets


@inlined
def copy(source: Array, start: int, target: Array, to: int, count: int) -> None:
    """Copy ``count`` neighbouring numbers, a vector at a time."""
    no_inlining()
    size = lanes(source)
    for m in range(0, count - size + 1, size):
        store(load(source, start + m), target, to + m)
    if count < size:
        for m in range(count):
            target[to + m] = source[start + m]
    elif count % size:  # the last vector reaches back over the one before
        last = count - size
        store(load(source, start + last), target, to + last)


@inlined
def correlate(
    zero: Vector, dy: Array, y0: int, y_r: int, x: Array, x0: int, x_r: int, offsets: Offsets,
    out: Array, out0: int, out_t: int, C_g: int,
) -> None:  # fmt: skip
    """Sum dy * x over the channels of a group, for every tap of the window; seven at a time.

    out[out0 + t*out_t] = sum over r of dy[y0 + r*y_r] * x[x0 + r*x_r + offsets[t]], each a vector
    of neighbouring pixels, or a pair of vectors if ``zero`` is.
    """
    no_inlining()
    for block in range(0, offsets.size, 7):
        t = min(block, offsets.size - 7)  # the last block reaches back over the one before
        a = b = c = d = e = f = g = zero
        at_a, at_b, at_c = x0 + offsets[t], x0 + offsets[t + 1], x0 + offsets[t + 2]
        at_d, at_e, at_f = x0 + offsets[t + 3], x0 + offsets[t + 4], x0 + offsets[t + 5]
        at_g = x0 + offsets[t + 6]
        for r in range(C_g):
            # Seven distances and one index: else the loop is unrolled and 28 addresses spilled,
            # at 1.5 times the time.
            pixels, at = load_as(zero, dy, y0 + r * y_r), opaque(r * x_r)
            a = fma(pixels, load_as(zero, x, at + at_a), a)
            b = fma(pixels, load_as(zero, x, at + at_b), b)
            c = fma(pixels, load_as(zero, x, at + at_c), c)
            d = fma(pixels, load_as(zero, x, at + at_d), d)
            e = fma(pixels, load_as(zero, x, at + at_e), e)
            f = fma(pixels, load_as(zero, x, at + at_f), f)
            g = fma(pixels, load_as(zero, x, at + at_g), g)
        at = out0 + t * out_t
        store(a, out, at)
        store(b, out, at + out_t)
        store(c, out, at + 2 * out_t)
        store(d, out, at + 3 * out_t)
        store(e, out, at + 4 * out_t)
        store(f, out, at + 5 * out_t)
        store(g, out, at + 6 * out_t)


@inlined
def copy_rows(
    x: Array, start: int, W: int, band: Array, to: int, pitch: int, rows: int, s: int, p: int
) -> None:  # fmt: skip
    """Copy rows of an image behind ``p`` columns of padding, in the order of `layout`."""
    no_inlining()
    size = lanes(x)
    for _ in range(rows):
        if s > 1:
            for w in range(W):
                column = w + p
                band[to + column % s * (pitch // s) + column // s] = x[start + w]
        elif start + (W + size - 1) // size * size <= x.size:
            for w in range(0, W, size):
                store(load(x, start + w), band, to + p + w)
            for w in range(W, (W + size - 1) // size * size):
                band[to + p + w] = 0  # padding, or the next row, which is written after this one
        else:
            for w in range(W):
                band[to + p + w] = x[start + w]
        start, to = start + W, to + pitch


@compiled
def backward_kernel(
    dy: Array, x: Array, dkernel: Array, stride: Pair, padding: Pair, dilation: Pair,
    rows: int, start: int, stop: int,
) -> None:  # fmt: skip
    """Write the gradient of the kernel; a task is ``rows`` output rows of one group."""
    _, C, H, W = x.shape
    _, G, K_h, K_w, H_out, W_out = dkernel.shape
    (s_h, s_w), (p_h, p_w) = stride, padding
    C_g, size, taps, plane = C // G, lanes(x), K_h * K_w, H_out * W_out
    dy, x, dkernel = dy.reshape(-1), x.reshape(-1), dkernel.reshape(-1)
    x_i = (W + 2 * p_w + s_w - 1) // s_w * s_w
    band_rows = (rows - 1) * s_h + dilation[0] * (K_h - 1) + 1
    x_band = np.zeros(C_g * band_rows * x_i + 2 * size, x.dtype)  # a band of x with its padding
    offsets = tap_offsets((K_h, K_w), stride, dilation, x_i, max(7, taps))
    few = max(
        1, min(rows, BLOCK_BYTES // (offsets.size * W_out * x.itemsize))
    )  # rows to work on at a time
    pitch = few * W_out + 2 * size
    pixels = np.zeros(C_g * pitch, x.dtype)  # those rows of dy
    block = np.empty(offsets.size * pitch, x.dtype)  # and of dkernel
    bands = (H_out + rows - 1) // rows
    for task in range(start, stop):
        group, i0 = task // bands, task % bands * rows  # group is n*G + g
        i1 = min(i0 + rows, H_out)
        top = i0 * s_h - p_h  # the row of x on which the band begins
        first, last = max(top, 0), min(top + band_rows, H)
        for r in range(C_g):
            if bands > 1:  # else what is padding once is padding always
                x_band[r * band_rows * x_i : (r + 1) * band_rows * x_i] = 0
            copy_rows(
                x, ((group * C_g + r) * H + first) * W, W,
                x_band, (r * band_rows + first - top) * x_i, x_i, last - first, s_w, p_w,
            )  # fmt: skip
        for top in range(i0, i1, few):
            count = (min(top + few, i1) - top) * W_out
            for r in range(C_g):
                y0 = (group * C_g + r) * plane + top * W_out
                copy(dy, y0, pixels, r * pitch, count)
            # The last vector of a row reaches into the next row, which is written after it.
            for at in range(0, count, W_out):
                x0 = (top - i0 + at // W_out) * s_h * x_i
                for j in range(0, W_out, 2 * size):
                    if W_out - j > size:  # 1.0 to 1.2 times as fast as single vectors
                        correlate(
                            pair_of_zeros(x), pixels, at + j, pitch,
                            x_band, x0 + j, band_rows * x_i, offsets,
                            block, at + j, pitch, C_g,
                        )  # fmt: skip
                    else:
                        correlate(
                            zeros(x), pixels, at + j, pitch,
                            x_band, x0 + j, band_rows * x_i, offsets,
                            block, at + j, pitch, C_g,
                        )  # fmt: skip
            for t in range(taps):
                copy(block, t * pitch, dkernel, (group * taps + t) * plane + top * W_out, count)
