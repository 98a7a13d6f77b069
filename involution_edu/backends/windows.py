"""Rung 1: every window laid out side by side, as a view, and one einsum.

The strides of a view can repeat the same pixel, so the windows take no memory; `numpy.einsum`
then writes the equation. Only the gradient of ``x`` needs the K_h·K_w-times larger
array in memory: overlapping windows can be read through a view but not added to.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..arrays import Array
from ..geometry import Geometry
from .loops import unavailable  # noqa: F401 - as those, this runs everywhere


def windows(x: Array, geom: Geometry) -> Array:
    """Return the view (N, G, C_g, H_out, W_out, K_h, K_w): the window of every output pixel."""
    (s_h, s_w), (d_h, d_w) = geom.stride, geom.dilation
    view = sliding_window_view(geom.pad(x), geom.extent, axis=(2, 3))
    return geom.by_group(view[:, :, ::s_h, ::s_w, ::d_h, ::d_w])


def fold(dwindows: Array, geom: Geometry) -> Array:
    """Return dx (N, C, H, W): a pixel in several windows collects from all of their gradients."""
    dx = np.zeros((geom.N, geom.C, *geom.padded_size), dwindows.dtype)
    for u, v in geom.taps():
        rows, columns = geom.pixels_under(u, v)
        dx[:, :, rows, columns] += dwindows[:, :, u, v]
    return geom.crop(dx).copy()


def forward(x: Array, kernel: Array, geom: Geometry) -> Array:
    """Return y (N, C, H_out, W_out)."""
    y: Array = np.einsum("ngrijuv,nguvij->ngrij", windows(x, geom), kernel)
    return y.reshape(geom.y_shape)


def backward_input(dy: Array, kernel: Array, geom: Geometry) -> Array:
    """Return dx (N, C, H, W)."""
    dwindows = np.einsum("ngrij,nguvij->ngruvij", geom.by_group(dy), kernel)
    return fold(dwindows.reshape(geom.N, geom.C, *geom.window, geom.H_out, geom.W_out), geom)


def backward_kernel(dy: Array, x: Array, geom: Geometry) -> Array:
    """Return dkernel (N, G, K_h, K_w, H_out, W_out)."""
    dkernel: Array = np.einsum("ngrij,ngrijuv->nguvij", geom.by_group(dy), windows(x, geom))
    return np.ascontiguousarray(dkernel)
