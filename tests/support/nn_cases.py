"""Layers under test, with a forward and a backward pass of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from involution_edu import nn
from involution_edu.arrays import Array
from involution_edu.geometry import Geometry, make_geometry


@dataclass(frozen=True)
class LayerCase:
    """One Involution2d with the size of its input."""

    x_shape: tuple[int, int, int, int]
    options: dict[str, Any]

    def layer(self, dtype: Any, seed: int = 3) -> nn.Involution2d:
        """Return the layer with every weight, also of BatchNorm, different from its initial value."""
        layer = nn.Involution2d(self.x_shape[1], rng=seed, dtype=dtype, **self.options)
        rng = np.random.default_rng(seed + 1)
        for parameter in layer.parameters():
            parameter.data += 0.3 * rng.standard_normal(parameter.data.shape).astype(dtype)
        return layer

    def geometry(self) -> Geometry:
        """Return the geometry of the operator inside the layer."""
        options = self.options
        n, c, h, w = self.x_shape
        out = options.get("out_channels", c)
        return make_geometry(
            (n, out, h, w),
            options.get("groups") or out // options.get("group_channels", 16),
            options.get("kernel_size", 7),
            options.get("stride", 1),
            options.get("dilation", 1),
        )


LAYERS = {
    "as the authors run it": LayerCase((2, 32, 9, 7), {}),
    "stride 2, even sizes": LayerCase((2, 8, 6, 10), {"kernel_size": 3, "stride": 2, "groups": 2}),
    "stride 2, odd sizes": LayerCase((2, 8, 7, 9), {"kernel_size": 5, "stride": 2, "groups": 4}),
    "stride (3, 1), window 3x5": LayerCase(
        (1, 8, 7, 6), {"kernel_size": (3, 5), "stride": (3, 1), "groups": 2}
    ),
    "dilation 2": LayerCase((2, 8, 6, 7), {"kernel_size": 3, "dilation": 2, "groups": 2}),
    "more channels out": LayerCase(
        (2, 6, 5, 7), {"kernel_size": 3, "out_channels": 9, "groups": 3, "reduction": 2}
    ),
    "fewer channels out, stride 2": LayerCase(
        (1, 12, 5, 6), {"kernel_size": 3, "out_channels": 4, "group_channels": 2, "stride": 2}
    ),
    "relu alone": LayerCase((2, 8, 4, 5), {"kernel_size": 3, "groups": 8, "sigma": "relu"}),
    "no sigma": LayerCase((2, 8, 5, 4), {"kernel_size": 3, "groups": 1, "sigma": "identity"}),
    "no reduction": LayerCase((2, 3, 6, 5), {"kernel_size": 5, "groups": 1, "reduction": 1}),
}


# Constructors of layers for six channels, and the same layers in PyTorch, if it has them.
SIMPLE: dict[str, tuple[Callable[[Any], nn.Module], str]] = {
    "1x1 conv": (lambda dtype: nn.Conv2d(6, 4, rng=0, dtype=dtype), "Conv2d(6, 4, 1)"),
    "3x3 conv, stride 2": (
        lambda dtype: nn.Conv2d(6, 4, 3, stride=2, padding=1, bias=False, rng=0, dtype=dtype),
        "Conv2d(6, 4, 3, stride=2, padding=1, bias=False)",
    ),
    "1x1 conv, stride 2": (
        lambda dtype: nn.Conv2d(6, 8, 1, stride=2, bias=False, rng=0, dtype=dtype),
        "Conv2d(6, 8, 1, stride=2, bias=False)",
    ),
    "3x5 conv, dilation (2, 1)": (
        lambda dtype: nn.Conv2d(6, 5, (3, 5), padding="same", dilation=(2, 1), rng=0, dtype=dtype),
        "Conv2d(6, 5, (3, 5), padding='same', dilation=(2, 1))",
    ),
    "2x2 conv, stride (2, 3), no padding": (
        lambda dtype: nn.Conv2d(6, 2, 2, stride=(2, 3), padding="valid", rng=0, dtype=dtype),
        "Conv2d(6, 2, 2, stride=(2, 3))",
    ),
    "2x2 transposed conv": (
        lambda dtype: nn.ConvTranspose2d(6, 4, rng=0, dtype=dtype),
        "ConvTranspose2d(6, 4, 2, stride=2)",
    ),
    "resize to (5, 3)": (
        lambda dtype: nn.Resize2d((5, 3)),
        "Upsample((5, 3), mode='bilinear')",
    ),
    "resize by 2, nearest": (
        lambda dtype: nn.Resize2d(scale=2, mode="nearest"),
        "Upsample(scale_factor=2)",
    ),
    "resize to 4, area": (lambda dtype: nn.Resize2d(4, mode="area"), "AdaptiveAvgPool2d(4)"),
    "depthwise conv": (
        lambda dtype: nn.DepthwiseConv2d(6, (3, 5), stride=(1, 2), rng=0, dtype=dtype),
        "",
    ),
    "attention": (lambda dtype: nn.LocalAttention2d(6, 3, groups=2, rng=0, dtype=dtype), ""),
    "attention, zeros, stride 2": (
        lambda dtype: nn.LocalAttention2d(
            6, 3, groups=3, outside="zero", stride=2, rng=0, dtype=dtype
        ),
        "",
    ),
    "batch norm": (lambda dtype: nn.BatchNorm2d(6, dtype=dtype), "BatchNorm2d(6)"),
    "relu": (lambda dtype: nn.ReLU(), "ReLU()"),
    "pool 2": (lambda dtype: nn.AvgPool2d(2), "AvgPool2d(2, ceil_mode=True)"),
    "pool (3, 2)": (lambda dtype: nn.AvgPool2d((3, 2)), "AvgPool2d((3, 2), ceil_mode=True)"),
    "pool 3, stride 2": (
        lambda dtype: nn.AvgPool2d(3, stride=2),
        "AvgPool2d(3, 2, ceil_mode=True)",
    ),
    "pool 2, stride 3": (
        lambda dtype: nn.AvgPool2d(2, stride=3),
        "AvgPool2d(2, 3, ceil_mode=True)",
    ),
    "pool 5, stride (1, 4)": (
        lambda dtype: nn.AvgPool2d(5, stride=(1, 4)),
        "AvgPool2d(5, (1, 4), ceil_mode=True)",
    ),
    "max pool 2": (lambda dtype: nn.MaxPool2d(2), "MaxPool2d(2)"),
    "max pool 3, stride 2, padding 1": (
        lambda dtype: nn.MaxPool2d(3, stride=2, padding=1),
        "MaxPool2d(3, 2, 1)",
    ),
    "max pool (5, 2), stride (1, 3), padding (2, 0)": (
        lambda dtype: nn.MaxPool2d((5, 2), stride=(1, 3), padding=(2, 0)),
        "MaxPool2d((5, 2), (1, 3), (2, 0))",
    ),
    "reflect (1, 3)": (
        lambda dtype: nn.Pad2d((1, 3), "reflect"),
        "ReflectionPad2d((3, 3, 1, 1))",
    ),
    "replicate 6": (lambda dtype: nn.Pad2d(6, "replicate"), "ReplicationPad2d(6)"),
    "circular (5, 2)": (
        lambda dtype: nn.Pad2d((5, 2), "circular"),
        "CircularPad2d((2, 2, 5, 5))",
    ),
    "global pool": (
        lambda dtype: nn.GlobalAvgPool2d(),
        "Sequential(AdaptiveAvgPool2d(1), Flatten())",
    ),
    "global pool, linear": (
        lambda dtype: nn.Sequential(nn.GlobalAvgPool2d(), nn.Linear(6, 5, rng=0, dtype=dtype)),
        "Sequential(Sequential(AdaptiveAvgPool2d(1), Flatten()), Linear(6, 5))",
    ),
    "global pool, linear without bias": (
        lambda dtype: nn.Sequential(
            nn.GlobalAvgPool2d(), nn.Linear(6, 1, bias=False, rng=0, dtype=dtype)
        ),
        "Sequential(Sequential(AdaptiveAvgPool2d(1), Flatten()), Linear(6, 1, bias=False))",
    ),
}


def random(shape: tuple[int, ...], dtype: Any, seed: int) -> Array:
    array: Array = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    return array


def run(module: nn.Module, x: Array, dy: Array) -> dict[str, Array]:
    """Return y, dx, the gradient of every parameter and the buffers after one pass."""
    module.zero_grad()
    y = module(x)
    dx = module.backward(dy)
    gradients = {f"d{name}": p.grad for name, p in module.named_parameters().items()}
    learned = module.named_parameters()
    buffers = {name: a for name, a in module.state_dict().items() if name not in learned}
    return {"y": y, "dx": dx, **gradients, **buffers}
