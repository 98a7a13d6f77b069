"""The contenders: backends, their versions, PyTorch with the authors' formula, and JAX."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from .. import backends
from ..arguments import ArgumentError
from ..arrays import Array, array_module
from ..backends import LADDER, Backend, arrays_taken, cupy_raw, numba_cpu, numba_cuda
from ..backends.cuda import fused
from ..backends.cuda.versions import TASKS, VERSIONS
from ..cases import HALF_TOLERANCE, random_operands
from ..geometry import Geometry
from .presets import JAX, Batch
from .timing import Call

DEFINITION = LADDER[0].name
BOTH, FUSED = "both", fused.TASK
CPU_TASKS, GPU_TASKS = ("forward", BOTH), (*TASKS, FUSED)
# The tensor that a task computes; BOTH computes those of TASKS.
TENSORS = {"forward": "y", "backward_input": "dx", "backward_kernel": "dkernel", FUSED: "y"}
REDUCTION = 4  # channels of x for one of the features that kernels are generated from
ONE_LAUNCH, TWO_LAUNCHES = "cupy fused", "cupy unfused"
# PyTorch rounds each product to float16, two launches each entry of the kernel: 49 by up to 2^-11.
ROUNDING_TOLERANCE = 4e-3

Job = Mapping[str, Call]  # a call for each task, its operands bound
Prepare = Callable[[Sequence[Any], Any], Job]  # of operands, and their Geometry or Batch


@dataclass(frozen=True, slots=True)
class Contender:
    """One implementation to be timed: a peer, or NAME or NAME:VERSION of a backend."""

    name: str
    prepare: Prepare
    tasks: tuple[str, ...] = CPU_TASKS  # those that its `Job` has are timed
    may_fail: bool = False  # an exception is the reason of its absence
    half_tolerance: float = HALF_TOLERANCE  # the error allowed in float16

    def job(self, operands: Sequence[Any], size: Geometry | Batch) -> Job:
        """Return a call for each of the tasks."""
        calls = self.prepare(operands, size)
        return {task: calls[task] for task in self.tasks if task in calls}


def threads() -> int:
    """Return how many threads every contender may use."""
    return (os.cpu_count() or 1) if numba_cpu.unavailable() else numba_cpu.max_threads()


def make_operands(size: Geometry | Batch, dtype: Any) -> list[Array]:
    """Return x, kernel, dy, features, weight and bias; of a `Batch` images and labels; random."""
    if isinstance(size, Batch):
        images = np.random.default_rng(0).standard_normal(size.shape)
        return [images.astype(dtype), np.arange(size.images)]
    features, entries = size.C // REDUCTION, size.G * math.prod(size.window)
    shapes = (size.N, features, size.H_out, size.W_out), (entries, features), (entries,)
    rng = np.random.default_rng(1)
    x, weight, bias = (rng.standard_normal(shape, np.float32) for shape in shapes)
    generator = x, weight / features**0.5, bias
    return [*random_operands(size, dtype, seed=0), *(a.astype(dtype) for a in generator)]


def generate(features: Array, weight: Array, bias: Array, *, geom: Geometry) -> Array:
    """Return kernel[n, g, u, v, i, j], whose entry o = (g*K_h + u)*K_w + v is a product."""
    pixels = features.reshape(*features.shape[:2], -1)  # (N, C_r, H_out·W_out)
    kernel: Array = array_module(features).matmul(weight, pixels)
    kernel += bias[:, None]
    return kernel.reshape(geom.kernel_shape)


def contender(name: str, tasks: tuple[str, ...] = CPU_TASKS) -> Contender:
    """Return the peer or the backend called ``name``."""
    if name in PEERS:
        return Contender(name, PEERS[name], tasks, True, ROUNDING_TOLERANCE)
    job = partial(_backend_job, backends.resolve(name))
    return Contender(name, job, tasks, may_fail=tasks != CPU_TASKS)


def contenders(
    arrays: str, specs: Sequence[str] | None, peers: Sequence[str]
) -> tuple[list[Contender], dict[str, str]]:
    """Return the backends on this kind of array, then the peers; and the reasons of absence."""
    on_gpu = arrays == "cupy"
    tasks = TASKS if on_gpu else CPU_TASKS
    names = [rung.name for rung in LADDER[1:] if arrays_taken(rung) == arrays]
    slow = "takes minutes on these shapes; all rungs are compared with it on small ones"
    absent = {} if on_gpu else {DEFINITION: slow}
    layers: list[Contender] = []
    for spec in specs or ():
        if spec.partition(":")[0] not in names:
            need = f"some of {', '.join(map(repr, names))}"
            raise ArgumentError("backends", f"is {spec!r}", need)
    if specs is None:
        reasons = backends.available_backends()
        for name in names if on_gpu else [rung.name for rung in LADDER[1:]]:
            if reasons[name] or name not in names:
                absent[name] = reasons[name] or "takes CuPy arrays: --preset gpu times it"
        specs = names = [name for name in names if name not in absent]
        if on_gpu and not names:
            why = f"the benchmark of a GPU cannot run here: {absent['cupy']}"
            raise backends.BackendUnavailable(why)
        if on_gpu:
            versions = {"cupy": VERSIONS, "numba_cuda": numba_cuda.VERSIONS}
            specs = [f"{name}:{version.name}" for name in names for version in versions[name]]
            if "cupy" in names:
                two_launches = partial(_backend_job, backends.resolve("cupy"))
                layers = [
                    Contender(ONE_LAUNCH, _one_launch, (FUSED,), True, 2 * HALF_TOLERANCE),
                    Contender(TWO_LAUNCHES, two_launches, (FUSED,), True, ROUNDING_TOLERANCE),
                ]
    found = [contender(spec, tasks) for spec in dict.fromkeys(specs)] + layers
    for name in peers:
        reason = jax_unavailable() if name == JAX else torch_unavailable(cuda=on_gpu)
        if reason is None:
            found.append(contender(name, tasks))
        else:
            absent[name] = reason
    return found, absent


def _one_launch(operands: Sequence[Array], geom: Geometry) -> Job:
    x, _, _, features, weight, bias = operands
    return {FUSED: partial(cupy_raw.generate_and_apply, x, features, weight, bias, geom)}


def _backend_job(backend: Backend, operands: Sequence[Any], geom: Geometry) -> Job:
    x, kernel, dy, *generator = operands
    pairs = zip(TASKS, ((x, kernel), (dy, kernel), (dy, x)), strict=True)
    job = {task: partial(getattr(backend, task), *pair, geom) for task, pair in pairs}
    return {
        **job,
        BOTH: lambda: tuple(call() for call in job.values()),
        FUSED: lambda: backend.forward(x, generate(*generator, geom=geom), geom),
    }


def torch_unavailable(*, cuda: bool = False) -> str | None:
    """Return None if PyTorch can be imported, and with ``cuda`` has a GPU; else the reason."""
    try:
        import torch

        on_gpu = torch.cuda.is_available()
    except Exception as error:  # noqa: BLE001 - a damaged installation may raise anything
        return f"torch cannot be imported ({one_line(error)}): pip install torch"
    if cuda and not on_gpu:
        return "torch has no CUDA here: pip install torch, as pytorch.org says for CUDA"
    return None


def jax_unavailable() -> str | None:
    """Return None if JAX can be imported, else the reason."""
    try:
        import jax  # noqa: F401
    except Exception as error:  # noqa: BLE001 - a damaged installation may raise anything
        return f"jax cannot be imported ({one_line(error)}): pip install jax"
    return None


def one_line(error: Exception) -> str:
    """Return the type and the message of an error, shortened."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def unfold_multiply_sum(x: Any, kernel: Any, geom: Geometry) -> Any:
    """Return y as the authors' PyTorch code does: every window is copied out, K² times ``x``."""
    from torch.nn import functional

    columns = functional.unfold(x, geom.window, geom.dilation, geom.padding, geom.stride)
    windows = columns.view(geom.N, geom.G, geom.C_g, -1, geom.H_out, geom.W_out)
    kernel = kernel.view(geom.N, geom.G, 1, -1, geom.H_out, geom.W_out)
    return (kernel * windows).sum(dim=3).view(geom.y_shape)


