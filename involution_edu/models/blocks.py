"""The block that both families of networks are stacked from."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import Rng, as_generator
from ..arrays import Array
from ..nn import BatchNorm2d, Conv2d, Module, ReLU, Sequential

EXPANSION = 4  # a block gives this many times the channels that it works in


class Spatial(Protocol):
    """What makes the layer of a block that looks at more than one pixel."""

    def __call__(self, channels: int, *, stride: int, rng: Rng, dtype: DTypeLike) -> Module:
        """Return a layer from ``channels`` to as many."""


class Bottleneck(Module):
    """Narrow the channels, mix pixels, widen the channels, add what came in.

    .. code-block:: text

        y = relu(branch(x) + shortcut(x))
        branch: conv1, 1x1 -> bn1 -> relu -> conv2, spatial -> bn2 -> relu -> conv3, 1x1 -> bn3

    The shortcut is x itself or, where the size changes, a 1x1 convolution with batch
    normalisation. ``x`` is used twice, so its gradient is the sum of two:
    dx = dx_branch + dx_shortcut.

    The weight of ``bn3`` starts at 0, so that at first a block only lets its input through.

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
        self.conv1 = Conv2d(in_channels, channels, bias=False, rng=rng, dtype=dtype)
        self.bn1 = BatchNorm2d(channels, dtype=dtype)
        self.relu1 = ReLU()
        self.conv2 = spatial(channels, stride=stride, rng=rng, dtype=dtype)
        self.bn2 = BatchNorm2d(channels, dtype=dtype)
        self.relu2 = ReLU()
        self.conv3 = Conv2d(channels, out_channels, bias=False, rng=rng, dtype=dtype)
        self.bn3 = BatchNorm2d(out_channels, dtype=dtype)
        self.bn3.weight.data[...] = 0
        self.downsample = Sequential()  # lets x through
        if stride > 1 or in_channels != out_channels:
            self.downsample = Sequential(
                Conv2d(in_channels, out_channels, stride=stride, bias=False, rng=rng, dtype=dtype),
                BatchNorm2d(out_channels, dtype=dtype),
            )
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
