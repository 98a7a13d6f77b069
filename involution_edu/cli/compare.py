"""``involution-edu compare``."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from .command import Command, Message, Result, no_arguments


def run(args: Namespace) -> Result:
    """Compare all backends."""
    from ..verify.compare import compare
    from ..verify.text import comparison_text

    comparison = compare()
    return Message(comparison_text(comparison), asdict(comparison), comparison.agrees)


COMMAND = Command(
    "compare",
    "hold every backend against the definition, then time it",
    "Run every backend forward and backward on the same awkward sizes and compare it with the "
    "plain loops; then compare and time them on two layers of RedNet-50. Exit code 1 if any "
    "two disagree.",
    "compare --json > comparison.json",
    no_arguments,
    run,
)
