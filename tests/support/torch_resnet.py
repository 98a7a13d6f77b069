"""ResNet in PyTorch, made of the parts of the benchmark's RedNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from involution_edu.bench.torch_networks import network, unit


def convolution(channels: int, stride: int) -> Any:
    """Return the 3 x 3 convolution of ResNet."""
    return unit(channels, channels, 3, stride)[0]


def resnet(blocks: Sequence[int], num_classes: int = 1000) -> Any:
    """Return a ResNet for photos, whose second 3 x 3 convolution has the stride of a stage."""
    from torch import nn

    conv, bn, relu = unit(3, 64, 7, 2)
    stem = {"conv1": conv, "bn1": bn, "relu": relu, "maxpool": nn.MaxPool2d(3, 2, 1)}
    return network(stem, blocks, convolution, num_classes)
