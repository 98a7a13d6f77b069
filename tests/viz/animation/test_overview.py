"""The overview: every frame, pixel by pixel, from the recorded trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from demo_cases import read_frames, save_photo
from PIL import Image

from involution_edu.images import Photo, load_photo, x_to_photo
from involution_edu.viz.animation.scenes import Subject, overview
from involution_edu.viz.animation.writers import write_animation
from involution_edu.viz.palette import EMPTY, GifPalette, diverging, limit_of


@pytest.fixture(scope="module")
def scene() -> overview.Overview:
    return overview.Overview(Subject(load_photo(None, 72)[0], seed=0))


@pytest.fixture(scope="module")
def plan(scene: overview.Overview) -> list[overview.State]:
    return list(scene.states())


@pytest.fixture(scope="module")
def gif(scene: overview.Overview, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("overview") / "overview.gif"
    write_animation(scene.animation(), path)
    return path


@pytest.fixture(scope="module")
def frames(gif: Path) -> list[Photo]:
    return read_frames(gif)


def cell_colours(frame: Photo, scene: overview.Overview, column: int) -> Any:
    """Return the colour near the corner of each cell of a grid, where no number is written."""
    x, y = scene.grids[column].corner
    steps = np.arange(5) * scene.grids[column].size[1] + 3
    return frame[np.ix_(y + steps, x + steps)]


def block_colours(frame: Photo, scene: overview.Overview, column: int) -> Photo:
    """Return the colour of every pixel of the photo or the output."""
    (x, y), s = scene.corners[column], scene.zoom
    rows, columns = scene.size
    colours: Photo = frame[y + s // 2 :: s, x + s // 2 :: s][:rows, :columns]
    return colours


def test_the_animation_is_small_and_slow_enough(
    gif: Path, frames: list[Photo], plan: list[overview.State]
) -> None:
    assert gif.stat().st_size <= 500_000
    assert len(frames) == len(plan)
    with Image.open(gif) as image:
        assert image.size == (960, 776)
        assert image.info["loop"] == 0
        for n, state in enumerate(plan):
            image.seek(n)
            assert image.info["duration"] == state.milliseconds
    assert sum(state.milliseconds for state in plan) <= 12_000
    assert len({state.pixel for state in plan if state.slow}) == 3
    assert plan[-1].milliseconds >= 3000


def test_the_window_slides_and_then_the_rows_fill_in(
    scene: overview.Overview, plan: list[overview.State]
) -> None:
    i, j = scene.stops[0]
    slide = [state for state in plan if not state.slow]
    assert [state.pixel for state in slide] == [(i, column) for column in range(j, j + len(slide))]
    assert len(slide) >= 12
    for n, state in enumerate(slide, start=1):
        assert {(i, column) for column in range(j, j + n)} == set(state.visited)
    rows = [state.filled / scene.photo.shape[1] for state in plan if state.filled]
    assert rows == list(range(4, 73, 4))


@pytest.mark.parametrize("columns", [3, 18, 30])
def test_the_slide_stays_inside(tmp_path: Path, columns: int) -> None:
    image = save_photo(tmp_path / "photo.png", 8, columns)
    subject = Subject(load_photo(image, 72)[0], seed=0)
    states = overview.Overview(subject, pixel=(7, columns - 1)).states()
    shown = [state.pixel[1] for state in states if not state.slow]
    assert shown == list(range(max(0, columns - overview.SLIDE), columns))


def test_every_frame_shows_the_recorded_kernel_of_its_pixel(
    frames: list[Photo],
    plan: list[overview.State],
    scene: overview.Overview,
) -> None:
    trace = scene.trace
    limit = scene.grids[1].limit
    assert limit == limit_of(trace.kernel)
    for state, frame in zip(plan, frames, strict=True):
        i, j = state.pixel
        expected = diverging(trace.kernel[0, 0, :, :, i, j], limit)
        if state.step == 1:
            expected = np.broadcast_to(np.array(EMPTY, np.uint8), (5, 5, 3))
        np.testing.assert_array_equal(cell_colours(frame, scene, 1), expected)
    shown = {cell_colours(frame, scene, 1).tobytes() for frame in frames}
    assert len(shown) > 8
    strength = np.abs(trace.kernels[0, 0])
    own = [strength[state.pixel][2, 2] / strength[state.pixel].sum() for state in plan]
    assert min(own) < 0.15  # a noisy pixel takes the value of its neighbours
    assert max(own) > 0.7  # an ordinary colour keeps its value


def test_every_frame_shows_the_window_and_its_products(
    frames: list[Photo],
    plan: list[overview.State],
    scene: overview.Overview,
) -> None:
    trace = scene.trace
    x_limit, _, product_limit = (grid.limit for grid in scene.grids)
    padded = np.pad(trace.x[0, 0], 2)
    for state, frame in zip(plan, frames, strict=True):
        i, j = state.pixel
        window = padded[i : i + 5, j : j + 5]
        products = window * trace.kernel[0, 0, :, :, i, j]
        for column, values, limit in ((0, window, x_limit), (2, products, product_limit)):
            expected = diverging(values, limit)
            if state.step < 3:
                expected = np.broadcast_to(np.array(EMPTY, np.uint8), (5, 5, 3))
            np.testing.assert_array_equal(cell_colours(frame, scene, column), expected)


def test_the_output_fills_in_until_it_is_all_there(
    frames: list[Photo],
    plan: list[overview.State],
    scene: overview.Overview,
) -> None:
    y = scene.trace.y[0]
    expected = x_to_photo(scene.trace.y).astype(int)
    last = block_colours(frames[-1], scene, 2).astype(int)
    error = np.abs(last - expected).max(axis=2)
    i, j = scene.stops[0]
    error[i - 1 : i + 2, j - 1 : j + 2] = 0  # under the outline
    assert error.mean() < 6  # the photo has some 160 of the palette's colours
    assert np.percentile(error, 99) < 30
    assert np.abs(np.roll(last, 1, axis=1) - expected).max(axis=2).mean() > 12

    palette = GifPalette(scene.photo, scene.output)
    output = palette.colours[palette.indices(expected.astype(np.uint8))]
    row, column = np.indices(scene.size)
    for state, frame in zip(plan, frames, strict=True):
        shown = (row * scene.size[1] + column) < state.filled
        for pixel in state.visited:
            shown[pixel] = True
        i, j = state.pixel
        outside = np.maximum(abs(row - i), abs(column - j)) > 1  # the outline hides its neighbours
        colours = np.where(shown[..., np.newaxis], output, EMPTY)
        np.testing.assert_array_equal(block_colours(frame, scene, 2)[outside], colours[outside])
    assert plan[-1].filled == y[0].size


def test_the_photo_stands_in_every_frame(frames: list[Photo], scene: overview.Overview) -> None:
    for frame in frames[::5]:
        shown = block_colours(frame, scene, 0).astype(int)
        assert np.abs(shown - scene.photo).max(axis=2).mean() < 8
