"""``involution-edu ablate``."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from dataclasses import asdict
from pathlib import Path

from ..files import check_writable, written_whole
from ..progress import progress_bar
from .command import Command, Message, Result


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "--task", default="digits", metavar="TASK", help="one with labels (default: digits)"
    )
    for name, text in (
        ("k", "rows and columns of the window, odd"),
        ("group-channels", "channels that share a kernel"),
        ("reduction", "how many times fewer features the kernels are made of"),
    ):
        parser.add_argument(
            f"--{name}", type=_numbers, default=[], metavar="N,N,...", help=f"{text}, to be tried"
        )
    parser.add_argument(
        "--seeds", type=int, default=3, metavar="N", help="how many for each (default: 3)"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="(default: the task's)")
    parser.add_argument(
        "--out",
        dest="path",
        type=Path,
        metavar="NAME",
        help="what to call the .csv, .md and .png (default: ablation-TASK)",
    )
    there = parser.add_mutually_exclusive_group()
    there.add_argument(
        "--resume", action="store_true", help="keep the rows of the .csv, add others"
    )
    there.add_argument("--force", action="store_true", help="begin anew over the files")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="processes on this machine (default: 1)"
    )
    parser.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="of the scheduler of a cluster whose workers do it instead, as tcp://10.0.0.1:8786",
    )


def _numbers(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts):
        raise ArgumentTypeError(f"{text!r} is no list of whole numbers such as 3,5,7")
    return [int(part) for part in parts]


def run(args: Namespace) -> Result:
    """Train, and write the table, the page and the charts."""
    from ..training.ablation import ablate, settings_of
    from ..training.charts import ablation_text, page, save_plot

    name = Path(f"ablation-{args.task}") if args.path is None else args.path
    table, text, picture = (name.with_name(name.name + end) for end in (".csv", ".md", ".png"))
    check_writable(
        *(table, text, picture),
        force=args.resume or args.force,
        choice="another name (--resume goes on from it)",
    )
    ablation = ablate(
        args.task,
        settings_of(args.k, args.group_channels, args.reduction),
        seeds=args.seeds,
        epochs=args.epochs,
        path=table,
        resume=args.resume,
        force=args.force,
        jobs=args.jobs,
        dask=args.dask,
        progress=progress_bar(),
    )
    with written_whole(picture, force=True) as temporary:
        save_plot(ablation, temporary)
    with written_whole(text, force=True) as temporary:
        temporary.write_text(page(ablation, typed(args), picture.name), encoding="utf-8")
    said = f"{ablation_text(ablation)}\nFiles: {table}, {text}, {picture}"
    return Message(said, {**asdict(ablation), "files": [str(p) for p in (table, text, picture)]})


def typed(args: Namespace) -> str:
    """Return the command that makes the same table anywhere."""
    words = ["involution-edu ablate", f"--task {args.task}"]
    words += [
        f"--{name.replace('_', '-')} {','.join(map(str, values))}"
        for name in ("k", "group_channels", "reduction")
        if (values := getattr(args, name))
    ]
    words.append(f"--seeds {args.seeds}")
    if args.epochs is not None:
        words.append(f"--epochs {args.epochs}")
    return " ".join(words)


COMMAND = Command(
    "ablate",
    "what the window, the groups and the reduction are worth, by training",
    "Train a small RedNet for each value of K, of the channels that share a kernel and of the "
    "reduction, each varied alone around 7, 16 and 4. Rows are kept as they come, so an "
    "interrupted sweep goes on with --resume; a cluster of Dask can do the work.",
    "ablate --k 1,3,5,7,9 --epochs 5 --jobs 2",
    add_arguments,
    run,
)
