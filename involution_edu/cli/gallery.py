"""``involution-edu gallery``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from . import progress
from .command import Command, add_out_dir
from .outcome import Outcome


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    add_out_dir(parser, "gallery.md and its folder of pictures")


def run(args: Namespace) -> Outcome:
    """Write the gallery and say where it is."""
    from ..viz.gallery import write_gallery

    files = write_gallery(
        args.out_dir,
        force=args.force,
        progress=lambda done, total: progress.bar(done, total, "pictures"),
    )
    names = [str(path) for path in files]
    return Outcome(f"Wrote {names[0]} and {len(names) - 1} pictures", {"files": names})


COMMAND = Command(
    "gallery",
    "draw every scene and every still, and the page that shows them",
    "Draw all animations and figures of the sample portrait and write a page with captions. It "
    "takes about a minute.",
    "gallery --out docs --force",
    add_arguments,
    run,
)
