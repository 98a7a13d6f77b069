"""The CUDA C++ source compiled by g++ and run on NumPy arrays, thread by thread: to try it.

It needs no GPU, only g++, and is slow: it is never chosen unless named, as ``"cuda_host"`` or a
version such as ``"cuda_host:v3"``. A barrier that some threads miss, a write beyond the shared
memory of a block and a block larger than the source allows are errors; see ``cuda/emulator``.
"""

from __future__ import annotations

import threading
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ..arrays import Array
from ..geometry import Geometry
from .cuda import emulator
from .cuda.versions import TASKS, VERSIONS, Version, highest_that_fits, plan, struct_of_sizes

MAX_SHARED = 227 * 1024  # bytes of shared memory in a block, as in cuda_host.h
_one_launch = threading.Lock()  # the emulator has one block at a time
unavailable = emulator.unavailable


def launch(task: str, a: Array, b: Array, geom: Geometry, version: Version | None = None) -> Array:
    """Return the result of ``task`` on contiguous arrays, by the highest version that fits."""
    choice, limit = (version,) if version else VERSIONS, (MAX_SHARED, "in the emulator")
    _, planned = highest_that_fits(task, choice, geom, a.dtype, limit)
    result = emulator.empty_result(task, geom, a.dtype)
    if result.size:
        with _one_launch:
            _program(planned.name).run(planned, a, b, result, struct_of_sizes(geom))
    return result


forward, backward_input, backward_kernel = (partial(launch, task) for task in TASKS)


def fits(version: Version, geom: Geometry, dtype: np.dtype[Any]) -> bool:
    """Return whether all tasks of ``version`` can be launched in the emulator."""
    takes = version.takes(geom, dtype)
    return takes and all(plan(t, version, geom, dtype).shared <= MAX_SHARED for t in TASKS)


@cache
def _program(name: str) -> emulator.Program:
    """Return the CUDA kernel of this C++ name, compiled in about a second."""
    with TemporaryDirectory() as folder:  # once loaded, its file is not needed
        return emulator.Program([name], Path(folder))
