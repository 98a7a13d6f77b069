"""``involution-edu train``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ..progress import progress_bar
from ..training.tasks import TASKS
from .command import Command, Result, add_seeds, add_training


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    about = "; ".join(f"{task.name}: {task.about}" for task in TASKS.values())
    parser.add_argument("task", choices=TASKS, metavar="TASK", help=about)
    parser.add_argument(
        "--networks",
        nargs="+",
        metavar="NAME",
        help="rednet and resnet for tasks with labels (default: all networks of the task)",
    )
    add_seeds(parser, [0], "each network is trained once with each")
    folder = "folder for checkpoints, logs and curves (default: trained-TASK)"
    parser.add_argument("--out", dest="out_dir", type=Path, metavar="DIR", help=folder)
    add_training(parser, "continue from the checkpoints in the folder")


def run(args: Namespace) -> Result:
    """Train all networks with all seeds."""
    from ..training.runs import run_task

    return run_task(
        args.task,
        networks=args.networks,
        seeds=args.seeds,
        epochs=args.epochs,
        out_dir=Path(f"trained-{args.task}") if args.out_dir is None else args.out_dir,
        resume=args.resume,
        force=args.force,
        progress=progress_bar(),
    )


COMMAND = Command(
    "train",
    "train small networks on pictures that ship inside packages",
    "Train a RedNet and the ResNet of the same architecture, or an involution that filters photos. "
    "Nothing is downloaded. A checkpoint is written after every epoch: an interrupted run continues "
    "with --resume and ends with the same weights as an uninterrupted one.",
    "train digits --seeds 0 1 2 --out digits",
    add_arguments,
    run,
)
