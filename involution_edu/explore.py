"""The explorer page of an involution layer on a photo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .demo import make_layer, speckled
from .files import check_writable
from .geometry import as_int
from .images import load_photo, photo_to_x
from .viz import Trace, record
from .viz.explorer import explorer

LARGEST = 128  # pixels a side: the page computes all their kernels, and again as one paints


@dataclass(frozen=True, eq=False)
class Explored:
    """What `run` showed and wrote.

    Attributes
    ----------
    text : str
        For the terminal.
    trace : Trace
        Every number behind the page.
    file : Path
    """

    text: str
    trace: Trace
    file: Path

    def data(self) -> dict[str, Any]:
        """Return what can be said as JSON."""
        geom = self.trace.geom
        return {"file": str(self.file), "bytes": self.file.stat().st_size, "size": [geom.H, geom.W]}


def run(
    image: str | Path | None = None,
    *,
    out: str | Path = "explorer.html",
    force: bool = False,
    size: int = 64,
    seed: int = 0,
) -> Explored:
    """Run the layer of the demo on a photo and write a page to explore it.

    Parameters
    ----------
    image : path, optional
        Any image that Pillow reads; if not given, the portrait that ships with matplotlib.
    out : path
        The page.
    force : bool
        Replace the page if it exists.
    size : int
        Longest side of the photo given to the layer, in pixels: 8 to 128.
    seed : int
        Of the specks.

    Raises
    ------
    ValueError
        If the image cannot be used.
    OSError
        If a file cannot be read or written.
    """
    size, seed, out = as_int("size", size, 8), as_int("seed", seed, 0), Path(out)
    if size > LARGEST:
        raise ValueError(f"size is {size}; need 8 to {LARGEST}")
    check_writable(out, force=force, choice="another file with --out")
    photo, notice = load_photo(None if image is None else Path(image), size)
    trace = record(make_layer(), photo_to_x(speckled(photo, seed)))
    name = "The sample portrait" if image is None else Path(image).name
    geom = trace.geom
    about = (
        f"{name}, {geom.H} × {geom.W} pixels. One layer: {geom.C} channels, {geom.G} "
        f"group{'s' * (geom.G > 1)}, {geom.window[0]} × {geom.window[1]} kernels, trained to remove "
        f"the black and white specks that were put on the photo (seed {seed})."
    )
    explorer(trace, about=about, photo=True).save(out, force=force)
    lines = [about, *([notice] if notice else []), f"Wrote {out}; open it in a browser."]
    return Explored("\n".join(lines), trace, out)
