"""Heads on anchors: the same layers on every level of a pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...arrays import Array
from ...nn import BinaryCrossEntropy, Conv2d, Module, SmoothL1
from ...nn.resample import Indices
from .boxes import IGNORED, Objects, assign, encode, make_anchors, sample
from .parts import Shared

RATIOS = 0.5, 1.0, 2.0


class AnchorHead(Module):
    """K scores and 4 box deltas for each of A anchors a pixel, by the same layers on every level."""

    anchors: Sequence[Array] = ()  # of every level of the last pass
    scales: Sequence[float]  # of the anchors
    stride: int  # of the first level
    classes: int  # K
    # Intersections over union: at least, for an object; below, for none; at least, for the best.
    overlaps: tuple[float, float, float]
    gamma = 0.0  # of the focal loss
    sampled: int | None = None  # anchors of an image that count, at most half of them on objects

    def _layers(self) -> tuple[Module, Module, Module]:
        """Return the layers before both outputs, those to the scores, and those to the deltas."""
        raise TypeError(f"{type(self).__name__} has no _layers(); an AnchorHead must define it")

    @property
    def anchors_per_pixel(self) -> int:
        """A, the number of anchors of a pixel."""
        return len(RATIOS) * len(self.scales)

    def _level(self, x: Array) -> Array:
        common, scores, deltas = self._layers()
        x = common(x)
        return np.concatenate([scores(x), deltas(x)], axis=1)

    def _level_backward(self, dy: Array) -> Array:
        common, scores, deltas = self._layers()
        dscores, ddeltas = np.split(dy, [self.anchors_per_pixel * self.classes], axis=1)
        return common.backward(scores.backward(dscores) + deltas.backward(ddeltas))

    def forward(self, levels: Any) -> Any:
        """Return scores and deltas (N, anchors of all levels, K + 4)."""
        shared = Shared(self, self._level, self._level_backward)
        maps = shared.forward(levels)
        sizes = [(a.shape[2], a.shape[3]) for a in maps]
        self.anchors = make_anchors(sizes, self.stride, self.scales, RATIOS)
        count, k = self.anchors_per_pixel, self.classes
        rows = []
        for a, (h, w) in zip(maps, sizes, strict=True):
            parts = zip(np.split(a, [count * k], axis=1), (k, 4), strict=True)
            shaped = [b.transpose(0, 2, 3, 1).reshape(len(b), h * w * count, n) for b, n in parts]
            rows.append(np.concatenate(shaped, axis=2))
        y = np.concatenate(rows, axis=1)
        self.save(y, shared, sizes)
        return y

    def backward(self, dy: Any) -> Any:
        """Return the gradient of every level."""
        dy, shared, sizes = self.saved(dy)
        stops, n = np.cumsum([len(a) for a in self.anchors])[:-1], len(dy)
        maps = []
        for rows, (h, w) in zip(np.split(dy, stops, axis=1), sizes, strict=True):
            parts = np.split(rows, [self.classes], axis=2)
            shaped = [b.reshape(n, h, w, -1).transpose(0, 3, 1, 2) for b in parts]
            maps.append(np.concatenate(shaped, axis=1))
        return shared.backward(maps)

    def losses(
        self, y: Array, targets: Sequence[Objects], rng: np.random.Generator
    ) -> tuple[dict[str, float], Array]:
        """Return the losses of ``y``, the output for `Objects`, and their gradient."""
        anchors, k = np.concatenate(self.anchors), self.classes
        rows, hits, wanted, deltas = [], [], [], []  # of all images: those that count; on objects
        for index, objects in enumerate(targets):
            assigned = assign(anchors, objects.boxes, *self.overlaps)
            positive: Indices = np.flatnonzero(assigned != IGNORED)
            counted = positive
            if self.sampled is not None:
                positive, negative = sample(assigned, self.sampled, 0.5, rng)
                counted = np.concatenate([positive, negative])
            positive = positive[assigned[positive] >= 0]
            target, found = np.zeros((len(anchors), k)), assigned[positive]
            target[positive, objects.labels[found] if k > 1 else 0] = 1
            rows.append((np.full(len(counted), index), counted))
            hits.append((np.full(len(positive), index), positive))
            wanted.append(target[counted])
            deltas.append(encode(anchors[positive], objects.boxes[found]))
        row = [np.concatenate(parts) for parts in zip(*rows, strict=True)]
        hit = [np.concatenate(parts) for parts in zip(*hits, strict=True)]
        count = len(hit[0] if self.sampled is None else row[0])
        scores, boxes, dy = BinaryCrossEntropy(self.gamma), SmoothL1(), np.zeros_like(y)
        losses = {
            "class": scores(y[row[0], row[1], :k], np.concatenate(wanted), count),
            "box": boxes(y[hit[0], hit[1], k:], np.concatenate(deltas), count),
        }
        dy[row[0], row[1], :k] = scores.backward()
        dy[hit[0], hit[1], k:] = boxes.backward()
        return losses, dy


def output_conv(in_channels: int, channels: int, kernel_size: int = 1, **options: Any) -> Conv2d:
    """Return the last convolution of a head, with small weights: it starts near zero."""
    conv = Conv2d(in_channels, channels, kernel_size, padding=kernel_size // 2, **options)
    conv.weight.data *= 0.01 / max(float(conv.weight.data.std()), 1e-12)
    return conv
