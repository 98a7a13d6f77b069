"""``involution-edu notebooks``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from shlex import quote

from ..progress import progress_bar
from .command import Command, Message, Result, add_force


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--copy", type=Path, metavar="DIR", help="copy them to DIR, to work on")
    choice.add_argument(
        "--refresh", action="store_true", help="run them all in place and keep the new outputs"
    )
    add_force(parser, "replace copies that exist")


def run(args: Namespace) -> Result:
    """List, copy or run the notebooks."""
    from ..course import notebooks

    if args.refresh:
        found = notebooks.refresh(progress_bar())
    elif args.copy is not None:
        found = notebooks.copy(args.copy, force=args.force)
    else:
        found = notebooks.paths()
    titles = [notebooks.title(path) for path in found]
    lines = [f"{path.stem[:2]}  {title}" for path, title in zip(found, titles, strict=True)]
    where = found[0].parent if found else notebooks.folder()
    text = "\n".join([*lines, "", f"in {where}; open them with: jupyter lab {quote(str(where))}"])
    return Message(text, {"titles": titles, "files": [str(path) for path in found]})


COMMAND = Command(
    "notebooks",
    "list the notebooks of the course, or copy them to work on",
    "Thirteen notebooks lead from a convolution to a trained network. Without options, list them. "
    "Work on a copy: it has no outputs, which would answer what you are to predict.",
    "notebooks --copy my-notebooks",
    add_arguments,
    run,
)
