"""``involution-edu demo``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ..progress import progress_bar
from .command import Command, Result, add_image, add_out_dir, add_seed


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    add_image(parser)
    add_out_dir(parser, "the pictures")
    add_seed(parser, "the noise")
    parser.add_argument(
        "--pixel",
        type=int,
        nargs=2,
        metavar=("ROW", "COL"),
        help="the output pixel to explain, counted from 0 (default: a noisy pixel near the middle)",
    )


def run(args: Namespace) -> Result:
    """Run the demo."""
    from ..apps import demo

    return demo.run(
        args.image,
        out_dir=args.out_dir,
        force=args.force,
        seed=args.seed,
        pixel=None if args.pixel is None else tuple(args.pixel),
        progress=progress_bar(),
    )


COMMAND = Command(
    "demo",
    "explain involution on a photo: its kernels, and one pixel by hand",
    "Add salt-and-pepper noise to a photo, run a layer that was trained to remove it, explain one "
    "output pixel number by number, and write pictures of the kernels that the layer generated. "
    "Existing pictures are kept unless --force.",
    "demo cat.jpg --pixel 20 31 --out pictures",
    add_arguments,
    run,
)
