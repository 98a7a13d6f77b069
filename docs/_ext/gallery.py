"""Gallery: every scene and every still picture of one photo, and the page that shows them."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from involution_edu.files import check_writable, written_whole
from involution_edu.images import Photo, photo_to_x
from involution_edu.models import pretrained, rednet26, rednet50
from involution_edu.models.edge import with_noise
from involution_edu.nn import Adam, Conv2d, MeanSquaredError, ReLU, Sequential, train_step
from involution_edu.progress import Progress, no_progress, progress_bar
from involution_edu.viz.animation.scenes import SCENES, Subject
from involution_edu.viz.animation.scenes.training import Training
from involution_edu.viz.animation.writers import write_animation
from involution_edu.viz.figures import diagrams, kernels, maps
from involution_edu.viz.figures.common import new_figure
from involution_edu.viz.figures.redundancy import channel_redundancy
from involution_edu.viz.picks import strongest_pixel
from involution_edu.viz.recording import record
from involution_edu.viz.trace import OperatorTrace, Trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE, FOLDER = "gallery.md", "gallery"
CHANNELS = 16  # of the convolution whose kernels are compared
STEPS = 80  # of its training
LIMIT = 6.0  # of the maps of sums: random kernels are larger than trained ones


class Runs:
    """Recorded runs of layers on one photo, for the stills; each is made when first needed."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    @cached_property
    def trace(self) -> Trace:
        """A layer for colours with random weights, on the photo."""
        return record(self.subject.layer(5), self.subject.x)

    @cached_property
    def training(self) -> Training:
        """A layer that learns to remove salt-and-pepper noise from the photo."""
        return Training(self.subject)

    @cached_property
    def deep(self) -> Trace:
        """The first involution of a stage of a RedNet-26 with random weights, on the photo."""
        model = rednet26(num_classes=10, rng=self.subject.seed).eval()
        return record(model, self.subject.x, layer="layer1.0.conv2")

    @cached_property
    def convolution(self) -> Conv2d:
        """The middle one of three 5x5 convolutions that learned to remove the same noise."""
        noisy, clean = self.training.noisy, self.subject.x
        rng = np.random.default_rng(self.subject.seed)
        sizes = (3, CHANNELS, CHANNELS, 3)
        first, middle, last = (Conv2d(a, b, 5, padding="same", rng=rng) for a, b in pairwise(sizes))
        model = Sequential(first, ReLU(), middle, ReLU(), last)
        adam, criterion = Adam(model.parameters(), lr=0.003), MeanSquaredError()
        for _ in range(STEPS):
            train_step(model, adam, criterion, noisy, clean)
        return middle

    @cached_property
    def denoiser(self) -> tuple[OperatorTrace, Photo]:
        """The trained layer ``edge`` on the photo with noise, and that photo."""
        photo = with_noise(self.subject.photo, 0)
        return record(pretrained("edge"), photo_to_x(photo)), photo


@dataclass(frozen=True, slots=True)
class Still:
    """A still picture: name of its file, title and caption, and the function that draws it."""

    name: str
    title: str
    caption: str
    draw: Callable[[Runs], Figure]


def _maps(runs: Runs) -> Figure:
    figure, trace, photo = new_figure((12.6, 9.0)), runs.trace, runs.subject.photo
    (a, b, c), (d, e, f) = figure.subplots(2, 3)
    maps.kernel_sum_map(trace, limit=LIMIT, ax=a)
    maps.l1_norm_map(trace, limit=2 * LIMIT, ax=b)
    maps.entropy_map(trace, ax=c)
    maps.centroid_map(trace, ax=d)
    maps.orientation_map(trace, ax=e)
    maps.orientation_map(trace, photo=photo, ax=f)
    return figure


def _denoiser(runs: Runs) -> Figure:
    trace, photo = runs.denoiser
    figure = new_figure((12.6, 6.2))
    left, right = figure.subplots(1, 2)
    kernels.kernel_atlas(trace, photo, ax=left)
    maps.entropy_map(trace, ax=right)
    return figure


def _nearest(runs: Runs) -> Figure:
    pixel = strongest_pixel(runs.trace)
    return kernels.nearest_kernels(runs.trace, runs.subject.photo, pixel)


def _before_and_after(runs: Runs) -> Figure:
    training = runs.training
    return kernels.before_and_after(training.traces[0], training.traces[-1], training.pixels[:5])


