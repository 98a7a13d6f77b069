"""``involution-edu doctor``."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from .command import Command, Message, Result, no_arguments


def run(args: Namespace) -> Result:
    """Examine what is installed."""
    from ..verify.doctor import examine
    from ..verify.text import diagnosis_text

    diagnosis = examine()
    return Message(diagnosis_text(diagnosis), asdict(diagnosis), not diagnosis.problems)


COMMAND = Command(
    "doctor",
    "say what is installed, which backends run, and how to mend the rest",
    "List versions, cores and caches, and run every backend once. Exit code 1 if something "
    "that should run does not; a missing GPU or optional package is not an error.",
    "doctor",
    no_arguments,
    run,
)
