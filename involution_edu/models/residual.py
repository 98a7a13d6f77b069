"""Residual networks: the block, and a network of a stem, stages of blocks and a classifier."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import ArgumentError, Rng, as_generator, as_int
from ..arrays import Array
from ..nn import BatchNorm2d, Conv2d, GlobalAvgPool2d, Linear, Module, ReLU, Sequential, no_grad

EXPANSION = 4  # output channels of a block, relative to the channels of its spatial layer


class Spatial(Protocol):
    """Maker of the spatial layer of a block, the one that reads more than one pixel."""

    def __call__(self, channels: int, *, stride: int, rng: Rng, dtype: DTypeLike) -> Module:
        """Return a layer with ``channels`` input and output channels."""


class Bottleneck(Module):
    """Reduce the channels, mix pixels, expand the channels, add the input.

    .. code-block:: text

        y = relu(branch(x) + shortcut(x))
        branch: conv1, 1x1 -> bn1 -> relu -> conv2, spatial -> bn2 -> relu -> conv3, 1x1 -> bn3

    The shortcut is x itself or, where the shape changes, a 1x1 convolution with batch
    normalisation. ``x`` is used twice, so its gradient is the sum of two:
    dx = dx_branch + dx_shortcut.

    The weight of ``bn3`` starts at 0, so that a new block is the identity followed by ReLU.

    Parameters
    ----------
    in_channels : int
    channels : int
        Of the spatial layer. The output has `EXPANSION` times as many.
    spatial : function of (channels, stride=, rng=, dtype=)
        Makes the spatial layer: an involution in RedNet, a 3x3 convolution in ResNet.
    stride : int
        Of the spatial layer and of the shortcut, in pixels.
    rng : Generator, int or None
        Source of the weights.
    dtype : float32 or float64

    References
    ----------
    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385,
    figure 5; Goyal et al., arXiv:1706.02677, section 5.1, for the zero in ``bn3``.

    Examples
    --------
    >>> import numpy as np
    >>> from involution_edu import nn
    >>> block = Bottleneck(64, 32, nn.Involution2d, stride=2, rng=0)
    >>> block(np.zeros((1, 64, 9, 12), np.float32)).shape
    (1, 128, 5, 6)
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        spatial: Spatial,
        *,
        stride: int = 1,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        rng, out_channels = as_generator(rng), EXPANSION * channels
        conv = partial(Conv2d, bias=False, rng=rng, dtype=dtype)
        norm = partial(BatchNorm2d, dtype=dtype)
        self.conv1, self.bn1, self.relu1 = conv(in_channels, channels), norm(channels), ReLU()
        self.conv2 = spatial(channels, stride=stride, rng=rng, dtype=dtype)
        self.bn2, self.relu2 = norm(channels), ReLU()
        self.conv3, self.bn3 = conv(channels, out_channels), norm(out_channels)
        self.bn3.weight.data[...] = 0
        self.downsample = Sequential()  # the identity
        if stride > 1 or in_channels != out_channels:
            shortcut = conv(in_channels, out_channels, stride=stride)
            self.downsample = Sequential(shortcut, norm(out_channels))
        self.relu3 = ReLU()

    def _branch(self) -> tuple[Module, ...]:
        narrow = self.conv1, self.bn1, self.relu1
        return *narrow, self.conv2, self.bn2, self.relu2, self.conv3, self.bn3

    def forward(self, x: Array) -> Array:
        """Return y (N, EXPANSION * channels, H_out, W_out)."""
        y = x
        for module in self._branch():
            y = module(y)
        y += self.downsample(x)
        return self.relu3(y)

    def backward(self, dy: Array) -> Array:
        """Return dx = dx_branch + dx_shortcut, (N, in_channels, H, W)."""
        dsum = self.relu3.backward(dy)
        dx = dsum
        for module in reversed(self._branch()):
            dx = module.backward(dx)
        dx += self.downsample.backward(dsum)
        return dx


