"""``involution-edu classify``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from .command import Command, Result

DIGIT = "for digits, of one digit, dark ink on light paper, that fills it"
WEIGHTS = (
    "in the format of PyTorch (.pth), Paddle (.pdparams), safetensors or NumPy (.npz); digits has "
    "its own"
)
LABELS = "text with the name of each class on its own line (default: numbers, 1000 classes)"


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    about = f"a photo (PNG, JPEG, ...); {DIGIT}"
    parser.add_argument("image", type=Path, metavar="IMAGE", help=about)
    parser.add_argument(
        "--model",
        default="digits",
        metavar="NAME",
        help="digits, a small RedNet that ships trained (the default); rednet26, rednet38, rednet50, "
        "rednet101, rednet152, or a resnet of these depths",
    )
    parser.add_argument("--weights", dest="path", type=Path, metavar="FILE", help=WEIGHTS)
    parser.add_argument("--labels", type=Path, metavar="FILE", help=LABELS)


def run(args: Namespace) -> Result:
    """Classify the photo."""
    from ..apps.classify import classify

    return classify(args.image, args.model, args.path, labels=args.labels)


COMMAND = Command(
    "classify",
    "classify a photo with a trained network",
    "Run a network on the centre crop of a photo, or on the picture of a digit scaled to 8 x 8 "
    "pixels, and print the five most probable classes. No code in the file of weights is run.",
    "classify cat.jpg --model rednet50 --weights RedNet50_pretrained.pdparams",
    add_arguments,
    run,
)
