"""The PyTorch module of the how-to page gives PyTorch's numbers, and refuses what it cannot do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest

from involution_edu import nn
from involution_edu.cases import scaled_error

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "torch.md"


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """Return the names that the block of the page defines, after running it."""
    needs.package("torch")
    (block,) = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    names: dict[str, Any] = {}
    exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102
    return names


def test_the_step_of_the_page_changed_the_layer(page: dict[str, Any]) -> None:
    layer, before = page["network"][1].layer, nn.Involution2d(32, 5, rng=0)
    for name, array in layer.state_dict().items():
        assert not np.array_equal(array, before.state_dict()[name]), name


def test_its_loss_falls(page: dict[str, Any]) -> None:
    network, x = page["network"], page["x"]
    for _ in range(20):
        page["optimizer"].zero_grad()
        loss = (network(x) - x).square().mean()
        loss.backward()
        page["optimizer"].step()
    assert loss.item() < 0.9 * page["loss"].item()


@pytest.mark.parametrize("training", [True, False])
def test_gradients_equal_torch(page: dict[str, Any], training: bool) -> None:
    torch = page["torch"]
    import torch_reference as reference

    from involution_edu.geometry import make_geometry

    layer = nn.Involution2d(8, 3, groups=2, stride=2, rng=0, dtype=float)
    rng = np.random.default_rng(0)
    for parameter in layer.parameters():
        parameter.data += 0.3 * rng.standard_normal(parameter.data.shape)
    geom = make_geometry((2, 8, 5, 6), 2, 3, stride=2)
    theirs = reference.TorchInvolution2d(geom, channels=8, reduction=4, sigma="bn-relu").double()
    reference.load(theirs, layer.state_dict())
    x, dy = rng.standard_normal((2, 8, 5, 6)), rng.standard_normal(geom.y_shape)
    ours = page["NumpyLayer"](layer).train(training)
    want = reference.module_results(theirs.train(training), x, dy)
    got = reference.module_results(ours, x, dy)
    for name, reference_array in want.items():
        if name in layer.state_dict():  # a buffer, which stays in the layer
            assert scaled_error(layer.state_dict()[name], reference_array) <= 1e-11, name
        else:
            assert scaled_error(got[name.replace(".", "_")], reference_array) <= 1e-11, name
    assert torch.equal(next(ours.parameters()), torch.tensor(layer.parameters()[0].data))


def test_a_second_call_before_backward_is_an_error(page: dict[str, Any]) -> None:
    module, x = page["NumpyLayer"](nn.Involution2d(16, 3)), page["torch"].randn(2, 16, 5, 6)
    total = module(x).sum() + module(x).sum()
    with pytest.raises(RuntimeError, match="was called again before backward"):
        total.backward()


def test_an_input_changed_in_place_is_an_error(page: dict[str, Any]) -> None:
    module, x = page["NumpyLayer"](nn.Involution2d(16, 3)), page["torch"].randn(2, 16, 5, 6)
    y = module(x)
    x += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_a_converted_network_is_refused(page: dict[str, Any]) -> None:
    module = page["NumpyLayer"](nn.Involution2d(16, 3)).double()
    with pytest.raises(TypeError, match="x has dtype float64; need float32"):
        module(page["torch"].randn(2, 16, 5, 6).double())
