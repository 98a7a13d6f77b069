"""Description of an animation: a background, and frames that are drawn on copies of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...images import Photo
from .canvas import Canvas

CAPTION = (32, 56)  # top left corner of the caption of every frame
CAPTION_SIZE = 17


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of an animation."""

    caption: str  # one line that says what this frame shows
    milliseconds: int  # time for which it is shown
    draw: Callable[[Canvas], None]  # draws on a copy of the background


@dataclass(frozen=True, slots=True)
class Animation:
    """A background and frames; `involution_edu.viz.animation.writers` makes a file of them."""

    background: Canvas  # the parts that all frames share
    frames: list[Frame]
    photos: list[Photo]  # photos whose colours the palette must hold

    def draw(self, frame: Frame) -> Canvas:
        """Return a canvas with the background, the caption and the drawing of ``frame``."""
        canvas = self.background.copy()
        canvas.text(CAPTION, frame.caption, CAPTION_SIZE)
        frame.draw(canvas)
        return canvas
