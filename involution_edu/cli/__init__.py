"""The command ``involution-edu``: what is typed goes to one of `COMMANDS`, whose outcome is printed.

Exit codes: 0 all is well, 1 a check failed, 2 a mistake in what was typed, 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import NoReturn

from .. import __version__
from ..arguments import ArgumentError
from ..backends import BackendUnavailable
from . import progress
from .result import Result, as_json
from .table import COMMANDS

PROGRAM = "involution-edu"


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with code 2 and one line instead of argparse's usage and error."""
        self.exit(2, f"{PROGRAM}: error: {_one_line(message)} (try: {self.prog} --help)\n")


def make_parser() -> ArgumentParser:
    """Return the parser of all commands."""
    parser = _Parser(
        prog=PROGRAM,
        description="Learn involution by reading, running and seeing it: a layer that makes a "
        "kernel at every pixel, from that pixel, and shares it among a group of channels.",
        epilog=f"example: {PROGRAM} demo; each command explains itself with --help",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        sub = commands.add_parser(
            command.name,
            help=command.summary,
            description=command.description,
            epilog=f"example: {PROGRAM} {command.example}",
            allow_abbrev=False,
            conflict_handler="resolve",  # bench has a --json of its own
        )
        sub.add_argument("--json", action="store_true", help="print JSON instead of text")
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        try:
            return _run(make_parser().parse_args(argv))
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except KeyboardInterrupt:
        progress.show("")
        sys.stderr.write(f"{PROGRAM}: interrupted\n")
        return 130
    except BrokenPipeError:  # the reader, such as head, has seen enough
        _silence_stdout()
        return 141
    except OSError as error:  # such as a full disk behind the standard output
        if sys.stdout is not None:
            _silence_stdout()
        sys.stderr.write(f"{PROGRAM}: error: the output cannot be written: {error.strerror}\n")
        return 2


def _silence_stdout() -> None:
    """Let Python write what it still holds back to nowhere, when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(args: Namespace) -> int:
    try:
        outcome: Result = args.run(args)
    except (ArgumentError, OSError, BackendUnavailable) as error:
        if not is_users_mistake(error, args):
            raise
        progress.show("")
        sys.stderr.write(f"{PROGRAM}: error: {_one_line(error)}\n")
        return 2
    _print(as_json(outcome) if args.json is True else outcome.text())
    return 0 if outcome.ok else 1


def is_users_mistake(error: Exception, args: Namespace) -> bool:
    """Return whether ``error`` is about something the user typed.

    An error of the operating system and an absent backend are, and so is an `ArgumentError`
    about an argument of the command, such as ``pixel`` or ``pixel[0]``. Any other is a fault in
    the program, whose traceback must be seen.
    """
    if isinstance(error, ArgumentError):
        return error.name.partition("[")[0] in vars(args)
    return isinstance(error, OSError | BackendUnavailable)


def _one_line(error: Exception | str) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        error = f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def _print(text: str) -> None:
    """Write ``text`` to stdout, in plain letters where its encoding lacks some."""
    if sys.stdout is None:  # closed before the program began
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(PLAIN).encode(encoding, "replace").decode(encoding)
    sys.stdout.write(f"{text}\n")


PLAIN = str.maketrans({"·": "*", "×": "x", "Σ": "sum", "−": "-", "→": "->", "…": "..."})
