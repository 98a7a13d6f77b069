"""What each choice in an involution is worth: window, channels that share a kernel, reduction.

Each is varied alone around `CENTRE`, as one does who asks what it is worth; a small RedNet is
trained for every value and seed. The runs are independent, so joblib spreads them over the cores
of this machine, or over a cluster of Dask.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, astuple, dataclass, fields, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..arguments import ArgumentError, as_int
from ..complexity import count
from ..files import check_writable, written_whole
from ..models import small_rednet
from .data import Data
from .loop import fit
from .tasks import TASKS, Task, load

PATIENCE = 10  # seconds, with a scheduler that does not answer
Progress = Callable[[int, int, str], None]
Each = Callable[[Callable[["Run"], "Row"], list["Run"]], Iterable["Row"]]  # map, by many workers


@dataclass(frozen=True, slots=True)
class Setting:
    """The choices that are varied: those of `Involution2d`, its window being k x k."""

    k: int = 7
    group_channels: int = 16
    reduction: int = 4


CENTRE = Setting()


@dataclass(frozen=True, slots=True)
class Row:
    """One training: what was chosen, what the network costs, and its scores after the last epoch.

    Attributes
    ----------
    task : str
    k, group_channels, reduction : int
    seed, epochs : int
    parameters, macs : int
        Of the whole network; ``macs`` for one picture.
    train_score, test_score : float
        As in `Epoch`.
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

    @property
    def setting(self) -> Setting:
        """Return what was chosen."""
        return Setting(self.k, self.group_channels, self.reduction)

    @property
    def run(self) -> Run:
        """Return which of the runs it is."""
        return Run(self.setting, self.seed, self.epochs)


@dataclass(frozen=True, slots=True)
class Run:
    """One training to be done."""

    setting: Setting
    seed: int
    epochs: int


@dataclass(frozen=True, slots=True)
class Ablation:
    """The rows of one sweep, in the order of its settings and seeds."""

    task: str
    rows: tuple[Row, ...]

    def of(self, setting: Setting) -> list[Row]:
        """Return the rows of one setting, a seed each."""
        return [row for row in self.rows if row.setting == setting]

    def values(self, factor: str) -> list[int]:
        """Return the values of a factor that were tried with the others at the centre."""
        settings = dict.fromkeys(row.setting for row in self.rows)
        found = {getattr(setting, factor) for setting in settings if _alone(setting, factor)}
        return sorted(found)


def _alone(setting: Setting, factor: str) -> bool:
    return replace(setting, **{factor: getattr(CENTRE, factor)}) == CENTRE


def settings_of(
    k: Sequence[int] = (), group_channels: Sequence[int] = (), reduction: Sequence[int] = ()
) -> list[Setting]:
    """Return the settings to try: each factor alone, the others as in `CENTRE`.

    Parameters
    ----------
    k, group_channels, reduction : sequence of int
        The values to try of each; those of ``k`` are odd.

    Returns
    -------
    settings : list of Setting

    Raises
    ------
    ValueError
        If there is no value, or one is impossible.

    Examples
    --------
    >>> settings_of(k=[3, 7], reduction=[1, 4])
    [Setting(k=3, group_channels=16, reduction=4), Setting(k=7, group_channels=16, reduction=4),
     Setting(k=7, group_channels=16, reduction=1)]
    """
    if not (k or group_channels or reduction):
        raise ArgumentError("k", "is empty, and so are the others", "a value of one of them")
    values = {"k": k, "group_channels": group_channels, "reduction": reduction}
    settings = [
        replace(CENTRE, **{factor: as_int(f"{factor}[{n}]", value)})
        for factor, chosen in values.items()
        for n, value in enumerate(chosen)
    ]
    for n, value in enumerate(k):
        if value % 2 == 0:
            raise ArgumentError(f"k[{n}]", f"is {value}", "an odd number, for a middle pixel")
    return list(dict.fromkeys(settings))


