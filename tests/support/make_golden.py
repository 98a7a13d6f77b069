"""Record results of PyTorch, for tests on machines without it.

Run from the repository's root, with torch installed::

    python tests/support/make_golden.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from nn_cases import LAYERS
from torch_reference import TorchInvolution2d, load, module_results, operator_results

from involution_edu.cases import AWKWARD, random_operands
from involution_edu.files import written_whole

FOLDER = Path(__file__).parents[1] / "golden"


def operator_golden() -> dict[str, np.ndarray]:
    """Return the operands and results of every awkward case, keyed "case/array"."""
    arrays = {}
    for seed, (name, geom) in enumerate(AWKWARD.items()):
        if geom.N == 0:  # torch's unfold refuses it
            continue
        x, kernel, dy = random_operands(geom, np.float64, seed)
        results = operator_results(x, kernel, dy, geom)
        for key, array in {"x": x, "kernel": kernel, "in_dy": dy, **results}.items():
            arrays[f"{name}/{key}"] = array
    return arrays


def layer_golden() -> dict[str, np.ndarray]:
    """Return the state, input and results of every layer, keyed "case/array"."""
    arrays = {}
    for seed, (name, case) in enumerate(LAYERS.items()):
        layer = case.layer(np.float64)
        x, _, dy = random_operands(case.geometry(), np.float64, seed)
        x = np.random.default_rng(seed).standard_normal(case.x_shape)
        reference = TorchInvolution2d(
            case.geometry(),
            channels=case.x_shape[1],
            reduction=case.options.get("reduction", 4),
            sigma=case.options.get("sigma", "bn-relu"),
        ).double()
        load(reference, layer.state_dict())
        state = {f"state/{key}": array for key, array in layer.state_dict().items()}
        results = module_results(reference, x, dy)
        for key, array in {**state, "in_x": x, "in_dy": dy, **results}.items():
            arrays[f"{name}/{key}"] = array
    return arrays


if __name__ == "__main__":
    torch.manual_seed(0)
    FOLDER.mkdir(exist_ok=True)
    for name, arrays in (("operator", operator_golden()), ("layer", layer_golden())):
        with written_whole(FOLDER / f"{name}.npz", force=True) as path:
            np.savez_compressed(path, allow_pickle=False, **arrays)
