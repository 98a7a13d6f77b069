"""``involution-edu animate``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from textwrap import fill

from ..arguments import ArgumentError
from ..progress import progress_bar
from .command import Command, Message, Result, add_image, add_out_dir, seed


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "scene",
        nargs="?",
        metavar="SCENE",
        help="what to show; --list names the scenes",
    )
    add_image(parser)
    parser.add_argument("--list", action="store_true", help="say what each scene shows, and stop")
    parser.add_argument(
        "--format",
        default="gif",
        metavar="NAME",
        help="gif, apng, webp, mp4 (needs ffmpeg) or html, a page to step through (default: gif)",
    )
    add_out_dir(parser, "the animation and its poster")
    parser.add_argument(
        "--seed",
        type=seed,
        help="of the random weights, a whole number below 2**31 (default: one that shows much)",
    )


def run(args: Namespace) -> Result:
    """Draw the scene, or say which there are."""
    from ..viz.animation.animate import animate
    from ..viz.animation.scenes import SCENES, SEED

    if args.list:
        lines = [
            f"{scene.name}\n{fill(scene.caption, 76, initial_indent='    ', subsequent_indent='    ')}"
            for scene in SCENES
        ]
        return Message("\n".join(lines), {scene.name: scene.caption for scene in SCENES})
    if args.scene is None:
        names = ", ".join(scene.name for scene in SCENES)
        raise ArgumentError("scene", "is missing", f"one of {names}")
    bar = progress_bar()
    files = animate(
        args.scene,
        args.image,
        format=args.format,
        out_dir=args.out_dir,
        force=args.force,
        seed=SEED if args.seed is None else args.seed,
        progress=lambda done, total: bar(done, total, args.scene),
    )
    written = [str(path) for path in files]
    return Message(f"Wrote {written[0]} and its last frame, {written[1]}", {"files": written})


COMMAND = Command(
    "animate",
    "draw one idea as an animation, with the numbers that were computed",
    "Draw a scene from a recorded run of the operator on a photo: how a kernel is made, how it is "
    "applied, how the gradient comes back, and more. Writes the animation and its last frame.",
    "animate generate cat.jpg --format html --out pictures",
    add_arguments,
    run,
)
