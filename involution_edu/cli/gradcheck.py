"""``involution-edu gradcheck``."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from dataclasses import asdict

from ..backends import LADDER
from ..progress import progress_bar
from .command import Command, Message, Result

BACKENDS = [rung.name for rung in LADDER if rung.arrays == "numpy"]


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "--backend",
        metavar="NAME",
        type=_backend,
        help=f"check only this one: {', '.join(BACKENDS)} (default: all)",
    )


def _backend(text: str) -> str:
    if text not in BACKENDS:
        raise ArgumentTypeError(f"{text!r} is no backend; need one of {', '.join(BACKENDS)}")
    return text


def run(args: Namespace) -> Result:
    """Check every gradient."""
    from ..verify.gradcheck import check_all
    from ..verify.text import gradcheck_text

    reports, show = [], progress_bar()
    for report in check_all(None if args.backend is None else [args.backend]):
        reports.append(report)
        show(len(reports), 0, f"{report.backend}: {report.subject}, {report.case}")
    ok = not any(check.wrong for report in reports for check in report.checks)
    return Message(gradcheck_text(reports), {"reports": [asdict(r) for r in reports]}, ok)


COMMAND = Command(
    "gradcheck",
    "hold every gradient against differences of the forward pass",
    "Check the gradients of the operator and of the layer against central differences: the "
    "loss is computed a little to the left and a little to the right of a number, and the "
    "slope must be what the backward pass says. Exit code 1 if one is wrong.",
    "gradcheck --backend numba",
    add_arguments,
    run,
)
