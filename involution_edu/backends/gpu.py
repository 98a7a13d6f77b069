"""The check for a GPU: only this file decides that it is absent."""

from __future__ import annotations


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
