"""``involution-edu complexity``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ..arguments import as_int
from ..complexity import IMAGENET_SIZE, Complexity, Savings, count
from ..models import MODELS, pretrained
from ..models.dense import DENSE
from .command import Command, Result

# Channels and usual side of the pictures of the models that ship with weights.
SHIPPED = {"digits": (1, 8), "edge": (3, IMAGENET_SIZE), "salt-and-pepper": (3, IMAGENET_SIZE)}
MAX_SIZE = 10_000  # pixels: the padded corners of poolings are counted in arrays of its square


def add_arguments(parser: ArgumentParser) -> None:
    """Add the networks and the size of the image."""
    names = [*MODELS, *DENSE, *SHIPPED]
    parser.add_argument("model", choices=names, metavar="MODEL", help=", ".join(names))
    parser.add_argument(
        "--against", choices=names, metavar="MODEL", help="compare it with this one, by stages"
    )
    side = (
        f"rows and columns of the image (default: {IMAGENET_SIZE}; for detection and "
        "segmentation the size that published counts are for, 1280 x 800 and 2048 x 1024; for "
        "digits 8)"
    )
    parser.add_argument("--size", type=int, metavar="PIXELS", help=side)


def run(args: Namespace) -> Result:
    """Count one network, and the one that it is compared with."""
    size = (IMAGENET_SIZE, IMAGENET_SIZE)
    if args.size is not None:
        size = (as_int("size", args.size, 1, MAX_SIZE),) * 2
    elif args.model in DENSE:
        size = DENSE[args.model][1]
    elif args.model in SHIPPED:
        size = (SHIPPED[args.model][1],) * 2
    ours = _count(args.model, size)
    return ours if args.against is None else Savings(ours, _count(args.against, size))


def _count(name: str, size: tuple[int, int]) -> Complexity:
    if name in SHIPPED:
        return count(pretrained(name), (SHIPPED[name][0], *size), name)
    return count(DENSE[name][0]() if name in DENSE else MODELS[name](), (3, *size), name)


COMMAND = Command(
    "complexity",
    "count the parameters and operations of a network, layer by layer",
    "Run an empty batch of images of the given size through a network for classification, "
    "detection or segmentation and count, for one image, the learned numbers of every layer and "
    "its multiply-adds (MACs).",
    "complexity rednet50 --against resnet50",
    add_arguments,
    run,
)
