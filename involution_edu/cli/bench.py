"""``involution-edu bench``: its arguments, and the files that it writes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from datetime import date
from pathlib import Path

from ..arguments import ArgumentError
from ..bench.presets import PRESETS
from ..files import check_writable, written_whole
from ..progress import progress_bar
from .command import Command, Message, Result, as_json


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "--preset",
        choices=[*PRESETS, "gpu"],
        default="rednet50",
        help="what to time: the operator on the shapes of RedNet-50, on two small ones, on sizes "
        "that grow; whole networks; or all of it but the small ones (default: rednet50, about "
        "three minutes); or gpu: RedNet-50's shapes with 64 images, on a GPU",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        metavar="N",
        help="most turns of each contender on each shape (default: the preset's)",
    )
    parser.add_argument(
        "--backends",
        nargs="+",
        metavar="NAME",
        help="time only these, beside PyTorch (default: all)",
    )
    parser.add_argument(
        "--json",
        type=_file_or_stdout,
        metavar="FILE",
        help="write the record to FILE as well; - prints it instead of text",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it, as .png or .svg")
    parser.add_argument("--force", action="store_true", help="replace files that exist")


def _file_or_stdout(text: str) -> Path | bool:
    return True if text == "-" else Path(text)  # True is what --json gives the other commands


def bench(args: Namespace) -> Result:
    """Run the benchmark and write the files that were asked for."""
    from ..bench.derived import data_of
    from ..bench.run import run
    from ..bench.text import bench_text

    for name in ("backends", "plot") if args.preset in {"gpu", "networks"} else ():
        if (value := getattr(args, name)) is not None:
            raise ArgumentError(name, f"is {value}", f"none with the preset {args.preset}")
    if args.preset == "gpu":
        return _bench_gpu(args)
    files = [path for path in (args.json, args.plot) if isinstance(path, Path)]
    check_writable(*files, force=args.force)
    if args.plot is not None and args.plot.suffix not in {".png", ".svg"}:
        raise ArgumentError("plot", f"is {args.plot}", "a name that ends in .png or .svg")
    record = run(
        args.preset,
        rounds=args.rounds,
        backends=args.backends,
        date=date.today().isoformat(),
        progress=progress_bar(),
    )
    outcome = Message(bench_text(record), data_of(record), record.agrees)
    _write_json(args, outcome)
    if args.plot is not None and (record.rows or record.growths):  # else all were refused
        from ..bench.plots import save_plot

        with written_whole(args.plot, force=args.force) as temporary:
            save_plot(record, temporary)
    return outcome


def _write_json(args: Namespace, outcome: Result) -> None:
    if isinstance(args.json, Path):
        with written_whole(args.json, force=args.force) as temporary:
            temporary.write_text(f"{as_json(outcome)}\n", encoding="utf-8")


def _bench_gpu(args: Namespace) -> Result:
    from ..bench.gpu import run_gpu
    from ..bench.gpu_page import gpu_text

    if isinstance(args.json, Path):
        check_writable(args.json, force=args.force)
    record = run_gpu(rounds=args.rounds, date=date.today().isoformat(), progress=progress_bar())
    outcome = Message(gpu_text(record), asdict(record), record.agrees)
    _write_json(args, outcome)
    return outcome


COMMAND = Command(
    "bench",
    "time every backend beside PyTorch and the limits of the machine",
    "Hold every backend, and PyTorch where it is installed, against a reference on the shapes "
    "to be timed; then time the right ones in turns, forward and with both gradients, beside "
    "the speed at which this machine copies, multiplies and adds. Exit code 1 if one is wrong.",
    "bench --json bench.json --plot bench.png",
    add_arguments,
    bench,
)
