"""The feature pyramid network (FPN), with convolutions or involutions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ...arguments import ArgumentError, Rng, as_choice, as_generator
from ...arrays import Array
from ...nn import Involution2d, Module, Sequential, resize, resize_backward
from .parts import conv_module

SPATIAL = ("conv", "inv")


def spatial_layer(kind: str, channels: int, *, relu: bool = False, **made: Any) -> Module:
    """Return a 3x3 convolution with bias as ``conv``, with ReLU if asked, or a 7x7 involution."""
    if as_choice("kind", kind, SPATIAL) == "conv":
        return conv_module(channels, channels, 3, relu=relu, **made)
    return Involution2d(channels, 7, **made)


class FPN(Module):
    """Add coarse features to finer ones, from the coarsest level to the finest.

    .. code-block:: text

        lateral[l] = lateral_convs[l](features[l]) + nearest(lateral[l + 1], size of level l)
        level[l] = fpn_convs[l](lateral[l])

    ``lateral[l]`` is used twice, by its own level and by the finer one, so its gradient is the
    sum of two. Levels above the features are every second pixel of the one below (``extra =
    "pool"``), or 3x3 convolutions of stride 2, the first of them of the last features ("conv").

    Parameters
    ----------
    in_channels : sequence of int
        Channels of the features, the finest level first.
    channels : int
        Of every level of the pyramid.
    kind : {"conv", "inv"}
        Whether `fpn_convs` are 3x3 convolutions or 7x7 involutions.
    extra : {"pool", "conv"}
    levels : int, optional
        Number of levels; as many as there are features if not given.
    rng, dtype
        As in `models.rednet`.

    References
    ----------
    Lin et al., CVPR 2017, arXiv:1612.03144. Names and structure are those of mmdet, and of the
    authors' ``FPN_involution``.

    Examples
    --------
    >>> neck = FPN([8, 16], 16, "inv", levels=3, rng=0)
    >>> levels = neck([np.zeros((1, 8, 9, 6), np.float32), np.zeros((1, 16, 5, 3), np.float32)])
    >>> [level.shape for level in levels]
    [(1, 16, 9, 6), (1, 16, 5, 3), (1, 16, 3, 2)]
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int = 256,
        kind: str = "conv",
        *,
        extra: str = "pool",
        levels: int | None = None,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        rng, self.extra = as_generator(rng), as_choice("extra", extra, ("pool", "conv"))
        make = partial(conv_module, relu=False, rng=rng, dtype=dtype)
        self.lateral_convs = Sequential(*(make(c, channels) for c in in_channels))
        convs = [spatial_layer(kind, channels, rng=rng, dtype=dtype) for _ in in_channels]
        self.pooled = (len(in_channels) if levels is None else levels) - len(in_channels)
        if extra == "conv":
            sources = [in_channels[-1], *[channels] * self.pooled][: self.pooled]
            convs += [make(c, channels, 3, stride=2) for c in sources]
            self.pooled = 0
        self.fpn_convs = Sequential(*convs)

    def _convs(self) -> tuple[list[Module], ...]:
        return tuple([*a.children().values()] for a in (self.lateral_convs, self.fpn_convs))

    def forward(self, features: Any) -> Any:
        """Return the levels (N, channels, H_l, W_l), the finest first."""
        lateral, convs = self._convs()
        if len(features) != len(lateral):
            need = f"{len(lateral)} of them, the finest first"
            raise ArgumentError("features", f"has {len(features)} arrays", need)
        sums = [conv(x) for conv, x in zip(lateral, features, strict=True)]
        for fine, coarse in zip(sums[-2::-1], sums[:0:-1], strict=True):
            fine += resize(coarse, fine.shape[2:], "nearest")
        levels = [conv(x) for conv, x in zip(convs, sums, strict=False)]
        source = features[-1]
        for conv in convs[len(sums) :]:
            source = conv(source)
            levels.append(source)
        for _ in range(self.pooled):
            levels.append(levels[-1][:, :, ::2, ::2].copy())
        return levels

    def backward(self, dlevels: Any) -> Any:
        """Return the gradient of every array of the features."""
        (lateral, convs), dlevels = self._convs(), list(dlevels)
        for _ in range(self.pooled):
            dpooled = dlevels.pop()
            dlevels[-1] = dlevels[-1].copy()
            dlevels[-1][:, :, ::2, ::2] += dpooled
        dsource: Array | None = None  # of the input of the extra convolutions
        for conv in convs[: len(lateral) - 1 : -1]:
            dlevel = dlevels.pop()
            dsource = conv.backward(dlevel if dsource is None else dlevel + dsource)
        dsums = [conv.backward(d) for conv, d in zip(convs, dlevels, strict=False)]
        for fine, coarse in pairwise(dsums):
            coarse += resize_backward(fine, coarse.shape[2:], "nearest")
        dfeatures = [conv.backward(d) for conv, d in zip(lateral, dsums, strict=True)]
        if dsource is not None:
            dfeatures[-1] = dfeatures[-1] + dsource
        return dfeatures
