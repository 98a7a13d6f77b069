"""Multiply-adds and other operations of each kind of layer, from the shapes that it takes and gives."""

from __future__ import annotations

import math
from collections.abc import Callable

from .. import nn
from ..models import Bottleneck, EdgeDenoiser, ResidualNetwork
from ..models.dense.anchor_head import AnchorHead
from ..models.dense.fpn import FPN
from ..models.dense.parts import DenseNetwork
from ..models.dense.rcnn_heads import BoxHead, RoIHead
from ..models.dense.segmentors import FPNHead, UPerHead
from ..nn.padding import Centres
from .report import Shape


def _weighted(layer: nn.Conv2d | nn.Linear, x: Shape, y: Shape) -> tuple[int, int]:
    pixels = math.prod(y[1:])
    return layer.weight.data.size * pixels, math.prod(y) if layer.bias else 0


def _attention(layer: nn.LocalAttention2d, x: Shape, y: Shape) -> tuple[int, int]:
    """Count comparing and applying; the layers inside count the projections."""
    scores = layer.groups * math.prod((*layer.window, *y[1:]))
    macs = scores * layer.key_channels + math.prod((*y, *layer.window))
    return macs, scores * (3 if layer.bias is None else 4)  # softmax: exponential, sum, quotient


# Multiply-adds and other operations of a layer, from the shapes of its input and output, without N.
COSTS: dict[type[nn.Module], Callable[..., tuple[int, int]]] = {
    **dict.fromkeys((nn.Conv2d, nn.Linear), _weighted),
    nn.ConvTranspose2d: lambda layer, x, y: (
        layer.weight.data.size * math.prod(x[1:]),
        math.prod(y),
    ),
    nn.Resize2d: lambda layer, x, y: (0, 0),
    **dict.fromkeys(  # the layers inside count the generator of the kernels
        (nn.Involution2d, nn.Involution3d, EdgeDenoiser),
        lambda layer, x, y: (math.prod((*y, *layer.window)), 0),
    ),
    nn.DepthwiseConv2d: lambda layer, x, y: (math.prod((*y, *layer.window)), 0),
    nn.LocalAttention2d: _attention,
    nn.BatchNorm2d: lambda layer, x, y: (0, 2 * math.prod(x)),
    **dict.fromkeys((nn.Pad2d, Centres), lambda layer, x, y: (0, 0)),  # they copy
    **dict.fromkeys(
        (nn.ReLU, nn.AvgPool2d, nn.MaxPool2d, nn.GlobalAvgPool2d),
        lambda layer, x, y: (0, math.prod(x)),
    ),
}
# Only the layers inside are counted; the additions of shortcuts are not.
CONTAINERS = (
    *(nn.Sequential, nn.Involution1d, Bottleneck, ResidualNetwork, DenseNetwork),
    *(FPN, FPNHead, UPerHead, AnchorHead, RoIHead, BoxHead),
)
