"""Results of trainings: runs of the networks of a task, and rows of an ablation."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, astuple, dataclass, field, fields, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from ..arguments import ArgumentError
from .loop import Epoch
from .tasks import TASKS


@dataclass(frozen=True, slots=True)
class Run:
    """One training of one network with one seed.

    Attributes
    ----------
    network : str
    seed, parameters : int
    macs : int
        Multiplications of a forward pass for one test picture.
    epochs : tuple of Epoch
    """

    network: str
    seed: int
    parameters: int
    macs: int
    epochs: tuple[Epoch, ...]

    @property
    def seconds(self) -> float:
        """Duration of all epochs."""
        return sum(epoch.seconds for epoch in self.epochs)


@dataclass(frozen=True, slots=True)
class Results:
    """All runs of one task; the result of the command ``train``.

    Attributes
    ----------
    task : str
    train_size, test_size : int
        Number of pictures.
    baselines : dict of str to float
        Baseline scores on the test set.
    runs : tuple of Run
    out_dir : path
        Folder of the checkpoints.
    diverged : str
        Reason if a training diverged, which ends the command; else empty.
    """

    task: str
    train_size: int
    test_size: int
    baselines: dict[str, float]
    runs: tuple[Run, ...]
    out_dir: Path = field(default=Path(), compare=False)
    diverged: str = ""

    @property
    def ok(self) -> bool:
        """Whether no training diverged."""
        return not self.diverged

    @property
    def networks(self) -> list[str]:
        """The networks in order of training."""
        return list(dict.fromkeys(run.network for run in self.runs))

    def of(self, network: str) -> list[Run]:
        """Return the runs of one network."""
        return [run for run in self.runs if run.network == network]

    def table(self) -> list[list[str]]:
        """Return the cells of a table: a head, a row for each network, a row for each baseline."""
        unit = TASKS[self.task].unit
        test = f"test {unit.name}"
        rows = [["network", "seeds", "parameters", "MACs", "train", test, "seconds"]]
        for network in self.networks:
            runs = self.of(network)
            row = [network, str(len(runs)), f"{runs[0].parameters:,}", f"{runs[0].macs:,}"]
            row.append(unit.of(fmean(run.epochs[-1].train_score for run in runs)))
            row.append(unit.with_spread([run.epochs[-1].test_score for run in runs]))
            rows.append([*row, f"{fmean(run.seconds for run in runs):.0f}"])
        return rows + [[name, *[""] * 4, unit.of(x), ""] for name, x in self.baselines.items()]

    def text(self) -> str:
        """Return the table for a terminal."""
        if self.diverged:
            return f"The training diverged: {self.diverged}"
        row = "{:16}{:>5}{:>11}{:>12}{:>9}{:>17}{:>8}"
        lines = [
            f"{self.task}: {self.train_size} pictures to train on, {self.test_size} to test.",
            *(row.format(*cells).rstrip() for cells in self.table()),
            "After the last epoch, not the best; ± is the standard deviation of the seeds.",
            f"Checkpoints and logs: {self.out_dir}",
        ]
        return "\n".join(lines)

    def data(self) -> dict[str, Any]:
        """Return the results as plain data, the content of ``results.json``."""
        if self.diverged:
            return {"error": self.diverged}
        record = asdict(self)
        return {name: record[name] for name in record if name not in ("out_dir", "diverged")}


def results_from_json(text: str) -> Results:
    """Return the results in the text of a ``results.json``."""
    record: dict[str, Any] = json.loads(text)
    runs = [
        Run(**{**run, "epochs": tuple(Epoch(**epoch) for epoch in run["epochs"])})
        for run in record.pop("runs")
    ]
    return Results(**record, runs=tuple(runs))


@dataclass(frozen=True, slots=True)
class Setting:
    """The arguments of `Involution2d` that an ablation varies; the window is k x k."""

    k: int = 7
    group_channels: int = 16
    reduction: int = 4


CENTRE = Setting()
Key = tuple[Setting, int, int]  # setting, seed and epochs identify a row


@dataclass(frozen=True, slots=True)
class Row:
    """One run of an ablation, a line of its table.

    Attributes
    ----------
    task : str
    k, group_channels, reduction : int
    seed, epochs : int
    parameters, macs : int
        As in `Run`.
    train_score, test_score : float
        Of the last `Epoch`.
    """

    task: str
    k: int
    group_channels: int
    reduction: int
    seed: int
    epochs: int
    parameters: int
    macs: int
    train_score: float
    test_score: float

    @classmethod
    def of(cls, task: str, setting: Setting, run: Run) -> Row:
        """Return the row of a run."""
        last, factors = run.epochs[-1], (setting.k, setting.group_channels, setting.reduction)
        cost, scores = (run.parameters, run.macs), (last.train_score, last.test_score)
        return cls(task, *factors, run.seed, last.epoch, *cost, *scores)

    @property
    def key(self) -> Key:
        """Its setting, seed and epochs."""
        return Setting(self.k, self.group_channels, self.reduction), self.seed, self.epochs


@dataclass(frozen=True, slots=True)
class Ablation:
    """The rows of an ablation, by setting and seed; the result of the command ``ablate``.

    Attributes
    ----------
    task : str
    rows : tuple of Row
    files : tuple of path
        Files written.
    diverged : str
        As in `Results`.
    """

    task: str
    rows: tuple[Row, ...]
    files: tuple[Path, ...] = field(default=(), compare=False)
    diverged: str = ""

    @property
    def ok(self) -> bool:
        """Whether no training diverged."""
        return not self.diverged

    def by_setting(self) -> dict[Setting, list[Row]]:
        """Return the rows of each setting, one for each seed."""
        found: dict[Setting, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.key[0], []).append(row)
        return found

    def by_value(self, factor: str) -> dict[int, list[Row]]:
        """Return the rows of each value of ``factor`` whose other factors are as in `CENTRE`."""
        centre = {factor: getattr(CENTRE, factor)}
        found = {
            getattr(setting, factor): rows
            for setting, rows in self.by_setting().items()
            if replace(setting, **centre) == CENTRE
        }
        return dict(sorted(found.items()))

    @property
    def note(self) -> str:
        """The meaning of the scores, as a sentence."""
        seeds = len({row.seed for row in self.rows})
        of = "of one seed" if seeds == 1 else f"mean ± standard deviation of {seeds} seeds"
        return f"{TASKS[self.task].unit.name} after the last epoch; {of}.".capitalize()

    def table(self) -> list[list[str]]:
        """Return the cells of a table: a head and a row for each setting."""
        unit = TASKS[self.task].unit
        table = [["K", "channels/kernel", "r", "parameters", "MACs", f"test {unit.name}"]]
        for setting, rows in self.by_setting().items():
            numbers = *astuple(setting), rows[0].parameters, rows[0].macs
            score = unit.with_spread([row.test_score for row in rows])
            table.append([*(f"{number:,}" for number in numbers), score])
        return table

    def text(self) -> str:
        """Return the table for a terminal."""
        if self.diverged:
            return f"The training diverged: {self.diverged}"
        lines = ["{:>3}{:>17}{:>4}{:>12}{:>12}{:>24}".format(*cells) for cells in self.table()]
        return "\n".join([*lines, self.note, f"Files: {', '.join(map(str, self.files))}"])

    def data(self) -> dict[str, Any]:
        """Return the rows and the names of the files as plain data."""
        if self.diverged:
            return {"error": self.diverged}
        rows, files = [asdict(row) for row in self.rows], [str(path) for path in self.files]
        return {"task": self.task, "rows": rows, "files": files}


def read_rows(path: Path, task: str) -> list[Row]:
    """Return the rows of a table written by `ablate`.

    Raises
    ------
    ValueError
        If it is not a table of ``task``.
    """
    kinds: list[type] = [str, *[int] * 7, float, float]
    names = [column.name for column in fields(Row)]
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            header, *lines = list(csv.reader(stream)) or [[]]
        if header != names:
            raise ValueError(f"its columns are {', '.join(header)}")
        rows = [Row(*(k(cell) for k, cell in zip(kinds, line, strict=True))) for line in lines]
        if any(row.task != task for row in rows):
            raise ValueError("it is of another task")
    except (ValueError, csv.Error) as error:
        got = f"is {path}, which cannot be read ({error})"
        raise ArgumentError("path", got, f"a table of an ablation of {task}") from error
    return rows
