"""The data: sizes, disjoint training and test sets, noise and augmentation."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import needs
import numpy as np
import pytest

from involution_edu.images import STD, photo_to_x
from involution_edu.models import salt_and_pepper
from involution_edu.training import data, scores, tasks
from involution_edu.training.data import Data

SIZES = {
    "digits": ((1442, 1, 8, 8), (355, 1, 8, 8)),
    "mnist": ((4000, 1, 14, 14), (1000, 1, 14, 14)),
    "textures": ((2304, 1, 16, 16), (768, 1, 16, 16)),
    "edge": ((858, 3, 64, 64), (4, 3, 256, 256)),
    "salt-and-pepper": ((720, 3, 24, 24), (3, 3, 96, 96)),
}
LABELLED = {"digits": 10, "mnist": 10, "textures": 3}


@pytest.fixture(scope="module")
def load() -> Iterator[Callable[[str], Data]]:
    """Yield a loader that reads each task once; it skips without the package, fails online."""
    loaded: dict[str, Data] = {}

    def refuse(*args: object, **options: object) -> None:
        pytest.fail("the network was used")

    def load_once(name: str) -> Data:
        for module, _ in tasks.TASKS[name].packages:
            needs.package(module)
        if name not in loaded:
            loaded[name] = tasks.load(name)
        return loaded[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield load_once


@pytest.mark.parametrize("name", SIZES)
def test_sizes_and_kinds(name: str, load: Callable[[str], Data]) -> None:
    found = load(name)
    assert (found.x_train.shape, found.x_test.shape) == SIZES[name]
    assert found.x_train.dtype == found.x_test.dtype == np.float32
    assert len(found.y_train) == len(found.x_train)
    if name in LABELLED:
        for part, use in ((found.x_train, "to train on"), (found.x_test, "to test")):
            assert f"{len(part):,} {use}" in (getattr(data, name).__doc__ or "")
    assert len(found.y_test) == len(found.x_test)
    assert np.isfinite(found.x_train).all()
    assert np.isfinite(found.x_test).all()


def test_the_split_is_the_same_each_time(load: Callable[[str], Data]) -> None:
    found, again = load("digits"), tasks.load("digits")
    for part in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(again, part), getattr(found, part))


@pytest.mark.parametrize("name", LABELLED)
def test_labels_are_split_evenly(name: str, load: Callable[[str], Data]) -> None:
    found = load(name)
    assert found.classes == LABELLED[name]
    everyone = np.bincount(np.concatenate([found.y_train, found.y_test]))
    share = np.bincount(found.y_test) / everyone
    expected = 0.25 if name == "textures" else 0.2
    np.testing.assert_allclose(share, expected, atol=0.005)


def test_every_digit_is_in_one_part_only() -> None:
    """Split numbers instead of pictures: each is in one part, with its own label."""
    numbers = np.arange(60.0).reshape(60, 1, 1)
    labels = np.arange(60) % 3
    found = data.stratified_split(numbers, labels)
    train, test = found.x_train.ravel(), found.x_test.ravel()
    assert sorted([*train, *test]) == list(range(60))
    np.testing.assert_array_equal(found.y_train, train % 3)
    np.testing.assert_array_equal(found.y_test, test % 3)
    assert (np.diff(found.y_train) < 0).any()  # shuffled, not label by label


def test_no_pixel_of_a_texture_is_in_both_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Split a photo whose pixel values are the indices of the pixels."""
    numbers = np.arange(512.0 * 512).reshape(512, 512)
    monkeypatch.setattr(data, "_grey", lambda name, side: numbers)
    monkeypatch.setattr(data, "_standard", lambda patch: patch)
    found = data.textures()
    train, test = np.unique(found.x_train), np.unique(found.x_test)
    assert len(np.intersect1d(train, test)) == 0
    assert len(train) + len(test) == 512 * 512


def test_textures_are_normalised(load: Callable[[str], Data]) -> None:
    x = load("textures").x_train
    np.testing.assert_allclose(x.mean(axis=(2, 3)), 0, atol=1e-4)
    assert np.median(np.abs(x.std(axis=(2, 3)) - 1)) < 1e-5


def test_no_photo_is_in_both_parts() -> None:
    assert not set(data.TRAIN_PHOTOS) & {*data.TEST_PHOTOS, *data.EDGE_TEST_PHOTOS}


