"""Rung 3: the loops again, compiled, with vectors, on all cores.

The compiled functions are in ``numba_cpu/channels.py`` and ``numba_cpu/pixels.py``. Here the work is cut into tasks, a band of
rows of one group each, and the tasks are shared out among threads: compiled code lets go of
Python's lock. Plain threads, because Numba's own end the process when two threads use them at
once or when it forks.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from itertools import pairwise
from threading import Event, Thread
from typing import Any

import numpy as np

from ...arguments import ArgumentError, as_int
from ...arrays import Array
from ...geometry import Geometry

THIN = 4  # channels of a group, or places of the window: fewer leave little to share
PRODUCTS = 1 << 21  # that keep a thread busy for longer than it takes to wake it
BAND_BYTES = 1 << 18  # of input laid out for one band: half of a common second-level cache


@cache
def unavailable() -> str | None:
    """Return None, or why Numba cannot be used."""
    try:
        import numba

        if numba.config.DISABLE_JIT:
            return "NUMBA_DISABLE_JIT is set: unset it"
        from . import channels, pixels  # noqa: F401
    except Exception as error:  # noqa: BLE001 - whatever stops it is the reason
        return f"numba cannot be used ({error}): pip install --upgrade numba"
    return None


@cache
def max_threads() -> int:
    """Return how many threads are used: all cores, unless NUMBA_NUM_THREADS says otherwise."""
    from numba import config

    return int(config.NUMBA_NUM_THREADS)


_threads: ContextVar[int | None] = ContextVar("involution_edu_threads", default=None)


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Use ``count`` threads inside the ``with`` block, from 1 to `max_threads`."""
    if not 1 <= as_int("count", count) <= max_threads():
        raise ArgumentError(
            "count", f"is {count}", f"at most {max_threads()}, the threads there are"
        )
    token = _threads.set(count)
    try:
        yield
    finally:
        _threads.reset(token)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_threads(), thread_name_prefix="involution_edu")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has none of the threads


def forward(x: Array, kernel: Array, geom: Geometry) -> Array:
    """Return y (N, C, H_out, W_out)."""
    from . import channels, pixels

    y = np.empty(geom.y_shape, x.dtype)
    function = pixels.forward_thin if _thin(geom) else channels.forward
    row = geom.C_g * geom.padded_size[1] * geom.stride[0]
    _share(function, geom, geom.H_out, row, x, kernel, y)
    return y


def backward_input(dy: Array, kernel: Array, geom: Geometry) -> Array:
    """Return dx (N, C, H, W)."""
    from . import channels, pixels

    dx = np.empty(geom.x_shape, dy.dtype)
    if _thin(geom):
        _share(pixels.backward_input_thin, geom, 1, 1, dy, kernel, dx)  # never in bands
    else:
        row = geom.C_g * geom.W_out
        _share(channels.backward_input, geom, geom.H, row, dy, kernel, dx)
    return dx


def backward_kernel(dy: Array, x: Array, geom: Geometry) -> Array:
    """Return dkernel (N, G, K_h, K_w, H_out, W_out)."""
    from . import pixels

    dkernel = np.empty(geom.kernel_shape, dy.dtype)
    thin = _thin(geom)
    function = pixels.backward_kernel_thin if thin else pixels.backward_kernel
    row = geom.C_g * geom.padded_size[1] * geom.stride[0]
    _share(function, geom, geom.H_out, row, dy, x, dkernel)
    return dkernel


def _thin(geom: Geometry) -> bool:
    """Return whether laying channels side by side costs more than it saves."""
    return geom.C_g < THIN or math.prod(geom.window) < THIN


def _share(
    function: Callable[..., None], geom: Geometry, height: int, row: int, *arrays: Array
) -> None:
    """Run ``function`` on all tasks, cutting ``height`` rows of ``row`` numbers into bands."""
    products = math.prod(geom.y_shape) * math.prod(geom.window)
    threads = max(1, min(_threads.get() or max_threads(), products // PRODUCTS))
    groups = geom.N * geom.G
    rows = BAND_BYTES // (row * arrays[0].itemsize) - geom.extent[0]
    rows = max(rows, geom.extent[0])  # a band needs extent - 1 rows of its neighbours as well
    if groups < 2 * threads:
        rows = min(rows, -(-height * groups // (2 * threads)))
    rows = max(1, min(rows, height))
    tasks = groups * -(-height // rows)
    cuts = [tasks * t // threads for t in range(threads + 1)]
    (s_h, s_w), (h, w) = geom.stride, geom.padded_size
    stride = min(s_h, h), min(s_w, w)  # a longer one finds no more outputs, only fills memory
    writeable = [np.require(a, requirements="W") for a in arrays]  # else Numba compiles it again
    options = (*writeable, stride, geom.padding, geom.dilation, rows)
    if (function, arrays[0].dtype) not in _ready:
        _compile(function, options)
    others = [
        _pool().submit(function, *options, *cut) for cut in pairwise(cuts[1:]) if cut[0] < cut[1]
    ]
    function(*options, cuts[0], cuts[1])
    for other in others:
        other.result()


NOTICE = 1.0  # seconds of compiling before it is said
_ready: set[tuple[Callable[..., None], np.dtype[Any]]] = set()


def _compile(function: Callable[..., None], options: tuple[Any, ...]) -> None:
    """Run ``function`` on no tasks; if that takes long, say that this is seldom so.

    Long is counted in the time of the processor, so that a busy machine says nothing when the
    compiled code is only loaded.
    """
    dtype, done = options[0].dtype, Event()

    def watch(start: float) -> None:
        while not done.wait(0.1):
            if time.process_time() - start > NOTICE:
                logging.getLogger("involution_edu").warning(
                    "preparing the numba backend's %s for %s: it is compiled once and kept for "
                    "later",
                    function.__name__,
                    dtype,
                )
                return

    Thread(target=watch, args=(time.process_time(),), daemon=True).start()
    try:
        function(*options, 0, 0)
    finally:
        done.set()
    _ready.add((function, dtype))
