"""Rung 5: CUDA C++, compiled for the GPU at hand and launched on CuPy arrays.

What is computed stands in the folder ``cuda``, which version runs on how many blocks in
``cuda/versions.py``; here it is only launched, on the GPU that holds the arrays and on the
stream that is current there. Sizes are arguments, so that each C++ name compiles once.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from ..arguments import ArgumentError
from ..arrays import Array
from ..geometry import Geometry
from .cuda.fused import best_fused, fusing_pays, plan_fused
from .cuda.versions import (
    Launch,
    Version,
    best,
    cuda_source,
    plan,
    result_shape,
    struct_of_sizes,
)

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
        A row of `versions.VERSIONS`; the highest whose tile fits into the GPU if not given.

    Raises
    ------
    ValueError
        If the tile of ``version`` is too large for the GPU, if it does not take such a window or
        stride, or if the image is too large for any version.
    RuntimeError
        If CUDA refuses the launch; the message has the sizes. A fault while it runs shows up
        later, as with everything on a stream.
    """
    limit = _shared_limit(a.device.id)
    if version is None:
        planned = best(task, geom, a.dtype, limit)
    else:
        planned = plan(task, version, geom, a.dtype)
    return _run(planned, (a, b), result_shape(task, geom), geom)


def fuses(x: Any, geom: Geometry, features: int) -> bool:
    """Return whether `generate_and_apply` is thought to beat two launches on the GPU of ``x``."""
    return fusing_pays(geom, features, x.dtype, _shared_limit(x.device.id))


def generate_and_apply(
    x: Any, features: Any, weight: Any, bias: Any, geom: Geometry, version: Version | None = None
) -> Array:
    """Return y without a kernel in memory.

    .. code-block:: text

        kernel[n, g, u, v, i, j] = bias[o] + sum over m of weight[o, m] * features[n, m, i, j]
        y = involution(x, kernel),  o = (g*K_h + u)*K_w + v

    Parameters
    ----------
    x : cupy.ndarray, shape (N, C, H, W)
    features : cupy.ndarray, shape (N, C_r, H_out, W_out)
    weight : cupy.ndarray, shape (G*K_h*K_w, C_r)
    bias : cupy.ndarray, shape (G*K_h*K_w,)
        All of one dtype and on one GPU.
    version : Version, optional
        A row of `fused.VERSIONS`; the highest that takes ``geom`` and fits if not given.

    Raises
    ------
    ValueError, RuntimeError
        As `launch`.
    """
    import cupy

    count = features.shape[1]
    if version is None:
        planned = best_fused(geom, count, x.dtype, _shared_limit(x.device.id))
    else:
        planned = plan_fused(version, geom, count, x.dtype)
    with x.device:
        operands = tuple(map(cupy.ascontiguousarray, (x, features, weight, bias)))
    return _run(planned, operands, geom.y_shape, geom, count)


def _run(
    planned: Launch,
    operands: tuple[Any, ...],
    shape: tuple[int, ...],
    geom: Geometry,
    features: int = 0,
) -> Array:
    """Return the result of a launch, on the GPU of the operands."""
    import cupy

    with operands[0].device as device:
        result: Array = cupy.empty(shape, operands[0].dtype)
        if result.size == 0:
            return result
        limit = _shared_limit(device.id)
        if planned.shared > limit:
            raise ArgumentError(
                planned.name,
                f"needs {planned.shared} bytes of shared memory for {geom}",
                f"at most {limit} on this GPU: use an earlier version",
            )
        try:
            function = _function(planned.name, device.id)
            if planned.shared > PLAIN_SHARED:
                function.max_dynamic_shared_size_bytes = planned.shared
            arguments = (*operands, result, struct_of_sizes(geom, features))
            function((planned.grid,), planned.block, arguments, shared_mem=planned.shared)
        except Exception as error:
            raise RuntimeError(f"{planned} failed for {geom}: {error}") from error
    return result


@cache
def _function(name: str, device: int) -> Any:
    """Return the CUDA kernel of this C++ name, loaded on this GPU, which is the current one."""
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
