"""Canvas to draw on, and animations. Points are (x, y) from its top left corner, as in Pillow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...arguments import Pair
from ...arrays import Array
from ...images import Photo
from ..palette import ACCENT, EMPTY, INK, LINE, MUTED, PAPER, Colour, diverging, luminance

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

Point = tuple[int, int]

CAPTION_SIZE = 17


@cache
def font(size: int, bold: bool = False) -> FreeTypeFont:
    """Return DejaVu Sans, which ships with matplotlib."""
    from matplotlib import get_data_path
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(get_data_path(), "fonts", "ttf", name)), size)


class Canvas:
    """An RGB image of width x height pixels, and a pen."""

    def __init__(self, width: int, height: int) -> None:
        from PIL import Image, ImageDraw

        self.image = Image.new("RGB", (width, height), PAPER)
        self.pen = ImageDraw.Draw(self.image)

    def text(
        self,
        at: Point,
        text: str,
        size: int = 14,
        *,
        bold: bool = False,
        colour: Colour = INK,
        anchor: str = "la",
    ) -> None:
        """Write ``text``; the anchor is Pillow's: la = left top, mm = middle, ra = right top."""
        self.pen.text(at, text, fill=colour, font=font(size, bold), anchor=anchor)

    def photo(self, corner: Point, photo: Photo, scale: int) -> None:
        """Draw every pixel of ``photo`` as a square of ``scale`` pixels, with a thin frame."""
        from PIL import Image

        x, y = corner
        big = Image.fromarray(photo.repeat(scale, axis=0).repeat(scale, axis=1))
        self.pen.rectangle((x - 1, y - 1, x + big.width, y + big.height), outline=LINE)
        self.image.paste(big, corner)

    def outline(
        self, corner: Point, size: Pair, scale: int, pixel: Pair, window: Pair = (1, 1)
    ) -> None:
        """Outline the window around ``pixel``, clipped to the photo of ``size`` at ``corner``."""
        (top, bottom), (left, right) = (
            (max(0, middle - k // 2), min(pixels, middle + k // 2 + 1))
            for middle, k, pixels in zip(pixel, window, size, strict=True)
        )
        first = corner[0] + left * scale, corner[1] + top * scale
        self.ring(first, ((right - left) * scale, (bottom - top) * scale))

    def ring(self, corner: Point, size: Point) -> None:
        """Outline a rectangle; the line runs around it, on a light border."""
        (x, y), (w, h) = corner, size
        for line, fill in ((3, PAPER), (2, ACCENT)):
            box = (x - line, y - line, x + w + line - 1, y + h + line - 1)
            self.pen.rectangle(box, outline=fill, width=line)

    def cells(
        self,
        corner: Point,
        values: Array,
        size: Point,
        limit: float,
        digits: int | None = None,
        text_size: int = 12,
    ) -> None:
        """Draw a grid of coloured cells, one pixel apart; with ``digits`` also the numbers."""
        (x0, y0), (w, h), (rows, columns) = corner, size, values.shape
        self.empty_cells(corner, rows, columns, size)
        for (r, c), value in np.ndenumerate(values):
            x, y = x0 + c * w, y0 + r * h
            shade = diverging(float(value), limit).tolist()
            self.pen.rectangle((x, y, x + w - 2, y + h - 2), fill=tuple(shade))
            if digits is not None:
                ink = INK if luminance(shade) > 0.2 else (255, 255, 255)
                middle, written = (x + (w - 1) // 2, y + (h - 1) // 2), number(float(value), digits)
                self.text(middle, written, text_size, colour=ink, anchor="mm")

    def empty_cells(self, corner: Point, rows: int, columns: int, size: Point) -> None:
        """Draw a grid of cells that have no number yet."""
        (x0, y0), (w, h) = corner, size
        self.pen.rectangle((x0 - 1, y0 - 1, x0 + columns * w - 1, y0 + rows * h - 1), fill=LINE)
        for r, c in np.ndindex(rows, columns):
            x, y = x0 + c * w, y0 + r * h
            self.pen.rectangle((x, y, x + w - 2, y + h - 2), fill=EMPTY)

    def arrow(self, start: Point, end: Point) -> None:
        """Draw an arrow along a row or a column."""
        (x0, y0), (x1, y1) = start, end
        dx, dy = np.sign(x1 - x0), np.sign(y1 - y0)
        self.pen.line((x0, y0, x1 - 6 * dx, y1 - 6 * dy), fill=MUTED, width=2)
        wings = [(x1 - 8 * dx + s * 5 * dy, y1 - 8 * dy + s * 5 * dx) for s in (-1, 1)]
        self.pen.polygon([(x1, y1), *wings], fill=MUTED)

    def colour_bar(self, corner: Point, size: Point, limit: float, text_size: int = 11) -> None:
        """Draw the scale from -limit to limit with its zero marked."""
        (x, y), (w, h) = corner, size
        shades = diverging(np.linspace(-limit, limit, w), limit)
        for column, shade in enumerate(shades):
            self.pen.line((x + column, y, x + column, y + h - 1), fill=tuple(shade.tolist()))
        self.pen.rectangle((x - 1, y - 1, x + w, y + h), outline=LINE)
        self.pen.line((x + w // 2, y - 3, x + w // 2, y + h + 2), fill=INK)
        labels = (0, f"≤ −{limit:g}", "la"), (w // 2, "0", "ma"), (w, f"≥ {limit:g}", "ra")
        for right, label, anchor in labels:
            self.text((x + right, y + h + 4), label, text_size, colour=MUTED, anchor=anchor)


def number(value: float, digits: int) -> str:
    """Return ``value`` with a real minus sign, and no sign on a zero."""
    return f"{value:z.{digits}f}".replace("-", "−")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of an animation."""

    caption: str  # one line that says what this frame shows
    milliseconds: int  # time for which it is shown
    draw: Callable[[Canvas], None]  # draws on a copy of the background


@dataclass(frozen=True, slots=True)
class Animation:
    """A background and frames; `involution_edu.viz.animation.writers` makes a file of them."""

    title: str
    background: Canvas  # the parts that all frames share
    frames: list[Frame]
    photos: list[Photo]  # photos whose colours the palette must hold

    def draw(self, frame: Frame, caption: bool = True) -> Canvas:
        """Return a canvas with the background, the caption or none, and the drawing of ``frame``."""
        canvas = Canvas(*self.background.image.size)
        canvas.image.paste(self.background.image)
        if caption:
            canvas.text((32, 56), frame.caption, CAPTION_SIZE)
        frame.draw(canvas)
        return canvas
