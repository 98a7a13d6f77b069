"""The ladder: one table of backends, each one idea faster than the one before it.

A backend is a module with four functions. It is handed checked, contiguous arrays and returns
new ones::

    forward(x, kernel, geom) -> y
    backward_input(dy, kernel, geom) -> dx
    backward_kernel(dy, x, geom) -> dkernel
    unavailable() -> None, or why it cannot run here and what to do about it

To add a rung, write such a module and add its row to `LADDER`: the tests, ``compare`` and
``gradcheck`` read that table. The type of the arrays decides which rungs can take part: NumPy
arrays never hop to a GPU, nor CuPy arrays to the processor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast

from ..arguments import ArgumentError, WrongTypeError
from ..arrays import Array, kind_of_array
from ..geometry import Geometry


class Backend(Protocol):
    """What a backend's module provides."""

    def forward(self, x: Array, kernel: Array, geom: Geometry) -> Array:
        """Return y (N, C, H_out, W_out)."""

    def backward_input(self, dy: Array, kernel: Array, geom: Geometry) -> Array:
        """Return dx (N, C, H, W)."""

    def backward_kernel(self, dy: Array, x: Array, geom: Geometry) -> Array:
        """Return dkernel (N, G, K_h, K_w, H_out, W_out)."""

    def unavailable(self) -> str | None:
        """Return None if this backend can run here, else the reason and the fix."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One row of the ladder: its name, its module and what it does better than the row above.

    ``arrays`` is the kind of array it takes and returns, "numpy" or "cupy"; see `kind_taken`.
    """

    name: str
    module: str
    idea: str
    arrays: str = "numpy"


LADDER = (
    Rung("loops", "loops", "the equation, one product at a time"),
    Rung("windows", "windows", "every window laid out as a view, one einsum"),
    Rung("shifts", "shifts", "K_h·K_w shifted multiply-adds, no window ever copied"),
    Rung("numba", "numba_cpu", "the loops compiled, run on all cores"),
    Rung(
        "numba_cuda", "numba_cuda", "CUDA in Python: what one thread of the GPU does", arrays="cupy"
    ),
    Rung("cupy", "cupy_raw", "CUDA C++: a thread of the GPU for each pixel", arrays="cupy"),
)

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
    return {
        rung.name: load(rung).unavailable()
        or (None if rung.arrays == "numpy" else "takes CuPy arrays: run pytest -m gpu")
        for rung in LADDER
    }


def select(name: str = "auto", arrays: str = "numpy") -> Backend:
    """Return the backend called ``name``.

    Parameters
    ----------
    name : str
        A name of the ladder, which runs or raises and never falls back; or "auto", which is the
        choice of the surrounding `use_backend`, else the highest rung that can run here on
        such arrays.
    arrays : {"numpy", "cupy"}
        The kind of array it will be handed.

    Raises
    ------
    ValueError
        If no backend has this name.
    BackendUnavailable
        If it has one that cannot run here.
    TypeError
        If that backend takes the other kind of array.
    """
    if name == "auto":
        name = _chosen.get()
    if name == "auto":
        rungs = [rung for rung in LADDER if rung.arrays == arrays]
        usable = (
            rung
            for rung in reversed(rungs)
            if load(rung).unavailable() is None and kind_taken(rung) == arrays
        )
        rung = next(usable, rungs[-1])
    else:
        rung = _called(name)
    backend = load(rung)
    if reason := backend.unavailable():
        raise BackendUnavailable(f"backend {rung.name!r} cannot run here: {reason}")
    if kind_taken(rung) != arrays:
        found, need, move = OTHER[arrays]
        raise WrongTypeError(
            "x", f"is a {found} array", f"a {need} array for backend {name!r}, such as {move}(x)"
        )
    return backend


@dataclass(frozen=True, slots=True)
class _Version:
    """One version of a rung, as a backend."""

    backend: Any
    version: Any

    def forward(self, x: Array, kernel: Array, geom: Geometry) -> Array:
        return cast(Array, self.backend.launch("forward", x, kernel, geom, self.version))

    def backward_input(self, dy: Array, kernel: Array, geom: Geometry) -> Array:
        return cast(Array, self.backend.launch("backward_input", dy, kernel, geom, self.version))

    def backward_kernel(self, dy: Array, x: Array, geom: Geometry) -> Array:
        return cast(Array, self.backend.launch("backward_kernel", dy, x, geom, self.version))

    def unavailable(self) -> str | None:
        return cast("str | None", self.backend.unavailable())


def resolve(spec: str) -> Backend:
    """Return the backend that ``spec``, NAME or NAME:VERSION, names.

    Raises
    ------
    ValueError
        If there is no such backend or version.
    BackendUnavailable
        If it cannot run here.
    """
    from .cuda.versions import VERSIONS

    name, colon, version = spec.partition(":")
    names = [rung.name for rung in LADDER]
    if name not in names:
        raise ArgumentError("backends", f"is {spec!r}", f"some of {', '.join(map(repr, names))}")
    rung = _called(name)
    backend = select(name, kind_taken(rung))
    if not colon:
        return backend
    known = {"cupy": VERSIONS, "numba_cuda": getattr(backend, "VERSIONS", ())}.get(name, ())
    found = next((v for v in known if v.name == version), None)
    if found is None:
        need = ", ".join(f"'{name}:{v.name}'" for v in known) or f"{name!r}, which has no versions"
        raise ArgumentError("backends", f"is {spec!r}", need)
    return _Version(backend, found)


def kind_taken(rung: Rung) -> str:
    """Return the kind of array that ``rung`` takes here.

    Under a simulator, a GPU's rung takes NumPy arrays. It does so only when it is named: "auto"
    goes by the table.
    """
    simulated: Callable[[], bool] | None = getattr(load(rung), "simulated", None)
    return "numpy" if simulated is not None and simulated() else rung.arrays


class FusingBackend(Backend, Protocol):
    """A backend that can also generate the kernels itself, for inference."""

    def fuses(self, x: Array, geom: Geometry, features: int) -> bool:
        """Return whether `generate_and_apply` is thought to be faster, from so many features."""

    def generate_and_apply(
        self, x: Array, features: Array, weight: Array, bias: Array, geom: Geometry
    ) -> Array:
        """Return y (N, C, H_out, W_out); no kernel is ever in memory."""


def fusing(x: Array, geom: Geometry, features: int) -> FusingBackend | None:
    """Return the backend for ``x`` if it had better generate the kernels itself, else None."""
    backend = select("auto", kind_of_array(x) or "numpy")
    if not hasattr(backend, "fuses"):
        return None
    own = cast(FusingBackend, backend)
    return own if own.fuses(x, geom, features) else None


# What to do with an array of this kind when the backend takes the other.
OTHER = {
    "numpy": ("NumPy", "CuPy", "cupy.asarray"),
    "cupy": ("CuPy", "NumPy", "cupy.asnumpy"),
}


def _called(name: str) -> Rung:
    for rung in LADDER:
        if rung.name == name:
            return rung
    names = ", ".join(repr(rung.name) for rung in LADDER)
    raise ArgumentError("backend", f"is {name!r}", f"'auto' or one of {names}")


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Run every ``backend="auto"`` inside the ``with`` block on the backend called ``name``.

    The choice belongs to the current thread or asynchronous task and ends with the block.

    Parameters
    ----------
    name : str
        A name of `available_backends`, or "auto".

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
        select(name, kind_taken(_called(name)))
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)
