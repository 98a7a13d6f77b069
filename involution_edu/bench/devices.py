"""The two devices, which differ in arrays, clock and peak rates: the processor and a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..arrays import Array
from .machine import this_machine
from .peaks import PeakMethod, processor_peaks
from .record import Machine
from .timing import Call, Clock, GpuClock, processor_clock

COPIED = 1 << 29  # bytes of the array whose copying is the peak of a GPU
MIN_CALLS = 4  # between two events of the GPU's clock


class Processor:
    """All cores, on NumPy arrays."""

    arrays = "numpy"
    reference: str | None = None  # a backend to compare with, unless the contenders have one

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or processor_clock

    def copies(self, operands: Sequence[Array], count: int | None = None) -> list[Sequence[Any]]:
        """Return the operands on the device, as often as the clock needs them or ``count``."""
        return [operands]

    def peak_methods(self) -> list[PeakMethod]:
        """Return the methods to measure the peak rates of the device."""
        return processor_peaks()

    def machine(self) -> Machine:
        """Return the description of the device."""
        return this_machine()


class Gpu(Processor):
    """CuPy's current GPU."""

    arrays = "cupy"
    reference = "numba"

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or GpuClock()

    def copies(self, operands: Sequence[Array], count: int | None = None) -> list[Sequence[Any]]:
        """Return copies that together exceed twice the second-level cache, so no call hits it."""
        import cupy

        if count is None:
            cache = cupy.cuda.Device().attributes["L2CacheSize"]
            x, _, dy, *_ = operands  # every task moves as much as these two, or more
            count = max(MIN_CALLS, -(-2 * cache // (x.nbytes + dy.nbytes)))
        return [[cupy.asarray(a) for a in operands] for _ in range(count)]

    def peak_methods(self) -> list[PeakMethod]:
        """Return two ways to copy memory."""
        import cupy

        source = cupy.ones(COPIED // 4, np.float32)
        target = cupy.empty(source.shape, np.float32)
        calls: dict[str, Call] = {
            "cudaMemcpyAsync": partial(
                target.data.copy_from_device_async, source.data, source.nbytes
            ),
            "an elementwise CUDA kernel of CuPy": partial(cupy.multiply, source, 1, out=target),
        }
        moved = 2 * source.nbytes  # read and written
        return [PeakMethod("copy", name, moved, [call] * MIN_CALLS) for name, call in calls.items()]

    def machine(self) -> Machine:
        """Return what is known about the GPU; `Machine.cores` is its multiprocessors."""
        import cupy

        device, runtime = cupy.cuda.Device(), cupy.cuda.runtime
        numbers = {
            "CUDA": runtime.runtimeGetVersion(),
            "the driver's CUDA": runtime.driverGetVersion(),
        }
        cuda = {name: f"{n // 1000}.{n % 1000 // 10}" for name, n in numbers.items()}
        host = this_machine()
        return replace(
            host,
            processor=runtime.getDeviceProperties(device.id)["name"].decode(),
            cores=device.attributes["MultiProcessorCount"],
            versions={**host.versions, "cupy": cupy.__version__, **cuda},
        )


def one_line(error: Exception) -> str:
    """Return the type and the message of an error, shortened."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
