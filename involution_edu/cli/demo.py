"""``involution-edu demo``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from .command import Command, Message, Result, add_image, add_out_dir, seed


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    add_image(parser)
    add_out_dir(parser, "the pictures")
    parser.add_argument(
        "--seed",
        type=seed,
        default=0,
        help="of the specks, a whole number below 2**31 (default: 0)",
    )
    parser.add_argument(
        "--pixel",
        type=int,
        nargs=2,
        metavar=("ROW", "COL"),
        help="the output pixel to explain, counted from 0 (default: the one the demo chooses)",
    )


def run(args: Namespace) -> Result:
    """Run the demo and say where its pictures are."""
    from ..apps import demo

    pixel = None if args.pixel is None else tuple(args.pixel)
    result = demo.run(
        args.image, out_dir=args.out_dir, force=args.force, seed=args.seed, pixel=pixel
    )
    return Message(result.text, result.data())


COMMAND = Command(
    "demo",
    "explain involution on a photo: its kernels, and one pixel by hand",
    "Put specks on a photo, run a layer that was trained to remove them, explain one output pixel "
    "number by number, and write pictures of the kernels it generated. Existing pictures are kept "
    "unless --force.",
    "demo cat.jpg --pixel 20 31 --out pictures",
    add_arguments,
    run,
)
