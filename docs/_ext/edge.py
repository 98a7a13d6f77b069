"""Recorder of ``docs/training/edge-kernels.json``: shapes of the kernels of ``edge``, and BM3D.

``python docs/_ext/edge.py docs/training/edge-kernels.json edge/denoiser-?-weights.npz`` measures
the shipped weights, and those of every seed, on the test photos. BM3D is not a dependency: ``pip install bm3d==4.0.3`` in an environment of its own.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from involution_edu.arrays import Array
from involution_edu.checkpoint import load_weights
from involution_edu.images import STD
from involution_edu.models import EdgeDenoiser, pretrained
from involution_edu.models.edge import SIGMA
from involution_edu.training.scores import WHITE, psnr
from involution_edu.training.tasks import load
from involution_edu.viz import measures


@dataclass(frozen=True, slots=True)
class Shapes:
    """Shapes of the kernels of a layer ``edge``; see `kernel_shapes`.

    Attributes
    ----------
    on_edges, on_flat : float
        Median elongation of the kernels of edge pixels and of flat pixels.
    aligned : float
        Share of the edge pixels whose kernel is within 20 degrees of the edge.
    """

    on_edges: float
    aligned: float
    on_flat: float


def kernel_shapes(model: EdgeDenoiser, noisy: Array, clean: Array) -> Shapes:
    """Return the shapes of the kernels that ``model`` generates for photos ``noisy`` (N, 3, H, W).

    Edge pixels have, in ``clean``, a coherence above 0.5, whatever their contrast; flat pixels have
    a root of the energy of at most 4 grey levels for each pixel. See
    `involution_edu.viz.measures.structure`.
    """
    kernels = model.generate_kernel(noisy).transpose(0, 1, 4, 5, 2, 3)[:, 0]
    of_edges = [measures.structure(photo * STD.reshape(3, 1, 1)) for photo in clean]
    direction, coherence, energy = map(np.array, zip(*of_edges, strict=True))
    edges, flat = coherence > 0.5, energy <= 4**2
    angle, strength = measures.orientation(kernels)  # the strength is (λ1 - λ2) / (λ1 + λ2)
    longer = 2 * strength / (1 + strength)  # 1 - λ2/λ1: 0 for a round dot, 1 for a line
    apart = np.abs((angle - direction + 90) % 180 - 90)
    aligned = float((apart[edges] <= 20).mean())
    return Shapes(float(np.median(longer[edges])), aligned, float(np.median(longer[flat])))


def bm3d(x: Array) -> Array:
    """Return the photos ``x`` (N, 3, H, W) after the colour version of BM3D."""
    colour, white = import_module("bm3d").bm3d_rgb, WHITE.reshape(3, 1, 1)
    photos = (np.ascontiguousarray((photo / white).transpose(1, 2, 0)) for photo in x)
    return np.stack([colour(photo, SIGMA / 255).transpose(2, 0, 1) * white for photo in photos])


def measure(seeds: list[str]) -> dict[str, Any]:
    """Return the shapes of the kernels on the test photos, and the PSNR of BM3D in dB."""
    model, data = pretrained("edge"), load("edge")
    assert isinstance(model, EdgeDenoiser)
    shapes = asdict(kernel_shapes(model, data.x_test, data.y_test))
    of_seeds = []
    for path in seeds:
        load_weights(model, path)
        of_seeds.append(asdict(kernel_shapes(model, data.x_test, data.y_test)))
    return {**shapes, "bm3d": psnr(bm3d(data.x_test), data.y_test), "seeds": of_seeds}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(f"{json.dumps(measure(sys.argv[2:]))}\n", encoding="utf-8")
