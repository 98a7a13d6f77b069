"""``involution-edu complexity``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ..arguments import as_int
from ..complexity import IMAGENET_SIZE, Savings, count
from ..models import MODELS
from .command import Command, Result

MAX_SIZE = 10_000  # pixels: the padded corners of poolings are counted in arrays of its square


def add_arguments(parser: ArgumentParser) -> None:
    """Add the networks and the size of the image."""
    names = ", ".join(MODELS)
    parser.add_argument("model", choices=MODELS, metavar="MODEL", help=names)
    parser.add_argument(
        "--against", choices=MODELS, metavar="MODEL", help="compare it with this one, by stages"
    )
    side = f"rows and columns of the image (default: {IMAGENET_SIZE})"
    parser.add_argument("--size", type=int, default=IMAGENET_SIZE, metavar="PIXELS", help=side)


def run(args: Namespace) -> Result:
    """Count one network, and the one that it is compared with."""
    size = as_int("size", args.size, 1, MAX_SIZE)
    names = [name for name in (args.model, args.against) if name is not None]
    costs = [count(MODELS[name](), (3, size, size), name) for name in names]
    return costs[0] if len(costs) == 1 else Savings(*costs)


COMMAND = Command(
    "complexity",
    "count the parameters and operations of a network, layer by layer",
    "Run an empty batch of images of the given size through RedNet or ResNet and count, for one "
    "image, the learned numbers of every layer and its multiply-adds (MACs).",
    "complexity rednet50 --against resnet50",
    add_arguments,
    run,
)
