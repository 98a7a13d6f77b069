"""RedNet and ResNet for photos, in five depths each."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import ArgumentError, Rng, as_generator
from ..nn import BatchNorm2d, Conv2d, Involution2d, MaxPool2d, Module, ReLU, Sequential
from .residual import ResidualNetwork

# Blocks of each stage, by depth: a block has three layers; the stem and the classifier make two.
BLOCKS = {
    26: (1, 2, 4, 1),
    38: (2, 3, 5, 2),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


def rednet(
    depth: int, num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return a RedNet: a ResNet whose 3x3 convolutions became involutions.

    The spatial layer of every block is an involution with a window of 7x7, 16 channels to a group
    and reduction 4. The stem is a 3x3 convolution of stride 2 (3 -> 32 channels), an involution
    with a window of 3x3, and a 3x3 convolution (32 -> 64). The 1x1 convolutions stay.

    Parameters
    ----------
    depth : {26, 38, 50, 101, 152}
        Layers with weights, an involution counted as one.
    num_classes : int
    rng : Generator, int or None
        Source of the weights: Kaiming normal in fan_out for convolutions; batch normalisation
        starts at weight 1, but at 0 where a block ends.
    dtype : float32 or float64

    Returns
    -------
    model : ResidualNetwork
        It takes RGB images ``x`` (N, 3, H, W) and gives logits (N, num_classes). Its features are
        "stem" and "layer1" to "layer4", of 64, 256, 512, 1024 and 2048 channels at 1/2, 1/4, ...,
        1/32 of the size of ``x``, rounded up. The names in its ``state_dict`` are those of the
        authors' checkpoints, without the prefix ``backbone.``, and ``fc`` for the classifier.

    Raises
    ------
    ValueError
        If there is no such depth.

    References
    ----------
    Li et al., CVPR 2021, arXiv:2103.06255.

    Examples
    --------
    >>> from involution_edu import models
    >>> model = models.rednet(26, rng=0)
    >>> len(model.state_dict()), sum(p.data.size for p in model.parameters())
    (251, 9233166)
    """
    blocks, rng = _blocks(depth), as_generator(rng)
    stem = Sequential(
        conv_unit(3, 32, stride=2, rng=rng, dtype=dtype),
        Involution2d(32, 3, rng=rng, dtype=dtype),
        BatchNorm2d(32, dtype=dtype),
        ReLU(),
        conv_unit(32, 64, rng=rng, dtype=dtype),
    )
    return ResidualNetwork(
        {"stem": stem},
        {"maxpool": MaxPool2d(3, 2, 1)},
        blocks,
        partial(Involution2d, kernel_size=7),
        in_channels=64,
        channels=64,
        num_classes=num_classes,
        rng=rng,
        dtype=dtype,
    )


def resnet(
    depth: int, num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return a ResNet, what RedNet is compared with.

    The spatial layer of every block is a 3x3 convolution, which has the stride where a stage
    begins (the first 1x1 convolution had it in the first ResNets). The stem is one 7x7
    convolution of stride 2 (3 -> 64 channels). The savings that the paper prints for RedNet are
    against this plan: `involution_edu.complexity` counts both.

    Parameters, the result and what is raised are those of `rednet`. The names in the
    ``state_dict`` are the usual ones: ``conv1``, ``bn1``, ``layer1`` to ``layer4``, ``fc``.

    Parameters
    ----------
    depth : {26, 38, 50, 101, 152}
    num_classes : int
    rng : Generator, int or None
    dtype : float32 or float64

    Returns
    -------
    model : ResidualNetwork

    Raises
    ------
    ValueError
        If there is no such depth.

    References
    ----------
    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385.

    Examples
    --------
    >>> from involution_edu import models
    >>> sum(p.data.size for p in models.resnet(26, rng=0).parameters())
    13696552
    """
    blocks, rng = _blocks(depth), as_generator(rng)
    stem: dict[str, Module] = {
        "conv1": Conv2d(3, 64, 7, stride=2, padding=3, bias=False, rng=rng, dtype=dtype),
        "bn1": BatchNorm2d(64, dtype=dtype),
        "relu": ReLU(),
    }
    return ResidualNetwork(
        stem,
        {"maxpool": MaxPool2d(3, 2, 1)},
        blocks,
        conv3x3,
        in_channels=64,
        channels=64,
        num_classes=num_classes,
        rng=rng,
        dtype=dtype,
    )


def conv3x3(channels: int, *, stride: int, rng: Rng, dtype: DTypeLike) -> Conv2d:
    """Return the spatial layer of ResNet."""
    return Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False, rng=rng, dtype=dtype)


def conv_unit(
    in_channels: int, channels: int, *, stride: int = 1, rng: Rng, dtype: DTypeLike
) -> Sequential:
    """Return a 3x3 convolution with batch normalisation and ReLU."""
    conv = Conv2d(
        in_channels, channels, 3, stride=stride, padding=1, bias=False, rng=rng, dtype=dtype
    )
    return Sequential(conv=conv, bn=BatchNorm2d(channels, dtype=dtype), relu=ReLU())


def _blocks(depth: int) -> tuple[int, ...]:
    if depth not in BLOCKS:
        raise ArgumentError("depth", f"is {depth!r}", f"one of {', '.join(map(str, BLOCKS))}")
    return BLOCKS[depth]
