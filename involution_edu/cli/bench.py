"""``involution-edu bench``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import date
from pathlib import Path

from ..arguments import ArgumentError, as_int
from ..bench.presets import PRESETS
from ..complexity import IMAGENET_SIZE
from ..files import check_writable, written_whole
from ..models import MODELS
from ..progress import progress_bar
from .command import Command, Result, add_force, as_json


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default="rednet50",
        help="the operator on the shapes of RedNet-50, on two small ones, on a range "
        "of sizes; whole networks; or all of it but the small ones (default: rednet50, about "
        "three minutes); or gpu: RedNet-50's shapes with 64 images, on a GPU",
    )
    parser.add_argument(
        "--profile",
        choices=MODELS,
        metavar="MODEL",
        help="instead, show where the time of this network goes, for one image of "
        f"{IMAGENET_SIZE} x {IMAGENET_SIZE} pixels: one of {', '.join(MODELS)}",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        metavar="N",
        help="maximum turns of each contender on each shape (default: the preset's)",
    )
    parser.add_argument(
        "--backends",
        nargs="+",
        metavar="NAME[:VERSION]",
        help="time only these, such as shifts or cupy:v3, beside PyTorch (default: all)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the record as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it, as .png or .svg")
    add_force(parser)


def bench(args: Namespace) -> Result:
    """Run the benchmark or the profile, and write the requested files."""
    if args.profile is not None:
        return _profile(args)
    from ..bench.run import run_benchmark
    from ..bench.text import Report

    for name, presets in (("backends", {"networks"}), ("plot", {"networks", "gpu"})):
        if args.preset in presets and (value := getattr(args, name)) is not None:
            raise ArgumentError(name, f"is {value}", f"none with the preset {args.preset}")
    files = [path for path in (args.out, args.plot) if path is not None]
    check_writable(*files, force=args.force)
    if args.plot is not None and args.plot.suffix not in {".png", ".svg"}:
        raise ArgumentError("plot", f"is {args.plot}", "a name that ends in .png or .svg")
    if len({path.resolve() for path in files}) < len(files):
        raise ArgumentError("plot", f"is {args.plot}", "another file than the record's")
    record = run_benchmark(
        args.preset,
        rounds=args.rounds,
        backends=args.backends,
        date=date.today().isoformat(),
        progress=progress_bar(),
    )
    report = Report(record)
    if args.out is not None:
        with written_whole(args.out, force=args.force) as temporary:
            temporary.write_text(f"{as_json(report)}\n", encoding="utf-8")
    if args.plot is not None and (record.measurements or record.scaling):  # else all were refused
        from ..bench.plots import save_plot

        with written_whole(args.plot, force=args.force) as temporary:
            save_plot(record, temporary)
    return report


def _profile(args: Namespace) -> Result:
    from ..bench.profile import profile

    for name in ("backends", "out", "plot"):
        if (value := getattr(args, name)) is not None:
            raise ArgumentError(name, f"is {value}", "none with a profile")
    model, image = MODELS[args.profile](rng=0), (3, IMAGENET_SIZE, IMAGENET_SIZE)
    rounds = as_int("rounds", 20 if args.rounds is None else args.rounds)
    return profile(model, image, args.profile, rounds=rounds, progress=progress_bar())


COMMAND = Command(
    "bench",
    "time every backend beside PyTorch and the machine's peak rates",
    "Compare every backend, and PyTorch and others where they are installed, with a reference on the shapes to "
    "be timed; then time the correct ones in turns, forward and with both gradients, beside the "
    "rates at which this machine copies, multiplies and adds. Exit code 1 if one is wrong.",
    "bench --out bench.json --plot bench.png",
    add_arguments,
    bench,
)
