"""An animation as one HTML page that opens from disk: play, step, scrub, captions as text."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..html import csp_source, script_data
from .canvas import Frame

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage


def player_page(title: str, images: list[PILImage], frames: list[Frame]) -> str:
    """Return the page, which may run no script but its own; later images show what changed."""
    script, style = (
        Path(__file__).with_name(f"player.{end}").read_text(encoding="utf-8")
        for end in ("js", "css")
    )
    width, height = images[0].size
    animation = {
        "images": [_data_url(images[0]), *(_data_url(a, transparency=0) for a in images[1:])],
        "captions": [frame.caption for frame in frames],
        "milliseconds": [frame.milliseconds for frame in frames],
    }
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
script-src '{csp_source(script)}'; style-src '{csp_source(style)}'">
<title>{html.escape(title)}</title>
<style>{style}</style>
</head>
<body>
<main>
<canvas id="canvas" width="{width}" height="{height}" role="img" aria-labelledby="caption"></canvas>
<p id="caption" aria-live="polite"></p>
<div class="bar">
<button id="back" aria-label="one step back" title="one step back: left arrow">&#9664;</button>
<button id="play" title="play or pause: space">play</button>
<button id="forward" aria-label="one step forward" title="one step forward: right arrow">&#9654;</button>
<input id="scrub" type="range" min="0" max="{len(images) - 1}" value="0" aria-label="frame">
<output id="count"></output>
</div>
</main>
<script type="application/json" id="animation">{script_data(animation)}</script>
<script>{script}</script>
</body>
</html>
"""


def png_of(image: PILImage, **options: Any) -> bytes:
    """Return the PNG file of an image."""
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True, **options)
    return file.getvalue()


def _data_url(image: PILImage, **options: Any) -> str:
    return "data:image/png;base64," + base64.b64encode(png_of(image, **options)).decode("ascii")