def test_no_column_of_a_photo_is_in_training_and_validation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Load photos whose red is the part of the width: 0 to 191, then 192 to 255."""
    columns = np.repeat(np.arange(256), 2)
    photo = np.broadcast_to(columns[:, np.newaxis], (512, 512, 3)).astype(np.uint8)
    monkeypatch.setattr(data, "read_photo", lambda name, side: photo)
    found = data.edge()
    assert found.y_val is not None
    assert found.y_train[:, 0].max() < found.y_val[:, 0].min()


@pytest.mark.parametrize("name", ["edge", "salt-and-pepper"])
def test_pictures_to_restore(name: str, load: Callable[[str], Data]) -> None:
    found = load(name)
    assert found.y_train is found.x_train  # clean: the augmentation adds the noise
    assert found.y_test.shape == found.x_test.shape
    changed = (found.x_test != found.y_test).any(axis=1)
    assert changed.mean() > (0.99 if name == "edge" else 0.08)


def test_noisy_pixels_are_black_or_white_and_the_others_unchanged() -> None:
    rng = np.random.default_rng(0)
    photo = rng.integers(30, 220, (2, 40, 70, 3)).astype(np.uint8)
    x = np.concatenate([photo_to_x(one) for one in photo])
    before = x.copy()
    noisy = salt_and_pepper.add_salt_and_pepper(x, np.random.default_rng(1))
    np.testing.assert_array_equal(x, before)
    changed = (noisy != x).any(axis=1)  # (N, H, W)
    assert changed.mean() == pytest.approx(salt_and_pepper.NOISE_SHARE, rel=0.1)
    black, white = (photo_to_x(np.full((1, 1, 3), byte, np.uint8)) for byte in (0, 255))
    is_black, is_white = ((noisy == colour).all(axis=1) for colour in (black, white))
    np.testing.assert_array_equal(is_black | is_white, changed)
    assert is_black.sum() == pytest.approx(is_white.sum(), rel=0.2)
    assert not (changed[0] == changed[1]).all()


def test_a_missing_package_is_reported_with_its_pip_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "find_spec", lambda name: None)
    for name, task in tasks.TASKS.items():
        with pytest.raises(
            ValueError, match=f"task is {name}; need {task.packages[0][1]}: pip install"
        ):
            tasks.load(name)


# Data augmentation and scores


def test_each_picture_is_shifted_by_its_own_amount() -> None:
    x = np.random.default_rng(0).random((50, 2, 5, 7), np.float32) + 1
    labels = np.arange(50)
    moved, same = tasks.shifted(x, labels, np.random.default_rng(1), pixels=2)
    assert same is labels
    found = []
    for before, after in zip(x, moved, strict=True):
        padded = np.pad(before, ((0, 0), (2, 2), (2, 2)))
        matches = [
            (i, j)
            for i in range(5)
            for j in range(5)
            if np.array_equal(padded[:, i : i + 5, j : j + 7], after)
        ]
        assert len(matches) == 1
        found += matches
    assert {i for i, _ in found} == {j for _, j in found} == set(range(5))


def test_the_target_is_flipped_with_the_picture() -> None:
    clean = np.random.default_rng(0).random((3, 2, 6, 6), np.float32)
    seen = set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x, target = tasks.corrupted(clean, clean, rng, corrupt=lambda x, rng: x + 1)
        np.testing.assert_array_equal(x, target + 1)
        turns = {
            (k, flip): np.rot90(clean[..., ::-1] if flip else clean, k, axes=(2, 3))
            for k in range(4)
            for flip in (False, True)
        }
        (turn,) = [name for name, turned in turns.items() if np.array_equal(turned, target)]
        seen.add(turn)
    assert len(seen) == 8


def test_psnr_equals_scikit_image() -> None:
    metrics = needs.package("skimage.metrics")
    rng = np.random.default_rng(0)
    clean = rng.random((3, 3, 8, 9))
    y = clean + 0.1 * rng.standard_normal(clean.shape)
    expected = np.mean(
        [metrics.peak_signal_noise_ratio(c, n, data_range=1) for c, n in zip(clean, y, strict=True)]
    )
    white = (255 / STD).reshape(3, 1, 1)
    assert scores.psnr(white * y, white * clean) == pytest.approx(expected, rel=1e-12)


def test_accuracy_counts_the_largest_logit() -> None:
    logits = np.array([[1.0, 2.0, 0.0], [5.0, 1.0, 1.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    assert scores.accuracy(logits, np.array([1, 0, 2, 2])) == 0.75
