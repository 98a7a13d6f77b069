"""The trained weights of the package: scores of their cards, and meaning of their kernels."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import needs
import numpy as np
import pytest
from edge import kernel_shapes
from training import CARDS, main, read_results

from involution_edu import models, nn
from involution_edu.arrays import Array
from involution_edu.images import photo_to_x
from involution_edu.models.pretrained import FOLDER, PRETRAINED
from involution_edu.training import loop as train
from involution_edu.training import tasks

DOCS = Path(__file__).parents[2] / "docs"


def test_all_weights_have_a_card_and_are_small() -> None:
    assert [card.name for card in CARDS] == list(PRETRAINED)
    assert {path.name for path in FOLDER.iterdir()} == {
        name + ending for name in PRETRAINED for ending in (".npz", ".md")
    }
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 2_000_000


def test_the_page_and_the_cards_are_made_from_the_results(tmp_path: Path) -> None:
    cards = {card.name: (FOLDER / f"{card.name}.md").read_text(encoding="utf-8") for card in CARDS}
    main([str(DOCS / "training"), str(tmp_path / "page.md")])
    page = (DOCS / "training.md").read_text(encoding="utf-8")
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == page
    for name, text in cards.items():
        assert (FOLDER / f"{name}.md").read_text(encoding="utf-8") == text
    for name in read_results(DOCS / "training"):
        assert f"![Loss and test {tasks.TASKS[name].unit.name}" in page
        assert (DOCS / "training" / f"{name}.png").is_file()


@pytest.mark.parametrize("name", PRETRAINED)
def test_the_weights_reach_the_score_of_their_card(name: str) -> None:
    task = tasks.TASKS[name]
    for module, _ in task.packages:
        needs.package(module)
    score = train.evaluate(models.pretrained(name), task, tasks.load(name))
    card = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert f"Test {task.unit.name}: {task.unit.of(score)}\n" in card


def test_the_scores_reach_their_targets() -> None:
    results = read_results(DOCS / "training")
    for name in ("digits", "mnist"):
        rednet, resnet = (results[name].of(network) for network in ("rednet", "resnet"))
        assert len(rednet) == len(resnet) >= 3
        assert np.mean([run.epochs[-1].test_score for run in rednet]) >= 0.98
        assert rednet[0].parameters < resnet[0].parameters
    edge = results["edge"]
    assert min(run.epochs[-1].test_score for run in edge.runs) > max(edge.baselines.values())


def test_the_readme_quotes_the_results() -> None:
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    results = read_results(DOCS / "training")
    for name, label in (("digits", "digits, 8 × 8 pixels"), ("mnist", "5,000 of MNIST, 14 × 14")):
        found, unit = results[name], tasks.TASKS[name].unit
        cells = [
            unit.with_spread([run.epochs[-1].test_score for run in found.of(network)])
            for network in ("rednet", "resnet")
        ]
        assert f"| {label} | {cells[0]} | {cells[1]} |" in readme
        rednet, resnet = (found.of(network)[0].parameters for network in ("rednet", "resnet"))
        assert f"RedNet, {rednet:,} parameters | ResNet, {resnet:,} parameters |" in readme


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(
        ValueError, match="name is 'cats'; need one of 'salt-and-pepper', 'edge', 'dig"
    ):
        models.pretrained("cats")


# Meaning of the kernels


def kernel_of_colour(*colour: int) -> Array:
    layer = models.pretrained("salt-and-pepper")
    assert isinstance(layer, nn.Involution2d)
    kernel: Array = layer.generate_kernel(photo_to_x(np.array([[colour]], np.uint8)))
    return kernel[0, 0, :, :, 0, 0]


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255)], ids=["black", "white"])
def test_a_noisy_pixel_is_replaced_by_its_neighbours(colour: tuple[int, int, int]) -> None:
    kernel = kernel_of_colour(*colour)
    neighbours = kernel[[1, 2, 2, 3], [2, 1, 3, 2]]
    corners = kernel[[0, 0, 4, 4], [0, 4, 0, 4]]
    assert kernel[2, 2] < 0.2 * np.abs(kernel).sum()
    assert neighbours.sum() > 2 * abs(kernel[2, 2])
    assert neighbours.min() > 5 * np.abs(corners).max()  # near pixels have the weight


@pytest.mark.parametrize("colour", [(128, 128, 128), (220, 170, 140), (60, 90, 160)], ids=str)
def test_an_ordinary_colour_is_kept(colour: tuple[int, int, int]) -> None:
    kernel = kernel_of_colour(*colour)
    assert kernel[2, 2] > 0.5 * np.abs(kernel).sum()


def test_the_kernels_of_edge_follow_the_edges_of_photos_not_trained_on() -> None:
    for module, _ in tasks.TASKS["edge"].packages:
        needs.package(module)
    model, found = models.pretrained("edge"), tasks.load("edge")
    assert isinstance(model, models.EdgeDenoiser)
    shapes = kernel_shapes(model, found.x_test, found.y_test)
    assert shapes.on_edges >= 0.6
    assert shapes.aligned >= 0.8
    assert shapes.on_flat <= 0.25
    record = json.loads((DOCS / "training" / "edge-kernels.json").read_text(encoding="utf-8"))
    assert asdict(shapes) == pytest.approx(record["seeds"][0], abs=5e-3)  # the shipped one
    for name, value in asdict(shapes).items():
        assert value == pytest.approx(record[name], abs=5e-3)  # as printed, on any processor
    upside_down = kernel_shapes(model, found.x_test[:, :, ::-1].copy(), found.y_test)
    assert upside_down.aligned < 0.5


def test_cards_have_all_entries() -> None:
    for name in PRETRAINED:
        card = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
        for word in ("Data:", "Licence of the weights:", "Seed:", "Limits:"):
            assert f"\n- {word}" in card
        assert re.search(rf"\n- Command: `involution-edu\s+train\s+{name}\s", card)
