"""Involution on a photo: one pixel in text, two pictures and a page to explore all pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

from ..arguments import ArgumentError, Pair, as_int, as_pair
from ..files import check_writable, shown, written_whole
from ..images import Photo, load_photo
from ..models.salt_and_pepper import NOISE_SHARE
from ..progress import Progress, no_progress
from ..viz import Trace
from ..viz.animation.scenes import Subject
from ..viz.animation.scenes.overview import Overview
from ..viz.explorer import explorer
from ..viz.html import Page
from .walkthrough import walkthrough

ABOUT = (
    f"{NOISE_SHARE:.0%} of the pixels were made black or white: salt-and-pepper noise (seed {{seed}}). "
    "The layer was trained on other photos to remove it. It generates a pixel's kernel from the "
    "pixel's own colour: an ordinary colour keeps its value; black or white, possibly noise, takes "
    "that of its neighbours. Red, green and blue share the kernel. Printed numbers are rounded: "
    "the last digit may differ."
)
FILES = "kernels.png", "demo.gif", "explorer.html"
MAX_SIZE = 288  # the animation has room for a photo of that size at one pixel for each of its own


@dataclass(frozen=True, eq=False)
class Demo:
    """Result of `run`: the noisy photo, every number of the layer, and the pixel explained."""

    name: str
    photo: Photo  # the input of the layer, (H, W, 3): scaled, with the noise
    notice: str | None  # of the scaling
    seed: int  # of the noise
    trace: Trace
    pixel: Pair  # row and column
    files: tuple[Path, ...]
    ok = True

    def text(self) -> str:
        """Return the computation of one pixel, step by step."""
        rows, columns = self.photo.shape[:2]
        return "\n".join(
            [
                f"Involution on {self.name}, {rows} x {columns} pixels (rows x columns).",
                *([self.notice] if self.notice else []),
                fill(ABOUT.format(seed=self.seed), 80),
                "",
                walkthrough(self.trace, self.photo, self.pixel),
                "",
                f"Wrote {', '.join(shown(str(file), 4096) for file in self.files)}",
            ]
        )

    def data(self) -> dict[str, Any]:
        """Return the numbers of that pixel as plain lists."""
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


def run(
    image: str | Path | None = None,
    *,
    out_dir: str | Path = ".",
    force: bool = False,
    size: int = 72,
    pixel: Pair | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Demo:
    """Run an involution layer on a photo; write `FILES`: two pictures and a page to explore.

    The layer has C = 3 channels, the colours, and one group, so each pixel's K x K kernel serves
    all three and the output is a colour picture again. The reduction is 1: three channels are too
    few to reduce. It was trained (``involution-edu train salt-and-pepper``) to remove
    salt-and-pepper noise, which is added to the photo first.

    Parameters
    ----------
    image : path, optional
        As `load_photo` reads; if not given, the portrait that ships with matplotlib.
    out_dir : path
        An existing folder.
    force : bool
        Replace the files if they exist.
    size : int
        Longest side of the photo given to the layer, in pixels: 8 to 288.
    pixel : (int, int), optional
        Row and column of the pixel to explain, after scaling; if not given, the one near the
        middle that the layer changes most: a noisy pixel, if there is one.
    seed : int
        Of the noise.
    progress : Progress
        Called with the number of frames drawn.

    Raises
    ------
    ValueError
        If the image cannot be used, or ``pixel`` is outside.
    OSError
        If a file cannot be read or written. Each file is written whole or not at all, and none
        before all are drawn.
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
    size, seed = as_int("size", size, 8, MAX_SIZE), as_int("seed", seed, 0)
    asked = None if pixel is None else as_pair("pixel", pixel, 0)
    image = None if image is None else Path(image)
    files = tuple(Path(out_dir) / name for name in FILES)
    check_writable(*files, force=force, choice="another folder with --out")

    clean, notice = load_photo(image, size)
    H, W = clean.shape[:2]
    if asked is not None and (asked[0] >= H or asked[1] >= W):
        need = (
            f"a row of 0 to {H - 1} and a column of 0 to {W - 1}: the layer gets {H} x {W} pixels"
        )
        raise ArgumentError("pixel", f"is {asked}", need)
    scene = Overview(Subject(clean, seed), asked)
    name = name_of(image)
    demo = Demo(name, scene.photo, notice, seed, scene.trace, scene.stops[0], files)
    _write(demo, scene, force, progress)
    return demo


def page_of(trace: Trace, name: str, seed: int) -> Page:
    """Return the page to explore the layer on a noisy photo of that name."""
    geom = trace.geom
    about = (
        f"The photo is {name}, {geom.H} × {geom.W} pixels, with salt-and-pepper noise (seed "
        f"{seed}). One layer, trained to remove such noise: {geom.C} channels, one group, "
        f"{geom.window[0]} × {geom.window[1]} kernels."
    )
    noise = {"salt_and_pepper": NOISE_SHARE}
    return explorer(trace, about=about, photo=True, noise=noise)


def name_of(image: Path | None) -> str:
    """Return the name of a photo for texts."""
    return "the sample portrait" if image is None else shown(image.name)


def _write(demo: Demo, scene: Overview, force: bool, progress: Progress) -> None:
    from ..viz.animation.writers import write_animation
    from ..viz.figures.close_ups import close_ups

    png, gif, html = demo.files
    with (
        written_whole(html, force=force) as html_whole,
        written_whole(png, force=force) as png_whole,
    ):
        page_of(demo.trace, demo.name, demo.seed).save(html_whole)
        close_ups(demo.trace, demo.photo, scene.stops).savefig(png_whole, format="png")
        with written_whole(gif, force=force) as gif_whole:
            write_animation(scene.animation(), gif_whole, "gif", progress)
