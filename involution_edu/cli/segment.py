"""``involution-edu segment``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from .command import Command, Result, add_force, add_image, add_seed


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    add_image(parser, "a photo of digits about half as high as it (default: a composed scene)")
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
    "Label every pixel with its digit, and draw the labels and the kernels of the trained network.",
    "segment --out segment.png",
    add_arguments,
    run,
)
