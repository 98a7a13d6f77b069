"""Dense networks: published counts, names, boxes, awkward images, and bad input."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import dense_cases
import numpy as np
import pytest

from involution_edu import load_weights, models, nn, save_checkpoint
from involution_edu.complexity import Complexity, change, count
from involution_edu.models import dense

# Parameters (of detectors, those that are trained); MACs and 2 for each normalised number, in G.
RECOUNTED = {
    "faster_rcnn_conv_conv": (31_598_464, 177.4),
    "faster_rcnn_inv_conv": (29_508_032, 134.0),
    "faster_rcnn_inv_inv": (28_985_424, 90.5),
    "mask_rcnn_conv_conv": (34_241_744, 230.4),
    "mask_rcnn_inv_conv": (32_151_312, 187.0),
    "mask_rcnn_inv_inv": (29_538_272, 103.5),
    "retinanet_conv": (27_814_100, 209.6),
    "retinanet_inv": (26_246_276, 198.9),
    "semantic_fpn_conv": (18_462_449, 293.0),
    "semantic_fpn_inv": (16_372_017, 204.2),
    "upernet": (56_379_780, 1844.4),
}


NAMES = {  # some of those of mmdet and mmseg
    "faster_rcnn_inv_inv": "neck.lateral_convs.3.conv.bias neck.fpn_convs.0.conv1.conv.weight "
    "rpn_head.rpn_conv.conv2.conv.bias rpn_head.rpn_cls.weight rpn_head.rpn_reg.bias "
    "roi_head.bbox_head.shared_fcs.1.weight roi_head.bbox_head.fc_cls.bias",
    "mask_rcnn_conv_conv": "neck.fpn_convs.3.conv.weight rpn_head.rpn_conv.weight "
    "roi_head.mask_head.convs.3.conv.bias roi_head.mask_head.upsample.weight "
    "roi_head.mask_head.conv_logits.bias backbone.stem.0.conv.weight",
    "mask_rcnn_inv_inv": "roi_head.mask_head.convs.0.0.conv1.bn.running_mean",
    "retinanet_inv": "neck.fpn_convs.2.conv2.conv.weight neck.fpn_convs.4.conv.weight "
    "bbox_head.cls_convs.3.conv.weight bbox_head.retina_reg.bias",
    "semantic_fpn_conv": "decode_head.scale_heads.3.4.conv.weight "
    "decode_head.scale_heads.0.0.bn.running_var decode_head.conv_seg.bias",
    "upernet": "decode_head.psp_modules.3.1.bn.weight decode_head.lateral_convs.2.bn.bias "
    "decode_head.bottleneck.conv.weight decode_head.fpn_bottleneck.bn.bias "
    "auxiliary_head.convs.0.bn.weight auxiliary_head.conv_seg.weight",
}
PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "complexity.md"


@cache
def twin(network: str) -> Complexity:
    make, size = dense.DENSE[f"{network}_resnet50"]
    return count(make(), (3, *size))


@pytest.mark.parametrize("name", RECOUNTED)
def test_counts_are_those_of_the_paper_and_names_those_of_mmdet(name: str) -> None:
    make, size = dense.DENSE[name]
    model = make()
    assert not set(NAMES.get(name, "").split()) - model.state_dict().keys()
    cost, (parameters, macs) = count(model, (3, *size)), RECOUNTED[name]
    assert cost.trainable == sum(p.data.size for p in model.trainable_parameters()) == parameters
    normalised = sum(a.operations for a in cost.layers if a.kind == "BatchNorm2d")
    assert (cost.macs + normalised) / 1e9 == pytest.approx(macs, rel=0.001)
    other = twin(
        name.removesuffix("_conv").removesuffix("_inv").removesuffix("_conv").removesuffix("_inv")
    )
    row = f"| `{name}` | {parameters:,} | {(cost.macs + normalised) / 1e9:.1f} | {cost.operations / 1e9:.1f} |"
    row += f" {change(parameters, other.trainable):+.1f} % |"
    row += f" {change(cost.operations, other.operations):+.1f} % |"
    assert row in PAGE.read_text(encoding="utf-8"), row


def test_files_of_a_detector_and_of_its_backbone_load(tmp_path: Path) -> None:
    model, path = dense_cases.make("mask r-cnn, inv"), tmp_path / "detector.safetensors"
    save_checkpoint(path, model.state_dict())
    other = dense_cases.CASES["mask r-cnn, inv"](dense_cases.backbone(), rng=5, dtype=float)
    load_weights(other, path)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], array)
    source, path = dense_cases.backbone(), tmp_path / "classifier.npz"
    source.named_parameters()["layer1.0.conv1.weight"].data += 1
    for prefix in "", "backbone.":
        save_checkpoint(path, {prefix + k: a for k, a in source.state_dict().items()}, force=True)
        report = load_weights(other.backbone, path, strict=False)
        assert report.missing == ()
        assert report.surplus == ("fc.weight", "fc.bias")
        for name, array in other.backbone.state_dict().items():
            np.testing.assert_array_equal(array, source.state_dict()[name])


@pytest.mark.parametrize("case", dense_cases.CASES)
def test_float32_gives_the_losses_of_float64(case: str) -> None:
    losses = []
    for dtype in np.float64, np.float32:
        model = dense_cases.make(case, dtype)
        x = dense_cases.image(dtype=dtype)
        losses.append(model.loss(x, dense_cases.targets(case)))
        assert model.loss_backward().dtype == dtype
        assert all(np.isfinite(p.grad).all() for p in model.parameters())
    assert losses[1] == pytest.approx(losses[0], rel=0.02)  # another sample of boxes may be drawn


@pytest.mark.parametrize("case", ["retinanet", "faster r-cnn", "mask r-cnn, inv"])
def test_images_without_objects_and_without_proposals(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = dense_cases.make(case), dense_cases.image()
    none = [dense_cases.objects()[1]] * 2
    losses = model.loss(x, none)
    assert losses["box"] == 0
    assert losses["class"] > 0
    assert np.isfinite(model.loss_backward()).all()
    if isinstance(model, dense.FasterRCNN):
        monkeypatch.setattr(model.rpn_head, "propose", lambda y, size: [np.zeros((0, 4))] * len(y))
        losses = model.loss(x, none)
        assert losses["class"] == losses["box"] == 0
        assert np.isfinite(model.loss_backward()).all()
        assert [len(item.boxes) for item in model.eval().predict(x)] == [0, 0]


@pytest.mark.parametrize("case", ["retinanet", "faster r-cnn", "mask r-cnn"])
def test_detections_lie_in_the_image_and_are_sorted(case: str) -> None:
    model: Any = dense_cases.make(case).eval()
    for item in model.predict(dense_cases.image(), score=0.0):
        assert 0 < len(item.boxes) == len(item.labels) <= 100
        assert (item.boxes >= 0).all()
        assert (item.boxes <= [26, 19, 26, 19]).all()
        assert (np.diff(item.scores) <= 0).all()
        if case == "mask r-cnn":
            assert item.masks.shape == (len(item.boxes), 19, 26)
            for mask, (x0, y0, x1, y1) in zip(item.masks, item.boxes, strict=True):
                rows, columns = np.nonzero(mask)
                assert ((rows + 1 > y0 - 1) & (rows < y1 + 1)).all()
                assert ((columns + 1 > x0 - 1) & (columns < x1 + 1)).all()


@pytest.mark.parametrize("case", ["semantic fpn", "upernet", "retinanet"])
def test_forward_and_backward_agree_with_differences(case: str) -> None:
    model, x = dense_cases.make(case).eval(), dense_cases.image(1, 8, 9)
    rng = np.random.default_rng(5)
    y, direction = model(x), 1e-6 * rng.standard_normal(x.shape)
    dy = rng.standard_normal(y.shape)
    dx = model.backward(dy)
    change = (dy * (model(x + direction) - model(x - direction))).sum() / 2
    assert (dx * direction).sum() == pytest.approx(change, rel=1e-5)


def test_a_model_trains_on_one_image() -> None:
    backbone = models.small_resnet(1, 3, channels=4, rng=0)
    model = dense.RetinaNet(backbone, 2, channels=16, convs=1, stride=4, rng=0)
    x = dense_cases.image(1, 32, 48, np.float32)
    objects = [dense.Objects(np.array([[4.0, 4.0, 28.0, 26.0]]), np.array([1]))]
    optimizer, values = nn.Adam(model.parameters(), lr=3e-3), []
    for _ in range(16):
        model.zero_grad()
        values.append(sum(model.loss(x, objects).values()))
        model.loss_backward()
        optimizer.step()
    assert values[-1] < 0.7 * values[0]


def changed(**change: Any) -> list[dense.Objects]:
    first, second = dense_cases.objects()
    return [dense.Objects(**{**vars(first), **change}), second]


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "x1 < x0": (
        lambda: changed(boxes=np.array([[5.0, 1, 4, 3], [0, 0, 1, 1]])),
        r"^targets\[0\].boxes\[0\] is 5, 1, 4, 3; need finite x0, y0, x1, y1, x0 < x1",
    ),
    "NaN": (
        lambda: changed(boxes=np.array([[0.0, 0, 1, 1], [0, np.nan, 4, 3]])),
        r"^targets\[0\].boxes\[1\] is 0, nan, 4, 3; need finite",
    ),
    "a class out of range": (
        lambda: changed(labels=np.array([0, 2])),
        r"^targets\[0\].labels has 0 to 2; need 0 to 1",
    ),
    "labels of floats": (
        lambda: changed(labels=np.array([0.0, 1.0])),
        r"^targets\[0\].labels has dtype float64; need whole numbers",
    ),
    "too few labels": (lambda: changed(labels=np.array([0])), r"^targets\[0\].labels has shape"),
    "masks of another size": (
        lambda: changed(masks=np.zeros((2, 19, 25), bool)),
        r"^targets\[0\].masks has shape \(2, 19, 25\); need \(boxes, H, W\) of the image",
    ),
    "no masks": (lambda: changed(masks=None), r"^targets\[0\].masks is None; need one mask"),
    "one image": (lambda: dense_cases.objects()[:1], r"^targets has 1 items; need 2, one an image"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_bad_targets_are_one_line(mistake: str) -> None:
    make, message = BAD[mistake]
    with pytest.raises(ValueError, match=message) as error:
        dense_cases.make("mask r-cnn").loss(dense_cases.image(), make())
    assert "\n" not in str(error.value)


def test_other_mistakes_are_one_line() -> None:
    model = dense_cases.make("semantic fpn")
    with pytest.raises(ValueError, match=r"need at least 8 rows and columns, the stride of the c"):
        model(dense_cases.image(1, 7, 30))
    with pytest.raises(ValueError, match=r"^labels has shape \(2, 19, 25\); need \(N, H, W\)"):
        model.loss(dense_cases.image(), np.zeros((2, 19, 25), int))
    with pytest.raises(ValueError, match=r"^kind is 'involution'; need one of 'conv', 'inv'"):
        dense_cases.make("semantic fpn", neck="involution")
    with pytest.raises(ValueError, match=r"^num_classes is 0; need an int >= 1"):
        dense_cases.CASES["faster r-cnn"](dense_cases.backbone(), num_classes=0)
    with pytest.raises(ValueError, match=r"^features has 1 arrays; need 2 of them"):
        dense.FPN([8, 16], 16).forward([np.zeros((1, 8, 4, 4), np.float32)])
