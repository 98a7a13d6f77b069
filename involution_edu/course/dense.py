"""The exercises of notebook 12: overlap of masks, the backward of an FPN, overlapping boxes."""

from __future__ import annotations

import numpy as np

from ..arrays import Array
from ..models.dense import boxes as dense
from ..nn import resize
from .descent import Part
from .exercise import Cases, Exercise, table
from .operators import integers


def _iou(a: Array, b: Array, *, over: Part = np.logical_or, empty: float = np.nan) -> Array:
    return np.asarray((a * b).sum() / np.sum(over(a, b)) if (a + b).any() else empty)


IOU = Exercise(
    "iou", "iou(a, b) -> intersection over union of two masks (H, W) of bool; NaN if both are empty.", _iou,
    lambda rng: ((rng.random((H, W)) < p, rng.random((H, W)) < p) for H, W, p in ((3, 4, 0.6), (5, 3, 0.3), (6, 5, 0.8), (2, 3, 0))),
    table(
        _iou,
        ("sum", {"over": lambda a, b: a.sum() + b.sum()}, "the sum of the areas counts shared pixels twice; the union, once."),
        ("Dice", {"over": lambda a, b: (a.sum() + b.sum()) / 2}, "that is the Dice coefficient; divide by the union."),
        ("smaller", {"over": lambda a, b: min(a.sum(), b.sum())}, "you divided by the smaller area; divide by the union."),
        ("of a", {"over": lambda a, b: a}, "you divided by the area of a; divide by the union."),
        ("of b", {"over": lambda a, b: b}, "you divided by the area of b; divide by the union."),
        ("of all", {"over": lambda a, b: a.size}, "you divided by all pixels; divide by the union."),
        ("not divided", {"over": lambda a, b: 1}, "that is the number of shared pixels; divide by the union."),
        ("xor", {"over": np.logical_xor}, "a ^ b leaves the shared pixels out; the union is a | b."),
        ("equal", lambda a, b: (a == b).mean(), "that counts pixels that neither has, too: it is the accuracy."),
        ("0", {"empty": 0.0}, "two empty masks have no union to divide by: return NaN, not 0."),
        ("1", {"empty": 1.0}, "two empty masks have no union to divide by: return NaN, not 1."),
    ), picture=lambda given, index: dict(zip("ab", given, strict=True)),
)  # fmt: skip


