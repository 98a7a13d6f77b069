"""``involution-edu stages``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from .classify import DIGIT, LABELS, WEIGHTS
from .command import Command, Result, add_force, add_image


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    add_image(parser, f"a photo (PNG, JPEG, ...); {DIGIT} (default: a drawn one)")
    model = "digits, a small RedNet that ships trained (the default), or rednet26 to rednet152"
    parser.add_argument("--model", default="digits", metavar="NAME", help=model)
    parser.add_argument("--weights", dest="path", type=Path, metavar="FILE", help=WEIGHTS)
    parser.add_argument("--labels", type=Path, metavar="FILE", help=LABELS)
    file = Path("stages.png")
    parser.add_argument("--out", type=Path, default=file, metavar="FILE", help=f"(default: {file})")
    add_force(parser, "replace the picture if it exists")


def run(args: Namespace) -> Result:
    """Draw the picture."""
    from ..apps.stages import draw_stages

    return draw_stages(
        args.image,
        model=args.model,
        path=args.path,
        labels=args.labels,
        out=args.out,
        force=args.force,
    )


COMMAND = Command(
    "stages",
    "draw the kernels of every stage of a network",
    "Run a trained network on a picture and draw the kernels that each stage generated: one number "
    "for each pixel, the sum of its kernel. No code in the file of weights is run.",
    "stages photo.jpg --model rednet50 --weights RedNet50_pretrained.pdparams",
    add_arguments,
    run,
)