def ablate(
    task: str,
    settings: Sequence[Setting],
    *,
    seeds: int = 3,
    epochs: int | None = None,
    path: Path,
    resume: bool = False,
    force: bool = False,
    jobs: int = 1,
    dask: str | None = None,
    progress: Progress,
) -> Ablation:
    """Train a small RedNet for every setting and seed, and keep a table of them up to date.

    Parameters
    ----------
    task : str
        One with labels.
    settings : sequence of Setting
        As `settings_of` returns them.
    seeds : int
        How many: 0, 1, ...
    epochs : int, optional
        Those of the task's recipe if not given.
    path : path
        The table, a .csv, written anew after every ``jobs`` runs.
    resume : bool
        Keep the rows that ``path`` has, and do the runs that it lacks.
    force : bool
        Begin anew over ``path``.
    jobs : int
        Processes on this machine.
    dask : str, optional
        Address of the scheduler of a cluster, whose workers do the runs instead.
    progress : callable
        Called after every ``jobs`` runs with the runs done, all runs, and the last.

    Raises
    ------
    ValueError
        If an argument is impossible, a package is missing, or ``path`` holds something else.
    OSError
        If ``path`` exists and neither ``resume`` nor ``force`` is set, or cannot be written; or
        if no scheduler answers.

    Examples
    --------
    Trainings take minutes, so a task that has no labels is refused before them:

    >>> ablate("digits", settings_of(k=[3, 5]), path=Path("k.csv"), progress=print)  # doctest: +SKIP
    >>> ablate("denoise", settings_of(k=[3, 5]), path=Path("k.csv"), progress=print)
    Traceback (most recent call last):
        ...
    ValueError: task is 'denoise'; need one of digits, mnist, textures
    """
    chosen = _task(task)
    recipe = chosen.recipe
    epochs = as_int("epochs", recipe.epochs if epochs is None else epochs, recipe.warmup_epochs + 1)
    runs = [Run(s, seed, epochs) for s in settings for seed in range(as_int("seeds", seeds))]
    check_writable(path, force=resume or force, choice="another name (--resume goes on from it)")
    done = {row.run: row for row in read_rows(path, task)} if resume and path.exists() else {}
    data = load(task)
    for setting in settings:
        _network(setting, data, seed=0)  # a wrong size is said before the first training
    todo = [run for run in runs if run not in done]
    with _workers(as_int("jobs", jobs), dask) as (each, at_once):
        for start in range(0, len(todo), at_once):
            batch = todo[start : start + at_once]
            done |= {row.run: row for row in each(partial(train_one, chosen, data), batch)}
            _write_rows(path, list(done.values()))
            progress(len(runs) - len(todo) + start + len(batch), len(runs), str(batch[-1].setting))
    return Ablation(task, tuple(done[run] for run in runs))


def train_one(task: Task, data: Data, run: Run) -> Row:
    """Train one network; what a worker does."""
    model = _network(run.setting, data, run.seed)
    cost = count(model, data.x_train.shape[1:])
    recipe = replace(task.recipe, epochs=run.epochs)
    last = fit(model, task, data, recipe, seed=run.seed)[-1]
    return Row(
        task.name,
        **asdict(run.setting),
        seed=run.seed,
        epochs=run.epochs,
        parameters=cost.parameters,
        macs=cost.macs,
        train_score=last.train_score,
        test_score=last.test_score,
    )


def read_rows(path: Path, task: str) -> list[Row]:
    """Return the rows of a table that `ablate` wrote.

    Raises
    ------
    ValueError
        If it is no such table, or one of another task.
    """
    kinds: list[type] = [str, *[int] * 7, float, float]
    names = [field.name for field in fields(Row)]
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            header, *lines = csv.reader(stream)
        if header != names:
            raise ValueError(f"its columns are {', '.join(header)}")
        rows = [
            Row(*(kind(text) for kind, text in zip(kinds, line, strict=True))) for line in lines
        ]
        if any(row.task != task for row in rows):
            raise ValueError("it is of another task")
    except (ValueError, csv.Error) as error:
        raise ArgumentError(
            "path",
            f"is {path}, which cannot be read ({error})",
            f"a table of an ablation of {task}",
        ) from error
    return rows


def _write_rows(path: Path, rows: list[Row]) -> None:
    with (
        written_whole(path, force=True) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([field.name for field in fields(Row)])
        writer.writerows(astuple(row) for row in rows)


def _task(name: str) -> Task:
    labelled = [task.name for task in TASKS.values() if "rednet" in task.networks]
    if name not in labelled:
        raise ArgumentError("task", f"is {name!r}", f"one of {', '.join(labelled)}")
    return TASKS[name]


def _network(setting: Setting, data: Data, seed: int) -> Any:
    return small_rednet(
        data.classes,
        data.x_train.shape[1],
        kernel_size=setting.k,
        group_channels=setting.group_channels,
        reduction=setting.reduction,
        rng=seed,
    )


@contextmanager
def _workers(jobs: int, dask: str | None) -> Iterator[tuple[Each, int]]:
    """Yield a map that many workers do, and how many there are."""
    for name, value, package in (("jobs", jobs, "joblib"), ("dask", dask, "distributed")):
        if value is not None and find_spec(package) is None:
            raise ArgumentError(
                name, f"is {value}", f"{package}: pip install 'involution-edu[cluster]'"
            )
    from joblib import Parallel, delayed, effective_n_jobs, parallel_config

    with ExitStack() as stack:
        if dask is None:
            stack.enter_context(parallel_config(n_jobs=jobs))
        else:
            stack.enter_context(_client(dask))
            stack.enter_context(parallel_config(backend="dask", n_jobs=-1))
        parallel = stack.enter_context(Parallel())
        yield (
            lambda function, runs: parallel(delayed(function)(r) for r in runs),
            effective_n_jobs(),
        )


def _client(dask: str) -> Any:
    from distributed import Client

    try:
        return Client(dask, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise ConnectionError(f"dask is {dask}, which does not answer: {error}") from error