def torch_eager(operands: Sequence[Array], geom: Geometry) -> Job:
    """Return the formula and its gradients by autograd."""
    import torch

    torch.set_num_threads(threads())
    x, kernel, dy = map(torch.from_dlpack, operands[:3])
    leaves = x.detach().requires_grad_(), kernel.detach().requires_grad_()

    graph = cache(lambda: unfold_multiply_sum(*leaves, geom))

    def both() -> tuple[Any, ...]:
        y = unfold_multiply_sum(*leaves, geom)
        return y.detach(), *torch.autograd.grad(y, leaves, dy)

    def gradient(leaf: Any) -> Any:
        return torch.autograd.grad(graph(), leaf, dy, retain_graph=True)[0]

    return {
        "forward": lambda: unfold_multiply_sum(x, kernel, geom),
        "backward_input": lambda: gradient(leaves[0]),
        "backward_kernel": lambda: gradient(leaves[1]),
        BOTH: both,
    }


def torch_compile(operands: Sequence[Array], geom: Geometry) -> Job:
    """Return the compiled forward pass; compiled here, which takes seconds the first time."""
    import torch

    torch.set_num_threads(threads())
    x, kernel = map(torch.from_dlpack, operands[:2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's compiler imports what PyTorch deprecates
        torch.compiler.reset()  # each size is compiled, and after 8 of one function no more is
        function = torch.compile(unfold_multiply_sum, dynamic=False, fullgraph=True)
        function(x, kernel, geom)
    return {"forward": lambda: function(x, kernel, geom)}


def jax_jit(operands: Sequence[Array], geom: Geometry) -> Job:
    """Return a sum over shifted images, compiled by XLA, and its gradients by `jax.vjp`."""
    import jax
    import jax.numpy as jnp

    (p_h, p_w), grouped = geom.padding, (geom.N, geom.G, geom.C_g)

    def shifts(x: Any, kernel: Any) -> Any:
        padded = jnp.pad(x, ((0, 0), (0, 0), (p_h, p_h), (p_w, p_w)))
        padded = padded.reshape(*grouped, *padded.shape[2:])
        products = (
            kernel[:, :, None, u, v] * padded[..., *geom.pixels_under(u, v)] for u, v in geom.taps()
        )
        return sum(products).reshape(geom.y_shape)

    def both(x: Any, kernel: Any, dy: Any) -> Any:
        y, gradients = jax.vjp(shifts, x, kernel)
        return y, *gradients(dy)

    x, kernel, dy = map(jnp.asarray, operands[:3])
    calls = {"forward": (jax.jit(shifts), (x, kernel)), BOTH: (jax.jit(both), (x, kernel, dy))}
    return {task: partial(_finished, call, *given) for task, (call, given) in calls.items()}


def _finished(call: Callable[..., Any], *given: Any) -> Any:
    import jax

    return jax.block_until_ready(call(*given))


PEERS: dict[str, Prepare] = {
    "torch eager": torch_eager,
    "torch.compile": torch_compile,
    JAX: jax_jit,
}
