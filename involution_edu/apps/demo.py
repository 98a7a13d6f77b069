"""Involution on a photo: one pixel in text, two pictures, and a page to explore it all."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

from ..arguments import ArgumentError, Pair, as_int, as_pair
from ..files import check_writable, written_whole
from ..images import Photo, load_photo
from ..models.salt_and_pepper import NOISE_SHARE
from ..progress import Progress
from ..viz import Trace
from ..viz.animation.scenes import Subject
from ..viz.animation.scenes.overview import Overview
from ..viz.explorer import explorer
from ..viz.html import Page
from .walkthrough import walkthrough

ABOUT = (
    f"{NOISE_SHARE:.0%} of the pixels were made black or white (seed {{seed}}). The layer was trained on "
    "other photos to remove such specks. It makes a pixel's kernel of the pixel's own colour: an "
    "ordinary colour keeps itself; black or white, maybe a speck, takes from its neighbours. Red, "
    "green and blue share the kernel. Numbers are rounded for print: work with what you see, and "
    "the last digit may differ."
)
FILES = "kernels.png", "demo.gif", "explorer.html"
LARGEST = 288  # what fits the animation with one pixel of the sheet for each of the photo


@dataclass(frozen=True, eq=False)
class Demo:
    """What `run` computed, said and wrote.

    Attributes
    ----------
    text : str
        The walk-through of one pixel, for the terminal.
    trace : Trace
        Every number behind it.
    photo : ndarray, shape (H, W, 3), uint8
        What the layer was given, after scaling, with the specks.
    pixel : (int, int)
        Row and column of the walk-through.
    seed : int
    files : tuple of Path
    notice : str or None
        What was scaled from what to what.
    """

    text: str
    trace: Trace
    photo: Photo
    pixel: Pair
    seed: int
    files: tuple[Path, ...]
    notice: str | None

    def data(self) -> dict[str, Any]:
        """Return the numbers of the walk-through as plain lists, ready for JSON."""
        i, j = self.pixel
        trace = self.trace
        arrays = {
            "byte": self.photo[i, j],
            "x": trace.x[0, :, i, j],
            "reduce_weight": trace.reduce_weight,
            "conv": trace.stages["conv"][0, :, i, j],
            **trace.statistics,
            "bn": trace.stages["bn"][0, :, i, j],
            "reduced": trace.reduced[0, :, i, j],
            "span_weight": trace.span_weight,
            "span_bias": trace.span_bias,
            "kernel": trace.kernels[0, 0, i, j],
            "window": trace.patches[0, 0, :, i, j],
            "products": trace.products(i, j)[0, 0],
            "y": trace.y[0, :, i, j],
        }
        return {
            "size": list(self.photo.shape[:2]),
            "notice": self.notice,
            "pixel": [i, j],
            "seed": self.seed,
            "files": [str(path) for path in self.files],
            **{name: array.tolist() for name, array in arrays.items()},
        }


def show_progress(done: int, total: int, what: str) -> None:
    """Rewrite one line on a terminal's standard error; write nothing elsewhere."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\rdrawing {done}/{total}" + "\n" * (done == total))
        sys.stderr.flush()


