"""Networks side by side: a task, several networks and seeds, and a folder with what came out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from ..arguments import ArgumentError, as_int
from ..checkpoint import CheckpointError, save_checkpoint
from ..complexity import count
from ..files import check_writable, written_whole
from .loop import Epoch, fit
from .tasks import TASKS, Task, load

Progress = Callable[[int, int, str], None]

ENDINGS = ".npz", ".csv", "-weights.npz"
RESULTS, CURVES = "results.json", "curves.png"


@dataclass(frozen=True, slots=True)
class Run:
    """One training, from a seed to the last epoch.

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
        """How long all epochs took."""
        return sum(epoch.seconds for epoch in self.epochs)


@dataclass(frozen=True, slots=True)
class Results:
    """All trainings of one task.

    Attributes
    ----------
    task : str
    train_size, test_size : int
        Pictures.
    baselines : dict of str to float
        Scores on the test set of what is not learned.
    runs : tuple of Run
    """

    task: str
    train_size: int
    test_size: int
    baselines: dict[str, float]
    runs: tuple[Run, ...]

    def of(self, network: str) -> list[Run]:
        """Return the runs of one network."""
        return [run for run in self.runs if run.network == network]

    @property
    def networks(self) -> list[str]:
        """The networks, in the order they were trained."""
        return list(dict.fromkeys(run.network for run in self.runs))


def run_task(
    task: str,
    *,
    networks: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    epochs: int | None = None,
    out_dir: Path,
    resume: bool = False,
    force: bool = False,
    progress: Progress,
) -> Results:
    """Train every network with every seed, and keep it all in ``out_dir``.

    Each run has a checkpoint, ``NETWORK-SEED.npz``, and a log, ``NETWORK-SEED.csv``, both written
    anew after every epoch; and in the end its weights alone, ``NETWORK-SEED-weights.npz``, for
    `involution_edu.load_weights`. At last come ``results.json`` and ``curves.png``.

    Parameters
    ----------
    task : str
    networks : sequence of str, optional
        All of the task's if not given.
    seeds : sequence of int
    epochs : int, optional
        Those of the task's recipe if not given.
    out_dir : path
        Made if it does not exist; the folder around it must.
    resume : bool
        Go on from the checkpoints in ``out_dir``.
    force : bool
        Begin anew over the files in ``out_dir``.
    progress : callable
        Called after every batch with the batches done, all batches, and how it goes.

    Raises
    ------
    ValueError
        If a name is unknown, a sequence empty or a package missing, or a checkpoint is damaged or
        of another run.
    OSError
        If a file exists and neither ``resume`` nor ``force`` is set, or cannot be written.

    Examples
    --------
    Trainings take minutes, so a network that the task has not is refused before them:

    >>> run_task("digits", seeds=[0, 1], out_dir=Path("digits"), progress=print)  # doctest: +SKIP
    >>> run_task("digits", networks=["vgg"], out_dir=Path("digits"), progress=print)
    Traceback (most recent call last):
        ...
    ValueError: networks has 'vgg'; need some of rednet, resnet for digits
    """
    chosen = _networks(TASKS[task], networks)
    seeds = [as_int("seeds", seed, 0) for seed in seeds]
    for name, values in (("networks", chosen), ("seeds", seeds)):
        if not values:
            raise ArgumentError(name, "is empty", "at least one")
    recipe = TASKS[task].recipe
    if epochs is not None:
        recipe = replace(recipe, epochs=as_int("epochs", epochs, recipe.warmup_epochs + 1))
    plan = [(network, seed) for network in chosen for seed in dict.fromkeys(seeds)]
    _prepare(out_dir, [f"{network}-{seed}" for network, seed in plan], resume, force)
    data = load(task)
    runs: list[Run] = []
    for done, (network, seed) in enumerate(plan):
        model = TASKS[task].networks[network](data, seed)
        try:
            rows = fit(
                model,
                TASKS[task],
                data,
                recipe,
                seed=seed,
                path=out_dir / f"{network}-{seed}.npz",
                resume=resume,
                progress=partial(_show, progress, f"{network}-{seed}", done, len(plan)),
            )
        except CheckpointError as error:
            raise ArgumentError(
                "out_dir", f"is {out_dir}", f"what --resume can use, but {error}"
            ) from error
        cost = count(model, data.x_test.shape[1:])
        runs.append(Run(network, seed, cost.parameters, cost.macs, tuple(rows)))
        save_checkpoint(out_dir / f"{network}-{seed}-weights.npz", model.state_dict(), force=True)
    results = Results(
        task, len(data.x_train), len(data.x_test), TASKS[task].baselines(data), tuple(runs)
    )
    with written_whole(out_dir / RESULTS, force=True) as temporary:
        temporary.write_text(f"{json.dumps(asdict(results))}\n", encoding="utf-8")
    save_curves(results, out_dir / CURVES)
    return results


