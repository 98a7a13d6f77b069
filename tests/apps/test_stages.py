"""The picture of the kernels of every stage: what it shows, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classify_cases import PHOTO
from figure_pixels import colours_at, pixels
from PIL import Image

import involution_edu as inv
from involution_edu import nn
from involution_edu.apps import classify
from involution_edu.arrays import Array
from involution_edu.cli import main
from involution_edu.images import photo_to_x
from involution_edu.viz import record_operator
from involution_edu.viz.figures import stages
from involution_edu.viz.measures import kernel_sum
from involution_edu.viz.palette import diverging, limit_of

pytest_plugins = ["classify_fixtures"]


@pytest.mark.parametrize(
    ("typed", "layers"),
    [
        ("stages", ["layer1", "layer2", "layer3"]),
        (
            "stages photo.png --model rednet26 --weights w.safetensors --labels labels.txt",
            ["stem", "layer1", "layer2", "layer3", "layer4"],
        ),
    ],
)
def test_the_command(
    typed: str,
    layers: list[str],
    weights_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(weights_folder)
    argv = [*typed.split(), "--out", str(tmp_path / "stages.png")]
    assert main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:-1]] == layers
    assert lines[-1] == f"Wrote {tmp_path / 'stages.png'}"
    with Image.open(tmp_path / "stages.png") as picture:
        assert picture.size == (275 * (len(layers) + 1), 1320)
    assert main(argv) == 2  # it exists
    capsys.readouterr()
    assert main([*argv, "--force", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["kernels"]) == layers


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("--out stages.jpg", "out is stages.jpg; need a name that ends in .png"),
        ("--out none/stages.png", "none is not a folder"),
        ("--model resnet26", "model is 'resnet26', which has no involution"),
        ("--model edge", "model is 'edge'; need one of 'digits'"),
        ("--model rednet50", "path of the weights is missing; need a file for this model"),
        ("none.png", "image is none.png; there is no such file"),
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
    assert main(["stages", *typed.split()]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert named in err
    assert not list(tmp_path.iterdir())


def test_the_kernel_sums_are_the_output_of_a_white_image() -> None:
    kernel = np.random.default_rng(0).standard_normal((1, 2, 3, 5, 8, 9))
    with inv.use_backend("shifts"):
        trace = record_operator(np.ones((1, 2, 10, 13)), kernel, padding=0)
    np.testing.assert_allclose(kernel_sum(trace.kernels[0]), trace.y[0], atol=1e-12)


def test_every_stage_is_drawn_as_recorded(weights_folder: Path, network: nn.Module) -> None:
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