def run(
    image: str | Path | None = None,
    *,
    out_dir: str | Path = ".",
    force: bool = False,
    size: int = 72,
    pixel: Pair | None = None,
    seed: int = 0,
    progress: Progress = show_progress,
) -> Demo:
    """Run an involution layer on a photo; write `FILES`: two pictures and a page to explore.

    The layer has C = 3 channels, the colours, and one group, so each pixel's K x K kernel serves
    all three and the output is a colour picture again. The reduction is 1: of three channels
    there is nothing to save. It was trained (``involution-edu train salt-and-pepper``) to remove specks,
    pixels made black or white, some of which are put on the photo first.

    Parameters
    ----------
    image : path, optional
        Any image that Pillow reads; if not given, the portrait that ships with matplotlib.
    out_dir : path
        An existing folder.
    force : bool
        Replace the files if they exist.
    size : int
        Longest side of the photo given to the layer, in pixels: 8 to 288.
    pixel : (int, int), optional
        Row and column to work out, after scaling; if not given, the one in the middle of the
        photo that the layer changes most: a speck, if there is one.
    seed : int
        Of the specks.
    progress : callable
        Called with the steps of the drawing done, their number, and the kind of the last one.

    Raises
    ------
    ValueError
        If the image cannot be used, or ``pixel`` lies outside.
    OSError
        If a file cannot be read or written. All files are written, or none.
    ArithmeticError
        If the operator's output is not the sum of its products.

    Examples
    --------
    A small photo, for all three files at once:

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> demo = run(out_dir=folder, size=8)
    >>> sorted(path.name for path in Path(folder).iterdir())
    ['demo.gif', 'explorer.html', 'kernels.png']
    >>> demo.photo.shape, demo.trace.kernel.shape
    ((8, 7, 3), (1, 1, 5, 5, 8, 7))
    """
    size, seed = as_int("size", size, 8), as_int("seed", seed, 0)
    if size > LARGEST:
        raise ArgumentError("size", f"is {size}", f"8 to {LARGEST}")
    asked = None if pixel is None else as_pair("pixel", pixel, 0)
    files = tuple(Path(out_dir) / name for name in FILES)
    check_writable(*files, force=force, choice="another folder with --out")

    photo, notice = load_photo(None if image is None else Path(image), size)
    scene = Overview(Subject(photo, seed), None if asked is None else _inside(asked, photo))
    photo, trace, at = scene.photo, scene.trace, scene.stops[0]
    name = "the sample portrait" if image is None else Path(image).name
    _draw(scene, page_of(trace, name, seed), files, force, progress)
    text = "\n".join(
        [
            f"Involution on {escaped(name)}, {photo.shape[0]} x {photo.shape[1]} pixels (rows x columns).",
            *([notice] if notice else []),
            fill(ABOUT.format(seed=seed), 80),
            "",
            walkthrough(trace, photo, at),
            "",
            f"Wrote {', '.join(escaped(str(file)) for file in files)}",
        ]
    )
    return Demo(text, trace, photo, at, seed, files, notice)


def page_of(trace: Trace, name: str, seed: int) -> Page:
    """Return the page on which to explore what the layer did to the photo of a name."""
    geom = trace.geom
    about = (
        f"The photo is {name}, {geom.H} × {geom.W} pixels. One layer: {geom.C} channels, one "
        f"group, {geom.window[0]} × {geom.window[1]} kernels, trained to remove the black and white "
        f"specks that were put on the photo (seed {seed})."
    )
    return explorer(trace, about=about, photo=True)


def escaped(name: str) -> str:
    """Return ``name`` with backslash escapes for line breaks and the like."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)


def _inside(pixel: Pair, photo: Photo) -> Pair:
    H, W = photo.shape[:2]
    if pixel[0] >= H or pixel[1] >= W:
        raise ArgumentError(
            "pixel",
            f"is {pixel}",
            f"a row of 0 to {H - 1} and a column of 0 to {W - 1}, for the photo is given to the layer as {H} x {W}",
        )
    return pixel


def _draw(
    scene: Overview, page: Page, files: tuple[Path, ...], force: bool, progress: Progress
) -> None:
    from ..viz.animation.writers import write_animation
    from ..viz.figures.stills import save_kernels

    png, gif, html = files
    with (
        written_whole(html, force=force) as html_whole,
        written_whole(png, force=force) as png_whole,
    ):
        page.save(html_whole)
        save_kernels(scene.trace, scene.photo, scene.stops, png_whole)
        with written_whole(gif, force=force) as gif_whole:
            write_animation(scene.animation(), gif_whole, "gif", progress)
