"""``involution-edu compare``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from .command import Command, Result


def add_arguments(parser: ArgumentParser) -> None:
    """Add the choice of backends."""
    parser.add_argument(
        "--backends",
        nargs="+",
        metavar="NAME[:VERSION]",
        help="compare only these with the references, such as numba or cupy:v3 (default: all "
        "that take NumPy arrays)",
    )


def run(args: Namespace) -> Result:
    """Compare the backends."""
    from ..verify.compare import compare

    return compare(args.backends)


COMMAND = Command(
    "compare",
    "compare every backend with the definition, then time it",
    "Run every backend forward and backward on the same awkward sizes and compare it with the "
    "plain loops; then compare and time them on two layers of RedNet-50. Exit code 1 if any "
    "two disagree.",
    "compare --json > comparison.json",
    add_arguments,
    run,
)
