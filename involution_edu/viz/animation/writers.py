"""Animations written as files: GIF, animated PNG, WebP, MP4, or an HTML page."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

import numpy as np

from ...arguments import ArgumentError, as_choice
from ...progress import Progress, no_progress
from ..palette import GifPalette
from .canvas import Animation, Frame
from .player import player_page

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

VIDEO_RATE = 25  # frames a second of an MP4 file


def write_animation(
    animation: Animation,
    path: Path,
    format: str = "gif",
    progress: Progress = no_progress,
    comment: str = "",
) -> PILImage:
    """Draw the frames, write them in a format of `FORMATS`, and return the last frame.

    A GIF keeps the ``comment``.
    """
    check_format(format)
    steps = len(animation.frames) + 1
    images: list[PILImage] = []
    for image in paletted(animation, animation.frames):
        images.append(image)
        progress(len(images), steps, "drawing")
    images[0].info["comment"] = comment.encode()
    _WRITERS[format](path, images, animation.frames)
    progress(steps, steps, "encoding")
    return images[-1]


def paletted(animation: Animation, frames: list[Frame]) -> Iterator[PILImage]:
    """Draw frames as images with a palette, which take a third of the memory of RGB images."""
    from PIL import Image

    palette = GifPalette(*animation.photos)
    for frame in frames:
        image = Image.fromarray(palette.indices(np.asarray(animation.draw(frame).image)))
        image.putpalette(palette.colours.tobytes())
        yield image


def check_format(format: str) -> None:
    """Raise `ValueError` unless ``format`` is one of `FORMATS` and can be written here."""
    if as_choice("format", format, FORMATS) == "mp4" and which("ffmpeg") is None:
        raise ArgumentError(
            "format",
            "is 'mp4'",
            "the program ffmpeg, which is not installed: install it (apt install ffmpeg, brew install "
            "ffmpeg) or choose gif, apng, webp or html",
        )


def changes(images: list[PILImage]) -> Iterator[PILImage]:
    """Yield each image with the transparent index wherever it equals the image before it."""
    from PIL import Image

    yield images[0]
    for before, image in pairwise(images):
        indices, same = np.asarray(image), np.asarray(image) == np.asarray(before)
        changed = Image.fromarray(np.where(same, np.uint8(GifPalette.TRANSPARENT), indices))
        changed.putpalette(image.palette or b"")
        yield changed


def _write_gif(path: Path, images: list[PILImage], frames: list[Frame]) -> None:
    palette, transparent = images[0].getpalette(), GifPalette.TRANSPARENT
    options = {"palette": bytes(palette or ()), "transparency": transparent, "disposal": 1}
    _write_by_pillow(path, list(changes(images)), frames, format="GIF", optimize=False, **options)


def _write_by_pillow(
    path: Path, images: list[PILImage], frames: list[Frame], **options: Any
) -> None:
    first, *rest = images
    durations = [frame.milliseconds for frame in frames]
    first.save(path, save_all=True, append_images=rest, duration=durations, loop=0, **options)


def _write_mp4(path: Path, images: list[PILImage], frames: list[Frame]) -> None:
    width, height = images[0].size
    source = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {VIDEO_RATE} -i -"
    target = "-c:v libx264 -tune animation -crf 24 -pix_fmt yuv420p -f mp4"
    # As a URL: a relative path may begin with "-", or with letters and a colon like a protocol.
    url = f"file:{path.absolute()}"
    command = [*f"ffmpeg -y -loglevel error {source} {target}".split(), url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as ffmpeg:
        assert ffmpeg.stdin is not None
        assert ffmpeg.stderr is not None
        try:
            for image, frame in zip(images, frames, strict=True):
                pixels = image.convert("RGB").tobytes()
                for _ in range(max(1, round(frame.milliseconds * VIDEO_RATE / 1000))):
                    ffmpeg.stdin.write(pixels)
            ffmpeg.stdin.close()
        except BrokenPipeError:  # ffmpeg has ended early; its error message follows
            pass
        reason = ffmpeg.stderr.read().decode(errors="replace").strip().splitlines()
    if ffmpeg.returncode:
        raise OSError(0, f"ffmpeg failed: {reason[-1] if reason else ffmpeg.returncode}", str(path))


def _write_html(path: Path, images: list[PILImage], frames: list[Frame]) -> None:
    path.write_text(player_page(list(changes(images)), frames), encoding="utf-8")


_WRITERS: dict[str, Callable[[Path, list[PILImage], list[Frame]], None]] = {
    "gif": _write_gif,
    "apng": partial(_write_by_pillow, format="PNG"),
    "webp": partial(_write_by_pillow, format="WEBP", lossless=True, method=2),
    "mp4": _write_mp4,
    "html": _write_html,
}
FORMATS = tuple(_WRITERS)
