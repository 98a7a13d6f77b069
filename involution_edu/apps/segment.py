"""Labels of the digits in a photo or a scene, and the kernels at the borders of the digits."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import ArgumentError
from ..files import check_writable, shown, written_whole
from ..images import load_photo, photo_to_x
from ..models import pretrained
from ..nn import no_grad
from ..training.scenes import SIZE, draw
from ..training.scores import MEAN_IOU, mean_iou

LAYER = "backbone.layer1.0.conv2"  # the involution of the finest features
MIN_SIDE = 8  # pixels of the photo for each of the coarsest features


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Result of `segment`: pixels of each digit, the most first; the mIoU of a scene."""

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
        return "\n".join([*lines, f"Wrote {shown(self.file, 4096)}"])


def segment(
    image: str | os.PathLike[str] | None = None,
    *,
    seed: int = 0,
    out: str | os.PathLike[str] = "segment.png",
    force: bool = False,
) -> Segmentation:
    """Label the digits in a photo with `pretrained("segment")`, and draw labels and kernels.

    Parameters
    ----------
    image : str or path, optional
        As `load_photo` reads; scaled down to 64 pixels. If not given, a scene of the test part.
    seed : int
        Of the scene.
    out, force
        As in `draw_stages`.

    Raises
    ------
    OSError
        If a file cannot be read or written.
    ValueError
        If one has the wrong content, or a package is missing that scenes are composed from.

    Examples
    --------
    >>> import tempfile
    >>> segment(out=Path(tempfile.mkdtemp(), "scene.png")).image
    'scene 0'
    """
    file, truth = Path(out), None
    if file.suffix != ".png":
        raise ArgumentError("out", f"is {file}", "a name that ends in .png")
    check_writable(file, force=force)
    if image is None:
        try:
            photo, truth, _ = draw("test", seed, 0)
        except ModuleNotFoundError as error:
            need = f"a photo, or {error.name} to compose one: pip install 'involution-edu[train]'"
            raise ArgumentError("image", "is missing", need) from None
    else:
        photo = load_photo(Path(image), SIZE)[0]
        if min(photo.shape[:2]) < MIN_SIDE:
            got = f"is {image}, scaled to {photo.shape[0]} x {photo.shape[1]} pixels"
            raise ArgumentError("image", got, f"at least {MIN_SIDE} rows and columns")
    network, x = pretrained("segment"), photo_to_x(photo)
    with no_grad():
        logits = network(x)
    counts = np.bincount(logits.argmax(axis=1).ravel(), minlength=11)[1:]
    pixels = {str(digit): int(counts[digit]) for digit in np.argsort(-counts) if counts[digit]}

    from ..viz import record
    from ..viz.figures.labels import segmentation

    trace = record(network, x, layer=LAYER)
    figure = segmentation(photo, truth, logits[0].argmax(axis=0), trace)
    with written_whole(file, force=force) as temporary:
        figure.savefig(temporary, format="png")
    miou = None if truth is None else mean_iou(logits, truth[np.newaxis])
    name = f"scene {seed}" if image is None else Path(image).name
    return Segmentation(name, pixels, miou, str(file))
