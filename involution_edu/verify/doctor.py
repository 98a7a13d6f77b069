"""Diagnosis of the installation: packages, backends, and how to fix what does not run."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from textwrap import fill
from typing import Any

from .. import __version__
from ..backends import LADDER, Rung, arrays_taken, available_backends
from ..cases import TOLERANCE, random_operands, scaled_error
from ..geometry import make_geometry
from .on_numpy import on_numpy, results
from .text import Lines, wrapped

REQUIRED = ("numpy", "numba", "matplotlib", "pillow", "tqdm")
OPTIONAL = ("cupy-cuda12x", "cupy-cuda13x", "numba-cuda", "torch")
# The backends that need only the required packages: one that fails is a fault.
BASE = ("loops", "windows", "shifts", "numba")
CACHE_FIX = "set the environment variable NUMBA_CACHE_DIR to a folder that can be written"


@dataclass(frozen=True, slots=True)
class Diagnosis(Lines):
    """The result of `examine`.

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
        Problems and how to fix them. An absent optional package or GPU is not a problem.
    """

    system: str
    python: str
    versions: dict[str, str | None]
    cores: int
    numba_threads: int | None
    numba_cache: str | None
    backends: dict[str, str | None]
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no problems."""
        return not self.problems

    def lines(self) -> Iterator[str]:
        """Yield what is installed, which backends run, and the problems with their fixes."""
        facts = {
            "system": self.system,
            "python": self.python,
            "cores": self.cores,
            "numba threads": self.numba_threads,
            "numba cache": self.numba_cache,
        }
        for name, value in (facts | self.versions).items():
            yield f"{name:15} {value or '-'}"
        yield ""
        for rung in LADDER:
            yield f"{rung.name:15} {rung.idea}"
            reason = self.backends[rung.name]
            runs = "runs" if arrays_taken(rung) == rung.arrays else "runs in a simulator"
            verdict = (
                f"cannot run here: {reason}" if reason else f"{runs} and agrees with the loops"
            )
            yield fill(verdict, 80, initial_indent=" " * 16, subsequent_indent=" " * 16)
        yield ""
        for problem in self.problems:
            yield wrapped(f"Problem: {problem}")
        if self.ok:
            yield "No problem found."


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
            f"numba recompiles in every process: {cache} cannot be written; {CACHE_FIX}"
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
        return len(os.sched_getaffinity(0))  # in a container, fewer than the machine's
    return os.cpu_count() or 1


def _failure(rung: Rung) -> str | None:
    """Return None if the rung gives the numbers of the loops, else why not."""
    geom = make_geometry((1, 4, 5, 6), 2, 3)
    operands = random_operands(geom, "float32", seed=0)
    try:
        found = results(on_numpy(rung.name), operands, geom)
    except Exception as error:  # noqa: BLE001 - any error is the diagnosis
        reason = " ".join(str(error).split())
        return f"{CACHE_FIX} ({reason})" if "cannot cache" in reason else f"fails with {reason}"
    right = results(on_numpy("loops"), operands, geom)
    off = max(scaled_error(found[tensor], right[tensor]) for tensor in right)
    if off <= TOLERANCE[operands[0].dtype]:
        return None
    command = f"involution-edu compare --backends {rung.name}"
    return f"gives wrong numbers, off by {off:.1e}: {command} shows where"


def _numba() -> tuple[int, str]:
    """Return Numba's number of threads and the folder of its compiled functions."""
    from ..backends import numba_cpu
    from ..backends.numba_cpu import channels

    dispatcher: Any = channels.forward
    return numba_cpu.max_threads(), dispatcher.stats.cache_path


def _writable(folder: Path) -> bool:
    """Return whether a file can be created in ``folder``, by creating one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
