"""Detectors: boxes, sampling, proposals, detections, masks, and frozen stages."""

from __future__ import annotations

from typing import Any

import dense_cases
import numpy as np
import pytest

from involution_edu import nn
from involution_edu.models.dense import retina
from involution_edu.models.dense.boxes import (
    IGNORED,
    NEGATIVE,
    assign,
    decode,
    encode,
    iou,
    nms,
    sample,
)
from involution_edu.models.dense.rcnn import _pasted
from involution_edu.models.dense.rcnn_heads import RoIHead


def test_boxes_are_decoded_to_what_they_were_coded_from() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 40, (2, 30, 2))
    boxes, targets = (np.concatenate([a, a + rng.uniform(1, 9, (30, 2))], axis=1) for a in corners)
    deviations = 0.1, 0.1, 0.2, 0.2
    found = decode(boxes, encode(boxes, targets, deviations), (60, 60), deviations)
    np.testing.assert_allclose(found, targets, rtol=0, atol=1e-12)
    huge = decode(boxes, np.full((30, 4), 1e9), (60, 50))
    assert np.isfinite(huge).all()
    assert (huge <= [50, 60, 50, 60]).all()


def test_decoded_boxes_are_at_most_1000_16ths_as_large() -> None:
    box = decode(np.array([[500.0, 500, 502, 504]]), np.array([[0.0, 0, 9, 9]]), (2000, 2000))
    np.testing.assert_allclose(box[:, 2:] - box[:, :2], [[125.0, 250.0]])


def test_nms_keeps_what_the_definition_keeps() -> None:
    rng = np.random.default_rng(1)
    low = rng.uniform(0, 20, (60, 2))
    boxes = np.concatenate([low, low + rng.uniform(2, 12, (60, 2))], axis=1)
    scores, groups = rng.random(60), rng.integers(0, 3, 60)
    kept: list[int] = []
    for i in np.argsort(-scores):
        if all(groups[i] != groups[j] or iou(boxes[[i]], boxes[[j]])[0, 0] <= 0.4 for j in kept):
            kept.append(i)
    assert nms(boxes, scores, groups, 0.4, 99).tolist() == kept
    assert nms(boxes, scores, groups, 0.4, 5).tolist() == kept[:5]
    assert 10 < len(kept) < 55
    assert nms(boxes[:0], scores[:0], groups[:0], 0.4, 99).size == 0


def test_every_object_has_its_best_box_however_little_they_overlap() -> None:
    boxes = np.array([[0.0, 0, 4, 4], [0, 0, 2, 4], [10, 10, 14, 14], [20, 20, 24, 24]])
    objects = np.array([[0.0, 0, 4, 4], [10, 10, 12, 12]])
    assert assign(boxes, objects, 0.7, 0.3).tolist() == [0, IGNORED, -1, -1]
    assert assign(boxes, objects, 0.7, 0.3, 0.2).tolist() == [0, IGNORED, 1, -1]
    assert assign(boxes, objects, 0.7, 0.3, 0.3).tolist() == [0, IGNORED, -1, -1]
    far = np.array([[50.0, 50, 60, 60]])
    assert assign(boxes, far, 0.5, 0.4, 0.0).tolist() == [-1] * 4  # no overlap is no match


def test_boxes_use_the_level_of_their_size() -> None:
    head = RoIHead(16, 8, 2, 4, 4, None, rng=0, dtype=float)
    sides = [1, 111, 113, 223, 225, 449, 5000]
    boxes = np.array([[0.0, 0.0, side, side] for side in sides])
    found = {level: part.tolist() for level, part in head._parts(boxes)}
    assert found == {0: [0, 1], 1: [2, 3], 2: [4], 3: [5, 6]}


def test_sampling_takes_no_more_than_the_share() -> None:
    assigned = np.array([0, 1, NEGATIVE, IGNORED, 2, NEGATIVE, 0, 1, NEGATIVE, NEGATIVE, IGNORED])
    positive, negative = sample(assigned, 6, 0.5, np.random.default_rng(0))
    assert len(positive) == 3
    assert len(negative) == 3
    assert (assigned[positive] >= 0).all()
    assert (assigned[negative] == NEGATIVE).all()
    positive, negative = sample(assigned, 100, 0.5, np.random.default_rng(0))
    assert positive.tolist() == [0, 1, 4, 6, 7]
    assert negative.tolist() == [2, 5, 8, 9]
    positive, negative = sample(assigned[2:4], 6, 0.5, np.random.default_rng(0))
    assert (positive.tolist(), negative.tolist()) == ([], [0])


