"""Rung 3: the loops again, compiled, with vectors, on all cores.

The compiled functions are in the other files. This one cuts the work into tasks, a band of rows of
one group each, and divides the tasks among threads: compiled code releases Python's lock. The
threads are Python's own, for Numba's end the process if two threads use them at once or it forks.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np

from ...arguments import ArgumentError, as_int
from ...arrays import Array
from ...geometry import Geometry
from . import layout, one_tap

LOG = logging.getLogger("involution_edu")
FEW = 3  # channels in a group or taps in a window, up to which the few-channels path is faster
MIN_PRODUCTS = 1 << 21  # minimum work per thread: less takes no longer than to wake the thread
NOT_KEPT = (
    "every process compiles it again, for the folders of the package and of the user cannot be "
    "written: set the environment variable NUMBA_CACHE_DIR to one that can"
)
BAND_BYTES = 1 << 18  # of input read for one band: half of a common second-level cache


def wrong_thread_count() -> str | None:
    """Return what is wrong with NUMBA_NUM_THREADS: Numba raises or warns when it is imported."""
    value = os.environ.get("NUMBA_NUM_THREADS", "1")
    with suppress(ValueError):
        if int(value) > 0:
            return None
    return f"NUMBA_NUM_THREADS is {value!r}; need an int >= 1: change or unset it"


@cache
def unavailable() -> str | None:
    """Return None, or why Numba cannot be used."""
    if reason := wrong_thread_count():
        LOG.warning("the numba backend is not used: %s", reason)
        return reason
    if not Path(__file__).is_file():
        return "the package is imported from inside a zip file: unpack that first"
    try:
        import numba

        if numba.config.DISABLE_JIT:
            return "NUMBA_DISABLE_JIT is set: unset it"
        from . import channels, few_channels, pixels  # noqa: F401
    except Exception as error:  # noqa: BLE001 - whatever stops it is the reason
        return f"numba cannot be used ({error}): pip install --upgrade numba"
    return None


@cache
def max_threads() -> int:
    """Return the number of threads to use: NUMBA_NUM_THREADS if it is set, else all cores."""
    from numba import config

    return int(config.NUMBA_NUM_THREADS)


_threads: ContextVar[int | None] = ContextVar("involution_edu_threads", default=None)


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Use ``count`` threads inside the ``with`` block, from 1 to `max_threads`."""
    if not 1 <= as_int("count", count) <= (most := max_threads()):
        raise ArgumentError("count", f"is {count}", f"at most {most}, the threads there are")
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
    if geom.window == (1, 1):
        return one_tap.forward(x, kernel, geom)
    from . import channels, few_channels

    if _few_channels(geom):
        y = np.zeros(geom.y_shape, x.dtype)
        _add_products(few_channels.Y, layout.padded(geom, x.dtype, x), kernel, y, geom)
    else:
        y = np.empty(geom.y_shape, x.dtype)
        _share(channels.forward, geom, geom.H_out, _row(geom), x, kernel, y)
    return y


def backward_input(dy: Array, kernel: Array, geom: Geometry) -> Array:
    """Return dx (N, C, H, W)."""
    if geom.window == (1, 1):
        return one_tap.backward_input(dy, kernel, geom)
    from . import channels, few_channels

    if _few_channels(geom):
        laid = layout.padded(geom, dy.dtype)
        _add_products(few_channels.X, laid, kernel, dy, geom)
        return layout.image(laid, geom)
    dx = np.empty(geom.x_shape, dy.dtype)
    _share(channels.backward_input, geom, geom.H, geom.C_g * geom.W_out, dy, kernel, dx)
    return dx


def backward_kernel(dy: Array, x: Array, geom: Geometry) -> Array:
    """Return dkernel (N, G, K_h, K_w, H_out, W_out)."""
    if geom.window == (1, 1):
        return one_tap.backward_kernel(dy, x, geom)
    from . import few_channels, pixels

    if _few_channels(geom):
        dkernel = np.zeros(geom.kernel_shape, dy.dtype)
        laid = layout.padded(geom, x.dtype, x)
        _add_products(few_channels.KERNEL, laid, dkernel, dy, geom)
    else:
        dkernel = np.empty(geom.kernel_shape, dy.dtype)
        _share(pixels.backward_kernel, geom, geom.H_out, _row(geom), dy, x, dkernel)
    return dkernel


def _row(geom: Geometry) -> int:
    """Return the numbers of x that a row of outputs reads for the first time."""
    return geom.C_g * geom.padded_size[1] * geom.stride[0]


def _few_channels(geom: Geometry) -> bool:
    """Return whether it costs more to lay channels side by side than it saves."""
    return min(geom.C_g, math.prod(geom.window)) <= FEW


def _add_products(target: int, x: Array, kernel: Array, y: Array, geom: Geometry) -> None:
    from .few_channels import X, add_products

    height, row = (1, 1) if target == X else (geom.H_out, 4 * geom.W_out)
    _share(add_products, geom, height, row, x, kernel, y, target)


def _share(
    function: Callable[..., None], geom: Geometry, height: int, row: int, *operands: Any
) -> None:
    """Run ``function`` on all tasks, cutting ``height`` rows of ``row`` numbers into bands."""
    products = math.prod(geom.y_shape) * math.prod(geom.window)
    threads = max(1, min(_threads.get() or max_threads(), products // MIN_PRODUCTS))
    groups = geom.N * geom.G
    # A band needs extent - 1 rows of its neighbours as well.
    rows = max(BAND_BYTES // (row * operands[0].itemsize) - geom.extent[0], geom.extent[0])
    if groups < 2 * threads:
        rows = min(rows, -(-height * groups // (2 * threads)))
    rows = max(1, min(rows, height))
    tasks = groups * -(-height // rows)
    cuts = [tasks * t // threads for t in range(threads + 1)]
    (s_h, s_w), (h, w) = geom.stride, geom.padded_size
    stride = min(s_h, h), min(s_w, w)  # a longer one gives the same outputs, but takes memory
    # Arrays that cannot be written would have another type, for which Numba compiles it again.
    arrays = (np.require(a, requirements="W") for a in operands[:3])
    arguments = (*arrays, *operands[3:], stride, geom.padding, geom.dilation, rows)
    if (function, operands[0].dtype) not in _ready:
        _compile(function, arguments)
    shares = (cut for cut in pairwise(cuts[1:]) if cut[0] < cut[1])
    others = [_pool().submit(function, *arguments, *cut) for cut in shares]
    function(*arguments, *cuts[:2])
    for other in others:
        other.result()


NOTICE = 1.0  # seconds of compiling before a notice is logged
_ready: set[tuple[Callable[..., None], np.dtype[Any]]] = set()


def cache_folder(function: Callable[..., None]) -> str | None:
    """Return the folder that keeps the compiled ``function``; None if none can be written."""
    folder: str | None = getattr(function, "stats").cache_path  # noqa: B009 - a dispatcher
    return folder


def _compile(function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """Compile ``function`` by a call without tasks; log a notice once if that is slow."""
    dtype, done = arguments[0].dtype, Event()
    start = time.process_time()  # a busy machine logs nothing when compiled code is only loaded

    def watch() -> None:
        while not done.wait(0.1):
            if time.process_time() - start > NOTICE:
                folder, name = cache_folder(function), function.__name__
                kept = f"it is compiled once and kept in {folder}" if folder else NOT_KEPT
                LOG.warning("preparing the numba backend's %s for %s: %s", name, dtype, kept)
                return

    Thread(target=watch, daemon=True).start()
    try:
        function(*arguments, 0, 0)
    finally:
        done.set()
    _ready.add((function, dtype))
