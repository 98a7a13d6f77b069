"""Semantic FPN and UPerNet: a class for every pixel."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ...arguments import ArgumentError, Rng, as_generator, as_int
from ...arrays import Array
from ...nn import Conv2d, Module, PixelCrossEntropy, Resize2d, Sequential, resize, resize_backward
from ...nn.losses import Labels
from ..residual import ResidualNetwork
from .fpn import FPN
from .parts import DenseNetwork, conv_module


class FPNHead(Module):
    """Convolve each level and double its size until it has that of the finest; add all; classify."""

    def __init__(
        self, levels: int, in_channels: int, channels: int, num_classes: int, **made: Any
    ) -> None:
        make: Any = partial(conv_module, kernel_size=3, norm=True, **made)
        heads = []
        for level in range(levels):
            steps: list[Module] = [make(in_channels, channels)]
            for step in range(level):
                steps += [make(channels, channels)] if step else []
                steps.append(Resize2d(scale=2))
            heads.append(Sequential(*steps))
        self.scale_heads = Sequential(*heads)
        self.conv_seg = Conv2d(channels, num_classes, **made)

    def forward(self, levels: Any) -> Any:
        """Return logits (N, num_classes, H_0, W_0), of the size of the finest level."""
        heads = self.scale_heads.children().values()
        outputs = [head(x) for head, x in zip(heads, levels, strict=True)]
        total = outputs[0]
        for y in outputs[1:]:
            total = total + resize(y, total.shape[2:])
        logits = self.conv_seg(total)
        self.save(logits, [y.shape[2:] for y in outputs])
        return logits

    def backward(self, dy: Any) -> Any:
        """Return the gradient of every level."""
        dy, sizes = self.saved(dy)
        dtotal, heads = self.conv_seg.backward(dy), self.scale_heads.children().values()
        pairs = zip(heads, sizes, strict=True)
        return [head.backward(resize_backward(dtotal, size)) for head, size in pairs]


class Segmentor(DenseNetwork):
    """The common part of `SemanticFPN` and `UPerNet`: from logits to classes and the loss."""

    auxiliary_weight = 0.4

    def _logits(self, x: Array) -> list[Array]:
        raise TypeError(f"{type(self).__name__} has no _logits(); a Segmentor must define it")

    def _logits_backward(self, gradients: list[Array]) -> Array:
        raise TypeError(f"{type(self).__name__} has no _logits_backward(); it must define it")

    def forward(self, x: Array) -> Array:
        """Return logits (N, num_classes, H, W), resized bilinearly to the size of ``x``."""
        logits = self._logits(x)
        y = resize(logits[0], (x.shape[2], x.shape[3]))
        self.save(y, [a.shape for a in logits])
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx (N, C, H, W)."""
        dy, shapes = self.saved(dy)
        first = resize_backward(dy, shapes[0][2:])
        return self._logits_backward([first, *(np.zeros(s, dy.dtype) for s in shapes[1:])])

    def predict(self, x: Array) -> Labels:
        """Return the class of every pixel, (N, H, W)."""
        labels: Labels = self(x).argmax(axis=1)
        return labels

    def loss(self, x: Array, targets: Labels) -> dict[str, float]:
        """Return the losses for the classes (N, H, W), where 255 is ignored."""
        losses, self._gradients = {}, []
        self._forget()
        weights = {"decode": 1.0, "auxiliary": self.auxiliary_weight}
        for (name, weight), logits in zip(weights.items(), self._logits(x), strict=False):
            criterion, size = PixelCrossEntropy(), (logits.shape[2], logits.shape[3])
            losses[name] = weight * criterion(resize(logits, x.shape[2:]), targets)
            self._gradients.append(resize_backward(weight * criterion.backward(), size))
        return losses

    def loss_backward(self) -> Array:
        """Return dx of the sum of the losses."""
        return self._logits_backward(self._gradients)


