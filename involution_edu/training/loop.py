"""Training: epochs over shuffled batches, a checkpoint after each, and going on from one."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, astuple, dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import ArgumentError
from ..arrays import Array
from ..checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from ..files import written_whole
from ..nn import SGD, Adam, Module, Optimizer, clip_grad_norm, no_grad, warmup_cosine
from .data import Data
from .tasks import Recipe, Task

TEST_BATCH = 250


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the training pictures came to.

    Attributes
    ----------
    epoch : int
        From 1.
    loss, train_score : float
        Means over the batches, as they were met: of a network in training mode, on pictures with
        all that the task does to them.
    test_score : float
        On the whole test set, after the epoch, in evaluation mode.
    seconds : float
        For the training and the test.

    Examples
    --------
    The best epoch is not the last, but to choose it by the test set would be to train on it:

    >>> epochs = [Epoch(1, 0.9, 0.6, 0.7, 2.0), Epoch(2, 0.5, 0.8, 0.9, 2.0), Epoch(3, 0.4, 0.9, 0.8, 2.0)]
    >>> max(epochs, key=lambda row: row.test_score).epoch, epochs[-1].test_score
    (2, 0.8)
    """

    epoch: int
    loss: float
    train_score: float
    test_score: float
    seconds: float


def fit(
    model: Module,
    task: Task,
    data: Data,
    recipe: Recipe,
    *,
    seed: int,
    path: Path | None = None,
    resume: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[Epoch]:
    """Train ``model`` in place and return what each epoch came to.

    The order of the pictures and all that chance does to them in an epoch comes from
    ``default_rng([seed, epoch])``, so a run that is interrupted and resumed goes through the very
    numbers of one that is not.

    Parameters
    ----------
    model : Module
        Fresh, in the precision of ``data``. Afterwards it has the weights of the last epoch, not
        those of the best, and is in evaluation mode.
    task : Task
        Its losses, scores and augmentation.
    data : Data
    recipe : Recipe
    seed : int
    path : path, optional
        Where the checkpoint, an .npz, is kept up to date after every epoch; the log is a .csv
        of the same name beside it. Both are replaced.
    resume : bool
        Go on from ``path``, if it exists, instead of from the start.
    progress : callable, optional
        Called after every batch with the batches done, all batches, and how it goes.

    Raises
    ------
    CheckpointError
        If ``path`` is damaged or of another training.
    FloatingPointError
        If the loss is no longer finite.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from involution_edu import nn, tasks
    >>> x = np.random.default_rng(0).standard_normal((64, 1, 4, 4), np.float32)
    >>> data = Data(x, (x.mean(axis=(1, 2, 3)) > 0).astype(int), x[:9], np.zeros(9, int))
    >>> model = nn.Sequential(nn.GlobalAvgPool2d(), nn.Linear(1, 2, rng=0))
    >>> recipe = replace(tasks.TASKS["digits"].recipe, epochs=2)
    >>> [row.epoch for row in fit(model, tasks.TASKS["digits"], data, recipe, seed=0)]
    [1, 2]
    """
    optimizer, epochs = make_optimizer(model, recipe), list[Epoch]()
    identity = {"task": task.name, "seed": seed, **asdict(recipe)}
    if path is not None and resume and path.exists():
        epochs = _resume(path, identity, model, optimizer)
        _save_log(path, epochs)
    batches = -(-len(data.x_train) // recipe.batch_size)
    for number in range(len(epochs) + 1, recipe.epochs + 1):
        start, rng = time.perf_counter(), np.random.default_rng([seed, number])
        model.train()
        sums = np.zeros(2)
        order = rng.permutation(len(data.x_train))
        for batch, chosen in enumerate(np.array_split(order, batches)):
            step = (number - 1) * batches + batch
            optimizer.lr = warmup_cosine(
                step,
                base_lr=recipe.lr,
                warmup_steps=recipe.warmup_epochs * batches,
                total_steps=recipe.epochs * batches,
            )
            x, y = task.augment(data.x_train[chosen], data.y_train[chosen], rng)
            loss, score = _step(model, optimizer, task, recipe, x, y)
            if not isfinite(loss):
                raise FloatingPointError(f"the loss is {loss} in epoch {number}, batch {batch}")
            sums += len(chosen) * np.array([loss, score])
            if progress is not None:
                before = f"test {task.unit.of(epochs[-1].test_score)}, " if epochs else ""
                progress(
                    step + 1,
                    recipe.epochs * batches,
                    f"epoch {number}: loss {loss:.3g}, {before}training {task.unit.of(score)}",
                )
        loss, score = (sums / len(order)).tolist()
        tested = evaluate(model, task, data)
        epochs.append(Epoch(number, loss, score, tested, time.perf_counter() - start))
        if path is not None:
            _save(path, identity, model, optimizer, epochs)
            _save_log(path, epochs)
    model.eval()
    return epochs


def _step(
    model: Module, optimizer: Optimizer, task: Task, recipe: Recipe, x: Array, target: NDArray[Any]
) -> tuple[float, float]:
    """Go one step down the loss of a batch; return the loss and the score before it."""
    criterion = task.criterion(recipe)
    y = model(x)
    loss = criterion(y, target)
    model.zero_grad()
    model.backward(criterion.backward())
    clip_grad_norm(optimizer.parameters, recipe.max_norm)
    optimizer.step()
    return loss, task.score(y, target)


def evaluate(model: Module, task: Task, data: Data) -> float:
    """Return the score on the test set, with ``model`` in evaluation mode.

    Parameters
    ----------
    model : Module
        It is in evaluation mode afterwards.
    task : Task
        Its score.
    data : Data
        Only its test set is looked at.

    Returns
    -------
    score : float

    Examples
    --------
    A network that always says "1", where three of four labels are 1:

    >>> from involution_edu import nn, tasks
    >>> model = nn.Sequential(nn.GlobalAvgPool2d(), nn.Linear(1, 2))
    >>> model.load_state_dict({"1.weight": np.zeros((2, 1)), "1.bias": np.array([0, 1.0])})
    >>> x = np.zeros((4, 1, 5, 6), np.float32)
    >>> evaluate(model, tasks.TASKS["digits"], Data(x, np.zeros(4, int), x, np.array([1, 0, 1, 1])))
    0.75
    """
    model.eval()
    parts = range(0, len(data.x_test), TEST_BATCH)
    with no_grad():
        y = np.concatenate([model(data.x_test[start : start + TEST_BATCH]) for start in parts])
    return task.score(y, data.y_test)


def make_optimizer(model: Module, recipe: Recipe) -> Optimizer:
    """Return the optimiser that ``recipe`` names, on the parameters of ``model``."""
    parameters = model.parameters()
    if recipe.optimizer == "adam":
        return Adam(parameters, recipe.lr, weight_decay=recipe.weight_decay)
    if recipe.optimizer == "sgd":
        return SGD(
            parameters, recipe.lr, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay
        )
    raise ArgumentError("optimizer", f"is {recipe.optimizer!r}", "'sgd' or 'adam'")


def _save(
    path: Path,
    identity: Mapping[str, Any],
    model: Module,
    optimizer: Optimizer,
    epochs: list[Epoch],
) -> None:
    state = {
        "run": np.frombuffer(json.dumps(identity).encode(), np.uint8),
        "epochs": np.array([astuple(epoch) for epoch in epochs]),
        **{f"network.{name}": array for name, array in model.state_dict().items()},
        **{f"optimizer.{name}": array for name, array in optimizer.state_dict().items()},
    }
    save_checkpoint(path, state, force=True)


def _resume(
    path: Path, identity: Mapping[str, Any], model: Module, optimizer: Optimizer
) -> list[Epoch]:
    """Load ``model`` and ``optimizer`` and return the epochs behind them."""
    state = load_checkpoint(path)
    try:
        found = dict(json.loads(state["run"].tobytes()))
        epochs = [Epoch(int(row[0]), *row[1:]) for row in state["epochs"].tolist()]
        if found == identity:
            model.load_state_dict(_below("network.", state))
            optimizer.load_state_dict(_below("optimizer.", state))
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise CheckpointError(
            "path", f"is {path}, which is no checkpoint of a training: {error}"
        ) from error
    for name in {**identity, **found}:
        if (theirs := found.get(name)) != (ours := identity.get(name)):
            raise CheckpointError(
                "path", f"is {path}, of a training with {name} = {theirs!r}", repr(ours)
            )
    return epochs


def _below(prefix: str, state: Mapping[str, Array]) -> dict[str, Array]:
    return {
        name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)
    }


def _save_log(path: Path, epochs: list[Epoch]) -> None:
    with (
        written_whole(path.with_suffix(".csv"), force=True) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow([field.name for field in fields(Epoch)])
        writer.writerows(astuple(epoch) for epoch in epochs)
