"""``involution-edu notebooks``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from .command import Command
from .progress import bar
from .result import Message, Result


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--copy", type=Path, metavar="DIR", help="copy them to DIR, to work on them"
    )
    choice.add_argument(
        "--refresh", action="store_true", help="run them all where they are and keep the outputs"
    )
    parser.add_argument("--force", action="store_true", help="replace copies that exist")


def run(args: Namespace) -> Result:
    """List, copy or run the notebooks."""
    from ..course import notebooks

    if args.refresh:
        found = notebooks.refresh(bar)
    elif args.copy is not None:
        found = notebooks.copy(args.copy, force=args.force)
    else:
        found = notebooks.paths()
    titles = [notebooks.title(path) for path in found]
    lines = [f"{path.stem[:2]}  {title}" for path, title in zip(found, titles, strict=True)]
    where = found[0].parent if found else notebooks.folder()
    text = "\n".join([*lines, "", f"in {where}; open them with: jupyter lab {where}"])
    files = [str(path) for path in found]
    return Message(text, {"titles": titles, "files": files})


COMMAND = Command(
    "notebooks",
    "list the notebooks of the course, or copy them to work on",
    "Twelve notebooks lead from a convolution to a trained network. Without options, list them. "
    "Work on a copy: exercises have checks, and solutions are folded away.",
    "notebooks --copy my-notebooks",
    add_arguments,
    run,
)
