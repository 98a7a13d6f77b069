"""``involution-edu segment``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from .command import Command, Result, add_force, add_image, add_seed


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    photo = "a photo of digits, each a third to two thirds of it high (default: a composed scene)"
    add_image(parser, photo)
    add_seed(parser, "the scene")
    file = Path("segment.png")
    parser.add_argument("--out", type=Path, default=file, metavar="FILE", help=f"(default: {file})")
    add_force(parser, "replace the picture if it exists")


def run(args: Namespace) -> Result:
    """Label the digits and draw the picture."""
    from ..apps.segment import segment

    return segment(args.image, seed=args.seed, out=args.out, force=args.force)


COMMAND = Command(
    "segment",
    "label the pixels of digits in a photo",
    "Label every pixel with the digit that it belongs to, with a small RedNet that ships trained, "
    "and draw the labels, and where its kernels are long or strong. Without a photo it labels a "
    "scene of handwritten digits that it was not trained on.",
    "segment --out segment.png",
    add_arguments,
    run,
)
