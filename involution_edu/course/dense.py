"""The exercises of notebook 12: overlap of masks, the backward of an FPN, overlapping boxes."""

from __future__ import annotations

import numpy as np

from ..arrays import Array
from ..models.dense.boxes import iou as box_iou
from ..nn.losses import Labels
from .exercise import Cases, Exercise, table
from .operators import integers


def _iou(a: Labels, b: Labels) -> float:
    union = np.sum(a | b)
    return float(np.sum(a & b) / union) if union else np.nan


UNION = "np.sum(a | b) =>"
IOU = Exercise(
    "iou", "iou(a, b) -> intersection over union of two masks (H, W) of bool; NaN if both are empty.", _iou,
    lambda rng: ((rng.random((H, W)) < p, rng.random((H, W)) < p) for H, W, p in ((3, 4, 0.6), (5, 3, 0.3), (6, 5, 0.8), (2, 3, 0))),
    table(_iou,
        (f"{UNION} np.sum(a) + np.sum(b)", "the sum of the areas counts shared pixels twice; the union, once."),
        (f"{UNION} np.sum(a)", "you divided by the area of a; divide by the union."),
        (f"{UNION} np.sum(b)", "you divided by the area of b; divide by the union."),
        (" / union => ", "that is the number of shared pixels; divide by the union."),
        (f"{UNION} (np.sum(a) + np.sum(b)) / 2", "that is the Dice score, over the mean of the areas; divide by the union."),
        (f"{UNION} min(np.sum(a), np.sum(b))", "you divided by the smaller area; divide by the union."),
        (f"{UNION} max(np.sum(a), np.sum(b))", "you divided by the larger area; divide by the union."),
        (f"{UNION} a.size", "you divided by the number of all pixels; divide by the union."),
        ("np.sum(a & b) => np.sum(a == b)", "a == b counts pixels that neither has, too; the intersection is a & b."),
        ("a | b => a ^ b", "a ^ b leaves the shared pixels out; the union is a | b."),
        ("np.sum(a & b) / union) if union else np.nan => np.mean(a == b))", "that counts pixels that neither has, too: it is the accuracy."),
        ("np.nan => 0.0", "two empty masks have no union to divide by: return NaN, not 0."),
        ("np.nan => 1.0", "two empty masks have no union to divide by: return NaN, not 1."),
    ), picture=lambda given, index: dict(zip("ab", given, strict=True)),
)  # fmt: skip


