"""The ladder: one table of backends, each one idea faster than the one before it.

A backend is a module with four functions. It is handed checked, contiguous arrays and returns
new ones::

    forward(x, kernel, geom) -> y
    backward_input(dy, kernel, geom) -> dx
    backward_kernel(dy, x, geom) -> dkernel
    unavailable() -> None, or why it cannot run here and what to do about it

To add a rung, write such a module and add its row to `LADDER`: the tests, ``compare`` and
``gradcheck`` read that table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from ..geometry import Array, Geometry


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
    """One row of the ladder: its name, its module and what it does better than the row above."""

    name: str
    module: str
    idea: str


LADDER = (
    Rung("loops", "loops", "the equation, one product at a time"),
    Rung("windows", "windows", "every window laid out as a view, one einsum"),
    Rung("shifts", "shifts", "K_h·K_w shifted multiply-adds, no window ever copied"),
    Rung("numba", "numba_cpu", "the loops compiled, run on all cores"),
)

_chosen: ContextVar[str] = ContextVar("involution_edu_backend", default="auto")


class BackendUnavailable(RuntimeError):
    """The named backend cannot run here; the message says why and what to do."""


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


def select(name: str = "auto") -> Backend:
    """Return the backend called ``name``.

    Parameters
    ----------
    name : str
        A name of the ladder, which runs or raises and never falls back; or "auto", which is the
        choice of the surrounding `use_backend`, else the highest rung that can run here.

    Raises
    ------
    ValueError
        If no backend has this name.
    BackendUnavailable
        If it has one that cannot run here.
    """
    if name == "auto":
        name = _chosen.get()
    if name == "auto":
        return next(b for b in map(load, reversed(LADDER)) if b.unavailable() is None)
    for rung in LADDER:
        if rung.name == name:
            backend = load(rung)
            if reason := backend.unavailable():
                raise BackendUnavailable(f"backend {name!r} cannot run here: {reason}")
            return backend
    names = ", ".join(repr(rung.name) for rung in LADDER)
    raise ValueError(f"backend is {name!r}; need 'auto' or one of {names}")


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Run every ``backend="auto"`` inside the ``with`` block on the backend called ``name``.

    The choice belongs to the current thread or asynchronous task and ends with the block.

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
    select(name)
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)
