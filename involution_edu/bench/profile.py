"""Times of the layers of a network, in a forward pass of one image."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .. import nn
from ..arrays import Array
from ..complexity import Complexity, count
from ..progress import Progress, no_progress

BAR = 30  # characters of the longest bar


@dataclass(frozen=True, slots=True)
class LayerTime:
    """The shortest time of one layer; its row of `complexity` has the same name."""

    name: str
    kind: str
    ms: float
    macs: int


@dataclass(frozen=True, slots=True)
class Profile:
    """The times of all layers of a network, for one image in evaluation mode."""

    model: str
    image: tuple[int, ...]
    ms: float  # of the whole network, at its fastest
    layers: tuple[LayerTime, ...]
    ok = True

    def data(self) -> dict[str, Any]:
        """Return the times as plain data."""
        return asdict(self)

    def text(self) -> str:
        """Return a table by kind of layer, and one by stage, each with bars."""
        size = " × ".join(map(str, self.image))
        head = f"{self.model}, one image of {size}: {self.ms:.1f} ms"
        kinds = self._table("kind of layer", [layer.kind for layer in self.layers])
        places = [".".join(layer.name.split(".")[:2]) for layer in self.layers]
        note = "A layer's time runs from the end of the layer before it to its own end."
        return "\n".join([head, "", *kinds, "", *self._table("place", places), "", note])

    def _table(self, title: str, labels: list[str]) -> list[str]:
        """Return the times summed by label, in the order of their first layer."""
        sums: dict[str, list[float]] = {}
        for label, layer in zip(labels, self.layers, strict=True):
            row = sums.setdefault(label, [0, 0.0, 0])
            for column, number in enumerate((1, layer.ms, layer.macs)):
                row[column] += number
        whole, longest = (f(row[1] for row in sums.values()) for f in (sum, max))
        lines = [f"{title:20}{'calls':>6}{'ms':>9}{'share':>8}{'GFLOP/s':>9}"]
        for label, (calls, ms, macs) in sums.items():
            rate = f"{2e-6 * macs / ms:.1f}" if macs else "-"
            line = f"{label:20}{calls:>6.0f}{ms:>9.2f}{ms / whole:>8.1%}{rate:>9}"
            lines.append(f"{line}  {'█' * round(BAR * ms / longest)}".rstrip())
        return lines


def profile(
    model: nn.Module,
    image: tuple[int, int, int],
    name: str,
    *,
    rounds: int = 10,
    progress: Progress = no_progress,
) -> Profile:
    """Return the shortest times of the layers of ``model`` in ``rounds`` passes of one image."""
    costs: Complexity = count(model.eval(), image, name)
    kinds = {layer.name: layer for layer in costs.layers}
    x = np.random.default_rng(0).standard_normal((1, *image)).astype(np.float32)
    names: dict[nn.Module, str] = {}
    for path, module in model.named_modules():
        if path.rstrip(".") in kinds:
            names.setdefault(module, path.rstrip("."))
    ends: list[tuple[str, float]] = []

    def record(module: nn.Module, x: Array, y: Array) -> None:
        ends.append((names[module], time.perf_counter()))

    best: dict[str, float] = {}
    shortest = np.inf
    with nn.no_grad(), ExitStack() as stack:
        model(x)  # compiles
        for module in names:
            stack.enter_context(module.register_forward_hook(record))
        for number in range(rounds):
            ends.clear()
            start = last = time.perf_counter()
            model(x)
            shortest = min(shortest, time.perf_counter() - start)
            times: dict[str, float] = {}
            for layer, end in ends:  # one that works in bands has several ends
                times[layer] = times.get(layer, 0.0) + end - last
                last = end
            best = {layer: min(t, best.get(layer, np.inf)) for layer, t in times.items()}
            progress(number + 1, rounds, name)
    layers = [LayerTime(n, kinds[n].kind, 1e3 * t, kinds[n].macs) for n, t in best.items()]
    return Profile(name, image, 1e3 * shortest, tuple(layers))
