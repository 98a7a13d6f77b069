"""A RedNet saved by PyTorch, and in Paddle's format, gives the same logits here."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest

import involution_edu as inv
from involution_edu import models

torch = needs.package("torch")

BLOCKS = (1, 2, 4, 1)  # of RedNet-26
CLASSES = 11
PADDLE = {"running_mean": "_mean", "running_var": "_variance"}


@pytest.fixture(scope="module")
def theirs() -> Any:
    """Return a RedNet-26 of PyTorch with random weights and statistics."""
    from involution_edu.bench import torch_networks

    torch.manual_seed(0)
    network = torch_networks.rednet(BLOCKS, CLASSES)
    for name, parameter in network.named_parameters():
        if ".bn" in name or name.endswith("bias"):
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():  # moves the running statistics to where the numbers keep their size
        network(torch.randn(4, 3, 48, 64))
    return network.eval()


def as_mmcls(state: dict[str, Any]) -> dict[str, Any]:
    """Return the names of a classifier in the authors' program."""
    return {("head." if k.startswith("fc.") else "backbone.") + k: v for k, v in state.items()}


def as_paddle(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of the same network in Paddle."""
    named = {}
    for key, tensor in state.items():
        prefix, _, name = key.rpartition(".")
        if name != "num_batches_tracked":
            named[f"{prefix}.{PADDLE.get(name, name)}"] = tensor.numpy()
    named["fc.weight"] = np.ascontiguousarray(named["fc.weight"].T)
    return {**named, "StructuredToParameterName@@": {key: f"w_{key}" for key in named}}


def write_torch(path: Path, state: dict[str, Any]) -> None:
    torch.save(state, path)


def write_mmcls(path: Path, state: dict[str, Any]) -> None:
    torch.save({"meta": {"epoch": 130}, "state_dict": as_mmcls(state), "optimizer": {}}, path)


def write_parallel(path: Path, state: dict[str, Any]) -> None:
    torch.save({"model": {f"module.{name}": tensor for name, tensor in state.items()}}, path)


def write_paddle(path: Path, state: dict[str, Any]) -> None:
    path.write_bytes(pickle.dumps(as_paddle(state), protocol=2))


@pytest.mark.parametrize("write", [write_mmcls, write_paddle])
def test_a_rednet_of_another_program_gives_its_logits(
    write: Any, theirs: Any, tmp_path: Path
) -> None:
    write(tmp_path / "weights", theirs.state_dict())
    ours = models.rednet26(CLASSES, rng=1).eval()
    inv.load_weights(ours, tmp_path / "weights")
    x = np.random.default_rng(0).standard_normal((2, 3, 40, 64)).astype(np.float32)
    with torch.no_grad():
        want = theirs(torch.tensor(x)).numpy()
    assert np.abs(want - want[0]).max() > 0.1 * np.abs(want).max()  # the photos matter
    np.testing.assert_allclose(ours(x), want, atol=1e-4 * np.abs(want).max())


@pytest.mark.parametrize("write", [write_torch, write_parallel])
def test_a_rednet_inside_other_dicts_is_the_same(write: Any, theirs: Any, tmp_path: Path) -> None:
    write(tmp_path / "weights", theirs.state_dict())
    state = inv.load_checkpoint(tmp_path / "weights")
    want = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    assert list(state) == list(want)
    for name, array in state.items():
        np.testing.assert_array_equal(array, want[name], err_msg=name)
