"""The command ``involution-edu``: parse its arguments, run one of `COMMANDS`, print the result.

To add a command, write a module with a `Command` named ``COMMAND`` and add the module to the table.
Import heavy modules inside its ``run``: every start of the program imports the table.

Exit codes: 0 success, 1 a check failed, 2 a mistake in the arguments, 130 interrupted.
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
from ..progress import clear_progress
from . import (
    ablate,
    animate,
    bench,
    classify,
    compare,
    complexity,
    demo,
    doctor,
    explore,
    gradcheck,
    notebooks,
    train,
)
from .command import Command, as_json

COMMANDS: tuple[Command, ...] = (
    demo.COMMAND,
    animate.COMMAND,
    explore.COMMAND,
    compare.COMMAND,
    gradcheck.COMMAND,
    complexity.COMMAND,
    classify.COMMAND,
    bench.COMMAND,
    train.COMMAND,
    ablate.COMMAND,
    doctor.COMMAND,
    notebooks.COMMAND,
)
PROGRAM = "involution-edu"
ASCII = str.maketrans({"·": "*", "×": "x", "Σ": "sum", "−": "-", "→": "->", "…": "..."})


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with code 2 and one line instead of argparse's usage and error."""
        self.exit(2, f"{PROGRAM}: error: {_one_line(message)} (try: {self.prog} --help)\n")


def make_parser() -> ArgumentParser:
    """Return the parser of all commands."""
    parser = _Parser(
        prog=PROGRAM,
        description="Learn involution by reading, running and seeing it: a layer that generates a "
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
        sys.stderr.write(f"{PROGRAM}: interrupted\n")
        return 130
    except BrokenPipeError:  # the reader, such as head, has closed the pipe
        _silence_stdout()
        return 141
    except OSError as error:  # such as a full disk behind the standard output
        if sys.stdout is not None:
            _silence_stdout()
        return _fail(f"the output cannot be written: {error.strerror}")


def _silence_stdout() -> None:
    """Send what is still buffered for stdout to the null device, or Python fails at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(args: Namespace) -> int:
    """Run a command; report a mistake of the user in one line, let any other error pass."""
    try:
        try:
            result = args.run(args)
        finally:
            clear_progress()
    except ArgumentError as error:
        if error.name.partition("[")[0] not in vars(args):  # pixel[0] is about the argument pixel
            raise
        return _fail(error)
    except (OSError, BackendUnavailable) as error:
        return _fail(error)
    _print(as_json(result) if args.json is True else result.text())
    return 0 if result.ok else 1


def _fail(error: Exception | str) -> int:
    sys.stderr.write(f"{PROGRAM}: error: {_one_line(error)}\n")
    return 2


def _one_line(error: Exception | str) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        error = f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def _print(text: str) -> None:
    """Write ``text`` to stdout, with characters that its encoding lacks replaced."""
    if sys.stdout is None:  # closed before the program began
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(ASCII).encode(encoding, "replace").decode(encoding)
    sys.stdout.write(f"{text}\n")
