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


def operator_results(x: Array, kernel: Array, dy: Array, geom: Geometry) -> dict[str, Array]:
    """Return y, dx and dkernel by autograd."""
    tx, tkernel = (torch.tensor(a, requires_grad=True) for a in (x, kernel))
    y = involution(tx, tkernel, geom)
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
