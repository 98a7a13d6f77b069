"""Who takes part in the benchmark of a GPU: every version of both rungs, and PyTorch.

v1 of ``cupy`` reads memory as the authors' own CUDA kernels do: a thread for each result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ..arrays import Array, array_module
from ..backends import BackendUnavailable, cupy_raw, gpu, numba_cuda
from ..backends.cuda import fused
from ..backends.cuda.versions import VERSIONS, Version
from ..geometry import Geometry
from .contenders import torch_unavailable, unfold_multiply_sum

Call = Callable[[], Any]
Calls = Mapping[str, Call]  # by task
# From x, kernel, dy, features, weight and bias on the GPU; the last three make a kernel.
Prepare = Callable[[Sequence[Any], Geometry], Calls]
FUSED = fused.TASK
ONE_LAUNCH, TWO_LAUNCHES = "cupy fused", "cupy in two launches"


def gpu_contenders() -> tuple[dict[str, Prepare], dict[str, str]]:
    """Return those that take part, and why the others do not."""
    contenders: dict[str, Prepare] = {}
    absent = {}
    for name, module, versions in (
        ("cupy", cupy_raw, VERSIONS),
        ("numba_cuda", numba_cuda, numba_cuda.VERSIONS),
    ):
        if (reason := module.unavailable() or gpu.why_no_gpu()) is not None:
            absent[name] = reason
            continue
        for version in versions:
            contenders[f"{name} {version.name}"] = partial(_rung, module.launch, version)
    if "cupy" not in absent:
        contenders |= {ONE_LAUNCH: _one_launch, TWO_LAUNCHES: _two_launches}
    if not contenders:
        raise BackendUnavailable(f"the benchmark of a GPU cannot run here: {absent['cupy']}")
    peers: dict[str, Prepare] = {"torch eager": _eager, "torch.compile": _compiled}
    if (reason := _no_torch()) is not None:
        return contenders, {**absent, **dict.fromkeys(peers, reason)}
    return {**contenders, **peers}, absent


def _no_torch() -> str | None:
    if (reason := torch_unavailable()) is not None:
        return reason
    import torch

    if not torch.cuda.is_available():
        return "torch has no CUDA here: pip install torch, as pytorch.org says for CUDA"
    return None


def _rung(
    launch: Callable[..., Array],
    version: Version,
    operands: Sequence[Array],
    geom: Geometry,
) -> Calls:
    x, kernel, dy, *_ = operands
    return {
        "forward": lambda: launch("forward", x, kernel, geom, version),
        "backward_input": lambda: launch("backward_input", dy, kernel, geom, version),
        "backward_kernel": lambda: launch("backward_kernel", dy, x, geom, version),
    }


def _one_launch(operands: Sequence[Array], geom: Geometry) -> Calls:
    x, _, _, features, weight, bias = operands
    return {FUSED: lambda: cupy_raw.generate_and_apply(x, features, weight, bias, geom)}


def _two_launches(operands: Sequence[Array], geom: Geometry) -> Calls:
    """Return what a layer does that does not fuse: the kernel goes through memory."""
    x, _, _, features, weight, bias = operands

    def call() -> Array:
        kernel = generate(features, weight, bias, geom)
        return cupy_raw.forward(x, kernel, geom)

    return {FUSED: call}


def generate(features: Array, weight: Array, bias: Array, geom: Geometry) -> Array:
    """Return kernel[n, g, u, v, i, j], whose entry o = (g*K_h + u)*K_w + v is a product."""
    pixels = features.reshape(*features.shape[:2], -1)  # (N, C_r, H_out·W_out)
    kernel = array_module(features).matmul(weight, pixels)
    kernel += bias[:, None]
    result: Array = kernel.reshape(geom.kernel_shape)
    return result


def _eager(operands: Sequence[Array], geom: Geometry) -> Calls:
    import torch

    tx, tkernel, tdy = map(torch.from_dlpack, operands[:3])
    leaves = tx.detach().requires_grad_(), tkernel.detach().requires_grad_()
    y = unfold_multiply_sum(*leaves, geom)

    def gradient(leaf: Any) -> Any:
        return torch.autograd.grad(y, leaf, tdy, retain_graph=True)[0]

    return {
        "forward": lambda: unfold_multiply_sum(tx, tkernel, geom),
        "backward_input": lambda: gradient(leaves[0]),
        "backward_kernel": lambda: gradient(leaves[1]),
    }


def _compiled(operands: Sequence[Array], geom: Geometry) -> Calls:
    import torch

    function = torch.compile(unfold_multiply_sum, dynamic=False, fullgraph=True)
    tx, tkernel = map(torch.from_dlpack, operands[:2])
    return {"forward": lambda: function(tx, tkernel, geom)}
