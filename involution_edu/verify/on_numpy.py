"""Any backend on NumPy arrays: a GPU's backend gets copies on the GPU."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

from ..arrays import Array
from ..backends import CUDA_HOST, Backend, arrays_taken, resolve, rung_of
from ..backends.cuda.versions import TASKS
from ..geometry import Geometry


def on_numpy(spec: str) -> Any:
    """Return the `Backend` called ``NAME`` or ``NAME:VERSION``, with functions of NumPy arrays."""
    backend = resolve(spec)
    if arrays_taken(rung_of(spec)) == "numpy":
        return backend
    import cupy

    def run(task: str, a: Array, b: Array, geom: Geometry) -> Any:
        return cupy.asnumpy(getattr(backend, task)(cupy.asarray(a), cupy.asarray(b), geom))

    tasks = {task: partial(run, task) for task in TASKS}
    return SimpleNamespace(**tasks, takes=partial(takes, backend))


def takes(backend: Any, geom: Geometry, dtype: Any) -> bool:
    """Return whether a backend can compute these sizes; only a single version may not."""
    return bool(not hasattr(backend, "takes") or backend.takes(geom, dtype))


def simulated(spec: str) -> bool:
    """Return whether a backend runs in a simulator of a GPU, too slow for realistic sizes."""
    rung = rung_of(spec)
    return rung is CUDA_HOST or arrays_taken(rung) != rung.arrays


def results(backend: Backend, operands: Sequence[Any], geom: Geometry) -> dict[str, Array]:
    """Return y, dx and dkernel by name from (x, kernel, dy)."""
    x, kernel, dy = operands
    dx, dkernel = backend.backward_input(dy, kernel, geom), backend.backward_kernel(dy, x, geom)
    return {"y": backend.forward(x, kernel, geom), "dx": dx, "dkernel": dkernel}
