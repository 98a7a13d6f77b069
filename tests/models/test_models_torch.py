"""RedNet and ResNet give the numbers of PyTorch: stages, logits, every gradient and buffer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import needs
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from involution_edu import models, nn
from involution_edu.arrays import Array
from involution_edu.models.rednet import BLOCKS

torch = needs.package("torch")

import torch_resnet

from involution_edu.bench import torch_networks

torch.set_num_threads(1)
Numbers = dict[str, Array]


def stir(model: models.ResidualNetwork, x: Array, *, clear_of_kinks: bool) -> None:
    """Change batch normalisation from its initial state, with buffers updated from ``x``.

    With ``clear_of_kinks`` no number that a ReLU is given is near 0: in float32, rounding would
    move some to the other side, and so change gradients by far more than rounding does.
    """
    rng = np.random.default_rng(7)
    norms = {name: m for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    for name, bn in norms.items():
        size = bn.weight.data.shape
        sign, ends_block = rng.choice([-1, 1], size), "bn3" in name or "downsample" in name
        low, high = (0.1, 0.2) if clear_of_kinks or ends_block else (0.5, 1.5)
        bn.weight.data[...] = sign * rng.uniform(low, high, size)
        bn.bias.data[...] = (
            rng.uniform(1.0, 1.5, size) * (1 if ends_block else sign)
            if clear_of_kinks
            else rng.standard_normal(size)
        )
        bn.momentum = 1.0
    model.train()(x)
    for bn in norms.values():
        bn.momentum = 0.1


def smallest_lead(network: Any, x: Array) -> float:
    """Return the smallest margin of the largest number over the windows of the max pooling."""
    with torch.no_grad():
        stem = network.features(torch.tensor(x, dtype=torch.float64))["stem"].numpy()
    padded = np.pad(stem, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    windows = sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::2, ::2]
    windows = np.partition(windows.reshape(-1, 9), 7)  # the largest last, the second before it
    alive = windows[:, -1] > 0  # where ReLU left nothing, no gradient comes through
    return float((windows[alive, -1] - windows[alive, -2]).min())


def ours(model: models.ResidualNetwork, x: Array, dy: Numbers) -> Numbers:
    """Return all numbers of one pass: stages, logits, gradients and buffers."""
    model.zero_grad()
    stages = model.features(x)
    *_, last = stages
    y = model.fc(model.avgpool(stages[last]))
    dstages = {name: a for name, a in dy.items() if name != "logits"}
    if "logits" in dy:
        dlast = model.avgpool.backward(model.fc.backward(dy["logits"]))
        dstages[last] = dlast + dstages.get(last, 0)
    dx = model.features_backward(dstages)
    learned = model.named_parameters()
    gradients = {f"d{name}": p.grad for name, p in learned.items()}
    buffers = {name: a for name, a in model.state_dict().items() if name not in learned}
    return {**stages, "logits": y, "dx": dx, **gradients, **buffers}


def theirs(network: Any, x: Array, dy: Numbers) -> Numbers:
    """Return the same of PyTorch."""
    tx = torch.tensor(x, requires_grad=True)
    outputs = network.features(tx)
    outputs["logits"] = network.fc(outputs[list(outputs)[-1]].mean(dim=(2, 3)))
    torch.autograd.backward([outputs[name] for name in dy], list(map(torch.tensor, dy.values())))
    gradients = {
        f"d{name}": torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in network.named_parameters()
    }
    numbers = {**outputs, "dx": tx.grad, **gradients, **dict(network.named_buffers())}
    return {name: tensor.detach().numpy() for name, tensor in numbers.items()}


def twin(network: Any, model: models.ResidualNetwork) -> Any:
    """Return a network of PyTorch in float64 with the state and the mode of ``model``."""
    state = {name: torch.tensor(array) for name, array in model.state_dict().items()}
    network.double().load_state_dict(state, strict=True)
    return network.train(model.training)


def check(got: Numbers, want: Numbers, tolerance: float, *, by_layer: bool) -> None:
    """Fail on the first wrong number; with ``by_layer`` on the scale of the layer's gradients.

    The gradient of a bias whose output is normalised next is 0 and has no scale of its own.
    """
    assert got.keys() == want.keys()
    scale: dict[str, float] = {}
    for name, a in want.items():
        layer = name.rpartition(".")[0] if by_layer and "." in name else name
        scale[layer] = max(scale.get(layer, 0.0), float(np.abs(a).max()))
    for name, a in want.items():
        assert got[name].shape == a.shape, name
        layer = name.rpartition(".")[0] if by_layer and "." in name else name
        error = float(np.abs(got[name] - a).max()) / (scale[layer] or 1.0)
        assert error <= tolerance, f"{name} is wrong by {error:.1e}"


Make = Callable[..., models.ResidualNetwork]


def small_twin(spatial: Any, blocks: tuple[int, ...], in_channels: int) -> Any:
    stem = {"stem": torch_networks.unit(in_channels, 16, 3)}
    return torch_networks.network(stem, blocks, spatial, 5, channels=16, in_channels=16)


FAMILIES: dict[str, tuple[Make, Callable[..., Any]]] = {
    "rednet": (models.rednet, torch_networks.rednet),
    "resnet": (models.resnet, torch_resnet.resnet),
}


def pair(
    family: str, depth: int, dtype: Any, shape: tuple[int, int], training: bool
) -> tuple[models.ResidualNetwork, Any, Array]:
    """Return a network, its twin, and an input; for float32 one that rounding cannot upset."""
    make, make_torch = FAMILIES[family]
    clear = dtype == np.float32
    model = make(depth, 10, rng=0, dtype=dtype)
    for seed in range(100):
        x = np.random.default_rng(seed).standard_normal((2, 3, *shape)).astype(dtype)
        stir(model, x, clear_of_kinks=clear)
        network = twin(make_torch(BLOCKS[depth], 10), model.train(training))
        if not clear or smallest_lead(network, x) > 1e-6:
            break
    return model, twin(network, model), x


def random_gradients(like: Numbers) -> Numbers:
    rng = np.random.default_rng(2)
    return {name: rng.standard_normal(a.shape).astype(a.dtype) for name, a in like.items()}


NETWORKS = [("rednet", 26), ("rednet", 50), ("resnet", 26)]


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize(("family", "depth"), NETWORKS)
def test_float64_equals_pytorch(family: str, depth: int, training: bool) -> None:
    model, network, x = pair(family, depth, np.float64, (65, 99), training)
    dy = random_gradients({"logits": np.empty((2, 10))})
    want = theirs(network, x, dy)
    check(ours(model, x, dy), want, 1e-9, by_layer=False)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize(("family", "depth"), NETWORKS)
def test_float32_equals_pytorch(family: str, depth: int, training: bool) -> None:
    model, network, x = pair(family, depth, np.float32, (64, 96), training)
    state = model.state_dict()
    dy = random_gradients({**model.features(x), "logits": np.empty((len(x), 10), np.float32)})
    model.load_state_dict(state)
    want = theirs(network, x.astype(float), {name: a.astype(float) for name, a in dy.items()})
    check(ours(model, x, dy), want, 1e-4, by_layer=True)


def small(family: str) -> tuple[models.ResidualNetwork, Any, Array]:
    """Return a small network in training mode, its twin, and an input of odd sizes."""
    blocks = 1, 2
    x = np.random.default_rng(3).standard_normal((3, 2, 9, 13))
    if family == "rednet":
        options: Any = {"kernel_size": 5, "group_channels": 8, "reduction": 2}
        model = models.small_rednet(5, 2, blocks=blocks, rng=0, dtype=float, **options)
        spatial: Any = lambda c, s: torch_networks.involution(c, s, 5, 8, 2)
    else:
        model = models.small_resnet(5, 2, blocks=blocks, rng=0, dtype=float)
        spatial = torch_resnet.convolution
    stir(model, x, clear_of_kinks=False)
    return model, twin(small_twin(spatial, blocks, 2), model), x


@pytest.mark.parametrize("given", [("logits",), ("stem",), ("layer1", "stem"), ("layer2",)])
@pytest.mark.parametrize("family", FAMILIES)
def test_small_networks_equal_pytorch_from_any_stage(family: str, given: tuple[str, ...]) -> None:
    model, network, x = small(family)
    shapes = {"logits": (3, 5), "stem": (3, 16, 9, 13), "layer1": (3, 64, 9, 13)}
    shapes["layer2"] = 3, 128, 5, 7
    dy = random_gradients({name: np.empty(shapes[name]) for name in given})
    want = theirs(network, x, dy)
    got = ours(model, x, dy)
    check(got, want, 1e-9, by_layer=False)


def drop_shortcut(self: models.Bottleneck, dy: Array) -> Array:
    dx = self.relu3.backward(dy)
    for module in reversed(self._branch()):
        dx = module.backward(dx)
    return dx


def drop_branch(self: models.Bottleneck, dy: Array) -> Array:
    return self.downsample.backward(self.relu3.backward(dy))


def add_after_relu(self: models.Bottleneck, x: Array) -> Array:
    y = x
    for module in self._branch():
        y = module(y)
    return self.relu3(y) + self.downsample(x)


FAULTS: dict[str, tuple[str, Any, str]] = {
    "the shortcut's gradient is dropped": ("backward", drop_shortcut, "dx"),
    "the branch's gradient is dropped": ("backward", drop_branch, "dx"),
    "the shortcut is added after ReLU": ("forward", add_after_relu, "layer1"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, wrong, first = FAULTS[fault]
    monkeypatch.setattr(models.Bottleneck, name, wrong)
    model, network, x = small("rednet")
    dy = random_gradients({"logits": np.empty((3, 5))})
    with pytest.raises(AssertionError, match=f"^{first} is wrong by"):
        check(ours(model, x, dy), theirs(network, x, dy), 1e-9, by_layer=False)
