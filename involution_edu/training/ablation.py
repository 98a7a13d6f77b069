"""Ablation of the generator, window, group size and reduction, one factor at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, astuple, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..arguments import MAX_INT, ArgumentError, as_choice, as_int
from ..complexity import count
from ..files import check_writable, written_whole
from ..models import small_rednet
from ..nn import Module
from ..nn.generators import GENERATORS
from ..progress import Progress, no_progress
from .charts import ablation_page, save_ablation
from .data import Data
from .loop import fit, write_csv
from .results import CENTRE, Ablation, Key, Row, Setting, read_rows
from .runs import with_epochs
from .tasks import TASKS, Task, load

PATIENCE = 10  # seconds to wait for the scheduler
# Limits, so that a slip of the keyboard takes neither all memory nor all processes.
MAX_K, MAX_JOBS = 99, 256


def settings_of(
    k: Sequence[int] = (),
    group_channels: Sequence[int] = (),
    reduction: Sequence[int] = (),
    generator: Sequence[str] = (),
) -> list[Setting]:
    """Return settings that vary one factor at a time, the others as in `CENTRE`.

    Parameters
    ----------
    k, group_channels, reduction : sequence of int
        Values of each factor; those of ``k`` are odd, up to 99.
    generator : sequence of str
        Of "constant", "pixel" and "comparison": what makes the kernels, as in `small_rednet`.

    Returns
    -------
    settings : list of Setting

    Raises
    ------
    ValueError
        If all are empty, or a value is not positive, too large or not odd.

    Examples
    --------
    >>> [(s.k, s.reduction) for s in settings_of(k=[3, 7], reduction=[1, 4])]
    [(3, 4), (7, 4), (7, 1)]
    >>> settings_of(generator=["comparison"])
    [Setting(generator='comparison', k=7, group_channels=16, reduction=4)]
    """
    if not (k or group_channels or reduction or generator):
        got = "is empty, as group_channels, reduction and generator are"
        raise ArgumentError("k", got, "one value or more")
    factors = ("k", k), ("group_channels", group_channels), ("reduction", reduction)
    settings: dict[Setting, None] = {}  # in order, each once
    for n, name in enumerate(generator):
        as_choice(f"generator[{n}]", name, GENERATORS)
        settings[replace(CENTRE, generator=name)] = None
    for factor, given in factors:
        for n, value in enumerate(given):
            value = as_int(f"{factor}[{n}]", value, 1, MAX_K if factor == "k" else MAX_INT)
            if factor == "k" and value % 2 == 0:
                raise ArgumentError(f"k[{n}]", f"is {value}", "an odd number, for a middle pixel")
            changed: Any = {factor: value}
            settings[replace(CENTRE, **changed)] = None
    return list(settings)


def ablate(
    task: str,
    settings: Sequence[Setting],
    *,
    seeds: Sequence[int] = (0, 1, 2),
    epochs: int | None = None,
    path: Path,
    command: str | None = None,
    resume: bool = False,
    force: bool = False,
    jobs: int = 1,
    dask: str | None = None,
    progress: Progress = no_progress,
) -> Ablation:
    """Train a small network for every setting and seed, and keep a table of the runs.

    The runs are independent: joblib distributes them to processes, or to a Dask cluster.

    Parameters
    ----------
    task : str
        A task with labels.
    settings : sequence of Setting
        As `settings_of` returns them.
    seeds : sequence of int
    epochs : int, optional
        Default: those of the task's recipe.
    path : path
        The table (.csv), replaced after every ``jobs`` runs.
    command : str, optional
        If given, a page that quotes it (.md) and a chart (.png) are written beside the table.
    resume, force : bool
        Keep the rows in ``path``, and do the runs that are missing; or replace the files.
    jobs : int
        Number of processes on this machine.
    dask : str, optional
        Address of the scheduler of a Dask cluster, whose workers do the runs instead.
    progress : callable
        Called before every ``jobs`` runs and after the last, as `Progress`.

    Returns
    -------
    ablation : Ablation
        If a training diverges, the rows before it, with ``ok`` False; no page and no chart.

    Raises
    ------
    ValueError
        If an argument is invalid, a package is missing, or ``path`` is not a table of ``task``.
    OSError
        If a file exists and neither ``resume`` nor ``force`` is set, or cannot be written; or
        if the scheduler does not answer.

    Examples
    --------
    >>> ablate("digits", settings_of(k=[3, 5]), path=Path("k.csv"))  # doctest: +SKIP
    >>> ablate("edge", settings_of(k=[3, 5]), path=Path("k.csv"))
    Traceback (most recent call last):
        ...
    involution_edu.arguments.ArgumentError: task is 'edge'; need one of 'digits', 'mnist', 'textures'
    """
    labelled = [name for name, known in TASKS.items() if "rednet" in known.networks]
    chosen = TASKS[as_choice("task", task, labelled)]
    epochs = with_epochs(chosen.recipe, epochs).epochs
    jobs = as_int("jobs", jobs, 1, MAX_JOBS)
    seeds = list(dict.fromkeys(as_int("seeds", seed, 0) for seed in seeds))
    if not seeds:
        raise ArgumentError("seeds", "is empty", "at least one")
    page, picture = path.with_suffix(".md"), path.with_suffix(".png")
    files = (path,) if command is None else (path, page, picture)
    choice = "another folder with --out (--resume continues it)"
    check_writable(*files, force=resume or force, choice=choice)
    done = {row.key: row for row in read_rows(path, task)} if resume and path.exists() else {}
    data = load(task)
    for setting in settings:
        _network(setting, data, seed=0)  # raises before the first training
    keys = [(setting, seed, epochs) for setting in settings for seed in seeds]
    todo = [key for key in keys if key not in done]
    with _workers(jobs, dask) as (parallel, at_once):
        from joblib import delayed

        for start in range(0, len(todo), at_once):
            batch = todo[start : start + at_once]
            setting, seed, _ = batch[0]
            what = f"{setting.generator}, K {setting.k}, {setting.group_channels} channels/kernel, r {setting.reduction}"
            progress(len(keys) - len(todo) + start, len(keys), f"{what}, seed {seed}")
            try:
                rows = parallel(delayed(train_one)(chosen, data, key) for key in batch)
            except FloatingPointError as error:
                return Ablation(task, tuple(done.values()), (path,), str(error))
            done |= {row.key: row for row in rows}
            write_csv(path, Row, done.values())
    progress(len(keys), len(keys), f"{len(todo)} trained")
    ablation = Ablation(task, tuple(done[key] for key in keys), files)
    if command is not None:
        save_ablation(ablation, picture)
        with written_whole(page, force=True) as temporary:
            temporary.write_text(ablation_page(ablation, command, picture.name), encoding="utf-8")
    return ablation


def train_one(task: Task, data: Data, key: Key) -> Row:
    """Train one network, in a worker."""
    setting, seed, epochs = key
    model, recipe = _network(setting, data, seed), with_epochs(task.recipe, epochs)
    last, cost = fit(model, task, data, recipe, seed=seed)[-1], count(model, data.x_test.shape[1:])
    scores = last.train_score, last.test_score
    run = seed, epochs, cost.parameters, cost.macs, *scores
    row: tuple[Any, ...] = task.name, *astuple(setting), *run
    return Row(*row)


def _network(setting: Setting, data: Data, seed: int) -> Module:
    channels, factors = data.x_train.shape[1], asdict(setting)
    k = factors.pop("k")
    return small_rednet(data.classes, channels, kernel_size=k, **factors, rng=seed)


@contextmanager
def _workers(jobs: int, dask: str | None) -> Iterator[tuple[Any, int]]:
    """Yield a `joblib.Parallel` and its number of workers."""
    for name, value, package in (("jobs", jobs, "joblib"), ("dask", dask, "distributed")):
        if value is not None and find_spec(package) is None:
            need = f"{package}: pip install 'involution-edu[cluster]'"
            raise ArgumentError(name, f"is {value}", need)
    from joblib import Parallel, effective_n_jobs, parallel_config

    with ExitStack() as stack:
        options: dict[str, Any] = {"n_jobs": jobs}
        if dask is not None:
            from distributed import Client

            try:
                stack.enter_context(Client(dask, timeout=PATIENCE))
            except (OSError, ValueError) as error:
                raise ConnectionError(f"dask is {dask}, which does not answer: {error}") from error
            options = {"n_jobs": -1, "backend": "dask"}
        stack.enter_context(parallel_config(**options))
        parallel = stack.enter_context(Parallel())
        yield parallel, effective_n_jobs(None)  # of this configuration; the default is all cores
