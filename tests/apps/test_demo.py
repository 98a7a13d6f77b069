"""The demo: its numbers, its pictures pixel by pixel, and what it does when something is wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import involution_edu as inv
from involution_edu.apps import demo
from involution_edu.cases import TOLERANCE, scaled_error
from involution_edu.images import Photo, load_photo, photo_to_x, x_to_photo
from involution_edu.models import pretrained
from involution_edu.models.salt_and_pepper import NOISE_SHARE, with_salt_and_pepper
from involution_edu.progress import no_progress
from involution_edu.training.scores import WHITE, psnr
from involution_edu.viz import record
from involution_edu.viz.animation.scenes import Subject, overview
from involution_edu.viz.figures import stills
from involution_edu.viz.palette import EMPTY, GifPalette, diverging, limit_of


class Steps(list[tuple[int, int]]):
    """A progress that remembers."""

    def __call__(self, done: int, total: int, what: str) -> None:
        self.append((done, total))


@pytest.fixture(scope="module")
def steps() -> Steps:
    return Steps()


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory, steps: Steps) -> demo.Demo:
    return demo.run(out_dir=tmp_path_factory.mktemp("portrait"), progress=steps)


def read_frames(path: Path) -> list[Photo]:
    with Image.open(path) as gif:
        shown = []
        for n in range(gif.n_frames):  # type: ignore[attr-defined]
            gif.seek(n)
            shown.append(np.asarray(gif.convert("RGB")))
    return shown


@pytest.fixture(scope="module")
def frames(portrait: demo.Demo) -> list[Photo]:
    return read_frames(portrait.files[1])


@pytest.fixture(scope="module")
def scene() -> overview.Overview:
    return overview.Overview(Subject(load_photo(None, 72)[0], seed=0))


@pytest.fixture(scope="module")
def plan(scene: overview.Overview) -> list[overview.State]:
    return list(scene.states())


def save_photo(path: Path, rows: int, columns: int) -> Path:
    photo = np.random.default_rng(rows).integers(0, 256, (rows, columns, 3), dtype=np.uint8)
    Image.fromarray(photo).save(path)
    return path


def test_the_output_is_that_of_the_definition(portrait: demo.Demo) -> None:
    trace = portrait.trace
    y = inv.involution(trace.x, trace.kernel, backend="windows")
    assert scaled_error(trace.y, y) <= TOLERANCE[y.dtype]
    i, j = portrait.pixel
    around = trace.x[:, :, i - 2 : i + 3, j - 2 : j + 3]
    here = trace.kernel[:, :, :, :, i : i + 1, j : j + 1]
    y_here = inv.involution(np.ascontiguousarray(around), here, padding="valid", backend="loops")
    np.testing.assert_allclose(trace.y[0, :, i, j], y_here[0, :, 0, 0], rtol=1e-5)


def test_the_demo_needs_no_package_of_the_training(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('sklearn', 'skimage', 'scipy', 'mlxtend')));"
        "from involution_edu.apps import demo; print(demo.run(out_dir=sys.argv[1], size=8).pixel)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("(")


# The text


def numbers(line: str) -> list[float]:
    return [float(text) for text in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?", line)]


@pytest.fixture(scope="module")
def pale(tmp_path_factory: pytest.TempPathFactory) -> demo.Demo:
    """Return the demo of a photo of almost one colour."""
    folder = tmp_path_factory.mktemp("pale")
    photo = np.random.default_rng(5).integers(100, 102, (9, 12, 3), dtype=np.uint8)
    Image.fromarray(photo).save(folder / "photo.png")
    return demo.run(folder / "photo.png", out_dir=folder, progress=no_progress)


@pytest.mark.parametrize("photo", ["portrait", "pale"])
def test_the_walkthrough_can_be_followed_with_a_pencil(
    photo: str, request: pytest.FixtureRequest
) -> None:
    """Every step, computed from what is printed, differs by what the rounding explains."""
    result: demo.Demo = request.getfixturevalue(photo)
    lines = result.text.splitlines()
    assert len(lines) < 55
    assert max(map(len, lines[:-1])) <= 80  # the last names the files
    assert result.text.isascii()
    text = " ".join(result.text.split())
    assert "The layer was trained" in text
    assert "the last digit may differ" in text

    def after(start: str, count: int, skip: int = 0) -> Any:
        at = next(n for n, line in enumerate(lines) if line.startswith(start)) + 1 + skip
        return np.array([numbers(line) for line in lines[at : at + count]])

    def close(value: Any, expected: Any, error: Any) -> None:
        assert (np.abs(np.asarray(value) - expected) <= error + 1e-6).all()  # + that of float32

    digits = len(str(re.search(r"x +-?\d\.(\d+)", result.text)[1]))  # type: ignore[index]
    h, fine = 0.5e-3, 0.5 * 10.0**-digits  # the rounding of a printed number
    byte, mean, std, x = after("1.", 4, skip=1)
    close(x, (byte - mean) / std, fine)

    table = after("   Weights", 3)
    weights, products, sums = table[:, :3], table[:, 3:6], table[:, 6]
    close(products, weights * x, fine * (np.abs(weights) + np.abs(x) + 1))
    close(sums, products.sum(axis=1), fine * (3 + 1))
    conv, mean, std, scale, shift, bn, reduced = after("   Weights", 7, skip=3)
    assert conv.tolist() == sums.tolist()
    x_hat = (conv - mean) / std
    allowed = fine * ((2 + np.abs(x_hat)) * np.abs(scale) / std + np.abs(x_hat) + 1) + h
    assert (allowed < 4 * h * (1 + np.abs(bn))).all()  # "the last digit may differ"
    close(bn, x_hat * scale + shift, allowed)
    assert reduced.tolist() == [max(number, 0) for number in bn]

    (example,) = after("   weights, too many", 1)
    ((bias, first),) = after("   weights, too many", 1, skip=1)
    weights, products = np.split(example, 2)
    close(products, weights * reduced, h * (np.abs(weights) + np.abs(reduced) + 1))
    close(first, bias + products.sum(), h * (1 + 3 + 1))
    kernel = after("   Written in 5 rows", 5)
    assert kernel[0, 0] == first

    window = after("4.", 5)
    table = after("   kernel * window", 5)
    products, row_sums = table[:, :5], table[:, 5]
    close(window[2, 2], x[0], h + fine)
    close(products, kernel * window, h * (np.abs(kernel) + np.abs(window) + 1))
    close(row_sums, products.sum(axis=1), h * (5 + 1))
    (total,), (operator,) = after("5.", 2)
    close(total, row_sums.sum(), h * (5 + 1))
    close(total, operator, 2 * h)
    i, j = result.pixel
    close(operator, result.trace.y[0, 0, i, j], h)
    assert abs(operator) > 0.1  # a sum worth following


def test_a_kernel_depends_on_its_pixel_alone(portrait: demo.Demo) -> None:
    layer = pretrained("salt-and-pepper")
    i, j = portrait.pixel
    painted = np.random.default_rng(6).integers(0, 256, portrait.photo.shape, dtype=np.uint8)
    painted[i, j] = portrait.photo[i, j]
    trace = record(layer, photo_to_x(painted))
    shown = portrait.trace.kernel
    np.testing.assert_array_equal(trace.kernel[..., i, j], shown[..., i, j])
    assert not np.allclose(trace.kernel, shown)


def test_specks_are_put_on_the_photo_and_most_go_again(portrait: demo.Demo) -> None:
    """The portrait is no photo of the training."""
    clean, _ = load_photo(None, 72)
    changed = (portrait.photo != clean).any(axis=2)
    assert changed.mean() == pytest.approx(NOISE_SHARE, rel=0.15)
    assert np.isin(portrait.photo[changed], [0, 255]).all()
    x = photo_to_x(clean)
    gain = psnr(portrait.trace.y, x, WHITE) - psnr(portrait.trace.x, x, WHITE)
    assert gain > 8  # dB


def test_the_data_are_plain_and_sum_up(portrait: demo.Demo) -> None:
    data = json.loads(json.dumps(portrait.data()))
    kernel, window = np.array(data["kernel"]), np.array(data["window"])
    assert window.shape == (3, 5, 5)
    np.testing.assert_allclose(data["products"], kernel * window, rtol=1e-6)
    np.testing.assert_allclose(data["y"], (kernel * window).sum(axis=(1, 2)), rtol=1e-4)
    assert data["pixel"] == list(portrait.pixel)
    assert data["size"] == [72, 61]
    assert data["notice"] == "Scaled down from 600 x 512 pixels to 72 x 61."
    assert data["notice"] in portrait.text
    np.testing.assert_allclose(data["conv"], np.dot(data["reduce_weight"], data["x"]), atol=1e-5)
    bn = (np.array(data["conv"]) - data["mean"]) / data["std"] * data["scale"] + data["shift"]
    np.testing.assert_allclose(data["bn"], bn, atol=1e-4)
    spanned = np.dot(data["span_weight"], data["reduced"]) + data["span_bias"]
    np.testing.assert_allclose(spanned, kernel.ravel(), atol=1e-5)
    assert all(Path(file).is_file() for file in data["files"])


# The pictures


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
    portrait: demo.Demo, frames: list[Photo], plan: list[overview.State]
) -> None:
    assert portrait.files[1].stat().st_size <= 500_000
    assert len(frames) == len(plan)
    with Image.open(portrait.files[1]) as gif:
        assert gif.size == (960, 776)
        assert gif.info["loop"] == 0
        for n, state in enumerate(plan):
            gif.seek(n)
            assert gif.info["duration"] == state.milliseconds
    assert plan[0].pixel == portrait.pixel
    assert len({state.pixel for state in plan if state.slow}) == 3
    assert plan[-1].milliseconds >= 3000


def test_the_window_slides_and_then_the_rows_fill_in(
    portrait: demo.Demo, plan: list[overview.State]
) -> None:
    i, j = portrait.pixel
    slide = [state for state in plan if not state.slow]
    assert [state.pixel for state in slide] == [(i, column) for column in range(j, j + len(slide))]
    assert len(slide) >= 12
    for n, state in enumerate(slide, start=1):
        assert {(i, column) for column in range(j, j + n)} == set(state.visited)
    rows = [state.filled / portrait.photo.shape[1] for state in plan if state.filled]
    assert rows == list(range(2, 73, 2))


@pytest.mark.parametrize("columns", [3, 18, 30])
def test_the_slide_stays_inside(tmp_path: Path, columns: int) -> None:
    image = save_photo(tmp_path / "photo.png", 8, columns)
    subject = Subject(load_photo(image, 72)[0], seed=0)
    states = overview.Overview(subject, pixel=(7, columns - 1)).states()
    shown = [state.pixel[1] for state in states if not state.slow]
    assert shown == list(range(max(0, columns - overview.SLIDE), columns))


def test_every_frame_shows_the_recorded_kernel_of_its_pixel(
    portrait: demo.Demo,
    frames: list[Photo],
    plan: list[overview.State],
    scene: overview.Overview,
) -> None:
    trace = portrait.trace
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
    assert min(own) < 0.15  # a speck takes from its neighbours
    assert max(own) > 0.7  # an ordinary colour keeps itself


def test_every_frame_shows_the_window_and_its_products(
    portrait: demo.Demo,
    frames: list[Photo],
    plan: list[overview.State],
    scene: overview.Overview,
) -> None:
    trace = portrait.trace
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
    portrait: demo.Demo,
    frames: list[Photo],
    plan: list[overview.State],
    scene: overview.Overview,
) -> None:
    y = portrait.trace.y[0]
    expected = x_to_photo(portrait.trace.y).astype(int)
    last = block_colours(frames[-1], scene, 2).astype(int)
    error = np.abs(last - expected).max(axis=2)
    i, j = portrait.pixel
    error[i - 1 : i + 2, j - 1 : j + 2] = 0  # under the outline
    assert error.mean() < 6  # the photo has some 160 of the palette's colours
    assert np.percentile(error, 99) < 30
    assert np.abs(np.roll(last, 1, axis=1) - expected).max(axis=2).mean() > 12

    palette = GifPalette(portrait.photo, scene.output)
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


def test_the_animation_in_the_documentation_is_this_one(frames: list[Photo]) -> None:
    kept = Path(__file__).parents[2] / "docs" / "demo.gif"
    assert kept.stat().st_size <= 500_000
    shown = read_frames(kept)
    assert len(shown) == len(frames)
    for ours, theirs in zip(frames, shown, strict=True):  # letters may differ by a hair
        assert np.abs(ours.astype(int) - theirs).mean() < 0.5


def test_the_photo_stands_in_every_frame(
    portrait: demo.Demo, frames: list[Photo], scene: overview.Overview
) -> None:
    for frame in frames[::5]:
        shown = block_colours(frame, scene, 0).astype(int)
        assert np.abs(shown - portrait.photo).max(axis=2).mean() < 8


def test_the_sheet_shows_recorded_kernels_over_their_windows(portrait: demo.Demo) -> None:
    trace, photo = portrait.trace, portrait.photo
    with Image.open(portrait.files[0]) as image:
        sheet = np.asarray(image)
    limit = limit_of(trace.kernel)
    scale = stills.PANEL // max(photo.shape)
    _, pixels = stills.kernel_map(trace, photo, limit)
    assert len(pixels) >= 50
    x, y = stills.MIDDLE + scale // 2, stills.TOP + scale // 2
    for i, j in pixels:
        window = np.ix_(y + np.arange(i - 2, i + 3) * scale, x + np.arange(j - 2, j + 3) * scale)
        expected = diverging(trace.kernel[0, 0, :, :, i, j], limit)
        np.testing.assert_array_equal(sheet[window], expected)

    left = sheet[y : y + 72 * scale : scale, stills.LEFT + scale // 2 :: scale][:, :61]
    same = (left == photo).all(axis=2)
    assert same.mean() > 0.98  # all but what the outlines and letters hide


@pytest.mark.parametrize("size", [(2, 3), (1, 2), (15, 20)], ids=str)
def test_letters_lie_inside_large_pixels(size: tuple[int, int]) -> None:
    scale = stills.PANEL // max(size)
    pixels = [(i, j) for i in range(size[0]) for j in range(size[1])]
    for (i, j), (x, y) in zip(pixels, stills.tag_places(pixels, size, scale), strict=True):
        assert j * scale <= x - 11 < x + 11 <= (j + 1) * scale
        assert i * scale <= y - 11 < y + 11 <= (i + 1) * scale


@pytest.mark.parametrize("size", [(9, 72), (72, 9), (1, 72), (72, 1), (2, 60)], ids=str)
def test_letters_lie_beside_slim_photos(size: tuple[int, int]) -> None:
    scale = stills.PANEL // max(size)
    pixels = [(i, j) for i in range(min(2, size[0])) for j in range(min(2, size[1]))]
    places = stills.tag_places(pixels, size, scale)
    for n, (x, y) in enumerate(places):
        assert y + 11 < 0 or x - 11 > size[1] * scale
        for other_x, other_y in places[:n]:
            assert max(abs(x - other_x), abs(y - other_y)) > 22  # discs apart


@pytest.mark.parametrize("size", [(9, 72), (72, 9), (72, 3), (72, 61), (2, 3), (288, 30)], ids=str)
def test_both_sides_have_numbers(size: tuple[int, int]) -> None:
    scale = max(1, stills.PANEL // max(size))
    for pixels in size:
        count = -(-pixels // stills.tick_step(pixels, scale, room=14))
        assert 1 < count <= 9


@pytest.mark.parametrize(
    ("rows", "columns"), [(72, 72), (3, 2), (1, 2), (9, 200), (200, 9)], ids=str
)
def test_photos_of_every_shape(tmp_path: Path, rows: int, columns: int) -> None:
    image = save_photo(tmp_path / "photo.png", rows, columns)
    result = demo.run(image, out_dir=tmp_path, progress=no_progress)
    assert max(result.photo.shape[:2]) <= 72
    assert result.files[1].stat().st_size <= 500_000  # 72 x 72 pixels of noise are the worst
    data = result.data()
    total = np.sum(np.array(data["kernel"]) * np.array(data["window"]), axis=(1, 2))
    np.testing.assert_allclose(total, data["y"], atol=1e-4)


# Arguments, files, progress


def test_seed_pixel_and_size(tmp_path: Path) -> None:
    first = demo.run(out_dir=tmp_path, seed=1, pixel=(3, 4), size=20, progress=no_progress)
    assert first.pixel == (3, 4)
    assert first.photo.shape == (20, 17, 3)
    assert "row 3, column 4" in first.text
    again = demo.run(out_dir=tmp_path, seed=1, size=20, force=True, progress=no_progress)
    other = demo.run(out_dir=tmp_path, seed=2, size=20, force=True, progress=no_progress)
    np.testing.assert_array_equal(first.trace.kernel, again.trace.kernel)
    assert not np.allclose(first.trace.kernel, other.trace.kernel)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"pixel": (72, 0)}, ValueError, r"pixel is \(72, 0\); need a row of 0 to 71 and a col"),
        ({"pixel": (0, 61)}, ValueError, r"need .* a column of 0 to 60"),
        ({"pixel": (-1, 0)}, ValueError, r"pixel\[0\] is -1; need an int >= 0"),
        ({"pixel": (0.5, 0)}, TypeError, r"pixel\[0\] is 0\.5; need an int >= 0"),
        ({"size": 7}, ValueError, r"size is 7; need an int >= 8"),
        ({"size": 289}, ValueError, r"size is 289; need 8 to 288"),
        ({"seed": -1}, ValueError, r"seed is -1; need an int >= 0"),
        ({"image": "nowhere.png"}, FileNotFoundError, r"image is nowhere\.png; there is no such"),
        (
            {"out_dir": "nowhere"},
            NotADirectoryError,
            r"nowhere is not a folder; make it first or choose another folder with --out",
        ),
    ],
)
def test_mistakes_are_named_and_nothing_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        demo.run(**options, progress=no_progress)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seed", [0, 8])
def test_the_pixel_that_is_chosen_is_a_speck(tmp_path: Path, seed: int) -> None:
    result = demo.run(out_dir=tmp_path, seed=seed, progress=no_progress)
    i, j = result.pixel
    assert 27 <= i < 45
    assert 22 <= j < 39
    assert np.isin(result.photo[i, j], [0, 255]).all()
    assert (result.photo[i, j] != load_photo(None, 72)[0][i, j]).any()


@pytest.mark.parametrize("size", [(20, 10), (1, 1)])
def test_a_photo_of_one_colour_can_be_explained(tmp_path: Path, size: tuple[int, int]) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", size, (40, 90, 200)).save(photo)
    result = demo.run(photo, out_dir=tmp_path, progress=no_progress)
    assert f"Involution on photo.png, {size[1]} x {size[0]} pixels" in result.text
    assert all(file.stat().st_size > 1000 for file in result.files)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows forbids such names")
def test_a_line_break_in_a_name_is_escaped(tmp_path: Path) -> None:
    folder = tmp_path / "new\nfolder"
    folder.mkdir()
    image = save_photo(folder / "my\nphötó.png", 8, 9)
    lines = demo.run(image, out_dir=folder, progress=no_progress).text.splitlines()
    assert lines[0] == r"Involution on my\nphötó.png, 8 x 9 pixels (rows x columns)."
    assert r"new\nfolder/kernels.png, " in lines[-1]


def test_existing_files_are_kept_unless_forced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gif = tmp_path / "demo.gif"
    gif.write_text("precious")
    with monkeypatch.context() as patch:
        patch.setattr(demo, "load_photo", lambda *_: pytest.fail("long work before the check"))
        with pytest.raises(FileExistsError, match=r"demo\.gif exists"):
            demo.run(out_dir=tmp_path, progress=no_progress)
    assert gif.read_text() == "precious"
    demo.run(out_dir=tmp_path, force=True, size=8, progress=no_progress)
    assert gif.read_bytes().startswith(b"GIF89a")


def test_nothing_is_left_when_drawing_fails(tmp_path: Path) -> None:
    def interrupt(done: int, total: int, what: str) -> None:
        if done == total:  # the last moment: all files are drawn and encoded
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo.run(out_dir=tmp_path, size=8, progress=interrupt)
    assert not list(tmp_path.iterdir())


def test_progress_counts_every_frame_and_the_encoding(
    portrait: demo.Demo, steps: Steps, frames: list[Photo]
) -> None:
    total = len(frames) + 1
    assert steps == [(done, total) for done in range(1, total + 1)]


def test_progress_is_for_terminals_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    demo.show_progress(1, 2, "drawing")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    demo.show_progress(1, 2, "drawing")
    demo.show_progress(2, 2, "drawing")
    assert capsys.readouterr().err == "\rdrawing 1/2\rdrawing 2/2\n"


def test_the_sample_portrait_is_what_is_shown(portrait: demo.Demo) -> None:
    photo = with_salt_and_pepper(load_photo(None, 72)[0], seed=0)
    np.testing.assert_array_equal(portrait.photo, photo)


def test_importing_the_demo_imports_nothing_heavy() -> None:
    code = (
        "import sys, involution_edu.apps.demo, involution_edu.viz.animation.writers, involution_edu.viz.figures.stills;"
        "print(sorted({'PIL', 'matplotlib', 'numba'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
