"""Boxes (x0, y0, x1, y1) in pixels: targets, anchors, coding, assignment, sampling and NMS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arguments import ArgumentError, WrongTypeError, check_shape
from ...arrays import Array
from ...nn.resample import Indices

IGNORED, NEGATIVE = -2, -1  # results of `assign` for boxes without an object
MAX_LOG_RATIO = abs(np.log(16 / 1000))  # of decoded sizes, so that exp cannot overflow
Deviations = tuple[float, float, float, float]


@dataclass(frozen=True)
class Objects:
    """The objects of one image, as targets of training.

    Attributes
    ----------
    boxes : ndarray, shape (M, 4)
    labels : ndarray of int, shape (M,)
    masks : ndarray of bool, shape (M, H, W), optional

    Examples
    --------
    >>> Objects(np.array([[0.0, 2.0, 4.0, 5.0]]), np.array([0])).boxes.shape
    (1, 4)
    """

    boxes: Array
    labels: Indices
    masks: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Detections:
    """Boxes found in one image, the most certain first.

    Attributes
    ----------
    boxes : ndarray, shape (M, 4)
    labels : ndarray of int, shape (M,)
    scores : ndarray, shape (M,)
    masks : ndarray of bool, shape (M, H, W), optional

    Examples
    --------
    >>> Detections(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0)).scores.size
    0
    """

    boxes: Array
    labels: Indices
    scores: Array
    masks: NDArray[np.bool_] | None = None


def check_objects(
    targets: Sequence[Objects], images: tuple[int, ...], classes: int, masks: bool = False
) -> None:
    """Raise unless ``targets`` fit a batch of ``images`` (N, C, H, W)."""
    if len(targets) != images[0]:
        raise ArgumentError("targets", f"has {len(targets)} items", f"{images[0]}, one an image")
    for index, item in enumerate(targets):
        name = f"targets[{index}]"
        check_boxes(f"{name}.boxes", item.boxes)
        check_shape(f"{name}.labels", item.labels, (len(item.boxes),), "one for each box")
        if item.labels.dtype.kind not in "iu":
            got = f"has dtype {item.labels.dtype}"
            raise WrongTypeError(f"{name}.labels", got, "whole numbers")
        if len(item.labels) and not 0 <= item.labels.min() <= item.labels.max() < classes:
            got = f"has {item.labels.min()} to {item.labels.max()}"
            raise ArgumentError(f"{name}.labels", got, f"0 to {classes - 1}")
        if masks:
            if item.masks is None:
                raise ArgumentError(f"{name}.masks", "is None", "one mask for each box")
            shape = (len(item.boxes), *images[2:])
            check_shape(f"{name}.masks", item.masks, shape, "(boxes, H, W) of the image")


def check_boxes(name: str, boxes: Array) -> None:
    """Raise unless ``boxes`` are finite, with x0 < x1 and y0 < y1."""
    check_shape(name, boxes, (len(boxes), 4), "(M, 4)")
    bad = ~(np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    if bad.any():
        first = int(bad.argmax())
        got = f"is {', '.join(f'{v:g}' for v in boxes[first])}"
        raise ArgumentError(f"{name}[{first}]", got, "finite x0, y0, x1, y1, x0 < x1 and y0 < y1")


def make_anchors(
    sizes: Sequence[tuple[int, int]], stride: int, scales: Sequence[float], ratios: Sequence[float]
) -> list[Array]:
    """Return the anchors of every level, (H_l * W_l * A, 4), pixel by pixel.

    ``sizes`` are the rows and columns of the levels; ``stride`` is that of the first, in pixels of
    the image, and doubles with every level. A square anchor has a side of ``scales`` strides; the
    ``ratios`` of height to width keep its area.

    >>> make_anchors([(1, 2)], 8, [2.0], [1.0])[0]
    array([[-8., -8.,  8.,  8.],
           [ 0., -8., 16.,  8.]])
    """
    found = []
    root, scale = np.sqrt(ratios)[:, None], np.asarray(scales)
    half = np.stack([(scale / root).ravel(), (scale * root).ravel()], axis=1) / 2  # (A, 2): x, y
    shapes = np.concatenate([-half, half], axis=1)
    for level, (h, w) in enumerate(sizes):
        y, x = np.mgrid[:h, :w].reshape(2, h * w, 1)
        places = np.concatenate([x, y, x, y], axis=1)[:, None]  # (H*W, 1, 4)
        found.append(((places + shapes) * (stride << level)).reshape(-1, 4))
    return found


def encode(boxes: Array, targets: Array, deviations: Deviations = (1, 1, 1, 1)) -> Array:
    """Return (dx, dy, dw, dh), which lead from ``boxes`` to ``targets``, in ``deviations``.

    >>> encode(np.array([[0.0, 0.0, 4.0, 2.0]]), np.array([[1.0, 0.0, 5.0, 2.0]]))
    array([[0.25, 0.  , 0.  , 0.  ]])
    """
    size, target_size = boxes[:, 2:] - boxes[:, :2], targets[:, 2:] - targets[:, :2]
    shift = (targets[:, :2] + targets[:, 2:] - boxes[:, :2] - boxes[:, 2:]) / 2 / size
    deltas: Array = np.concatenate([shift, np.log(target_size / size)], axis=1) / deviations
    return deltas


def decode(
    boxes: Array, deltas: Array, image: tuple[int, ...], deviations: Deviations = (1, 1, 1, 1)
) -> Array:
    """Return the boxes that ``deltas`` lead to, clipped to an ``image`` of (H, W).

    >>> decode(np.array([[0.0, 0.0, 4.0, 2.0]]), np.array([[0.5, 0.0, 0.0, 0.0]]), (9, 5))
    array([[2., 0., 5., 2.]])
    """
    deltas = deltas * np.asarray(deviations)
    size = boxes[:, 2:] - boxes[:, :2]
    centre = (boxes[:, 2:] + boxes[:, :2]) / 2 + deltas[:, :2] * size
    half = size * np.exp(np.clip(deltas[:, 2:], -MAX_LOG_RATIO, MAX_LOG_RATIO)) / 2
    found = np.concatenate([centre - half, centre + half], axis=1)
    h, w = image
    clipped: Array = np.clip(found, 0, [w, h, w, h])
    return clipped


def iou(boxes: Array, others: Array) -> Array:
    """Return the intersection over union of every box with every other: (M, 4), (P, 4) -> (M, P).

    >>> iou(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 3.0, 2.0], [2.0, 0.0, 3.0, 2.0]]))
    array([[0.33333333, 0.        ]])
    """
    low = np.maximum(boxes[:, None, :2], others[:, :2])
    high = np.minimum(boxes[:, None, 2:], others[:, 2:])
    shared = (high - low).clip(0).prod(axis=2)
    areas, other_areas = ((b[:, 2:] - b[:, :2]).prod(axis=1) for b in (boxes, others))
    union = areas[:, None] + other_areas - shared
    found: Array = shared / np.maximum(union, 1e-12)
    return found


def nms(boxes: Array, scores: Array, groups: Indices, threshold: float, most: int) -> Indices:
    """Return the indices of the boxes to keep, at most ``most``, the most certain first.

    A box is left out if its intersection over union with a kept one of its group, such as a class
    or a level, is above ``threshold``.

    >>> boxes = np.array([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.0], [4.0, 0.0, 8.0, 4.0]])
    >>> nms(boxes, np.array([0.5, 0.9, 0.1]), np.array([0, 0, 0]), 0.5, 9)
    array([1, 2])
    """
    order, kept = np.argsort(-scores, kind="stable"), list[Any]()
    while len(order) and len(kept) < most:
        best, rest = order[0], order[1:]
        kept.append(best)
        overlaps = iou(boxes[best : best + 1], boxes[rest])[0] > threshold
        order = rest[~(overlaps & (groups[rest] == groups[best]))]
    return np.array(kept, np.intp)


def assign(
    boxes: Array, objects: Array, positive: float, negative: float, minimum: float | None = None
) -> Indices:
    """Return, for each box, the index of its object, `NEGATIVE` or `IGNORED`.

    A box belongs to the object that it overlaps most, if their intersection over union is at
    least ``positive``; below ``negative`` it is negative. With ``minimum``, the boxes that
    overlap an object most, by at least this much, belong to it in any case.

    >>> boxes = np.array([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 2.0], [5.0, 5.0, 6.0, 6.0]])
    >>> assign(boxes, boxes[:1], 0.7, 0.3)
    array([ 0, -2, -1])
    """
    found = np.full(len(boxes), NEGATIVE, np.intp)
    if not len(objects) or not len(boxes):
        return found
    overlaps = iou(boxes, objects)
    most = overlaps.max(axis=1)
    found[most >= negative] = IGNORED
    belongs = most >= positive
    found[belongs] = overlaps.argmax(axis=1)[belongs]
    if minimum is not None:
        for index, best in enumerate(overlaps.max(axis=0)):
            if best > 0 and best >= minimum:
                found[overlaps[:, index] == best] = index
    return found


def sample(
    assigned: Indices, count: int, positive_share: float, rng: np.random.Generator
) -> tuple[Indices, Indices]:
    """Return the indices of at most ``count`` random boxes: positive ones, and negative ones.

    >>> positive, negative = sample(np.array([-1, 0, -2, -1]), 2, 0.5, np.random.default_rng(0))
    >>> positive, len(negative)
    (array([1]), 1)
    """
    positive = _some(np.flatnonzero(assigned >= 0), int(count * positive_share), rng)
    negative = np.flatnonzero(assigned == NEGATIVE)
    return positive, _some(negative, count - len(positive), rng)


def _some(indices: Indices, count: int, rng: np.random.Generator) -> Indices:
    if len(indices) <= count:
        return indices
    chosen: Any = rng.choice(indices, count, replace=False)
    return np.sort(chosen)
