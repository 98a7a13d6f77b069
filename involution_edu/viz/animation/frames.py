"""What a scene is made of: shots on a sheet that they share; and how it is saved."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...arguments import ArgumentError
from ...images import Photo
from ..palette import GifPalette
from .canvas import Canvas

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

Progress = Callable[[int, int], None]
FORMATS = ("gif", "apng", "webp", "mp4", "html")
CAPTION = (32, 56)  # where the caption of every frame begins
CAPTION_SIZE = 17
VIDEO_RATE = 25  # frames a second


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame.

    Attributes
    ----------
    caption : str
        One line: what happens here.
    milliseconds : int
        For how long it is shown.
    draw : callable
        Draws on a copy of the sheet that all frames share.
    """

    caption: str
    milliseconds: int
    draw: Callable[[Canvas], None]


@dataclass(frozen=True, slots=True)
class Film:
    """The frames of a scene.

    Attributes
    ----------
    still : Canvas
        What all frames share.
    shots : list of Shot
    photos : list of ndarray, shape (H, W, 3), uint8
        Whose colours the palette needs beside those of numbers and letters.
    """

    still: Canvas
    shots: list[Shot]
    photos: list[Photo] = field(default_factory=list)

    def frame(self, shot: Shot) -> Canvas:
        """Return the sheet of ``shot``."""
        sheet = self.still.copy()
        sheet.text(CAPTION, shot.caption, CAPTION_SIZE)
        shot.draw(sheet)
        return sheet


def save_film(film: Film, path: Path, format: str, progress: Progress) -> PILImage:
    """Draw the frames, save them in a format of `FORMATS`, and return the last one.

    Parameters
    ----------
    film : Film
    path : Path
        The format does not depend on how it ends.
    format : str
    progress : callable
        Called with the steps done and their number: one for each frame and one for the encoding.

    Raises
    ------
    ValueError
        If there is no such format, or it is "mp4" and there is no ffmpeg to make it.
    OSError
        If the file cannot be written.
    """
    check_format(format)
    palette, steps = GifPalette(*film.photos), len(film.shots) + 1
    frames = []  # numbers of the palette: a third of the memory of red, green and blue
    for shot in film.shots:
        frames.append(palette.numbers(np.asarray(film.frame(shot).image)))
        progress(len(frames), steps)
    _SAVERS[format](frames, palette.colours, film.shots, path)
    progress(steps, steps)
    return _image(frames[-1], palette.colours)


def check_format(format: str) -> None:
    """Raise `ValueError` unless ``format`` is one of `FORMATS` that can be made here."""
    if format not in FORMATS:
        raise ArgumentError("format", f"is {format!r}", f"one of {', '.join(FORMATS)}")
    if format == "mp4" and which("ffmpeg") is None:
        raise ArgumentError(
            "format",
            "is 'mp4'",
            "the program ffmpeg to make it, and there is none: install it (apt install ffmpeg, brew install ffmpeg) or choose gif, apng, webp or html",
        )


Numbers = NDArray[np.uint8]


def _image(numbers: Numbers, colours: Photo) -> PILImage:
    from PIL import Image

    image = Image.fromarray(numbers)
    image.putpalette(colours.tobytes())
    return image


def changes(frames: list[Numbers]) -> Iterator[Numbers]:
    """Yield every frame with number 0, "as in the frame before", where nothing changed."""
    before: Numbers | None = None
    for numbers in frames:
        yield (
            numbers
            if before is None
            else np.where(numbers == before, np.uint8(GifPalette.TRANSPARENT), numbers)
        )
        before = numbers


def _save_gif(frames: list[Numbers], colours: Photo, shots: list[Shot], path: Path) -> None:
    first, *rest = (_image(numbers, colours) for numbers in changes(frames))
    first.save(
        path,
        format="GIF",
        save_all=True,
        append_images=rest,
        palette=colours.tobytes(),
        transparency=GifPalette.TRANSPARENT,
        duration=[shot.milliseconds for shot in shots],
        loop=0,
        disposal=1,
        optimize=False,
    )


def _save_apng(frames: list[Numbers], colours: Photo, shots: list[Shot], path: Path) -> None:
    _save_pillow(frames, colours, shots, path, format="PNG")


def _save_webp(frames: list[Numbers], colours: Photo, shots: list[Shot], path: Path) -> None:
    _save_pillow(frames, colours, shots, path, format="WEBP", lossless=True, method=2)


def _save_pillow(
    frames: list[Numbers], colours: Photo, shots: list[Shot], path: Path, **options: Any
) -> None:
    first, *rest = (_image(numbers, colours) for numbers in frames)
    durations = [shot.milliseconds for shot in shots]
    first.save(path, save_all=True, append_images=rest, duration=durations, loop=0, **options)


def _save_mp4(frames: list[Numbers], colours: Photo, shots: list[Shot], path: Path) -> None:
    height, width = frames[0].shape
    command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{width}x{height}", "-r", f"{VIDEO_RATE}", "-i", "-"]
    command += [
        "-c:v",
        "libx264",
        "-tune",
        "animation",
        "-crf",
        "24",
        "-pix_fmt",
        "yuv420p",
        "-f",
        "mp4",
        str(path),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as ffmpeg:
        assert ffmpeg.stdin is not None
        assert ffmpeg.stderr is not None
        try:
            for numbers, shot in zip(frames, shots, strict=True):
                picture = colours[numbers].tobytes()
                for _ in range(max(1, round(shot.milliseconds * VIDEO_RATE / 1000))):
                    ffmpeg.stdin.write(picture)
            ffmpeg.stdin.close()
        except BrokenPipeError:  # it has ended early; it says why
            pass
        reason = ffmpeg.stderr.read().decode(errors="replace").strip().splitlines()
    if ffmpeg.returncode:
        raise OSError(0, f"ffmpeg failed: {reason[-1] if reason else ffmpeg.returncode}", str(path))


def _save_html(frames: list[Numbers], colours: Photo, shots: list[Shot], path: Path) -> None:
    from .player import page

    images = (_image(numbers, colours) for numbers in changes(frames))
    captions = [shot.caption for shot in shots]
    milliseconds = [shot.milliseconds for shot in shots]
    path.write_text(page(list(images), captions, milliseconds), encoding="utf-8")


_SAVERS = {
    "gif": _save_gif,
    "apng": _save_apng,
    "webp": _save_webp,
    "mp4": _save_mp4,
    "html": _save_html,
}
