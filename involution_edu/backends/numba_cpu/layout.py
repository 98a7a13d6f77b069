"""The padded image in the order in which the compiled functions read it.

A row has every s-th column together, for the stride s: columns 0, s, 2s, ..., then 1, 1 + s, ...
So the columns that neighbouring outputs read with one tap are neighbours, and a vector of inputs
can be multiplied with a vector of outputs.
"""

from __future__ import annotations

import numpy as np

from ...arrays import Array
from ...geometry import Geometry


def padded(geom: Geometry, dtype: np.dtype[np.floating], x: Array | None = None) -> Array:
    """Return ``x``, or zeros, with its padding, in this order: (N, C, H + 2p, W + 2p or more)."""
    H, W = geom.padded_size
    s = min(geom.stride[1], W)
    a = np.zeros((geom.N, geom.C, H, -(-W // s) * s), dtype)
    if x is not None:
        geom.crop(a)[...] = x
    return a if s == 1 else _in_parts(a, s)


def image(a: Array, geom: Geometry) -> Array:
    """Return the image (N, C, H, W) inside an array in this order: the inverse of `padded`."""
    s = min(geom.stride[1], geom.padded_size[1])
    return geom.crop(_in_parts(a, a.shape[3] // s)).copy()


def _in_parts(a: Array, s: int) -> Array:
    """Return an array with every s-th column of a row together; its inverse has W / s for s."""
    N, C, H, W = a.shape
    parts = np.zeros((N, C, H, W), a.dtype)
    parts.reshape(N, C, H, s, W // s)[...] = a.reshape(N, C, H, W // s, s).swapaxes(-1, -2)
    return parts
