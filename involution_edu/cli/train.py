"""``involution-edu train``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path

from ..progress import progress_bar
from ..training.tasks import TASKS
from .command import Command, Message, Result, seed


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    about = "; ".join(f"{task.name}: {task.about}" for task in TASKS.values())
    parser.add_argument("task", choices=TASKS, metavar="TASK", help=about)
    parser.add_argument(
        "--networks",
        nargs="+",
        metavar="NAME",
        help="rednet and resnet for labels (default: all that the task has)",
    )
    parser.add_argument(
        "--seeds",
        nargs="+",
        type=seed,
        default=[0],
        metavar="SEED",
        help="of the weights and all else that is drawn; each network is trained once with each "
        "(default: 0)",
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="(default: the task's)")
    parser.add_argument(
        "--out",
        dest="out_dir",
        type=Path,
        metavar="DIR",
        help="folder for checkpoints, logs and curves (default: trained-TASK)",
    )
    there = parser.add_mutually_exclusive_group()
    there.add_argument("--resume", action="store_true", help="go on from the folder's checkpoints")
    there.add_argument("--force", action="store_true", help="begin anew over the folder's files")


def run(args: Namespace) -> Result:
    """Train and say what came out."""
    from ..training.runs import results_text, run_task

    out_dir = Path(f"trained-{args.task}") if args.out_dir is None else args.out_dir
    try:
        results = run_task(
            args.task,
            networks=args.networks,
            seeds=args.seeds,
            epochs=args.epochs,
            out_dir=out_dir,
            resume=args.resume,
            force=args.force,
            progress=progress_bar(),
        )
    except FloatingPointError as error:  # no mistake in what was typed: the training diverged
        return Message(f"The training diverged: {error}", {"error": str(error)}, ok=False)
    return Message(f"{results_text(results)}\nCheckpoints and logs: {out_dir}", asdict(results))


COMMAND = Command(
    "train",
    "train small networks on pictures that ship inside packages",
    "Train a RedNet beside the ResNet of its plan, or an involution that filters photos. Nothing "
    "is downloaded. A checkpoint follows every epoch, so an interrupted run goes on with --resume "
    "and ends at the very weights of one that was not.",
    "train digits --seeds 0 1 2 --out digits",
    add_arguments,
    run,
)
