"""The explorer page of an involution layer on a photo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .demo import escaped, make_layer, page_of, speckled
from .files import check_writable
from .geometry import as_int
from .images import load_photo, photo_to_x
from .viz import Trace, record

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
    name = "the sample portrait" if image is None else Path(image).name
    page_of(trace, name, seed).save(out, force=force)
    lines = [
        f"The way of every pixel of {escaped(name)} through an involution layer.",
        *([notice] if notice else []),
        f"Wrote {escaped(str(out))}; open it in a browser.",
    ]
    return Explored("\n".join(lines), trace, out)
