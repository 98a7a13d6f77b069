"""Rung 4: CUDA in Python, compiled by Numba and launched on CuPy arrays.

The code of one thread is in ``numba_cuda/kernels.py``, the number of threads in
``cuda/versions.py``. Numba reads CuPy's arrays in place. Under its simulator, which the environment
variable ``NUMBA_ENABLE_CUDASIM=1`` turns on before Python starts, this rung takes NumPy arrays: a
debugger and ``print`` work there, and every thread takes about half a millisecond.
"""

from __future__ import annotations

import warnings
from functools import cache, partial
from typing import Any

import numpy as np

from ...arguments import Pair
from ...arrays import Array
from ...geometry import Geometry
from ..cuda import versions
from ..cuda.versions import TASKS, Launch, Version, highest_that_fits, plan, result_shape
from ..cupy_raw import why_no_gpu
from ..numba_cpu import wrong_thread_count

# The versions that are also written in Python; they move the same numbers as those in CUDA C++.
VERSIONS = versions.VERSIONS[:3]
MAX_SHARED = 48 * 1024  # bytes of shared memory: Numba cannot ask the GPU for more
INSTALL = "pip install 'numba-cuda[cu13]'"


@cache
def unavailable() -> str | None:
    """Return None, or why Numba cannot use a GPU here."""
    if not simulated() and (reason := why_no_gpu()):
        return reason
    try:
        cuda = _cuda()
    except Exception as error:  # noqa: BLE001 - whatever stops it is the reason
        return f"numba.cuda cannot be imported ({_one_line(error)}): {INSTALL}"
    if not cuda.is_available():
        reason = cuda.cuda_error() or "no NVVM, Numba's compiler"
        return f"numba.cuda cannot use the GPU ({_one_line(reason)}): {INSTALL}"
    try:
        if not simulated():  # compiled and loaded at once: without NVVM or a new driver, it fails
            cuda.jit("void(float32[:])")(_probe)
    except Exception as error:  # noqa: BLE001
        return f"numba.cuda cannot compile for the GPU ({_one_line(error):.200}): {INSTALL}"
    return None


def _probe(y: Any) -> None:
    y[0] = 1.0


@cache
def _cuda() -> Any:
    """Import ``numba.cuda``; a small image that does not fill the GPU is nothing to warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import may use what a newer NumPy deprecates
        from numba import config, cuda

        config.CUDA_LOW_OCCUPANCY_WARNINGS = 0
        try:
            from numba.cuda.core import config as own  # of numba-cuda's newer releases
        except ImportError:
            return cuda
        own.CUDA_LOW_OCCUPANCY_WARNINGS = 0
    return cuda


def _one_line(error: object) -> str:
    return " ".join(str(error).split())


def simulated() -> bool:
    """Return whether Numba's simulator replaces the GPU, and NumPy arrays CuPy's."""
    if wrong_thread_count():
        return False
    try:
        from numba import config
    except Exception:  # noqa: BLE001 - `unavailable` has the reason
        return False
    return bool(config.ENABLE_CUDASIM)


def launch(task: str, a: Any, b: Any, geom: Geometry, version: Version | None = None) -> Array:
    """Return the result of ``task`` on contiguous arrays, by the highest version that fits."""
    choice, limit = (version,) if version else VERSIONS, (MAX_SHARED, "in Numba")
    version, planned = highest_that_fits(task, choice, geom, a.dtype, limit)
    run = _run_simulated if simulated() else _run
    try:
        return run(_cuda_kernel(task, version, a.dtype, geom.window), planned, task, a, b, geom)
    except Exception as error:
        raise RuntimeError(f"{planned} failed for {geom}: {_one_line(error)}") from error


forward, backward_input, backward_kernel = (partial(launch, task) for task in TASKS)


def fits(version: Version, geom: Geometry, dtype: np.dtype[Any]) -> bool:
    """Return whether all tasks of ``version`` can be launched by Numba."""
    return all(plan(task, version, geom, dtype).shared <= MAX_SHARED for task in TASKS)


def _cuda_kernel(task: str, version: Version, dtype: np.dtype[Any], window: Pair) -> Any:
    """Return the CUDA kernel of a version; it compiles when it is first launched."""
    from numba import from_dtype

    from .kernels import cuda_kernel_of

    S = np.float64 if dtype == np.float64 else np.float32
    return cuda_kernel_of(task, version.channels.get(task), from_dtype(dtype), S, window)


def _run(cuda_kernel: Any, planned: Launch, task: str, a: Any, b: Any, geom: Geometry) -> Array:
    import cupy

    cuda = _cuda()
    with a.device, cuda.gpus[a.device.id]:
        result: Array = cupy.empty(result_shape(task, geom), a.dtype)
        if result.size == 0:
            return result
        stream = cuda.external_stream(cupy.cuda.get_current_stream().ptr)
        # All three are used on that stream alone, so there is nothing to wait for.
        arrays = [cuda.as_cuda_array(array, sync=False) for array in (a, b, result)]
        configured = cuda_kernel[planned.grid, planned.block, stream, planned.shared]
        configured(*arrays, geom.stride, geom.padding, geom.dilation)
    return result


def _run_simulated(
    cuda_kernel: Any, planned: Launch, task: str, a: Array, b: Array, geom: Geometry
) -> Array:
    result = np.empty(result_shape(task, geom), a.dtype)
    if result.size:  # a grid of no blocks cannot be launched
        configured = cuda_kernel[planned.grid, planned.block, 0, planned.shared]
        configured(a, b, result, geom.stride, geom.padding, geom.dilation)
    return result
