"""Recorder of ``docs/training/edge-kernels.json``: shapes of the kernels of ``edge``, and BM3D.

``python docs/_ext/edge.py docs/training/edge-kernels.json`` measures the shipped weights on the
test photos. BM3D is not a dependency: ``pip install bm3d==4.0.3`` in an environment of its own.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import numpy as np

from involution_edu.arrays import Array
from involution_edu.models import EdgeDenoiser, pretrained
from involution_edu.models.edge import SIGMA
from involution_edu.training.scores import WHITE, kernel_shapes, psnr
from involution_edu.training.tasks import load


def bm3d(x: Array) -> Array:
    """Return the photos ``x`` (N, 3, H, W) after the colour version of BM3D."""
    colour, white = import_module("bm3d").bm3d_rgb, WHITE.reshape(3, 1, 1)
    photos = (np.ascontiguousarray((photo / white).transpose(1, 2, 0)) for photo in x)
    return np.stack([colour(photo, SIGMA / 255).transpose(2, 0, 1) * white for photo in photos])


def measure() -> dict[str, float]:
    """Return the shapes of the kernels on the test photos, and the PSNR of BM3D in dB."""
    model, data = pretrained("edge"), load("edge")
    assert isinstance(model, EdgeDenoiser)
    shapes = asdict(kernel_shapes(model, data.x_test, data.y_test))
    return {**shapes, "bm3d": psnr(bm3d(data.x_test), data.y_test)}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(f"{json.dumps(measure())}\n", encoding="utf-8")
