"""The training loop: shuffled batches, a checkpoint after every epoch, bit-identical resume."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass, fields
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import as_choice, quoted
from ..checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from ..checkpoint.tensors import MAX_MESSAGE
from ..files import shown, written_whole
from ..nn import SGD, Adam, Module, Optimizer, no_grad, train_step, warmup_cosine
from ..progress import Progress, no_progress
from .data import Data
from .tasks import Recipe, Task

TEST_BATCH = 250
MAX_EPOCHS = 10_000


@dataclass(frozen=True, slots=True)
class Epoch:
    """Metrics of one epoch, a pass over the training set.

    Attributes
    ----------
    epoch : int
        From 1.
    loss, train_score : float
        Means over the batches during the epoch: in training mode, on augmented pictures, each
        batch before its step.
    test_score : float
        On the whole test set after the epoch, in evaluation mode.
    seconds : float
        Duration of training and test.

    Examples
    --------
    Results are those of the last epoch: the best epoch would be chosen by the test set.

    >>> epochs = [Epoch(1, 0.9, 0.6, 0.9, 2.0), Epoch(2, 0.4, 0.9, 0.8, 2.0)]
    >>> epochs[-1].test_score
    0.8
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
    progress: Progress = no_progress,
) -> list[Epoch]:
    """Train ``model`` in place and return the metrics of every epoch.

    The order of the pictures and the data augmentation of an epoch are drawn from
    ``default_rng([seed, epoch])``, so an interrupted and resumed training computes the same
    numbers as an uninterrupted one.

    Parameters
    ----------
    model : Module
        Untrained, of the dtype of ``data``. Afterwards it has the weights of the last epoch, not
        of the best one, and is in evaluation mode.
    task : Task
    data : Data
    recipe : Recipe
    seed : int
    path : path, optional
        Checkpoint (.npz), replaced after every epoch, with a log (.csv) of the same name beside it.
    resume : bool
        Continue from ``path`` if it exists.
    progress : callable, optional
        Called after every batch, as `Progress`.

    Returns
    -------
    epochs : list of Epoch

    Raises
    ------
    CheckpointError
        If ``path`` is damaged or belongs to another training.
    FloatingPointError
        If the loss is not finite: the training diverged.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from involution_edu import nn
    >>> from involution_edu.training import tasks
    >>> x = np.random.default_rng(0).standard_normal((64, 1, 4, 4), np.float32)
    >>> data = Data(x, (x.mean(axis=(1, 2, 3)) > 0).astype(int), x[:9], np.zeros(9, int))
    >>> model = nn.Sequential(nn.GlobalAvgPool2d(), nn.Linear(1, 2, rng=0))
    >>> recipe = replace(tasks.TASKS["digits"].recipe, epochs=2)
    >>> [row.epoch for row in fit(model, tasks.TASKS["digits"], data, recipe, seed=0)]
    [1, 2]
    """
    as_choice("optimizer", recipe.optimizer, ("sgd", "adam"))
    make = Adam if recipe.optimizer == "adam" else partial(SGD, momentum=0.9, nesterov=True)
    optimizer = make(model.parameters(), recipe.lr, weight_decay=recipe.weight_decay)
    epochs: list[Epoch] = []
    identity = {"task": task.name, "seed": seed, **asdict(recipe)}
    parts: dict[str, Module | Optimizer] = {"network": model, "optimizer": optimizer}
    if path is not None and resume and path.exists():
        epochs = _resume(path, identity, parts)
        write_csv(path.with_suffix(".csv"), Epoch, epochs)
    batches = -(-len(data.x_train) // recipe.batch_size)
    total, warmup = recipe.epochs * batches, recipe.warmup_epochs * batches
    rate = partial(warmup_cosine, base_lr=recipe.lr, warmup_steps=warmup, total_steps=total)
    for number in range(len(epochs) + 1, recipe.epochs + 1):
        start, rng = time.perf_counter(), np.random.default_rng([seed, number])
        model.train()
        sums = np.zeros(2)
        order = rng.permutation(len(data.x_train))
        for batch, indices in enumerate(np.array_split(order, batches)):
            step = (number - 1) * batches + batch
            optimizer.lr = rate(step)
            x, target = task.augment(data.x_train[indices], data.y_train[indices], rng)
            criterion = task.criterion(recipe, model)
            loss, y = train_step(model, optimizer, criterion, x, target, max_norm=recipe.max_norm)
            if not isfinite(loss):
                raise FloatingPointError(f"the loss is {loss} in epoch {number}, batch {batch}")
            score = task.score(task.result(model, y), target)
            sums += len(indices) * np.array([loss, score])
            if batch + 1 < batches:
                text = f"epoch {number}: "
                if epochs:
                    text += f"test {task.unit.of(epochs[-1].test_score)} after {number - 1}, "
                progress(step + 1, total, f"{text}loss {loss:.3g}")
        loss, score = (sums / len(order)).tolist()
        tested = evaluate(model, task, data)
        epochs.append(Epoch(number, loss, score, tested, time.perf_counter() - start))
        if path is not None:
            run = np.frombuffer(json.dumps(identity).encode(), np.uint8)
            state = {"run": run, "epochs": np.array([astuple(epoch) for epoch in epochs])}
            for part, owner in parts.items():
                state |= {f"{part}.{name}": array for name, array in owner.state_dict().items()}
            save_checkpoint(path, state, force=True)
            write_csv(path.with_suffix(".csv"), Epoch, epochs)
        text = f"epoch {number}: test {task.unit.of(tested)}, loss {loss:.3g}"
        progress(number * batches, total, text)
    model.eval()
    return epochs


def evaluate(model: Module, task: Task, data: Data) -> float:
    """Return the score on the test set.

    Parameters
    ----------
    model : Module
        Put in evaluation mode.
    task : Task
    data : Data
        Only the test set is used.

    Returns
    -------
    score : float

    Examples
    --------
    A network that always predicts class 1, for labels of which three of four are 1:

    >>> from involution_edu import nn
    >>> from involution_edu.training import tasks
    >>> model = nn.Sequential(nn.GlobalAvgPool2d(), nn.Linear(1, 2))
    >>> model.load_state_dict({"1.weight": np.zeros((2, 1)), "1.bias": np.array([0, 1.0])})
    >>> x = np.zeros((4, 1, 5, 6), np.float32)
    >>> evaluate(model, tasks.TASKS["digits"], Data(x, np.zeros(4, int), x, np.array([1, 0, 1, 1])))
    0.75
    """
    model.eval()
    parts = range(0, len(data.x_test), TEST_BATCH)
    with no_grad():
        y = [task.result(model, model(data.x_test[n : n + TEST_BATCH])) for n in parts]
    return task.score(np.concatenate(y), data.y_test)


def _resume(
    path: Path, identity: dict[str, Any], parts: dict[str, Module | Optimizer]
) -> list[Epoch]:
    """Load ``parts``, a network and its optimiser, from a checkpoint and return its epochs."""
    state = load_checkpoint(path)
    try:
        found = dict(json.loads(state["run"].tobytes()))
        if found == identity:
            table = state["epochs"][: identity["epochs"] + 1].tolist()
            epochs = [Epoch(int(row[0]), *row[1:]) for row in table]
            if [epoch.epoch for epoch in epochs] != list(range(1, len(state["epochs"]) + 1)):
                raise ValueError("its epochs are not 1, 2, ...")
            named = [(*name.partition(".")[::2], array) for name, array in state.items()]
            for part, owner in parts.items():
                owner.load_state_dict({name: array for of, name, array in named if of == part})
            return epochs
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        got = f"is {path}, which is no checkpoint of a training: {shown(f'{error}', MAX_MESSAGE)}"
        raise CheckpointError("path", got) from error
    name = next(n for n in identity | found if found.get(n, found) != identity.get(n, found))
    got = f"is {path}, of a training with {quoted(f'{name}')[1:-1]} = {quoted(found.get(name))}"
    raise CheckpointError("path", got, repr(identity.get(name)))


def write_csv(path: Path, kind: type[Any], rows: Iterable[Any]) -> None:
    """Write ``rows``, of the dataclass ``kind``, under a header of its field names."""
    with (
        written_whole(path, force=True) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        lines = [field.name for field in fields(kind)], *map(astuple, rows)
        csv.writer(stream, lineterminator="\n").writerows(lines)
