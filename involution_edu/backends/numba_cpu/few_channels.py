"""Rung 3 for groups of few channels: the shifts of rung 2, compiled.

With few channels in a group a vector of channels would be mostly empty. So a vector holds
neighbouring pixels of one channel here, and each tap of the window multiplies whole rows.
The forward pass and both gradients add up the same products, so they are one loop nest.

Arrays are passed flat, as in ``numba_cpu/channels.py``.
"""

from __future__ import annotations

import numpy as np

from ...arguments import Pair
from ...arrays import Array
from ...geometry import Geometry
from .vectors import compiled, fma, inlined, lanes, load, no_inlining, store

Y, X, KERNEL = range(3)  # the array that the products are added to


@inlined
def add_product(
    out: Array, out0: int, out_i: int, a: Array, a0: int, a_i: int, b: Array, b0: int, b_i: int,
    rows: int, width: int,
) -> None:  # fmt: skip
    """out[out0 + i*out_i + j] += a[a0 + i*a_i + j] * b[b0 + i*b_i + j] for i < rows, j < width."""
    no_inlining()
    size = lanes(out)
    for _ in range(rows):
        for j in range(0, width - size + 1, size):
            product = fma(load(a, a0 + j), load(b, b0 + j), load(out, out0 + j))
            store(product, out, out0 + j)
        for j in range(width // size * size, width):
            out[out0 + j] += a[a0 + j] * b[b0 + j]
        out0, a0, b0 = out0 + out_i, a0 + a_i, b0 + b_i


@compiled
def add_products(
    x: Array, kernel: Array, y: Array, target: int, stride: Pair, padding: Pair, dilation: Pair,
    rows: int, start: int, stop: int,
) -> None:  # fmt: skip
    """Add all products to one of the three arrays; a task is ``rows`` output rows of one group.

    ``x`` is padded and in the order of `lay_out`. Several tasks would add to the same rows of it:
    for ``X``, a task is a whole group.
    """
    _, C, H, W = x.shape
    _, G, K_h, K_w, H_out, W_out = kernel.shape
    (s_h, s_w), (d_h, d_w), C_g = stride, dilation, C // G
    x, kernel, y = x.reshape(-1), kernel.reshape(-1), y.reshape(-1)
    x_i = s_h * W
    if target == X:
        rows = H_out
    bands = (H_out + rows - 1) // rows
    for task in range(start, stop):
        group, i0 = task // bands, task % bands * rows  # group is n*G + g
        count = min(rows, H_out - i0)
        for plane in range(group * C_g, (group + 1) * C_g):
            y0 = (plane * H_out + i0) * W_out
            for u in range(K_h):
                for v in range(K_w):
                    k0 = (((group * K_h + u) * K_w + v) * H_out + i0) * W_out
                    column = v * d_w % s_w * (W // s_w) + v * d_w // s_w
                    x0 = (plane * H + i0 * s_h + u * d_h) * W + column
                    if target == Y:
                        add_product(
                            y, y0, W_out, kernel, k0, W_out, x, x0, x_i, count, W_out
                        )  # fmt: skip
                    elif target == X:
                        add_product(
                            x, x0, x_i, kernel, k0, W_out, y, y0, W_out, count, W_out
                        )  # fmt: skip
                    else:
                        add_product(
                            kernel, k0, W_out, y, y0, W_out, x, x0, x_i, count, W_out
                        )  # fmt: skip


def laid_out(geom: Geometry, dtype: np.dtype[np.floating], x: Array | None = None) -> Array:
    """Return the padded ``x``, or zeros, in the order of `lay_out`."""
    H, W = geom.padded_size
    s = min(geom.stride[1], W)
    padded = np.zeros((geom.N, geom.C, H, -(-W // s) * s), dtype)
    if x is not None:
        geom.crop(padded)[...] = x
    return lay_out(padded, s)


def image(laid: Array, geom: Geometry) -> Array:
    """Return the image (N, C, H, W) inside the result of `laid_out`."""
    s = min(geom.stride[1], geom.padded_size[1])
    return geom.crop(lay_out(laid, laid.shape[3] // s)).copy()


def lay_out(padded: Array, s: int) -> Array:
    """Return an array with every s-th column of a row together: 0, s, 2s, ..., 1, 1 + s, ...

    Neighbouring outputs then read neighbouring columns. The inverse is `lay_out` with W / s.
    """
    N, C, H, W = padded.shape
    columns = padded.reshape(N, C, H, W // s, s).swapaxes(-1, -2)
    return np.ascontiguousarray(columns).reshape(padded.shape)
