"""The command ``involution-edu``: parse its arguments, run one of `COMMANDS`, print the result.

To add a command, write a module with a `Command` named ``COMMAND`` and add it to a group of `GROUPS`.
Import heavy modules inside its ``run``: every start of the program imports all of them.

Exit codes: 0 success, 1 a check failed, 2 a mistake in the arguments, 130 interrupted, 143 ended.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import signal
import sys
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import IO, Any, NoReturn

from .. import __version__
from ..arguments import ArgumentError, as_choice
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
    segment,
    stages,
    train,
)
from .command import Command, as_json

GROUPS = {
    "see how it works": (demo, animate, explore),
    "check it": (compare, gradcheck, complexity, bench, doctor),
    "train and use networks": (train, ablate, classify, segment, stages),
    "learn step by step": (notebooks,),
}
COMMANDS: tuple[Command, ...] = tuple(m.COMMAND for group in GROUPS.values() for m in group)
PROGRAM = "involution-edu"
ASCII = str.maketrans({"·": "*", "×": "x", "Σ": "sum", "−": "-", "→": "->", "…": "..."})
MAX_ERROR = 2000  # characters, which fill a small terminal
FIRST = re.compile(r" *\S+  +| +")  # what the rest of a broken line is aligned with
GOOD = re.compile(r"  ok$|^No problem found\.$")
BAD = re.compile(r"\bFAIL\b|^Problem:|(?<=^involution-edu: )error:")


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with code 2 and one line instead of argparse's usage and error."""
        sys.exit(_fail(f"{message} (try: {self.prog} --help)"))

    def options(self) -> dict[str, str]:
        """Return each option as it is typed, by the name that the library gives it."""
        return {a.dest: a.option_strings[-1] for a in self._actions if a.option_strings}

    def unknown(self, words: list[str]) -> NoReturn:
        """Exit with code 2 because of ``words``, with the option that was perhaps meant."""
        from difflib import get_close_matches

        close = get_close_matches(words[0], self.options().values(), 1, 0.7)
        hint = "".join(f"; did you mean {option}?" for option in close)
        self.error(f"unrecognized arguments: {' '.join(words)}{hint}")

    def _check_value(self, action: Action, value: Any) -> None:
        """Report a value that is no choice as the library does."""
        if action.choices is not None:
            try:
                as_choice("/".join(action.option_strings) or action.dest, value, action.choices)
            except ArgumentError as error:
                self.error(str(error))

    def _print_message(self, message: str, file: object = None) -> None:
        """Print the help or the version; argparse's method ignores that it cannot."""
        _print(message)


class _Overview(_Parser):
    def format_help(self) -> str:
        """Return the commands by their groups; argparse's would be one list."""
        formatter = self._get_formatter()
        formatter.add_usage(f"{self.prog} COMMAND ...", [], [])
        formatter.add_text(self.description)
        for title, modules in GROUPS.items():
            formatter.start_section(title)
            commands = (module.COMMAND for module in modules)
            formatter.add_arguments([Action([], c.name, help=c.summary) for c in commands])
            formatter.end_section()
        formatter.add_text(self.epilog)
        return formatter.format_help()


