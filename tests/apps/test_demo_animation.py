"""The demo's animation: every frame, pixel by pixel, from the recorded trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from demo_cases import read_frames, save_photo
from PIL import Image

from involution_edu.apps import demo
from involution_edu.images import Photo, x_to_photo
from involution_edu.models.salt_and_pepper import NOTE
from involution_edu.viz.animation import walk as animation
from involution_edu.viz.palette import EMPTY, GifPalette, diverging, limit_of
from involution_edu.viz.picks import varied_pixels

pytest_plugins = ["demo_fixtures"]


@pytest.fixture(scope="module")
def stage(portrait: demo.Demo) -> animation.Stage:
    return animation.Stage(portrait.trace, portrait.photo, x_to_photo(portrait.trace.y), NOTE)


@pytest.fixture(scope="module")
def plan(portrait: demo.Demo) -> list[animation.Scene]:
    stops = varied_pixels(portrait.trace, portrait.pixel, 2, 3)
    return list(animation.scenes(portrait.trace, stops))


def cell_colours(frame: Photo, stage: animation.Stage, column: int) -> Any:
    """Return the colour near the corner of each cell of a grid, where no number is written."""
    x, y = stage.grid(column)
    steps = np.arange(5) * stage.cell() + 3
    return frame[np.ix_(y + steps, x + steps)]


def block_colours(frame: Photo, stage: animation.Stage, column: int) -> Photo:
    """Return the colour of every pixel of the photo or the output."""
    (x, y), s = stage.corner(column), stage.scale
    rows, columns = stage.size
    colours: Photo = frame[y + s // 2 :: s, x + s // 2 :: s][:rows, :columns]
    return colours


def test_the_animation_is_small_and_slow_enough(
    portrait: demo.Demo, frames: list[Photo], plan: list[animation.Scene]
) -> None:
    assert portrait.files[1].stat().st_size <= 500_000
    assert len(frames) == len(plan)
    with Image.open(portrait.files[1]) as gif:
        assert gif.size == (960, 776)
        assert gif.info["loop"] == 0
        for n, scene in enumerate(plan):
            gif.seek(n)
            assert gif.info["duration"] == scene.milliseconds
    assert plan[0].pixel == portrait.pixel
    assert len({scene.pixel for scene in plan if scene.slow}) == 3
    assert plan[-1].milliseconds >= 3000


def test_the_window_slides_and_then_the_rows_fill_in(
    portrait: demo.Demo, plan: list[animation.Scene]
) -> None:
    i, j = portrait.pixel
    slide = [scene for scene in plan if not scene.slow]
    assert [scene.pixel for scene in slide] == [(i, column) for column in range(j, j + len(slide))]
    assert len(slide) >= 12
    for n, scene in enumerate(slide, start=1):
        assert {(i, column) for column in range(j, j + n)} == set(scene.visited)
    rows = [scene.filled / portrait.photo.shape[1] for scene in plan if scene.filled]
    assert rows == list(range(2, 73, 2))


@pytest.mark.parametrize("columns", [3, 18, 30])
def test_the_slide_stays_inside(tmp_path: Path, columns: int) -> None:
    image = save_photo(tmp_path / "photo.png", 8, columns)
    trace, _, _ = demo.denoise(image, 72, seed=0)
    plan = animation.scenes(trace, varied_pixels(trace, (7, columns - 1), 2, 3))
    shown = [scene.pixel[1] for scene in plan if not scene.slow]
    assert shown == list(range(max(0, columns - animation.SLIDE), columns))


def test_every_frame_shows_the_recorded_kernel_of_its_pixel(
    portrait: demo.Demo,
    frames: list[Photo],
    plan: list[animation.Scene],
    stage: animation.Stage,
) -> None:
    trace = portrait.trace
    _, limit, _ = stage.limits
    assert limit == limit_of(trace.kernel)
    for scene, frame in zip(plan, frames, strict=True):
        i, j = scene.pixel
        expected = diverging(trace.kernel[0, 0, :, :, i, j], limit)
        if scene.step == 1:
            expected = np.broadcast_to(np.array(EMPTY, np.uint8), (5, 5, 3))
        np.testing.assert_array_equal(cell_colours(frame, stage, 1), expected)
    shown = {cell_colours(frame, stage, 1).tobytes() for frame in frames}
    assert len(shown) > 8
    strength = np.abs(trace.kernels[0, 0])
    own = [strength[scene.pixel][2, 2] / strength[scene.pixel].sum() for scene in plan]
    assert min(own) < 0.15  # a noisy pixel takes the value of its neighbours
    assert max(own) > 0.7  # an ordinary colour keeps its value


def test_every_frame_shows_the_window_and_its_products(
    portrait: demo.Demo,
    frames: list[Photo],
    plan: list[animation.Scene],
    stage: animation.Stage,
) -> None:
    trace = portrait.trace
    x_limit, _, product_limit = stage.limits
    padded = np.pad(trace.x[0, 0], 2)
    for scene, frame in zip(plan, frames, strict=True):
        i, j = scene.pixel
        window = padded[i : i + 5, j : j + 5]
        products = window * trace.kernel[0, 0, :, :, i, j]
        for column, values, limit in ((0, window, x_limit), (2, products, product_limit)):
            expected = diverging(values, limit)
            if scene.step < 3:
                expected = np.broadcast_to(np.array(EMPTY, np.uint8), (5, 5, 3))
            np.testing.assert_array_equal(cell_colours(frame, stage, column), expected)


def test_the_output_fills_in_until_it_is_all_there(
    portrait: demo.Demo,
    frames: list[Photo],
    plan: list[animation.Scene],
    stage: animation.Stage,
) -> None:
    y = portrait.trace.y[0]
    expected = x_to_photo(portrait.trace.y).astype(int)
    last = block_colours(frames[-1], stage, 2).astype(int)
    error = np.abs(last - expected).max(axis=2)
    i, j = portrait.pixel
    error[i - 1 : i + 2, j - 1 : j + 2] = 0  # under the outline
    assert error.mean() < 6  # the photo has some 160 of the palette's colours
    assert np.percentile(error, 99) < 30
    assert np.abs(np.roll(last, 1, axis=1) - expected).max(axis=2).mean() > 12

    palette = GifPalette(portrait.photo, stage.output)
    output = palette.colours[palette.numbers(expected.astype(np.uint8))]
    row, column = np.indices(stage.size)
    for scene, frame in zip(plan, frames, strict=True):
        shown = (row * stage.size[1] + column) < scene.filled
        for pixel in scene.visited:
            shown[pixel] = True
        i, j = scene.pixel
        outside = np.maximum(abs(row - i), abs(column - j)) > 1  # the outline hides its neighbours
        colours = np.where(shown[..., np.newaxis], output, EMPTY)
        np.testing.assert_array_equal(block_colours(frame, stage, 2)[outside], colours[outside])
    assert plan[-1].filled == y[0].size


def test_the_animation_in_the_documentation_is_this_one(frames: list[Photo]) -> None:
    kept = Path(__file__).parents[2] / "docs" / "demo.gif"
    assert kept.stat().st_size <= 500_000
    shown = read_frames(kept)
    assert len(shown) == len(frames)
    for ours, theirs in zip(frames, shown, strict=True):  # letters may differ by a hair
        assert np.abs(ours.astype(int) - theirs).mean() < 0.5


def test_the_photo_stands_in_every_frame(
    portrait: demo.Demo, frames: list[Photo], stage: animation.Stage
) -> None:
    for frame in frames[::5]:
        shown = block_colours(frame, stage, 0).astype(int)
        assert np.abs(shown - portrait.photo).max(axis=2).mean() < 8
