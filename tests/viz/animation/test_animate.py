"""Scenes as files: every format holds the same frames; files are small; any photo will do."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from drawing import drawn
from PIL import Image

from involution_edu.cli import main
from involution_edu.images import Photo
from involution_edu.viz.animation.animate import animate
from involution_edu.viz.animation.canvas import Animation, Frame
from involution_edu.viz.animation.scenes import SCENES, Subject
from involution_edu.viz.animation.writers import FORMATS, VIDEO_RATE, write_animation
from involution_edu.viz.palette import GifPalette, diverging


def read_frames(path: Path) -> tuple[list[Photo], list[int]]:
    with Image.open(path) as image:
        shown, durations = [], []
        for n in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(n)
            shown.append(np.asarray(image.convert("RGB")))
            durations.append(round(image.info["duration"]))
    return shown, durations


@pytest.fixture(scope="module")
def animation() -> Animation:
    photo = np.random.default_rng(7).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    return SCENES["multiply"](Subject(photo, seed=3)).animation()


@pytest.fixture(scope="module")
def expected(animation: Animation) -> list[Photo]:
    palette = GifPalette(*animation.photos)
    frames = (np.asarray(animation.draw(frame).image) for frame in animation.frames)
    return [palette.colours[palette.indices(frame)] for frame in frames]


@pytest.mark.parametrize("format", ["gif", "apng", "webp"])
def test_an_animation_holds_every_frame_for_its_time(
    format: str, animation: Animation, expected: list[Photo], tmp_path: Path
) -> None:
    last = write_animation(animation, tmp_path / "animation", format)
    frames, durations = read_frames(tmp_path / "animation")
    assert durations == [frame.milliseconds for frame in animation.frames]
    for shown, frame in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(shown, frame)
    np.testing.assert_array_equal(np.asarray(last.convert("RGB")), expected[-1])
    with Image.open(tmp_path / "animation") as image:
        assert image.info["loop"] == 0


def test_the_palette_keeps_the_colours_of_numbers(
    animation: Animation, expected: list[Photo]
) -> None:
    for frame, shown in zip(animation.frames, expected, strict=True):
        pixels, drawing = drawn(animation, frame)
        for cells in drawing.cells.values():
            np.testing.assert_array_equal(
                cells.colours(shown), diverging(cells.values, cells.limit)
            )
        assert np.abs(pixels.astype(int) - shown).max() < 60  # edges of letters, and the photo


@pytest.fixture(scope="module")
def page(animation: Animation, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_animation(animation, path, "html")
    return path.read_text(encoding="utf-8")


def test_the_page_holds_every_frame_and_each_caption_once(page: str, animation: Animation) -> None:
    (data,) = re.findall(r'<script type="application/json" id="animation">(.*?)</script>', page)
    held = json.loads(data)
    assert held["captions"] == [frame.caption for frame in animation.frames]
    assert held["milliseconds"] == [frame.milliseconds for frame in animation.frames]
    palette = GifPalette(*animation.photos)
    canvas = Image.new("RGBA", animation.background.image.size)
    for source, each in zip(held["images"], animation.frames, strict=True):
        pixels = np.asarray(animation.draw(each, caption=False).image)  # the page has the captions
        frame = palette.colours[palette.indices(pixels)]
        png = base64.b64decode(source.removeprefix("data:image/png;base64,"), validate=True)
        canvas.alpha_composite(Image.open(io.BytesIO(png)).convert("RGBA"))
        np.testing.assert_array_equal(np.asarray(canvas.convert("RGB")), frame)


def test_the_page_runs_no_script_but_its_own(page: str) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', page)
    assert policy.startswith("default-src 'none'; img-src data:; ")
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert "http://" not in page
    assert "https://" not in page


def test_a_caption_cannot_end_the_data(animation: Animation, tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script>"
    frame = Frame(hostile, 100, animation.frames[0].draw)
    one = Animation("", animation.background, [frame], animation.photos)
    write_animation(one, tmp_path / "a.html", "html")
    page = (tmp_path / "a.html").read_text()
    assert "<script>alert" not in page
    assert "\\u003cscript>alert(1)" in page


@needs.posix  # the stand-in for ffmpeg is a shell script
def test_a_video_gets_every_frame_for_its_time(
    animation: Animation, expected: list[Photo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for ffmpeg stores its input; the next test uses ffmpeg itself."""
    stand_in = tmp_path / "ffmpeg"
    stand_in.write_text('#!/bin/sh\nfor last; do :; done\ncat > "${last#file:}"\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    short = Animation("", animation.background, animation.frames[:2], animation.photos)
    write_animation(short, tmp_path / "video.mp4", "mp4")
    height, width = expected[0].shape[:2]
    assert (width % 2, height % 2) == (0, 0)  # as yuv420p needs
    video = np.frombuffer((tmp_path / "video.mp4").read_bytes(), np.uint8)
    frames = video.reshape(-1, height, width, 3)
    times = [round(frame.milliseconds * VIDEO_RATE / 1000) for frame in short.frames]
    assert len(frames) == sum(times)
    for n, frame in ((0, 0), (times[0] - 1, 0), (times[0], 1), (-1, 1)):
        np.testing.assert_array_equal(frames[n], expected[frame])
    stand_in.write_text("#!/bin/sh\necho no such encoder >&2\nexit 3\n")
    with pytest.raises(OSError, match="ffmpeg failed: no such encoder"):
        write_animation(short, tmp_path / "video.mp4", "mp4")


@needs.posix  # where a folder may have these names
@needs.ffmpeg
@pytest.mark.parametrize("folder", ["-odd", "http:", "a%03d", "é ü"])
def test_a_path_that_looks_like_an_option_or_a_protocol(
    folder: str, animation: Animation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(folder).mkdir()
    short = Animation("", animation.background, animation.frames[:1], animation.photos)
    path = Path(folder, "-y video.mp4")
    write_animation(short, path, "mp4")
    assert path.read_bytes()[4:8] == b"ftyp"
    assert list(tmp_path.rglob("*.*4")) == [tmp_path / path]


@needs.ffmpeg
def test_a_video_by_ffmpeg(tmp_path: Path) -> None:
    animation, _ = animate("training", format="mp4", out_dir=tmp_path)
    assert animation.read_bytes()[4:8] == b"ftyp"
    assert animation.stat().st_size <= 500_000


@pytest.fixture(scope="module")
def largest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the largest scenes; the tests of the gallery check all of them."""
    folder = tmp_path_factory.mktemp("scenes")
    for name in ("generate", "involution", "training"):
        animate(name, out_dir=folder)
    return folder


def test_scenes_are_small(largest: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in largest.glob("*.gif")}
    assert len(sizes) == 3
    assert max(sizes.values()) <= 500_000, sizes


@pytest.mark.parametrize("format", ["apng", "html"])
def test_the_largest_scene_is_small_in_other_formats(format: str, tmp_path: Path) -> None:
    animation, _ = animate("training", format=format, out_dir=tmp_path)
    assert animation.stat().st_size <= 500_000


@pytest.mark.parametrize("name", ["involution", "training"])
def test_a_poster_is_the_last_frame(name: str, largest: Path) -> None:
    frames, _ = read_frames(largest / f"{name}.gif")
    with Image.open(largest / f"{name}.gif.png") as poster:
        np.testing.assert_array_equal(np.asarray(poster.convert("RGB")), frames[-1])


# Photos, arguments, files


def save(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def test_odd_photos(tmp_path: Path) -> None:
    """Grey, with transparency, turned, and large: each is the photo a viewer would see."""
    rng = np.random.default_rng(2)
    colours = rng.integers(0, 256, (8, 10, 3), dtype=np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6  # a camera held upright: shown turned to the right
    files = {
        "grey": save(tmp_path / "grey.png", Image.fromarray(colours[..., 0])),
        "alpha": save(
            tmp_path / "alpha.png",
            Image.fromarray(np.dstack([colours, np.full((8, 10), 128, np.uint8)])),
        ),
        "exif": save(tmp_path / "exif.png", Image.fromarray(colours), exif=turned),
        "large": save(
            tmp_path / "large.png", Image.fromarray(colours).resize((4000, 3000)), compress_level=1
        ),
    }
    subjects = {name: Subject.of(path) for name, path in files.items()}
    grey = np.broadcast_to(colours[..., :1], colours.shape)
    np.testing.assert_array_equal(subjects["grey"].photo, grey)
    on_white = (colours.astype(int) + 255) / 2
    assert np.abs(subjects["alpha"].photo - on_white).max() <= 1
    np.testing.assert_array_equal(subjects["exif"].photo, np.rot90(colours, -1))
    assert subjects["large"].photo.shape == (54, 72, 3)
    animation, poster = animate("multiply", files["exif"], out_dir=tmp_path)
    assert animation.stat().st_size + poster.stat().st_size < 500_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("photo.png")
    Image.fromarray(pixels[:1, :1]).save("dot.png")
    Path("cut.png").write_bytes(Path("photo.png").read_bytes()[:200])
    Path("full").mkdir()
    Path("full/multiply.gif.png").write_text("precious")
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("", "scene is missing; need one of 'hero', 'convolution'"),
        ("sliding", "scene is 'sliding'; need one of 'hero', 'convolution'"),
        (
            "multiply --format bmp",
            "format is 'bmp'; need one of 'gif', 'apng', 'webp', 'mp4', 'html'",
        ),
        ("multiply missing.png", "image is missing.png; there is no such file"),
        ("multiply cut.png", "image is cut.png, which cannot be read"),
        ("multiply dot.png", "image has one colour everywhere; need two or more"),
        ("multiply --out photo.png/in", "photo.png is not a folder"),
        ("multiply --out full", "multiply.gif.png exists; pass --force"),
        ("multiply --seed -1", "'-1' is not a whole number >= 0"),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    typed: str, named: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.rglob("*"))
    try:
        code: Any = main(["animate", *typed.split()])
    except SystemExit as end:
        code = end.code
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert named in err
    assert sorted(folder.rglob("*")) == before


def test_a_missing_ffmpeg_is_reported_with_the_fix(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(folder))
    assert main(["animate", "multiply", "--format", "mp4"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("involution-edu: error: --format is 'mp4'; need the program ffmpeg")
    assert "apt install ffmpeg" in err
    assert err.count("\n") == 1


def test_the_command_writes_both_files_and_counts_to_the_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["animate", "multiply", "photo.png", "--seed", "5", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"ok": True, "files": ["multiply.gif", "multiply.gif.png"]}
    shown = re.findall(r"(\d+)%\|.*?\] (\w+)", err)
    assert (shown[0], shown[-1]) == (("0", "drawing"), ("100", "encoding"))


def test_progress_counts_every_frame_and_the_encoding(folder: Path) -> None:
    steps: list[tuple[int, int, str]] = []
    animate("multiply", "photo.png", progress=lambda *step: steps.append(step))
    total = len(steps)
    drawing = [(n, total, "drawing") for n in range(1, total)]
    assert steps == [*drawing, (total, total, "encoding")]


def test_formats_in_one_folder_keep_their_posters(folder: Path) -> None:
    _, poster = animate("multiply", "photo.png", seed=5)
    before = poster.read_bytes()
    _, other = animate("multiply", "photo.png", format="webp", seed=6)
    assert (poster.name, other.name) == ("multiply.gif.png", "multiply.webp.png")
    assert poster.read_bytes() == before != other.read_bytes()
    kept = sorted(folder.iterdir())
    for path in Path("multiply.webp"), other:
        path.rename("aside")
        with pytest.raises(FileExistsError, match=r"multiply\.webp.* exists; pass --force"):
            animate("multiply", "photo.png", format="webp", seed=6)
        Path("aside").rename(path)
    assert sorted(folder.iterdir()) == kept
    animate("multiply", "photo.png", seed=6, force=True)
    assert poster.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("scene", ["groups", "stages"])
def test_a_photo_for_a_scene_of_digits_is_refused(
    scene: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["animate", scene, "photo.png"]) == 2
    assert f"image is photo.png; need none: the scene '{scene}'" in capsys.readouterr().err


def test_nothing_is_left_when_drawing_fails(folder: Path) -> None:
    before = sorted(folder.rglob("*"))

    def interrupt(done: int, total: int, what: str) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        animate("multiply", "photo.png", progress=interrupt)
    assert sorted(folder.rglob("*")) == before


def test_the_list_names_every_scene(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["animate", "--list"]) == 0
    text = capsys.readouterr().out
    assert [line for line in text.splitlines() if not line.startswith(" ")] == list(SCENES)
    assert max(map(len, text.splitlines())) <= 80


def test_formats_are_all_described() -> None:
    assert set(FORMATS) == {"gif", "apng", "webp", "mp4", "html"}
