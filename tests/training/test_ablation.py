"""The ablation: settings, a table that survives an interrupt, and parallel workers."""

from __future__ import annotations

import csv
import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from PIL import Image

from involution_edu import models
from involution_edu.cli import main, make_parser
from involution_edu.cli.ablate import typed
from involution_edu.complexity import count
from involution_edu.nn.generators import GENERATORS
from involution_edu.training import ablation, tasks
from involution_edu.training.ablation import ablate, settings_of
from involution_edu.training.charts import ablation_page
from involution_edu.training.data import Data
from involution_edu.training.results import CENTRE, Ablation, Key, Row, Setting, read_rows

joblib = needs.package("joblib")

DOCS = Path(__file__).parents[2] / "docs"
FEW = settings_of(k=[1, 3])


def dots() -> Data:
    """Return pictures of 4 x 5 pixels, darker (0) and brighter (1)."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 60)
    x = (y[:, np.newaxis, np.newaxis] + rng.standard_normal((60, 4, 5))).astype(np.float32)
    return Data(x[:40, np.newaxis], y[:40], x[40:, np.newaxis], y[40:])


@pytest.fixture(autouse=True)
def dots_is_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = tasks.TASKS["digits"]
    small = replace(
        digits,
        name="dots",
        load=dots,
        packages=(("numpy", "numpy"),),
        recipe=replace(digits.recipe, epochs=1, warmup_epochs=0, batch_size=20),
        augment=partial(tasks.shifted, pixels=0),
    )
    monkeypatch.setitem(tasks.TASKS, "dots", small)


def swept(path: Path, settings: list[Setting] = FEW, **options: Any) -> Ablation:
    return ablate("dots", settings, **{"seeds": (0, 1), "path": path, **options})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a table of two settings and two seeds."""
    path = tmp_path_factory.mktemp("ablation") / "whole.csv"
    with pytest.MonkeyPatch.context() as patch:
        dots_is_a_task.__wrapped__(patch)  # type: ignore[attr-defined]
        swept(path)
    return path


def test_each_factor_is_varied_alone() -> None:
    settings = settings_of([1, 3, 7], [4, 16], [4, 2], ["constant", "pixel"])
    assert len(settings) == len(set(settings)) == 6
    for setting in settings:
        assert sum(a != b for a, b in zip(vars_of(setting), vars_of(CENTRE), strict=True)) <= 1


def vars_of(setting: Setting) -> tuple[str, int, int, int]:
    return setting.generator, setting.k, setting.group_channels, setting.reduction


def test_the_rows_say_what_was_trained(tmp_path: Path) -> None:
    setting = Setting(k=3, group_channels=4, reduction=2)
    (row,) = swept(tmp_path / "a.csv", [setting], seeds=[0], epochs=2).rows
    model = models.small_rednet(2, 1, kernel_size=3, group_channels=4, reduction=2, rng=0)
    assert row.parameters == sum(p.data.size for p in model.parameters())
    assert row.macs == count(model, (1, 4, 5)).macs
    assert (row.task, row.key) == ("dots", (setting, 0, 2))
    data, task = dots(), tasks.TASKS["dots"]
    from involution_edu.training.loop import fit

    last = fit(model, task, data, replace(task.recipe, epochs=2), seed=0)[-1]
    assert (row.train_score, row.test_score) == (last.train_score, last.test_score)
    assert swept(tmp_path / "b.csv", [replace(setting, k=5)], seeds=[0]).rows[0].macs > row.macs


