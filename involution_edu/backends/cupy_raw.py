"""Rung 5: CUDA C++, compiled for the GPU at hand and launched on CuPy arrays.

What is computed stands in the folder ``cuda``, which version runs on how many blocks in
``cuda_versions.py``; here it is only launched, on the GPU that holds the arrays and on the
stream that is current there. Sizes are arguments, so that each C++ name compiles once.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from ..geometry import Array, Geometry
from .cuda_versions import Version, best, cuda_source, plan, result_shape, struct_of_sizes

PLAIN_SHARED = 48 * 1024  # bytes of shared memory that a block gets without asking


@cache
def unavailable() -> str | None:
    """Return None, or why CuPy cannot compile for a GPU here."""
    if reason := no_gpu():
        return reason
    import cupy

    try:
        cupy.cuda.nvrtc.getVersion()
    except (ImportError, RuntimeError) as error:
        return f"no NVRTC, CUDA's compiler ({error}): pip install 'cuda-toolkit[nvrtc,cudart]'"
    return None


def no_gpu() -> str | None:
    """Return None, or why CuPy cannot use a GPU here."""
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


def forward(x: Array, kernel: Array, geom: Geometry) -> Array:
    """Return y (N, C, H_out, W_out)."""
    return launch("forward", x, kernel, geom)


def backward_input(dy: Array, kernel: Array, geom: Geometry) -> Array:
    """Return dx (N, C, H, W)."""
    return launch("backward_input", dy, kernel, geom)


def backward_kernel(dy: Array, x: Array, geom: Geometry) -> Array:
    """Return dkernel (N, G, K_h, K_w, H_out, W_out)."""
    return launch("backward_kernel", dy, x, geom)


def launch(task: str, a: Any, b: Any, geom: Geometry, version: Version | None = None) -> Array:
    """Return what ``task`` computes from the contiguous CuPy arrays ``a`` and ``b``.

    Parameters
    ----------
    task : str
        "forward", "backward_input" or "backward_kernel".
    version : Version, optional
        A row of `cuda_versions.VERSIONS`; the highest whose tile fits into the GPU if not given.

    Raises
    ------
    ValueError
        If the tile of ``version`` is too large for the GPU, or the image for any version.
    RuntimeError
        If CUDA refuses the launch; the message has the sizes. A fault while it runs shows up
        later, as with everything on a stream.
    """
    import cupy

    with a.device:
        result: Array = cupy.empty(result_shape(task, geom), a.dtype)
        if result.size == 0:
            return result
        limit = _shared_limit(cupy.cuda.Device().id)
        if version is None:
            planned = best(task, geom, a.dtype, limit)
        else:
            planned = plan(task, version, geom, a.dtype)
        if planned.shared > limit:
            raise ValueError(
                f"{planned.name} needs {planned.shared} bytes of shared memory for {geom}; "
                f"need at most {limit} on this GPU: use an earlier version"
            )
        try:
            function = _function(planned.name)
            if planned.shared > PLAIN_SHARED:
                function.max_dynamic_shared_size_bytes = planned.shared
            arguments = (a, b, result, struct_of_sizes(geom))
            function((planned.grid,), planned.block, arguments, shared_mem=planned.shared)
        except Exception as error:
            raise RuntimeError(f"{planned} failed for {geom}: {error}") from error
    return result


@cache
def _function(name: str) -> Any:
    """Return the CUDA kernel of this C++ name; CuPy compiles it once for each kind of GPU."""
    import cupy

    module = cupy.RawModule(
        code=cuda_source(),
        options=("--std=c++17",),
        name_expressions=(name,),
    )
    return module.get_function(name)


@cache
def _shared_limit(device: int) -> int:
    """Return the bytes of shared memory that a block can have on this GPU, if it asks."""
    import cupy

    return int(cupy.cuda.Device(device).attributes["MaxSharedMemoryPerBlockOptin"])
