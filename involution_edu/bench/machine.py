"""What the benchmark runs on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .. import __version__
from .contenders import threads
from .record import Machine

PACKAGES = ("numpy", "numba", "numba-cuda", "torch")


def machine() -> Machine:
    """Return what is known about the processor, the system and the packages; no names or paths."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Machine(
        processor=_processor(),
        cores=cores or 1,
        threads=threads(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        versions={"involution_edu": __version__, **{name: _version(name) for name in PACKAGES}},
    )


def seconds_of_others() -> float | None:
    """Return the processor time that all processes but this one have used, if that is known.

    A child that has ended counts as a part of this process.
    """
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
