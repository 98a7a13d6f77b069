"""Rung 2: one multiply-add of whole images for each tap of the window.

Tap (u, v) of all windows together is the image shifted by (u, v): K_h·K_w products of whole
arrays over long contiguous rows, and no window is ever copied. The columns are shifted once for
each v, after which a shift by u only starts further down; and a few groups are finished before the
next are begun, so that the numbers that are read again are still in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..arrays import Array
from ..geometry import Geometry
from .loops import unavailable  # noqa: F401 - as those, this runs everywhere

BLOCK = 1 << 16  # numbers of y to work on at a time


def _blocks(geom: Geometry) -> Iterator[slice]:
    """Cut the N*G groups of channels into slices of about `BLOCK` numbers each."""
    step = max(1, BLOCK // (geom.C_g * geom.H_out * geom.W_out))
    for start in range(0, geom.N * geom.G, step):
        yield slice(start, min(start + step, geom.N * geom.G))


def _flat(a: Array, geom: Geometry) -> Array:
    """View (N, C, H, W) as (N*G, C_g, H, W): every group is computed as a separate image."""
    return a.reshape(geom.N * geom.G, geom.C_g, *a.shape[2:])


def _views(x: Array, geom: Geometry) -> Iterator[tuple[slice, int, int, Array]]:
    """Yield for every block and tap (u, v) the pixels of x that it reads, (groups, C_g, H_out, W_out)."""
    x = _flat(geom.pad(x), geom)
    for block in _blocks(geom):
        for v in range(geom.window[1]):
            shifted = np.ascontiguousarray(x[block, ..., geom.pixels_under(0, v)[1]])
            for u in range(geom.window[0]):
                yield block, u, v, shifted[:, :, geom.pixels_under(u, v)[0]]


def forward(x: Array, kernel: Array, geom: Geometry) -> Array:
    """Return y (N, C, H_out, W_out)."""
    y = np.zeros(geom.y_shape, x.dtype)
    sums, kernel = _flat(y, geom), kernel.reshape(-1, *geom.kernel_shape[2:])
    for block, u, v, pixels in _views(x, geom):
        sums[block] += kernel[block, None, u, v] * pixels
    return y


def backward_input(dy: Array, kernel: Array, geom: Geometry) -> Array:
    """Return dx (N, C, H, W)."""
    padded = np.zeros((geom.N, geom.C, *geom.padded_size), dy.dtype)
    dy, kernel = _flat(dy, geom), kernel.reshape(-1, *geom.kernel_shape[2:])
    for block in _blocks(geom):
        dx = _flat(padded, geom)[block]
        product = np.empty_like(dy[block])
        for v in range(geom.window[1]):
            columns = geom.pixels_under(0, v)[1]
            shifted = np.zeros((*dx.shape[:3], geom.W_out), dy.dtype)
            for u in range(geom.window[0]):
                rows = geom.pixels_under(u, v)[0]
                np.multiply(kernel[block, None, u, v], dy[block], out=product)
                shifted[:, :, rows] += product
            dx[..., columns] += shifted
    return geom.crop(padded).copy()


def backward_kernel(dy: Array, x: Array, geom: Geometry) -> Array:
    """Return dkernel (N, G, K_h, K_w, H_out, W_out)."""
    dkernel = np.empty(geom.kernel_shape, dy.dtype)
    dk, dy = dkernel.reshape(-1, *geom.kernel_shape[2:]), _flat(dy, geom)
    for block, u, v, pixels in _views(x, geom):
        (dy[block] * pixels).sum(axis=1, out=dk[block, u, v])
    return dkernel
