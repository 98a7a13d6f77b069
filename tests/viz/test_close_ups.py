"""The photo beside its kernels, pixel by pixel, for photos of every shape."""

from __future__ import annotations

import numpy as np
import pytest
from figure_pixels import colours_at, pixels
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from involution_edu.arguments import Pair
from involution_edu.images import Photo, photo_to_x
from involution_edu.models import pretrained
from involution_edu.viz import Trace, record
from involution_edu.viz.figures.close_ups import LETTERS, close_ups
from involution_edu.viz.figures.kernels import atlas_pixels
from involution_edu.viz.palette import diverging, limit_of
from involution_edu.viz.picks import telling_pixel, varied_pixels


def noise(rows: int, columns: int) -> tuple[Trace, Photo, list[Pair]]:
    photo = np.random.default_rng(rows).integers(0, 256, (rows, columns, 3), dtype=np.uint8)
    trace = record(pretrained("salt-and-pepper"), photo_to_x(photo))
    return trace, photo, varied_pixels(trace, telling_pixel(trace), 2, 3)


def test_it_shows_recorded_kernels_over_their_windows() -> None:
    trace, photo, chosen = noise(72, 61)
    figure = close_ups(trace, photo, chosen)
    shown, limit = pixels(figure), limit_of(trace.kernel)
    left, right = figure.axes[:2]
    assert len(atlas_pixels(trace)) >= 50
    for i, j in atlas_pixels(trace):
        window = np.array([(i + u - 2, j + v - 2) for u, v in trace.geom.taps()])
        expected = diverging(trace.kernels[0, 0, i, j], limit).reshape(-1, 3)
        np.testing.assert_array_equal(colours_at(shown, right, window), expected)

    points = np.argwhere(np.ones(photo.shape[:2]))
    same = (colours_at(shown, left, points).reshape(photo.shape) == photo).all(axis=2)
    assert same.mean() > 0.98  # all but the pixels under letters and outlines
    assert all(same[pixel] for pixel in chosen)  # whose outlines run around them


def test_the_kernels_close_up_are_those_of_their_pixels() -> None:
    trace, photo, chosen = noise(20, 24)
    figure = close_ups(trace, photo, chosen)
    shown, limit = pixels(figure), limit_of(trace.kernel)
    written = [text.get_text() for text in figure.texts]
    assert [text for text in written if len(text) == 1] == list(LETTERS)
    for n, (i, j) in enumerate(chosen):
        colour, cells = figure.axes[2 + 2 * n : 4 + 2 * n]
        np.testing.assert_array_equal(colours_at(shown, colour, [(0, 0)])[0], photo[i, j])
        kernel = trace.kernels[0, 0, i, j]
        corners = np.argwhere(np.ones((5, 5))) - 0.4
        expected = diverging(kernel, limit).reshape(-1, 3)
        np.testing.assert_array_equal(colours_at(shown, cells, corners), expected)
        numbers = [text.get_text().replace("−", "-") for text in cells.texts]
        assert numbers == [f"{value:z.2f}" for value in kernel.ravel()]
        assert f"row {i}, column {j}" in written


SHAPES = [(2, 3), (1, 2), (15, 20), (9, 72), (72, 9), (1, 72), (72, 1), (2, 60), (1, 1)]


def drawn(rows: int, columns: int) -> tuple[Figure, Axes, list[Pair], float]:
    """Return the figure, its photo, the chosen pixels and the side of a pixel on the figure."""
    trace, photo, chosen = noise(rows, columns)
    figure = close_ups(trace, photo, chosen)
    pixels(figure)  # places of texts are known once they are drawn
    left = figure.axes[0]
    return figure, left, chosen, left.get_window_extent().width / columns


@pytest.mark.parametrize("size", SHAPES, ids=str)
def test_a_letter_is_at_its_pixel_and_apart_from_others(size: Pair) -> None:
    _, left, chosen, side = drawn(*size)
    boxes = [text.get_window_extent() for text in left.texts]
    assert [text.get_text() for text in left.texts] == list(LETTERS[: len(chosen)])
    for n, ((i, j), box) in enumerate(zip(chosen, boxes, strict=True)):
        x, y = left.transData.transform((j, i))
        middle = (box.x0 + box.x1) / 2 - x, (box.y0 + box.y1) / 2 - y
        assert max(map(abs, middle)) < max(side / 2, 16)  # in a large pixel, or beside a small one
        if side < 16:
            assert min(abs(box.x0 - x), abs(box.x1 - x)) >= side / 2  # which it does not hide
        for other in boxes[:n]:
            assert not box.overlaps(other)


@pytest.mark.parametrize("size", [*SHAPES, (72, 3), (72, 61), (288, 30)], ids=str)
def test_both_sides_have_some_numbers_but_not_too_many(size: Pair) -> None:
    _, left, _, side = drawn(*size)
    for axis, count in ((left.yaxis, size[0]), (left.xaxis, size[1])):
        low, high = sorted(axis.get_view_interval())
        shown = [tick for tick in axis.get_majorticklocs() if low <= tick <= high]
        assert min(count, 2 if count * side >= 26 else 1) <= len(shown) <= 9
        assert all(tick == round(tick) for tick in shown)
