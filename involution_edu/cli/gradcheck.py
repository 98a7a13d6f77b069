"""``involution-edu gradcheck``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ..progress import progress_bar
from .command import Command, Result


def add_arguments(parser: ArgumentParser) -> None:
    """Add the choice of backends."""
    parser.add_argument(
        "--backends",
        nargs="+",
        metavar="NAME[:VERSION]",
        help="check only these, such as numba or cupy:v3 (default: all that take NumPy arrays)",
    )


def run(args: Namespace) -> Result:
    """Check every gradient."""
    from ..verify.gradcheck import check_all

    return check_all(args.backends, progress_bar())


COMMAND = Command(
    "gradcheck",
    "compare every gradient with differences of the forward pass",
    "Check the gradients of the operator and of the layer with central differences: a number is "
    "changed by a step up and a step down, and the slope of the loss between the two must equal "
    "the gradient of the backward pass. Exit code 1 if one is wrong.",
    "gradcheck --backends numba",
    add_arguments,
    run,
)
