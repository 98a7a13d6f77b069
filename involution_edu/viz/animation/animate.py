"""Scenes as files or as a page: the animation, and its last frame as a poster."""

from __future__ import annotations

from pathlib import Path

from ...arguments import ArgumentError, as_choice, as_int
from ...files import check_writable, written_whole
from ...progress import Progress, no_progress
from ..html import Page
from .canvas import Animation
from .player import png_of
from .scenes import SCENES, SEED, Subject
from .writers import check_format, page_of, paletted, write_animation


def animate(
    scene: str,
    image: str | Path | None = None,
    *,
    format: str = "gif",
    out_dir: str | Path = ".",
    force: bool = False,
    seed: int = SEED,
    progress: Progress = no_progress,
) -> tuple[Path, Path]:
    """Draw a scene and write ``SCENE.FORMAT`` and ``SCENE.FORMAT.png``, its last frame.

    Parameters
    ----------
    scene : str
        A name in `involution_edu.viz.animation.scenes.SCENES`.
    image : path, optional
        A photo; if not given, the portrait that ships with matplotlib. Not for the scenes "groups"
        and "stages", which draw digits of their own.
    format : {"gif", "apng", "webp", "mp4", "html"}
        "mp4" needs the program ffmpeg.
    out_dir : path
        An existing folder.
    force : bool
        Replace the files if they exist.
    seed : int
        Seed of the noise, and of the weights before training.
    progress : callable
        Called after each frame and after the encoding.

    Returns
    -------
    animation, poster : Path

    Raises
    ------
    ValueError
        If the scene or the format is unknown, or the image cannot be used.
    OSError
        If a file cannot be read or written. Each file is written whole or not at all, and none
        before both are drawn.

    Examples
    --------
    Drawing takes seconds, so an unknown format is refused before it starts:

    >>> animate("groups", format="html", out_dir="pictures")  # doctest: +SKIP
    >>> animate("groups", format="avi", out_dir="pictures")
    Traceback (most recent call last):
        ...
    involution_edu.arguments.ArgumentError: format is 'avi'; need one of 'gif', 'apng', 'webp', 'mp4', 'html'
    """
    as_choice("scene", scene, SCENES)
    check_format(format)
    animation, poster = (Path(out_dir) / f"{scene}.{end}" for end in (format, f"{format}.png"))
    source = None if image is None else Path(image)
    check_writable(
        animation, poster, force=force, choice="another folder with --out", source=source
    )
    drawn = drawing_of(scene, image, seed)
    with (
        written_whole(poster, force=force) as poster_whole,
        written_whole(animation, force=force) as whole,
    ):
        poster_whole.write_bytes(png_of(write_animation(drawn, whole, format, progress)))
    return animation, poster


def stepper(
    scene: str, image: str | Path | None = None, *, seed: int = SEED, height: int = 700
) -> Page:
    """Return an animation as a page with buttons to play, step and scrub through its frames.

    In a notebook it shows itself, also offline and in a saved notebook. It takes at most 700 kB.

    Parameters
    ----------
    scene, image, seed
        As in `involution_edu.viz.animation.animate.animate`.
    height : int
        Height of the page in a notebook, in CSS pixels; the frames are scaled down to fit.

    Raises
    ------
    ValueError
        If the scene is unknown, or the image cannot be used.

    Examples
    --------
    >>> stepper("groups").title
    'Groups: channels share kernels'
    """
    as_choice("scene", scene, SCENES)
    drawn, height = drawing_of(scene, image, seed), as_int("height", height)
    return Page(page_of(drawn, paletted(drawn, caption=False)), drawn.title, height)


def drawing_of(scene: str, image: str | Path | None, seed: int) -> Animation:
    """Return the animation of a scene of `SCENES`, of the sample portrait if ``image`` is None."""
    if image is not None and not SCENES[scene].uses_photo:
        need = f"none: the scene '{scene}' draws digits of its own"
        raise ArgumentError("image", f"is {image}", need)
    subject = Subject.of(image, as_int("seed", seed, 0), SCENES[scene].side)
    return SCENES[scene](subject).animation()
