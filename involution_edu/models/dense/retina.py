"""RetinaNet: a detector of one stage."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ...arguments import Rng, as_generator, as_int
from ...arrays import Array
from ...nn import Module, Sequential
from ...nn.dense_losses import sigmoid
from ..residual import ResidualNetwork
from .anchor_head import AnchorHead, output_conv
from .boxes import Detections, Objects, check_objects, decode, nms
from .fpn import FPN
from .parts import FROZEN, DenseNetwork, conv_module

CLASS_PRIOR = 0.01  # probability that a new network gives to every class
CANDIDATES = 1000  # boxes of an image, the most certain, before NMS


class RetinaHead(AnchorHead):
    """Two towers of ``convs`` 3x3 convolutions, to the scores of the classes and to the deltas."""

    overlaps = 0.5, 0.4, 0.0
    gamma = 2.0

    def __init__(
        self, channels: int, classes: int, stride: int, convs: int, octave: int, **made: Any
    ) -> None:
        self.classes, self.stride = as_int("num_classes", classes), stride
        octave = as_int("scales_per_octave", octave)
        self.scales = [4 * 2 ** (i / octave) for i in range(octave)]
        make: Any = partial(conv_module, channels, channels, 3, **made)
        last: Any = partial(output_conv, channels, kernel_size=3, **made)
        self.cls_convs = Sequential(*(make() for _ in range(convs)))
        self.reg_convs = Sequential(*(make() for _ in range(convs)))
        self.retina_cls = last(self.anchors_per_pixel * classes)
        self.retina_reg = last(self.anchors_per_pixel * 4)
        assert self.retina_cls.bias is not None
        self.retina_cls.bias.data[...] = np.log(CLASS_PRIOR / (1 - CLASS_PRIOR))

    def _layers(self) -> tuple[Module, Module, Module]:
        scores = Sequential(self.cls_convs, self.retina_cls)
        return Sequential(), scores, Sequential(self.reg_convs, self.retina_reg)


class RetinaNet(DenseNetwork):
    """An FPN on all stages but the first, two more levels, and a `RetinaHead` on all of them.

    Parameters
    ----------
    backbone : ResidualNetwork
        Its classifier is removed.
    num_classes : int
    neck : {"conv", "inv"}
        Kind of the spatial layers of the `FPN`.
    channels : int
        Of the neck and the head.
    convs : int
        Convolutions of each of the two towers of the head.
    scales_per_octave : int
        Sizes of the anchors of a level, from 4 to 8 of its strides.
    stride : int
        Of the first stage of the backbone.
    rng, dtype
        As in `models.rednet`.

    References
    ----------
    Lin et al., ICCV 2017, arXiv:1708.02002. Names, anchors and losses are those of mmdet.

    Examples
    --------
    >>> from involution_edu import models
    >>> backbone = models.small_rednet(2, 3, rng=0)
    >>> model = RetinaNet(backbone, 2, channels=16, convs=1, stride=4, rng=0).eval()
    >>> model(np.zeros((1, 3, 32, 48), np.float32)).shape  # 9 anchors a pixel, 2 + 4 numbers each
    (1, 4590, 6)
    """

    frozen = FROZEN

    def __init__(
        self,
        backbone: ResidualNetwork,
        num_classes: int = 80,
        neck: str = "conv",
        *,
        channels: int = 256,
        convs: int = 4,
        scales_per_octave: int = 3,
        stride: int = 4,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(backbone, stride, first=2)
        rng, levels = as_generator(rng), len(self.in_channels) + 2
        made: dict[str, Any] = {"extra": "conv", "levels": levels, "rng": rng, "dtype": dtype}
        self.neck = FPN(self.in_channels, channels, neck, **made)
        sizes = channels, num_classes, self.stride, convs, scales_per_octave
        self.bbox_head, self.rng = RetinaHead(*sizes, rng=rng, dtype=dtype), rng

    def forward(self, x: Array) -> Array:
        """Return scores (before the sigmoid) and deltas, (N, anchors, num_classes + 4)."""
        return self.bbox_head(self.neck(self.features(x)))

    def backward(self, dy: Array) -> Array:
        """Return dx (N, C, H, W)."""
        return self.features_backward(self.neck.backward(self.bbox_head.backward(dy)))

    def loss(self, x: Array, targets: Sequence[Objects]) -> dict[str, float]:
        """Return the focal loss of the classes, and the L1 loss of the boxes of objects."""
        check_objects(targets, x.shape, self.bbox_head.classes)
        losses, self._gradient = self.bbox_head.losses(self(x), targets, self.rng)
        return losses

    def loss_backward(self) -> Array:
        """Return dx of the sum of the losses."""
        return self.backward(self._gradient)

    def predict(self, x: Array, score: float = 0.05, overlap: float = 0.5) -> list[Detections]:
        """Return the `Detections` of every image.

        Parameters
        ----------
        x : ndarray, shape (N, C, H, W)
        score : float
            The least one of a box.
        overlap : float
            Intersection over union above which the less certain box of a class is left out.
        """
        return self.detections(self(x), (x.shape[2], x.shape[3]), score, overlap)

    def detections(
        self, y: Array, size: tuple[int, int], score: float = 0.05, overlap: float = 0.5
    ) -> list[Detections]:
        """Return the `Detections` of every image of ``size`` (H, W) from the last output ``y``."""
        anchors, k, found = np.concatenate(self.bbox_head.anchors), self.bbox_head.classes, []
        for rows in y:
            boxes, scores = decode(anchors, rows[:, k:], size), sigmoid(rows[:, :k])
            found.append(
                best(np.broadcast_to(boxes[:, None], (len(boxes), k, 4)), scores, score, overlap)
            )
        return found


def best(boxes: Array, scores: Array, score: float, overlap: float, most: int = 100) -> Detections:
    """Return the `Detections` of boxes (M, K, 4) with scores (M, K) of the classes, after NMS."""
    index, label = np.nonzero(scores > score)
    order = np.argsort(-scores[index, label], kind="stable")[:CANDIDATES]
    index, label = index[order], label[order]
    kept = nms(boxes[index, label], scores[index, label], label, overlap, most)
    index, label = index[kept], label[kept]
    return Detections(boxes[index, label], label, scores[index, label])
