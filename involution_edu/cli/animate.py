"""``involution-edu animate``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from textwrap import fill, indent

from ..arguments import ArgumentError
from ..progress import progress_bar
from .command import Command, Message, Result, add_image, add_out_dir, add_seed


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("scene", nargs="?", metavar="SCENE", help="a name that --list shows")
    add_image(parser)
    parser.add_argument("--list", action="store_true", help="list the scenes and what each shows")
    parser.add_argument(
        "--format",
        default="gif",
        metavar="NAME",
        help="gif, apng, webp, mp4 (needs ffmpeg) or html, a page to step through (default: gif)",
    )
    add_out_dir(parser, "the animation and its poster")
    add_seed(parser, "the noise, and of the weights before training", 202)


def run(args: Namespace) -> Result:
    """Draw a scene, or list the scenes."""
    from ..viz.animation.animate import animate
    from ..viz.animation.scenes import SCENES

    if args.list:
        captions = {name: scene.caption for name, scene in SCENES.items()}
        lines = [f"{name}\n{indent(fill(text, 76), '    ')}" for name, text in captions.items()]
        return Message("\n".join(lines), captions)
    if args.scene is None:
        raise ArgumentError("scene", "is missing", f"one of {', '.join(map(repr, SCENES))}")
    files = animate(
        args.scene,
        args.image,
        format=args.format,
        out_dir=args.out_dir,
        force=args.force,
        seed=args.seed,
        progress=progress_bar(),
    )
    written = [str(path) for path in files]
    return Message(f"Wrote {written[0]} and its last frame, {written[1]}", {"files": written})


COMMAND = Command(
    "animate",
    "draw one idea as an animation, with the numbers that were computed",
    "Draw a scene from recorded runs of trained layers: how a kernel is "
    "generated, how it is applied, how the gradient is computed, and more. Writes the animation, and "
    "its last frame as SCENE.FORMAT.png.",
    "animate generate cat.jpg --format html --out pictures",
    add_arguments,
    run,
)