def test_resume_trains_only_what_is_missing(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = whole.read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 4
    path = tmp_path / "cut.csv"
    path.write_text("".join([*lines[:2], lines[3]]))
    done: list[Key] = []

    def counted(task: Any, data: Data, key: Key) -> Row:
        done.append(key)
        return train_one(task, data, key)

    train_one = ablation.train_one
    monkeypatch.setattr(ablation, "train_one", counted)
    steps: list[tuple[int, int, str]] = []
    result = swept(path, resume=True, progress=lambda *step: steps.append(step))
    assert steps == [
        (2, 4, "pixel, K 1, 16 channels/kernel, r 4, seed 1"),
        (3, 4, "pixel, K 3, 16 channels/kernel, r 4, seed 1"),
        (4, 4, "2 trained"),
    ]
    assert done == [(Setting(k=1), 1, 1), (Setting(k=3), 1, 1)]
    assert sorted(path.read_text().splitlines()) == sorted(whole.read_text().splitlines())
    assert result.rows == tuple(read_rows(whole, "dots"))
    assert [row.key for row in result.rows] == [
        (setting, seed, 1) for setting in FEW for seed in (0, 1)
    ]
    swept(path, settings_of(reduction=[8]), seeds=[0], resume=True)  # other rows are kept
    assert len(path.read_text().splitlines()) == 6


def test_an_interrupted_ablation_keeps_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_one = ablation.train_one

    def killed(task: Any, data: Data, key: Key) -> Row:
        if key[0].k == 3:
            raise KeyboardInterrupt
        return train_one(task, data, key)

    monkeypatch.setattr(ablation, "train_one", killed)
    path = tmp_path / "a.csv"
    with pytest.raises(KeyboardInterrupt):
        swept(path)
    assert [row.k for row in read_rows(path, "dots")] == [1, 1]
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_diverged_training_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train_one = ablation.train_one

    def diverging(task: Any, data: Data, key: Key) -> Row:
        if key[0].k == 3:
            raise FloatingPointError("the loss is nan in epoch 1, batch 2")
        return train_one(task, data, key)

    monkeypatch.setattr(ablation, "train_one", diverging)
    monkeypatch.chdir(tmp_path)
    assert main(["ablate", "--task", "dots", "--k", "1", "3", "--seeds", "0", "--out", "a"]) == 1
    said = capsys.readouterr().out
    assert said == "The training diverged: the loss is nan in epoch 1, batch 2\n"
    assert [row.k for row in read_rows(tmp_path / "a/ablation.csv", "dots")] == [1]
    assert [path.name for path in Path("a").iterdir()] == ["ablation.csv"]


def test_two_processes_give_the_same_table(whole: Path, tmp_path: Path) -> None:
    swept(tmp_path / "two.csv", jobs=2)
    assert (tmp_path / "two.csv").read_text() == whole.read_text()


@contextmanager
def cluster() -> Iterator[str]:
    """Yield the address of a cluster of one worker on the loopback, in this process."""
    distributed = needs.package("distributed")
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False}
    with distributed.LocalCluster(
        **options, host="127.0.0.1", protocol="tcp", dashboard_address=None
    ) as local:
        yield local.scheduler_address


@pytest.mark.filterwarnings("default")  # those of Dask are its own
def test_a_cluster_gives_the_same_table(whole: Path, tmp_path: Path) -> None:
    with cluster() as address:
        swept(tmp_path / "dask.csv", dask=address)
    assert (tmp_path / "dask.csv").read_text() == whole.read_text()


def made(values: dict[Setting, list[float]]) -> Ablation:
    rows = [
        Row("digits", *vars_of(s), seed, 5, 1000 * s.k, 10 * s.k, 1.0, score)
        for s, scores in values.items()
        for seed, score in enumerate(scores)
    ]
    return Ablation("digits", tuple(rows))


def test_the_text_has_mean_and_spread() -> None:
    result = made({Setting(k=3): [0.90, 0.92, 0.97], CENTRE: [0.5, 0.5, 0.5]})
    lines = result.text().splitlines()
    assert lines[1].split() == ["pixel", "3", "16", "4", "3,000", "30", "93.0", "±", "3.6", "%"]
    assert lines[2].split()[-4:] == ["50.0", "±", "0.0", "%"]
    assert max(map(len, lines)) <= 80
    assert list(result.by_value("k")) == [3, 7]
    assert list(result.by_value("reduction")) == [4]
    assert "| pixel | 3 | 16 | 4 | 3,000 | 30 | 93.0 ± 3.6 % |" in ablation_page(
        result, "command", "a.png"
    )