class ResidualNetwork(Module):
    """A stem, stages of `Bottleneck` blocks, the mean over all pixels, and a linear classifier.

    Every stage but the first halves rows and columns (rounding up) and doubles the channels.

    Parameters
    ----------
    stem : mapping of str to Module
        The first layers in order, by their names in the network.
    entry : mapping of str to Module
        Layers, such as a max pooling, between the stem and the first stage; may be empty.
    blocks : sequence of int
        Number of blocks of each stage.
    spatial : function of (channels, stride=, rng=, dtype=)
        Makes the spatial layer of a block.
    channels : int
        Output channels of the stem, and channels of the spatial layers of the first stage.
    num_classes : int
    rng : Generator, int or None
        Source of the weights.
    dtype : float32 or float64

    Examples
    --------
    >>> import numpy as np
    >>> from involution_edu import models
    >>> model = models.small_rednet(10, rng=0).eval()
    >>> x = np.random.default_rng(0).standard_normal((2, 1, 8, 9)).astype(np.float32)
    >>> model(x).shape
    (2, 10)
    >>> {stage: array.shape for stage, array in model.features(x).items()}
    {'stem': (2, 16, 8, 9), 'layer1': (2, 64, 8, 9), 'layer2': (2, 128, 4, 5), 'layer3': (2, 256, 2, 3)}
    """

    def __init__(
        self,
        stem: Mapping[str, Module],
        entry: Mapping[str, Module],
        blocks: Sequence[int],
        spatial: Spatial,
        channels: int,
        num_classes: int,
        *,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        rng, num_classes = as_generator(rng), as_int("num_classes", num_classes)
        in_channels = channels = as_int("channels", channels)
        for name, module in {**stem, **entry}.items():
            setattr(self, name, module)
        self._layers = {"stem": tuple(stem)}  # the attributes that make up each stage
        for index, count in enumerate(blocks):
            made, width, stride = [], channels << index, 2 if index > 0 else 1
            for _ in range(as_int(f"blocks[{index}]", count)):
                block = Bottleneck(in_channels, width, spatial, stride=stride, rng=rng, dtype=dtype)
                made.append(block)
                in_channels, stride = EXPANSION * width, 1
            setattr(self, name := f"layer{index + 1}", Sequential(*made))
            self._layers[name] = (*(() if index else entry), name)
        self.avgpool = GlobalAvgPool2d()
        self.fc = Linear(in_channels, num_classes, rng=rng, dtype=dtype)

    @property
    def _stages(self) -> dict[str, Sequential]:
        """The stem and the stages by name, a max pooling with the first stage."""
        parts = self._layers.items()
        return {
            stage: Sequential(*(getattr(self, name) for name in names)) for stage, names in parts
        }

    def features(self, x: Array, frozen: Collection[str] = ()) -> dict[str, Array]:
        """Return the outputs of the stem and all stages, (N, C', H', W'), by their names.

        The ``frozen`` ones, the first of them, keep no arrays for their backward pass.
        """
        found = {}
        for name, stage in self._stages.items():
            with no_grad() if name in frozen else nullcontext():
                found[name] = x = stage(x)
        return found

    def features_backward(
        self, dfeatures: Mapping[str, Array], frozen: Collection[str] = ()
    ) -> Array:
        """Return dx for the gradients of some outputs of `features`, at least one, by name.

        With ``frozen`` stages, return the gradient of the output of the last of them.
        """
        stages = self._stages
        if not dfeatures or not dfeatures.keys() <= stages.keys():
            names = ", ".join(map(repr, stages))
            raise ArgumentError("dfeatures", f"has the keys {list(dfeatures)}", f"some of {names}")
        dx: Array | None = None
        for name, stage in reversed(stages.items()):
            if name in dfeatures:
                dx = dfeatures[name] if dx is None else dx + dfeatures[name]
            if dx is not None and name in frozen:
                return dx
            if dx is not None:
                dx = stage.backward(dx)
        assert dx is not None
        return dx

    def forward(self, x: Array) -> Array:
        """Return logits (N, num_classes)."""
        for stage in self._stages.values():
            x = stage(x)
        return self.fc(self.avgpool(x))

    def backward(self, dy: Array) -> Array:
        """Return dx (N, C, H, W)."""
        last = next(reversed(self._layers))
        return self.features_backward({last: self.avgpool.backward(self.fc.backward(dy))})
