"""``involution-edu complexity``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from textwrap import fill
from typing import TYPE_CHECKING, Any

from ..arguments import as_int
from .command import Command, Message, Result

if TYPE_CHECKING:
    from ..complexity import Complexity

NAMES = [f"{family}{depth}" for family in ("rednet", "resnet") for depth in (26, 38, 50, 101, 152)]
PAPER = 224  # rows and columns of the images that published counts are for


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("model", choices=NAMES, metavar="MODEL", help=", ".join(NAMES))
    parser.add_argument(
        "--against", choices=NAMES, metavar="MODEL", help="compare it with this one, by stages"
    )
    parser.add_argument(
        "--size",
        type=int,
        default=PAPER,
        metavar="PIXELS",
        help="rows and columns of the image (default: 224)",
    )


def run(args: Namespace) -> Result:
    """Count one network, and the other."""
    size = as_int("size", args.size)
    cost = _count(args.model, size)
    lines, data = list(_table(args.model, cost)), {"model": args.model, **_data(cost)}
    if args.against is not None:
        other = _count(args.against, size)
        lines += ["", *_comparison(args.model, cost, args.against, other)]
        data["against"] = {"model": args.against, **_data(other)}
    return Message("\n".join(lines), data)


def _count(name: str, size: int) -> Complexity:
    from .. import models
    from ..complexity import count

    return count(getattr(models, name)(), (3, size, size))


def _data(cost: Complexity) -> dict[str, Any]:
    totals = {name: getattr(cost, name) for name in ("parameters", "macs", "operations")}
    return {**totals, **asdict(cost)}


def _table(name: str, cost: Complexity) -> Iterator[str]:
    """Yield a row for each layer with products, one for each kind of the others, and the total."""
    yield f"{name} for one image of {_shape(cost.image)}"
    yield ""
    yield f"{'layer':32}{'output':>15}{'parameters':>14}{'MACs':>16}"
    for layer in cost.layers:
        if layer.macs:
            title = layer.name + " apply" * (layer.kind == "Involution2d")
            yield f"{title:32}{_shape(layer.shape):>15}{layer.parameters:>14,}{layer.macs:>16,}"
    others = [layer for layer in cost.layers if not layer.macs]
    for kind, times in Counter(layer.kind for layer in others).items():
        parameters = sum(layer.parameters for layer in others if layer.kind == kind)
        yield f"{f'{times} × {kind}':47}{parameters:>14,}{0:>16}"
    yield f"{'total':47}{cost.parameters:>14,}{cost.macs:>16,}"
    yield ""
    yield fill(
        'A MAC is a product that is added up; "apply" is the involution itself, and the rows below '
        f"it make its kernels. Operations: {cost.operations:,}, which are the MACs and 2 for each "
        "number that is normalised, 1 for each that a ReLU or a pooling is given, 1 for each bias "
        "that is added.",
        80,
    )


def _comparison(name: str, cost: Complexity, other_name: str, other: Complexity) -> Iterator[str]:
    """Yield both networks stage by stage, and what the first one saves."""
    from ..complexity import change

    yield f"{'':8}{'parameters, M':>30}{'MACs, M':>32}"
    yield f"{'':8}" + 2 * f"{name:>12}{other_name:>12}{'':8}"
    mine, theirs = _stages(cost), _stages(other)
    for stage in mine:
        cells = [
            f"{a / 1e6:>12.2f}{b / 1e6:>12.2f}{change(a, b):>+7.1f}%"
            for a, b in zip(mine[stage], theirs[stage], strict=True)
        ]
        yield f"{stage:8}{''.join(cells)}"
    a, b = cost.operations, other.operations
    yield f"Operations: {a / 1e9:.3f} G against {b / 1e9:.3f} G, {change(a, b):+.1f} %."
    if cost.image[-1] == PAPER:
        rounded = [
            change(round(a, 1), round(b, 1))
            for a, b in (
                (cost.parameters / 1e6, other.parameters / 1e6),
                (cost.operations / 1e9, other.operations / 1e9),
            )
        ]
        yield "From figures rounded to one decimal, as the paper's percentages are:"
        yield f"parameters {rounded[0]:+.1f} %, operations {rounded[1]:+.1f} %."


def _stages(cost: Complexity) -> dict[str, tuple[int, int]]:
    """Return parameters and MACs of the stem, the stages, the classifier, and all."""
    stages: dict[str, tuple[int, int]] = {}
    for layer in cost.layers:
        head = layer.name.partition(".")[0]
        stage = head if head.startswith(("layer", "fc")) else "stem"
        parameters, macs = stages.get(stage, (0, 0))
        stages[stage] = parameters + layer.parameters, macs + layer.macs
    return {**stages, "total": (cost.parameters, cost.macs)}


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


COMMAND = Command(
    "complexity",
    "count the parameters and operations of a network, layer by layer",
    "Send no images, of the given size, through RedNet or ResNet and count for one: the numbers "
    "that every layer learns, and its multiplications with additions (MACs).",
    "complexity rednet50 --against resnet50",
    add_arguments,
    run,
)
