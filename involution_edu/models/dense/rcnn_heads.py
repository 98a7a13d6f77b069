"""Heads of Faster R-CNN and Mask R-CNN: proposals, and classes, boxes and masks of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ...arguments import as_int
from ...arrays import Array
from ...nn import (
    Conv2d,
    ConvTranspose2d,
    Linear,
    Module,
    ReLU,
    Sequential,
    roi_align,
    roi_align_backward,
)
from ...nn.resample import Indices
from .anchor_head import AnchorHead, output_conv
from .boxes import decode, nms
from .fpn import spatial_layer

BOX_BINS, MASK_BINS = 7, 14  # rows and columns of the features of a box
PROPOSALS = 1000  # of a level before NMS, and of an image after it
FINEST_SIZE = 56  # pixels: boxes of less than twice this use the finest level


class RPNHead(AnchorHead):
    """The region proposal network: whether an anchor has an object, and its box."""

    scales, classes = (8.0,), 1
    overlaps, sampled = (0.7, 0.3, 0.3), 256

    def __init__(self, channels: int, kind: str, stride: int, **made: Any) -> None:
        self.stride, self.relu, count = stride, ReLU(), self.anchors_per_pixel
        layer = spatial_layer(kind, channels, **made)
        self.rpn_conv = layer.children()["conv"] if kind == "conv" else layer
        last: Any = partial(output_conv, channels, **made)
        self.rpn_cls, self.rpn_reg = last(count), last(4 * count)

    def _layers(self) -> tuple[Module, Module, Module]:
        return Sequential(self.rpn_conv, self.relu), self.rpn_cls, self.rpn_reg

    def propose(self, y: Array, size: tuple[int, int]) -> list[Array]:
        """Return the boxes (P, 4) of every image that most likely have an object, from the output."""
        found = []
        levels = np.repeat(np.arange(len(self.anchors)), [len(a) for a in self.anchors])
        anchors = np.concatenate(self.anchors)
        for rows in y:
            order = np.lexsort((-rows[:, 0], levels))  # by level, the most certain first
            first = np.searchsorted(levels, levels)
            order = order[np.arange(len(order)) - first < PROPOSALS]
            boxes = decode(anchors[order], rows[order, 1:], size)
            whole = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
            order, boxes = order[whole], boxes[whole]
            found.append(boxes[nms(boxes, rows[order, 0], levels[order], 0.7, PROPOSALS)])
        return found


class BoxHead(Module):
    """Two fully connected layers, then K + 1 scores and 4 deltas for each of K classes."""

    calls_per_image = PROPOSALS  # for the count of operations

    def __init__(self, channels: int, hidden: int, classes: int, **made: Any) -> None:
        make: Any = partial(Linear, **made)
        self.shared_fcs = Sequential(make(channels * BOX_BINS**2, hidden), make(hidden, hidden))
        self.relus = Sequential(ReLU(), ReLU())
        self.fc_cls, self.fc_reg = make(hidden, classes + 1), make(hidden, 4 * classes)
        for layer in self.fc_cls, self.fc_reg:
            layer.weight.data *= 0.01 * hidden**0.5

    def _steps(self) -> list[Module]:
        layers = zip(*(a.children().values() for a in (self.shared_fcs, self.relus)), strict=True)
        return [step for pair in layers for step in pair]

    def forward(self, x: Array) -> Array:
        """Return scores and deltas (R, K + 1 + 4 * K) for features (R, C, 7, 7)."""
        h: Array = x.reshape(len(x), x.shape[1] * BOX_BINS**2)
        for step in self._steps():
            h = step(h)
        y = np.concatenate([self.fc_cls(h), self.fc_reg(h)], axis=1)
        self.save(y, x.shape)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx (R, C, 7, 7)."""
        dy, shape = self.saved(dy)
        dscores, ddeltas = np.split(dy, [len(self.fc_cls.weight.data)], axis=1)
        dh: Array = self.fc_cls.backward(dscores) + self.fc_reg.backward(ddeltas)
        for step in reversed(self._steps()):
            dh = step.backward(dh)
        return dh.reshape(shape)


class MaskHead(Sequential):
    """Four spatial layers with ReLU, a transposed convolution, and masks (28, 28) by class."""

    calls_per_image = 100  # detections of an image, for the count of operations

    def __init__(self, channels: int, classes: int, kind: str, **made: Any) -> None:
        steps = [spatial_layer(kind, channels, relu=True, **made) for _ in range(4)]
        if kind == "inv":
            steps = [Sequential(step, ReLU()) for step in steps]
        super().__init__(
            convs=Sequential(*steps),
            upsample=ConvTranspose2d(channels, channels, **made),
            relu=ReLU(),
            conv_logits=Conv2d(channels, classes, **made),
        )


class RoIHead(Module):
    """The second stage: features of boxes by `roi_align`, each from the level of its size.

    ``levels`` of the pyramid are used, the finest first; ``mask`` is the kind of the mask head.
    """

    def __init__(
        self, channels: int, hidden: int, classes: int, stride: int, levels: int,
        mask: str | None, **made: Any,
    ) -> None:  # fmt: skip
        self.classes = classes = as_int("num_classes", classes)
        self.stride, self.levels = stride, levels
        self.bbox_head = BoxHead(channels, hidden, classes, **made)
        if mask is not None:
            self.mask_head = MaskHead(channels, classes, mask, **made)

    def _parts(self, boxes: Array) -> list[tuple[int, Indices]]:
        """Return the boxes of every level that has some."""
        side = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
        wanted = np.floor(np.log2(side / FINEST_SIZE + 1e-6)).clip(0, self.levels - 1)
        parts = [(level, np.flatnonzero(wanted == level)) for level in range(self.levels)]
        return [(level, part) for level, part in parts if len(part)]

    def align(self, levels: Sequence[Array], boxes: Array, images: Indices, bins: int) -> Array:
        """Return the features (R, C, bins, bins) of boxes (R, 4)."""
        y: Array = np.zeros((len(boxes), levels[0].shape[1], bins, bins), levels[0].dtype)
        for level, part in self._parts(boxes):
            scale = 1 / (self.stride << level)
            y[part] = roi_align(levels[level], boxes[part], images[part], bins, scale)
        return y

    def align_backward(
        self, dy: Array, boxes: Array, images: Indices, dlevels: Sequence[Array]
    ) -> None:
        """Add the gradient of the features of boxes to that of the levels."""
        for level, part in self._parts(boxes):
            d, scale = dlevels[level], 1 / (self.stride << level)
            d += roi_align_backward(dy[part], boxes[part], images[part], d.shape, scale)
