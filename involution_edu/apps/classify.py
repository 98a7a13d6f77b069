"""Classify a photo with a RedNet or ResNet whose weights are read from a file."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from ..arguments import ArgumentError, as_choice
from ..arrays import Array
from ..checkpoint import CheckpointError, load_weights
from ..files import check_writable, read_text_bounded, shown, written_whole
from ..images import Photo, load_photo, photo_to_x
from ..models import MODELS
from ..nn import Module, no_grad
from ..nn.losses import softmax

CLASSES = 1000  # of ImageNet
SHORT_SIDE, CROP = 256, 224  # pixels
FULL_SIZE = 1 << 31
NAMES = (
    "For names pass --labels FILE, a text file with a name on each line in the order of the classes: "
    "for ImageNet, imagenet_classes.txt of github.com/pytorch/hub."
)
MAX_LABELS = 50_000  # more than any network has


@dataclass(frozen=True, slots=True)
class Guess:
    """One class: its number, its name and its probability."""

    number: int
    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class Classification:
    """The most probable classes, best first, and the picture of the kernels if there is one."""

    image: str
    model: str
    guesses: tuple[Guess, ...]
    picture: Path | None
    ok = True

    def data(self) -> dict[str, Any]:
        """Return the attributes."""
        return {**asdict(self), "picture": self.picture and str(self.picture)}

    def text(self) -> str:
        """Return a line for each class."""
        lines = [f"{self.model} on the centre crop of {shown(self.image)}:"]
        lines += [f"{100 * g.probability:6.1f} %  {shown(g.label)}" for g in self.guesses]
        if self.picture is not None:
            lines.append(f"Kernels of every stage: {self.picture}")
        if all(g.label == f"class {g.number}" for g in self.guesses):
            lines += ["", fill(NAMES, 80)]
        return "\n".join(lines)


def classify(
    image: str | os.PathLike[str],
    model: str,
    path: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    top: int = 5,
) -> Classification:
    """Classify the centre crop of a photo, as the networks were evaluated.

    Parameters
    ----------
    image : str or path
        A photo, in any format that `load_photo` reads.
    model : str
        A key of `involution_edu.models.MODELS`.
    path : str or path
        Weights, in any format that `load_checkpoint` reads.
    labels : str or path, optional
        A text file with the name of each class on a line of its own, as many as the weights
        have. Without it there are 1000 classes, named by their numbers.
    out : str or path, optional
        Where a PNG of the kernels of every stage is written; see `viz.figures.stages.stage_maps`.
    force : bool
        Whether ``out`` may be replaced.
    top : int
        How many classes to return.

    Raises
    ------
    OSError
        If a file cannot be read or written.
    ValueError
        If one has the wrong content.

    Examples
    --------
    With your own photo and weights; an unknown name is refused before they are read:

    >>> classify("cat.jpg", "rednet50", "weights.pth").guesses[0].label  # doctest: +SKIP
    >>> classify("cat.jpg", "rednet18", "weights.pth")
    Traceback (most recent call last):
        ...
    involution_edu.arguments.ArgumentError: model is 'rednet18'; need one of 'rednet26', 'rednet38',
    'rednet50', 'rednet101', 'rednet152', 'resnet26', 'resnet38', 'resnet50', 'resnet101', 'resnet152';
    did you mean 'rednet38'?
    """
    as_choice("model", model, MODELS)
    if out is not None:
        check_writable(Path(out), force=force)
        if Path(out).suffix != ".png":
            raise ArgumentError("out", f"is {out}", "a name that ends in .png")
        if not model.startswith("rednet"):
            raise ArgumentError("out", f"is {out}", f"a rednet to draw kernels of, not {model}")
    photo = middle(load_photo(Path(image), FULL_SIZE)[0])
    names = None if labels is None else _read_labels(Path(labels))
    network = MODELS[model](CLASSES if names is None else len(names), rng=0).eval()
    load_weights(network, path)
    x = photo_to_x(photo)
    probability = softmax(logits_of(network, x, path))
    if out is not None:
        from ..viz.figures.stages import record_stages, stage_maps

        figure = stage_maps(record_stages(network, x), photo)
        with written_whole(Path(out), force=force) as temporary:
            figure.savefig(temporary, format="png")
    guesses = []
    for number in np.argsort(-probability, kind="stable")[:top].tolist():
        label = f"class {number}" if names is None else names[number]
        guesses.append(Guess(number, label, float(probability[number])))
    return Classification(str(image), model, tuple(guesses), None if out is None else Path(out))


def logits_of(network: Module, x: Array, path: str | os.PathLike[str]) -> Array:
    """Return the logits of the first image; refuse the weights of ``path`` if they overflow."""
    with np.errstate(over="ignore", invalid="ignore"), no_grad():
        logits: Array = network(x)[0]
    if not np.isfinite(logits).all():
        raise CheckpointError("path", f"is {path}, whose weights overflow", "trained weights")
    return logits


def middle(photo: Photo) -> Photo:
    """Return the input of the networks, (224, 224, 3), from ``photo`` (H, W, 3).

    The shorter side is scaled to 256 pixels (bilinear) and the middle is cropped; in one step,
    so that only the crop is scaled.

    Examples
    --------
    >>> middle(np.zeros((300, 900, 3), np.uint8)).shape
    (224, 224, 3)
    """
    from PIL import Image

    rows, columns = photo.shape[:2]
    half = min(rows, columns) * CROP / SHORT_SIDE / 2
    box = columns / 2 - half, rows / 2 - half, columns / 2 + half, rows / 2 + half
    resized = Image.fromarray(photo).resize((CROP, CROP), Image.Resampling.BILINEAR, box)
    return np.asarray(resized)


def _read_labels(labels: Path) -> list[str]:
    text = read_text_bounded(labels, "labels", MAX_LABELS * 100, MAX_LABELS)
    lines = [line.strip() for line in text.splitlines()]
    if not all(lines or [""]):
        raise ArgumentError("labels", f"is {labels}, with an empty line", "a name on every line")
    return lines