class SemanticFPN(Segmentor):
    """An `FPN` with a `FPNHead`: the first segmentor of the paper.

    Parameters
    ----------
    backbone, num_classes, neck, stride, rng, dtype
        As in `RetinaNet`.
    channels, head_channels : int
        Of the levels of the FPN, and of the head.

    References
    ----------
    Kirillov et al., CVPR 2019, arXiv:1901.02446. Names are those of mmseg; there is no dropout.

    Examples
    --------
    >>> from involution_edu import models
    >>> model = SemanticFPN(models.small_rednet(2, 3, rng=0), 5, channels=16, stride=1, rng=0)
    >>> model.eval()(np.zeros((1, 3, 9, 12), np.float32)).shape
    (1, 5, 9, 12)
    """

    def __init__(
        self,
        backbone: ResidualNetwork,
        num_classes: int = 19,
        neck: str = "conv",
        *,
        channels: int = 256,
        head_channels: int = 128,
        stride: int = 4,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(backbone, stride)
        rng, count = as_generator(rng), len(self.in_channels)
        self.neck = FPN(self.in_channels, channels, neck, rng=rng, dtype=dtype)
        sizes = count, channels, head_channels, as_int("num_classes", num_classes)
        self.decode_head = FPNHead(*sizes, rng=rng, dtype=dtype)

    def _logits(self, x: Array) -> list[Array]:
        return [self.decode_head(self.neck(self.features(x)))]

    def _logits_backward(self, gradients: list[Array]) -> Array:
        return self.features_backward(self.neck.backward(self.decode_head.backward(*gradients)))


class UPerHead(Module):
    """Pyramid pooling of the coarsest features, an FPN, and all its levels joined; classify."""

    scales = 1, 2, 3, 6  # rows and columns that the coarsest features are pooled to

    def __init__(
        self, in_channels: list[int], channels: int, num_classes: int, **made: Any
    ) -> None:
        make: Any = partial(conv_module, norm=True, **made)
        last = in_channels[-1]
        pools = (Resize2d(size, mode="area") for size in self.scales)
        self.psp_modules = Sequential(*(Sequential(p, make(last, channels)) for p in pools))
        self.bottleneck = make(last + len(self.scales) * channels, channels, 3)
        self.lateral_convs = Sequential(*(make(c, channels) for c in in_channels[:-1]))
        self.fpn_convs = Sequential(*(make(channels, channels, 3) for _ in in_channels[:-1]))
        self.fpn_bottleneck = make(len(in_channels) * channels, channels, 3)
        self.conv_seg = Conv2d(channels, num_classes, **made)

    def _lists(self) -> tuple[list[Module], ...]:
        lists = self.psp_modules, self.lateral_convs, self.fpn_convs
        return tuple(list(modules.children().values()) for modules in lists)

    def forward(self, features: Any) -> Any:
        """Return logits (N, num_classes, H_0, W_0), of the size of the finest features."""
        pools, lateral, convs = self._lists()
        last = features[-1]
        pooled = [resize(pool(last), last.shape[2:]) for pool in pools]
        top = self.bottleneck(np.concatenate([last, *pooled], axis=1))
        sums = [*(conv(x) for conv, x in zip(lateral, features, strict=False)), top]
        for level in range(len(sums) - 2, -1, -1):  # not in place: ReLU keeps its output
            fine = sums[level]
            sums[level] = fine + resize(sums[level + 1], fine.shape[2:])
        levels = [*(conv(x) for conv, x in zip(convs, sums, strict=False)), sums[-1]]
        levels = [resize(y, sums[0].shape[2:]) for y in levels]
        logits = self.conv_seg(self.fpn_bottleneck(np.concatenate(levels, axis=1)))
        self.save(logits, [y.shape[2:] for y in sums], last.shape[1])
        return logits

    def backward(self, dy: Any) -> Any:
        """Return the gradient of every array of the features."""
        dy, sizes, last_channels = self.saved(dy)
        pools, lateral, convs = self._lists()
        joined = self.fpn_bottleneck.backward(self.conv_seg.backward(dy))
        pairs = zip(np.split(joined, len(sizes), axis=1), sizes, strict=True)
        dlevels = [resize_backward(d, size) for d, size in pairs]
        dsums = [conv.backward(d) for conv, d in zip(convs, dlevels, strict=False)]
        dsums.append(dlevels[-1])
        for fine, coarse in pairwise(dsums):
            coarse += resize_backward(fine, coarse.shape[2:])
        dlast = self.bottleneck.backward(dsums[-1])
        dlast, dpooled = np.split(dlast, [last_channels], axis=1)
        for pool, d, scale in zip(pools, np.split(dpooled, 4, axis=1), self.scales, strict=True):
            dlast = dlast + pool.backward(resize_backward(d, scale))
        return [*(conv.backward(d) for conv, d in zip(lateral, dsums, strict=False)), dlast]


class UPerNet(Segmentor):
    """Pyramid pooling with an FPN, and an auxiliary head on the stage before the last.

    Parameters
    ----------
    backbone, num_classes, stride, rng, dtype
        As in `RetinaNet`.
    channels, auxiliary_channels : int
        Of the two heads.

    References
    ----------
    Xiao et al., ECCV 2018, arXiv:1807.10221. Names are those of mmseg; there is no dropout.

    Examples
    --------
    >>> from involution_edu import models
    >>> model = UPerNet(models.small_rednet(2, 3, rng=0), 5, channels=16, stride=1, rng=0)
    >>> model.eval()(np.zeros((1, 3, 9, 12), np.float32)).shape
    (1, 5, 9, 12)
    """

    def __init__(
        self,
        backbone: ResidualNetwork,
        num_classes: int = 19,
        *,
        channels: int = 512,
        auxiliary_channels: int = 256,
        stride: int = 4,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(backbone, stride)
        if len(self.in_channels) < 2:
            raise ArgumentError("backbone", "has 1 stage", "at least 2")
        rng, classes = as_generator(rng), as_int("num_classes", num_classes)
        self.decode_head = UPerHead(self.in_channels, channels, classes, rng=rng, dtype=dtype)
        options: dict[str, Any] = {"norm": True, "rng": rng, "dtype": dtype}
        conv = conv_module(self.in_channels[-2], auxiliary_channels, 3, **options)
        conv_seg = Conv2d(auxiliary_channels, classes, rng=rng, dtype=dtype)
        self.auxiliary_head = Sequential(convs=Sequential(conv), conv_seg=conv_seg)

    def _logits(self, x: Array) -> list[Array]:
        features = self.features(x)
        return [self.decode_head(features), self.auxiliary_head(features[-2])]

    def _logits_backward(self, gradients: list[Array]) -> Array:
        dfeatures = self.decode_head.backward(gradients[0])
        dfeatures[-2] = dfeatures[-2] + self.auxiliary_head.backward(gradients[1])
        return self.features_backward(dfeatures)
