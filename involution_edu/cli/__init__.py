"""The command ``involution-edu``: parse its arguments, run one of `COMMANDS`, print the result.

To add a command, write a module with a `Command` named ``COMMAND`` and add it to `COMMANDS`.
Import heavy modules inside its ``run``: every start of the program imports all of them.

Exit codes: 0 success, 1 a check failed, 2 a mistake in the arguments, 130 interrupted, 143 ended.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NoReturn

from .. import __version__
from ..arguments import ArgumentError
from ..backends import BackendUnavailable
from ..files import shown
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
    stages,
    train,
)
from .command import Command, as_json

COMMANDS: tuple[Command, ...] = tuple(
    module.COMMAND
    for module in (
        demo,
        animate,
        explore,
        compare,
        gradcheck,
        complexity,
        classify,
        stages,
        bench,
        train,
        ablate,
        doctor,
        notebooks,
    )
)
PROGRAM = "involution-edu"
ASCII = str.maketrans({"·": "*", "×": "x", "Σ": "sum", "−": "-", "→": "->", "…": "..."})
MAX_ERROR = 2000  # characters, which fill a small terminal


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with code 2 and one line instead of argparse's usage and error."""
        sys.exit(_fail(f"{message} (try: {self.prog} --help)"))

    def _print_message(self, message: str, file: object = None) -> None:
        """Print the help or the version; argparse's method ignores that it cannot."""
        _print(message)


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
        with _as_program():
            if not Path(__file__).is_file():  # some files of the package must be real ones
                archive = Path(__file__).parents[2]
                return _fail(f"the package is imported from inside {archive}; unpack that first")
            try:
                return _run(make_parser().parse_args(argv))
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()
    except KeyboardInterrupt:
        _say(f"{PROGRAM}: interrupted\n")
        return 130
    except BrokenPipeError:  # the reader, such as head, has closed the pipe
        _silence(sys.stdout)
        return 141
    except OSError as error:  # such as a full disk behind the standard output
        _silence(sys.stdout)
        return _fail(f"the output cannot be written: {error.strerror}")


@contextmanager
def _as_program() -> Iterator[None]:
    """Let signals raise, so that temporary files are removed, and matplotlib need no window."""

    def end(number: int, frame: object) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)  # not again while files are removed
        sys.exit(128 + number)

    handlers: dict[str, Any] = {"SIGTERM": end, "SIGHUP": end}  # Windows has no SIGHUP
    handlers["SIGINT"] = signal.default_int_handler  # see `_interrupt`
    changed = []
    for name, handler in handlers.items():
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            with suppress(ValueError):  # not in the main thread
                signal.signal(number, handler)
                changed.append(number)
    window = os.environ.pop("MPLBACKEND", None)
    try:
        yield
    finally:
        if window is not None:
            os.environ["MPLBACKEND"] = window
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def _silence(stream: IO[str] | None) -> None:
    """Send what is still buffered to the null device, or Python fails at exit."""
    with suppress(AttributeError, OSError, ValueError):  # closed, or without a descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[union-attr]


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
    except MemoryError as error:
        return _fail(f"not enough memory ({error})")
    _print((as_json(result) if args.json is True else result.text()) + "\n")
    return 0 if result.ok else 1


def _fail(error: Exception | str) -> int:
    if isinstance(error, OSError) and error.filename is not None:
        error = f"{error.filename}: {error.strerror}"
    _say(f"{PROGRAM}: error: {shown(' '.join(str(error).split()), MAX_ERROR)}\n")
    return 2


def _say(text: str) -> None:
    """Write ``text`` to stderr if that can be written."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (AttributeError, OSError):  # closed before the program began, or a full disk
        _silence(sys.stderr)


def _print(text: str) -> None:
    """Write ``text`` to stdout; escape control characters, replace those its encoding lacks."""
    if sys.stdout is None:  # closed before the program began
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    text = "\n".join(shown(line, len(line)) for line in text.split("\n"))
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(ASCII).encode(encoding, "replace").decode(encoding)
    sys.stdout.write(text)
