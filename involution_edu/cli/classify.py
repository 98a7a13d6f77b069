"""``involution-edu classify``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from .command import Command, Result, add_force


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("image", type=Path, metavar="IMAGE", help="a photo (PNG, JPEG, ...)")
    parser.add_argument(
        "--model",
        required=True,
        metavar="NAME",
        help="rednet26, rednet38, rednet50, rednet101, rednet152, or a resnet of these depths",
    )
    parser.add_argument(
        "--weights",
        dest="path",
        type=Path,
        required=True,
        metavar="FILE",
        help="weights in the format of PyTorch (.pth), Paddle (.pdparams), safetensors or NumPy (.npz)",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="text with the name of each class on its own line (default: numbers, 1000 classes)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="draw the kernels of every stage, as .png"
    )
    add_force(parser, "replace the picture if it exists")


def run(args: Namespace) -> Result:
    """Classify the photo."""
    from ..apps.classify import classify

    return classify(
        args.image, args.model, args.path, labels=args.labels, out=args.out, force=args.force
    )


COMMAND = Command(
    "classify",
    "classify a photo, with trained weights from a file",
    "Run a network with weights from a file on the centre crop of a photo and print the five most "
    "probable classes; with --out, draw the kernels that it generated at every stage. No code in "
    "the file of weights is run.",
    "classify cat.jpg --model rednet50 --weights RedNet50_pretrained.pdparams",
    add_arguments,
    run,
)