def _all_groups(runs: Runs) -> Figure:
    H, W = runs.deep.geom.H_out, runs.deep.geom.W_out
    return kernels.all_groups(runs.deep, (H // 2, W // 2))


STILLS = (
    Still(
        "atlas",
        "Kernels over the photo",
        "Kernels with random weights, each over the window that it is multiplied with. Pixels of "
        "similar colours make similar kernels; where ReLU has set all features to 0 the kernel is 0.",
        lambda runs: kernels.kernel_atlas(runs.trace, runs.subject.photo),
    ),
    Still(
        "denoiser",
        "Trained kernels follow what is in the photo",
        "The trained layer edge removes noise: wide kernels where the photo is even, narrow ones "
        "along its edges.",
        _denoiser,
    ),
    Still(
        "maps",
        "One number for every kernel",
        "Its sum, L1 norm, entropy, centroid, and the orientation of its large entries, for the same "
        "random weights, on fixed scales.",
        _maps,
    ),
    Still(
        "nearest",
        "Where else does this kernel occur?",
        "The distance of every kernel from that of the pixel in pink. The kernel depends on the "
        "pixel's colour alone, so it occurs wherever the colour does.",
        _nearest,
    ),
    Still(
        "groups-at-a-pixel",
        "One pixel, all groups",
        "The four 7×7 kernels that one pixel makes in the first block of a RedNet-26 with random "
        "weights, one for each group of 16 channels.",
        _all_groups,
    ),
    Still(
        "before-and-after",
        "Before and after training",
        "Kernels of five pixels before and after the layer has learned to remove the noise from "
        "the photo. Each row has its own scale.",
        _before_and_after,
    ),
    Still(
        "redundancy",
        "Channels that repeat each other",
        f"The share of the kernels of all channels that their first patterns hold, by singular values: "
        f"for a convolution of {CHANNELS} channels, trained to remove the noise from the photo, and for "
        "the one kernel that the channels of an involution share.",
        lambda runs: channel_redundancy(runs.training.traces[-1], runs.convolution),
    ),
    Still(
        "shapes",
        "The shapes of a layer",
        "Every array inside the first involution of that RedNet-26, with its shape.",
        lambda runs: diagrams.shape_diagram(runs.deep),
    ),
    Still(
        "blocks",
        "The blocks of RedNet-50",
        "Read from the model: its stages, and the layers of the first block of each.",
        lambda runs: diagrams.block_diagram(rednet50(rng=0)),
    ),
)


def page() -> str:
    """Return the gallery's page in Markdown."""
    return "\n".join(_page_lines())


def _page_lines() -> list[str]:
    intro = (
        "Every number and colour below is read from a recorded run of the operator. "
        "`involution-edu animate SCENE IMAGE` draws an animation of your own photo; `python "
        "docs/_ext/gallery.py docs` makes this page. Blue is negative, white is zero, orange is "
        "positive; darker is larger."
    )
    lines = ["# Gallery", "", fill(intro, 115, break_on_hyphens=False), "", "## Animations", ""]
    for scene in SCENES.values():
        note = f"`involution-edu animate {scene.name}`"
        lines += _entry(f"{scene.name}.gif", scene.title, scene.caption, note)
    lines += ["## Stills", ""]
    for still in STILLS:
        lines += _entry(f"{still.name}.png", still.title, still.caption, "")
    return lines


def _entry(file: str, title: str, caption: str, note: str) -> list[str]:
    after = [note, ""] if note else []
    return [
        f"### {title}",
        "",
        fill(caption, 115, break_on_hyphens=False),
        "",
        f"![{title}]({FOLDER}/{file})",
        "",
        *after,
    ]


def write_gallery(
    out_dir: str | Path, *, force: bool = False, progress: Progress = no_progress
) -> list[Path]:
    """Write ``gallery.md`` and its pictures, in the folder ``gallery``, of the sample portrait.

    Parameters
    ----------
    out_dir : path
        An existing folder.
    force : bool
        Replace files that exist.
    progress : callable
        Called with the files done, their number, and the name of the last one.

    Returns
    -------
    files : list of Path

    Raises
    ------
    OSError
        If a file exists or cannot be written. Each is written completely or not at all.

    Examples
    --------
    All pictures take minutes, so a wrong folder is refused before they are drawn:

    >>> write_gallery("pictures")  # doctest: +SKIP
    >>> write_gallery("/dev/null/pictures")
    Traceback (most recent call last):
        ...
    NotADirectoryError: /dev/null is not a folder; choose another folder
    """
    out_dir, subject = Path(out_dir), Subject.of(None)
    check_writable(out_dir / PAGE, force=force, choice="another folder")
    folder = out_dir / FOLDER
    animations = [folder / f"{name}.gif" for name in SCENES]
    stills = [folder / f"{still.name}.png" for still in STILLS]
    check_writable(*animations, *stills, force=force, choice="another folder")
    runs, total, done = Runs(subject), len(animations) + len(stills) + 1, 0
    for scene, path in zip(SCENES.values(), animations, strict=True):
        with written_whole(path, force=force) as whole:
            write_animation(scene(subject).animation(), whole)
        progress(done := done + 1, total, path.name)
    for still, path in zip(STILLS, stills, strict=True):
        with written_whole(path, force=force) as whole:
            still.draw(runs).savefig(whole, format="png")
        progress(done := done + 1, total, path.name)
    with written_whole(out_dir / PAGE, force=force) as whole:
        whole.write_text(page(), encoding="utf-8")
    progress(total, total, PAGE)
    return [out_dir / PAGE, *animations, *stills]


def main(argv: Sequence[str] | None = None) -> None:
    """Write the gallery into a folder; existing files are replaced."""
    parser = ArgumentParser(description="Make the gallery: its page and all of its pictures.")
    parser.add_argument("folder", type=Path, help="folder for gallery.md and its pictures")
    write_gallery(parser.parse_args(argv).folder, force=True, progress=progress_bar())


if __name__ == "__main__":
    main()
