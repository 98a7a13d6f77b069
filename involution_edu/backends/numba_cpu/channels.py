"""Rung 3 with the channels of a group side by side: the forward pass and dx.

The channels of a group share one kernel: so a kernel entry is read once, copied to all lanes of
a vector, and multiplied with the pixel's channels, a vector at a time. The gradient of ``x`` is the
same sum with the window reversed: an input pixel collects from the outputs that read it.

Arrays are passed flat, with the index to start from and the distance between neighbours.
``start`` and ``stop`` pick the tasks of one thread; no two tasks write the same numbers.
"""

from __future__ import annotations

import numpy as np

from ...arguments import Pair
from ...arrays import Array
from .vectors import (
    compiled,
    fma,
    inlined,
    lanes,
    load,
    no_inlining,
    prefetch,
    splat,
    store,
    transpose,
    zeros,
)  # fmt: skip

AHEAD = 32  # kernel entries to fetch ahead of their use


@inlined
def dot4(
    k: Array, k0: int, k_u: int, k_v: int,
    x: Array, x0: int, x_u: int, x_v: int, x_j: int,
    y: Array, y0: int, y_j: int,
    count_u: int, count_v: int,
) -> None:  # fmt: skip
    """Sum k * x over a window, for four neighbouring pixels and two vectors of channels.

    y[y0 + j*y_j] = sum over u, v of k[k0 + u*k_u + v*k_v + j] * x[x0 + u*x_u + v*x_v + j*x_j]
    """
    no_inlining()
    second = lanes(x)
    a = b = c = d = a2 = b2 = c2 = d2 = zeros(x)
    for u in range(count_u):
        at_k, at_x = k0 + u * k_u, x0 + u * x_u
        if x_v == x_j:  # a pixel reads at v what its left neighbour reads at v + 1: load it once
            p, p2 = load(x, at_x), load(x, at_x + second)
            q, q2 = load(x, at_x + x_j), load(x, at_x + x_j + second)
            r, r2 = load(x, at_x + 2 * x_j), load(x, at_x + 2 * x_j + second)
            for _ in range(count_v):
                prefetch(k, at_k + AHEAD)
                entry = splat(k, at_k)
                a, a2 = fma(entry, p, a), fma(entry, p2, a2)
                p, p2 = q, q2
                entry = splat(k, at_k + 1)
                b, b2 = fma(entry, q, b), fma(entry, q2, b2)
                q, q2 = r, r2
                entry = splat(k, at_k + 2)
                c, c2 = fma(entry, r, c), fma(entry, r2, c2)
                r, r2 = load(x, at_x + 3 * x_j), load(x, at_x + 3 * x_j + second)
                entry = splat(k, at_k + 3)
                d, d2 = fma(entry, r, d), fma(entry, r2, d2)
                at_k, at_x = at_k + k_v, at_x + x_j
        else:
            for _ in range(count_v):
                prefetch(k, at_k + AHEAD)
                entry = splat(k, at_k)
                a = fma(entry, load(x, at_x), a)
                a2 = fma(entry, load(x, at_x + second), a2)
                entry = splat(k, at_k + 1)
                b = fma(entry, load(x, at_x + x_j), b)
                b2 = fma(entry, load(x, at_x + x_j + second), b2)
                entry = splat(k, at_k + 2)
                c = fma(entry, load(x, at_x + 2 * x_j), c)
                c2 = fma(entry, load(x, at_x + 2 * x_j + second), c2)
                entry = splat(k, at_k + 3)
                d = fma(entry, load(x, at_x + 3 * x_j), d)
                d2 = fma(entry, load(x, at_x + 3 * x_j + second), d2)
                at_k, at_x = at_k + k_v, at_x + x_v
    store(a, y, y0)
    store(b, y, y0 + y_j)
    store(c, y, y0 + 2 * y_j)
    store(d, y, y0 + 3 * y_j)
    store(a2, y, y0 + second)
    store(b2, y, y0 + y_j + second)
    store(c2, y, y0 + 2 * y_j + second)
    store(d2, y, y0 + 3 * y_j + second)


