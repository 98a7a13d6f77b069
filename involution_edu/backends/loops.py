"""Rung 0, the definition: the sum written out, one product at a time.

Everything else in this package must give these numbers. The forward pass and both gradients
walk over the same products, so the seven loops stand here once, in `products`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..arrays import Array
from ..geometry import Geometry


def unavailable() -> str | None:
    """Return None: this rung runs everywhere."""
    return None


def products(geom: Geometry) -> Iterator[tuple[int, ...]]:
    """Yield the indices (n, c, g, i, j, u, v, h, w) of every product in the sum.

    h and w count from the corner of the *padded* image, where row h is row h - p of ``x``.
    """
    (K_h, K_w), (s_h, s_w), (d_h, d_w) = geom.window, geom.stride, geom.dilation
    for n in range(geom.N):
        for g in range(geom.G):
            for m in range(geom.C_g):
                for i in range(geom.H_out):
                    for j in range(geom.W_out):
                        for u in range(K_h):
                            for v in range(K_w):
                                c = g * geom.C_g + m
                                h = i * s_h + u * d_h
                                w = j * s_w + v * d_w
                                yield n, c, g, i, j, u, v, h, w


def forward(x: Array, kernel: Array, geom: Geometry) -> Array:
    """Return y: each output pixel multiplies its own kernel with its window and sums."""
    x = geom.pad(x)
    y = np.zeros(geom.y_shape, x.dtype)
    for n, c, g, i, j, u, v, h, w in products(geom):
        y[n, c, i, j] += kernel[n, g, u, v, i, j] * x[n, c, h, w]
    return y


def backward_input(dy: Array, kernel: Array, geom: Geometry) -> Array:
    """Return dx: an input pixel collects from every output that read it."""
    dx = np.zeros((geom.N, geom.C, *geom.padded_size), dy.dtype)
    for n, c, g, i, j, u, v, h, w in products(geom):
        dx[n, c, h, w] += kernel[n, g, u, v, i, j] * dy[n, c, i, j]
    return geom.crop(dx).copy()


def backward_kernel(dy: Array, x: Array, geom: Geometry) -> Array:
    """Return dkernel: a kernel entry collects from the C_g channels that shared it."""
    x = geom.pad(x)
    dkernel = np.zeros(geom.kernel_shape, dy.dtype)
    for n, c, g, i, j, u, v, h, w in products(geom):
        dkernel[n, g, u, v, i, j] += dy[n, c, i, j] * x[n, c, h, w]
    return dkernel
