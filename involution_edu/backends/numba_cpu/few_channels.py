"""Rung 3 for groups of few channels: the shifts of rung 2, compiled.

With few channels in a group a vector of channels would be mostly empty. So a vector holds
neighbouring pixels of one channel here, and each tap of the window multiplies whole rows.
The forward pass and both gradients add up the same products, so they are one loop nest.

Arrays are passed flat, as in ``numba_cpu/channels.py``.
"""

from __future__ import annotations

from ...arguments import Pair
from ...arrays import Array
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
    """Add all products to one of the three arrays; ``x`` is a result of `layout.padded`."""
    _, C, H, W = x.shape
    _, G, K_h, K_w, H_out, W_out = kernel.shape
    (s_h, s_w), (d_h, d_w), C_g = stride, dilation, C // G
    x, kernel, y = x.reshape(-1), kernel.reshape(-1), y.reshape(-1)
    x_i = s_h * W
    if target == X:  # several tasks would add to the same rows: a task is a whole group
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
                        add_product(y, y0, W_out, kernel, k0, W_out, x, x0, x_i, count, W_out)
                    elif target == X:
                        add_product(x, x0, x_i, kernel, k0, W_out, y, y0, W_out, count, W_out)
                    else:
                        add_product(kernel, k0, W_out, y, y0, W_out, x, x0, x_i, count, W_out)
