"""Batch norms folded into convolutions: the same outputs, and no wrong ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from involution_edu import models, nn
from involution_edu.arrays import Array


def used(model: nn.Module, x: Array) -> nn.Module:
    """Give every batch norm other numbers than those of a new one."""
    rng = np.random.default_rng(7)
    for _, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            for array in (module.weight.data, module.bias.data, module.running_mean):
                array[...] = rng.uniform(-1, 1, array.shape)
            module.running_var[...] = rng.uniform(0.5, 2, module.running_var.shape)
    return model


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for _, module in model.named_modules())


@pytest.mark.parametrize(
    ("make", "left"), [(models.small_rednet, 3), (models.small_resnet, 0)], ids=["rednet", "resnet"]
)
def test_a_folded_network_computes_the_same(make: Any, left: int) -> None:
    x = np.random.default_rng(0).standard_normal((2, 1, 17, 12))
    model = used(make(10, rng=0, dtype=float), x).eval()
    before = model.state_dict()
    folded = nn.fold_batch_norm(model, x)
    assert norms(folded) == left < norms(model)  # those after an involution
    np.testing.assert_allclose(folded(x), model(x), rtol=1e-10)
    np.testing.assert_allclose(folded(x[:1, :, :9]), model(x[:1, :, :9]), rtol=1e-10)
    assert all(np.array_equal(array, before[name]) for name, array in model.state_dict().items())
    assert not folded.training


def test_a_convolution_keeps_its_bias_and_bands_fold_once() -> None:
    x = np.random.default_rng(0).standard_normal((1, 16, 11, 8))
    layer = nn.Involution2d(16, 3, rng=0, dtype=float, band_rows=2)
    conv = nn.Conv2d(16, 8, 3, rng=1, dtype=float)
    assert conv.bias is not None
    conv.bias.data[...] = np.arange(8.0)
    both = used(nn.Sequential(layer, conv, nn.BatchNorm2d(8, dtype=float)), x)
    folded = nn.fold_batch_norm(both, x)
    assert norms(folded) == 0
    np.testing.assert_allclose(folded(x), both.eval()(x), rtol=1e-12)


class Twice(nn.Module):
    """The output of the convolution is used beside its batch norm."""

    def __init__(self) -> None:
        self.conv, self.bn = nn.Conv2d(3, 3, rng=0, dtype=float), nn.BatchNorm2d(3, dtype=float)

    def forward(self, x: Array) -> Array:
        y = self.conv(x)
        return y + self.bn(y)


def test_a_model_that_cannot_be_folded_is_refused() -> None:
    x = np.random.default_rng(0).standard_normal((1, 3, 4, 5))
    with pytest.raises(ValueError, match="model gives other outputs when folded"):
        nn.fold_batch_norm(used(Twice(), x), x)


def test_a_batch_norm_of_two_convolutions_stays() -> None:
    first, second = (nn.Conv2d(3, 3, rng=n, dtype=float) for n in range(2))
    bn = nn.BatchNorm2d(3, dtype=float)
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    model = used(nn.Sequential(first, bn, second, bn), x)
    folded = nn.fold_batch_norm(model, x)
    assert norms(folded) == norms(model)
    np.testing.assert_array_equal(folded(x), model.eval()(x))
