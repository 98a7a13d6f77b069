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
    """One frame.

    Attributes
    ----------
    caption : str
        One line that says what this frame shows.
    milliseconds : int
        Time for which it is shown.
    draw : callable
        Draws on a copy of the background.
    """

    caption: str
    milliseconds: int
    draw: Callable[[Canvas], None]


@dataclass(frozen=True, slots=True)
class Animation:
    """A background and frames; `involution_edu.viz.animation.writers` makes a file of them.

    Attributes
    ----------
    background : Canvas
        The parts that all frames share.
    frames : list of Frame
    photos : list of ndarray, shape (H, W, 3), uint8
        Photos whose colours the palette must hold, besides those of numbers and letters.
    """

    background: Canvas
    frames: list[Frame]
    photos: list[Photo]

    def draw(self, frame: Frame) -> Canvas:
        """Return a canvas with the background, the caption and the drawing of ``frame``."""
        canvas = self.background.copy()
        canvas.text(CAPTION, frame.caption, CAPTION_SIZE)
        frame.draw(canvas)
        return canvas
