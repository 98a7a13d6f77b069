"""Rung 3 where neighbouring pixels lie side by side: dkernel, and groups of few channels.

The gradient of the kernel sums over the channels of a group, so a vector holds one channel of
neighbouring pixels. For a vector of outputs to be multiplied with a vector of inputs, pixels
that neighbouring outputs read, a stride apart, must be neighbours: `lay_out` sorts a row of
``x`` so.

With few channels in a group a vector of channels would be mostly empty. The functions named
``thin`` are for that: the shifts of rung 2, compiled, plane by plane.

Arrays are passed flat, as in ``numba_cpu/channels.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...arguments import Pair
from ...arrays import Array
from .vectors import apart, compiled, fma, inlined, lanes, load, store, zeros

Places = NDArray[np.intp]


@inlined
def add_product(
    y: Array, y0: int, y_i: int, a: Array, a0: int, a_i: int, b: Array, b0: int, b_i: int,
    rows: int, width: int,
) -> None:  # fmt: skip
    """y[y0 + i*y_i + j] += a[a0 + i*a_i + j] * b[b0 + i*b_i + j] for i, j below rows, width."""
    apart()
    size = lanes(y)
    if y_i == a_i == b_i == width:
        rows, width = 1, rows * width  # rows that follow each other are one long row
    for _ in range(rows):
        for j in range(0, width - size + 1, size):
            product = fma(load(a, a0 + j), load(b, b0 + j), load(y, y0 + j))
            store(product, y, y0 + j)
        for j in range(width // size * size, width):
            y[y0 + j] += a[a0 + j] * b[b0 + j]
        y0, a0, b0 = y0 + y_i, a0 + a_i, b0 + b_i


@inlined
def inside(v: int, s: int, p: int, d: int, W: int, W_out: int) -> tuple[int, int]:
    """Return the first output column whose place v of the window is in the image, and the end."""
    first = (max(p - v * d, 0) + s - 1) // s
    end = max(W - 1 + p - v * d + s, 0) // s
    return min(first, W_out), max(min(end, W_out), min(first, W_out))


@inlined
def shift_columns(
    x: Array, plane0: int, H: int, W: int, shifted: Array, W_out: int,
    s: int, padding: Pair, shift: int, first: int, end: int, h0: int, height: int,
) -> None:  # fmt: skip
    """Copy padded rows h0, h0 + 1, ... to ``shifted``: column j is column j*s + shift - p of x."""
    apart()
    for h in range(height):
        row, to = h0 + h - padding[0], h * W_out
        if 0 <= row < H:
            start = plane0 + row * W + shift - padding[1]
            shifted[to : to + first] = 0
            for j in range(first, end):
                shifted[to + j] = x[start + j * s]
            shifted[to + end : to + W_out] = 0
        else:
            shifted[to : to + W_out] = 0


@compiled
def forward_thin(
    x: Array, kernel: Array, y: Array, stride: Pair, padding: Pair, dilation: Pair,
    rows: int, start: int, stop: int,
) -> None:  # fmt: skip
    """Write involution(x, kernel) to ``y``; a task is ``rows`` output rows of one group."""
    _, C, H, W = x.shape
    _, G, K_h, K_w, H_out, W_out = kernel.shape
    (s_h, s_w), (d_h, d_w), C_g = stride, dilation, C // G
    x, kernel, y = x.reshape(-1), kernel.reshape(-1), y.reshape(-1)
    taller = d_h * (K_h - 1) + 1 - s_h  # input rows beyond s_h an output row
    shifted = np.empty((rows * s_h + taller) * W_out, x.dtype)
    bands = (H_out + rows - 1) // rows
    for task in range(start, stop):
        group, i0 = task // bands, task % bands * rows  # group is n*G + g
        count = min(rows, H_out - i0)
        for plane in range(group * C_g, (group + 1) * C_g):
            y0 = (plane * H_out + i0) * W_out
            y[y0 : y0 + count * W_out] = 0
            for v in range(K_w):
                first, end = inside(v, s_w, padding[1], d_w, W, W_out)
                shift_columns(
                    x, plane * H * W, H, W, shifted, W_out,
                    s_w, padding, v * d_w, first, end, i0 * s_h, count * s_h + taller,
                )  # fmt: skip
                for u in range(K_h):
                    k0 = (((group * K_h + u) * K_w + v) * H_out + i0) * W_out
                    add_product(
                        y, y0, W_out, kernel, k0, W_out,
                        shifted, u * d_h * W_out, s_h * W_out, count, W_out,
                    )  # fmt: skip


@compiled
def backward_input_thin(
    dy: Array, kernel: Array, dx: Array, stride: Pair, padding: Pair, dilation: Pair,
    rows: int, start: int, stop: int,
) -> None:  # fmt: skip
    """Write the gradient of ``x`` to ``dx``; a task is one group, whatever ``rows`` is."""
    _, C, H, W = dx.shape
    _, G, K_h, K_w, H_out, W_out = kernel.shape
    (s_h, s_w), (p_h, p_w), (d_h, d_w), C_g = stride, padding, dilation, C // G
    dy, kernel, dx = dy.reshape(-1), kernel.reshape(-1), dx.reshape(-1)
    dshifted = np.empty((H + 2 * p_h) * W_out, dx.dtype)
    for group in range(start, stop):  # n*G + g
        for plane in range(group * C_g, (group + 1) * C_g):
            dx[plane * H * W : (plane + 1) * H * W] = 0
            for v in range(K_w):
                dshifted[:] = 0
                for u in range(K_h):
                    k0 = ((group * K_h + u) * K_w + v) * H_out * W_out
                    add_product(
                        dshifted, u * d_h * W_out, s_h * W_out, kernel, k0, W_out,
                        dy, plane * H_out * W_out, W_out, H_out, W_out,
                    )  # fmt: skip
                first, end = inside(v, s_w, p_w, d_w, W, W_out)
                for h in range(H):
                    x0, at = (plane * H + h) * W + v * d_w - p_w, (h + p_h) * W_out
                    for j in range(first, end):
                        dx[x0 + j * s_w] += dshifted[at + j]


@compiled
def backward_kernel_thin(
    dy: Array, x: Array, dkernel: Array, stride: Pair, padding: Pair, dilation: Pair,
    rows: int, start: int, stop: int,
) -> None:  # fmt: skip
    """Write the gradient of the kernel; a task is ``rows`` output rows of one group."""
    _, C, H, W = x.shape
    _, G, K_h, K_w, H_out, W_out = dkernel.shape
    (s_h, s_w), (d_h, d_w), C_g = stride, dilation, C // G
    dy, x, dkernel = dy.reshape(-1), x.reshape(-1), dkernel.reshape(-1)
    taller = d_h * (K_h - 1) + 1 - s_h
    shifted = np.empty((rows * s_h + taller) * W_out, x.dtype)
    bands = (H_out + rows - 1) // rows
    for task in range(start, stop):
        group, i0 = task // bands, task % bands * rows  # group is n*G + g
        count = min(rows, H_out - i0)
        for plane in range(group * C_g, (group + 1) * C_g):
            for v in range(K_w):
                first, end = inside(v, s_w, padding[1], d_w, W, W_out)
                shift_columns(
                    x, plane * H * W, H, W, shifted, W_out,
                    s_w, padding, v * d_w, first, end, i0 * s_h, count * s_h + taller,
                )  # fmt: skip
                for u in range(K_h):
                    k0 = (((group * K_h + u) * K_w + v) * H_out + i0) * W_out
                    if plane == group * C_g:
                        dkernel[k0 : k0 + count * W_out] = 0
                    add_product(
                        dkernel, k0, W_out, dy, (plane * H_out + i0) * W_out, W_out,
                        shifted, u * d_h * W_out, s_h * W_out, count, W_out,
                    )  # fmt: skip


@inlined
def laid_out_pitch(width: int, p: int, s: int) -> int:
    """Return the length of a padded row that is cut into s parts of equal length."""
    return s * ((width + 2 * p + s - 1) // s)


@inlined
def laid_out(w: int, p: int, s: int, pitch: int) -> int:
    """Return where column w of the image stands in a row that has every s-th pixel together."""
    return (w + p) % s * (pitch // s) + (w + p) // s


@inlined
def lay_out(
    x: Array, plane0: int, H: int, W: int, parts: Array, to: int, pitch: int,
    stride: Pair, padding: Pair, h0: int, height: int,
) -> None:  # fmt: skip
    """Copy ``height`` padded rows of a plane, from padded row h0 on, to ``parts``."""
    apart()
    s, p = stride[1], padding[1]
    for h in range(height):
        row = h0 + h - padding[0]
        if 0 <= row < H:
            for first in range(min(s, W)):
                at = to + h * pitch + laid_out(first, p, s, pitch)
                start = plane0 + row * W + first
                for m in range((W - first + s - 1) // s):
                    parts[at + m] = x[start + m * s]
        else:
            parts[to + h * pitch : to + (h + 1) * pitch] = 0


@inlined
def place_offsets(window: Pair, stride: Pair, dilation: Pair, pitch: int, count: int) -> Places:
    """Return, for each place (u, v), how far its pixel is from where the output starts to read."""
    offsets = np.zeros(count, np.intp)
    for u in range(window[0]):
        for v in range(window[1]):
            column = laid_out(v * dilation[1], 0, stride[1], pitch)
            offsets[u * window[1] + v] = u * dilation[0] * pitch + column
    return offsets


@inlined
def copy_rows(
    source: Array, start: int, pitch: int, target: Array, to: int, to_pitch: int,
    rows: int, count: int,
) -> None:  # fmt: skip
    """Copy ``count`` numbers, at most a vector, of each of ``rows`` rows."""
    apart()
    for r in range(rows):
        if count == lanes(source):
            store(load(source, start + r * pitch), target, to + r * to_pitch)
        else:
            for m in range(count):
                target[to + r * to_pitch + m] = source[start + r * pitch + m]


@inlined
def correlate(
    dy: Array, x: Array, x0: int, x_r: int, offsets: Places, out: Array, C_g: int
) -> None:
    """Sum dy * x over the channels of a group, for every place of the window; seven at a time.

    out[t] = sum over r of dy[r] * x[x0 + r*x_r + offsets[t]], a vector of neighbouring pixels
    each.
    """
    apart()
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
    """Write the gradient of the kernel; a task is ``rows`` output rows of one group."""
    _, C, H, W = x.shape
    _, G, K_h, K_w, H_out, W_out = dkernel.shape
    C_g, size = C // G, lanes(x)
    dy, x, dkernel = dy.reshape(-1), x.reshape(-1), dkernel.reshape(-1)
    pitch = laid_out_pitch(W, padding[1], stride[1])
    taller = dilation[0] * (K_h - 1) + 1 - stride[0]
    x_r = (rows * stride[0] + taller) * pitch
    parts = np.zeros(C_g * x_r + size, x.dtype)
    offsets = place_offsets((K_h, K_w), stride, dilation, pitch, max(7, K_h * K_w))
    pixels = np.zeros(C_g * size, x.dtype)
    block = np.empty(offsets.size * size, x.dtype)
    bands = (H_out + rows - 1) // rows
    for task in range(start, stop):
        group, i0 = task // bands, task % bands * rows  # group is n*G + g
        i1 = min(i0 + rows, H_out)
        height = (i1 - i0) * stride[0] + taller
        for r in range(C_g):
            lay_out(
                x, (group * C_g + r) * H * W, H, W, parts, r * x_r, pitch,
                stride, padding, i0 * stride[0], height,
            )  # fmt: skip
        for i in range(i0, i1):
            for j in range(0, W_out, size):
                n, k_t = min(size, W_out - j), H_out * W_out
                y0 = (group * C_g * H_out + i) * W_out + j
                copy_rows(dy, y0, k_t, pixels, 0, size, C_g, n)
                x0 = (i - i0) * stride[0] * pitch + j
                correlate(pixels, parts, x0, x_r, offsets, block, C_g)
                k0 = (group * K_h * K_w * H_out + i) * W_out + j
                copy_rows(block, 0, size, dkernel, k0, k_t, K_h * K_w, n)
