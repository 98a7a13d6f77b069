"""The ladder: one table of backends, each one idea faster than the one before it.

A backend is a module with four functions. It is handed checked, contiguous arrays and returns
new ones::

    forward(x, kernel, geom) -> y
    backward_input(dy, kernel, geom) -> dx
    backward_kernel(dy, x, geom) -> dkernel
    unavailable() -> None, or why it cannot run here and what to do about it

To add a rung, write such a module and add its row to `LADDER`: the tests, ``compare`` and
``gradcheck`` read that table. NumPy arrays are never moved to a GPU, nor CuPy arrays to the
processor. The backends for a GPU come in versions, called ``NAME:VERSION``. Without a GPU,
``cuda_host`` runs those of ``cupy`` on NumPy arrays, slowly, if it is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any, Protocol, cast

from ..arguments import ArgumentError, WrongTypeError, as_choice, one_of
from ..arrays import Array, kind_of_array
from ..geometry import Geometry
from .cuda.versions import TASKS


class Backend(Protocol):
    """The functions of a backend's module."""

    forward: Callable[[Array, Array, Geometry], Array]
    backward_input: Callable[[Array, Array, Geometry], Array]
    backward_kernel: Callable[[Array, Array, Geometry], Array]
    unavailable: Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class Rung:
    """One row of the ladder."""

    name: str
    module: str
    idea: str  # its advantage over the row above
    arrays: str = "numpy"  # or "cupy": the kind of array it takes and returns; see `arrays_taken`


LADDER = (
    Rung("loops", "loops", "the equation, one product at a time"),
    Rung("windows", "windows", "every window laid out as a view, one einsum"),
    Rung("shifts", "shifts", "K_h·K_w shifted multiply-adds, no window ever copied"),
    Rung("numba", "numba_cpu", "the loops compiled, run on all cores"),
    Rung("numba_cuda", "numba_cuda", "CUDA in Python: the code of one thread of the GPU", "cupy"),
    Rung("cupy", "cupy_raw", "CUDA C++: a thread of the GPU for each pixel", "cupy"),
)
# Beside the ladder: too slow for anything but to learn from, so it runs only by name.
CUDA_HOST = Rung("cuda_host", "cuda_host", "the CUDA C++ of cupy, run on the processor by g++")

_chosen: ContextVar[str] = ContextVar("involution_edu_backend", default="auto")


class BackendUnavailable(RuntimeError):
    """The named backend cannot run here; the message says why and what to do.

    Examples
    --------
    >>> import numpy as np, involution_edu as inv
    >>> x, kernel = np.ones((1, 1, 2, 2)), np.ones((1, 1, 3, 3, 2, 2))
    >>> for name, reason in inv.available_backends().items():
    ...     if reason is not None:  # such as CuPy's on a machine without a GPU
    ...         try:
    ...             y = inv.involution(x, kernel, backend=name)
    ...         except inv.BackendUnavailable as error:
    ...             assert str(error) == f"backend {name!r} cannot run here: {reason}"
    """


def load(rung: Rung) -> Backend:
    """Import a rung's module; nothing heavy is imported before this."""
    return cast(Backend, import_module(f"{__name__}.{rung.module}"))


def available_backends() -> dict[str, str | None]:
    """Return each backend's name with None if it can run here, else the reason it cannot.

    Examples
    --------
    >>> available_backends()["loops"] is None
    True
    """
    return {rung.name: load(rung).unavailable() for rung in LADDER}


def on_numpy_arrays() -> dict[str, str | None]:
    """Return each backend's name with None if it can run here on NumPy arrays, else why not."""
    reasons = available_backends()
    for rung in LADDER:
        if rung.arrays != "numpy" and reasons[rung.name] is None:
            reasons[rung.name] = f"takes CuPy arrays: --backends {rung.name} runs it"
    return reasons


def resolve(spec: str, argument: str = "backends") -> Backend:
    """Return the backend ``NAME``, or one version ``NAME:VERSION`` of it, such as "cupy:v3"."""
    backend: Any = load(rung_of(spec, argument))
    name, colon, _ = spec.partition(":")
    if colon:
        versions = {f"{name}:{v.name}": v for v in getattr(backend, "VERSIONS", ())}
        version = versions[as_choice(argument, spec, (name, *versions))]
        tasks = {task: partial(backend.launch, task, version=version) for task in TASKS}
        takes = partial(backend.fits, version)
        backend = SimpleNamespace(**tasks, unavailable=backend.unavailable, takes=takes)
    if reason := backend.unavailable():
        raise BackendUnavailable(f"backend {spec!r} cannot run here: {reason}")
    return cast(Backend, backend)


def rung_of(spec: str, argument: str = "backends") -> Rung:
    """Return the row of the ladder that ``spec`` names; an error is about ``argument``."""
    for rung in (*LADDER, CUDA_HOST):
        if rung.name == str(spec).partition(":")[0]:
            return rung
    names = [rung.name for rung in (*LADDER, CUDA_HOST)]
    need = "'auto' or " * (argument == "backend") + one_of(spec, names)
    raise ArgumentError(argument, f"is {spec!r}", need)


def arrays_taken(rung: Rung) -> str:
    """Return the kind of array that ``rung`` takes here: under a simulator of a GPU, NumPy's."""
    simulated = getattr(load(rung), "simulated", bool)
    return "numpy" if simulated() else rung.arrays


def select(name: str = "auto", arrays: str = "numpy") -> Backend:
    """Return the backend for arrays of the kind ``arrays``; one that is named has no substitute."""
    if name == "auto":
        name = _chosen.get()  # of the surrounding `use_backend`
    if name == "auto":  # the highest rung that can run here on such arrays
        rungs = [rung for rung in reversed(LADDER) if rung.arrays == arrays]
        usable = (r for r in rungs if not load(r).unavailable() and arrays_taken(r) == arrays)
        name = next(usable, rungs[0]).name
    backend = resolve(name, "backend")
    if (taken := arrays_taken(rung_of(name))) != arrays:
        libraries = {"numpy": "NumPy", "cupy": "CuPy"}
        move = {"numpy": "cupy.asnumpy", "cupy": "cupy.asarray"}[taken]
        need = f"a {libraries[taken]} array for backend {name!r}, such as {move}(x)"
        raise WrongTypeError("x", f"is a {libraries[arrays]} array", need)
    return backend


class FusingBackend(Protocol):
    """A backend that can also generate the kernels itself, for inference."""

    generate_and_apply: Callable[..., Array]


def fusing(x: Array, geom: Geometry, features: int) -> FusingBackend | None:
    """Return the backend for ``x`` if its `generate_and_apply` should be faster, else None."""
    backend: Any = select("auto", kind_of_array(x) or "numpy")
    return backend if hasattr(backend, "fuses") and backend.fuses(x, geom, features) else None


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Run every ``backend="auto"`` inside the ``with`` block on the backend called ``name``.

    The choice belongs to the current thread or asynchronous task and ends with the block.

    Parameters
    ----------
    name : str
        As for `resolve`, or "auto".

    Raises
    ------
    ValueError, BackendUnavailable
        At once, if there is no such backend or it cannot run here.

    Examples
    --------
    >>> import numpy as np, involution_edu as inv
    >>> with inv.use_backend("shifts"):
    ...     y = inv.involution(np.ones((1, 1, 2, 2)), np.ones((1, 1, 3, 3, 2, 2)))
    >>> y[0, 0]
    array([[4., 4.],
           [4., 4.]])
    """
    if name != "auto":
        select(name, arrays_taken(rung_of(name, "backend")))
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)
