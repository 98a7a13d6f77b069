"""What is installed here, which backends run, and what to type where one does not."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .. import __version__
from ..arrays import Array
from ..backends import LADDER, Backend, Rung, available_backends, kind_taken, select
from ..cases import TOLERANCE, random_operands, scaled_error
from ..geometry import Geometry, make_geometry

REQUIRED = ("numpy", "numba", "matplotlib", "pillow")
OPTIONAL = ("cupy-cuda12x", "cupy-cuda13x", "numba-cuda", "torch")
# The backends that need nothing but the required packages: one that fails is a fault.
BASE = ("loops", "windows", "shifts", "numba")
CACHE_FIX = "set the environment variable NUMBA_CACHE_DIR to a folder that can be written"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What `examine` found.

    Attributes
    ----------
    system, python : str
        Operating system; version and path of Python.
    versions : dict
        Each package with its version, or None if it is not installed.
    cores : int
        Processor cores this process may use.
    numba_threads : int or None
    numba_cache : str or None
        Folder of the compiled functions; None, like the threads, if Numba does not run.
    backends : dict
        Each backend with None if it runs here, else the reason and the fix.
    problems : tuple of str
        What must be mended, each with its fix. An absent optional package or GPU is none.
    """

    system: str
    python: str
    versions: dict[str, str | None]
    cores: int
    numba_threads: int | None
    numba_cache: str | None
    backends: dict[str, str | None]
    problems: tuple[str, ...]


def examine() -> Diagnosis:
    """Look at the installation and run every backend once on a small case."""
    versions = {name: _version(name) for name in (*REQUIRED, *OPTIONAL)}
    problems = [
        f"{name} is not installed: pip install {name}"
        for name in REQUIRED
        if versions[name] is None
    ]
    reasons = available_backends()
    backends = {rung.name: reasons[rung.name] or _failure(rung) for rung in LADDER}
    problems += [f"{name}: {backends[name]}" for name in BASE if backends[name]]
    threads, cache = (None, None) if backends["numba"] else _numba()
    if cache and not _writable(Path(cache)):
        problems.append(
            f"numba recompiles in every process, for {cache} cannot be written: {CACHE_FIX}"
        )
    return Diagnosis(
        system=platform.platform(),
        python=f"{platform.python_version()} ({sys.executable})",
        versions={"involution_edu": __version__, **versions},
        cores=_cores(),
        numba_threads=threads,
        numba_cache=cache,
        backends=backends,
        problems=tuple(problems),
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))  # in a container, fewer than the machine has
    return os.cpu_count() or 1


def _failure(rung: Rung) -> str | None:
    """Return None if the rung gives the numbers of the loops, else why not."""
    geom = make_geometry((1, 4, 5, 6), 2, 3)
    operands = random_operands(geom, "float32", seed=0)
    kind = kind_taken(rung)
    run = _results if kind == "numpy" else _results_on_gpu
    try:
        found = run(select(rung.name, kind), geom, operands)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the diagnosis
        reason = " ".join(str(error).split())
        return f"{CACHE_FIX} ({reason})" if "cannot cache" in reason else f"fails with {reason}"
    right = _results(select("loops"), geom, operands)
    off = max(map(scaled_error, found, right))
    if off <= TOLERANCE[operands[0].dtype]:
        return None
    where = "involution-edu compare" if rung.arrays == "numpy" else "pytest -m gpu"
    return f"gives wrong numbers, off by {off:.1e}; {where} says where"


def _results(backend: Backend, geom: Geometry, operands: Sequence[Array]) -> list[Array]:
    x, kernel, dy = operands
    return [
        backend.forward(x, kernel, geom),
        backend.backward_input(dy, kernel, geom),
        backend.backward_kernel(dy, x, geom),
    ]


def _results_on_gpu(backend: Backend, geom: Geometry, operands: Sequence[Array]) -> list[Array]:
    import cupy

    found = _results(backend, geom, [cupy.asarray(a) for a in operands])
    return [cupy.asnumpy(a) for a in found]


def _numba() -> tuple[int, str]:
    """Return Numba's number of threads and the folder of its compiled functions."""
    from ..backends import numba_cpu
    from ..backends.numba_cpu import channels

    dispatcher: Any = channels.forward
    return numba_cpu.max_threads(), dispatcher.stats.cache_path


def _writable(folder: Path) -> bool:
    """Return whether a file can be made in ``folder``: tried, for permissions do not tell all."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
