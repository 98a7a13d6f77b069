"""The layers against PyTorch's autograd."""

from __future__ import annotations

from typing import Any

import needs
import numpy as np
import pytest
from nn_cases import LAYERS, SIMPLE, random, run

from involution_edu import nn
from involution_edu.arrays import Array
from involution_edu.cases import scaled_error

# float32 sums over a whole batch (means, variances, weight gradients) in another order.
LAYER_TOLERANCE = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-11}


def assert_same(ours: dict[str, Array], theirs: dict[str, Array], dtype: Any) -> None:
    assert ours.keys() == theirs.keys()
    scale = max(float(np.abs(a).max()) for a in theirs.values())
    for name, reference in theirs.items():
        # A gradient that is zero in exact arithmetic has no scale of its own.
        error = scaled_error(ours[name], reference) * float(np.abs(reference).max())
        limit = LAYER_TOLERANCE[np.dtype(dtype)]
        assert error <= limit * max(float(np.abs(reference).max()), 1e-3 * scale), name


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_layer_equals_torch(name: str, training: bool, dtype: Any) -> None:
    torch = needs.package("torch")
    import torch_reference as reference

    case = LAYERS[name]
    layer = case.layer(dtype).train(training)
    theirs = reference.TorchInvolution2d(
        case.geometry(),
        channels=case.x_shape[1],
        reduction=case.options.get("reduction", 4),
        sigma=case.options.get("sigma", "bn-relu"),
    )
    theirs = theirs.to(getattr(torch, np.dtype(dtype).name)).train(training)
    reference.load(theirs, layer.state_dict())
    x, dy = random(case.x_shape, dtype, 1), random(case.geometry().y_shape, dtype, 2)
    assert_same(run(layer, x, dy), reference.module_results(theirs, x, dy), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [(7, 8), (6, 9), (5, 5)])
@pytest.mark.parametrize("name", [name for name, (_, spelled) in SIMPLE.items() if spelled])
def test_layers_equal_torch(name: str, size: tuple[int, int], training: bool, dtype: Any) -> None:
    torch = needs.package("torch")
    import torch_reference as reference

    make, spelled = SIMPLE[name]
    ours = make(dtype).train(training)
    for parameter in ours.parameters():
        parameter.data += random(parameter.data.shape, dtype, 5)
    if isinstance(ours, nn.BatchNorm2d):
        ours.running_mean += random((6,), dtype, 6)
        ours.running_var += np.abs(random((6,), dtype, 7))
    theirs = eval(spelled, vars(torch.nn)).to(getattr(torch, np.dtype(dtype).name))
    reference.load(theirs.train(training), ours.state_dict())
    x = random((3, 6, *size), dtype, 8)
    with torch.no_grad():
        dy = random(tuple(theirs(torch.tensor(x)).shape), dtype, 9)
    reference.load(theirs, ours.state_dict())  # that pass moved the running statistics
    assert_same(run(ours, x, dy), reference.module_results(theirs, x, dy), dtype)


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"stride": 1}])
def test_max_pool_gives_equal_pixels_as_torch_does(options: dict[str, int]) -> None:
    torch = needs.package("torch")
    import torch_reference as reference

    x = np.random.default_rng(0).integers(-1, 2, (2, 3, 7, 10)).astype(float)
    x[0, 0] = -np.inf  # the first pixel inside the image, not the padding
    ours, theirs = nn.MaxPool2d(3, **options), torch.nn.MaxPool2d(3, **options)
    dy = random(ours(x).shape, float, 1)
    got, want = run(ours, x, dy), reference.module_results(theirs, x, dy)
    np.testing.assert_array_equal(got["y"], want["y"])
    np.testing.assert_allclose(got["dx"], want["dx"], rtol=1e-12)
    assert np.isclose(got["dx"].sum(), dy.sum(), rtol=1e-12)
