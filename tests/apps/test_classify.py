"""Classifying a photo: the centre crop, the classes, and the kernels of all stages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figure_pixels import colours_at, pixels
from PIL import Image

import involution_edu as inv
from involution_edu import models, nn
from involution_edu.apps import classify
from involution_edu.arrays import Array
from involution_edu.cli import main
from involution_edu.images import Photo, photo_to_x
from involution_edu.viz import record_operator
from involution_edu.viz.figures import stages
from involution_edu.viz.measures import kernel_sum
from involution_edu.viz.palette import diverging, limit_of

LABELS = [f"thing {n}" for n in range(7)]


def random_photo(rows: int, columns: int) -> Photo:
    blocks = np.random.default_rng(rows).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    image = Image.fromarray(blocks).resize((columns, rows), Image.Resampling.BILINEAR)
    return np.asarray(image)


PHOTO = random_photo(300, 420)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """Return a network whose statistics are those of the photo: else its numbers would overflow."""
    model = models.rednet26(len(LABELS), rng=3)
    rng = np.random.default_rng(0)
    for name, parameter in model.named_parameters().items():
        if name.endswith("bn3.weight"):  # 0 at the start, which would leave the blocks out
            parameter.data[...] = rng.uniform(0.5, 1, parameter.data.shape)
    norms = [m for _, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    model(photo_to_x(classify.middle(PHOTO)))
    for norm in norms:
        norm.momentum = 0.1
    return model.eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, network: nn.Module) -> Path:
    folder = tmp_path_factory.mktemp("classify")
    Image.fromarray(PHOTO).save(folder / "photo.png")
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n", encoding="utf-8")
    inv.save_checkpoint(folder / "w.safetensors", network.state_dict())
    return folder


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


def test_the_guesses_are_those_of_the_network(folder: Path, network: nn.Module) -> None:
    found = classify.classify(
        folder / "photo.png", "rednet26", folder / "w.safetensors", labels=folder / "labels.txt"
    )
    logits = network(photo_to_x(classify.middle(PHOTO)))[0].astype(float)
    order = sorted(range(7), key=lambda n: -logits[n])[:5]
    want = np.exp(logits) / np.exp(logits).sum()
    assert [guess.number for guess in found.guesses] == order
    assert [guess.label for guess in found.guesses] == [LABELS[n] for n in order]
    np.testing.assert_allclose([g.probability for g in found.guesses], want[order], rtol=1e-5)
    assert found.picture is None


def test_numbers_say_which_file_has_names() -> None:
    guesses = tuple(classify.Guess(n, f"class {n}", 0.5) for n in (3, 2))
    text = classify.Classification("photo.png", "rednet26", guesses, None).text()
    assert "For names pass --labels FILE" in text
    assert "imagenet_classes.txt of github.com/pytorch/hub" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


def test_the_command(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.chdir(folder)
    typed = ["classify", "photo.png", "--model", "rednet26", "--weights", "w.safetensors"]
    typed += ["--labels", "labels.txt"]
    assert main([*typed, "--out", str(tmp_path / "stages.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "rednet26 on the centre crop of photo.png:"
    assert [line.partition("%  ")[2][:6] for line in lines[1:6]] == ["thing "] * 5
    assert lines[6] == f"Kernels of every stage: {tmp_path / 'stages.png'}"
    assert len(lines) == 7
    with Image.open(tmp_path / "stages.png") as picture:
        assert picture.size == (1650, 1320)
    assert main([*typed, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["ok"], data["model"], data["picture"]) == (True, "rednet26", None)
    assert f"  {data['guesses'][0]['label']}" in lines[1]
    assert sum(guess["probability"] for guess in data["guesses"]) <= 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"image": "none.png"}, "image is none.png; there is no such file"),
        ({"image": "labels.txt"}, "image is labels.txt, which cannot be read"),
        ({"model": "rednet27"}, "model is 'rednet27'; need one of 'rednet26', 'rednet38'"),
        ({"weights": "none.pth"}, "path is none.pth; there is no such file"),
        ({"weights": "labels.txt"}, "--weights is labels.txt, which cannot be loaded"),
        (
            {"model": "resnet26"},
            "--weights is w.safetensors, which is of another model: state lacks",
        ),
        ({"labels": "none.txt"}, "none.txt: No such file"),
        ({"labels": "photo.png"}, "labels is photo.png, which is not text"),
        ({"labels": "empty.txt"}, "labels is empty.txt, with an empty line"),
        ({"labels": "gap.txt"}, "labels is gap.txt, with an empty line"),
        ({"labels": "/dev/zero"}, "labels is /dev/zero, a pipe or a device; need a file"),
        ({"labels": "many.txt"}, "labels is many.txt, which is larger; need at most 5,000,000 byt"),
        ({"labels": "six.txt"}, "'fc.weight'] has shape (7, 2048)"),
        ({"out": "w.safetensors"}, "w.safetensors exists; pass --force"),
        ({"out": "stages.jpg"}, "out is stages.jpg; need a name that ends in .png"),
        ({"out": "six.txt/stages.png"}, "six.txt is not a folder"),
        ({"out": "stages.png", "model": "resnet26"}, "out is stages.png; need a rednet"),
        ({"weights": "huge.npz"}, "--weights is huge.npz, whose weights overflow"),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    changes: dict[str, str],
    named: str,
    folder: Path,
    network: nn.Module,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    Path("empty.txt").touch()
    Path("many.txt").write_text("a\n" * 50_001)
    Path("gap.txt").write_text("a\n\nb\n", encoding="utf-8")
    Path("six.txt").write_text("a\n" * 6, encoding="utf-8")
    if changes.get("weights") == "huge.npz":
        state = network.state_dict().items()
        huge = {name: 1e6 * a for name, a in state if a.ndim}  # without the counts of batches
        inv.save_checkpoint("huge.npz", huge)
    options = {"model": "rednet26", "weights": "w.safetensors", "labels": "labels.txt", **changes}
    image = options.pop("image", "photo.png")
    before = sorted(folder.iterdir())
    assert main(["classify", image, *(w for k, v in options.items() for w in (f"--{k}", v))]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert named in err
    assert sorted(folder.iterdir()) == before


def test_labels_and_names_are_shown_escaped_and_short() -> None:
    guess = classify.Guess(0, "\x1b[31mred\u202e" + "long" * 99, 0.5)
    text = classify.Classification("a\nb.png", "rednet26", (guess,), None).text()
    assert text.replace("\n", "").isprintable()
    first, second = text.splitlines()
    assert first.endswith(r"crop of a\nb.png:")
    assert r"\x1b[31mred\u202elong" in second
    assert len(second) < 120


def test_the_kernel_sums_are_the_output_of_a_white_image() -> None:
    kernel = np.random.default_rng(0).standard_normal((1, 2, 3, 5, 8, 9))
    with inv.use_backend("shifts"):
        trace = record_operator(np.ones((1, 2, 10, 13)), kernel, padding=0)
    np.testing.assert_allclose(kernel_sum(trace.kernels[0]), trace.y[0], atol=1e-12)


def test_every_stage_is_drawn_as_recorded(folder: Path, network: nn.Module) -> None:
    photo = classify.middle(PHOTO)
    x = photo_to_x(photo)
    traces = stages.record_stages(network, x)
    sizes = {name: trace.kernel.shape[1:] for name, trace in traces.items()}
    assert sizes == {
        "stem": (2, 3, 3, 112, 112),
        "layer1": (4, 7, 7, 56, 56),
        "layer2": (8, 7, 7, 28, 28),
        "layer3": (16, 7, 7, 14, 14),
        "layer4": (32, 7, 7, 7, 7),
    }
    figure = stages.stage_maps(traces, photo)
    shown = pixels(figure)
    axes: Any = np.array(figure.axes[:24]).reshape(4, 6)  # then the colour bars
    np.testing.assert_array_equal(axes[0, 0].images[0].get_array(), photo)
    for column, (stage, trace) in enumerate(traces.items(), start=1):
        assert axes[0, column].get_title(loc="left") == stage
        sums = kernel_sum(trace.kernels[0])
        groups = np.argsort(-sums.std(axis=(1, 2)))[:3]
        maps: list[Array] = [sums.mean(axis=0), *sums[groups]]
        limit = limit_of(np.stack(maps))
        for ax, values in zip(axes[:, column], maps, strict=False):
            colours = diverging(values, limit)
            np.testing.assert_array_equal(ax.images[0].get_array(), colours)
            inside = np.argwhere(np.pad(np.ones(np.subtract(values.shape, 2)), 1))  # of the frame
            drawn = colours_at(shown, ax, inside)
            np.testing.assert_array_equal(drawn, colours[1:-1, 1:-1].reshape(-1, 3))
        assert len(maps) == sum(bool(ax.images) for ax in axes[:, column])
