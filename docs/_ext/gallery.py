"""Maker of the gallery: pictures of the sample portrait, their pages, and the explorer's.

``python docs/_ext/gallery.py docs`` writes all of them. A scene of ``involution-edu animate`` is
in the gallery by itself. A still picture is a page ``docs/gallery/NAME.md`` with a title, a caption
and the code that makes ``figure``, and a name in `STILLS`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from os.path import relpath
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import fill
from typing import TYPE_CHECKING, Any

from PIL import Image

from involution_edu.apps import demo, explore
from involution_edu.files import check_writable, written_whole
from involution_edu.progress import Progress, no_progress, progress_bar
from involution_edu.viz.animation.animate import animate
from involution_edu.viz.animation.scenes import SCENES, Scene

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = Path(__file__).parents[1] / "gallery"  # of the stills' pages
STILLS = (
    "edge",
    "filtered",
    "atlas",
    "maps",
    "nearest",
    "groups-at-a-pixel",
    "before-and-after",
    "redundancy",
    "shapes",
    "blocks",
)
INTRODUCTION = """\
# Gallery

Every number and colour is read from a recorded run of the operator. Blue is negative, white is zero, orange is
positive; darker is larger. Each picture leads to its page: the animations can be stepped through there, and the
still pictures have the code that draws them.
"""
COLUMNS = 3
BROWSERS = "chromium", "chromium-browser", "google-chrome"
HEADLESS = "--headless=new", "--no-sandbox", "--hide-scrollbars", "--virtual-time-budget=3000"
SIZE = 1280, 800  # of the picture of the explorer


@dataclass(frozen=True, slots=True)
class Still:
    """A still picture, as its page describes it."""

    name: str
    title: str
    code: str  # makes `figure`

    @classmethod
    def read(cls, name: str) -> Still:
        """Read the page of a still."""
        text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
        title, code = (
            re.match(r"# (.+)", text),
            re.search(r"^```python\n(.+?)^```", text, re.MULTILINE | re.DOTALL),
        )
        if title is None or code is None:
            raise ValueError(f"{name}.md has no title or no block of Python")
        return cls(name, title[1], code[1])

    def draw(self) -> Figure:
        """Run the code and return its figure."""
        names: dict[str, Any] = {}
        exec(compile(self.code, f"{self.name}.md", "exec"), names)  # noqa: S102 - our page
        figure: Figure = names["figure"]
        return figure


def page() -> str:
    """Return the gallery's page in Markdown."""
    animations = [_card(name, gif_of(name), scene.title) for name, scene in SCENES.items()]
    stills = [_card(name, f"gallery/{name}.png", Still.read(name).title) for name in STILLS]
    pages = "".join(f"gallery/{name}\n" for name in (*SCENES, *STILLS))
    parts = (
        INTRODUCTION,
        "## Animations\n",
        *(_grid(animations), "## Still pictures\n", _grid(stills)),
        f"```{{toctree}}\n:hidden:\n\n{pages}```\n",
    )
    return "\n".join(parts)


def gif_of(scene: str) -> str:
    """Return the path of a scene's GIF in the folder of the documentation."""
    return "demo.gif" if scene == "hero" else f"gallery/{scene}.gif"


def _card(name: str, picture: str, title: str) -> str:
    return f"[![{title}]({picture}) {title}](gallery/{name}.md)"


def _grid(cards: Sequence[str]) -> str:
    starts = range(0, len(cards), COLUMNS)
    padded = [*cards, *[" "] * (-len(cards) % COLUMNS)]
    rows = [f"| {' | '.join(padded[n : n + COLUMNS])} |\n" for n in starts]
    return "".join(("<!-- cards -->\n\n", "|   " * COLUMNS, "|\n", "|---" * COLUMNS, "|\n", *rows))


def scene_page(scene: type[Scene]) -> str:
    """Return the page of a scene in Markdown."""
    return f"""\
# {scene.title}

<!-- live: steppers/{scene.name}.html -->

![{scene.title}]({relpath(gif_of(scene.name), "gallery")})

{fill(scene.caption, 115, break_on_hyphens=False)}

```bash
involution-edu animate {scene.name} photo.jpg                  # a GIF of your own photo
involution-edu animate {scene.name} photo.jpg --format html    # a page to step through, like this one
```
"""


def write_gallery(
    out_dir: str | Path, *, force: bool = False, progress: Progress = no_progress
) -> list[Path]:
    """Write ``gallery.md``, and in the folder ``gallery`` all pictures and the scenes' pages.

    Parameters
    ----------
    out_dir : path
        An existing folder.
    force : bool
        Replace files that exist.
    progress : callable
        Called with the files done, their number, and the name of the last one.

    Returns
    -------
    files : list of Path

    Raises
    ------
    OSError
        If a file exists or cannot be written. Each is written completely or not at all.
    """
    folder, index = Path(out_dir) / "gallery", Path(out_dir) / "gallery.md"
    check_writable(index, force=force, choice="another folder")
    folder.mkdir(parents=True, exist_ok=True)
    writers: dict[Path, Callable[[Path], object]] = {}
    for name, scene in SCENES.items():
        writers[Path(out_dir) / gif_of(name)] = partial(_write_scene, name)
        writers[folder / f"{name}.md"] = partial(_write_text, scene_page(scene))
    for name in STILLS:
        writers[folder / f"{name}.png"] = partial(_write_still, Still.read(name))
    writers[index] = partial(_write_text, page())
    check_writable(*writers, force=force, choice="another folder")
    for done, (path, write) in enumerate(writers.items(), start=1):
        with written_whole(path, force=force) as whole:
            write(whole)
        progress(done, len(writers), path.name)
    return list(writers)


def _write_scene(name: str, path: Path) -> None:
    with TemporaryDirectory() as folder:
        if name == "hero":  # README promises the one of the command
            animation = demo.run(out_dir=folder).files[0]
        else:
            animation, _ = animate(name, out_dir=folder)
        shutil.copyfile(animation, path)


def _write_still(still: Still, path: Path) -> None:
    still.draw().savefig(drawn := BytesIO(), format="png")
    with Image.open(drawn) as image:  # 256 colours take a third of the bytes
        colours = image.convert("RGB").quantize(
            256, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
        )
        colours.save(path, format="PNG", optimize=True)


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def write_explorer(page: Path, picture: Path) -> None:
    """Write the page of the explorer, replacing it, and a picture of it if there is a browser."""
    explore.run(out=page, force=True)
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"No Chromium: {picture} stays as it is", file=sys.stderr)  # noqa: T201
        return
    with written_whole(picture, force=True) as whole:
        options = [f"--screenshot={whole}", f"--window-size={SIZE[0]},{SIZE[1]}"]
        subprocess.run(
            [browser, *HEADLESS, *options, page.resolve().as_uri()], check=True, timeout=60
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Write the gallery and the explorer's page into a folder; existing files are replaced."""
    parser = ArgumentParser(description="Make the gallery and the explorer's page.")
    parser.add_argument("folder", type=Path, help="folder for gallery.md and the others")
    folder = parser.parse_args(argv).folder
    write_gallery(folder, force=True, progress=progress_bar())
    write_explorer(folder / "explorer.html", folder / "explorer.png")


if __name__ == "__main__":
    main()
