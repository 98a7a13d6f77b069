"""The two devices, which differ in arrays, clock and peak rates: the processor and a GPU."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..arrays import Array
from .contenders import threads
from .peaks import PeakMethod, processor_peaks
from .record import Machine
from .timing import Call, Clock, GpuClock, processor_clock

COPIED = 1 << 29  # bytes of the array whose copying is the peak of a GPU
COPY_OF = "copy of {:.0f} MB"  # read and written
MIN_CALLS = 4  # between two events of the GPU's clock


class Processor:
    """All cores, on NumPy arrays."""

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
        """Return the processor, the system and the versions of packages; no names or paths."""
        affinity = getattr(os, "sched_getaffinity", None)
        table = Path("/proc/cpuinfo")
        lines = table.read_text().splitlines() if table.exists() else []
        names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        versions = {name: _version(name) for name in ("numpy", "numba", "numba-cuda", "torch")}
        return Machine(
            processor=next(names, platform.processor() or "unknown"),
            cores=(len(affinity(0)) if affinity else os.cpu_count()) or 1,
            threads=threads(),
            system=f"{platform.system()} {platform.machine()}",
            python=platform.python_version(),
            versions={"involution_edu": __version__, **versions},
        )


class Gpu(Processor):
    """CuPy's current GPU."""

    reference = "numba"

    def __init__(self, clock: Clock | None = None, copied: Sequence[int] = ()) -> None:
        self.clock, self.copied = clock or GpuClock(), copied

    def copies(self, operands: Sequence[Array], count: int | None = None) -> list[Sequence[Any]]:
        """Return copies that together exceed twice the second-level cache, so no call hits it."""
        import cupy

        if count is None:
            cache = cupy.cuda.Device().attributes["L2CacheSize"]
            x, _, dy, *_ = operands  # every task moves as much as these two, or more
            count = max(MIN_CALLS, -(-2 * cache // (x.nbytes + dy.nbytes)))
        return [[cupy.asarray(a) for a in operands] for _ in range(count)]

    def peak_methods(self) -> list[PeakMethod]:
        """Return two methods to copy a large array, then each of the sizes ``copied`` in bytes."""
        named = {"copy": COPIED, **{COPY_OF.format(2 * n / 1e6): n for n in self.copied}}
        return [method for name, size in named.items() for method in self._copies(name, size)]

    def _copies(self, peak: str, size: int) -> list[PeakMethod]:
        """Return the methods to copy ``size`` bytes that are not in the cache."""
        import cupy

        count = -(-cupy.cuda.Device().attributes["L2CacheSize"] // size)
        copies, multiplications = list[Call](), list[Call]()
        for _ in range(count):
            source = cupy.ones(size // 4, np.float32)
            target = cupy.empty(source.shape, np.float32)
            copies.append(partial(target.data.copy_from_device_async, source.data, source.nbytes))
            multiplications.append(partial(cupy.multiply, source, 1, out=target))
        calls = {"cudaMemcpyAsync": copies, "an elementwise CUDA kernel of CuPy": multiplications}
        n = -(-MIN_CALLS // count)
        return [PeakMethod(peak, how, 2 * size, work * n) for how, work in calls.items()]

    def machine(self) -> Machine:
        """Return the description of the GPU; `Machine.cores` is its multiprocessors."""
        import cupy

        device, runtime, host = cupy.cuda.Device(), cupy.cuda.runtime, super().machine()
        cuda = {"CUDA": runtime.runtimeGetVersion()}
        cuda["the driver's CUDA"] = runtime.driverGetVersion()
        versions = {name: f"{n // 1000}.{n % 1000 // 10}" for name, n in cuda.items()}
        return replace(
            host,
            processor=runtime.getDeviceProperties(device.id)["name"].decode(),
            cores=device.attributes["MultiProcessorCount"],
            versions={**host.versions, "cupy": cupy.__version__, **versions},
        )


def background_load() -> Callable[[], float | None]:
    """Return a function for the cores that others kept busy since this call, None if unknown."""
    start, before = time.perf_counter(), _seconds_of_others()

    def cores() -> float | None:
        if before is None or (now := _seconds_of_others()) is None:
            return None
        return round(max(0.0, now - before) / (time.perf_counter() - start), 2)

    return cores


def _seconds_of_others() -> float | None:
    """Return the processor time of all other processes; an ended child counts as this one."""
    if not (table := Path("/proc/stat")).exists():
        return None
    user, nice, system, _, _, irq, softirq = map(int, table.read_text().split()[1:8])
    everyone = (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    return everyone - sum(os.times()[:4])


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
