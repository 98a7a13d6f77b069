"""What a scene draws, kept in the order it is drawn: grids of numbers and texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np

from involution_edu.arrays import Array
from involution_edu.images import Photo
from involution_edu.viz.animation.canvas import Canvas, Place
from involution_edu.viz.animation.frames import Film, Shot

INSIDE = 3  # from the corner of a cell: no letter of a centred number, no outline reaches there


@dataclass(frozen=True, slots=True)
class Cells:
    """A grid of numbers that was drawn."""

    place: Place
    values: Array
    size: Place
    limit: float
    digits: int | None

    def middles(self) -> Iterator[tuple[Place, float]]:
        """Yield the middle of every cell and its number."""
        (x, y), (w, h) = self.place, self.size
        for (r, c), value in np.ndenumerate(self.values):
            yield (x + c * w + (w - 1) // 2, y + r * h + (h - 1) // 2), float(value)

    def colours(self, frame: Photo) -> Photo:
        """Return the colour of every cell in ``frame``."""
        (x, y), (w, h), (rows, columns) = self.place, self.size, self.values.shape
        across = x + INSIDE + w * np.arange(columns)
        colours: Photo = frame[np.ix_(y + INSIDE + h * np.arange(rows), across)]
        return colours


@dataclass(slots=True)
class Drawing:
    """All that was drawn, the grids by their corner: what is drawn later covers the former."""

    cells: dict[Place, Cells] = field(default_factory=dict)
    texts: dict[Place, str] = field(default_factory=dict)

    def values(self, place: Place) -> Array:
        """Return the numbers of the grid at ``place``."""
        return self.cells[place].values

    def says(self, text: str) -> bool:
        """Return whether one of the texts holds ``text``."""
        return any(text in written for written in self.texts.values())


@contextmanager
def watched() -> Iterator[Drawing]:
    """Note what is drawn on any sheet."""
    drawing, cells, text = Drawing(), Canvas.cells, Canvas.text

    def watched_cells(
        self: Canvas,
        place: Place,
        values: Array,
        size: Place,
        limit: float,
        digits: int | None = None,
        text_size: int = 12,
    ) -> None:
        cells(self, place, values, size, limit, digits, text_size)
        drawing.cells[place] = Cells(place, values.copy(), size, limit, digits)

    def watched_text(self: Canvas, place: Place, words: str, *args: Any, **options: Any) -> None:
        text(self, place, words, *args, **options)
        drawing.texts[place] = words

    with (
        mock.patch.object(Canvas, "cells", watched_cells),
        mock.patch.object(Canvas, "text", watched_text),
    ):
        yield drawing


def drawn(film: Film, shot: Shot) -> tuple[Photo, Drawing]:
    """Return a frame and what was drawn on it, but for what all frames share."""
    with watched() as drawing:
        frame = np.asarray(film.frame(shot).image)
    return frame, drawing
