"""The exercises of notebook 12 agree with the package; what the notebook says is what it measures."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from involution_edu import course
from involution_edu.course import EXERCISES, judge, notebooks
from involution_edu.models.dense import FPN, boxes
from involution_edu.training.scores import mean_iou

PATH = next(path for path in notebooks.paths() if path.name.startswith("12"))


def test_the_mean_of_the_ious_is_the_score_of_training() -> None:
    rng, classes = np.random.default_rng(0), 5
    truth, found = rng.integers(0, 4, (2, 1, 6, 7))  # no pixel of class 4 anywhere
    logits = np.moveaxis(np.eye(classes)[found], 3, 1)
    each = [EXERCISES["iou"].right(found == k, truth == k) for k in range(classes)]
    assert np.isnan(each[4])
    assert np.nanmean(each) == pytest.approx(mean_iou(logits, truth))


@pytest.mark.parametrize("size", [(8, 6), (7, 5), (5, 9)])
def test_the_gradient_of_the_coarse_sum_is_that_of_the_fpn(size: tuple[int, int]) -> None:
    """With laterals and levels that change nothing, an FPN is its top-down path alone."""
    rng, (H, W) = np.random.default_rng(1), size
    fpn: Any = FPN([2, 2], 2, rng=0, dtype=float)
    for name, parameter in fpn.named_parameters().items():
        parameter.data[...] = 0
        if name.endswith("weight"):
            centre = parameter.data.shape[2] // 2
            parameter.data[:, :, centre, centre] = np.eye(2)
    shapes = (1, 2, H, W), (1, 2, -(-H // 2), -(-W // 2))
    fpn([rng.standard_normal(shape) for shape in shapes])
    dfine, dcoarse = (rng.standard_normal(shape) for shape in shapes)
    want = EXERCISES["top_down_backward"].right(dfine[0], dcoarse[0])
    got = fpn.backward([dfine.copy(), dcoarse.copy()])
    np.testing.assert_allclose(got[1][0], want, atol=1e-12)
    np.testing.assert_allclose(got[0], dfine, atol=1e-12)


def test_nms_is_that_of_the_detectors() -> None:
    for seed in range(5):
        for found, scores, threshold in EXERCISES["nms"].cases(np.random.default_rng(seed)):
            one_group = np.zeros(len(found), int)
            kept = boxes.nms(found.astype(float), scores, one_group, threshold, len(found))
            assert EXERCISES["nms"].right(found, scores, threshold).tolist() == kept.tolist()


def test_plus_equal_with_repeated_indices_is_named() -> None:
    def top_down_backward(dfine: Any, dcoarse: Any) -> Any:
        (_, H, W), (_, h, w) = dfine.shape, dcoarse.shape
        total = dcoarse.copy()
        total[:, np.arange(H)[:, None] * h // H, np.arange(W) * w // W] += dfine
        return total

    assert "use loops or np.add.at" in str(course.check(top_down_backward))


def test_a_wrong_answer_about_masks_that_is_in_no_table() -> None:
    text = judge(EXERCISES["iou"], lambda a, b: (a & b).sum() / 7).text
    assert text.startswith("Not yet: for iou(a (3, 4), b (3, 4))\nthe result is ")


def test_kernels_differ_most_across_borders_as_the_notebook_says() -> None:
    cells = json.loads(PATH.read_text(encoding="utf-8"))["cells"]
    (cell,) = (cell for cell in cells if cell["id"] == "12-border-measure")
    printed = "".join("".join(output["text"]) for output in cell["outputs"])
    rows = re.findall(r"^(\w+) .*?(\d\.\d\d) +(\d\.\d\d)$", printed, re.MULTILINE)
    found = {name: (float(trained), float(random)) for name, trained, random in rows}
    for k in range(2):
        assert found["across"][k] > max(found["inside"][k], found["background"][k])