def test_detections_are_those_of_the_certain_anchors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three anchors that score, one of them a second time in its class, and one below the least."""
    model: Any = dense_cases.make("retinanet").eval()
    y = model(dense_cases.image(1, 32, 32))
    y[...] = 0
    y[..., :2] = -9.0
    anchors = np.concatenate(model.bbox_head.anchors)
    inside = ((anchors[:, :2] >= 0) & (anchors[:, 2:] <= 32)).all(axis=1)
    first = int(np.flatnonzero(inside & (anchors[:, :2] > 8).all(axis=1))[0])
    shared = iou(anchors[[first]], anchors)[0]
    near = int(np.flatnonzero(inside & (shared > 0.55) & (shared < 1))[0])
    far = int(np.flatnonzero(inside & (shared == 0))[0])
    y[0, first, 1], y[0, near, 1], y[0, near, 0], y[0, far, 1] = 2.0, 1.0, 0.5, -2.0
    y[0, far, 2:] = 0.1, 0.0, 0.0, 0.0
    y[0, 5, 0] = -4.0  # a score of 0.018
    (found,) = model.detections(y, (32, 32))
    assert found.labels.tolist() == [1, 0, 1]
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp([-2.0, -0.5, 2.0])))
    moved = decode(anchors[[far]], y[0, [far], 2:], (32, 32))
    np.testing.assert_allclose(found.boxes, [anchors[first], anchors[near], *moved])
    (few,) = model.detections(y, (32, 32), score=0.5)
    assert few.labels.tolist() == [1, 0]
    (more,) = model.detections(y, (32, 32), overlap=0.99)
    assert more.labels.tolist() == [1, 1, 0, 1]
    monkeypatch.setattr(retina, "CANDIDATES", 1)
    (first_alone,) = model.detections(y, (32, 32))
    np.testing.assert_array_equal(first_alone.scores, found.scores[:1])


def test_proposals_are_sorted_and_whole() -> None:
    model: Any = dense_cases.make("faster r-cnn").eval()
    levels = model.neck(model.features(dense_cases.image(1, 32, 48)))
    y = model.rpn_head(levels)
    y[..., 1:] = 0
    anchors = np.concatenate(model.rpn_head.anchors)
    y[0, :, 0] = scores = np.random.default_rng(0).permutation(len(anchors))
    y[0, scores.argmax(), 1] = 99.0  # moves the most certain box out of the image
    (found,) = model.rpn_head.propose(y, (32, 48))
    assert ((found[:, 2:] > found[:, :2]).all(axis=1)).all()
    clipped = decode(anchors, y[0, :, 1:], (32, 48))
    whole = (clipped[:, 2:] > clipped[:, :2]).all(axis=1)
    assert not whole.all()
    np.testing.assert_array_equal(found[0], clipped[whole][scores[whole].argmax()])


def test_objects_are_counted_in_all_images() -> None:
    model: Any = dense_cases.make("faster r-cnn")
    one, none = dense_cases.objects()
    targets = [one, none, one]
    proposals = [np.concatenate([item.boxes, [[0.0, 0, 1, 1]]]) for item in targets]
    boxes, images, found = model._sample(proposals, targets)
    every = np.concatenate([item.boxes for item in targets])
    assert sorted(set(found)) == [-1, 0, 1, 2, 3]
    np.testing.assert_array_equal(boxes[found >= 0], every[found[found >= 0]])
    assert (images[found >= 0] == 2 * (found[found >= 0] >= 2)).all()


def test_a_mask_is_pasted_into_its_box() -> None:
    probability = np.zeros((4, 4))
    probability[:2] = 1  # the upper half
    mask = _pasted(probability, np.array([3.0, 2.0, 11.0, 10.0]), (14, 16))
    rows, columns = np.nonzero(mask)
    assert mask.sum() == 4 * 8
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 5, 3, 10)


FROZEN = "backbone.stem.", "backbone.layer1."


@pytest.mark.parametrize("case", ["retinanet", "faster r-cnn"])
def test_frozen_stages_stay_in_evaluation_mode_and_get_no_gradients(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, targets = dense_cases.image(), dense_cases.targets(case)
    model = dense_cases.make(case)
    whole = {name: a.copy() for name, a in model.eval().backbone.features(x).items()}
    model = dense_cases.make(case)  # with the same weights; no statistics were updated
    model.frozen = type(model).frozen
    before = model.train().state_dict()
    modes = {name: module.training for name, module in model.named_modules()}
    for name, module in model.named_modules():
        norm = name.startswith("backbone.") and isinstance(module, nn.BatchNorm2d)
        assert modes[name] != (norm or name.startswith(FROZEN)), name
    features = model.features(x)
    np.testing.assert_array_equal(features[-1], whole["layer4"])
    model.loss(x, targets)
    for stage in "stem", "layer1":  # no backward pass is called there
        for _, module in model.backbone._stages[stage].named_modules():
            monkeypatch.setattr(module, "backward", None)
    dx = model.loss_backward()
    assert dx.shape == whole["layer1"].shape
    trained = {name for name, p in model.named_parameters().items() if p.grad.any()}
    named = model.named_parameters()
    assert trained == {name for name in named if not name.startswith(FROZEN)}
    assert [named[name] for name in named if name in trained] == model.trainable_parameters()
    after = model.state_dict()
    for name in before:
        if name.startswith("backbone."):  # running statistics included
            np.testing.assert_array_equal(before[name], after[name], err_msg=name)
    model.frozen = ()
    assert all(module.training for _, module in model.train().named_modules())
    assert not any(module.training for _, module in model.eval().named_modules())


def test_a_new_detector_is_frozen_and_a_new_segmentor_is_not() -> None:
    for case, frozen in ("mask r-cnn", True), ("semantic fpn", False):
        model = dense_cases.CASES[case](dense_cases.backbone())
        modes = {name: module.training for name, module in model.named_modules()}
        assert modes["backbone.layer4.0.bn1."] == modes["backbone.layer1.0."] == (not frozen)
        assert modes["neck."]
