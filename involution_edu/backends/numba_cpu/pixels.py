"""Rung 3 with neighbouring pixels side by side: dkernel.

The gradient of the kernel sums over the channels of a group, so a vector holds one channel of
neighbouring pixels, in the order of ``numba_cpu/layout.py``.

Arrays are passed flat, as in ``numba_cpu/channels.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...arguments import Pair
from ...arrays import Array
from .vectors import compiled, fma, inlined, lanes, load, no_inlining, store, zeros

Offsets = NDArray[np.intp]


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
def copy_rows(
    source: Array, start: int, pitch: int, target: Array, to: int, to_pitch: int,
    rows: int, count: int,
) -> None:  # fmt: skip
    """Copy ``count`` numbers, at most a vector, of each of ``rows`` rows."""
    no_inlining()
    for r in range(rows):
        if count == lanes(source):
            store(load(source, start + r * pitch), target, to + r * to_pitch)
        else:
            for m in range(count):
                target[to + r * to_pitch + m] = source[start + r * pitch + m]


@inlined
def correlate(
    dy: Array, x: Array, x0: int, x_r: int, offsets: Offsets, out: Array, C_g: int
) -> None:
    """Sum dy * x over the channels of a group, for every tap of the window; seven at a time.

    out[t] = sum over r of dy[r] * x[x0 + r*x_r + offsets[t]], each a vector of neighbouring
    pixels.
    """
    no_inlining()
    size = lanes(x)
    for block in range(0, offsets.size, 7):
        t = min(block, offsets.size - 7)  # the last block reaches back over the one before
        a = b = c = d = e = f = g = zeros(x)
        at_a, at_b, at_c = x0 + offsets[t], x0 + offsets[t + 1], x0 + offsets[t + 2]
        at_d, at_e, at_f = x0 + offsets[t + 3], x0 + offsets[t + 4], x0 + offsets[t + 5]
        at_g = x0 + offsets[t + 6]
        for r in range(C_g):
            pixels = load(dy, r * size)
            a = fma(pixels, load(x, at_a + r * x_r), a)
            b = fma(pixels, load(x, at_b + r * x_r), b)
            c = fma(pixels, load(x, at_c + r * x_r), c)
            d = fma(pixels, load(x, at_d + r * x_r), d)
            e = fma(pixels, load(x, at_e + r * x_r), e)
            f = fma(pixels, load(x, at_f + r * x_r), f)
            g = fma(pixels, load(x, at_g + r * x_r), g)
        store(a, out, t * size)
        store(b, out, (t + 1) * size)
        store(c, out, (t + 2) * size)
        store(d, out, (t + 3) * size)
        store(e, out, (t + 4) * size)
        store(f, out, (t + 5) * size)
        store(g, out, (t + 6) * size)


@compiled
def backward_kernel(
    dy: Array, x: Array, dkernel: Array, stride: Pair, padding: Pair, dilation: Pair,
    rows: int, start: int, stop: int,
) -> None:  # fmt: skip
    """Write the gradient of the kernel; ``x`` is a result of `layout.padded`."""
    _, C, H, W = x.shape
    _, G, K_h, K_w, H_out, W_out = dkernel.shape
    C_g, size = C // G, lanes(x)
    dy, x, dkernel = dy.reshape(-1), x.reshape(-1), dkernel.reshape(-1)
    offsets = tap_offsets((K_h, K_w), stride, dilation, W, max(7, K_h * K_w))
    pixels = np.zeros(C_g * size, x.dtype)
    block = np.empty(offsets.size * size, x.dtype)
    bands = (H_out + rows - 1) // rows
    for task in range(start, stop):
        group, i0 = task // bands, task % bands * rows  # group is n*G + g
        for i in range(i0, min(i0 + rows, H_out)):
            for j in range(0, W_out, size):
                n, k_t = min(size, W_out - j), H_out * W_out
                y0 = (group * C_g * H_out + i) * W_out + j
                copy_rows(dy, y0, k_t, pixels, 0, size, C_g, n)
                x0 = (group * C_g * H + i * stride[0]) * W + j
                correlate(pixels, x, x0, H * W, offsets, block, C_g)
                k0 = (group * K_h * K_w * H_out + i) * W_out + j
                copy_rows(block, 0, size, dkernel, k0, k_t, K_h * K_w, n)