def make_parser() -> _Parser:
    """Return the parser of all commands."""
    parser = _Overview(
        prog=PROGRAM,
        description="Learn involution by reading, running and seeing it: a layer that generates a "
        "kernel at every pixel, from that pixel, and shares it among a group of channels.",
        epilog=f"Try first: {PROGRAM} demo. Each command explains itself with --help.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(dest="command", parser_class=_Parser)
    for command in COMMANDS:
        sub = commands.add_parser(
            command.name,
            help=command.summary,
            description=command.description,
            epilog=f"example: {PROGRAM} {command.example}",
            allow_abbrev=False,
        )
        sub.add_argument("--json", action="store_true", help="print JSON instead of text")
        command.add_arguments(sub)
        sub.set_defaults(run=command.run, parser=sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        with _as_program():
            if not Path(__file__).is_file():  # some files of the package must be real ones
                archive = Path(__file__).parents[2]
                return _fail(f"the package is imported from inside {archive}; unpack that first")
            try:
                parser, argv = make_parser(), sys.argv[1:] if argv is None else argv
                if "_ARGCOMPLETE" in os.environ:  # a shell asks for completions
                    with suppress(ImportError):
                        import argcomplete

                        argcomplete.autocomplete(parser)
                args, unknown = parser.parse_known_args(argv)
                if unknown:
                    asked: _Parser = parser if args.command is None else args.parser
                    asked.unknown(unknown)
                if args.command is None:
                    parser.print_help()
                    return 0
                return _run(args, argv)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()
    except KeyboardInterrupt as end:
        _say(f"{PROGRAM}: interrupted{'; to continue:' * len(end.args)}", *end.args)
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


def _run(args: Namespace, argv: Sequence[str]) -> int:
    """Run a command; report a mistake of the user in one line, let any other error pass."""
    try:
        try:
            result = args.run(args)
        finally:
            clear_progress()
    except KeyboardInterrupt:
        if "resume" not in args:
            raise
        words = [word for word in argv if word not in {"--force", "--resume"}]
        raise KeyboardInterrupt(shlex.join([PROGRAM, *words, "--resume"])) from None
    except ArgumentError as error:
        name = error.name.partition("[")[0]  # pixel[0] is about the argument pixel
        if name not in vars(args):
            raise
        return _fail(args.parser.options().get(name, name) + str(error).removeprefix(name))
    except (OSError, BackendUnavailable) as error:
        name, verb, rest = str(error).partition(" is ")
        option = args.parser.options().get(name)
        return _fail(f"{option}{verb}{rest}" if option else error)
    except MemoryError as error:
        return _fail(f"not enough memory ({error})")
    _print((as_json(result) if args.json else result.text()) + "\n", plain=args.json)
    return 0 if result.ok else 1


def _fail(error: Exception | str) -> int:
    if isinstance(error, OSError) and error.filename is not None:
        error = f"{error.filename}: {error.strerror}"
    _say(f"{PROGRAM}: error: {shown(' '.join(str(error).split()), MAX_ERROR)}")
    return 2


def _say(line: str, *to_copy: str) -> None:
    """Write ``line``, and unbroken ones to copy, to stderr if that can be written."""
    try:
        sys.stderr.write("\n".join([*_fitted([line], sys.stderr), *to_copy, ""]))
        sys.stderr.flush()
    except (AttributeError, OSError):  # closed before the program began, or a full disk
        _silence(sys.stderr)


def _fitted(lines: Iterable[str], stream: IO[str]) -> Iterator[str]:
    """Yield lines; on a terminal, broken between words at its width, verdicts in colour."""
    if not stream.isatty():
        yield from lines
        return
    width, plain = get_terminal_size().columns, os.environ.get("TERM") == "dumb"
    colours = () if plain or os.environ.get("NO_COLOR") else ((GOOD, 32), (BAD, 31))
    for line in lines:
        if len(line) > width:
            start = FIRST.match(line)
            indent = " " * min(start.end() if start else 2, width // 2)
            how: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
            line = fill(line, width, subsequent_indent=indent, **how)
        for pattern, colour in colours:
            line = pattern.sub(f"\x1b[{colour}m\\g<0>\x1b[0m", line)
        yield line


def _print(text: str, plain: bool = False) -> None:
    """Write ``text`` to stdout; escape control characters, replace those its encoding lacks."""
    if sys.stdout is None:  # closed before the program began
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    lines = [shown(line, len(line)) for line in text.split("\n")]
    text = "\n".join(lines if plain else _fitted(lines, sys.stdout))
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(ASCII).encode(encoding, "replace").decode(encoding)
    sys.stdout.write(text)
