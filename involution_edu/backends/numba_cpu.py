"""Rung 3: the loops again, compiled, on all cores.

The compiled functions are in ``numba_loops.py``; here is what surrounds them.
"""

from __future__ import annotations

from functools import cache
from threading import Lock

import numpy as np

from ..geometry import Array, Geometry

# Where OpenMP is not installed, Numba ends the process if two threads enter its parallel loops at
# once. One call already uses all cores, so that waiting for it costs nothing.
_one_at_a_time = Lock()


@cache
def unavailable() -> str | None:
    """Return None, or why Numba cannot be used."""
    try:
        import numba  # noqa: F401
    except ImportError as error:
        return f"numba cannot be imported ({error}): pip install --upgrade numba"
    return None


def forward(x: Array, kernel: Array, geom: Geometry) -> Array:
    """Return y (N, C, H_out, W_out)."""
    from . import numba_loops

    y = np.zeros(geom.y_shape, x.dtype)
    with _one_at_a_time:
        numba_loops.forward(geom.pad(x), kernel, y, geom.stride, geom.dilation)
    return y


def backward_input(dy: Array, kernel: Array, geom: Geometry) -> Array:
    """Return dx (N, C, H, W)."""
    from . import numba_loops

    dx = np.zeros((geom.N, geom.C, *geom.padded_size), dy.dtype)
    with _one_at_a_time:
        numba_loops.backward_input(dy, kernel, dx, geom.stride, geom.dilation)
    return geom.crop(dx).copy()


def backward_kernel(dy: Array, x: Array, geom: Geometry) -> Array:
    """Return dkernel (N, G, K_h, K_w, H_out, W_out)."""
    from . import numba_loops

    dkernel = np.zeros(geom.kernel_shape, dy.dtype)
    with _one_at_a_time:
        numba_loops.backward_kernel(dy, geom.pad(x), dkernel, geom.stride, geom.dilation)
    return dkernel
