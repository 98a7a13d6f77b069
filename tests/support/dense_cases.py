"""Small dense networks, an image, and objects in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from involution_edu import models
from involution_edu.arrays import Array
from involution_edu.models import dense

WIDTH = 4  # channels of the stem of the backbone; its stages have 16, 32, 64 and 128
OPTIONS: dict[str, Any] = {"channels": 16, "stride": 1}
RCNN = {**OPTIONS, "hidden": 8}

CASES: dict[str, Callable[..., dense.DenseNetwork]] = {
    "semantic fpn": partial(dense.SemanticFPN, num_classes=3, head_channels=8, **OPTIONS),
    "semantic fpn, inv": partial(dense.SemanticFPN, num_classes=3, neck="inv", **OPTIONS),
    "upernet": partial(dense.UPerNet, num_classes=3, auxiliary_channels=8, **OPTIONS),
    "retinanet": partial(dense.RetinaNet, num_classes=2, convs=2, **OPTIONS),
    "retinanet, inv": partial(dense.RetinaNet, num_classes=2, neck="inv", convs=1, **OPTIONS),
    "faster r-cnn": partial(dense.FasterRCNN, num_classes=2, **RCNN),
    "mask r-cnn": partial(dense.MaskRCNN, num_classes=2, neck="inv", **RCNN),
    "mask r-cnn, inv": partial(dense.MaskRCNN, num_classes=2, neck="inv", head="inv", **RCNN),
}


def backbone(dtype: Any = np.float64) -> models.ResidualNetwork:
    options: dict[str, Any] = {"kernel_size": 3, "group_channels": 4, "reduction": 2}
    blocks = (1, 1, 1, 1)
    return models.small_rednet(1, 3, blocks=blocks, channels=WIDTH, **options, rng=0, dtype=dtype)


def make(case: str, dtype: Any = np.float64, **options: Any) -> dense.DenseNetwork:
    """Return the network of a case, every weight other than its initial value, nothing frozen."""
    model = CASES[case](backbone(dtype), rng=1, dtype=dtype, **options)
    model.frozen = ()
    model.train()
    rng = np.random.default_rng(2)
    for parameter in model.parameters():
        parameter.data += 0.1 * rng.standard_normal(parameter.data.shape).astype(dtype)
    return model


def image(n: int = 2, h: int = 19, w: int = 26, dtype: Any = np.float64) -> Array:
    return np.random.default_rng(3).standard_normal((n, 3, h, w)).astype(dtype)


def objects(h: int = 19, w: int = 26) -> list[dense.Objects]:
    """Return two objects in the first image, one of them at its edge, and none in the second."""
    boxes = np.array([[2.0, 3.0, 15.0, 14.5], [12.0, 5.0, w, h]])
    rows, columns = np.mgrid[:h, :w] + 0.5
    inside = [
        (x0 < columns) & (columns < x1) & (y0 < rows) & (rows < y1 - 2) for x0, y0, x1, y1 in boxes
    ]
    none = np.zeros((0, h, w), bool)
    return [
        dense.Objects(boxes, np.array([1, 0]), np.array(inside)),
        dense.Objects(np.zeros((0, 4)), np.zeros(0, int), none),
    ]


def targets(case: str, h: int = 19, w: int = 26) -> Any:
    """Return classes of pixels, some to be ignored, or objects."""
    if "fpn" in case or "uper" in case:
        return np.random.default_rng(4).choice([0, 1, 2, 255], (2, h, w))
    return objects(h, w)
