"""Strokes: each has the direction and the narrowness of its kernel."""

from __future__ import annotations

import numpy as np
import pytest

from involution_edu.arrays import Array
from involution_edu.images import Photo
from involution_edu.viz.measures import orientation
from involution_edu.viz.palette import INK, PAPER
from involution_edu.viz.strokes import BRIGHTNESS, lit, stroke_pixels, strokes

SIDE, ZOOM, EVERY = 60, 4, 20


def line(degrees: float, taps: int = 9) -> Array:
    """Return a kernel with its weights along a line, ``degrees`` anticlockwise from a row."""
    right = np.arange(taps) - taps // 2
    up = -right[:, np.newaxis]  # rows are counted downwards
    across = right * np.sin(np.radians(degrees)) - up * np.cos(np.radians(degrees))
    kernel = np.exp(-(across**2) / 0.5)
    return np.asarray(kernel / kernel.sum())


def drawn(kernel: Array) -> Photo:
    kernels = np.broadcast_to(kernel, (SIDE, SIDE, *kernel.shape))
    return strokes(np.zeros((SIDE, SIDE, 3), np.uint8), kernels, ZOOM, EVERY)


@pytest.mark.parametrize("degrees", [0, 30, 60, 90, 135])
def test_a_stroke_has_the_direction_of_its_kernel(degrees: int) -> None:
    picture = drawn(line(degrees))[..., 0].astype(float)
    middle = picture[EVERY * ZOOM : 2 * EVERY * ZOOM, EVERY * ZOOM : 2 * EVERY * ZOOM]
    angle, strength = orientation(middle)
    assert abs((angle - degrees + 90) % 180 - 90) < 3
    assert strength > 0.7


def test_a_round_kernel_is_a_dot() -> None:
    picture = drawn(np.full((9, 9), 1 / 81))[..., 0].astype(float)
    assert picture.max() == PAPER[0]
    _, strength = orientation(picture[10 * ZOOM : 30 * ZOOM, 10 * ZOOM : 30 * ZOOM])
    assert strength < 0.02


def test_the_photo_is_dark_between_the_strokes() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    kernels = np.broadcast_to(line(90), (SIDE, SIDE, 9, 9))
    picture = strokes(photo, kernels, ZOOM, EVERY)
    dark = np.rint(BRIGHTNESS * photo).repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
    same = (picture == dark).all(axis=2)
    assert 0.5 < same.mean() < 0.98


def test_the_strongest_pixel_of_a_block_is_drawn_or_the_middle_one() -> None:
    strength = np.full((40, 64), 0.1)
    strength[7, 13] = 0.9
    chosen = stroke_pixels(strength, 8, 4)
    assert len(chosen) == len(set(chosen)) == 4 * 7
    assert (7, 13) in chosen
    others = [pixel for pixel in chosen if pixel != (7, 13)]
    assert {(i - 8) % 8 for i, _ in others} == {0}
    assert min(min(pixel) for pixel in chosen) >= 4
    assert stroke_pixels(np.zeros((3, 5)), 8, 9) == [(1, 2)]


def test_a_kernel_as_light() -> None:
    light = lit(np.array([[0.0, -2.0], [1.0, 2.0]]))
    np.testing.assert_array_equal(light[0], [INK, PAPER])
    np.testing.assert_array_equal(light[1, 1], PAPER)
    assert (lit(np.zeros((2, 2))) == INK).all()
