"""Base class of the scenes, and what they share: grids of numbers, fields of kernels, formulas."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ....arguments import Pair
from ....arrays import Array
from ....images import Photo
from ...palette import ACCENT, EMPTY, LINE, MUTED, diverging, limit_of
from ..canvas import Animation, Canvas, Frame, Point, number
from .subject import SIDE, Subject

Mask = NDArray[np.bool_]

WIDTH, HEIGHT = 960, 640
SLOW, STEP, QUICK, END = 2400, 1200, 130, 4500  # milliseconds
COLUMNS = (176, 480, 784)  # middles of the three columns
CELL = 32  # rows and columns of the canvas for a pixel with its number
LARGE = 44  # and for a tap of the window


class Scene(ABC):
    """One idea as an animation of numbers that were computed on a photo."""

    name: ClassVar[str]  # as typed on the command line
    title: ClassVar[str]  # line at the top of every frame
    note: ClassVar[str]  # line at the foot of every frame
    caption: ClassVar[str]  # description in the gallery
    height: ClassVar[int] = HEIGHT  # of the frames, in pixels
    side: ClassVar[int] = SIDE  # longest side of the photo, in pixels
    shows_patch: ClassVar[bool] = True  # whether a small photo marks the patch that is used

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.photos = [subject.photo]  # whose colours the palette must hold

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Yield the frames in order."""

    @abstractmethod
    def draw(self, canvas: Canvas, *args: Any, **kwargs: Any) -> None:
        """Draw one frame on a copy of the background."""

    def frame(self, caption: str, milliseconds: int, *state: Any) -> Frame:
        """Return the frame that ``draw(canvas, *state)`` draws."""
        return Frame(caption, milliseconds, lambda canvas: self.draw(canvas, *state))

    def draw_background(self, canvas: Canvas) -> None:
        """Draw the parts that all frames share: here title, note, and the patch in the photo."""
        canvas.text((32, 18), self.title, 26, bold=True)
        canvas.text((WIDTH // 2, self.height - 10), self.note, 12, colour=MUTED, anchor="ms")
        if self.shows_patch:
            photo, (i, j), (h, w) = self.subject.photo, self.subject.corner, self.subject.patch_size
            x, y = WIDTH - 32 - photo.shape[1], 14
            canvas.photo((x, y), photo, 1)
            canvas.pen.rectangle((x + j - 1, y + i - 1, x + j + w, y + i + h), outline=ACCENT)

    def animation(self) -> Animation:
        """Return the background and the frames."""
        background = Canvas(WIDTH, self.height)
        self.draw_background(background)
        return Animation(background, list(self.frames()), self.photos)


@dataclass(frozen=True, slots=True)
class Grid:
    """Area of the canvas for rows x columns of numbers."""

    middle: Point
    rows: int
    columns: int
    cell: int | Point = CELL  # (width, height) of the cell of a number, or the side of a square
    limit: float = 1.0  # end of the colour scale

    @property
    def size(self) -> Point:
        """Width and height of a cell."""
        return self.cell if isinstance(self.cell, tuple) else (self.cell, self.cell)

    @property
    def corner(self) -> Point:
        """The (x, y) of the top left corner."""
        (x, y), (w, h) = self.middle, self.size
        return x - self.columns * w // 2, y - self.rows * h // 2

    @property
    def right(self) -> int:
        """The x of the right edge."""
        return self.corner[0] + self.columns * self.size[0]

    @property
    def bottom(self) -> int:
        """The y of the lower edge."""
        return self.corner[1] + self.rows * self.size[1]

    def title(self, canvas: Canvas, text: str, level: Grid | None = None) -> None:
        """Write a title above the grid, or as high as that of the grid ``level``."""
        at = self.middle[0], (level or self).corner[1] - 10
        canvas.text(at, text, 15, bold=True, anchor="ms")

    def draw(
        self, canvas: Canvas, values: Array, digits: int | None = None, title: str = ""
    ) -> None:
        """Draw the numbers from the top left cell on, in letters that fit the cells."""
        letters = 11 if self.size[1] < 40 else 12 if self.size[1] < 56 else 16
        canvas.cells(self.corner, values, self.size, self.limit, digits, letters)
        self.title(canvas, title)

    def draw_padded(self, canvas: Canvas, x: Array, padding: Pair) -> None:
        """Draw ``x`` (H, W) with one digit, and around it the zeros of the padding without colour."""
        self.clear(canvas)
        for row, column in np.ndindex(self.rows, self.columns):
            x_middle, y_middle = self.at(row, column).middle
            canvas.text((x_middle - 1, y_middle), "0", 11, colour=MUTED, anchor="mm")
        self.at(*padding).draw(canvas, x, digits=1)

    def draw_some(self, canvas: Canvas, values: Array, shown: Mask) -> None:
        """Draw the numbers with one digit where ``shown`` is true; the other cells are empty."""
        self.clear(canvas)
        for r, c in np.argwhere(shown).tolist():
            self.at(r, c).draw(canvas, values[r : r + 1, c : c + 1], digits=1)

    def clear(self, canvas: Canvas) -> None:
        """Draw empty cells."""
        canvas.empty_cells(self.corner, self.rows, self.columns, self.size)

    def at(self, row: int, column: int) -> Grid:
        """Return the grid of one cell."""
        (x, y), (w, h) = self.corner, self.size
        middle = x + column * w + w // 2, y + row * h + h // 2
        return Grid(middle, 1, 1, self.cell, self.limit)

    def mark(self, canvas: Canvas, row: int, column: int, rows: int = 1, columns: int = 1) -> None:
        """Outline rows x columns cells from (row, column) on, clipped to the grid."""
        bottom, right = min(row + rows, self.rows), min(column + columns, self.columns)
        first = self.at(max(row, 0), max(column, 0)).corner
        last = self.at(bottom, right).corner
        canvas.ring(first, (last[0] - first[0], last[1] - first[1]))

    def scale(self, canvas: Canvas) -> None:
        """Draw a colour bar below the grid."""
        width = max(96, self.columns * self.size[0])
        left = self.middle[0] - width // 2
        canvas.colour_bar((left, self.bottom + 9), (width - 1, 7), self.limit, 10)


def grids_below(y: int, window: Pair, cell: int, arrays: Iterable[Array]) -> list[Grid]:
    """Return a grid for the window in each column, with the colour scale of one of ``arrays``."""
    return [Grid((x, y), *window, cell, limit_of(a)) for x, a in zip(COLUMNS, arrays, strict=True)]


def kernel_field(kernels: Array, limit: float, cell: int, known: Mask | None = None) -> Photo:
    """Return a picture of kernels (H, W, K_h, K_w) side by side; those not ``known`` are empty."""
    H, W, K_h, K_w = kernels.shape
    field = np.empty((H, K_h * cell + 2, W, K_w * cell + 2, 3), np.uint8)
    field[...] = LINE
    colours = diverging(kernels, limit)
    if known is not None:
        colours = np.where(known[:, :, None, None, None], colours, np.array(EMPTY, np.uint8))
    big = colours.repeat(cell, axis=2).repeat(cell, axis=3)
    field[:, 1:-1, :, 1:-1] = big.transpose(0, 2, 1, 3, 4)
    return field.reshape(H * field.shape[1], W * field.shape[3], 3)


def sum_of(values: Array, others: Array) -> str:
    """Return "a·b + c·d + ..." with two digits, negative factors in brackets."""
    pairs = zip(values.ravel().tolist(), others.ravel().tolist(), strict=True)
    return " + ".join(f"{bracketed(a)}·{bracketed(b)}" for a, b in pairs)


def bracketed(value: float) -> str:
    """Return ``value`` with two digits, in brackets if it is negative."""
    text = number(value, 2)
    return f"({text})" if text.startswith("−") else text
