"""The command ``train``: networks of a task, each trained with several seeds, in one folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..arguments import ArgumentError, as_choice, as_int
from ..checkpoint import CheckpointError, save_checkpoint
from ..complexity import count
from ..files import check_writable, written_whole
from ..progress import Progress, no_progress
from .charts import save_curves
from .loop import MAX_EPOCHS, fit
from .results import Results, Run
from .tasks import TASKS, Recipe, load

ENDINGS = ".npz", ".csv", "-weights.npz"
RESULTS, CURVES = "results.json", "curves.png"


def run_task(
    task: str,
    *,
    networks: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    epochs: int | None = None,
    out_dir: Path,
    resume: bool = False,
    force: bool = False,
    progress: Progress = no_progress,
) -> Results:
    """Train every network with every seed, and keep the results in ``out_dir``.

    Each run has a checkpoint, ``NETWORK-SEED.npz``, and a log, ``NETWORK-SEED.csv``, both replaced
    after every epoch; after the last, its weights, ``NETWORK-SEED-weights.npz``, for
    `involution_edu.load_weights`. ``results.json`` and ``curves.png`` are written at the end.

    Parameters
    ----------
    task : str
        A key of `TASKS`.
    networks : sequence of str, optional
        Default: all of the task.
    seeds : sequence of int
    epochs : int, optional
        Default: those of the task's recipe.
    out_dir : path
        Created if it does not exist.
    resume, force : bool
        Continue from the checkpoints in ``out_dir``; or replace the files there.
    progress : callable
        Called after every batch, as `Progress`.

    Returns
    -------
    results : Results
        If a training diverges, those of the runs before it, with ``ok`` False.

    Raises
    ------
    ValueError
        If a name is unknown, a sequence empty or a package missing, or a checkpoint is damaged or
        belongs to another run.
    OSError
        If a file exists and neither ``resume`` nor ``force`` is set, or cannot be written.

    Examples
    --------
    >>> run_task("digits", seeds=[0, 1], out_dir=Path("digits"))  # doctest: +SKIP
    >>> run_task("digits", networks=["vgg"], out_dir=Path("digits"))
    Traceback (most recent call last):
        ...
    involution_edu.arguments.ArgumentError: networks[0] is 'vgg'; need one of 'rednet', 'resnet'
    """
    chosen = TASKS[as_choice("task", task, TASKS)]
    names = list(chosen.networks) if networks is None else list(networks)
    for n, name in enumerate(names):
        as_choice(f"networks[{n}]", name, chosen.networks)
    seeds = [as_int("seeds", seed, 0) for seed in seeds]
    for argument, values in (("networks", names), ("seeds", seeds)):
        if not values:
            raise ArgumentError(argument, "is empty", "at least one")
    recipe = with_epochs(chosen.recipe, epochs)
    plan = list(dict.fromkeys((name, seed) for name in names for seed in seeds))
    files = [out_dir / f"{name}-{seed}{ending}" for name, seed in plan for ending in ENDINGS]
    _prepare([*files, out_dir / RESULTS, out_dir / CURVES], keep=not resume and not force)
    data = load(task)
    results = Results(task, len(data.x_train), len(data.x_test), {}, (), out_dir)
    for done, (name, seed) in enumerate(plan):
        label, model = f"{name}-{seed}", chosen.networks[name](data, seed)

        def show(batch: int, batches: int, what: str, done: int = done, label: str = label) -> None:
            progress(done * batches + batch, len(plan) * batches, f"{label} {what}")

        path = out_dir / f"{label}.npz"
        how: dict[str, Any] = {"seed": seed, "path": path, "resume": resume, "progress": show}
        try:
            history = tuple(fit(model, chosen, data, recipe, **how))
        except CheckpointError as error:
            need = f"what --resume can use, but {error}"
            raise ArgumentError("out_dir", f"is {out_dir}", need) from error
        except FloatingPointError as error:
            return replace(results, diverged=str(error))
        cost = count(model, data.x_test.shape[1:])
        run = Run(name, seed, cost.parameters, cost.macs, history)
        results = replace(results, runs=(*results.runs, run))
        save_checkpoint(out_dir / f"{label}-weights.npz", model.state_dict(), force=True)
    results = replace(results, baselines=chosen.baselines(data))
    with written_whole(out_dir / RESULTS, force=True) as temporary:
        temporary.write_text(f"{json.dumps(results.data())}\n", encoding="utf-8")
    save_curves(results, out_dir / CURVES)
    return results


def with_epochs(recipe: Recipe, epochs: int | None) -> Recipe:
    """Return ``recipe`` with another number of epochs; the warm-up ends before the last."""
    epochs = as_int("epochs", recipe.epochs if epochs is None else epochs, 1, MAX_EPOCHS)
    return replace(recipe, epochs=epochs, warmup_epochs=min(recipe.warmup_epochs, epochs - 1))


def _prepare(files: list[Path], keep: bool) -> None:
    """Raise before the training what would be raised after it."""
    choice = "another folder with --out"
    if keep and (there := [path for path in files if path.exists()]):
        way = "--resume to continue, --force to replace it"
        raise FileExistsError(f"{there[0]} exists; pass {way}, or choose {choice}")
    check_writable(*files, force=True, choice=choice)
