"""Faster R-CNN and Mask R-CNN: detectors of two stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ...arguments import Rng, as_generator
from ...arrays import Array
from ...nn import BinaryCrossEntropy, CrossEntropy, Module, SmoothL1, roi_align
from ...nn.dense_losses import sigmoid
from ...nn.losses import softmax
from ...nn.resample import Indices
from ..residual import ResidualNetwork
from .boxes import Detections, Objects, assign, check_objects, decode, encode, sample
from .fpn import FPN
from .parts import FROZEN, DenseNetwork
from .rcnn_heads import BOX_BINS, MASK_BINS, RoIHead, RPNHead
from .retina import best

SAMPLED, POSITIVE_SHARE = 512, 0.25  # proposals of an image in the second loss
DEVIATIONS = 0.1, 0.1, 0.2, 0.2  # of the deltas of the second stage


class FasterRCNN(DenseNetwork):
    """An FPN whose levels propose boxes (`RPNHead`), and a second look at every box.

    Parameters
    ----------
    backbone, num_classes, stride, rng, dtype
        As in `RetinaNet`. ``rng`` also samples the boxes that the losses are of.
    neck, head : {"conv", "inv"}
        Kind of the spatial layers of the `FPN`, and of the region proposal network (and, in
        `MaskRCNN`, of the mask head).
    channels, hidden : int
        Of the neck and the heads, and of the two fully connected layers.

    References
    ----------
    Ren et al., NeurIPS 2015, arXiv:1506.01497; Lin et al., CVPR 2017, arXiv:1612.03144. Names,
    anchors, sampling and losses are those of mmdet.

    Examples
    --------
    >>> from involution_edu import models
    >>> backbone = models.small_rednet(2, 3, rng=0)
    >>> model = FasterRCNN(backbone, 2, "inv", channels=16, hidden=8, stride=1, rng=0)
    >>> x = np.random.default_rng(0).standard_normal((1, 3, 32, 48)).astype(np.float32)
    >>> objects = Objects(np.array([[4.0, 5.0, 30.0, 20.0]]), np.array([1]))
    >>> list(model.loss(x, [objects]))
    ['rpn class', 'rpn box', 'class', 'box']
    >>> model.loss_backward().shape  # of the output of the first stage, the last frozen one
    (1, 64, 32, 48)
    """

    frozen = FROZEN
    masks = False
    _seconds: list[tuple[Module, Array, Array, Indices]]  # heads, gradients, boxes and images

    def __init__(
        self,
        backbone: ResidualNetwork,
        num_classes: int = 80,
        neck: str = "conv",
        head: str = "conv",
        *,
        channels: int = 256,
        hidden: int = 1024,
        stride: int = 4,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(backbone, stride)
        rng, count = as_generator(rng), len(self.in_channels)
        self.neck = FPN(self.in_channels, channels, neck, levels=count + 1, rng=rng, dtype=dtype)
        self.rpn_head = RPNHead(channels, head, stride, rng=rng, dtype=dtype)
        sizes = channels, hidden, num_classes, stride, count, head if self.masks else None
        self.roi_head = RoIHead(*sizes, rng=rng, dtype=dtype)
        self.rng = rng

    def forward(self, x: Array) -> Any:
        """Return the `Detections` of every image, as `predict`."""
        return self.predict(x)

    def loss(self, x: Array, targets: Sequence[Objects]) -> dict[str, float]:
        """Return the losses of the proposals, of the classes, of the boxes and of the masks."""
        check_objects(targets, x.shape, self.roi_head.classes, self.masks)
        self._forget()
        levels: Any = self.neck(self.features(x))
        y = self.rpn_head(levels)
        losses, dy = self.rpn_head.losses(y, targets, self.rng)
        losses = {f"rpn {name}": value for name, value in losses.items()}
        proposals = self.rpn_head.propose(y, (x.shape[2], x.shape[3]))
        self._drpn, self._seconds = dy, []
        self._second_losses(levels, self._sample(proposals, targets), targets, losses)
        return losses

    def _sample(
        self, proposals: Sequence[Array], targets: Sequence[Objects]
    ) -> tuple[Array, Indices, Indices]:
        """Return boxes (R, 4), their images, and their objects, counted in all images, or -1."""
        boxes, images, found, before = [], [], [], 0
        for index, (proposed, objects) in enumerate(zip(proposals, targets, strict=True)):
            candidates = np.concatenate([objects.boxes, proposed])
            assigned = assign(candidates, objects.boxes, 0.5, 0.5)
            positive, negative = sample(assigned, SAMPLED, POSITIVE_SHARE, self.rng)
            chosen = np.concatenate([positive, negative])
            boxes.append(candidates[chosen])
            images.append(np.full(len(chosen), index))
            found.append(np.where(assigned[chosen] >= 0, assigned[chosen] + before, -1))
            before += len(objects.boxes)
        return np.concatenate(boxes), np.concatenate(images), np.concatenate(found)

    def _second_losses(
        self,
        levels: Sequence[Array],
        sampled: tuple[Array, Indices, Indices],
        targets: Sequence[Objects],
        losses: dict[str, float],
    ) -> None:
        head, k = self.roi_head, self.roi_head.classes
        boxes, images, found = self.sampled = sampled
        hit = np.flatnonzero(found >= 0)
        losses.update({"class": 0.0, "box": 0.0}, **({"mask": 0.0} if self.masks else {}))
        if not len(boxes):
            return
        object_boxes = np.concatenate([item.boxes for item in targets])
        object_labels = np.concatenate([item.labels for item in targets]).astype(np.intp)
        labels = np.full(len(boxes), k)
        label = labels[hit] = object_labels[found[hit]]
        y = head.bbox_head(head.align(levels, boxes, images, BOX_BINS))
        scores, deltas, dy = CrossEntropy(), SmoothL1(), np.zeros_like(y)
        column = (hit[:, None], k + 1 + 4 * label[:, None] + np.arange(4))
        wanted = encode(boxes[hit], object_boxes[found[hit]], DEVIATIONS)
        losses["class"] = scores(y[:, : k + 1], labels)
        losses["box"] = deltas(y[column], wanted, len(boxes))
        dy[:, : k + 1], dy[column] = scores.backward(), deltas.backward()
        self._seconds.append((head.bbox_head, dy, boxes, images))
        if self.masks and len(hit):
            logits = head.mask_head(head.align(levels, boxes[hit], images[hit], MASK_BINS))
            every = np.concatenate([a.masks for a in targets if a.masks is not None])
            seen = every[:, None].astype(float)
            inside = roi_align(seen, boxes[hit], found[hit], 2 * MASK_BINS)[:, 0] >= 0.5
            criterion, dlogits = BinaryCrossEntropy(), np.zeros_like(logits)
            own = np.arange(len(hit)), label
            losses["mask"] = criterion(logits[own], inside.astype(logits.dtype))
            dlogits[own] = criterion.backward()
            self._seconds.append((head.mask_head, dlogits, boxes[hit], images[hit]))

    def loss_backward(self) -> Array:
        """Return dx of the sum of the losses; boxes that are proposed count as constants."""
        drpn: Any = self.rpn_head.backward(self._drpn)
        dlevels = [d.copy() for d in drpn]
        for head, gradient, boxes, images in self._seconds:
            self.roi_head.align_backward(head.backward(gradient), boxes, images, dlevels)
        return self.features_backward(self.neck.backward(dlevels))

    def predict(self, x: Array, score: float = 0.05, overlap: float = 0.5) -> list[Detections]:
        """Return the `Detections` of every image, as `RetinaNet.predict`."""
        levels: Any = self.neck(self.features(x))
        size, head, k = (x.shape[2], x.shape[3]), self.roi_head, self.roi_head.classes
        proposals = self.rpn_head.propose(self.rpn_head(levels), size)
        boxes = np.concatenate([np.zeros((0, 4)), *proposals])
        images = np.repeat(np.arange(len(proposals)), [len(a) for a in proposals])
        y = head.bbox_head(head.align(levels, boxes, images, BOX_BINS))
        scores = softmax(y[:, : k + 1])[:, :k]
        deltas = y[:, k + 1 :].reshape(-1, 4)
        decoded = decode(boxes.repeat(k, axis=0), deltas, size, DEVIATIONS).reshape(-1, k, 4)
        found = []
        for index in range(len(x)):
            own = images == index
            found.append(best(decoded[own], scores[own], score, overlap))
        return self._with_masks(levels, found, size) if self.masks else found

    def _with_masks(
        self, levels: Sequence[Array], found: list[Detections], size: tuple[int, int]
    ) -> list[Detections]:
        boxes = np.concatenate([np.zeros((0, 4)), *(item.boxes for item in found)])
        images = np.repeat(np.arange(len(found)), [len(item.boxes) for item in found])
        logits = self.roi_head.mask_head(self.roi_head.align(levels, boxes, images, MASK_BINS))
        masked = []
        for index, item in enumerate(found):
            own = sigmoid(logits[images == index][np.arange(len(item.boxes)), item.labels])
            masks = [_pasted(*pair, size) for pair in zip(own, item.boxes, strict=True)]
            stack = np.array(masks, bool).reshape(-1, *size)
            masked.append(Detections(item.boxes, item.labels, item.scores, stack))
        return masked


class MaskRCNN(FasterRCNN):
    """`FasterRCNN` with a `MaskHead`: its targets need masks, and its detections have them.

    Parameters
    ----------
    backbone, num_classes, neck, head, channels, hidden, stride, rng, dtype
        As in `FasterRCNN`.

    References
    ----------
    He et al., ICCV 2017, arXiv:1703.06870.

    Examples
    --------
    >>> from involution_edu import models
    >>> backbone = models.small_rednet(2, 3, rng=0)
    >>> model = MaskRCNN(backbone, 2, channels=16, hidden=8, stride=1, rng=0).eval()
    >>> model.predict(np.zeros((1, 3, 32, 48), np.float32), score=0.9)[0].masks.shape
    (0, 32, 48)
    """

    masks = True


def _pasted(probability: Array, box: Array, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels of an image of ``size`` inside the mask of a box, resized bilinearly."""
    bins, weights = np.arange(len(probability)), []
    for pixels, start, stop in zip(size, box[1::-1], box[:1:-1], strict=True):
        scale = len(bins) / max(stop - start, 1e-6)
        position = (np.arange(pixels) + 0.5 - start) * scale - 0.5
        weights.append(np.maximum(1 - abs(position[:, None] - bins), 0))
    rows, columns = weights
    inside: NDArray[np.bool_] = rows @ probability @ columns.T >= 0.5
    return inside
