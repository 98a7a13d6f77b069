"""``involution-edu explore``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from .command import PHOTO, Command, Result, add_force, add_image, add_seed


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    digit = "the picture of one, dark ink on light paper, filling it (default: scikit-learn's)"
    add_image(parser, f"{PHOTO}; for digits {digit}")
    parser.add_argument(
        "--model",
        default="edge",
        metavar="NAME",
        help="edge, a layer whose kernels follow edges, on a photo with noise (the default); "
        "salt-and-pepper, one for such noise, whose kernels depend on a pixel's colour alone; digits, a small trained RedNet; rednet26, rednet38, rednet50, rednet101 or rednet152",
    )
    layers = "an involution of the network, such as layer1.0.conv2 (default: the first)"
    parser.add_argument("--layer", metavar="NAME", help=layers)
    weights = "of rednet26 to rednet152, as classify takes them (default: random weights)"
    parser.add_argument("--weights", dest="path", type=Path, metavar="FILE", help=weights)
    page = Path("explorer.html")
    about = f"the page (default: {page})"
    parser.add_argument("--out", type=Path, default=page, metavar="FILE", help=about)
    add_force(parser, "replace a page that exists")
    side = "longest side of the photo given to the model, 8 to 128 (default: 96 for edge, else 64)"
    parser.add_argument("--size", type=int, metavar="PIXELS", help=side)
    add_seed(parser, "the noise, random weights or the digit chosen")


def run(args: Namespace) -> Result:
    """Write the page."""
    from ..apps import explore

    return explore.run(
        args.image,
        model=args.model,
        layer=args.layer,
        path=args.path,
        out=args.out,
        force=args.force,
        size=args.size,
        seed=args.seed,
    )


COMMAND = Command(
    "explore",
    "write a page to explore the kernel of every pixel",
    "Run an involution layer, alone or in a network, on a picture and write one HTML file "
    "that shows all its numbers: move over the input, step through the sum, paint a pixel and "
    "watch its own kernel change. It opens from disk and loads nothing from the internet.",
    "explore cat.jpg --out cat.html",
    add_arguments,
    run,
)
