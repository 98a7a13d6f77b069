"""The hero: both sides are recorded, the first frame tells all, and it is short and small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from demo_cases import read_frames

import involution_edu as inv
from involution_edu.images import Photo, decibels, photo_to_x, x_to_photo
from involution_edu.models import pretrained
from involution_edu.models.edge import with_noise
from involution_edu.viz.animation.scenes import Subject
from involution_edu.viz.animation.scenes.hero import LEFTS, SQUARE, STEPS, TOP, WIPE, Hero
from involution_edu.viz.animation.writers import write_animation
from involution_edu.viz.palette import PAPER
from involution_edu.viz.strokes import lit


@pytest.fixture(scope="module")
def scene() -> Hero:
    return Hero(Subject.of(None, 0, Hero.side))


@pytest.fixture(scope="module")
def gif(scene: Hero, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hero") / "hero.gif"
    write_animation(scene.animation(), path)
    return path


@pytest.fixture(scope="module")
def frames(gif: Path) -> list[Photo]:
    return read_frames(gif)


def panel(frame: Photo, scene: Hero, side: int) -> Photo:
    """Return the pixels of the photo on a side, one for each of its own."""
    (x, y), zoom, (H, W) = scene.corners[side], scene.zoom, scene.size
    return frame[y : y + H * zoom : zoom, x : x + W * zoom : zoom]


def test_both_sides_are_recorded(scene: Hero) -> None:
    noisy = with_noise(scene.subject.photo, 0)
    np.testing.assert_array_equal(scene.noisy, noisy)
    one, own = scene.traces
    assert (one.kernel == one.kernel[..., :1, :1]).all()
    assert (own.kernel[..., :1, :1] != own.kernel).any()
    y = pretrained("edge")(photo_to_x(noisy))
    np.testing.assert_allclose(own.y, y, atol=1e-5)
    for trace, result in zip(scene.traces, scene.results, strict=True):
        y = inv.involution(photo_to_x(noisy), trace.kernel, backend="shifts")
        assert np.abs(x_to_photo(y).astype(int) - result).max() <= 1
    photos = noisy, *scene.results
    assert scene.psnr == [decibels(photo, scene.subject.photo) for photo in photos]


def test_it_is_short_and_small(scene: Hero, gif: Path) -> None:
    times = [frame.milliseconds for frame in scene.frames()]
    assert len(times) == len(scene.way) + WIPE + 1
    assert sum(times) <= 10_000
    assert times[0] >= 1000
    assert gif.stat().st_size <= 1_500_000


def test_the_first_frame_is_complete(scene: Hero, frames: list[Photo]) -> None:
    for side in (0, 1):
        shown = panel(frames[0], scene, side).astype(int)
        field = scene.fields[side][:: scene.zoom, :: scene.zoom]
        assert np.abs(shown - field).max(axis=2).mean() < 8
        light = (np.abs(shown - PAPER).max(axis=2) < 24).mean()
        assert 0.1 < light < 0.4
    left, right = (panel(frames[0], scene, side).astype(int) for side in (0, 1))
    assert (np.abs(left - right).max(axis=2) > 60).mean() > 0.1
    squares = frames[0][scene.squares : scene.squares + SQUARE]
    assert (squares != PAPER).any(axis=2).mean() > 0.7


def test_the_last_frame_is_what_both_made_of_the_noise(scene: Hero, frames: list[Photo]) -> None:
    for side, result in enumerate(scene.results):
        above = slice(0, scene.size[0] - 30)  # the PSNR is written at the foot
        error = np.abs(panel(frames[-1], scene, side).astype(int) - result)[above]
        assert np.median(error.max(axis=2)) < 16
        noisy = np.abs(panel(frames[-1 - WIPE], scene, side).astype(int) - scene.noisy)[above]
        assert np.median(noisy.max(axis=2)) < 24


def test_every_frame_shows_the_kernel_of_its_pixel(scene: Hero, frames: list[Photo]) -> None:
    pixels = [*scene.way, *[scene.way[-1]] * (WIPE + 1)]
    K = scene.traces[1].geom.window[0]
    cell = SQUARE // K
    for pixel, frame in zip(pixels, frames, strict=True):
        for left, trace in zip(LEFTS, scene.traces, strict=True):
            x = left + SQUARE + 35 + (SQUARE - K * cell) // 2
            y = scene.squares + (SQUARE - K * cell) // 2
            middles = np.arange(K) * cell + cell // 2
            shown = frame[np.ix_(y + middles, x + middles)].astype(int)
            assert np.abs(shown - lit(trace.kernels[0, 0][pixel])).max() <= 24  # of the palette


def test_the_window_goes_along_an_edge(scene: Hero) -> None:
    assert 12 <= len(scene.way) <= STEPS
    steps = np.abs(np.diff(scene.way, axis=0))
    assert steps.max() <= 3  # 2 ahead and 1 aside are 2.2, between rounded pixels
    assert scene.squares > TOP
