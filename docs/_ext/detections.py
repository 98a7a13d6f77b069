"""Maker of ``docs/training/detect-scenes.png``, test scenes with the boxes that a detector finds.

``python docs/_ext/detections.py detect/rednet-inv-0-weights.npz docs/training/detect-scenes.png``,
with the weights that ``involution-edu train detect`` has written.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from involution_edu import load_weights
from involution_edu.files import written_whole
from involution_edu.images import x_to_photo
from involution_edu.nn import no_grad
from involution_edu.training import detect

ROWS, COLUMNS, CERTAIN = 2, 6, 0.4


def draw(model: Any, path: Path) -> None:
    """Draw the first scenes of the test: dashed, the boxes of the digits; in lines, those found."""
    x, targets = detect.scenes_of("test", ROWS * COLUMNS)
    with no_grad():
        found = model.eval().predict(x, score=CERTAIN)
    figure = Figure(figsize=(12, 4.4), layout="constrained")
    axes = figure.subplots(ROWS, COLUMNS).ravel()
    for ax, photo, objects, detections in zip(axes, x, targets, found, strict=True):
        ax.imshow(x_to_photo(photo[None]), interpolation="nearest")
        ax.set_axis_off()
        for x0, y0, x1, y1 in objects.boxes - 0.5:
            ax.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, ec="white", fc="none", ls="--"))
        for box, label, score in zip(
            detections.boxes - 0.5, detections.labels, detections.scores, strict=True
        ):
            x0, y0, x1, y1 = box
            ax.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, ec="black", fc="none", lw=2.5))
            ax.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, ec="yellow", fc="none", lw=1.2))
            style = {"facecolor": "yellow", "edgecolor": "none", "pad": 1}
            ax.text(x0 + 1, y0 + 1, f"{label}: {100 * score:.0f} %", va="top", size=7, bbox=style)
    with written_whole(path, force=True) as temporary:
        figure.savefig(temporary, dpi=110)


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the detections of a network with trained weights."""
    parser = ArgumentParser(description="Draw test scenes with the boxes that a detector finds.")
    parser.add_argument("weights", type=Path, help="rednet-inv-SEED-weights.npz of a training")
    parser.add_argument("picture", type=Path, help="the PNG file to write or replace")
    args = parser.parse_args(argv)
    model = detect.detector("inv", "inv", 0)
    load_weights(model, args.weights)
    draw(model, args.picture)


if __name__ == "__main__":
    main()