@pytest.mark.parametrize("words", ["--k 3", "--group-channels 4 --reduction 2"])
def test_one_value_of_one_seed(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(f"ablate --task dots {words} --seeds 0 --out one".split()) == 0
    assert "±" not in capsys.readouterr().out
    assert "Accuracy after the last epoch; of one seed." in Path("one/ablation.md").read_text(
        "utf-8"
    )
    names = sorted(path.name for path in Path("one").iterdir())
    assert names == ["ablation.csv", "ablation.md", "ablation.png"]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["ablate", "--task", "dots", "--k", "1", "3", "--seeds", "0", "--out", "small"]
    assert main(words) == 0
    assert (
        "Files: small/ablation.csv, small/ablation.md, small/ablation.png"
        in capsys.readouterr().out
    )
    with Image.open("small/ablation.png") as picture:
        assert picture.size[0] > 400
    text = Path("small/ablation.md").read_text(encoding="utf-8")
    assert "involution-edu ablate --task dots --k 1 3 --seeds 0\n" in text
    assert main(words) == 2
    assert "small/ablation.csv exists; pass --force" in capsys.readouterr().err
    assert main([*words, "--resume", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [row["k"] for row in data["rows"]] == [1, 3]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--k 1 2", "k[1] is 2; need an odd number"),
        ("--k 0", "k[0] is 0; need an int >= 1"),
        ("--k 3 1001", "k[1] is 1001; need an int <= 99"),
        ("--k 3 --seeds 5000000000", "seeds is 5000000000; need an int <= 2147483647"),
        ("--k 3 --epochs 2000000000", "epochs is 2000000000; need an int <= 10000"),
        ("--k 3 --jobs 100000", "jobs is 100000; need an int <= 256"),
        ("--k 3;5", "--k: invalid int value: '3;5'"),
        ("--k 3 --seeds -1", "'-1' is not a whole number >= 0"),
        ("--k 3 --epochs 0", "epochs is 0; need an int >= 1"),
        ("--k 3 --jobs 0", "jobs is 0; need an int >= 1"),
        ("--group-channels 3", "--group-channels is 3; need a divisor of the 16 channels"),
        ("--reduction 99", "reduction is 99; need an int <= 16"),
        ("--generator pixel none", "generator[1] is 'none'; need one of 'constant', 'pixel'"),
        ("--k 3 --task nothing", "task is 'nothing'; need one of 'digits', 'mnist', 'textures'"),
        ("--k 3 --task edge", "task is 'edge'; need one of 'digits', 'mnist', 'textures'"),
        ("", "k is empty, as group_channels, reduction and generator are; need one value"),
        ("--k 3 --out wrong/ablation.csv/a", "ablation.csv is not a folder"),
        ("--k 3 --out wrong --resume", "--out is wrong/ablation.csv, which cannot be read"),
        (
            "--k 3 --out other --resume",
            "--out is other/ablation.csv, which cannot be read (it is of another",
        ),
        ("--k 3 --resume --force", "not allowed with"),
        ("--k 3 --dask tcp://127.0.0.1:9", "dask is tcp://127.0.0.1:9, which does not answer"),
    ],
)
def test_a_wrong_argument_is_reported_in_one_line(
    words: str,
    named: str,
    whole: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "--dask" in words:
        needs.package("distributed")
        monkeypatch.setattr(ablation, "PATIENCE", 1)
    monkeypatch.chdir(tmp_path)
    for folder, text in (
        ("wrong", "task,k\ndots,3\n"),
        ("other", whole.read_text().replace("dots", "mnist")),
    ):
        Path(folder).mkdir()
        Path(folder, "ablation.csv").write_text(text)
    before = sorted(tmp_path.rglob("*"))
    task = [] if "--task" in words else ["--task", "dots"]
    try:
        code: Any = main(["ablate", *task, *words.split()])
    except SystemExit as end:  # by argparse
        code = end.code
    assert code == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert named in err
    assert sorted(tmp_path.rglob("*")) == before


HEADER = ",".join(column.name for column in fields(Row))
BAD_TABLES = {
    "a cell that is no number": (HEADER, "dots,pixel,3,16,4,0,1,9,9,0.5,\x1b[31m" + "x" * 100_000),
    "too few cells": (HEADER, "dots,pixel,3", ""),
    "no parameters": (HEADER, "dots,pixel,3,16,4,0,1,0,9,0.5,0.5"),
    "a huge number": (HEADER, f"dots,pixel,3,16,4,0,1,9,{'9' * 4000},0.5,0.5"),
    "an unknown generator": (HEADER, "dots,other,3,16,4,0,1,9,9,0.5,0.5"),
    "no score": (HEADER, "dots,pixel,3,16,4,0,1,9,9,0.5,nan"),
    "other columns": ("\x1b[31m" + "a" * 100_000,),
    "nothing": ("",),
    "many rows": (HEADER, "\n" * 100_001),
    "many bytes": (HEADER, " " * 4_000_000),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_hostile_table_is_refused_in_a_short_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join(BAD_TABLES[name]), newline="")
    with pytest.raises(
        ValueError, match=r"^path is .*a\.csv, which (cannot be read \(it|is larger; need)"
    ) as caught:
        read_rows(path, "dots")
    message = str(caught.value).replace(str(path), "")
    assert len(message) < 500
    assert message.isprintable()


def test_only_a_regular_file_is_read_as_a_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")  # opening it would wait for a writer
    for path in (tmp_path / "pipe.csv", Path("/dev/zero")):
        with pytest.raises(ValueError, match=r"is .*, a pipe or a device"):
            read_rows(path, "dots")


@pytest.mark.parametrize("package", ["joblib", "distributed"])
def test_a_missing_package_is_named(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "involution_edu.training.ablation.find_spec", lambda name: None if name == package else name
    )
    with pytest.raises(ValueError, match=f"need {package}: pip install"):
        swept(tmp_path / "a.csv", dask="tcp://127.0.0.1:1")


@pytest.mark.parametrize("name", GENERATORS)
def test_each_generator_is_trained(name: str, tmp_path: Path) -> None:
    (row,) = swept(tmp_path / "a.csv", settings_of(generator=[name]), seeds=[0]).rows
    model = models.small_rednet(2, 1, generator=name, rng=0)
    layers = [layer for _, layer in model.named_modules() if isinstance(layer, GENERATORS[name])]
    assert len(layers) == 3
    assert (row.generator, row.macs) == (name, count(model, (1, 4, 5)).macs)


def test_the_title_of_the_page_says_what_was_varied() -> None:
    result = made({CENTRE: [0.5], Setting("constant"): [0.4], Setting("comparison"): [0.6]})
    assert list(result.by_value("generator")) == ["pixel", "constant", "comparison"]
    assert ablation_page(result, "command", "a.png").startswith(
        "# Ablation of what makes the kernel on digits\n"
    )


PAGES = [DOCS / "ablation.csv", *DOCS.glob("ablation*/ablation.csv")]


@pytest.mark.parametrize("path", PAGES, ids=[path.parent.name for path in PAGES])
def test_the_page_in_docs_is_made_from_its_table(path: Path) -> None:
    text = path.with_suffix(".md").read_text(encoding="utf-8")
    (command,) = [line for line in text.splitlines() if line.startswith("involution-edu ablate")]
    args = make_parser().parse_args(shlex.split(command)[1:])
    task, rows = args.task, read_rows(path, args.task)
    wanted = [
        (setting, seed, args.epochs)
        for setting in settings_of(args.k, args.group_channels, args.reduction, args.generator)
        for seed in args.seeds
    ]
    assert [row.key for row in rows] == wanted
    assert ablation_page(Ablation(task, tuple(rows)), typed(args), "ablation.png") == text
    with path.open(newline="") as stream:
        assert len(list(csv.reader(stream))) == 1 + len(rows)
