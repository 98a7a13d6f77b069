"""A RedNet and a ResNet of one architecture for images of 8x8 to 64x64 pixels; a segmentor."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import IntOrPair, Rng, as_choice, as_generator
from ..nn.generators import GENERATORS
from .dense import SemanticFPN
from .rednet import conv3x3, conv_unit
from .residual import ResidualNetwork


def small_rednet(
    num_classes: int,
    in_channels: int = 1,
    *,
    blocks: Sequence[int] = (1, 1, 1),
    channels: int = 16,
    kernel_size: IntOrPair = 7,
    group_channels: int = 16,
    reduction: int = 4,
    generator: str = "pixel",
    stride: int = 1,
    rng: Rng = None,
    dtype: DTypeLike = np.float32,
) -> ResidualNetwork:
    """Return a RedNet for small images.

    The stem is one 3x3 convolution, without pooling. Only the spatial layer of the blocks differs
    from `small_resnet`.

    Parameters
    ----------
    num_classes : int
    in_channels : int
        Channels of the images: 1 for grey, 3 for RGB.
    blocks : sequence of int
        Number of blocks of each stage. Every stage but the first halves rows and columns.
    channels : int
        Of the stem and of the involutions of the first stage; they double with every stage.
    kernel_size, group_channels, reduction
        Of every involution, as in `involution_edu.nn.Involution2d`. A constant generator has a
        kernel per channel, and only that of "pixel" has a reduction.
    generator : {"constant", "pixel", "comparison"}
        What makes the kernels: `involution_edu.nn.DepthwiseConv2d`, `Involution2d`, which makes the
        network a RedNet, or `LocalAttention2d`.
    stride : int
        Of the stem.
    rng : Generator, int or None
        Source of the weights.
    dtype : float32 or float64

    Returns
    -------
    model : ResidualNetwork
        From ``x`` (N, in_channels, H, W) to logits (N, num_classes).

    Examples
    --------
    >>> from involution_edu import models
    >>> for make in models.small_rednet, models.small_resnet:
    ...     sum(p.data.size for p in make(10, rng=0).parameters())
    84829
    127354
    """
    choices: dict[str, dict[str, Any]] = {
        "constant": {},
        "pixel": {"group_channels": group_channels, "reduction": reduction},
        "comparison": {"group_channels": group_channels},
    }
    options = choices[as_choice("generator", generator, choices)]
    spatial = partial(GENERATORS[generator], kernel_size=kernel_size, **options)
    rng = as_generator(rng)
    stem = {"stem": conv_unit(in_channels, channels, stride=stride, rng=rng, dtype=dtype)}
    return ResidualNetwork(stem, {}, blocks, spatial, channels, num_classes, rng=rng, dtype=dtype)


def small_resnet(
    num_classes: int,
    in_channels: int = 1,
    *,
    blocks: Sequence[int] = (1, 1, 1),
    channels: int = 16,
    stride: int = 1,
    rng: Rng = None,
    dtype: DTypeLike = np.float32,
) -> ResidualNetwork:
    """Return the ResNet that `small_rednet` is compared with.

    Parameters
    ----------
    num_classes, in_channels, blocks, channels, stride, rng, dtype
        As in `small_rednet`.

    Returns
    -------
    model : ResidualNetwork

    Examples
    --------
    >>> import numpy as np
    >>> from involution_edu import models
    >>> models.small_resnet(4, 3, rng=0)(np.zeros((2, 3, 16, 20), np.float32)).shape
    (2, 4)
    """
    rng = as_generator(rng)
    stem = {"stem": conv_unit(in_channels, channels, stride=stride, rng=rng, dtype=dtype)}
    return ResidualNetwork(stem, {}, blocks, conv3x3, channels, num_classes, rng=rng, dtype=dtype)


def small_segmentor(kind: str = "inv", *, rng: Rng = None) -> SemanticFPN:
    """Return a RedNet ("inv") or ResNet ("conv") with an FPN: 0 for no digit, d + 1 for digit d."""
    make: Any = {"inv": small_rednet, "conv": small_resnet}[kind]
    backbone = make(1, 3, stride=2, rng=(rng := as_generator(rng)))
    return SemanticFPN(backbone, 11, kind, channels=32, head_channels=24, stride=2, rng=rng)
