"""What a command is, and the types of arguments that several of them take."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .result import Result


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
    run: Callable[[Namespace], Result]


def no_arguments(parser: ArgumentParser) -> None:
    """Add nothing."""


def seed(text: str) -> int:
    """Return the seed of random numbers that was typed."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no whole number >= 0")
    return int(text)


def add_image(parser: ArgumentParser) -> None:
    """Add the photo that a command draws or explains."""
    parser.add_argument(
        "image",
        nargs="?",
        type=Path,
        metavar="IMAGE",
        help="a photo to use (PNG, JPEG, ...); the default is a portrait that ships with matplotlib",
    )


def add_out_dir(parser: ArgumentParser, holds: str) -> None:
    """Add the folder for what a command writes, and whether it may replace what is there."""
    parser.add_argument(
        "--out",
        dest="out_dir",
        type=Path,
        default=Path(),
        metavar="DIR",
        help=f"folder for {holds} (default: the current one)",
    )
    parser.add_argument("--force", action="store_true", help="replace files that exist")
