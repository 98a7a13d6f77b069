"""``involution-edu explore``."""

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
        type=Path,
        default=Path("explorer.html"),
        metavar="FILE",
        help="the page (default: explorer.html)",
    )
    parser.add_argument("--force", action="store_true", help="replace a page that exists")
    parser.add_argument(
        "--size",
        type=int,
        default=64,
        metavar="PIXELS",
        help="longest side of the photo given to the layer, 8 to 128 (default: 64)",
    )
    parser.add_argument(
        "--seed",
        type=seed,
        default=0,
        help="of the specks, a whole number below 2**31 (default: 0)",
    )


def run(args: Namespace) -> Outcome:
    """Write the page and say where it is."""
    from .. import explore

    result = explore.run(args.image, out=args.out, force=args.force, size=args.size, seed=args.seed)
    return Outcome(result.text, result.data())


COMMAND = Command(
    "explore",
    "write a page on which to watch every pixel make its kernel",
    "Run an involution layer on a photo and write one HTML file that shows all its numbers: move "
    "over the photo, step through the sum, paint a pixel and watch its own kernel change. It "
    "opens from disk and reads nothing from the network.",
    "explore cat.jpg --out cat.html",
    add_arguments,
    run,
)
