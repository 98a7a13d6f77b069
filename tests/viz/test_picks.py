"""The chosen pixels, against numbers laid out by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from involution_edu.arrays import Array
from involution_edu.viz.picks import (
    along_an_edge,
    elongated_pixel,
    maximum_inside,
    telling_pixel,
    varied_patch,
    varied_pixels,
)


def test_the_maximum_inside_leaves_out_each_border() -> None:
    values = np.zeros((8, 7))
    values[5, 2] = 1
    values[1, 3] = values[6, 3] = values[4, 0] = values[4, 6] = 9  # just outside, on each side
    assert maximum_inside(values, top=2, left=1) == (5, 2)


def test_the_telling_pixel_is_the_one_changed_most_in_either_direction() -> None:
    x = np.random.default_rng(0).standard_normal((1, 2, 16, 10))
    y = x.copy()
    y[0, 1, 7, 4] -= 5
    y[0, 0, 8, 5] += 3
    for i, j in (5, 4), (10, 4), (7, 2), (7, 7):  # outside of the middle quarter
        y[0, :, i, j] += 9
    assert telling_pixel(_trace(x=x, y=y)) == (7, 4)


def test_varied_pixels_differ_most_from_all_chosen_before() -> None:
    """Distances to 0, 10 and 5.5, block by block: the lower blocks from right to left."""
    kernels = np.array(
        [
            [0.0, 99.0, 1.0, 2.0],
            [99.0, 99.0, 3.0, 10.0],
            [5.0, 7.8, 9.0, 4.0],
            [2.0, 11.0, 5.5, 12.0],
        ]
    )
    trace = _trace(
        kernels=kernels.reshape(1, 1, 4, 4, 1, 1), geom=SimpleNamespace(H_out=4, W_out=4)
    )
    assert varied_pixels(trace, (0, 0), 2, 2) == [(0, 0), (1, 3), (3, 2), (2, 1)]


def test_the_elongated_pixel_is_a_stroke_rather_than_one_tap_or_a_dot() -> None:
    kernels = np.zeros((1, 1, 4, 5, 5, 5))
    kernels[..., 2, 2] = 1  # one tap
    kernels[0, 0, 1, 2] = 1  # round
    kernels[0, 0, 2, 3, 2] = kernels[0, 0, 0, 1, 2] = 1  # a row of taps, inside and at the border
    assert elongated_pixel(_trace(kernels=kernels)) == (2, 3)


def test_the_varied_patch_is_where_kernels_differ_off_the_border() -> None:
    kernels = np.zeros((1, 1, 20, 16, 3, 3))
    kernels[0, 0, 8:11, 5:8] = np.random.default_rng(0).standard_normal((3, 3, 3, 3))
    kernels[0, 0, :3, :3] = 9 * np.random.default_rng(1).standard_normal((3, 3, 3, 3))
    kernels += 7  # large, but alike elsewhere
    geom = SimpleNamespace(H_out=20, W_out=16, window=(3, 3))
    assert varied_patch(_trace(kernels=kernels, geom=geom), (3, 3)) == (8, 5)


def _trace(**numbers: Any) -> Any:
    return SimpleNamespace(**numbers)


def _ring(radius: float = 20, side: int = 64) -> Array:
    """Return kernels that are strokes along a circle, and round elsewhere."""
    i, j = np.indices((side, side)) - side / 2
    u = np.arange(9) - 4
    across = (i[..., None, None] * u[:, None] + j[..., None, None] * u) / np.hypot(i, j).clip(1)[
        ..., None, None
    ]
    on = np.abs(np.hypot(i, j) - radius) < 2
    width = np.where(on, 0.4, 1e6)[..., None, None]
    return np.asarray(np.exp(-(across**2) / width))


def test_the_way_follows_the_edge() -> None:
    way = along_an_edge(_ring(), 20)
    assert len(way) == 20
    assert len(set(way)) == 20
    distance = np.hypot(*(np.array(way) - 32).T)
    assert np.abs(distance - 20).max() < 2.5
    steps = np.hypot(*np.diff(way, axis=0).T)
    assert 1 <= steps.min() <= steps.max() < 3.2


def test_without_an_edge_the_way_is_one_pixel() -> None:
    assert len(along_an_edge(np.ones((30, 40, 5, 5)), 20)) == 1
    assert along_an_edge(np.ones((1, 1, 5, 5)), 20) == [(0, 0)]