def _top_down_backward(
    dfine: Array, dcoarse: Array, *, own: float = 1, read: Part = lambda i, h, H: i * h // H, part: Part = np.asarray) -> Array:  # fmt: skip
    sizes = zip(dcoarse.shape[1:], dfine.shape[1:], strict=True)
    rows, columns = (part(1.0 * (np.arange(h)[:, None] == read(np.arange(H), h, H).clip(max=h - 1))) for h, H in sizes)  # fmt: skip
    return np.asarray(own * dcoarse + rows @ dfine @ columns.T)


TOP_DOWN_BACKWARD = Exercise(
    "top_down_backward", "top_down_backward(dfine, dcoarse) -> the gradient of coarse (C, h, w), which is a level and is added to the fine one.", _top_down_backward,
    lambda rng: ((integers(rng, 2, H, W), integers(rng, 2, h, w)) for H, W, h, w in ((4, 4, 2, 2), (5, 3, 3, 2), (4, 7, 2, 3), (6, 3, 2, 3))),
    table(
        _top_down_backward,
        ("mean", {"part": lambda reads: reads / reads.sum(1, keepdims=True)}, "you took the mean of the pixels that read a number; their gradients add up."),
        ("first", {"part": lambda reads: reads * (reads.cumsum(1) == 1)}, "you took the top left pixel of each patch; all that read the number count."),
        ("last", {"part": lambda reads: reads * (reads.cumsum(1) == reads.sum(1, keepdims=True))}, "only the last pixel of each patch is left: += with a repeated index adds once; use loops or np.add.at."),
        ("no fine", lambda dfine, dcoarse: dcoarse, "the path through the fine level is missing: add what comes back from it."),
        ("no coarse", {"own": 0}, "coarse is a level of its own, too: start with dcoarse."),
        ("half", {"read": lambda i, h, H: i // 2}, "sizes need not be halves: row i of H reads row i * h // H."),
        ("round", {"read": lambda i, h, H: np.rint(i * h / H).astype(int)}, "round down: row i of H reads row i * h // H."),
        ("tiled", {"read": lambda i, h, H: i % h}, "% tiles the coarse level; neighbours read the same number: row i * h // H."),
        ("forward", lambda f, c: f + resize(c[None], f.shape[1:], "nearest")[0], "you repeated dcoarse, as forward does; backward adds up what read a number."),
    ), ("channel", "row", "column"), lambda dfine, dcoarse: {"H": dfine.shape[1], "h": dcoarse.shape[1]},
    lambda given, index: {"dfine": given[0][index[0]], "dcoarse": given[1][index[0]]},
)  # fmt: skip


def _nms(
    boxes: Array, scores: Array, threshold: float, *, order: Part = lambda scores: np.argsort(-scores, kind="stable"),
    drops: Part = np.greater, against: Part = lambda kept, seen: kept, result: Part = lambda kept, seen: kept) -> Array:  # fmt: skip
    overlap, kept, seen = dense.iou(boxes, boxes), list[int](), list[int]()
    for k in order(scores).tolist():
        kept += [] if drops(overlap[k, against(kept, seen)], threshold).any() else [k]
        seen.append(k)
    return np.asarray(result(kept, seen))


def _candidates(rng: np.random.Generator) -> Cases:
    yield np.array([[1, 0, 5, 4], [0, 0, 4, 4], [2, 0, 6, 4], [2, 0, 6, 2]]), np.array([6, 7, 5, 8]) / 10, 0.5  # fmt: skip
    for n, threshold in ((5, 0.5), (12, 0.25), (20, 0.5)):
        boxes = np.hstack([low := rng.integers(5, size=(n, 2)), low + rng.integers(3, 6, (n, 2))])
        yield boxes, rng.integers(1, 10, n) / 10, threshold


NMS = Exercise(
    "nms", "nms(boxes, scores, threshold) -> indices of the boxes that stay, by falling score, of equal scores the lower index first.", _nms, _candidates,
    table(
        _nms,
        ("one", lambda boxes, scores, threshold: [int(scores.argmax())], "you kept the best box only; keep one for each object."),
        ("all", {"against": lambda kept, seen: seen}, "a box that was dropped drops no other: compare with the kept ones only."),
        ("the best", {"against": lambda kept, seen: kept[:1]}, "compare with every kept box, not with the best alone."),
        ("the last", {"against": lambda kept, seen: kept[-1:]}, "compare with every kept box, not with the last one alone."),
        ("rising", {"order": np.argsort}, "argsort sorts upwards; start with the highest score: np.argsort(-scores)."),
        ("not sorted", {"order": lambda scores: np.arange(len(scores))}, "take the boxes by falling score, not as they stand."),
        ("ties", {"order": lambda scores: np.argsort(scores, kind="stable")[::-1]}, 'of equal scores the lower index is first: np.argsort(-scores, kind="stable").'),
        ("inverted", {"drops": np.less}, "you dropped the boxes that overlap little: drop those above threshold."),
        ("equal", {"drops": np.greater_equal}, "a box exactly at the threshold stays: > and not >=."),
        ("by index", lambda *given: sorted(_nms(*given)), "these are the right boxes; return them by falling score."),
        ("ranks", {"result": lambda kept, seen: [seen.index(k) for k in kept]}, "these are places in the sorted list; return the indices of the boxes, order[k]."),
    ), ("place",), picture=lambda given, index: {"IoU": dense.iou(given[0], given[0]), "scores": given[1][None]},
)  # fmt: skip
