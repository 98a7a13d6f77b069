"""Scenes as files or as a page: the animation, and its last frame as a poster."""

from __future__ import annotations

from pathlib import Path

from ...arguments import as_choice, as_int
from ...files import check_writable, written_whole
from ...progress import Progress, no_progress
from ..html import Page
from .player import player_page, png_of
from .scenes import SCENES, SEED, Subject
from .writers import changes, check_format, paletted, write_animation


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
    """Draw a scene and write ``SCENE.FORMAT`` and ``SCENE.png``, its last frame.

    Parameters
    ----------
    scene : str
        A name in `involution_edu.viz.animation.scenes.SCENES`.
    image : path, optional
        A photo; if not given, the portrait that ships with matplotlib.
    format : {"gif", "apng", "webp", "mp4", "html"}
        "mp4" needs the program ffmpeg.
    out_dir : path
        An existing folder.
    force : bool
        Replace the files if they exist. A poster of the same picture, as for another format of the
        same scene, needs no force.
    seed : int
        Seed of the random weights.
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
    scene, seed = as_choice("scene", scene, SCENES), as_int("seed", seed, 0)
    check_format(format)
    animation, poster = (Path(out_dir) / f"{scene}.{end}" for end in (format, "png"))
    choice = "another folder with --out"
    known = force  # whether the poster may be replaced
    check_writable(animation, force=force, choice=choice)
    drawn = SCENES[scene](Subject.of(image, seed, SCENES[scene].side)).animation()
    if poster.is_file() and not force:  # perhaps of another format: the same picture
        (last,) = paletted(drawn, drawn.frames[-1:])
        known = poster.read_bytes() == png_of(last)
    check_writable(poster, force=known, choice=choice)
    with (
        written_whole(poster, force=known) as poster_whole,
        written_whole(animation, force=force) as whole,
    ):
        poster_whole.write_bytes(png_of(write_animation(drawn, whole, format, progress)))
    return animation, poster


def stepper(
    scene: str, image: str | Path | None = None, *, seed: int = 0, height: int = 700
) -> Page:
    """Return an animation as a page with buttons to play, step and scrub through its frames.

    Parameters
    ----------
    scene, image, seed
        As in `involution_edu.viz.animation.animate.animate`.
    height : int
        Height of the page in a notebook, in CSS pixels.

    Raises
    ------
    ValueError
        If the scene is unknown, or the image cannot be used.

    Examples
    --------
    >>> stepper("groups").title
    'Groups: channels share kernels'
    """
    scene, height = as_choice("scene", scene, SCENES), as_int("height", height)
    drawn = SCENES[scene](Subject.of(image, as_int("seed", seed, 0)))
    animation = drawn.animation()
    images = list(changes(list(paletted(animation, animation.frames))))
    return Page(player_page(images, animation.frames), drawn.title, height)
