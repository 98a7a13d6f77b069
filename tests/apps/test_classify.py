"""Classifying a photo: the centre crop, the classes, and digits."""

from __future__ import annotations

import json
from pathlib import Path

import needs
import numpy as np
import pytest
from classify_cases import LABELS, PHOTO, random_photo
from PIL import Image

import involution_edu as inv
from involution_edu import nn
from involution_edu.apps import classify
from involution_edu.cli import main
from involution_edu.images import photo_to_x
from involution_edu.training.data import digits

pytest_plugins = ["classify_fixtures"]


@pytest.mark.parametrize(("rows", "columns"), [(512, 640), (640, 512)])
def test_the_middle_is_resize_then_crop(rows: int, columns: int) -> None:
    photo = random_photo(rows, columns)
    small = columns // 2, rows // 2
    resized = np.asarray(Image.fromarray(photo).resize(small, Image.Resampling.BILINEAR))
    top, left = (rows // 2 - 224) // 2, (columns // 2 - 224) // 2
    want = resized[top : top + 224, left : left + 224]
    np.testing.assert_array_equal(classify.middle(photo), want)


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (224, 224), (2, 30_000), (257, 511)])
def test_the_middle_of_any_photo_has_one_size(size: tuple[int, int]) -> None:
    photo = np.full((*size, 3), 100, np.uint8)
    middle = classify.middle(photo)
    assert middle.shape == (224, 224, 3)
    assert (middle == 100).all()


def test_the_guesses_are_those_of_the_network(weights_folder: Path, network: nn.Module) -> None:
    found = classify.classify(
        weights_folder / "photo.png",
        "rednet26",
        weights_folder / "w.safetensors",
        labels=weights_folder / "labels.txt",
    )
    logits = network(photo_to_x(classify.middle(PHOTO)))[0].astype(float)
    order = sorted(range(7), key=lambda n: -logits[n])[:5]
    want = np.exp(logits) / np.exp(logits).sum()
    assert [guess.number for guess in found.guesses] == order
    assert [guess.label for guess in found.guesses] == [LABELS[n] for n in order]
    np.testing.assert_allclose([g.probability for g in found.guesses], want[order], rtol=1e-5)
    assert found.part == "the centre crop"


def test_numbers_say_which_file_has_names() -> None:
    guesses = tuple(classify.Guess(n, f"class {n}", 0.5) for n in (3, 2))
    text = classify.Classification("photo.png", "rednet26", "the crop", guesses).text()
    assert "For names pass --labels FILE" in text
    assert "imagenet_classes.txt of github.com/pytorch/hub" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


