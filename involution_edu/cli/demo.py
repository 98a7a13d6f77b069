"""``involution-edu demo``."""

from __future__ import annotations

import webbrowser
from argparse import ArgumentParser, Namespace

from ..progress import progress_bar
from .command import Command, Result, add_image, add_out_dir, add_seed


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    add_image(parser)
    add_out_dir(parser, "the pictures")
    add_seed(parser, "the noise")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    numbers = "print the computation of one pixel, to follow with a pencil, and write no files"
    parser.add_argument("--numbers", action="store_true", help=numbers)
    parser.add_argument(
        "--pixel",
        type=int,
        nargs=2,
        metavar=("ROW", "COL"),
        help="the pixel of --numbers, counted from 0 (default: a noisy pixel near the middle)",
    )


def run(args: Namespace) -> Result:
    """Run the demo, or explain one pixel."""
    from ..apps import demo, walkthrough

    if args.numbers or args.pixel:
        pixel = None if args.pixel is None else tuple(args.pixel)
        return walkthrough.run(args.image, pixel=pixel, seed=args.seed)
    done = demo.run(
        args.image, out_dir=args.out_dir, force=args.force, seed=args.seed, progress=progress_bar()
    )
    if args.open:
        webbrowser.open(done.files[-1].resolve().as_uri())
    return done


COMMAND = Command(
    "demo",
    "see involution on a photo: its kernels, and what they do",
    "Add noise to a photo and remove it, once by a convolution and once by an involution: an "
    "animation of both, the kernels over the photo, the photo before and after, and a page to "
    "explore every pixel. Files of an earlier demo are replaced, others only with --force.",
    "demo cat.jpg --out pictures --open",
    add_arguments,
    run,
)
