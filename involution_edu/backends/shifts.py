"""Rung 2: one multiply-add of whole images for each place of the window.

Place (u, v) of all windows together is the image shifted by (u, v): K_h·K_w products of whole
arrays, each over long contiguous rows, and no array larger than the output besides the padded
image.
"""

from __future__ import annotations

import numpy as np

from ..geometry import Array, Geometry


def unavailable() -> str | None:
    """Return None: this rung needs only NumPy."""
    return None


def forward(x: Array, kernel: Array, geom: Geometry) -> Array:
    """Return y (N, C, H_out, W_out)."""
    x = geom.by_group(geom.pad(x))
    y = geom.by_group(np.zeros(geom.y_shape, x.dtype))
    product = np.empty_like(y)
    for u, v in geom.window_places():
        rows, columns = geom.pixels_under(u, v)
        y += np.multiply(kernel[:, :, None, u, v], x[..., rows, columns], out=product)
    return y.reshape(geom.y_shape)


def backward_input(dy: Array, kernel: Array, geom: Geometry) -> Array:
    """Return dx (N, C, H, W)."""
    padded = np.zeros((geom.N, geom.C, *geom.padded_size), dy.dtype)
    dx, dy = geom.by_group(padded), geom.by_group(dy)
    product = np.empty_like(dy)
    for u, v in geom.window_places():
        rows, columns = geom.pixels_under(u, v)
        dx[..., rows, columns] += np.multiply(kernel[:, :, None, u, v], dy, out=product)
    return geom.crop(padded).copy()


def backward_kernel(dy: Array, x: Array, geom: Geometry) -> Array:
    """Return dkernel (N, G, K_h, K_w, H_out, W_out)."""
    x, dy = geom.by_group(geom.pad(x)), geom.by_group(dy)
    dkernel = np.empty(geom.kernel_shape, dy.dtype)
    product = np.empty_like(dy)
    for u, v in geom.window_places():
        rows, columns = geom.pixels_under(u, v)
        np.multiply(dy, x[..., rows, columns], out=product)
        product.sum(axis=2, out=dkernel[:, :, u, v])
    return dkernel
