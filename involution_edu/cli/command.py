"""A command, its result, and the arguments that several commands share."""

from __future__ import annotations

import json
import math
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Result(Protocol):
    """The result of a command; the library's own results have this form."""

    @property
    def ok(self) -> bool:
        """Whether all checks passed; the exit code is 1 if not."""

    def text(self) -> str:
        """Return the result for a terminal."""

    def data(self) -> dict[str, Any]:
        """Return the result as plain lists, dicts, numbers and strings, for ``--json``."""


@dataclass(frozen=True, slots=True)
class Message:
    """A `Result` made of a text and its data."""

    message: str
    values: dict[str, Any]
    ok: bool = True

    def text(self) -> str:
        """Return the message."""
        return self.message

    def data(self) -> dict[str, Any]:
        """Return the values."""
        return self.values


def as_json(result: Result) -> str:
    """Return ``ok`` and the data of a result as JSON; infinity and NaN become null."""
    return json.dumps({"ok": result.ok, **_finite(result.data())}, indent=2)


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


@dataclass(frozen=True, slots=True)
class Command:
    """One command of the program.

    ``add_arguments`` names each argument as the library does: an `ArgumentError` about one of
    these names is reported as a mistake of the user, any other as a fault of the program.
    """

    name: str
    summary: str
    description: str
    example: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], Result]


def no_arguments(parser: ArgumentParser) -> None:
    """Add no arguments."""


def seed(text: str) -> int:
    """Return the seed for random numbers in ``text``."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is not a whole number >= 0")
    return int(text)


def add_seed(parser: ArgumentParser, about: str, default: int = 0) -> None:
    """Add the seed of random numbers."""
    about = f"of {about}, a whole number below 2**31 (default: {default})"
    parser.add_argument("--seed", type=seed, default=default, metavar="SEED", help=about)


def add_seeds(parser: ArgumentParser, default: list[int], about: str) -> None:
    """Add the seeds of trainings."""
    about = f"of weights, order of pictures and augmentation; {about} (default: "
    about += f"{' '.join(map(str, default))})"
    parser.add_argument(
        "--seeds", nargs="+", type=seed, default=default, metavar="SEED", help=about
    )


PHOTO = "a photo (PNG, JPEG, ...; default: a portrait that ships with matplotlib)"


def add_image(parser: ArgumentParser, about: str = PHOTO) -> None:
    """Add the photo that a command draws or explains."""
    parser.add_argument("image", nargs="?", type=Path, metavar="IMAGE", help=about)


def add_force(parser: Any, about: str = "replace files that exist") -> None:
    """Add whether files may be replaced."""
    parser.add_argument("--force", action="store_true", help=about)


def folder(text: str) -> Path:
    """Return the folder that ``text`` names; refuse what can only mean a file."""
    path = Path(text)
    if path.suffix in (".gif", ".png", ".apng", ".webp", ".mp4", ".html") and not path.exists():
        raise ArgumentTypeError(f"{text!r} is the name of a file; need that of a folder")
    return path


def add_out_dir(parser: ArgumentParser, holds: str) -> None:
    """Add the output folder, and whether files in it may be replaced."""
    about = f"folder for {holds} (default: the current one)"
    parser.add_argument(
        "--out", dest="out_dir", type=folder, default=Path(), metavar="DIR", help=about
    )
    add_force(parser)


def add_training(parser: ArgumentParser, resume: str) -> None:
    """Add the length of a training, and what happens to the files of an earlier one."""
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="passes over the pictures (default: the task's)"
    )
    there = parser.add_mutually_exclusive_group()
    there.add_argument("--resume", action="store_true", help=resume)
    add_force(there, "replace the files")
