"""The task ``detect``: a RetinaNet finds the digits of composed scenes, scored by pycocotools."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..arrays import Array
from ..models.dense import Detections, Objects, RetinaNet
from ..models.rednet import conv3x3, conv_unit
from ..models.residual import ResidualNetwork
from ..nn import Involution2d, MaxPool2d
from ..nn.losses import Loss
from .data import Data
from .scenes import SIZE, compose

EPOCH, TESTED = 2000, 300  # scenes composed for an epoch, for the test and for the validation
DIGITS = 10
HEAD: dict[str, Any] = {"channels": 64, "convs": 1, "scales_per_octave": 2}


def load() -> Data:
    """Return scenes and their objects; those to train on are numbers, for `composed`."""
    numbers: Any = np.arange(EPOCH)
    return Data(numbers, numbers, *scenes_of("test", TESTED), *scenes_of("val", TESTED))


def composed(x: Array, target: NDArray[Any], rng: Generator) -> tuple[Array, NDArray[Any]]:
    """Return as many new scenes as there are numbers in a batch, and their objects."""
    return scenes_of("train", len(x), int(rng.integers(2**31)))


def scenes_of(part: str, count: int, seed: int = 0) -> tuple[Array, NDArray[Any]]:
    """Return the first scenes of a part for a seed, and their objects."""
    scenes = compose(part, count, seed=seed)
    return scenes.x, packed(Objects(a.boxes, a.labels) for a in scenes.objects)


def packed(items: Iterable[Any]) -> NDArray[Any]:
    """Return an array (N,) of objects, which can be indexed by arrays."""
    found = list(items)
    array = np.empty(len(found), object)
    array[:] = found
    return array


def detector(kind: str, neck: str, seed: int) -> RetinaNet:
    """Return a RetinaNet on a RedNet ("inv") or a ResNet ("conv"), with a neck of such a kind.

    Its finest level has a stride of 8 pixels and anchors from 32 x 32 pixels on.
    """
    rng = np.random.default_rng(seed)
    spatial: Any = partial(Involution2d, kernel_size=7) if kind == "inv" else conv3x3
    stem = {"stem": conv_unit(3, 16, stride=2, rng=rng, dtype=np.float32)}
    backbone = ResidualNetwork(stem, {"maxpool": MaxPool2d(2)}, (1, 1, 1), spatial, 16, 1, rng=rng)
    model = RetinaNet(backbone, DIGITS, neck, **HEAD, rng=rng)
    model.frozen = ()  # nothing was trained before
    return model


class DetectionLoss(Loss):
    """The sum of the losses of a RetinaNet, for its last output and the `Objects` of the batch."""

    def __init__(self, model: Any) -> None:
        self.model: RetinaNet = model

    def __call__(self, y: Array, target: Any) -> float:
        """Return the loss and keep its gradient."""
        losses, self._gradient = self.model.bbox_head.losses(y, target, self.model.rng)
        return sum(losses.values())


def detections(model: Any, y: Array) -> NDArray[Any]:
    """Return the `Detections` of every scene; in training only the certain ones, which is fast."""
    return packed(model.detections(y, (SIZE, SIZE), score=0.3 if model.training else 0.05))


def ap50(found: Sequence[Detections], targets: Sequence[Objects]) -> float:
    """Return the average precision at an intersection over union of 0.5, the mean over classes.

    Without any object it is 1 if nothing is found, else 0.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    if not any(len(item.boxes) for item in targets):
        return float(not any(len(item.boxes) for item in found))
    base = {
        "images": [{"id": n} for n in range(len(targets))],
        "categories": [{"id": n} for n in range(DIGITS)],
    }
    with redirect_stdout(StringIO()):  # pycocotools prints its progress
        tables = []
        for items in targets, found:
            tables.append(COCO())
            tables[-1].dataset = {**base, "annotations": _rows(items)}
            tables[-1].createIndex()
        evaluation = COCOeval(*tables, "bbox")
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, np.inf]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][0, :, :, 0, -1]  # recall, class; all areas
    return float(precision[precision >= 0].mean())  # -1 for a class without objects


def _rows(items: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the boxes as annotations of pycocotools, whose ids start at 1."""
    rows: list[dict[str, Any]] = []
    for image, item in enumerate(items):
        scores = getattr(item, "scores", np.ones(len(item.boxes)))
        for box, label, score in zip(item.boxes, item.labels, scores, strict=True):
            x0, y0, x1, y1 = box.tolist()
            size = x1 - x0, y1 - y0
            about: dict[str, Any] = {
                "image_id": image,
                "category_id": int(label),
                "score": float(score),
            }
            about |= {"bbox": [x0, y0, *size], "area": size[0] * size[1], "iscrowd": 0}
            rows.append({"id": len(rows) + 1, **about})
    return rows
