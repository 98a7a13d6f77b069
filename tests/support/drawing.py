"""Record of what a scene draws, in the order it is drawn: grids of numbers and texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np

from involution_edu.arrays import Array
from involution_edu.images import Photo
from involution_edu.viz.animation.canvas import Animation, Canvas, Frame, Point

INSIDE = 3  # from the corner of a cell: no letter of a centred number, no outline reaches there


@dataclass(frozen=True, slots=True)
class Cells:
    """A grid of numbers that was drawn."""

    corner: Point
    values: Array
    size: Point
    limit: float
    digits: int | None

    def middles(self) -> Iterator[tuple[Point, float]]:
        """Yield the middle of every cell and its number."""
        (x, y), (w, h) = self.corner, self.size
        for (r, c), value in np.ndenumerate(self.values):
            yield (x + c * w + (w - 1) // 2, y + r * h + (h - 1) // 2), float(value)

    def colours(self, frame: Photo) -> Photo:
        """Return the colour of every cell in ``frame``."""
        (x, y), (w, h), (rows, columns) = self.corner, self.size, self.values.shape
        across = x + INSIDE + w * np.arange(columns)
        colours: Photo = frame[np.ix_(y + INSIDE + h * np.arange(rows), across)]
        return colours


@dataclass(slots=True)
class Drawing:
    """Grids by their corner and texts by their point; a later one replaces an earlier one."""

    cells: dict[Point, Cells] = field(default_factory=dict)
    texts: dict[Point, str] = field(default_factory=dict)

    def values(self, corner: Point) -> Array:
        """Return the numbers of the grid at ``corner``."""
        return self.cells[corner].values

    def says(self, text: str) -> bool:
        """Return whether one of the texts holds ``text``."""
        return any(text in written for written in self.texts.values())


@contextmanager
def watched() -> Iterator[Drawing]:
    """Record what is drawn on any canvas."""
    drawing, cells, text = Drawing(), Canvas.cells, Canvas.text

    def watched_cells(
        self: Canvas,
        corner: Point,
        values: Array,
        size: Point,
        limit: float,
        digits: int | None = None,
        text_size: int = 12,
    ) -> None:
        cells(self, corner, values, size, limit, digits, text_size)
        drawing.cells[corner] = Cells(corner, values.copy(), size, limit, digits)

    def watched_text(self: Canvas, at: Point, words: str, *args: Any, **options: Any) -> None:
        text(self, at, words, *args, **options)
        drawing.texts[at] = words

    with (
        mock.patch.object(Canvas, "cells", watched_cells),
        mock.patch.object(Canvas, "text", watched_text),
    ):
        yield drawing


def drawn(animation: Animation, frame: Frame) -> tuple[Photo, Drawing]:
    """Return the pixels of a frame and what was drawn on it, without the background."""
    with watched() as drawing:
        pixels = np.asarray(animation.draw(frame).image)
    return pixels, drawing
