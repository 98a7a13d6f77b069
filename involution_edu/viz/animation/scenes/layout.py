"""The visual language of the scenes: one sheet, three columns, one way to draw each thing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....arguments import Pair
from ....arrays import Array
from ....images import Photo
from ...palette import ACCENT, EMPTY, LINE, MUTED, diverging
from ..canvas import Canvas, Place, number
from .subject import Subject

Mask = NDArray[np.bool_]

WIDTH, HEIGHT = 960, 640
COLUMNS = (176, 480, 784)  # the middles of the three columns
CELL = 32  # rows and columns of the sheet for a pixel with its number
LARGE = 44  # and for a place of the window
SLOW, STEP, QUICK, END = 2400, 1200, 130, 4500  # milliseconds


def make_sheet(title: str, note: str, subject: Subject | None = None) -> Canvas:
    """Return the sheet with its title, its note, and where in the photo the patch lies."""
    sheet = Canvas(WIDTH, HEIGHT)
    sheet.text((32, 18), title, 26, bold=True)
    sheet.text((WIDTH // 2, HEIGHT - 10), note, 12, colour=MUTED, anchor="ms")
    if subject is not None:
        place = WIDTH - 32 - subject.photo.shape[1], 14
        sheet.photo(place, subject.photo, 1)
        (i, j), (h, w) = subject.corner, subject.patch_size
        box = place[0] + j - 1, place[1] + i - 1, place[0] + j + w, place[1] + i + h
        sheet.pen.rectangle(box, outline=ACCENT)
    return sheet


@dataclass(frozen=True, slots=True)
class Grid:
    """A place on the sheet for rows x columns of numbers.

    Attributes
    ----------
    corner : (int, int)
        (x, y) of its top left corner.
    rows, columns : int
    height, width : int
        Rows and columns of the sheet for a number.
    """

    corner: Place
    rows: int
    columns: int
    height: int = CELL
    width: int = CELL

    @classmethod
    def around(
        cls, middle: Place, rows: int, columns: int, height: int = CELL, width: int | None = None
    ) -> Grid:
        """Return the grid whose middle is at (x, y); its cells are squares without a width."""
        (x, y), wide = middle, height if width is None else width
        corner = x - columns * wide // 2, y - rows * height // 2
        return cls(corner, rows, columns, height, wide)

    @property
    def middle(self) -> Place:
        """The (x, y) of its middle."""
        x, y = self.corner
        return x + self.columns * self.width // 2, y + self.rows * self.height // 2

    @property
    def right(self) -> int:
        """The x of its right edge."""
        return self.corner[0] + self.columns * self.width

    @property
    def bottom(self) -> int:
        """The y of its lower edge."""
        return self.corner[1] + self.rows * self.height

    def title(self, sheet: Canvas, text: str, above: int = 0) -> None:
        """Write what it shows above it, ``above`` the place for its title if need be."""
        x, y = self.middle[0], self.corner[1] - 10 - above
        sheet.text((x, y), text, 15, bold=True, anchor="ms")

    def draw(self, sheet: Canvas, values: Array, limit: float, digits: int | None = None) -> None:
        """Draw the numbers from the top left cell on, those of small cells in small letters."""
        letters = 11 if self.height < 40 else 12 if self.height < 56 else 16
        sheet.cells(self.corner, values, (self.width, self.height), limit, digits, letters)

    def draw_padded(self, sheet: Canvas, x: Array, padding: Pair, limit: float) -> None:
        """Draw ``x`` (H, W) with one digit, and the zeros around it without colour."""
        self.clear(sheet)
        for row, column in np.ndindex(self.rows, self.columns):
            place = self.at(row, column).middle
            sheet.text((place[0] - 1, place[1]), "0", 11, colour=MUTED, anchor="mm")
        inside = self.at(*padding)
        inside.draw(sheet, x, limit, digits=1)

    def draw_some(
        self, sheet: Canvas, values: Array, limit: float, shown: Mask, digits: int | None = None
    ) -> None:
        """Draw the numbers where ``shown`` is true; the other cells are empty."""
        self.clear(sheet)
        for r, c in np.argwhere(shown).tolist():
            self.at(r, c).draw(sheet, values[r : r + 1, c : c + 1], limit, digits)

    def clear(self, sheet: Canvas) -> None:
        """Draw empty cells."""
        sheet.empty_cells(self.corner, self.rows, self.columns, (self.width, self.height))

    def at(self, row: int, column: int) -> Grid:
        """Return the grid of one cell."""
        x, y = self.corner
        corner = x + column * self.width, y + row * self.height
        return Grid(corner, 1, 1, self.height, self.width)

    def mark(self, sheet: Canvas, row: int, column: int, rows: int = 1, columns: int = 1) -> None:
        """Outline the cells from (row, column) on, as far as the grid goes."""
        bottom, right = min(row + rows, self.rows), min(column + columns, self.columns)
        first = self.at(max(row, 0), max(column, 0)).corner
        last = self.at(bottom, right).corner
        sheet.ring(first, (last[0] - first[0], last[1] - first[1]))

    def scale(self, sheet: Canvas, limit: float) -> None:
        """Draw the colour bar below it."""
        width = max(96, self.columns * self.width)
        left = self.middle[0] - width // 2
        sheet.colour_bar((left, self.bottom + 9), (width - 1, 7), limit, 10)


def kernel_field(kernels: Array, limit: float, cell: int, known: Mask | None = None) -> Photo:
    """Return a picture of kernels (H, W, K_h, K_w) side by side, ``cell`` pixels for each number.

    A line lies between two kernels. Those that are not ``known`` are left empty.
    """
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
    """Return "a·b + c·d + ..." with two digits, negative factors in brackets.

    Examples
    --------
    >>> sum_of(np.array([1.0, -2.0]), np.array([0.5, 0.25]))
    '1.00·0.50 + (−2.00)·0.25'
    """
    pairs = zip(values.ravel().tolist(), others.ravel().tolist(), strict=True)
    return " + ".join(f"{bracketed(a)}·{bracketed(b)}" for a, b in pairs)


def bracketed(value: float) -> str:
    """Return ``value`` with two digits, in brackets if it is negative."""
    text = number(value, 2)
    return f"({text})" if text.startswith("−") else text
