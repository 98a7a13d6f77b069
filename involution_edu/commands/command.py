"""What a command is, and the types of arguments that several of them take."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from dataclasses import dataclass

from ..outcome import Outcome


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table of commands.

    ``add_arguments`` gives the parser's arguments the names that the library uses for them, for
    its messages begin with those names: see `cli.is_users_mistake`.
    """

    name: str
    summary: str
    description: str
    example: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], Outcome]


def no_arguments(parser: ArgumentParser) -> None:
    """Add nothing."""


def seed(text: str) -> int:
    """Return the seed of random numbers that was typed."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no whole number >= 0")
    return int(text)
