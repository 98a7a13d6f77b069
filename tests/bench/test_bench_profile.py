"""The profile of a network: every layer once, its time, and the sums."""

from __future__ import annotations

import json
import time

import pytest

from involution_edu import nn
from involution_edu.arrays import Array
from involution_edu.bench.profile import profile
from involution_edu.cli import main
from involution_edu.complexity.costs import COSTS


class Slow(nn.ReLU):
    """A ReLU that takes 20 ms at least."""

    def forward(self, x: Array) -> Array:
        time.sleep(0.02)
        return super().forward(x)


def test_the_time_of_a_layer_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COSTS, Slow, lambda layer, x, y: (0, 0))
    involution = nn.Involution2d(16, 3, band_rows=2, rng=0)
    model = nn.Sequential(nn.Conv2d(3, 16, rng=0), Slow(), involution, nn.ReLU())
    found = profile(model, (3, 8, 6), "made up", rounds=3)
    by_name = {layer.name: layer for layer in found.layers}
    assert list(by_name) == [
        "0",
        "1",
        "2.conv1.conv",
        "2.conv1.bn",
        "2.conv1.relu",
        "2.conv2.conv",
        "2",
        "3",
    ]
    assert by_name["1"].ms >= 20 > sum(layer.ms for name, layer in by_name.items() if name != "1")
    assert found.ms >= sum(layer.ms for layer in found.layers) * (1 - 1e-6)
    assert by_name["2"].macs == 16 * 8 * 6 * 9
    assert not any(module._hooks for _, module in model.named_modules())
    table = found.text().splitlines()
    assert table[0].startswith("made up, one image of 3 × 8 × 6: ")
    (row,) = (line.split() for line in table if line.startswith("Slow"))
    assert row[1] == "1"
    assert row[-1] == "█" * 30


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--profile", "rednet26", "--rounds", "1", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert {layer["kind"] for layer in data["layers"]} >= {"Involution2d", "Conv2d", "BatchNorm2d"}
    assert main(["bench", "--profile", "rednet26", "--backends", "shifts"]) == 2
    assert "backends" in capsys.readouterr().err