def _top_down_backward(dfine: Array, dcoarse: Array) -> Array:
    (_, H, W), (_, h, w) = dfine.shape, dcoarse.shape
    total = dcoarse.copy()
    for i in range(H):
        for j in range(W):
            total[:, i * h // H, j * w // W] += dfine[:, i, j]
    return total


LAST = "w // W] += => w // W] = dcoarse[:, i * h // H, j * w // W] +"
TOP_DOWN_BACKWARD = Exercise(
    "top_down_backward", "top_down_backward(dfine, dcoarse) -> the gradient of coarse (C, h, w), which is a level and is added to the fine one.", _top_down_backward,
    lambda rng: ((integers(rng, 2, H, W), integers(rng, 2, h, w)) for H, W, h, w in ((4, 4, 2, 2), (5, 3, 3, 2), (4, 7, 2, 3), (6, 3, 2, 3))),
    table(_top_down_backward,
        ("dfine[:, i, j] => dfine[:, i, j] / sum(k * h // H == i * h // H for k in range(H)) / sum(k * w // W == j * w // W for k in range(W))", "you took the mean of the pixels that read a number; their gradients add up."),
        (f"i in range(H) => i in range(H)[::-1] ; j in range(W) => j in range(W)[::-1] ; {LAST}", "you took the top left pixel of each patch; all that read the number count."),
        (LAST, "only the last pixel of each patch is left: += with a repeated index adds once; use loops or np.add.at."),
        ("return total => return dcoarse", "the path through the fine level is missing: add what comes back from it."),
        ("dcoarse.copy() => np.zeros(dcoarse.shape)", "coarse is a level of its own, too: start with dcoarse."),
        ("i * h // H => min(i // 2, h - 1) ; j * w // W => min(j // 2, w - 1)", "sizes need not be halves: row i of H reads row i * h // H."),
        ("i * h // H => i % h ; j * w // W => j % w", "% tiles the coarse level; neighbours read the same number: row i * h // H."),
        ("return total => return dfine + dcoarse[:, [i * h // H for i in range(H)]][:, :, [j * w // W for j in range(W)]]", "you repeated dcoarse, as forward does; backward adds up what read a number."),
    ), ("channel", "row", "column"), lambda dfine, dcoarse: {"H": dfine.shape[1], "h": dcoarse.shape[1]}, lambda given, index: {"dfine": given[0][index[0]], "dcoarse": given[1][index[0]]},
)  # fmt: skip


def _nms(boxes: Array, scores: Array, threshold: float) -> Array:
    order, kept = tuple(np.argsort(-scores, kind="stable").tolist()), list[int]()
    for n, k in enumerate(order):  # noqa: B007 - a mistake has n
        if (box_iou(boxes[[k]], boxes[kept]) <= threshold).all():
            kept.append(k)
    return np.array(kept)


def _candidates(rng: np.random.Generator) -> Cases:
    chain = [[1, 0, 5, 4], [0, 0, 4, 4], [2, 0, 6, 4], [2, 0, 6, 2]]
    apart = [[0, 0, 4, 4], [8, 8, 12, 12], [20, 0, 24, 4]]  # without a common row or column
    yield np.array(chain), np.array([6, 7, 5, 8]) / 10, 0.5
    yield np.array(apart), np.array([2, 3, 1]) / 10, 0.5
    for M, threshold in ((5, 0.5), (12, 0.25), (20, 0.5)):
        boxes = np.hstack([low := rng.integers(5, size=(M, 2)), low + rng.integers(3, 6, (M, 2))])
        yield boxes, rng.integers(1, 10, M) / 10, threshold
    yield np.zeros((0, 4)), np.zeros(0), 0.5


ORDER, RESULT = 'np.argsort(-scores, kind="stable")', "return np.array(kept) => return np.array"
NMS = Exercise(
    "nms", "nms(boxes, scores, threshold) -> indices of the boxes that stay, by falling score, of equal scores the lower index first.", _nms, _candidates,
    table(_nms,
        ("boxes[kept] => boxes[list(order[:n])]", "a box that was dropped drops no other: compare with the kept ones only."),
        ("kept.append(k) => kept.append(k)\n        else:\n            break", "you stop at the first box that is dropped: go on with the next."),
        ("boxes[kept] => boxes[kept[:1]]", "compare with every kept box, not with the best alone."),
        ("boxes[kept] => boxes[kept[-1:]]", "compare with every kept box, not with the last one alone."),
        (").all() => ).any() or not kept", "a box stays if *all* kept ones overlap little, not any."),
        ("scores above threshold", lambda boxes, scores, threshold: [
            k for k in np.argsort(-scores, kind="stable") if scores[k] > threshold], "threshold is for the overlap of two boxes, not for scores."),
        ("-scores => scores", "argsort sorts upwards; start with the highest score: np.argsort(-scores)."),
        (f"{ORDER}.tolist() => list(range(len(scores)))", "take the boxes by falling score, not as they stand."),
        (f'{ORDER} => np.argsort(scores, kind="stable")[::-1]', f"of equal scores the lower index is first: {ORDER}."),
        ("<= threshold => >= threshold", "you dropped the boxes that overlap little: drop those above threshold."),
        ("<= threshold => < threshold", "a box exactly at the threshold stays: > drops it, and not >=."),
        (f"{RESULT}(scores[kept])", "these are scores; return the indices of their boxes."),
        (f"{RESULT}(sorted(kept))", "these are the right boxes; return them by falling score."),
        (f"{RESULT}([order.index(k) for k in kept])", "these are places in the sorted list; return the indices of the boxes, order[k]."),
    ), ("place",), picture=lambda given, index: {"IoU": box_iou(*given[:1] * 2), "scores": given[1][None]},
)  # fmt: skip
