"""A task that trains in a second, and a script that tests can interrupt."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from involution_edu import nn
from involution_edu.arrays import Array
from involution_edu.training import loop as train
from involution_edu.training.data import Data
from involution_edu.training.scores import ACCURACY, accuracy
from involution_edu.training.tasks import Recipe, Task, shifted

RECIPE = Recipe(6, 16, "sgd", 0.1, weight_decay=1e-3, label_smoothing=0.1)


def stripes() -> Data:
    """Return noisy pictures of horizontal (0) and vertical (1) stripes, 7 x 6 pixels."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, 150)
    rows, columns = np.indices((7, 6)) % 2
    clean = np.where(labels[:, None, None] == 0, rows, columns)
    noise = 0.8 * rng.standard_normal(clean.shape)
    x = (clean - 0.5 + noise).astype(np.float32)[:, np.newaxis]
    return Data(x[:100], labels[:100], x[100:], labels[100:])


def network(data: Data, seed: int) -> nn.Module:
    """Return a network with every kind of state: weights, running statistics, optimiser state."""
    rng = np.random.default_rng(seed)
    return nn.Sequential(
        nn.Conv2d(data.x_train.shape[1], 8, 3, padding=1, rng=rng),
        nn.Involution2d(8, 3, groups=2, rng=rng),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.GlobalAvgPool2d(),
        nn.Linear(8, data.classes, rng=rng),
    )


STRIPES = Task(
    "stripes",
    "which way the stripes run",
    (("numpy", "numpy"),),
    stripes,
    {"small": network, "other": network},
    RECIPE,
    ACCURACY,
    lambda recipe, _: nn.CrossEntropy(recipe.label_smoothing),
    accuracy,
    partial(shifted, pixels=1),
    lambda data: {"guess": 0.5},
)
ADAM = replace(RECIPE, optimizer="adam", lr=0.01)
LONG = replace(RECIPE, epochs=25)


def run(
    path: Path | None, recipe: Recipe = RECIPE, *, resume: bool = False, seed: int = 3
) -> tuple[dict[str, Array], list[train.Epoch]]:
    """Train and return the weights and the epochs."""
    data = stripes()
    model = network(data, seed)
    epochs = train.fit(model, STRIPES, data, recipe, seed=seed, path=path, resume=resume)
    return model.state_dict(), epochs


if __name__ == "__main__":  # to be killed by a test: python training_cases.py FILE
    run(Path(sys.argv[1]), LONG, resume=True)
