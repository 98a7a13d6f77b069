"""Classify a photo, with a RedNet or ResNet whose weights are read from a file, or a digit."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np

from ..arguments import ArgumentError, as_choice
from ..arrays import Array
from ..checkpoint import CheckpointError, load_weights
from ..files import read_text_bounded, shown
from ..images import Photo, load_photo, photo_to_x
from ..models import MODELS, pretrained
from ..nn import Module, no_grad
from ..nn.losses import softmax

CLASSES = 1000  # of ImageNet
SHORT_SIDE, CROP = 256, 224  # pixels
FULL_SIZE = 1 << 31
DIGIT = 8  # pixels a side
MAX_SIDES, MIN_CONTRAST = 12, 0.25  # % of ink, standard deviation; see _far_from_digits
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
    """The most probable classes, best first."""

    image: str
    model: str
    part: str  # of the image that the network was given
    guesses: tuple[Guess, ...]
    note: str = ""  # if the picture is far from those of the training
    ok = True

    def data(self) -> dict[str, Any]:
        """Return the attributes."""
        return asdict(self)

    def text(self) -> str:
        """Return a line for each class."""
        lines = [f"{self.model} on {self.part} of {shown(self.image)}:"]
        lines += [f"{100 * g.probability:6.1f} %  {shown(g.label)}" for g in self.guesses]
        if all(g.label == f"class {g.number}" for g in self.guesses):
            lines += ["", fill(NAMES, 80)]
        if self.note:
            lines += ["", fill(self.note, 80)]
        return "\n".join(lines)


class Case(NamedTuple):
    """A network and its input."""

    network: Module
    x: Array
    photo: Photo  # whose numbers ``x`` holds
    part: str  # of the image, in words
    names: list[str] | None  # of the classes


def classify(
    image: str | os.PathLike[str],
    model: str,
    path: str | os.PathLike[str] | None = None,
    *,
    labels: str | os.PathLike[str] | None = None,
    top: int = 5,
) -> Classification:
    """Classify a photo, of which the centre crop is read as in the evaluation of the networks.

    Parameters
    ----------
    image : str or path
        A photo, in any format that `load_photo` reads.
    model : str
        "digits", the small RedNet that ships trained, for the picture of one digit, see
        `digit_to_x`; or a key of `involution_edu.models.MODELS`.
    path : str or path, optional
        Weights, in any format that `load_checkpoint` reads; only "digits" has its own.
    labels : str or path, optional
        A text file with the name of each class on a line of its own, as many as the weights
        have. Without it there are 1000 classes, named by their numbers.
    top : int
        How many classes to return.

    Raises
    ------
    OSError
        If a file cannot be read.
    ValueError
        If one has the wrong content.

    Examples
    --------
    With your own photo and weights; an unknown name is refused before they are read:

    >>> classify("cat.jpg", "rednet50", "weights.pth").guesses[0].label  # doctest: +SKIP
    >>> classify("cat.jpg", "rednet18", "weights.pth")
    Traceback (most recent call last):
        ...
    involution_edu.arguments.ArgumentError: model is 'rednet18'; need one of 'digits', 'rednet26',
    'rednet38', 'rednet50', 'rednet101', 'rednet152', 'resnet26', 'resnet38', 'resnet50',
    'resnet101', 'resnet152'; did you mean 'rednet38'?
    """
    case = case_of(image, model, path, labels)
    probability = softmax(logits_of(case.network, case.x, path))
    guesses = []
    for number in np.argsort(-probability, kind="stable")[:top].tolist():
        label = f"class {number}" if case.names is None else case.names[number]
        guesses.append(Guess(number, label, float(probability[number])))
    note = _far_from_digits(case.x) if model == "digits" else ""
    return Classification(str(image), model, case.part, tuple(guesses), note)


def case_of(
    image: str | os.PathLike[str] | None,
    model: str,
    path: str | os.PathLike[str] | None,
    labels: str | os.PathLike[str] | None = None,
) -> Case:
    """Return a network and its input; without an ``image``, a digit is drawn.

    The arguments are those of `classify`, and the errors too.
    """
    as_choice("model", model, ("digits", *MODELS))
    if model == "digits":
        for name, given in (("path", path), ("labels", labels)):
            if given is not None:
                raise ArgumentError(name, f"is {given}", "none for digits, which has its own")
        photo = drawn_digit() if image is None else load_photo(Path(image), FULL_SIZE)[0]
        x = digit_to_x(photo)
        grey = np.rint(255 * (1 - x[0, 0])).astype(np.uint8)
        part = f"{DIGIT} x {DIGIT} pixels"
        names = [str(number) for number in range(10)]
        return Case(pretrained(model), x, grey[..., np.newaxis].repeat(3, axis=2), part, names)
    if path is None:
        need = "a file for this model (docs/howto/weights.md says where), or the model digits"
        raise ArgumentError("path", "is missing", need)
    photo = middle(load_photo(None if image is None else Path(image), FULL_SIZE)[0])
    classes = None if labels is None else _read_labels(Path(labels))
    network = MODELS[model](CLASSES if classes is None else len(classes), rng=0).eval()
    try:
        load_weights(network, path)
    except CheckpointError:
        _check_classes(network, path, labels)
        raise
    for name, array in network.state_dict().items():
        if not np.isfinite(array).all():
            got = f"is {path}, whose {name} holds NaN or infinity"
            raise CheckpointError("path", got, "trained weights")
    return Case(network, photo_to_x(photo), photo, "the centre crop", classes)


def logits_of(network: Module, x: Array, path: str | os.PathLike[str] | None) -> Array:
    """Return the logits of the first image; refuse weights of ``path`` that give no numbers."""
    with np.errstate(over="ignore", invalid="ignore"), no_grad():
        logits: Array = network(x)[0]
    if not np.isfinite(logits).all():
        got = f"is {path}, whose weights give NaN or infinity"
        raise CheckpointError("path", got, "trained weights")
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


def drawn_digit() -> Photo:
    """Return a large 5 in the letters of matplotlib, (H, W, 3)."""
    from PIL import Image, ImageDraw

    from ..viz.animation.canvas import font

    picture = Image.new("RGB", (64, 88), "white")
    ImageDraw.Draw(picture).text((32, 44), "5", fill="black", font=font(110), anchor="mm")
    return np.asarray(picture)


def digit_to_x(photo: Photo) -> Array:
    """Return the picture (H, W, 3) of a digit as the input (1, 1, 8, 8) of its network, float32.

    Each number is the share of ink in its part of the picture: 0 is white paper, 1 black ink.
    A picture that is not square is centred on a square of paper.

    Examples
    --------
    >>> photo = np.full((16, 8, 3), 255, np.uint8)
    >>> photo[:4] = 0
    >>> digit_to_x(photo)[0, 0, :3].tolist()
    [[0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0],
     [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0],
     [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
    """
    from PIL import Image

    scale = DIGIT / max(photo.shape[:2])
    rows, columns = (max(1, round(side * scale)) for side in photo.shape[:2])
    grey = Image.fromarray(photo).convert("L").resize((columns, rows), Image.Resampling.BOX)
    top, left = (DIGIT - rows) // 2, (DIGIT - columns) // 2
    x = np.zeros((1, 1, DIGIT, DIGIT), np.float32)
    x[0, 0, top : top + rows, left : left + columns] = 1 - np.asarray(grey) / 255
    return x


def _far_from_digits(x: Array) -> str:
    """Return in words how ``x`` of `digit_to_x` differs from all digits, or nothing."""
    sides, contrast = 100 * x[..., [0, -1]].mean(), x.std()
    found = f"{sides:.0f} % ink at its sides and a contrast of {contrast:.2f}"
    usual = f"at most {MAX_SIDES} % and at least {MIN_CONTRAST}"
    far = sides > MAX_SIDES or contrast < MIN_CONTRAST
    return f"This is no dark digit on white: {found}; digits have {usual}." if far else ""


def _check_classes(network: Module, path: str | os.PathLike[str], labels: Any) -> None:
    """Raise `ArgumentError` if the file differs from the network in the number of classes alone."""
    report = load_weights(network, path, strict=False)
    shapes = {name: (theirs[0], ours[0]) for name, theirs, ours in report.reshaped}
    if not report.missing and shapes.keys() == {"fc.weight", "fc.bias"}:
        theirs, ours = shapes["fc.bias"]
        got = "is missing" if labels is None else f"is {labels}, of {ours} names"
        raise ArgumentError(
            "labels", got, f"a file of {theirs} names, as {path} has classes"
        ) from None


def _read_labels(labels: Path) -> list[str]:
    text = read_text_bounded(labels, "labels", MAX_LABELS * 100, MAX_LABELS)
    lines = [line.strip() for line in text.splitlines()]
    if not all(lines or [""]):
        raise ArgumentError("labels", f"is {labels}, with an empty line", "a name on every line")
    return lines
