"""``involution-edu demo``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ..outcome import Outcome
from .command import Command, seed


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "image",
        nargs="?",
        type=Path,
        metavar="IMAGE",
        help="a photo to use (PNG, JPEG, ...); the default is a portrait that ships with matplotlib",
    )
    parser.add_argument(
        "--out",
        dest="out_dir",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder for the pictures (default: the current one)",
    )
    parser.add_argument("--force", action="store_true", help="replace pictures that exist")
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


def run(args: Namespace) -> Outcome:
    """Run the demo and say where its pictures are."""
    from .. import demo

    pixel = None if args.pixel is None else tuple(args.pixel)
    result = demo.run(
        args.image, out_dir=args.out_dir, force=args.force, seed=args.seed, pixel=pixel
    )
    return Outcome(result.text, result.data())


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
