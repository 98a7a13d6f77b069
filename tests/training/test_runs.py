"""The command ``train``: its folder, its table, and what it refuses."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import training_cases as cases
from PIL import Image
from training import results_from_json

import involution_edu as inv
from involution_edu import cli, complexity
from involution_edu.training import runs, tasks
from involution_edu.training.loop import Epoch
from involution_edu.training.results import Results, Run


@pytest.fixture(autouse=True)
def stripes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the small task."""
    monkeypatch.setitem(tasks.TASKS, "stripes", cases.STRIPES)


def train(out_dir: Path, **options: Any) -> Results:
    options = {"seeds": (0, 1), "epochs": 3, **options}
    return runs.run_task("stripes", out_dir=out_dir, **options)


def test_the_folder_has_all_files_of_every_run(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    results = train(tmp_path / "out", progress=lambda *step: seen.append(step))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    logs = {
        f"{name}-{seed}{end}"
        for name in ("small", "other")
        for seed in (0, 1)
        for end in (".npz", ".csv", "-weights.npz")
    }
    assert names == logs | {"results.json", "curves.png"}
    assert [step[0] for step in seen] == list(range(1, 4 * 3 * 7 + 1))
    assert {step[1] for step in seen} == {4 * 3 * 7}
    assert seen[0][2].startswith("small-0 epoch 1: loss ")

    assert [(run.network, run.seed) for run in results.runs] == [
        ("small", 0),
        ("small", 1),
        ("other", 0),
        ("other", 1),
    ]
    model = cases.network(cases.stripes(), 0)
    assert {run.parameters for run in results.runs} == {
        sum(
            array.size
            for name, array in model.state_dict().items()
            if name in model.named_parameters()
        )
    }
    assert {run.macs for run in results.runs} == {complexity.count(model, (1, 7, 6)).macs}
    weights = inv.load_checkpoint(tmp_path / "out" / "small-1-weights.npz")
    with np.load(tmp_path / "out" / "small-1.npz") as kept:
        for name, array in weights.items():
            np.testing.assert_array_equal(array, kept[f"network.{name}"])
    assert weights.keys() == model.state_dict().keys()
    text = (tmp_path / "out" / "results.json").read_text(encoding="utf-8")
    assert results_from_json(text) == results
    with Image.open(tmp_path / "out" / "curves.png") as picture:
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 20


def test_a_run_alone_is_the_run_among_others(tmp_path: Path) -> None:
    both = train(tmp_path / "both")
    alone = train(tmp_path / "alone", networks=["other"], seeds=[1, 1])
    assert len(alone.runs) == 1
    (expected,) = (run for run in both.runs if (run.network, run.seed) == ("other", 1))
    assert [epoch.loss for epoch in alone.runs[0].epochs] == [e.loss for e in expected.epochs]


def test_the_table_is_of_the_last_epochs(tmp_path: Path) -> None:
    results = train(tmp_path / "out", networks=["small"], epochs=2)
    scores = [run.epochs[-1].test_score for run in results.runs]
    assert len(set(scores)) == 2
    row = next(line for line in results.text().splitlines() if "small" in line)
    shown = f"{100 * np.mean(scores):.1f} ± {100 * np.std(scores, ddof=1):.1f} %"
    assert shown in row
    assert f"{results.runs[0].parameters:,}" in row
    assert re.search(r"guess +50\.0 %", results.text())


def test_the_table_is_made_of_the_right_numbers() -> None:
    """Two runs whose best epoch is not the last, and whose train scores differ from the tests."""
    runs_ = tuple(
        Run("small", seed, 1234, 56789, (Epoch(1, 0.9, 0.99, 0.98, 1.0), last))
        for seed, last in enumerate((Epoch(2, 0.5, 0.8, 0.6, 10.0), Epoch(2, 0.5, 0.9, 0.7, 30.0)))
    )
    results = Results("stripes", 100, 50, {"guess": 0.5}, runs_)
    assert results.table() == [
        ["network", "seeds", "parameters", "MACs", "train", "test accuracy", "seconds"],
        ["small", "2", "1,234", "56,789", "85.0 %", "65.0 ± 7.1 %", "21"],
        ["guess", "", "", "", "", "50.0 %", ""],
    ]


def test_files_are_replaced_only_with_force(tmp_path: Path) -> None:
    first = train(tmp_path, networks=["small"], seeds=[0])
    with pytest.raises(FileExistsError, match=r"small-0\.npz exists; pass --resume"):
        train(tmp_path, networks=["small"], seeds=[0])
    resumed = train(tmp_path, networks=["small"], seeds=[0, 1], resume=True)
    assert resumed.runs[0] == first.runs[0]  # times included: not trained again
    anew = train(tmp_path, networks=["small"], seeds=[0], force=True)
    assert anew.runs[0].epochs[-1].loss == first.runs[0].epochs[-1].loss
    assert anew.runs[0].epochs != first.runs[0].epochs  # other times


def test_the_command_trains_and_prints_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["train", "stripes", "--networks", "small", "--epochs", "2", "--out", str(out)]
    assert cli.main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["task"] == "stripes"
    assert len(found["runs"][0]["epochs"]) == 2
    assert cli.main(arguments) == 2
    assert "pass --resume" in capsys.readouterr().err
    assert cli.main([*arguments, "--resume"]) == 0
    text = capsys.readouterr().out
    assert "stripes: 100 pictures to train on, 50 to test." in text
    assert all(len(line) <= 80 for line in text.splitlines()[:-1])


MISTAKES = {
    "a task": (["sing"], "task is 'sing'; need one of 'digits'"),
    "a network": (
        ["stripes", "--networks", "tiny"],
        "networks[0] is 'tiny'; need one of 'small', ",
    ),
    "epochs": (["stripes", "--epochs", "0"], "epochs is 0; need an int >= 1"),
    "many epochs": (["stripes", "--epochs", "2000000000"], "2000000000; need an int <= 10000"),
    "a seed": (["stripes", "--seeds", "-1"], "-1"),
    "a folder": (["stripes", "--out", "/dev/null/at/all"], "/dev/null is not a folder"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, message = MISTAKES[name]
    try:
        code: object = cli.main(["train", *arguments])
    except SystemExit as error:
        code = error.code
    assert code == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


def test_one_epoch_needs_no_warm_up() -> None:
    recipe = cases.STRIPES.recipe
    assert recipe.warmup_epochs == 1
    assert runs.with_epochs(recipe, None) == recipe
    assert runs.with_epochs(recipe, 1) == replace(recipe, epochs=1, warmup_epochs=0)
    assert runs.with_epochs(recipe, 2) == replace(recipe, epochs=2)


@pytest.mark.parametrize("name", ["networks", "seeds"])
def test_nothing_to_train_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{name} is empty; need at least one"):
        train(tmp_path / "out", **{name: []})
    assert not (tmp_path / "out").exists()


def test_a_damaged_checkpoint_is_reported_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "small-0.npz").write_bytes(b"no zip")
    arguments = ["stripes", "--networks", "small", "--resume", "--out", str(tmp_path)]
    assert cli.main(["train", *arguments]) == 2
    assert "small-0.npz, which cannot be loaded" in capsys.readouterr().err


def test_a_diverged_training_is_reported_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def diverge(*_: Any, **__: Any) -> None:
        raise FloatingPointError("the loss is nan in epoch 1, batch 2")

    monkeypatch.setattr(runs, "fit", diverge)
    arguments = ["train", "stripes", "--out", str(tmp_path / "out")]
    assert cli.main(arguments) == 1
    assert capsys.readouterr().out == (
        "The training diverged: the loss is nan in epoch 1, batch 2\n"
    )
    assert cli.main([*arguments, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found == {"ok": False, "error": "the loss is nan in epoch 1, batch 2"}
    assert not (tmp_path / "out").exists()
