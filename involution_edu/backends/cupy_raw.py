"""Rung 5: CUDA C++, compiled for the GPU at hand and launched on CuPy arrays.

The CUDA kernels are in the folder ``cuda``, the versions and the size of their launches in
``cuda/versions.py``. This module launches them, on the GPU that holds the arrays and on the
stream that is current there. Sizes are arguments, so that each C++ name compiles once.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

from ..arrays import Array
from ..geometry import Geometry
from .cuda import fused
from .cuda.versions import (
    TASKS,
    VERSIONS,
    Version,
    cuda_source,
    highest_that_fits,
    plan,
    result_shape,
    struct_of_sizes,
)

DEFAULT_SHARED = 48 * 1024  # bytes of shared memory that a block gets without asking


def why_no_gpu() -> str | None:
    """Return None if CuPy can use a GPU here, else the reason and the fix."""
    try:
        import cupy
    except ImportError as error:
        return f"cupy cannot be imported ({error}): pip install cupy-cuda13x, with an NVIDIA GPU"
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
        cupy.cuda.nvrtc.getVersion()
    except (ImportError, RuntimeError) as error:
        return f"no NVRTC, CUDA's compiler ({error}): pip install 'cuda-toolkit[nvrtc,cudart]'"
    return None


def launch(task: str, a: Any, b: Any, geom: Geometry, version: Version | None = None) -> Array:
    """Return the result of ``task`` on contiguous CuPy arrays, by the highest version that fits.

    A `RuntimeError` has the sizes if CUDA refuses the launch. A fault while it runs shows up
    later, as with everything on a stream.
    """
    return _run(task, VERSIONS if version is None else (version,), (a, b), geom)


forward, backward_input, backward_kernel = (partial(launch, task) for task in TASKS)


def fits(version: Version, geom: Geometry, dtype: np.dtype[Any]) -> bool:
    """Return whether all tasks of ``version`` can be launched on the current GPU."""
    import cupy

    limit = _shared_limit(cupy.cuda.Device().id)
    return version.takes(geom) and all(
        plan(task, version, geom, dtype).shared <= limit for task in TASKS
    )


def fuses(x: Any, geom: Geometry, features: int) -> bool:
    """Return whether `generate_and_apply` should beat two launches on the GPU of ``x``."""
    return fused.fusing_pays(geom, features, x.dtype, _shared_limit(x.device.id))


def generate_and_apply(
    x: Any, features: Any, weight: Any, bias: Any, geom: Geometry, version: Version | None = None
) -> Array:
    """Return y; the kernel is never in memory.

    .. code-block:: text

        kernel[n, g, u, v, i, j] = bias[o] + sum over m of weight[o, m] * features[n, m, i, j]
        y = involution(x, kernel),  o = (g*K_h + u)*K_w + v

    ``features`` is (N, C_r, H_out, W_out), ``weight`` (G*K_h*K_w, C_r).
    """
    import cupy

    versions = fused.VERSIONS if version is None else (version,)
    with x.device:
        operands = tuple(map(cupy.ascontiguousarray, (x, features, weight, bias)))
    return _run(fused.TASK, versions, operands, geom, features.shape[1])


def _run(
    task: str,
    versions: tuple[Version, ...],
    operands: tuple[Any, ...],
    geom: Geometry,
    features: int = 0,
) -> Array:
    """Return the result of the highest version that fits, on the GPU of the operands."""
    import cupy

    dtype = operands[0].dtype
    with operands[0].device as device:
        limit = _shared_limit(device.id), "on this GPU"
        _, planned = highest_that_fits(task, versions, geom, dtype, limit, features)
        result: Array = cupy.empty(result_shape(task, geom), dtype)
        if result.size:  # CUDA refuses a grid of no blocks
            arguments = (*operands, result, struct_of_sizes(geom, features))
            try:
                function = _function(planned.name, device.id)
                if planned.shared > DEFAULT_SHARED:
                    function.max_dynamic_shared_size_bytes = planned.shared
                function((planned.grid,), planned.block, arguments, shared_mem=planned.shared)
            except Exception as error:
                raise RuntimeError(f"{planned} failed for {geom}: {error}") from error
    return result


@cache
def _function(name: str, device: int) -> Any:
    """Return the CUDA kernel of this C++ name, loaded on this GPU, which is the current one."""
    import cupy

    module = cupy.RawModule(code=cuda_source(), options=("--std=c++17",), name_expressions=(name,))
    return module.get_function(name)


@cache
def _shared_limit(device: int) -> int:
    """Return the bytes of shared memory that a block can have on this GPU, if it asks."""
    import cupy

    return int(cupy.cuda.Device(device).attributes["MaxSharedMemoryPerBlockOptin"])
