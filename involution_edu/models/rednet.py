"""RedNet and ResNet for photos, in five depths each; `MODELS` lists them by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import ArgumentError, Rng, as_generator
from ..nn import BatchNorm2d, Conv2d, Involution2d, MaxPool2d, Module, ReLU, Sequential
from .residual import ResidualNetwork

# Blocks per stage, by depth; depth = 3 layers per block + 2 for the stem and the classifier.
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
    """Return a RedNet: a ResNet with involutions in place of its 3x3 convolutions.

    The spatial layer of every block is an involution with a window of 7x7, 16 channels per group
    and reduction 4. The stem is a 3x3 convolution of stride 2 (3 -> 32 channels), an involution
    with a window of 3x3, and a 3x3 convolution (32 -> 64). The 1x1 convolutions stay.

    Parameters
    ----------
    depth : {26, 38, 50, 101, 152}
        Layers with weights, an involution counted as one.
    num_classes : int
    rng : Generator, int or None
        Source of the weights: Kaiming normal with fan_out for convolutions; batch normalisation
        starts at weight 1, the last one of each block at 0.
    dtype : float32 or float64

    Returns
    -------
    model : ResidualNetwork
        From RGB images ``x`` (N, 3, H, W) to logits (N, num_classes). Its features are
        "stem" and "layer1" to "layer4", of 64, 256, 512, 1024 and 2048 channels at 1/2, 1/4, ...,
        1/32 of the size of ``x``, rounded up. The names in its ``state_dict`` are those of the
        authors' checkpoints, without the prefix ``backbone.``, and ``fc`` for the classifier.

    Raises
    ------
    ValueError
        If ``depth`` is not one of these.

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
    layers = (
        conv_unit(3, 32, stride=2, rng=rng, dtype=dtype),
        Involution2d(32, 3, rng=rng, dtype=dtype),
        BatchNorm2d(32, dtype=dtype),
        ReLU(),
        conv_unit(32, 64, rng=rng, dtype=dtype),
    )
    stem, pool = {"stem": Sequential(*layers)}, {"maxpool": MaxPool2d(3, 2, 1)}
    spatial = partial(Involution2d, kernel_size=7)
    return ResidualNetwork(stem, pool, blocks, spatial, 64, num_classes, rng=rng, dtype=dtype)


def resnet(
    depth: int, num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> ResidualNetwork:
    """Return a ResNet, the baseline of RedNet.

    The spatial layer of every block is a 3x3 convolution, which has the stride in the first block
    of a stage (in the original ResNet, the first 1x1 convolution had it). The stem is one 7x7
    convolution of stride 2 (3 -> 64 channels). The paper's savings of RedNet are relative to this
    architecture: `involution_edu.complexity` counts both.

    The names in the ``state_dict`` are the usual ones: ``conv1``, ``bn1``, ``layer1`` to
    ``layer4``, ``fc``.

    Parameters
    ----------
    depth, num_classes, rng, dtype
        As in `rednet`.

    Returns
    -------
    model : ResidualNetwork

    Raises
    ------
    ValueError
        If ``depth`` is not one of these.

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
    pool = {"maxpool": MaxPool2d(3, 2, 1)}
    return ResidualNetwork(stem, pool, blocks, conv3x3, 64, num_classes, rng=rng, dtype=dtype)


def conv3x3(
    channels: int, in_channels: int | None = None, *, stride: int, rng: Rng, dtype: DTypeLike
) -> Conv2d:
    """Return a 3x3 convolution; as the spatial layer of ResNet, it keeps the channels."""
    sizes = channels if in_channels is None else in_channels, channels, 3
    return Conv2d(*sizes, stride=stride, padding=1, bias=False, rng=rng, dtype=dtype)


def conv_unit(
    in_channels: int, channels: int, *, stride: int = 1, rng: Rng, dtype: DTypeLike
) -> Sequential:
    """Return a 3x3 convolution with batch normalisation and ReLU."""
    conv = conv3x3(channels, in_channels, stride=stride, rng=rng, dtype=dtype)
    return Sequential(conv=conv, bn=BatchNorm2d(channels, dtype=dtype), relu=ReLU())


def _blocks(depth: int) -> tuple[int, ...]:
    if depth not in BLOCKS:
        raise ArgumentError("depth", f"is {depth!r}", f"one of {', '.join(map(str, BLOCKS))}")
    return BLOCKS[depth]


class NamedNetwork(Protocol):
    """Constructor of `rednet` or `resnet` with its depth fixed."""

    def __call__(
        self, num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
    ) -> ResidualNetwork:
        """Return the network."""


DOC = """Return `{family}` with a depth of {depth}.

    Parameters
    ----------
    num_classes, rng, dtype
        As in `{family}`.

    Returns
    -------
    model : ResidualNetwork

    Examples
    --------
    >>> from involution_edu import models
    >>> model = models.{family}{depth}(num_classes=10, rng=0)
    >>> [len(model.children()[f"layer{{n}}"].children()) for n in (1, 2, 3, 4)]  # blocks
    {blocks}
    """


def _named(family: Callable[..., ResidualNetwork], depth: int) -> NamedNetwork:
    def make(
        num_classes: int = 1000, *, rng: Rng = None, dtype: DTypeLike = np.float32
    ) -> ResidualNetwork:
        return family(depth, num_classes, rng=rng, dtype=dtype)

    make.__name__ = make.__qualname__ = f"{family.__name__}{depth}"
    make.__doc__ = DOC.format(family=family.__name__, depth=depth, blocks=list(BLOCKS[depth]))
    return make


MODELS = {f"{of.__name__}{depth}": _named(of, depth) for of in (rednet, resnet) for depth in BLOCKS}
rednet26, rednet38, rednet50, rednet101, rednet152 = list(MODELS.values())[:5]
resnet26, resnet38, resnet50, resnet101, resnet152 = list(MODELS.values())[5:]
