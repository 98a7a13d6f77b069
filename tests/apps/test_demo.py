"""The demo: its files and what it gains, and whose files it replaces."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from demo_cases import Steps, read_frames, save_photo
from PIL import Image

from involution_edu.apps import demo
from involution_edu.images import load_photo

pytest_plugins = ["demo_fixtures"]


def test_the_demo_needs_no_package_of_the_training(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('sklearn', 'skimage', 'scipy', 'mlxtend')));"
        "from involution_edu.apps import demo; print(demo.run(out_dir=sys.argv[1], size=8).seed)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "0\n"


def test_importing_the_demo_imports_nothing_heavy() -> None:
    code = (
        "import sys, involution_edu.apps.demo, involution_edu.viz.animation.writers, involution_edu.viz.figures.close_ups;"
        "print(sorted({'PIL', 'matplotlib', 'numba'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


def test_the_text_tells_the_gain_and_the_files(portrait: demo.Demo) -> None:
    lines = portrait.text().splitlines()
    assert len(lines) == 9
    assert max(map(len, lines[:4])) <= 100
    assert lines[0] == "Scaled down from 600 x 512 pixels to 224 x 191."
    gains = [float(re.match(r" *(\d+\.\d) dB", line)[1]) for line in lines[1:4]]  # type: ignore[index]
    np.testing.assert_allclose(gains, list(portrait.psnr.values()), atol=0.051)
    noisy, convolution, involution = portrait.psnr.values()
    assert noisy + 3 < convolution < involution - 2  # dB
    for line, file in zip(lines[4:8], portrait.files, strict=True):
        assert line.startswith(f"{file.stat().st_size / 1000:6.0f} kB  {file}: ")
    assert lines[8] == "Next: involution-edu demo --numbers"
    data = json.loads(json.dumps(portrait.data()))
    assert data["psnr"] == portrait.psnr
    assert data["files"] == {str(file): file.stat().st_size for file in portrait.files}
    assert (data["size"], data["seed"]) == ([224, 191], 0)


def test_the_files_are_what_they_should_be(portrait: demo.Demo) -> None:
    gif, *png, page = portrait.files
    assert gif.stat().st_size <= 1_500_000
    for file in (gif, *png):
        with Image.open(file) as image:
            assert image.format == file.suffix[1:].upper()
            assert demo.MARK in str(image.info)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert text.count(f'<meta name="generator" content="{demo.MARK}">') == 1


@pytest.mark.parametrize("size", [(224, 224), (3, 2), (1, 2), (9, 200), (200, 9)], ids=str)
def test_photos_of_every_shape(tmp_path: Path, size: tuple[int, int]) -> None:
    result = demo.run(save_photo(tmp_path / "photo.png", *size), out_dir=tmp_path)
    assert result.photo.shape[:2] == size
    assert result.files[0].stat().st_size <= 1_500_000  # pixels of noise are the worst
    assert all(file.stat().st_size > 1000 for file in result.files)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"size": 7}, ValueError, r"size is 7; need an int >= 8"),
        ({"size": 449}, ValueError, r"size is 449; need an int <= 448"),
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


@pytest.mark.parametrize("size", [(20, 10), (1, 1)])
def test_a_photo_of_one_colour_is_no_mistake(tmp_path: Path, size: tuple[int, int]) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", size, (40, 90, 200)).save(photo)
    result = demo.run(photo, out_dir=tmp_path)
    assert f"photo.png, {size[1]} x {size[0]} pixels" in result.text()
    wins = result.psnr["convolution"] > result.psnr["involution"]
    assert ("The convolution wins here" in result.text()) is wins is (size == (1, 1))


@needs.posix  # Windows forbids such names
def test_a_line_break_in_a_name_is_escaped(tmp_path: Path) -> None:
    folder = tmp_path / "new\nfolder"
    folder.mkdir()
    image = save_photo(folder / "my\nphötó.png", 8, 9)
    lines = demo.run(image, out_dir=folder).text().splitlines()
    assert r"  my\nphötó.png, 8 x 9 pixels" in lines[0]
    assert r"new\nfolder/kernels.png: " in lines[5]  # the convolution wins on so few pixels
    assert all(line.isprintable() for line in lines)


def test_own_files_are_replaced_and_foreign_ones_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = demo.run(out_dir=tmp_path, size=8)
    before = [file.read_bytes() for file in first.files]
    again = demo.run(out_dir=tmp_path, size=9, seed=1)
    assert all(a != b.read_bytes() for a, b in zip(before, again.files, strict=True))
    after = [file.read_bytes() for file in again.files]
    for n, file in enumerate(again.files):
        if file.suffix == ".png":  # the same picture, saved by another program
            Image.open(file).save(file)
        else:
            file.write_bytes(after[n].replace(demo.MARK.encode(), b"involution-edu dem0"))
        foreign = file.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(demo, "load_photo", lambda *_: pytest.fail("work before the check"))
            with pytest.raises(FileExistsError, match=rf"{file.name} exists"):
                demo.run(out_dir=tmp_path)
        assert [f.read_bytes() for f in again.files] == [*after[:n], foreign, *after[n + 1 :]]
        file.write_bytes(after[n])
    again.files[0].write_text("precious")
    demo.run(out_dir=tmp_path, force=True, size=8)
    assert again.files[0].read_bytes().startswith(b"GIF89a")


def test_nothing_is_left_when_drawing_fails(tmp_path: Path) -> None:
    def interrupt(done: int, total: int, what: str) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo.run(out_dir=tmp_path, size=8, progress=interrupt)
    assert not list(tmp_path.iterdir())


def test_progress_counts_every_frame_and_the_encoding(portrait: demo.Demo, steps: Steps) -> None:
    total = len(read_frames(portrait.files[0])) + 1
    assert [(done, all_) for done, all_, _ in steps] == [(n, total) for n in range(1, total + 1)]


def test_the_animation_in_the_documentation_is_this_one(portrait: demo.Demo) -> None:
    kept = Path(__file__).parents[2] / "docs" / "demo.gif"
    assert kept.stat().st_size <= 1_500_000
    ours, shown = read_frames(portrait.files[0]), read_frames(kept)
    assert len(shown) == len(ours)
    for mine, theirs in zip(ours, shown, strict=True):  # letters may differ by a hair
        assert np.abs(mine.astype(int) - theirs).mean() < 0.5


def test_the_sample_portrait_is_what_is_shown(portrait: demo.Demo) -> None:
    np.testing.assert_array_equal(portrait.photo, load_photo(None, 224)[0])
