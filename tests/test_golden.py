"""Every rung and the layer against results recorded with PyTorch; torch itself is not needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checks import RUNGS
from nn_cases import LAYERS, run

import involution_edu as inv
from involution_edu.arrays import Array
from involution_edu.cases import AWKWARD, TOLERANCE, operator_options, scaled_error

FOLDER = Path(__file__).parent / "golden"
FLOAT64 = TOLERANCE[np.dtype(np.float64)]


def recorded(file: str, case: str) -> dict[str, Array]:
    with np.load(FOLDER / file) as arrays:
        found = {
            key.removeprefix(f"{case}/"): arrays[key] for key in arrays if key.startswith(case)
        }
    assert found, f"{file} has no case {case!r}: run tests/support/make_golden.py"
    return found


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("case", [name for name, geom in AWKWARD.items() if geom.N])
def test_operator(case: str, rung: str) -> None:
    golden, options = recorded("operator.npz", case), operator_options(AWKWARD[case])
    x, kernel, dy = golden["x"], golden["kernel"], golden["in_dy"]
    y = inv.involution(x, kernel, **options, backend=rung)
    dx, dkernel = inv.involution_backward(dy, x, kernel, **options, backend=rung)
    for name, array in {"y": y, "dx": dx, "dkernel": dkernel}.items():
        assert scaled_error(array, golden[name]) <= FLOAT64, name


@pytest.mark.parametrize("case", LAYERS)
def test_layer(case: str) -> None:
    golden = recorded("layer.npz", case)
    layer = LAYERS[case].layer(np.float64)
    layer.load_state_dict(
        {key.removeprefix("state/"): a for key, a in golden.items() if key.startswith("state/")}
    )
    results = run(layer, golden["in_x"], golden["in_dy"])
    assert {key for key in golden if not key.startswith(("state/", "in_"))} == results.keys()
    for name, array in results.items():
        assert scaled_error(array, golden[name]) <= FLOAT64, name
