"""A residual network: a stem, stages of blocks, the mean of all pixels, a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import ArgumentError, Rng, as_generator, as_int
from ..arrays import Array
from ..nn import GlobalAvgPool2d, Linear, Module, Sequential
from .blocks import EXPANSION, Bottleneck, Spatial


class ResidualNetwork(Module):
    """A stem, stages of `Bottleneck` blocks, the mean over all pixels, and a linear classifier.

    Every stage but the first halves rows and columns (rounding up) and doubles the channels.

    Parameters
    ----------
    stem : mapping of str to Module
        The first layers, applied in this order, by the names that they have in the network.
    entry : mapping of str to Module
        Layers, such as a max pooling, between the stem and the first stage; may be empty.
    blocks : sequence of int
        How many blocks each stage has.
    spatial : function of (channels, stride=, rng=, dtype=)
        Makes the layer of a block that looks at more than one pixel.
    in_channels : int
        Channels that the first stage is given.
    channels : int
        Of the spatial layers of the first stage.
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
        *,
        in_channels: int,
        channels: int,
        num_classes: int,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        rng, channels = as_generator(rng), as_int("channels", channels)
        num_classes = as_int("num_classes", num_classes)
        for name, module in {**stem, **entry}.items():
            setattr(self, name, module)
        self._stages = {"stem": Sequential(*stem.values())}
        before = tuple(entry.values())
        for index, count in enumerate(blocks):
            made = []
            for block in range(as_int(f"blocks[{index}]", count)):
                stride = 2 if index > 0 and block == 0 else 1
                width = channels << index
                made.append(
                    Bottleneck(in_channels, width, spatial, stride=stride, rng=rng, dtype=dtype)
                )
                in_channels = EXPANSION * width
            name, stage = f"layer{index + 1}", Sequential(*made)
            setattr(self, name, stage)
            self._stages[name] = Sequential(*before, stage)
            before = ()
        self.avgpool = GlobalAvgPool2d()
        self.fc = Linear(in_channels, num_classes, rng=rng, dtype=dtype)

    def features(self, x: Array) -> dict[str, Array]:
        """Return the output of the stem and of every stage, by the names "stem", "layer1", ...

        Parameters
        ----------
        x : ndarray, shape (N, C, H, W), dtype of the network

        Returns
        -------
        features : dict of str to ndarray, each of shape (N, C', H', W')
        """
        found = {}
        for name, stage in self._stages.items():
            found[name] = x = stage(x)
        return found

    def features_backward(self, dfeatures: Mapping[str, Array]) -> Array:
        """Return dx for the gradients of some outputs of `features`, by their names.

        Raises
        ------
        ValueError
            If ``dfeatures`` is empty or has a name that `features` does not return.
        """
        if not dfeatures or not dfeatures.keys() <= self._stages.keys():
            names = ", ".join(map(repr, self._stages))
            raise ArgumentError("dfeatures", f"has the keys {list(dfeatures)}", f"some of {names}")
        dx: Array | None = None
        for name, stage in reversed(self._stages.items()):
            if name in dfeatures:
                dx = dfeatures[name] if dx is None else dx + dfeatures[name]
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
        last = next(reversed(self._stages))
        return self.features_backward({last: self.avgpool.backward(self.fc.backward(dy))})
