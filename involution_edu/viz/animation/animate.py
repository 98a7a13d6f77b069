"""A scene as a file: the animation, and its last frame as a poster."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from ...arguments import as_int
from ...files import check_writable, written_whole
from ..html import Page
from .frames import Progress, check_format, save_film
from .scenes import SEED, Subject, scene_of


def animate(
    scene: str,
    image: str | Path | None = None,
    *,
    format: str = "gif",
    out_dir: str | Path = ".",
    force: bool = False,
    seed: int = SEED,
    progress: Progress = lambda done, total: None,
) -> tuple[Path, Path]:
    """Draw a scene and write ``SCENE.FORMAT`` and ``SCENE.png``, its last frame.

    An animated PNG is called ``SCENE.apng``.

    Parameters
    ----------
    scene : str
        A name from `involution_edu.viz.animation.scenes.SCENES`.
    image : path, optional
        A photo; if not given, the portrait that ships with matplotlib.
    format : {"gif", "apng", "webp", "mp4", "html"}
    out_dir : path
        An existing folder.
    force : bool
        Replace the files if they exist.
    seed : int
        Of the random weights.
    progress : callable
        Called with the steps done and their number; the encoding is the last.

    Returns
    -------
    animation, poster : Path

    Raises
    ------
    ValueError
        If there is no such scene or format, or the image cannot be used.
    OSError
        If a file cannot be read or written. Both files are written, or none.

    Examples
    --------
    Scenes take seconds, so a format that there is not is refused before them:

    >>> animate("groups", format="html", out_dir="pictures")  # doctest: +SKIP
    >>> animate("groups", format="avi", out_dir="pictures")
    Traceback (most recent call last):
        ...
    ValueError: format is 'avi'; need one of gif, apng, webp, mp4, html
    """
    row, seed = scene_of(scene), as_int("seed", seed, 0)
    check_format(format)
    files = tuple(Path(out_dir) / f"{scene}.{end}" for end in (format, "png"))
    check_writable(*files, force=force, choice="another folder with --out")
    film = row.film(Subject.of(None if image is None else Path(image), seed))
    animation, poster = files
    with (
        written_whole(poster, force=force) as poster_whole,
        written_whole(animation, force=force) as whole,
    ):
        save_film(film, whole, format, progress).save(poster_whole, format="PNG", optimize=True)
    return animation, poster


def stepper(
    scene: str, image: str | Path | None = None, *, seed: int = 0, height: int = 700
) -> Page:
    """Return the frames of an animation as a page to play, step and scrub through.

    Parameters
    ----------
    scene, image, seed
        As in `involution_edu.viz.animation.animate.animate`.
    height : int
        Of the frame in a notebook, in CSS pixels.

    Raises
    ------
    ValueError
        If there is no such scene, or the image cannot be used.

    Examples
    --------
    >>> stepper("groups").title
    'Groups'
    """
    row, height = scene_of(scene), as_int("height", height)
    subject = Subject.of(None if image is None else Path(image), as_int("seed", seed, 0))
    with TemporaryDirectory() as folder:
        path = Path(folder, "page.html")
        save_film(row.film(subject), path, "html", lambda done, total: None)
        return Page(path.read_text(encoding="utf-8"), row.title, height)
