"""The compiled functions of rung 3.

Where the time goes is the sum over the window, so it stands here once, in `dot`: four
neighbouring pixels at a time, whose sums stay in registers until the window is done. Channels
come last there, because the channels of a group share one kernel: a kernel entry is read once,
spread over a vector, and multiplied with the pixel's channels, a vector at a time.

The gradient of ``x`` is the same sum with the window reversed: an input pixel collects from the
outputs that read it. The gradient of the kernel sums over channels instead, so there
neighbouring pixels, not channels, lie side by side.

Arrays are passed flat, with the index to start from and the distance between neighbours.
``start`` and ``stop`` pick the tasks of one thread; no two tasks write to the same place.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

from ..geometry import Array, Pair
from .simd import apart, fma, lanes, load, prefetch, splat, store, transpose, zeros

F = TypeVar("F", bound=Callable[..., Any])
AHEAD = 32  # kernel entries to fetch ahead of their use


def _compiled(function: F) -> F:
    dispatcher = njit(nogil=True, error_model="numpy")(function)
    with suppress(RuntimeError):  # no folder to cache in: every process compiles anew
        dispatcher.enable_caching()
    return cast(F, dispatcher)


def _inlined(function: F) -> F:
    return cast(F, njit(nogil=True, error_model="numpy")(function))


@_inlined
def dot4(
    k: Array, k0: int, k_u: int, k_v: int,
    x: Array, x0: int, x_u: int, x_v: int, x_j: int,
    y: Array, y0: int, y_j: int,
    count_u: int, count_v: int,
) -> None:  # fmt: skip
    """Sum k * x over a window, for four neighbouring pixels and two vectors of channels.

    y[y0 + j*y_j] = sum over u, v of k[k0 + u*k_u + v*k_v + j] * x[x0 + u*x_u + v*x_v + j*x_j]
    """
    apart()
    second = lanes(x)
    a = b = c = d = a2 = b2 = c2 = d2 = zeros(x)
    for u in range(count_u):
        for v in range(count_v):
            at_k, at_x = k0 + u * k_u + v * k_v, x0 + u * x_u + v * x_v
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
    store(a, y, y0)
    store(b, y, y0 + y_j)
    store(c, y, y0 + 2 * y_j)
    store(d, y, y0 + 3 * y_j)
    store(a2, y, y0 + second)
    store(b2, y, y0 + y_j + second)
    store(c2, y, y0 + 2 * y_j + second)
    store(d2, y, y0 + 3 * y_j + second)


@_inlined
def dot1(
    k: Array, k0: int, k_u: int, k_v: int,
    x: Array, x0: int, x_u: int, x_v: int,
    y: Array, y0: int,
    count_u: int, count_v: int,
) -> None:  # fmt: skip
    """Sum k * x over a window for one pixel, as `dot4`."""
    apart()
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


@_inlined
def transposed_copy(
    source: Array, start: int, pitch: int, target: Array, to: int, to_pitch: int,
    rows: int, columns: int,
) -> None:  # fmt: skip
    """target[to + c*to_pitch + r] = source[start + r*pitch + c], in square blocks."""
    apart()
    size = lanes(source)
    whole = rows // size * size if columns >= size else 0
    for r in range(0, whole, size):
        for block in range(0, columns, size):
            c = min(block, columns - size)  # the last block reaches back over the one before
            transpose(source, start + r * pitch + c, pitch, target, to + c * to_pitch + r, to_pitch)
    for r in range(whole, rows):
        for c in range(columns):
            target[to + c * to_pitch + r] = source[start + r * pitch + c]


@_inlined
def filled_up(channels: int, array: Array) -> int:
    """Return ``channels`` rounded up to whole pairs of vectors."""
    pair: int = 2 * lanes(array)
    return (channels + pair - 1) // pair * pair


@_compiled
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
    taller = d_h * (K_h - 1) + 1 - s_h  # rows of input beyond s_h a row of output
    last = np.zeros((rows * s_h + taller) * pitch, x.dtype)  # a band of x, channels last
    sums = np.empty(W_out * depth, x.dtype)  # a row of y, channels last
    k_u, k_v = K_w * H_out * W_out, H_out * W_out
    x_u, x_v, x_j = d_h * pitch, d_w * depth, s_w * depth
    bands = (H_out + rows - 1) // rows
    for task in range(start, stop):
        group, band = task // bands, task % bands  # group is n*G + g
        i0 = band * rows
        i1 = min(i0 + rows, H_out)
        for h in range((i1 - i0) * s_h + taller):
            row = i0 * s_h + h - p_h
            if 0 <= row < H:
                transposed_copy(
                    x, (group * C_g * H + row) * W, H * W,
                    last, h * pitch + p_w * depth, depth, C_g, W,
                )  # fmt: skip
            else:
                last[h * pitch : (h + 1) * pitch] = 0
        for i in range(i0, i1):
            k0 = (group * K_h * K_w * H_out + i) * W_out
            for c in range(0, depth, 2 * lanes(x)):
                x0 = (i - i0) * s_h * pitch + c
                for j in range(0, W_out - 3, 4):
                    dot4(
                        kernel, k0 + j, k_u, k_v, last, x0 + j * x_j, x_u, x_v, x_j,
                        sums, j * depth + c, depth, K_h, K_w,
                    )  # fmt: skip
                for j in range(W_out // 4 * 4, W_out):
                    dot1(
                        kernel, k0 + j, k_u, k_v, last, x0 + j * x_j, x_u, x_v,
                        sums, j * depth + c, K_h, K_w,
                    )  # fmt: skip
            y0 = (group * C_g * H_out + i) * W_out
            transposed_copy(sums, 0, depth, y, y0, H_out * W_out, W_out, C_g)


@_inlined
def readers(h: int, K: int, s: int, p: int, d: int, size: int) -> tuple[int, int, int, int]:
    """Return which places of the window see input row (or column) h, and from which output.

    They are u, u + step, ..., `count` of them, seen from outputs i, i - step*d/s, ...:
    those with h + p - u*d = i*s for an i of 0 to size - 1.
    """
    u = step = count = 0
    for place in range(K):
        reach = h + p - place * d
        if reach % s == 0 and 0 <= reach < s * size:
            if count == 0:
                u = place
            elif count == 1:
                step = place - u
            count += 1
    return u, step, count, (h + p - u * d) // s


@_compiled
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
    band_out = (rows + d_h * (K_h - 1)) // s_h + 1  # most output rows that see a band
    last = np.zeros(band_out * pitch, dy.dtype)  # those rows of dy, channels last
    sums = np.empty(W * depth, dy.dtype)  # a row of dx, channels last
    seen = np.empty((W, 4), np.intp)
    for w in range(W):
        seen[w] = readers(w, K_w, s_w, p_w, d_w, W_out)
    bands = (H + rows - 1) // rows
    for task in range(start, stop):
        group, band = task // bands, task % bands  # group is n*G + g
        h0 = band * rows
        h1 = min(h0 + rows, H)
        i0 = max(0, (h0 + p_h - d_h * (K_h - 1) + s_h - 1) // s_h)
        i1 = min(H_out, (h1 - 1 + p_h) // s_h + 1)
        for i in range(i0, i1):
            transposed_copy(
                dy, (group * C_g * H_out + i) * W_out, H_out * W_out,
                last, (i - i0) * pitch, depth, C_g, W_out,
            )  # fmt: skip
        for h in range(h0, h1):
            u, u_step, count_u, i = readers(h, K_h, s_h, p_h, d_h, H_out)
            i_step = u_step * d_h // s_h
            for c in range(0, depth, 2 * lanes(dy)):
                for phase in range(s_w):
                    w = phase
                    while w < W:
                        v, v_step, count_v, j = seen[w]
                        j_step = v_step * d_w // s_w
                        k0 = (((group * K_h + u) * K_w + v) * H_out + i) * W_out + j
                        k_u = (u_step * K_w * H_out - i_step) * W_out
                        k_v = v_step * H_out * W_out - j_step
                        y0 = (i - i0) * pitch + j * depth + c
                        w3 = w + 3 * s_w
                        # The first and last place never go back from one pixel to the next, so
                        # if both ends of the four have the same, the two in between have too.
                        same = w3 < W and seen[w3, 0] == v and seen[w3, 2] == count_v
                        if same and count_v > 0:
                            dot4(
                                kernel, k0, k_u, k_v,
                                last, y0, -i_step * pitch, -j_step * depth, depth,
                                sums, w * depth + c, s_w * depth, count_u, count_v,
                            )  # fmt: skip
                            w += 4 * s_w
                        else:
                            dot1(
                                kernel, k0, k_u, k_v,
                                last, y0, -i_step * pitch, -j_step * depth,
                                sums, w * depth + c, count_u, count_v,
                            )  # fmt: skip
                            w += s_w
            transposed_copy(sums, 0, depth, dx, (group * C_g * H + h) * W, H * W, W, C_g)


@_inlined
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


@_inlined
def correlate(dy: Array, x: Array, x0: int, x_r: int, offsets: Array, out: Array, C_g: int) -> None:
    """Sum dy * x over the channels of a group, for every place of the window.

    out[t] = sum over r of dy[r] * x[x0 + r*x_r + offsets[t]], a vector of neighbouring pixels
    each, five places at a time.
    """
    apart()
    size = lanes(x)
    for t in range(0, offsets.size, 5):
        a = b = c = d = e = zeros(x)
        at_a, at_b, at_c = x0 + offsets[t], x0 + offsets[t + 1], x0 + offsets[t + 2]
        at_d, at_e = x0 + offsets[t + 3], x0 + offsets[t + 4]
        for r in range(C_g):
            pixels = load(dy, r * size)
            a = fma(pixels, load(x, at_a + r * x_r), a)
            b = fma(pixels, load(x, at_b + r * x_r), b)
            c = fma(pixels, load(x, at_c + r * x_r), c)
            d = fma(pixels, load(x, at_d + r * x_r), d)
            e = fma(pixels, load(x, at_e + r * x_r), e)
        store(a, out, t * size)
        store(b, out, (t + 1) * size)
        store(c, out, (t + 2) * size)
        store(d, out, (t + 3) * size)
        store(e, out, (t + 4) * size)


@_compiled
def backward_kernel(
    dy: Array, x: Array, dkernel: Array, stride: Pair, padding: Pair, dilation: Pair,
    rows: int, start: int, stop: int,
) -> None:  # fmt: skip
    """Write the gradient of the kernel; a task is ``rows`` output rows of one group."""
    _, C, H, W = x.shape
    _, G, K_h, K_w, H_out, W_out = dkernel.shape
    (s_h, s_w), (p_h, p_w), (d_h, d_w) = stride, padding, dilation
    C_g, size = C // G, lanes(x)
    dy, x, dkernel = dy.reshape(-1), x.reshape(-1), dkernel.reshape(-1)
    # A row of padded x with every s_w-th pixel side by side: s_w parts, each `part` long.
    part = (W + 2 * p_w + s_w - 1) // s_w
    pitch = s_w * part
    taller = d_h * (K_h - 1) + 1 - s_h
    plane = (rows * s_h + taller) * pitch
    parts = np.zeros(C_g * plane + size, x.dtype)
    places = (K_h * K_w + 4) // 5 * 5
    offsets = np.zeros(places, np.intp)
    for u in range(K_h):
        for v in range(K_w):
            offsets[u * K_w + v] = u * d_h * pitch + v * d_w % s_w * part + v * d_w // s_w
    pixels = np.zeros(C_g * size, x.dtype)
    found = np.empty(places * size, x.dtype)
    bands = (H_out + rows - 1) // rows
    for task in range(start, stop):
        group, band = task // bands, task % bands  # group is n*G + g
        i0 = band * rows
        i1 = min(i0 + rows, H_out)
        for r in range(C_g):
            for h in range((i1 - i0) * s_h + taller):
                to = r * plane + h * pitch
                row = i0 * s_h + h - p_h
                if 0 <= row < H:
                    x0 = ((group * C_g + r) * H + row) * W
                    for first in range(min(s_w, W)):
                        at = to + (first + p_w) % s_w * part + (first + p_w) // s_w
                        for m in range((W - first + s_w - 1) // s_w):
                            parts[at + m] = x[x0 + first + m * s_w]
                else:
                    parts[to : to + pitch] = 0
        for i in range(i0, i1):
            for j in range(0, W_out, size):
                n = min(size, W_out - j)
                y0 = (group * C_g * H_out + i) * W_out + j
                copy_rows(dy, y0, H_out * W_out, pixels, 0, size, C_g, n)
                x0 = (i - i0) * s_h * pitch + j
                correlate(pixels, parts, x0, plane, offsets, found, C_g)
                k0 = (group * K_h * K_w * H_out + i) * W_out + j
                copy_rows(found, 0, size, dkernel, k0, H_out * W_out, K_h * K_w, n)
