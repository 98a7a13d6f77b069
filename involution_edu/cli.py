"""The command ``involution-edu``: one row of `COMMANDS` for each thing it can do.

Exit codes: 0 all is well, 1 a check failed, 2 a mistake in what was typed, 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from . import __version__
from .backends import LADDER, BackendUnavailable
from .outcome import Outcome

PROGRAM = "involution-edu"


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table of commands.

    ``add_arguments`` gives the parser's arguments the names that the library uses for them, for
    its messages begin with those names: see `is_users_mistake`.
    """

    name: str
    summary: str
    description: str
    example: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], Outcome]


def _demo_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "image",
        nargs="?",
        type=Path,
        metavar="IMAGE",
        help="a photo to use (PNG, JPEG, ...); the default is a portrait that ships with matplotlib",
    )
    parser.add_argument(
        "--out",
        dest="out_dir",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder for the pictures (default: the current one)",
    )
    parser.add_argument("--force", action="store_true", help="replace pictures that exist")
    parser.add_argument(
        "--seed",
        type=_seed,
        default=0,
        help="of the random weights, a whole number below 2**31 (default: 0)",
    )
    parser.add_argument(
        "--pixel",
        type=int,
        nargs=2,
        metavar=("ROW", "COL"),
        help="the output pixel to explain, counted from 0 (default: the one the demo chooses)",
    )


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no whole number >= 0")
    return int(text)


def _demo(args: Namespace) -> Outcome:
    from .demo import run

    pixel = None if args.pixel is None else tuple(args.pixel)
    result = run(args.image, out_dir=args.out_dir, force=args.force, seed=args.seed, pixel=pixel)
    return Outcome(result.text, result.data())


def _no_arguments(parser: ArgumentParser) -> None:
    """Add nothing."""


def _compare(args: Namespace) -> Outcome:
    from .compare import compare
    from .report import comparison_text

    comparison = compare()
    return Outcome(comparison_text(comparison), asdict(comparison), comparison.agrees)


def _gradcheck_arguments(parser: ArgumentParser) -> None:
    names = ", ".join(_backends())
    parser.add_argument(
        "--backend",
        metavar="NAME",
        type=_backend,
        help=f"check only this one: {names} (default: all)",
    )


def _backends() -> list[str]:
    return [rung.name for rung in LADDER if rung.arrays == "numpy"]


def _backend(text: str) -> str:
    names = _backends()
    if text not in names:
        raise ArgumentTypeError(f"{text!r} is no backend; need one of {', '.join(names)}")
    return text


def _gradcheck(args: Namespace) -> Outcome:
    from .gradcheck import check_all
    from .report import gradcheck_text

    reports = []
    for report in check_all(None if args.backend is None else [args.backend]):
        reports.append(report)
        _progress(f"{report.backend}: {report.subject}, {report.case}")
    _progress("")
    ok = not any(check.wrong for report in reports for check in report.checks)
    return Outcome(gradcheck_text(reports), {"reports": [asdict(r) for r in reports]}, ok)


def _doctor(args: Namespace) -> Outcome:
    from .doctor import examine
    from .report import diagnosis_text

    diagnosis = examine()
    return Outcome(diagnosis_text(diagnosis), asdict(diagnosis), not diagnosis.problems)


def _bench_arguments(parser: ArgumentParser) -> None:
    from .bench.command import add_arguments

    add_arguments(parser)


def _bench(args: Namespace) -> Outcome:
    from .bench.command import bench

    return bench(args, _bar)


COMMANDS = (
    Command(
        "demo",
        "explain involution on a photo: its kernels, and one pixel by hand",
        "Run a random involution layer on a photo, explain one output pixel number by number, and "
        "write pictures of the kernels it generated. Existing pictures are kept unless --force.",
        "demo cat.jpg --pixel 20 31 --out pictures",
        _demo_arguments,
        _demo,
    ),
    Command(
        "compare",
        "hold every backend against the definition, then time it",
        "Run every backend forward and backward on the same awkward sizes and compare it with the "
        "plain loops; then compare and time them on two layers of RedNet-50. Exit code 1 if any "
        "two disagree.",
        "compare --json > comparison.json",
        _no_arguments,
        _compare,
    ),
    Command(
        "gradcheck",
        "hold every gradient against differences of the forward pass",
        "Check the gradients of the operator and of the layer against central differences: the "
        "loss is computed a little to the left and a little to the right of a number, and the "
        "slope must be what the backward pass says. Exit code 1 if one is wrong.",
        "gradcheck --backend numba",
        _gradcheck_arguments,
        _gradcheck,
    ),
    Command(
        "bench",
        "time every backend beside PyTorch and the limits of the machine",
        "Hold every backend, and PyTorch where it is installed, against a reference on the shapes "
        "to be timed; then time the right ones in turns, forward and with both gradients, beside "
        "the speed at which this machine copies, multiplies and adds. Exit code 1 if one is wrong.",
        "bench --json bench.json --plot bench.png",
        _bench_arguments,
        _bench,
    ),
    Command(
        "doctor",
        "say what is installed, which backends run, and how to mend the rest",
        "List versions, cores and caches, and run every backend once. Exit code 1 if something "
        "that should run does not; a missing GPU or optional package is not an error.",
        "doctor",
        _no_arguments,
        _doctor,
    ),
)


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
        _progress("")
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
        outcome: Outcome = args.run(args)
    except (ValueError, TypeError, OSError, BackendUnavailable) as error:
        if not is_users_mistake(error, args):
            raise
        _progress("")
        sys.stderr.write(f"{PROGRAM}: error: {_one_line(error)}\n")
        return 2
    _print(outcome.json() if args.json is True else outcome.text)
    return 0 if outcome.ok else 1


def is_users_mistake(error: Exception, args: Namespace) -> bool:
    """Return whether ``error`` is about something the user typed.

    An error of the operating system and an absent backend are. A ValueError or TypeError is, if
    its message begins with an argument of the command, as the library's own do: "pixel is
    (99, 3); need ...", "pixel[0] is -1; need ...". Any other is a fault in the program, whose
    traceback must be seen.
    """
    if isinstance(error, OSError | BackendUnavailable):
        return True
    name, _, rest = str(error).partition(" ")
    return name.partition("[")[0] in vars(args) and rest.startswith(("is ", "has "))


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


def _progress(text: str) -> None:
    """Show ``text`` on the terminal's last line, in place of the one before; "" clears it."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text:79.79}\r")
        sys.stderr.flush()


def _bar(done: int, total: int, what: str) -> None:
    """Show how far a long command has come; the full bar stays on the screen."""
    _progress(f"[{'#' * (24 * done // total):24}] {done}/{total} {what}")
    if done == total and sys.stderr.isatty():
        sys.stderr.write("\n")
