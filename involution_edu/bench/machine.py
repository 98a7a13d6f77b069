"""The description of the machine, and the load on it by other processes."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .. import __version__
from .contenders import threads
from .record import Machine

PACKAGES = ("numpy", "numba", "numba-cuda", "torch")


def this_machine() -> Machine:
    """Return the processor, the system and the versions of packages; no names or paths."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Machine(
        processor=_processor(),
        cores=cores or 1,
        threads=threads(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        versions={"involution_edu": __version__, **{name: _version(name) for name in PACKAGES}},
    )


class BackgroundLoad:
    """How many cores other processes have kept busy since this was made."""

    def __init__(self) -> None:
        self.start, self.before = time.perf_counter(), _seconds_of_others()

    def cores(self) -> float | None:
        """Return the mean number of busy cores, or None if the system does not tell."""
        now = _seconds_of_others()
        if self.before is None or now is None:
            return None
        return round(max(0.0, now - self.before) / (time.perf_counter() - self.start), 2)


def _seconds_of_others() -> float | None:
    """Return the processor time of all other processes; an ended child counts as this one."""
    table = Path("/proc/stat")
    if not table.exists():
        return None
    user, nice, system, _, _, irq, softirq = map(int, table.read_text().split()[1:8])
    everyone = (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    return everyone - sum(os.times()[:4])


def _processor() -> str:
    table = Path("/proc/cpuinfo")
    lines = table.read_text().splitlines() if table.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
