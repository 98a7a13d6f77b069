"""A function for each network, by its usual name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import Rng
from .rednet import BLOCKS, rednet, resnet
from .residual import ResidualNetwork

DETAILS = """

    Parameters
    ----------
    num_classes : int
    rng : Generator, int or None
        Source of the weights.
    dtype : float32 or float64

    Returns
    -------
    model : ResidualNetwork
        From ``x`` (N, 3, H, W) to logits (N, num_classes).

    Examples
    --------
    How many blocks each stage has, and what the classifier is given:

    >>> from involution_edu import models
    >>> model = models.{name}(num_classes=10, rng=0)
    >>> [len(model.children()[f"layer{{n}}"].children()) for n in (1, 2, 3, 4)]
    {blocks}
    >>> model.fc.weight.data.shape
    (10, 2048)
    """
Maker = TypeVar("Maker", bound=Callable[..., ResidualNetwork])


def _detailed(make: Maker) -> Maker:
    """Add to the docstring of a function what is the same for all of them."""
    name = make.__name__
    blocks = list(BLOCKS[int(name.removeprefix("rednet").removeprefix("resnet"))])
    make.__doc__ = f"{make.__doc__}{DETAILS.format(name=name, blocks=blocks)}"
    return make


@_detailed
def rednet26(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return RedNet-26; the arguments are those of `rednet`."""
    return rednet(26, num_classes, rng=rng, dtype=dtype)


@_detailed
def rednet38(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return RedNet-38; the arguments are those of `rednet`."""
    return rednet(38, num_classes, rng=rng, dtype=dtype)


@_detailed
def rednet50(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return RedNet-50; the arguments are those of `rednet`."""
    return rednet(50, num_classes, rng=rng, dtype=dtype)


@_detailed
def rednet101(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return RedNet-101; the arguments are those of `rednet`."""
    return rednet(101, num_classes, rng=rng, dtype=dtype)


@_detailed
def rednet152(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return RedNet-152; the arguments are those of `rednet`."""
    return rednet(152, num_classes, rng=rng, dtype=dtype)


@_detailed
def resnet26(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return ResNet-26; the arguments are those of `resnet`."""
    return resnet(26, num_classes, rng=rng, dtype=dtype)


@_detailed
def resnet38(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return ResNet-38; the arguments are those of `resnet`."""
    return resnet(38, num_classes, rng=rng, dtype=dtype)


@_detailed
def resnet50(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return ResNet-50; the arguments are those of `resnet`."""
    return resnet(50, num_classes, rng=rng, dtype=dtype)


@_detailed
def resnet101(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return ResNet-101; the arguments are those of `resnet`."""
    return resnet(101, num_classes, rng=rng, dtype=dtype)


@_detailed
def resnet152(
    num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return ResNet-152; the arguments are those of `resnet`."""
    return resnet(152, num_classes, rng=rng, dtype=dtype)
