"""Complexity counted by hand, by PyTorch and as published; a wrong network gives a wrong count."""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from pathlib import Path

import needs
import numpy as np
import pytest

from involution_edu import models, nn
from involution_edu.arrays import Array
from involution_edu.cli import main
from involution_edu.complexity import Complexity, change, count
from involution_edu.models.pretrained import pretrained
from involution_edu.models.rednet import BLOCKS

# By depth: parameters recounted; FLOPs in G, and per cent fewer than ResNet in parameters and in
# FLOPs, as published in the paper.
PUBLISHED = {
    26: (9_233_166, 1.73, 32.8, 29.2),
    38: (12_386_986, 2.22, 36.7, 31.3),
    50: (15_540_806, 2.71, 39.5, 34.1),
    101: (25_652_950, 4.74, 42.6, 40.5),
    152: (33_984_582, 6.79, 43.5, 41.4),
}


PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "complexity.md"


def check_rednet(depth: int, cost: Complexity) -> None:
    parameters, flops, *_ = PUBLISHED[depth]
    assert cost.parameters == parameters
    assert cost.macs / 1e9 == pytest.approx(flops, rel=0.03)
    assert cost.operations / 1e9 == pytest.approx(flops, rel=0.012)


@pytest.mark.parametrize("depth", PUBLISHED)
def test_the_counts_and_savings_are_the_published_ones(depth: int) -> None:
    rednet, resnet = (count(make(depth, rng=0)) for make in (models.rednet, models.resnet))
    check_rednet(depth, rednet)
    _, _, parameters, flops = PUBLISHED[depth]
    assert -change(rednet.parameters, resnet.parameters) == pytest.approx(parameters, abs=1)
    # The published percentages follow from the published figures rounded to one decimal.
    rounded = [round(cost.operations / 1e9, 1) for cost in (rednet, resnet)]
    assert -change(*rounded) == pytest.approx(flops, abs=1)
    row = [f"{depth}", f"{rednet.parameters:,}", f"{resnet.parameters:,}"]
    for counts in ((rednet.macs, resnet.macs), (rednet.operations, resnet.operations)):
        row += [f"{a / 1e9:.3f}" for a in counts]
    assert f"| {' | '.join(row)} | {PUBLISHED[depth][1]} |" in PAGE.read_text(encoding="utf-8")


def wrong_window() -> models.ResidualNetwork:
    spatial = partial(nn.Involution2d, kernel_size=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sys.modules["involution_edu.models.rednet"], "partial", lambda *_, **__: spatial
        )
        return models.rednet26(rng=0)


def wrong_stride() -> models.ResidualNetwork:
    model = models.rednet26(rng=0)
    for name, module in model.named_modules():
        if name == "layer3.0.conv2.":
            assert isinstance(module, nn.Involution2d)
            module.stride, module.pool = (1, 1), nn.Sequential()
        if name == "layer3.0.downsample.0.":
            assert isinstance(module, nn.Conv2d)
            module.stride = 1, 1
    return model


def wrong_blocks() -> models.ResidualNetwork:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BLOCKS, 26, (1, 2, 3, 1))
        return models.rednet26(rng=0)


@pytest.mark.parametrize("make", [wrong_window, wrong_stride, wrong_blocks])
def test_a_wrong_network_gives_a_wrong_count(make: object) -> None:
    assert callable(make)
    with pytest.raises(AssertionError):
        check_rednet(26, count(make()))


@pytest.mark.parametrize("family", ["rednet", "resnet"])
def test_pytorch_counts_the_same_products_in_convolutions(family: str) -> None:
    torch = needs.package("torch")
    import torch_resnet
    from torch.utils.flop_counter import FlopCounterMode

    from involution_edu.bench import torch_networks

    with torch.device("meta"), FlopCounterMode(display=False) as counter:  # shapes alone
        make = torch_networks.rednet if family == "rednet" else torch_resnet.resnet
        make(BLOCKS[26])(torch.empty(2, 3, 64, 97))
    cost = count(getattr(models, family)(26, rng=0), (3, 64, 97))
    applied = sum(a.macs for a in cost.layers if a.kind == "Involution2d")
    assert 2 * 2 * (cost.macs - applied) == counter.get_total_flops()  # of two images
    assert (applied > 0) == (family == "rednet")


def test_a_layer_of_each_kind_counted_by_hand() -> None:
    model = nn.Sequential(
        conv=nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False),
        bn=nn.BatchNorm2d(4),
        relu=nn.ReLU(),
        involution=nn.Involution2d(4, (3, 5), groups=2, reduction=2, stride=2),
        largest=nn.MaxPool2d(2),
        mean=nn.GlobalAvgPool2d(),
        fc=nn.Linear(4, 3),
    )
    found = {
        a.name: (a.shape, a.parameters, a.macs, a.operations)
        for a in count(model, (2, 9, 16)).layers
    }
    macs = 4 * 2 * 9 * 5 * 8, 4 * 3 * 4 * 15, 2 * 4 * 3 * 4, 30 * 2 * 3 * 4
    assert found == {
        "conv": ((4, 5, 8), 72, macs[0], macs[0]),
        "bn": ((4, 5, 8), 8, 0, 2 * 160),
        "relu": ((4, 5, 8), 0, 0, 160),
        "involution": ((4, 3, 4), 0, macs[1], macs[1]),
        "involution.pool": ((4, 3, 4), 0, 0, 160),
        "involution.conv1.conv": ((2, 3, 4), 8, macs[2], macs[2]),
        "involution.conv1.bn": ((2, 3, 4), 4, 0, 2 * 24),
        "involution.conv1.relu": ((2, 3, 4), 0, 0, 24),
        "involution.conv2.conv": ((30, 3, 4), 90, macs[3], macs[3] + 360),
        "largest": ((4, 1, 2), 0, 0, 48),
        "mean": ((4,), 0, 0, 8),
        "fc": ((3,), 15, 12, 15),
    }


