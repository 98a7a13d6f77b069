"""Sphinx extension: cards and live pages, on pages that are plain Markdown on a code host.

A comment before a table, ``<!-- cards -->``, makes a card of each of its cells; the picture of a
card stands still until one points at it, and so does every animation where one wants no motion.
``<!-- live: steppers/groups.html -->`` before a picture puts the page with that address in its
place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from involution_edu.viz.animation.animate import stepper
from involution_edu.viz.animation.scenes import SCENES

STEPPERS, POSTERS = "steppers", "posters"  # folders of the site


class Marked(SphinxTransform):
    """Replace what the comments mark."""

    default_priority = 210

    def apply(self, **kwargs: Any) -> None:
        """Replace the tables and the pictures."""
        for comment in list(self.document.findall(nodes.raw)):
            marker = re.fullmatch(r"<!-- (cards|live: (\S+)) -->", comment.astext().strip())
            if marker is None:
                continue
            marked = comment.next_node(descend=False, siblings=True)
            comment.parent.remove(comment)
            if marker[2] is None:
                marked.replace_self(self._cards(marked))
            else:
                marked.parent.insert(marked.parent.index(marked), self._live(marked, marker[2]))
        for image in list(self.document.findall(nodes.image)):
            if image["uri"].endswith(".gif"):
                image["classes"].append("moving")
                image["loading"] = "lazy"
                image.parent.insert(image.parent.index(image), self._poster(image))

    @property
    def _root(self) -> str:
        return "../" * int(self.env.docname.count("/"))

    def _cards(self, table: nodes.Element) -> nodes.bullet_list:
        cards = nodes.bullet_list(classes=["cards"])
        for cell in table.findall(nodes.entry):
            if cell.next_node(nodes.image):  # there is none in the head
                cards += nodes.list_item("", *cell.children)
        for image in cards.findall(nodes.image):
            image["alt"] = ""  # the title follows
        return cards

    def _poster(self, image: nodes.image) -> nodes.raw:
        src, alt = f"{self._root}{POSTERS}/{Path(image['uri']).stem}.png", image["alt"]
        html = f'<img class="poster" src="{escape(src)}" alt="{escape(alt)}">'
        return nodes.raw("", html, format="html")

    def _live(self, picture: nodes.Element, address: str) -> nodes.raw:
        (image,) = picture.findall(nodes.image)
        with Image.open(Path(self.env.doc2path(self.env.docname)).parent / image["uri"]) as opened:
            ratio = opened.height / opened.width
        picture["classes"].append("without-live")
        image["loading"] = "lazy"
        return nodes.raw(
            "",
            f'<div class="live {Path(address).stem}"><iframe src="{escape(self._root + address)}" loading="lazy" '
            f'sandbox="allow-scripts" title="{escape(image["alt"])}" style="--ratio: {ratio:.3f}">'
            "</iframe></div>",
            format="html",
        )


def write_scenes(app: Sphinx) -> None:
    """Write the page and the poster of every scene into the site."""
    if app.builder.format != "html":
        return
    for folder in STEPPERS, POSTERS:
        (app.outdir / folder).mkdir(parents=True, exist_ok=True)
    for name in SCENES:
        stepper(name).save(Path(app.outdir, STEPPERS, f"{name}.html"), force=True)
    for path in _animations(Path(app.srcdir)):
        with Image.open(path) as animation:
            animation.seek(getattr(animation, "n_frames", 1) - 1)
            animation.convert("RGB").quantize().save(Path(app.outdir, POSTERS, f"{path.stem}.png"))


def _animations(docs: Path) -> Iterator[Path]:
    yield from docs.glob("*.gif")
    yield from docs.glob("gallery/*.gif")


def setup(app: Sphinx) -> None:
    """Add the transform, and the pages of the scenes."""
    app.add_transform(Marked)
    app.connect("builder-inited", write_scenes)
