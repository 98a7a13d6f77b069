"""Involution as its authors write it, in PyTorch: pool, reduce, span, unfold, multiply, sum.

Needs torch. Tests compare the layer with its autograd; ``make_golden.py`` records the results.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from involution_edu.arrays import Array
from involution_edu.geometry import Geometry


def involution(x: Any, kernel: Any, geom: Geometry) -> Any:
    """Unfold every window, multiply with the kernels, sum over the window."""
    columns = functional.unfold(x, geom.window, geom.dilation, geom.padding, geom.stride)
    windows = columns.view(
        geom.N, geom.G, geom.C_g, geom.window[0] * geom.window[1], geom.H_out, geom.W_out
    )
    kernel = kernel.view(geom.N, geom.G, 1, -1, geom.H_out, geom.W_out)
    return (kernel * windows).sum(dim=3).view(geom.y_shape)


def involution3d(x: Any, kernel: Any, *, stride: Any, padding: Any, dilation: Any) -> Any:
    """Unfold every window of volumes, multiply with the kernels, sum over the window."""
    windows = functional.pad(x, [p for p in reversed(padding) for _ in range(2)])
    for axis, (k, s, d) in enumerate(zip(kernel.shape[2:5], stride, dilation, strict=True), 2):
        windows = windows.unfold(axis, d * (k - 1) + 1, s)
    windows = windows[..., :: dilation[0], :: dilation[1], :: dilation[2]]
    by_group = windows.reshape(len(x), kernel.shape[1], -1, *windows.shape[2:])
    y = torch.einsum("ngcdhwtuv,ngtuvdhw->ngcdhw", by_group, kernel)
    return y.reshape(*x.shape[:2], *y.shape[3:])


class Unit(nn.Module):  # type: ignore[misc]
    """A 1x1 convolution, batch norm and ReLU, under the names of the authors' checkpoints."""

    def __init__(self, channels: int, out_channels: int, sigma: str, bias: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels, 1, bias=bias)
        if sigma == "bn-relu":
            self.bn = nn.BatchNorm2d(out_channels)
        self.sigma = sigma

    def forward(self, x: Any) -> Any:
        x = self.conv(x)
        if self.sigma == "bn-relu":
            x = self.bn(x)
        return x if self.sigma == "identity" else functional.relu(x)


class TorchInvolution2d(nn.Module):  # type: ignore[misc]
    """The layer, with ceil-mode pooling and the sizes of ``geom``."""

    def __init__(self, geom: Geometry, *, channels: int, reduction: int, sigma: str) -> None:
        super().__init__()
        self.geom = geom
        self.pool = nn.AvgPool2d(geom.stride, geom.stride, ceil_mode=True)
        spanned = geom.G * geom.window[0] * geom.window[1]
        self.conv1 = Unit(channels, channels // reduction, sigma, bias=False)
        self.conv2 = Unit(channels // reduction, spanned, "identity", bias=True)
        if channels != geom.C:
            self.project = nn.Conv2d(channels, geom.C, 1, bias=False)

    def forward(self, x: Any) -> Any:
        pooled = self.pool(x) if max(self.geom.stride) > 1 else x
        self.kernel = self.conv2(self.conv1(pooled))
        x = self.project(x) if hasattr(self, "project") else x
        return involution(x, self.kernel, self.geom)


class TorchInvolution3d(nn.Module):  # type: ignore[misc]
    """The layer for volumes; every size is a triple, and an image is a volume of depth 1."""

    def __init__(self, channels: int, groups: int, mode: str, **sizes: Any) -> None:
        super().__init__()
        self.groups, self.mode, self.sizes = groups, mode, sizes
        self.conv1 = Unit(channels, channels // 4, "bn-relu", bias=False)
        self.conv2 = Unit(
            channels // 4, groups * int(np.prod(sizes["window"])), "identity", bias=True
        )

    def forward(self, x: Any) -> Any:
        window, stride, padding, dilation = (
            self.sizes[name] for name in ("window", "stride", "padding", "dilation")
        )
        middles = x  # of the windows, each with the rest of its stride
        sides = [p for p in reversed(padding) for _ in range(2)]
        mode = {"zeros": "constant"}.get(self.mode, self.mode)
        padded = functional.pad(x, sides, mode=mode)
        out = []
        for axis, (k, s, p, d) in enumerate(zip(window, stride, padding, dilation, strict=True), 2):
            out.append((x.shape[axis] + 2 * p - d * (k - 1) - 1) // s + 1)
            first = d * (k - 1) // 2 - p
            last = min(first + out[-1] * s, x.shape[axis])
            middles = middles.narrow(axis, first, last - first)
        pooled = functional.avg_pool3d(middles, stride, stride, ceil_mode=True)
        kernel = self.conv2(self.conv1(pooled.flatten(3)))
        kernel = kernel.view(len(x), self.groups, *window, *out)
        return involution3d(padded, kernel, stride=stride, padding=(0, 0, 0), dilation=dilation)


def operator_results(x: Array, kernel: Array, dy: Array, geom: Geometry) -> dict[str, Array]:
    """Return y, dx and dkernel by autograd."""
    tx, tkernel = (torch.tensor(a, requires_grad=True) for a in (x, kernel))
    y = involution(tx, tkernel, geom)
    y.backward(torch.tensor(dy))
    return {"y": y.detach().numpy(), "dx": tx.grad.numpy(), "dkernel": tkernel.grad.numpy()}


def operator3d_results(x: Array, kernel: Array, dy: Array, **options: Any) -> dict[str, Array]:
    """Return y, dx and dkernel of volumes by autograd."""
    tx, tkernel = (torch.tensor(a, requires_grad=True) for a in (x, kernel))
    y = involution3d(tx, tkernel, **options)
    y.backward(torch.tensor(dy))
    return {"y": y.detach().numpy(), "dx": tx.grad.numpy(), "dkernel": tkernel.grad.numpy()}


def module_results(module: Any, x: Array, dy: Array) -> dict[str, Array]:
    """Return y, dx, the gradient of every parameter and the buffers after one pass."""
    module.zero_grad()
    tx = torch.tensor(x, requires_grad=True)
    y = module(tx)
    y.backward(torch.tensor(dy))
    gradients = {f"d{name}": p.grad.numpy() for name, p in module.named_parameters()}
    buffers = {name: buffer.numpy() for name, buffer in module.named_buffers()}
    return {"y": y.detach().numpy(), "dx": tx.grad.numpy(), **gradients, **buffers}


def load(module: Any, state: dict[str, Array]) -> Any:
    """Load our parameters and buffers into a torch module, by the same names; strictly."""
    tensors = {name: torch.tensor(np.asarray(array)) for name, array in state.items()}
    module.load_state_dict(tensors, strict=True)
    return module
