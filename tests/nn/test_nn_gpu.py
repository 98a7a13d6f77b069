"""Layers on a GPU against the CPU. ``pytest -m gpu``."""

from __future__ import annotations

import copy
from typing import Any

import needs
import numpy as np
import pytest
from nn_cases import LAYERS, SIMPLE, random, run

from involution_edu import models, nn
from involution_edu.arrays import as_numpy
from involution_edu.cases import scaled_error

needs.skip_file_without_gpu()
pytestmark = [pytest.mark.gpu, needs.gpu_for("cupy")]
# The sums over a batch run in another order; in float32 they differ in the sixth digit.
TOLERANCES = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-11}


def check(layer: nn.Module, x: Any) -> None:
    """Fail unless a forward and a backward pass give the same results on the GPU as in NumPy."""
    import cupy

    twin = copy.deepcopy(layer).to("cupy")
    dy = random(copy.deepcopy(layer)(x).shape, x.dtype, 1)
    want, got = run(layer, x, dy), run(twin, cupy.asarray(x), cupy.asarray(dy))
    for name, array in got.items():
        error = scaled_error(as_numpy(array), want[name])
        assert error <= TOLERANCES[x.dtype], f"{name} is wrong by {error:.1e}"


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", SIMPLE)
def test_every_layer(name: str, training: bool, dtype: Any) -> None:
    check(SIMPLE[name][0](dtype).train(training), random((3, 6, 7, 8), dtype, 0))


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_involution(name: str, training: bool, dtype: Any) -> None:
    check(LAYERS[name].layer(dtype).train(training), random(LAYERS[name].x_shape, dtype, 0))


@pytest.mark.parametrize("make", [models.small_rednet, models.small_resnet])
def test_a_network(make: Any) -> None:
    model = make(10, rng=0, dtype=np.float64)
    for parameter in model.parameters():
        parameter.data += 0.1 * random(parameter.data.shape, np.float64, 2)
    check(model, random((4, 1, 11, 14), np.float64, 3))
