"""``involution-edu doctor``."""

from __future__ import annotations

from argparse import Namespace

from .command import Command, Result, no_arguments


def run(args: Namespace) -> Result:
    """Examine the installation."""
    from ..verify.doctor import examine

    return examine()


COMMAND = Command(
    "doctor",
    "list what is installed, what runs here, and how to fix the rest",
    "List versions, cores and caches, and run every backend once. Exit code 1 if something "
    "that should run does not; a missing GPU or optional package is not an error.",
    "doctor",
    no_arguments,
    run,
)
