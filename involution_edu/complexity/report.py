"""Tables of what `involution_edu.complexity.count` counts: of a network, and of one against another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from textwrap import fill
from typing import Any

Shape = tuple[int, ...]

PARTS = "neck", "rpn_head", "roi_head", "bbox_head", "decode_head", "auxiliary_head"
# Added to the names of layers whose row counts the operator, and not the layers inside.
APPLYING = {
    **dict.fromkeys(("Involution2d", "Involution3d", "EdgeDenoiser"), " apply"),
    "LocalAttention2d": " compare, apply",
}
IMAGENET_SIZE = 224  # rows and columns of the images that published counts are for


@dataclass(frozen=True, slots=True)
class LayerCost:
    """Parameters and operations of one layer, for one image.

    Attributes
    ----------
    name, kind : str
        Its dotted name in the network, and its class.
    shape : tuple of int
        Of its output, without N.
    parameters : int
        Learned numbers of the layer itself, without the layers inside.
    macs : int
        Multiply-adds.
    operations : int
        ``macs``, and for layers without products 2 for each input of `BatchNorm2d` (scale,
        shift), 1 for each input of `ReLU` or a pooling, 1 for each output or score with a bias, 3
        for each number of a softmax.

    Examples
    --------
    >>> from involution_edu import complexity, nn
    >>> complexity.count(nn.BatchNorm2d(8), (8, 3, 5)).layers[0]
    LayerCost(name='', kind='BatchNorm2d', shape=(8, 3, 5), parameters=16, macs=0, operations=240)
    """

    name: str
    kind: str
    shape: Shape
    parameters: int
    macs: int
    operations: int


@dataclass(frozen=True, slots=True)
class Complexity:
    """Parameters and operations of all layers of a network, for one image; the result of `count`.

    Attributes
    ----------
    model : str
        Name of the network.
    image : tuple of int
        Shape of the input without N.
    layers : tuple of LayerCost
        In the order of the network's modules.
    frozen : tuple of str
        Prefixes of the names of parameters that training leaves as they are.
    repeated : mapping of str to int
        Heads of a detector, and for how many boxes of an image their operations are counted.

    Examples
    --------
    A 3x3 convolution and a 7x7 involution, both of 64 channels:

    >>> from involution_edu import complexity, nn
    >>> for layer in nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.Involution2d(64, 7):
    ...     cost = complexity.count(layer, (64, 8, 9))
    ...     cost.parameters, cost.macs
    (36864, 2654208)
    (4388, 525312)
    """

    model: str
    image: Shape
    layers: tuple[LayerCost, ...]
    frozen: tuple[str, ...] = ()
    repeated: Mapping[str, int] = field(default_factory=dict)
    ok = True

    @property
    def trainable(self) -> int:
        """Parameters of the layers that training changes."""
        fixed = self.frozen or ("\0",)
        return sum(a.parameters for a in self.layers if not f"{a.name}.".startswith(fixed))

    @property
    def parameters(self) -> int:
        """Learned numbers of all layers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-adds of all layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def operations(self) -> int:
        """Operations of all layers."""
        return sum(layer.operations for layer in self.layers)

    def data(self) -> dict[str, Any]:
        """Return the totals and layers as plain data."""
        names = "parameters", "trainable", "macs", "operations"
        totals = {name: getattr(self, name) for name in names}
        return {**totals, **asdict(self)}

    def text(self) -> str:
        """Return a table with a row for each layer that multiplies and for each other kind."""
        lines = [f"{self.model} for one image of {_text_of(self.image)}", ""]
        wide = max(32, *(len(layer.name) + 1 for layer in self.layers))
        lines.append(f"{'layer':{wide}}{'output':>15}{'parameters':>14}{'MACs':>16}")
        others = [layer for layer in self.layers if not layer.macs]
        for layer in self.layers:
            if layer.macs:
                title = (layer.name + APPLYING.get(layer.kind, "")).strip()
                shape = _text_of(layer.shape)
                lines.append(f"{title:{wide}}{shape:>15}{layer.parameters:>14,}{layer.macs:>16,}")
        for kind, times in Counter(layer.kind for layer in others).items():
            parameters = sum(layer.parameters for layer in others if layer.kind == kind)
            lines.append(f"{f'{times} × {kind}':{wide + 15}}{parameters:>14,}{0:>16}")
        lines += [f"{'total':{wide + 15}}{self.parameters:>14,}{self.macs:>16,}", ""]
        notes = (
            'A MAC is a multiply-add; "apply" is the involution itself, and the rows below it '
            f"generate its kernels. Operations: {self.operations:,}, which are the MACs, 2 for "
            "each number that is normalised, 1 for each input of a ReLU or a pooling and 1 for "
            "each bias that is added."
        )
        if self.frozen:
            notes += (
                f" Trainable parameters: {self.trainable:,}, without the stem and the first stage, "
                "which training of detectors leaves as they are."
            )
        heads = [f"{part} for {n:,} boxes" for part, n in self.repeated.items()]
        if heads:
            notes += f" Operations of an image are those of {' and '.join(heads)}."
        if any(layer.kind == "LocalAttention2d" for layer in self.layers):
            notes += " A softmax counts 3 for each of its numbers."
        return "\n".join([*lines, fill(notes, 80)])

    def stages(self) -> dict[str, tuple[int, int]]:
        """Return (parameters, macs) of the stem, each stage, the classifier or heads, in total."""
        stages: dict[str, tuple[int, int]] = {}
        for layer in self.layers:
            head = layer.name.removeprefix("backbone.").partition(".")[0]
            stage = head if head.startswith(("layer", "fc")) or head in PARTS else "stem"
            parameters, macs = stages.get(stage, (0, 0))
            stages[stage] = parameters + layer.parameters, macs + layer.macs
        return {**stages, "total": (self.parameters, self.macs)}