@inlined
def dot1(
    k: Array, k0: int, k_u: int, k_v: int,
    x: Array, x0: int, x_u: int, x_v: int,
    y: Array, y0: int,
    count_u: int, count_v: int,
) -> None:  # fmt: skip
    """Sum k * x over a window for one pixel, as `dot4`."""
    no_inlining()
    second = lanes(x)
    a = a2 = zeros(x)
    for u in range(count_u):
        for v in range(count_v):
            at_x = x0 + u * x_u + v * x_v
            entry = splat(k, k0 + u * k_u + v * k_v)
            a = fma(entry, load(x, at_x), a)
            a2 = fma(entry, load(x, at_x + second), a2)
    store(a, y, y0)
    store(a2, y, y0 + second)


@inlined
def transposed_copy(
    source: Array, start: int, pitch: int, target: Array, to: int, to_pitch: int,
    rows: int, columns: int,
) -> None:  # fmt: skip
    """target[to + c*to_pitch + r] = source[start + r*pitch + c], in square blocks."""
    no_inlining()
    size = lanes(source)
    whole = rows // size * size if columns >= size else 0
    for r in range(0, whole, size):
        for block in range(0, columns, size):
            c = min(block, columns - size)  # the last block reaches back over the one before
            transpose(source, start + r * pitch + c, pitch, target, to + c * to_pitch + r, to_pitch)
    for r in range(whole, rows):
        for c in range(columns):
            target[to + c * to_pitch + r] = source[start + r * pitch + c]


@inlined
def filled_up(channels: int, array: Array) -> int:
    """Return ``channels`` rounded up to whole pairs of vectors."""
    pair: int = 2 * lanes(array)
    return (channels + pair - 1) // pair * pair


