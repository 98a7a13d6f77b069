"""Who takes part: the backends, and PyTorch with the formula that the authors published."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..arrays import Array
from ..backends import numba_cpu, select
from ..geometry import Geometry


@dataclass(frozen=True, slots=True)
class Job:
    """One contender on one shape, its operands bound.

    ``forward()`` returns y, ``both()`` returns y, dx and dkernel; None if there is no such thing.
    """

    forward: Callable[[], Any]
    both: Callable[[], tuple[Any, Any, Any]] | None


Prepare = Callable[[Array, Array, Array, Geometry], Job]


def threads() -> int:
    """Return how many threads every contender may use."""
    if numba_cpu.unavailable() is None:
        return numba_cpu.max_threads()
    return os.cpu_count() or 1


def contender(name: str) -> Prepare:
    """Return what makes a `Job` from x, kernel, dy and their geometry, for a backend or a peer."""
    return PEERS[name] if name in PEERS else _backend(name)


def _backend(name: str) -> Prepare:
    backend = select(name)

    def prepare(x: Array, kernel: Array, dy: Array, geom: Geometry) -> Job:
        def forward() -> Array:
            return backend.forward(x, kernel, geom)

        def both() -> tuple[Array, Array, Array]:
            dx = backend.backward_input(dy, kernel, geom)
            return forward(), dx, backend.backward_kernel(dy, x, geom)

        return Job(forward, both)

    return prepare


def unfold_multiply_sum(x: Any, kernel: Any, geom: Geometry) -> Any:
    """Return y as the authors' PyTorch code does: every window is copied out, K² times ``x``."""
    from torch.nn import functional

    columns = functional.unfold(x, geom.window, geom.dilation, geom.padding, geom.stride)
    windows = columns.view(geom.N, geom.G, geom.C_g, -1, geom.H_out, geom.W_out)
    kernel = kernel.view(geom.N, geom.G, 1, -1, geom.H_out, geom.W_out)
    return (kernel * windows).sum(dim=3).view(geom.y_shape)


def torch_unavailable() -> str | None:
    """Return None if PyTorch can be imported, else the reason."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        return f"torch cannot be imported ({error}): pip install torch"
    return None


def _eager(x: Array, kernel: Array, dy: Array, geom: Geometry) -> Job:
    import torch

    torch.set_num_threads(threads())
    tx, tkernel, tdy = map(torch.from_numpy, (x, kernel, dy))
    leaves = tx.clone().requires_grad_(), tkernel.clone().requires_grad_()

    def both() -> tuple[Any, Any, Any]:
        y = unfold_multiply_sum(*leaves, geom)
        y.backward(tdy)
        dx, dkernel = (leaf.grad for leaf in leaves)
        for leaf in leaves:
            leaf.grad = None  # or the next gradients are added to these
        return y.detach(), dx, dkernel

    return Job(lambda: unfold_multiply_sum(tx, tkernel, geom), both)


@cache
def _compiled_formula() -> Callable[[Any, Any, Geometry], Any]:
    import torch

    compiled: Callable[[Any, Any, Geometry], Any] = torch.compile(
        unfold_multiply_sum, dynamic=False, fullgraph=True
    )
    return compiled


def _compiled(x: Array, kernel: Array, dy: Array, geom: Geometry) -> Job:
    """Return the compiled forward pass; compiled here, which takes seconds the first time."""
    import torch

    torch.set_num_threads(threads())
    tx, tkernel = map(torch.from_numpy, (x, kernel))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's compiler imports what PyTorch deprecates
        function = _compiled_formula()
        function(tx, tkernel, geom)
    return Job(lambda: function(tx, tkernel, geom), None)


PEERS: dict[str, Prepare] = {"torch eager": _eager, "torch.compile": _compiled}
