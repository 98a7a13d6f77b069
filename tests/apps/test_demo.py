"""The demo's arguments and files, and the pixel that it explains."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from demo_cases import Steps, save_photo
from PIL import Image

from involution_edu.apps import demo
from involution_edu.images import Photo, load_photo
from involution_edu.viz.animation.scenes import Subject
from involution_edu.viz.animation.scenes.overview import Overview

pytest_plugins = ["demo_fixtures"]


def test_the_demo_needs_no_package_of_the_training(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('sklearn', 'skimage', 'scipy', 'mlxtend')));"
        "from involution_edu.apps import demo; print(demo.run(out_dir=sys.argv[1], size=8).pixel)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("(")


def test_importing_the_demo_imports_nothing_heavy() -> None:
    code = (
        "import sys, involution_edu.apps.demo, involution_edu.viz.animation.writers, involution_edu.viz.figures.close_ups;"
        "print(sorted({'PIL', 'matplotlib', 'numba'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


@pytest.mark.parametrize(
    ("rows", "columns"), [(72, 72), (3, 2), (1, 2), (9, 200), (200, 9)], ids=str
)
def test_photos_of_every_shape(tmp_path: Path, rows: int, columns: int) -> None:
    image = save_photo(tmp_path / "photo.png", rows, columns)
    result = demo.run(image, out_dir=tmp_path)
    assert max(result.photo.shape[:2]) <= 72
    assert result.files[1].stat().st_size <= 500_000  # 72 x 72 pixels of noise are the worst
    data = result.data()
    total = np.sum(np.array(data["kernel"]) * np.array(data["window"]), axis=(1, 2))
    np.testing.assert_allclose(total, data["y"], atol=1e-4)


def test_seed_pixel_and_size(tmp_path: Path) -> None:
    first = demo.run(out_dir=tmp_path, seed=1, pixel=(3, 4), size=20)
    assert first.pixel == (3, 4)
    assert first.photo.shape == (20, 17, 3)
    assert "row 3, column 4" in first.text()
    photo = load_photo(None, 20)[0]
    again, other = (Overview(Subject(photo, seed)).trace for seed in (1, 2))
    np.testing.assert_array_equal(first.trace.kernel, again.kernel)
    assert not np.allclose(first.trace.kernel, other.kernel)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"pixel": (72, 0)}, ValueError, r"pixel is \(72, 0\); need a row of 0 to 71 and a col"),
        ({"pixel": (0, 61)}, ValueError, r"need .* a column of 0 to 60"),
        ({"pixel": (-1, 0)}, ValueError, r"pixel\[0\] is -1; need an int >= 0"),
        ({"pixel": (0.5, 0)}, TypeError, r"pixel\[0\] is 0\.5; need an int >= 0"),
        ({"size": 7}, ValueError, r"size is 7; need an int >= 8"),
        ({"size": 289}, ValueError, r"size is 289; need an int <= 288"),
        ({"seed": -1}, ValueError, r"seed is -1; need an int >= 0"),
        ({"image": "nowhere.png"}, FileNotFoundError, r"image is nowhere\.png; there is no such"),
        (
            {"out_dir": "/dev/null/a"},
            NotADirectoryError,
            r"^/dev/null is not a folder; choose another folder with --out",
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
        demo.run(**options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seed", [0, 8])
def test_the_pixel_that_is_chosen_is_a_noisy_one(seed: int, portrait: demo.Demo) -> None:
    scene = Overview(Subject(load_photo(None, 72)[0], seed))
    photo, (i, j) = scene.photo, scene.stops[0]
    assert seed or portrait.pixel == (i, j)
    assert 27 <= i < 45
    assert 22 <= j < 39
    assert np.isin(photo[i, j], [0, 255]).all()
    assert (photo[i, j] != load_photo(None, 72)[0][i, j]).any()


@pytest.mark.parametrize("size", [(20, 10), (1, 1)])
def test_a_photo_of_one_colour_can_be_explained(tmp_path: Path, size: tuple[int, int]) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", size, (40, 90, 200)).save(photo)
    result = demo.run(photo, out_dir=tmp_path)
    assert f"Involution on photo.png, {size[1]} x {size[0]} pixels" in result.text()
    assert all(file.stat().st_size > 1000 for file in result.files)


@needs.posix  # Windows forbids such names
def test_a_line_break_in_a_name_is_escaped(tmp_path: Path) -> None:
    folder = tmp_path / "new\nfolder"
    folder.mkdir()
    image = save_photo(folder / "my\nphötó.png", 8, 9)
    lines = demo.run(image, out_dir=folder).text().splitlines()
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
            demo.run(out_dir=tmp_path)
    assert gif.read_text() == "precious"
    demo.run(out_dir=tmp_path, force=True, size=8)
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
    assert [(done, all_) for done, all_, _ in steps] == [(n, total) for n in range(1, total + 1)]