def test_the_command(
    weights_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(weights_folder)
    typed = ["classify", "photo.png", "--model", "rednet26", "--weights", "w.safetensors"]
    typed += ["--labels", "labels.txt"]
    assert main(typed) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "rednet26 on the centre crop of photo.png:"
    assert [line.partition("%  ")[2][:6] for line in lines[1:]] == ["thing "] * 5
    assert main([*typed, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["ok"], data["model"]) == (True, "rednet26")
    assert f"  {data['guesses'][0]['label']}" in lines[1]
    assert sum(guess["probability"] for guess in data["guesses"]) <= 1


def test_digits_are_read_with_the_weights_that_ship(tmp_path: Path) -> None:
    needs.package("sklearn")
    data = digits()
    right = 0
    for n, digit in enumerate(data.y_test[:20].tolist()):
        ink = data.x_test[n, 0]
        grey = np.rint(255 * (1 - ink)).astype(np.uint8).repeat(30, axis=0).repeat(30, axis=1)
        Image.fromarray(grey).save(tmp_path / "digit.png")
        found = classify.classify(tmp_path / "digit.png", "digits")
        assert [guess.label for guess in found.guesses] == [str(g.number) for g in found.guesses]
        assert not found.note
        right += found.guesses[0].number == digit
    assert right >= 18


def test_the_limits_are_those_of_the_digits() -> None:
    needs.package("sklearn")
    data = digits()
    x = np.concatenate([data.x_train, data.x_test])
    assert 0.8 < 100 * x[..., [0, -1]].mean(axis=(1, 2, 3)).max() / classify.MAX_SIDES <= 1
    assert 1 <= x.std(axis=(1, 2, 3)).min() / classify.MIN_CONTRAST < 1.3


@pytest.mark.parametrize(("low", "high", "sides"), [(0, 1, 50), (255, 256, 0), (0, 256, 25)])
def test_a_picture_of_no_digit_is_said_to_be_far(
    tmp_path: Path, low: int, high: int, sides: int, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = np.random.default_rng(0).integers(low, high, (64, 64, 3), np.uint8)
    photo[:32] = 255
    Image.fromarray(photo).save(tmp_path / "photo.png")
    assert main(["classify", str(tmp_path / "photo.png"), "--model", "digits"]) == 0
    said = capsys.readouterr().out
    assert f"This is no dark digit on white: {sides} % ink at" in said


def test_the_drawn_digit_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(classify.drawn_digit()).save(tmp_path / "five.png")
    assert main(["classify", str(tmp_path / "five.png"), "--model", "digits"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("digits on 8 x 8 pixels of ")
    assert lines[1].endswith("%  5")
    assert len(lines) == 6


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"image": "none.png"}, "image is none.png; there is no such file"),
        ({"image": "labels.txt"}, "image is labels.txt, which cannot be read"),
        ({"model": "rednet27"}, "model is 'rednet27'; need one of 'digits', 'rednet26'"),
        ({"weights": "none.pth"}, "weights is none.pth; there is no such file"),
        ({"weights": "labels.txt"}, "--weights is labels.txt, which cannot be loaded"),
        (
            {"model": "resnet26"},
            "--weights is w.safetensors, which is of another model: state lacks",
        ),
        ({"labels": "none.txt"}, "labels is none.txt; there is no such file"),
        ({"labels": "photo.png"}, "labels is photo.png, which is not text"),
        ({"labels": "empty.txt"}, "labels is empty.txt, with an empty line"),
        ({"labels": "gap.txt"}, "labels is gap.txt, with an empty line"),
        ({"labels": "/dev/zero"}, "labels is /dev/zero, a pipe or a device; need a file"),
        ({"labels": "many.txt"}, "labels is many.txt, which is larger; need at most 5,000,000 byt"),
        (
            {"labels": "six.txt"},
            "--labels is six.txt, of 6 names; need a file of 7 names, as w.saf",
        ),
        (
            {"labels": ""},
            "--labels is missing; need a file of 7 names, as w.safetensors has classes",
        ),
        (
            {"model": "digits"},
            "--weights is w.safetensors; need none for digits, which has its own",
        ),
        ({"weights": ""}, "--weights is missing; need a file for this model"),
        ({"weights": "huge.npz"}, "--weights is huge.npz, whose weights give NaN or infinity"),
        ({"weights": "nan.npz"}, "--weights is nan.npz, whose fc.bias holds NaN or infinity; need"),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    changes: dict[str, str],
    named: str,
    weights_folder: Path,
    network: nn.Module,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(weights_folder)
    Path("empty.txt").touch()
    Path("many.txt").write_text("a\n" * 50_001)
    Path("gap.txt").write_text("a\n\nb\n", encoding="utf-8")
    Path("six.txt").write_text("a\n" * 6, encoding="utf-8")
    if changes.get("weights") == "nan.npz":
        damaged = {**network.state_dict(), "fc.bias": np.full(7, np.nan, np.float32)}
        inv.save_checkpoint("nan.npz", damaged)
    if changes.get("weights") == "huge.npz":
        state = network.state_dict().items()
        huge = {name: 1e6 * a for name, a in state if a.ndim}  # without the counts of batches
        inv.save_checkpoint("huge.npz", huge)
    options = {"model": "rednet26", "weights": "w.safetensors", "labels": "labels.txt", **changes}
    image = options.pop("image", "photo.png")
    before = sorted(weights_folder.iterdir())
    assert (
        main(["classify", image, *(w for k, v in options.items() if v for w in (f"--{k}", v))]) == 2
    )
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert named in err
    assert sorted(weights_folder.iterdir()) == before


def test_labels_and_names_are_shown_escaped_and_short() -> None:
    guess = classify.Guess(0, "\x1b[31mred\u202e" + "long" * 99, 0.5)
    text = classify.Classification("a\nb.png", "rednet26", "the crop", (guess,)).text()
    assert text.replace("\n", "").isprintable()
    first, second = text.splitlines()
    assert first.endswith(r"crop of a\nb.png:")
    assert r"\x1b[31mred\u202elong" in second
    assert len(second) < 120