def _show(
    progress: Progress, label: str, done: int, count: int, batch: int, batches: int, text: str
) -> None:
    """Show a batch as one of those of all ``count`` runs, of which ``done`` have ended."""
    progress(done * batches + batch, count * batches, f"{label} {text}")


def _networks(task: Task, names: Sequence[str] | None) -> list[str]:
    known = list(task.networks)
    if names is None:
        return known
    for name in names:
        if name not in known:
            raise ArgumentError(
                "networks", f"has {name!r}", f"some of {', '.join(known)} for {task.name}"
            )
    return list(dict.fromkeys(names))


def _prepare(out_dir: Path, names: list[str], resume: bool, force: bool) -> None:
    """Make the folder, and refuse before any work what would have to be refused after it."""
    if not out_dir.exists():
        check_writable(out_dir, choice="another folder with --out")
        out_dir.mkdir()
    files = [out_dir / f"{name}{ending}" for name in names for ending in ENDINGS]
    files += [out_dir / RESULTS, out_dir / CURVES]
    if not resume and not force and (there := [path for path in files if path.exists()]):
        raise FileExistsError(
            f"{there[0]} exists; pass --resume to go on from it, --force to begin anew, or choose "
            "another folder with --out"
        )
    check_writable(*files, force=True, choice="another folder with --out")


def results_from_json(text: str) -> Results:
    """Return the results that `run_task` wrote."""
    record: dict[str, Any] = json.loads(text)
    runs = [
        Run(**{**run, "epochs": tuple(Epoch(**epoch) for epoch in run["epochs"])})
        for run in record.pop("runs")
    ]
    return Results(**record, runs=tuple(runs))


def results_text(results: Results) -> str:
    """Return a table for the terminal: a line for each network, of its last epochs."""
    return "\n".join(_lines(results))


def _lines(results: Results) -> Iterator[str]:
    unit = TASKS[results.task].unit
    yield f"{results.task}: {results.train_size} pictures to train on, {results.test_size} to test."
    head = "network", "seeds", "parameters", "MACs", "train", f"test {unit.name}", "seconds"
    yield _row(*head)
    for network in results.networks:
        runs = results.of(network)
        yield _row(
            network,
            str(len(runs)),
            f"{runs[0].parameters:,}",
            f"{runs[0].macs:,}",
            unit.of(fmean(run.epochs[-1].train_score for run in runs)),
            unit.with_spread([run.epochs[-1].test_score for run in runs]),
            f"{fmean(run.seconds for run in runs):.0f}",
        )
    for name, score in results.baselines.items():
        yield _row(name, "", "", "", "", unit.of(score), "").rstrip()
    yield "After the last epoch, not the best; ± is the standard deviation of the seeds."


def _row(*cells: str) -> str:
    name, seeds, parameters, macs, train, test, seconds = cells
    return f"{name:16}{seeds:>5}{parameters:>11}{macs:>12}{train:>9}{test:>17}{seconds:>8}"


def save_curves(results: Results, path: Path) -> None:
    """Draw the loss and the test score after each epoch, a line for each run."""
    from matplotlib.figure import Figure

    from ..viz.palette import diverging

    unit = TASKS[results.task].unit
    figure = Figure(figsize=(10, 4), layout="constrained")
    loss, score = figure.subplots(1, 2)
    for n, network in enumerate(results.networks):
        red, green, blue = diverging(-1.0 if n == 0 else 0.7, 1.0) / 255
        for m, run in enumerate(results.of(network)):
            numbers = [epoch.epoch for epoch in run.epochs]
            style = {"color": (red, green, blue), "label": None if m else network}
            style["linestyle"] = "-" if n == 0 else "--"
            loss.plot(numbers, [epoch.loss for epoch in run.epochs], **style)
            scores = [epoch.test_score * unit.factor for epoch in run.epochs]
            score.plot(numbers, scores, **style)
    loss.set_yscale("log")
    for ax, title in ((loss, "training loss"), (score, f"test {unit.name}, {unit.symbol}")):
        ax.set_title(title, loc="left")
        ax.set_xlabel("epoch")
        ax.grid(alpha=0.4)
        ax.legend(frameon=False)
    with written_whole(path, force=True) as temporary:
        figure.savefig(temporary, dpi=110)
