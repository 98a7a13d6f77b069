"""Rung 5: CUDA C++, compiled for the GPU at hand and launched on CuPy arrays.

The CUDA kernels and the size of their launches are in the folder ``cuda``. They run on the GPU
that holds the arrays, on the stream that is current there.
"""

from __future__ import annotations

from functools import cache, lru_cache, partial
from shutil import which
from typing import Any

import numpy as np

from ..arrays import Array
from ..geometry import Geometry
from .cuda import fused, versions
from .cuda.versions import TASKS, VERSIONS, Launch, Version, highest_that_fits, plan

INSTALL = "pip install 'cupy-cuda13x[ctk]'"
# Needs all that the launcher needs: NVRTC, CUDA's headers, and a driver that loads the result.
PROBE = """
#include <cuda_fp16.h>
extern "C" __global__ void probe(__half* y) { *y = __float2half(1.0f); }
"""


def why_no_gpu() -> str | None:
    """Return None if CuPy can use a GPU here, else the reason and the fix."""
    try:
        import cupy
    except ImportError as error:
        if which("nvidia-smi") is None:
            return "no NVIDIA GPU is seen here (nvidia-smi is absent)"
        return f"cupy cannot be imported ({error}): {INSTALL}"
    try:
        devices = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"no CUDA driver ({error}): install NVIDIA's driver, on a machine with its GPU"
    if devices == 0:
        return "no GPU is visible: unset CUDA_VISIBLE_DEVICES"
    return None


@cache
def unavailable() -> str | None:
    """Return None, or why CuPy cannot compile for a GPU here."""
    if reason := why_no_gpu():
        return reason
    import cupy

    try:
        cupy.RawModule(code=PROBE, options=("--std=c++17",)).get_function("probe")
    except Exception as error:  # noqa: BLE001 - whatever stops it is the reason
        return _why_no_compiler(" ".join(str(error).split()))
    return None


def _why_no_compiler(error: str) -> str:
    """Return the reason and the fix for an error of CuPy that compiles and loads `PROBE`."""
    if "cuda_fp16.h" in error:
        return f"CuPy does not find CUDA's headers ({error:.200}): {INSTALL}"
    if "PTX" in error or "NO_BINARY" in error:  # CUDA's names of these errors
        newer = "install a newer driver, or pip install 'cupy-cuda12x[ctk]'"
        return f"the driver is older than CUDA's compiler ({error:.200}): {newer}"
    return f"CuPy cannot compile CUDA C++ ({error:.200}): {INSTALL}"


def launch(task: str, a: Any, b: Any, geom: Geometry, version: Version | None = None) -> Array:
    """Return the result of ``task`` on contiguous CuPy arrays, by the highest version that fits."""
    return _run(task, (version,) if version else VERSIONS, (a, b), geom)


forward, backward_input, backward_kernel = (partial(launch, task) for task in TASKS)


def fits(version: Version, geom: Geometry, dtype: np.dtype[Any]) -> bool:
    """Return whether all tasks of ``version`` can be launched on the current GPU."""
    import cupy

    limit, takes = _shared_limit(cupy.cuda.Device().id), version.takes(geom, dtype)
    return takes and all(plan(task, version, geom, dtype).shared <= limit for task in TASKS)


def fuses(x: Any, geom: Geometry, features: int) -> bool:
    """Return whether `generate_and_apply` should beat two launches on the GPU of ``x``."""
    return fused.fusing_pays(geom, features, x.dtype, _shared_limit(x.device.id))


def generate_and_apply(
    x: Any, features: Any, weight: Any, bias: Any, geom: Geometry, version: Version | None = None
) -> Array:
    """Return y by the equation of cuda/fused.cuh, from (N, C_r, H_out, W_out) ``features``."""
    import cupy

    with x.device:
        operands = tuple(map(cupy.ascontiguousarray, (x, features, weight, bias)))
    choice = (version,) if version else fused.VERSIONS
    return _run(fused.TASK, choice, operands, geom, features.shape[1])


def _run(
    task: str, choice: tuple[Version, ...], operands: Any, geom: Geometry, features: int = 0
) -> Array:
    """Return the result of the highest version that fits, on the GPU of the operands."""
    import cupy

    dtype = operands[0].dtype
    with operands[0].device as device:
        planned, shape, sizes = _planned(task, choice, geom, dtype, features, device.id)
        result: Array = cupy.empty(shape, dtype)
        if result.size:  # CUDA refuses a grid of no blocks
            try:
                function = _function(planned.name, device.id)
                arguments = (*operands, result, sizes)
                function((planned.grid,), planned.block, arguments, shared_mem=planned.shared)
            except Exception as error:
                raise RuntimeError(f"{planned} failed for {geom}: {error}") from error
    return result


@lru_cache(maxsize=1024)  # else planning takes longer than a small image on the GPU
def _planned(
    task: str, choice: tuple[Version, ...], geom: Geometry, dtype: Any, features: int, device: int
) -> tuple[Launch, tuple[int, ...], Any]:
    """Return the launch on a GPU, the shape of its result and its struct of sizes."""
    limit = _shared_limit(device), "on this GPU"
    _, planned = highest_that_fits(task, choice, geom, dtype, limit, features)
    return planned, versions.result_shape(task, geom), versions.struct_of_sizes(geom, features)


@cache
def _function(name: str, device: int) -> Any:
    """Return the CUDA kernel of this C++ name, loaded on this GPU, which is the current one."""
    import cupy

    options = {"options": ("--std=c++17",), "name_expressions": (name,)}
    function = cupy.RawModule(code=versions.cuda_source(), **options).get_function(name)
    # Once, for all launches: a smaller number set for one would refuse that of another thread.
    function.max_dynamic_shared_size_bytes = _shared_limit(device)
    return function


@cache
def _shared_limit(device: int) -> int:
    """Return the bytes of shared memory that a block can have on this GPU, if it asks."""
    import cupy

    return int(cupy.cuda.Device(device).attributes["MaxSharedMemoryPerBlockOptin"])
