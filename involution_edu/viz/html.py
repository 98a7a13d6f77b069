"""HTML pages: display in a notebook, and hashes for their Content-Security-Policy."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files import written_whole


@dataclass(frozen=True, eq=False)
class Page:
    """An HTML page, shown in a notebook in an iframe.

    The iframe is sandboxed: the page's script runs, but cannot access the notebook around it.

    Attributes
    ----------
    html : str
        The source of the page, from its doctype on.
    title : str
        Name of the iframe for screen readers.
    height : int
        Height of the iframe, in CSS pixels.

    Examples
    --------
    >>> Page("<!doctype html><p>Hello & welcome", "Greeting", height=80)._repr_html_()
    '<iframe sandbox="allow-scripts" allow="clipboard-write" title="Greeting" width="100%"
    height="80" style="border: 0" srcdoc="&lt;!doctype html&gt;&lt;p&gt;Hello &amp; welcome"></iframe>'
    """

    html: str = field(repr=False)  # else a notebook would store it twice
    title: str
    height: int

    def save(self, path: Path, *, force: bool = False) -> None:
        """Write the page to ``path``, completely or not at all."""
        with written_whole(path, force=force) as whole:
            whole.write_text(self.html, encoding="utf-8", newline="\n")

    def _repr_html_(self) -> str:
        return (
            '<iframe sandbox="allow-scripts" allow="clipboard-write" '
            f'title="{html.escape(self.title)}" width="100%" height="{self.height}" '
            f'style="border: 0" srcdoc="{html.escape(self.html)}"></iframe>'
        )


def csp_source(text: str) -> str:
    """Return the hash by which a Content-Security-Policy allows a script or style with this text."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")


def script_data(data: Any) -> str:
    """Return ``data`` as JSON in ASCII for a script element, which no string inside can end."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