def test_a_module_that_runs_twice_costs_twice_and_has_its_parameters_once() -> None:
    conv, once = nn.Conv2d(4, 4, 3, padding=1), (4, 5, 6)
    single, double = count(conv, once), count(nn.Sequential(conv, nn.ReLU(), conv), once)
    assert (double.parameters, double.macs) == (single.parameters, 2 * single.macs)
    assert double.operations == 2 * single.operations + 4 * 5 * 6
    assert [layer.name for layer in double.layers] == ["0", "1"]

    class Twice(nn.Module):
        def __init__(self) -> None:
            self.conv = conv

        def forward(self, x: Array) -> Array:
            return self.conv(self.conv(x))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("involution_edu.complexity.CONTAINERS", (nn.Sequential, Twice))
        twice = count(Twice(), once)
    assert (twice.parameters, twice.macs) == (single.parameters, 2 * single.macs)


@pytest.mark.parametrize("mode", [True, False])
def test_bands_do_not_change_the_counts(mode: bool) -> None:
    layer = nn.Involution2d(16, 3, stride=2, rng=0).train(mode)
    cost = count(layer, (16, 9, 12))
    layer.band_rows = 2
    assert count(layer, (16, 9, 12)) == cost
    shapes = {a.name: a.shape for a in cost.layers}
    assert shapes["conv1.conv"] == (4, 5, 6)


@pytest.mark.parametrize("mode", [True, False])
def test_counting_leaves_the_network_as_it_was(mode: bool) -> None:
    model = models.small_rednet(3, rng=0).train(mode)
    x = np.random.default_rng(0).standard_normal((2, 1, 8, 9)).astype(np.float32)
    before, y = model.state_dict(), model.eval()(x)
    model.train(mode)
    cost = count(model, (1, 8, 9))
    assert cost == count(model.train(not mode), (1, 8, 9))
    with pytest.raises(ValueError, match=r"^x has shape"):
        count(model, (2, 8, 9))
    assert not any(module._hooks for _, module in model.named_modules())
    after = model.state_dict()
    assert all((after[name] == a).all() for name, a in before.items())
    np.testing.assert_array_equal(model.eval()(x), y)


def test_a_layer_without_a_known_cost_is_named() -> None:
    class Squared(nn.Module):
        def forward(self, x: Array) -> Array:
            return x * x

    with pytest.raises(TypeError, match=r"^model has 'odd', a Squared; need layers whose operatio"):
        count(nn.Sequential(odd=Squared()), (1, 2, 2))


def test_the_command_prints_layers_stages_and_savings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["complexity", "rednet26", "--against", "resnet26"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    lines = [line.split() for line in out.splitlines()]
    assert ["layer1.0.conv3", "256", "×", "56", "×", "56", "16,384", "51,380,224"] in lines
    assert ["total", "9,233,166", "1,685,176,832"] in lines
    assert ["total", "9.23", "13.70", "-32.6%", "1685.18", "2342.26", "-28.1%"] in lines
    assert "parameters -32.8 %, operations -29.2 %." in out
    assert out.startswith("rednet26 against resnet26 for one image of 3 × 224 × 224\n")
    assert out.index("parameters -32.8 %") < out.index("layer1.0.conv3")


def test_the_command_gives_json_for_any_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["complexity", "rednet26", "--against", "rednet38", "--size", "33", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["image"] == [3, 33, 33]
    assert data["parameters"] == sum(layer["parameters"] for layer in data["layers"]) == 9_233_166
    assert data["macs"] == sum(layer["macs"] for layer in data["layers"])
    assert data["against"]["model"] == "rednet38"
    assert data["against"]["parameters"] == 12_386_986


def test_the_models_that_ship_with_weights_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    for name, image in {"digits": "1 × 8 × 8", "edge": "3 × 224 × 224"}.items():
        assert main(["complexity", name, "--against", "salt-and-pepper"]) == 0
        out = capsys.readouterr().out
        total = sum(parameter.data.size for parameter in pretrained(name).parameters())
        assert f"{name} for one image of {image}\n" in out
        assert f"{total:,}" in out
        assert re.search(r"^(layer1.0.conv2 )?apply ", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rednet26", "--size", "0"], "size is 0; need an int >= 1"),
        (["rednet27"], "model is 'rednet27'; need one of"),
        (["rednet26", "--against", "vgg16"], "--against is 'vgg16'; need one of 'rednet26'"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: object = main(["complexity", *arguments])
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
