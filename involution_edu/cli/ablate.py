"""``involution-edu ablate``."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from ..arguments import ArgumentError
from ..progress import progress_bar
from .command import Command, Result, add_training


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--task", default="digits", metavar="TASK", help="a task with labels (default: digits)"
    )
    for name, text in (
        ("k", "rows and columns of the window, odd"),
        ("group-channels", "channels that share a kernel"),
        ("reduction", "reduction of the channels in the generator"),
    ):
        parser.add_argument(
            f"--{name}", type=_numbers, default=[], metavar="N,N,...", help=f"{text}; values to try"
        )
    parser.add_argument(
        "--seeds", type=int, default=3, metavar="N", help="seeds for each value (default: 3)"
    )
    files = "name of the .csv, .md and .png files (default: ablation-TASK)"
    parser.add_argument("--out", dest="path", type=Path, metavar="NAME", help=files)
    add_training(parser, "keep the rows of the .csv and add missing ones")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="processes on this machine (default: 1)"
    )
    workers = "scheduler of a Dask cluster that does the runs, such as tcp://10.0.0.1:8786"
    parser.add_argument("--dask", metavar="ADDRESS", help=workers)


def _numbers(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts):
        raise ArgumentTypeError(f"{text!r} is no list of whole numbers such as 3,5,7")
    return [int(part) for part in parts]


def run(args: Namespace) -> Result:
    """Train a network for each setting and seed."""
    from ..training.ablation import ablate, settings_of

    name = Path(f"ablation-{args.task}") if args.path is None else args.path
    if name.name in ("", ".."):
        raise ArgumentError("path", f"is {name}", "the name of a file, to which .csv is added")
    return ablate(
        args.task,
        settings_of(args.k, args.group_channels, args.reduction),
        seeds=args.seeds,
        epochs=args.epochs,
        path=name.with_name(f"{name.name}.csv"),
        command=typed(args),
        resume=args.resume,
        force=args.force,
        jobs=args.jobs,
        dask=args.dask,
        progress=progress_bar(),
    )


def typed(args: Namespace) -> str:
    """Return the command that reproduces the table."""
    words = ["involution-edu ablate", f"--task {args.task}"]
    words += [
        f"--{factor.replace('_', '-')} {','.join(map(str, values))}"
        for factor in ("k", "group_channels", "reduction")
        if (values := getattr(args, factor))
    ]
    words.append(f"--seeds {args.seeds}")
    if args.epochs is not None:
        words.append(f"--epochs {args.epochs}")
    return " ".join(words)


COMMAND = Command(
    "ablate",
    "ablation of window, groups and reduction, by training",
    "Train a small RedNet for each value of K, of the channels per kernel and of the reduction, one "
    "factor at a time around 7, 16 and 4. The table is kept up to date: an interrupted ablation "
    "continues with --resume. A Dask cluster can do the runs.",
    "ablate --k 1,3,5,7,9 --epochs 5 --jobs 2",
    add_arguments,
    run,
)
