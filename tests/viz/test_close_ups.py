"""The pictures of the demo: kernels over the photo and close up, and before and after."""

from __future__ import annotations

import numpy as np
import pytest
from figure_pixels import colours_at, pixels

from involution_edu.arguments import Pair
from involution_edu.images import Photo, decibels
from involution_edu.viz import OperatorTrace, record_operator
from involution_edu.viz.figures.close_ups import LETTERS, before_after, close_ups
from involution_edu.viz.strokes import lit, strokes

SIZES = [(40, 32), (9, 72), (72, 9), (1, 1), (2, 60)]
PIXELS = [(3, 4), (20, 30), (39, 0), (0, 31), (11, 11), (30, 5)]


def noise(rows: int, columns: int) -> tuple[OperatorTrace, Photo]:
    rng = np.random.default_rng(rows)
    photo = rng.integers(0, 256, (rows, columns, 3), dtype=np.uint8)
    x = rng.standard_normal((1, 1, rows, columns))
    return record_operator(x, rng.random((1, 1, 5, 5, rows, columns))), photo


def test_the_strokes_are_those_of_the_kernels() -> None:
    trace, photo = noise(40, 32)
    figure = close_ups(trace, photo, PIXELS)
    (image,) = figure.axes[0].images
    zoom = image.get_array().shape[0] // 40  # type: ignore[union-attr]
    field = strokes(photo, trace.kernels[0, 0], zoom, max(2, round(30 / zoom)))
    np.testing.assert_array_equal(image.get_array(), field)


def test_the_kernels_close_up_are_those_of_their_pixels() -> None:
    trace, photo = noise(40, 32)
    figure = close_ups(trace, photo, PIXELS)
    shown = pixels(figure)
    for letter, (i, j), ax in zip(LETTERS, PIXELS, figure.axes[1:], strict=True):
        assert ax.get_title(loc="left") == f"{letter}  row {i}, column {j}"
        expected = lit(trace.kernels[0, 0, i, j]).reshape(-1, 3)
        drawn = colours_at(shown, ax, np.argwhere(np.ones((5, 5))))
        np.testing.assert_array_equal(drawn, expected)
    marks = figure.axes[0].patches
    assert [mark.get_xy() for mark in marks] == [(j - 2.5, i - 2.5) for i, j in PIXELS]  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pictures_of_every_shape_have_no_text_outside(size: Pair) -> None:
    trace, photo = noise(*size)
    noisy = 255 - photo
    for figure in (
        close_ups(trace, photo, [(0, 0), (size[0] - 1, size[1] - 1)]),
        before_after(photo, {"noisy": noisy, "involution": photo}, (0, size[1] - 1)),
    ):
        height, width = pixels(figure).shape[:2]
        assert max(height, width) < 2000
        for ax in figure.axes:
            box = ax.get_tightbbox()
            assert box is not None
            assert box.y0 > -2
            assert box.y1 < height + 2
            assert box.x0 > -2


def test_before_and_after_with_their_psnr() -> None:
    _, photo = noise(40, 32)
    noisy = np.random.default_rng(1).integers(0, 256, photo.shape, dtype=np.uint8)
    figure = before_after(photo, {"noisy": noisy}, (20, 30))
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["clean", f"noisy, {decibels(noisy, photo):.1f} dB", "", ""]
    parts = [np.asarray(ax.images[0].get_array()) for ax in figure.axes]
    for part, whole in zip(parts, [photo, noisy, photo[5:35, 2:], noisy[5:35, 2:]], strict=True):
        np.testing.assert_array_equal(part, whole)
    mark = figure.axes[0].patches[0]
    assert (mark.get_xy(), mark.get_width()) == ((1.5, 4.5), 30)  # type: ignore[attr-defined]
