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
from shutil import which
from textwrap import fill

import numpy as np

from .. import __version__
from ..backends import LADDER, Rung, arrays_taken, available_backends, numba_cpu
from ..backends.numba_cpu import NOT_KEPT
from ..cases import TOLERANCE, random_operands, scaled_error
from ..geometry import make_geometry
from ..nn import Involution2d
from .on_numpy import on_numpy, results
from .text import Lines, wrapped

REQUIRED = ("numpy", "numba", "matplotlib", "pillow", "tqdm")
OPTIONAL = ("cupy-cuda12x", "cupy-cuda13x", "numba-cuda", "torch")
# The backends that need only the required packages: one that fails is a fault.
BASE = ("loops", "windows", "shifts", "numba")
CACHE_FIX = "set the environment variable NUMBA_CACHE_DIR to a folder that can be written"


@dataclass(frozen=True, slots=True)
class Diagnosis(Lines):
    """The result of `examine`: each package, setting and backend, and problems with their fixes."""

    system: str
    python: str
    versions: dict[str, str | None]  # None: not installed
    cores: int
    numba_threads: int | None  # None if Numba does not run
    numba_cache: str | None  # the folder of its compiled functions, if it keeps any
    backends: dict[str, str | None]  # why it cannot run, if it cannot
    problems: tuple[str, ...]  # not counting absent optional packages or GPUs

    @property
    def ok(self) -> bool:
        """Whether there are no problems."""
        return not self.problems

    def lines(self) -> Iterator[str]:
        """Yield what is installed, which backends run, and the problems with their fixes."""
        for name in ("system", "python", "cores", "numba_threads", "numba_cache"):
            yield f"{name.replace('_', ' '):15} {getattr(self, name) or '-'}"
        for name, value in self.versions.items():
            yield f"{name:15} {value or '-'}"
        yield ""
        for rung in LADDER:
            yield f"{rung.name:15} {rung.idea}"
            reason = self.backends[rung.name]
            runs = "runs" if arrays_taken(rung) == rung.arrays else "runs in a simulator"
            works = f"{runs} and agrees with the loops"
            verdict, indent = f"cannot run here: {reason}" if reason else works, " " * 16
            yield fill(verdict, 80, initial_indent=indent, subsequent_indent=indent)
        yield ""
        for problem in self.problems:
            yield wrapped(f"Problem: {problem}")
        if self.ok:
            yield "No problem found."


def examine() -> Diagnosis:
    """Look at the installation and run every backend on two small cases."""
    versions = {name: _version(name) for name in (*REQUIRED, *OPTIONAL)}
    absent = [name for name in REQUIRED if versions[name] is None]
    problems = [f"{name} is not installed: pip install {name}" for name in absent]
    reasons = available_backends()
    backends = {rung.name: reasons[rung.name] or _failure(rung) for rung in LADDER}
    problems += [
        f"{name}: {fault}"
        for name, fault in backends.items()
        if fault and (name in BASE or reasons[name] is None or _should_run(name))
    ]
    threads, cache = (None, None) if backends["numba"] else _numba()
    if cache and not _writable(Path(cache)):
        problem = f"numba recompiles in every process: {cache} cannot be written; {CACHE_FIX}"
        problems.append(problem)
    elif not (cache or backends["numba"]):
        problems.append(f"numba keeps no compiled code: {NOT_KEPT}")
    python = f"{platform.python_version()} ({sys.executable})"
    versions = {"involution_edu": __version__, **versions}
    settings = _cores(), threads, cache
    return Diagnosis(platform.platform(), python, versions, *settings, backends, tuple(problems))


def _should_run(name: str) -> bool:
    """Return whether the packages of a GPU's backend are installed beside NVIDIA's driver."""
    packages = {"cupy": ("cupy-cuda12x", "cupy-cuda13x"), "numba_cuda": ("numba-cuda",)}
    return which("nvidia-smi") is not None and any(map(_version, packages.get(name, ())))


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
    off = 0.0
    try:
        for channels in (4, 8):  # in groups of 2 and 4: the numba backend has code for each
            geom = make_geometry((1, channels, 5, 6), 2, 3)
            operands = random_operands(geom, "float32", seed=0)
            backends = map(on_numpy, (rung.name, "loops"))
            found, right = (results(backend, operands, geom) for backend in backends)
            off = max(off, *(scaled_error(found[tensor], right[tensor]) for tensor in right))
        if rung.name == "cupy":
            off = max(off, _error_of_layer())
    except Exception as error:  # noqa: BLE001 - any error is the diagnosis
        reason = " ".join(str(error).split())
        return f"{CACHE_FIX} ({reason})" if "cannot cache" in reason else f"fails with {reason}"
    if off <= TOLERANCE[np.dtype("float32")]:
        return None
    command = f"involution-edu compare --backends {rung.name}"
    return f"gives wrong numbers, off by {off:.1e}: {command} shows where"


def _error_of_layer() -> float:
    """Return the error of a layer and its backward pass on a GPU, which need cuBLAS too."""
    import cupy

    layer = Involution2d(16, 3, rng=0)
    x = np.random.default_rng(0).standard_normal((2, 16, 5, 6)).astype(np.float32)
    right = layer(x), layer.backward(x)
    layer.to("cupy")
    found = layer(on_gpu := cupy.asarray(x)), layer.backward(on_gpu)
    return max(scaled_error(cupy.asnumpy(a), b) for a, b in zip(found, right, strict=True))


def _numba() -> tuple[int, str | None]:
    """Return Numba's number of threads and the folder of its compiled functions."""
    from ..backends.numba_cpu import channels

    return numba_cpu.max_threads(), numba_cpu.cache_folder(channels.forward)


def _writable(folder: Path) -> bool:
    """Return whether a file can be created in ``folder``, by creating one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