@dataclass(frozen=True, slots=True)
class Savings:
    """The `Complexity` of a network compared with that of another, stage by stage."""

    ours: Complexity
    theirs: Complexity
    ok = True

    def data(self) -> dict[str, Any]:
        """Return the data of our network, and of the other as "against"."""
        return {**self.ours.data(), "against": self.theirs.data()}

    def text(self) -> str:
        """Return the comparison, and the table of our network."""
        ours, theirs = self.ours, self.theirs
        titles = ours.model, theirs.model
        if max(map(len, titles)) > 11:
            titles = "this", "other"
        names = 2 * f"{titles[0]:>12}{titles[1]:>12}{'':8}"
        mine_by_stage, others = ours.stages(), theirs.stages()
        wide = max(8, *(len(stage) for stage in mine_by_stage))
        lines = [f"{ours.model} against {theirs.model} for one image of {_text_of(ours.image)}", ""]
        lines += [f"{'':{wide}}{'parameters, M':>30}{'MACs, M':>32}"]
        lines += [f"{'':{wide}}{names.rstrip()}"]
        for stage, mine in mine_by_stage.items():
            line = f"{stage:{wide}}"
            for n, other in zip(mine, others.get(stage, (0, 0)), strict=True):
                line += f"{n / 1e6:>12.2f}{other / 1e6:>12.2f}"
                line += f"{change(n, other):>+7.1f}%" if other else f"{'':8}"
            lines.append(line)
        parameters = ours.parameters / 1e6, theirs.parameters / 1e6
        a, b = operations = ours.operations / 1e9, theirs.operations / 1e9
        lines.append(f"Operations: {a:.3f} G against {b:.3f} G, {change(a, b):+.1f} %.")
        if ours.image[-1] == IMAGENET_SIZE and min(*parameters, *operations) >= 0.1:
            a, b = (change(*(round(n, 1) for n in pair)) for pair in (parameters, operations))
            lines.append("From figures rounded to one decimal, as the paper's percentages are:")
            lines.append(f"parameters {a:+.1f} %, operations {b:+.1f} %.")
        return "\n".join([*lines, "", ours.text()])


def change(ours: float, theirs: float) -> float:
    """Return the difference of ``ours`` from ``theirs`` in per cent of ``theirs``."""
    return 100 * (ours / theirs - 1)


def _text_of(shape: Shape) -> str:
    return " × ".join(map(str, shape))