@compiled
def forward(
    x: Array, kernel: Array, y: Array, stride: Pair, padding: Pair, dilation: Pair,
    rows: int, start: int, stop: int,
) -> None:  # fmt: skip
    """Write involution(x, kernel) to ``y``; a task is ``rows`` output rows of one group."""
    _, C, H, W = x.shape
    _, G, K_h, K_w, H_out, W_out = kernel.shape
    (s_h, s_w), (p_h, p_w), (d_h, d_w) = stride, padding, dilation
    C_g = C // G
    x, kernel, y = x.reshape(-1), kernel.reshape(-1), y.reshape(-1)
    depth = filled_up(C_g, x)
    pitch = (W + 2 * p_w) * depth
    extra_rows = d_h * (K_h - 1) + 1 - s_h  # of input, beyond s_h for each row of output
    x_band = np.zeros((rows * s_h + extra_rows) * pitch, x.dtype)  # a band of x, channels last
    sums = np.empty(W_out * depth, x.dtype)  # a row of y, channels last
    k_u, k_v = K_w * H_out * W_out, H_out * W_out
    x_u, x_v, x_j = d_h * pitch, d_w * depth, s_w * depth
    bands = (H_out + rows - 1) // rows
    for task in range(start, stop):
        group, i0 = task // bands, task % bands * rows  # group is n*G + g
        i1 = min(i0 + rows, H_out)
        for h in range((i1 - i0) * s_h + extra_rows):
            row = i0 * s_h + h - p_h
            if 0 <= row < H:
                transposed_copy(
                    x, (group * C_g * H + row) * W, H * W,
                    x_band, h * pitch + p_w * depth, depth, C_g, W,
                )  # fmt: skip
            else:
                x_band[h * pitch : (h + 1) * pitch] = 0
        for i in range(i0, i1):
            k0 = (group * K_h * K_w * H_out + i) * W_out
            for c in range(0, depth, 2 * lanes(x)):
                x0 = (i - i0) * s_h * pitch + c
                for j in range(0, W_out - 3, 4):
                    dot4(
                        kernel, k0 + j, k_u, k_v, x_band, x0 + j * x_j, x_u, x_v, x_j,
                        sums, j * depth + c, depth, K_h, K_w,
                    )  # fmt: skip
                for j in range(W_out // 4 * 4, W_out):
                    dot1(
                        kernel, k0 + j, k_u, k_v, x_band, x0 + j * x_j, x_u, x_v,
                        sums, j * depth + c, K_h, K_w,
                    )  # fmt: skip
            y0 = (group * C_g * H_out + i) * W_out
            transposed_copy(sums, 0, depth, y, y0, H_out * W_out, W_out, C_g)


@inlined
def readers(h: int, K: int, s: int, p: int, d: int, size: int) -> tuple[int, int, int, int]:
    """Return the taps of the window that read input row (or column) h, and the first output.

    The taps are u, u - step, ..., `count` of them, of the outputs i, i + step*d/s, ...:
    those with h + p - u*d = i*s for an i of 0 to size - 1.
    """
    u = step = count = 0
    for tap in range(K - 1, -1, -1):
        top = h + p - tap * d
        if top % s == 0 and 0 <= top < s * size:
            if count == 0:
                u = tap
            elif count == 1:
                step = u - tap
            count += 1
    return u, step, count, (h + p - u * d) // s


@compiled
def backward_input(
    dy: Array, kernel: Array, dx: Array, stride: Pair, padding: Pair, dilation: Pair,
    rows: int, start: int, stop: int,
) -> None:  # fmt: skip
    """Write the gradient of ``x`` to ``dx``; a task is ``rows`` input rows of one group."""
    _, C, H, W = dx.shape
    _, G, K_h, K_w, H_out, W_out = kernel.shape
    (s_h, s_w), (p_h, p_w), (d_h, d_w) = stride, padding, dilation
    C_g = C // G
    dy, kernel, dx = dy.reshape(-1), kernel.reshape(-1), dx.reshape(-1)
    depth = filled_up(C_g, dy)
    pitch = W_out * depth
    band_rows = min(H_out, (rows + d_h * (K_h - 1)) // s_h + 1)  # output rows that read a band
    dy_band = np.zeros(band_rows * pitch, dy.dtype)  # those rows of dy, channels last
    sums = np.empty(W * depth, dy.dtype)  # a row of dx, channels last
    column = np.empty((W, 4), np.intp)
    for w in range(W):
        column[w] = readers(w, K_w, s_w, p_w, d_w, W_out)
    bands = (H + rows - 1) // rows
    for task in range(start, stop):
        group, h0 = task // bands, task % bands * rows  # group is n*G + g
        h1 = min(h0 + rows, H)
        i0 = max(0, (h0 + p_h - d_h * (K_h - 1) + s_h - 1) // s_h)
        i1 = min(H_out, (h1 - 1 + p_h) // s_h + 1)
        for i in range(i0, i1):
            transposed_copy(
                dy, (group * C_g * H_out + i) * W_out, H_out * W_out,
                dy_band, (i - i0) * pitch, depth, C_g, W_out,
            )  # fmt: skip
        for h in range(h0, h1):
            u, u_step, count_u, i = readers(h, K_h, s_h, p_h, d_h, H_out)
            i_step = u_step * d_h // s_h
            for c in range(0, depth, 2 * lanes(dy)):
                for phase in range(s_w):
                    w = phase
                    while w < W:
                        v, v_step, count_v, j = column[w]
                        j_step = v_step * d_w // s_w
                        k0 = (((group * K_h + u) * K_w + v) * H_out + i) * W_out + j
                        k_u = (i_step - u_step * K_w * H_out) * W_out
                        k_v = j_step - v_step * H_out * W_out
                        y0 = (i - i0) * pitch + j * depth + c
                        w3 = w + 3 * s_w
                        # The first and last tap never decrease from one pixel to the next, so
                        # if both ends of the four have the same, so do the two in between.
                        same = w3 < W and column[w3, 0] == v and column[w3, 2] == count_v
                        if same and count_v > 0:
                            dot4(
                                kernel, k0, k_u, k_v,
                                dy_band, y0, i_step * pitch, j_step * depth, depth,
                                sums, w * depth + c, s_w * depth, count_u, count_v,
                            )  # fmt: skip
                            w += 4 * s_w
                        else:
                            dot1(
                                kernel, k0, k_u, k_v,
                                dy_band, y0, i_step * pitch, j_step * depth,
                                sums, w * depth + c, count_u, count_v,
                            )  # fmt: skip
                            w += s_w
            transposed_copy(sums, 0, depth, dx, (group * C_g * H + h) * W, H * W, W, C_g)
