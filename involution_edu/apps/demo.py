"""Involution on a photo: kernels, noise removed by a convolution and an involution, one page."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from ..arguments import as_int
from ..files import check_writable, holds, shown, written_whole
from ..images import Photo, load_photo
from ..progress import Progress, no_progress
from ..viz import Trace
from ..viz.animation.scenes import Subject
from ..viz.animation.scenes.hero import Hero
from ..viz.picks import maximum_inside, varied_pixels
from . import explore

FILES = {
    "demo.gif": "both side by side",
    "kernels.png": "the kernels over the photo",
    "before-after.png": "clean, noisy, and after both",
    "explorer.html": "every pixel: open it in a browser",
}
MAX_SIZE = 448  # the animation has room for a photo of that size at one pixel for each of its own
MARK = "involution-edu demo"  # in the metadata of each file: one that has it may be replaced


@dataclass(frozen=True, eq=False)
class Demo:
    """Result of `run`: what was removed from the photo, every number of the layer, and the files."""

    name: str
    photo: Photo  # without noise, (H, W, 3): scaled
    notice: str | None  # of the scaling
    seed: int  # of the noise
    psnr: dict[str, float]  # in dB: "noisy", "convolution" and "involution"
    trace: Trace
    files: tuple[Path, ...]
    next: str  # command to try
    ok = True

    def text(self) -> str:
        """Return what was done, what it gained, and the files."""
        H, W = self.photo.shape[:2]
        K_h, K_w = self.trace.geom.window
        gained = {
            "noisy": f"{self.name}, {H} x {W} pixels (rows x columns), with noise added",
            "convolution": f"the best {K_h} x {K_w} kernel for this photo, the same at all pixels",
            "involution": f"{H * W:,} kernel{'s' * (H * W > 1)}, each made from the features of its own pixel",
        }
        lines = [self.notice] if self.notice else []
        lines += [f"{self.psnr[name]:6.1f} dB  {name:12} {what}" for name, what in gained.items()]
        if self.psnr["convolution"] > self.psnr["involution"]:
            lines.append("The convolution wins here: its kernel was fitted to this very photo.")
        lines += [
            f"{round(file.stat().st_size / 1000):6} kB  {shown(str(file), 4096)}: {FILES[file.name]}"
            for file in self.files
        ]
        return "\n".join(
            [
                *lines,
                f"Next: {shown(self.next, 4096)} (a smaller layer, one pixel, to follow with a pencil)",
            ]
        )

    def data(self) -> dict[str, Any]:
        """Return the same as plain values."""
        return {
            "size": list(self.photo.shape[:2]),
            "notice": self.notice,
            "seed": self.seed,
            "psnr": self.psnr,
            "files": {str(file): file.stat().st_size for file in self.files},
        }


def run(
    image: str | Path | None = None,
    *,
    out_dir: str | Path = ".",
    force: bool = False,
    size: int = 224,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Demo:
    """Remove noise from a photo by a convolution and by an involution; write `FILES`.

    The involution is ``pretrained("edge")``. The convolution has the one kernel, of the same size,
    that has the least error on this very photo: no convolution of that size does better.

    Parameters
    ----------
    image : path, optional
        As `load_photo` reads; if not given, the portrait that ships with matplotlib.
    out_dir : path
        A folder; it is made if it is missing.
    force : bool
        Replace files that exist, even if another program made them. Those of an earlier demo are
        always replaced.
    size : int
        Longest side of the photo given to the layer, in pixels: 8 to 448.
    seed : int
        Of the noise.
    progress : Progress
        Called with the number of frames drawn.

    Raises
    ------
    ValueError
        If the image cannot be used.
    OSError
        If a file cannot be read or written. Each file is written whole or not at all, and none
        before all are drawn.
    ArithmeticError
        If the operator's output is not the sum of its products.

    Examples
    --------
    A small photo, for all four files at once:

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> demo = run(out_dir=folder, size=24)
    >>> sorted(path.name for path in Path(folder).iterdir())
    ['before-after.png', 'demo.gif', 'explorer.html', 'kernels.png']
    >>> demo.photo.shape, demo.psnr["noisy"] < demo.psnr["convolution"]
    ((24, 20, 3), True)
    """
    size, seed = as_int("size", size, 8, MAX_SIZE), as_int("seed", seed, 0)
    image = None if image is None else Path(image)
    files = tuple(Path(out_dir) / name for name in FILES)
    replaced = [force or holds(file, MARK) for file in files]
    for file, may in zip(files, replaced, strict=True):
        check_writable(file, force=may, choice="another folder with --out", source=image)

    clean, notice = load_photo(image, size)
    scene = Hero(Subject(clean, seed))
    trace = scene.traces[1]
    with ExitStack() as stack:
        wholes = [
            stack.enter_context(written_whole(file, force=may))
            for file, may in zip(files, replaced, strict=True)
        ]
        for write, whole in zip(_writers(scene, trace, image, progress), wholes, strict=True):
            write(whole)
    names = "noisy", "convolution", "involution"
    psnr = dict(zip(names, scene.psnr, strict=True))
    photo = "" if image is None else f" {quote(str(image))}"
    command = f"involution-edu demo{photo} --numbers"
    return Demo(explore.name_of(image), clean, notice, seed, psnr, trace, files, command)


def _writers(
    scene: Hero, trace: Trace, image: Path | None, progress: Progress
) -> list[Callable[[Path], Any]]:
    from ..viz.animation.writers import write_animation
    from ..viz.figures.close_ups import before_after, close_ups

    photo = scene.subject.photo
    photos = {"noisy": scene.noisy, "convolution": scene.results[0], "involution": scene.results[1]}
    largest = trace.kernels[0, 0].max(axis=(2, 3))
    flattest = maximum_inside(-largest, photo.shape[0] // 8, photo.shape[1] // 8)
    stops = [*varied_pixels(trace, scene.way[0], 2, 3)[:5], flattest]
    png: dict[str, Any] = {"format": "png", "metadata": {"Software": MARK}}

    def page(whole: Path) -> None:
        explore.run(image, out=whole, force=True, seed=scene.subject.seed)
        meta = f'<meta name="generator" content="{MARK}">'
        text = whole.read_text(encoding="utf-8").replace("<head>", f"<head>\n{meta}", 1)
        whole.write_text(text, encoding="utf-8", newline="\n")

    return [
        lambda whole: write_animation(scene.animation(), whole, "gif", progress, comment=MARK),
        lambda whole: close_ups(trace, photo, stops).savefig(whole, **png),
        lambda whole: before_after(photo, photos, scene.way[-1]).savefig(whole, **png),
        page,
    ]
