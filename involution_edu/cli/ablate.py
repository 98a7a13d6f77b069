"""``involution-edu ablate``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ..progress import progress_bar
from .command import Command, Result, add_seeds, add_training


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
            f"--{name}", type=int, nargs="+", default=[], metavar="N", help=f"{text}: values to try"
        )
    parser.add_argument(
        "--generator", nargs="+", default=[], metavar="NAME",
        help="what makes the kernel: constant (a parameter), pixel (its own features) or "
        "comparison (local attention)",
    )  # fmt: skip
    add_seeds(parser, [0, 1, 2], "each setting is trained once with each")
    files = "folder for ablation.csv, ablation.md and ablation.png (default: ablation-TASK)"
    parser.add_argument("--out", dest="path", type=Path, metavar="DIR", help=files)
    add_training(parser, "keep the rows of ablation.csv and add missing ones")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="processes on this machine (default: 1)"
    )
    workers = "scheduler of a Dask cluster that does the runs, such as tcp://10.0.0.1:8786"
    parser.add_argument("--dask", metavar="ADDRESS", help=workers)


def run(args: Namespace) -> Result:
    """Train a network for each setting and seed."""
    from ..training.ablation import ablate, settings_of

    folder = Path(f"ablation-{args.task}") if args.path is None else args.path
    return ablate(
        args.task,
        settings_of(args.k, args.group_channels, args.reduction, args.generator),
        seeds=args.seeds,
        epochs=args.epochs,
        path=folder / "ablation.csv",
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
        f"--{factor.replace('_', '-')} {' '.join(map(str, values))}"
        for factor in ("k", "group_channels", "reduction", "generator")
        if (values := getattr(args, factor))
    ]
    words.append(f"--seeds {' '.join(map(str, args.seeds))}")
    if args.epochs is not None:
        words.append(f"--epochs {args.epochs}")
    return " ".join(words)


COMMAND = Command(
    "ablate",
    "ablation of generator, window, groups and reduction, by training",
    "Train a small RedNet for each value of K, of the channels per kernel and of the reduction, one "
    "factor at a time around 7, 16 and 4; or for each generator of kernels. The table is kept up to date: an interrupted ablation "
    "continues with --resume. A Dask cluster can do the runs.",
    "ablate --k 1 3 5 7 9 --epochs 5 --jobs 2",
    add_arguments,
    run,
)
