"""The explorer page of an involution in a network: its layer, its picture, and mistakes."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from browser import opened, text
from explorer_cases import data_of, numbers
from PIL import Image

from involution_edu import models
from involution_edu.apps import explore
from involution_edu.apps.classify import digit_to_x
from involution_edu.arrays import Array
from involution_edu.checkpoint import save_checkpoint
from involution_edu.cli import main
from involution_edu.images import load_photo, photo_to_x
from involution_edu.viz import record

DIGITS = ["layer1.0.conv2", "layer2.0.conv2", "layer3.0.conv2"]


def picture(path: Path, ink: Array) -> Path:
    """Write ink (H, W), 0 to 1, as grey on white."""
    Image.fromarray(np.rint(255 - 255 * ink).astype(np.uint8)).save(path)
    return path


def page_of(explored: explore.Explored) -> dict[str, Any]:
    return data_of(explored.file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)
    path = tmp_path_factory.mktemp("photo") / "noise.png"
    Image.fromarray(noise).save(path)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "mine.npz"
    save_checkpoint(path, models.rednet26(rng=5).state_dict())
    return path


@pytest.mark.parametrize("layer", [None, *DIGITS])
def test_the_page_of_a_digit_holds_what_the_layer_was_given(
    layer: str | None, tmp_path: Path
) -> None:
    ink = np.random.default_rng(1).random((8, 8)).round(1)
    file = picture(tmp_path / "ink.png", np.kron(ink, np.ones((5, 5))))
    said = explore.run(file, model="digits", layer=layer, out=tmp_path / "page.html")
    x = ((255 - np.rint(255 - 255 * ink)) / 255).astype(np.float32)[np.newaxis, np.newaxis]
    network = models.pretrained("digits")
    trace = record(network, x, layer=layer or DIGITS[0])
    data = page_of(said)
    np.testing.assert_allclose(numbers(data, "x"), trace.x.ravel(), atol=1e-5)
    np.testing.assert_array_equal(numbers(data, "span_weight"), trace.span_weight.ravel())
    assert (said.model, said.layer, said.weights) == ("digits", layer or DIGITS[0], "shipped")
    read = f"reads {int(network(x).argmax())} ("
    assert read in said.text()
    assert read in data["about"]
    shown = np.frombuffer(base64.b64decode(data["source"]["bytes"]), np.uint8).reshape(8, 8, 3)
    np.testing.assert_array_equal(shown[..., 0], np.rint(255 - 255 * x[0, 0]))
    for part in ("the digit in ink.png, 8 × 8", "the trained small RedNet", f"layer {said.layer}:"):
        assert part in data["about"]


def test_the_page_of_a_noisy_photo_has_the_convolutions_too(photo: Path, tmp_path: Path) -> None:
    said = explore.run(photo, out=tmp_path / "page.html", size=24, seed=3)
    data, model = page_of(said), models.pretrained("edge")
    x = photo_to_x(models.edge.with_noise(load_photo(photo, 24)[0], 3))
    np.testing.assert_array_equal(numbers(data, "x"), x.ravel())
    np.testing.assert_array_equal(numbers(data, "y"), model(x).ravel())
    state = model.state_dict()
    for n, name in enumerate(("features.0", "features.2")):
        for part in ("weight", "bias"):
            got = numbers(data, f"body{n}_{part}")
            np.testing.assert_array_equal(got, state[f"{name}.{part}"].ravel())
    assert data["noise"] == {"gaussian": 25.0}
    assert (
        "noise.png, 18 × 24 pixels, with Gaussian noise of 25 grey levels (seed 3)" in data["about"]
    )


def test_salt_and_pepper_is_shown_as_before(photo: Path, tmp_path: Path) -> None:
    said = explore.run(photo, model="salt-and-pepper", out=tmp_path / "page.html", size=24)
    data = page_of(said)
    assert (data["body"], data["softmax"], data["noise"]) == ([], False, {"salt_and_pepper": 0.1})
    np.testing.assert_array_equal(numbers(data, "y"), said.trace.y.ravel())


def test_paper_is_0_and_ink_is_1_and_the_sides_are_paper() -> None:
    ink = np.random.default_rng(2).random((24, 12))
    grey = np.rint(255 - 255 * ink).astype(np.uint8)
    x = digit_to_x(np.repeat(grey[:, :, np.newaxis], 3, axis=2))
    means = ink.reshape(8, 3, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(x[0, 0, :, 2:6], means, atol=1 / 255)
    assert not x[0, 0, :, :2].any()
    assert not x[0, 0, :, 6:].any()
    assert x.dtype == np.float32


@pytest.mark.parametrize("shape", [(1, 900), (900, 1), (1, 1), (3, 5)])
def test_a_digit_of_any_shape(shape: tuple[int, int], tmp_path: Path) -> None:
    file = picture(tmp_path / "ink.png", np.ones(shape))
    assert explore.run(file, model="digits", out=tmp_path / "page.html").trace.x.shape[2:] == (8, 8)


@pytest.mark.parametrize(("ink", "warned"), [(0.9, True), (0.1, False)])
def test_dark_paper_is_warned_about(ink: float, warned: bool, tmp_path: Path) -> None:
    file = picture(tmp_path / "ink.png", np.full((9, 9), ink))
    said = explore.run(file, model="digits", out=tmp_path / "page.html")
    assert ("More than half of it is dark" in said.text()) == warned


def test_without_a_picture_it_is_a_test_digit(tmp_path: Path) -> None:
    needs.package("sklearn")  # has the digits
    from involution_edu.training.data import digits

    x_test, labels = digits().x_test, digits().y_test
    seen = set()
    for seed in range(2):
        said = explore.run(model="digits", seed=seed, out=tmp_path / f"{seed}.html")
        number, label = (
            int(said.text().split(word)[1].split()[0].rstrip(","))
            for word in ("number ", "labelled ")
        )
        seen.add(number)
        assert labels[number] == label
        first = record(models.pretrained("digits"), x_test[number : number + 1], layer=DIGITS[0])
        np.testing.assert_array_equal(numbers(page_of(said), "x"), first.x.ravel())
    assert len(seen) == 2


def test_without_scikit_learn_a_picture_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent() -> None:
        raise ModuleNotFoundError("No module named 'sklearn'")

    monkeypatch.setattr(explore, "digits", absent)
    assert main(["explore", "--model", "digits", "--out", str(tmp_path / "page.html")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("involution-edu: error: image is not given")
    assert "pip install scikit-learn" in said
    assert said.count("\n") == 1


def test_random_weights_are_called_random(photo: Path, tmp_path: Path) -> None:
    said = explore.run(photo, model="rednet26", out=tmp_path / "a.html", size=20, seed=3)
    data = page_of(said)
    for words in (said.text(), data["about"]):
        assert "rednet26 with random weights (seed 3), not trained" in words
        assert "stem.1" in words
    assert (said.layer, said.weights) == ("stem.1", "random")
    assert "noise.png, 15 × 20 pixels" in data["about"]
    x = photo_to_x(load_photo(photo, 20)[0])
    trace = record(models.rednet26(rng=3).eval(), x, layer="stem.1")
    np.testing.assert_array_equal(numbers(data, "x"), trace.x.ravel())
    np.testing.assert_array_equal(numbers(data, "y"), trace.y.ravel())


def test_weights_of_a_file_are_used_and_named(photo: Path, weights: Path, tmp_path: Path) -> None:
    argv = ["explore", str(photo), "--model", "rednet26", "--weights", str(weights), "--size", "33"]
    out = tmp_path / "a.html"
    assert main([*argv, "--layer", "layer2.0.conv2", "--out", str(out)]) == 0
    data = data_of(out.read_text(encoding="utf-8"))
    assert "rednet26 with the weights of mine.npz." in data["about"]
    assert "layer layer2.0.conv2: 128 channels" in data["about"]
    assert "random" not in data["about"]
    with np.load(weights) as state:
        span = state["layer2.0.conv2.conv2.conv.weight"]
    np.testing.assert_array_equal(numbers(data, "span_weight"), span.ravel())


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["--model", "rednet"],
            "--model is 'rednet'; need one of 'edge', 'salt-and-pepper', 'digits', 'rednet26', ",
        ),
        (
            ["--model", "digits", "--layer", "stem.1"],
            f"--layer is 'stem.1'; need one of '{DIGITS[0]}'",
        ),
        (
            ["--model", "rednet26", "--layer", "layer1.0"],
            "--layer is 'layer1.0'; need one of 'stem.1'",
        ),
        (["--layer", "stem.1"], "--layer is 'stem.1'; need none for edge"),
        (["--model", "digits", "--size", "64"], "--size is 64; need none for digits"),
        (["--model", "rednet26", "--size", "129"], "--size is 129; need an int <= 128"),
        (["--weights", "a.npz"], "--weights is a.npz; need no weights for edge"),
        (
            ["--model", "digits", "--weights", "a.npz"],
            "--weights is a.npz; need no weights for digits",
        ),
        (
            ["--model", "rednet26", "--weights", "a.npz"],
            "--weights is a.npz; there is no such file",
        ),
        # Its page would be too large, not wrong: sums of 512 numbers are rounded in float32.
        (
            ["--model", "rednet26", "--size", "128", "--layer", "layer4.0.conv2"],
            "--layer is 'layer4.0.conv2', of 512 channels, whose page would have 1.",
        ),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    argv: list[str],
    message: str,
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = picture(tmp_path / "large.png", np.random.default_rng(0).random((128, 128)))
    image = file if "128" in argv else photo
    out = tmp_path / "page.html"
    assert main(["explore", str(image), *argv, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"involution-edu: error: {message}")
    assert said.count("\n") == 1
    assert not out.exists()


def test_weights_of_another_model_are_refused(
    photo: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.html"
    argv = ["explore", str(photo), "--weights", str(weights), "--out", str(out), "--model"]
    assert main([*argv, "rednet38"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        f"involution-edu: error: --weights is {weights}, which is of another model"
    )
    assert said.count("\n") == 1
    assert not out.exists()


def test_weights_that_overflow_are_refused(photo: Path, tmp_path: Path) -> None:
    state = models.rednet26(rng=0).state_dict()
    path = tmp_path / "large.npz"
    save_checkpoint(path, {name: a * 1e15 if a.ndim > 1 else a for name, a in state.items()})
    with pytest.raises(ValueError, match=r"^path is .*large\.npz, whose weights give NaN"):
        explore.run(photo, model="rednet26", path=path, size=16, out=tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_json_says_what_is_shown(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = photo.with_name("page.html")
    argv = ["explore", str(photo), "--model", "digits", "--layer", DIGITS[1], "--out", str(out)]
    assert main([*argv, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {
        "ok": True,
        "file": str(out),
        "bytes": out.stat().st_size,
        "size": [8, 8],
        "model": "digits",
        "layer": DIGITS[1],
        "weights": "shipped",
    }
    assert said["bytes"] < 1_500_000


def test_the_page_begins_with_a_channel_that_is_not_blank(tmp_path: Path) -> None:
    ink = np.random.default_rng(6).random((8, 8))
    for layer in DIGITS:
        file = picture(tmp_path / f"{layer}.png", ink)
        said = explore.run(file, model="digits", layer=layer, out=tmp_path / f"{layer}.html")
        x, channel = said.trace.x[0], page_of(said)["channel"]
        assert np.ptp(x[channel]) > 0
        assert not any(np.ptp(x[c]) > 0 for c in range(channel))


@needs.browser
@pytest.mark.parametrize(
    ("model", "width"),
    [("edge", 1280), ("salt-and-pepper", 390), ("digits", 390), ("rednet26", 1280)],
)
def test_the_page_of_a_network_checks_itself(
    model: str, width: int, photo: Path, tmp_path: Path, browser: Any
) -> None:
    said = explore.run(photo, model=model, out=tmp_path / "page.html")
    with opened(browser, said.file, viewport={"width": width, "height": 900}) as tab:
        assert text(tab, "#checked").startswith(
            f"Checked: this page recomputed all {said.trace.y.size}"
        )
        assert said.layer is None or f"layer {said.layer}:" in text(tab, "#about")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.evaluate("explorer.state.c") == page_of(said)["channel"]
