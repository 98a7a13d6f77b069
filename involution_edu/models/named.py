"""A function for each network, by its usual name."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ..nn.arguments import Rng
from .network import ResidualNetwork
from .photos import rednet, resnet


def rednet26(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return RedNet-26; the arguments are those of `rednet`."""
    return rednet(26, num_classes, rng=rng, dtype=dtype)


def rednet38(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return RedNet-38; the arguments are those of `rednet`."""
    return rednet(38, num_classes, rng=rng, dtype=dtype)


def rednet50(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return RedNet-50; the arguments are those of `rednet`."""
    return rednet(50, num_classes, rng=rng, dtype=dtype)


def rednet101(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return RedNet-101; the arguments are those of `rednet`."""
    return rednet(101, num_classes, rng=rng, dtype=dtype)


def rednet152(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return RedNet-152; the arguments are those of `rednet`."""
    return rednet(152, num_classes, rng=rng, dtype=dtype)


def resnet26(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return ResNet-26; the arguments are those of `resnet`."""
    return resnet(26, num_classes, rng=rng, dtype=dtype)


def resnet38(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return ResNet-38; the arguments are those of `resnet`."""
    return resnet(38, num_classes, rng=rng, dtype=dtype)


def resnet50(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return ResNet-50; the arguments are those of `resnet`."""
    return resnet(50, num_classes, rng=rng, dtype=dtype)


def resnet101(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return ResNet-101; the arguments are those of `resnet`."""
    return resnet(101, num_classes, rng=rng, dtype=dtype)


def resnet152(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return ResNet-152; the arguments are those of `resnet`."""
    return resnet(152, num_classes, rng=rng, dtype=dtype)
