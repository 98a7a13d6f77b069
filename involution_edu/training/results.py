"""Results of trainings: runs of the networks of a task, and rows of an ablation."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, astuple, dataclass, field, fields, replace
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

from ..arguments import ArgumentError, quoted
from ..files import read_text_bounded
from ..nn.generators import GENERATORS
from .loop import Epoch
from .tasks import TASKS

MAX_TABLE = 4_000_000  # bytes of a table that is read
MAX_ROWS = 100_000
MAX_COUNT = 2**53  # parameters or MACs of a row; a hostile one may have thousands of digits


@dataclass(frozen=True, slots=True)
class Run:
    """One training of one network with one seed; ``macs`` are those of one test picture."""

    network: str
    seed: int
    parameters: int
    macs: int
    epochs: tuple[Epoch, ...]


@dataclass(frozen=True, slots=True)
class Results:
    """All runs of one task; ``diverged`` is the reason if a training diverged, else empty."""

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
            seconds = [sum(epoch.seconds for epoch in run.epochs) for run in runs]
            rows.append([*row, f"{fmean(seconds):.0f}"])
        return rows + [[name, *[""] * 4, unit.of(x), ""] for name, x in self.baselines.items()]

    def text(self) -> str:
        """Return the table for a terminal."""
        if self.diverged:
            return f"The training diverged: {self.diverged}"
        row = "{:16}{:>5}{:>11}{:>12}{:>9}{:>17}{:>8}"
        lines = [f"{self.task}: {self.train_size} pictures to train on, {self.test_size} to test."]
        lines += [row.format(*cells).rstrip() for cells in self.table()]
        note = "After the last epoch, not the best; ± is the standard deviation of the seeds."
        return "\n".join([*lines, note, f"Checkpoints and logs: {self.out_dir}"])

    def data(self) -> dict[str, Any]:
        """Return the results as plain data, the content of ``results.json``."""
        if self.diverged:
            return {"error": self.diverged}
        return {n: x for n, x in asdict(self).items() if n not in ("out_dir", "diverged")}


@dataclass(frozen=True, slots=True)
class Setting:
    """The arguments of `small_rednet` that an ablation varies; the window is k x k."""

    generator: str = "pixel"
    k: int = 7
    group_channels: int = 16
    reduction: int = 4


CENTRE = Setting()
Key = tuple[Setting, int, int]  # setting, seed and epochs identify a row


@dataclass(frozen=True, slots=True)
class Row:
    """One run of an ablation, a line of its table; the scores are those of the last `Epoch`."""

    task: str
    generator: str
    k: int
    group_channels: int
    reduction: int
    seed: int
    epochs: int
    parameters: int
    macs: int
    train_score: float
    test_score: float

    @property
    def key(self) -> Key:
        """Its setting, seed and epochs."""
        setting = Setting(self.generator, self.k, self.group_channels, self.reduction)
        return setting, self.seed, self.epochs


@dataclass(frozen=True, slots=True)
class Ablation:
    """The rows of an ablation, by setting and seed; ``diverged`` is as in `Results`."""

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

    def by_value(self, factor: str) -> dict[int | str, list[Row]]:
        """Return the rows of each value of ``factor`` whose other factors are as in `CENTRE`."""
        settings = list(self.by_setting().items())
        if factor != "generator":
            settings.sort(key=lambda item: getattr(item[0], factor))
        centre = {factor: getattr(CENTRE, factor)}
        return {getattr(s, factor): rows for s, rows in settings if replace(s, **centre) == CENTRE}

    @property
    def note(self) -> str:
        """The meaning of the scores, as a sentence."""
        seeds = len({row.seed for row in self.rows})
        of = "of one seed" if seeds == 1 else f"mean ± standard deviation of {seeds} seeds"
        return f"{TASKS[self.task].unit.name} after the last epoch; {of}.".capitalize()

    def table(self) -> list[list[str]]:
        """Return the cells of a table: a head and a row for each setting."""
        unit = TASKS[self.task].unit
        table = [
            ["generator", "K", "channels/kernel", "r", "parameters", "MACs", f"test {unit.name}"]
        ]
        for setting, rows in self.by_setting().items():
            generator, *factors = astuple(setting)
            numbers = *factors, rows[0].parameters, rows[0].macs
            score = unit.with_spread([row.test_score for row in rows])
            table.append([generator, *(f"{number:,}" for number in numbers), score])
        return table

    def text(self) -> str:
        """Return the table for a terminal."""
        if self.diverged:
            return f"The training diverged: {self.diverged}"
        lines = ["{:10}{:>3}{:>17}{:>4}{:>12}{:>12}{:>20}".format(*cells) for cells in self.table()]
        return "\n".join([*lines, self.note, f"Files: {', '.join(map(str, self.files))}"])

    def data(self) -> dict[str, Any]:
        """Return the rows and the names of the files as plain data."""
        if self.diverged:
            return {"error": self.diverged}
        rows, files = [asdict(row) for row in self.rows], [str(path) for path in self.files]
        return {"task": self.task, "rows": rows, "files": files}


def read_rows(path: Path, task: str) -> list[Row]:
    """Return the rows of a table written by `ablate`; `ArgumentError` if it is not one of ``task``."""
    try:
        table = read_text_bounded(path, "path", MAX_TABLE, MAX_ROWS)
        lines = list(csv.reader(io.StringIO(table, newline="")))
        if lines[:1] != [[column.name for column in fields(Row)]]:
            raise ValueError(f"its columns are {quoted(lines[:1])}")
        return [_row(cells, task) for cells in lines[1:]]
    except ArgumentError:
        raise
    except (ValueError, csv.Error) as error:
        got = f"is {path}, which cannot be read ({error})"
        raise ArgumentError("path", got, f"a table of an ablation of {task}") from error


def _row(cells: list[str], task: str) -> Row:
    kinds: list[type] = [str, str, *[int] * 7, float, float]
    try:
        row = Row(*(kind(cell) for kind, cell in zip(kinds, cells, strict=True)))
        counts, score = (row.parameters, row.macs), row.train_score + row.test_score
        if row.generator not in GENERATORS:
            raise ValueError
        if not 1 <= min(counts) <= max(counts) < MAX_COUNT or not isfinite(score):
            raise ValueError
    except ValueError:
        raise ValueError(f"its row {quoted(cells)} is damaged") from None
    if row.task != task:
        raise ValueError("it is of another task")
    return row
