"""``demo.gif``: the window on its way over the photo, its kernel changing at every pixel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from ...arguments import Pair
from ...images import Photo
from ..palette import EMPTY, LINE, MUTED, limit_of
from ..trace import Trace
from .canvas import Canvas, number
from .frames import Film, Shot

WIDTH, HEIGHT = 960, 776
PANEL = 288  # most rows and columns of the sheet for the photo, and for the output
GRID = 200  # rows and columns of the sheet for a kernel, a window or its products
COLUMNS = (176, 480, 784)  # the middles of the three columns
PANEL_TOP, GRID_TOP = 118, 500
SLIDE = 18  # pixels that the window slides over, one a frame
OTHERS = 2  # pixels with numbers after the first
FILL = 36  # frames, at most, in which the rest of the output fills in, row by row
STEPS = (
    "1  One pixel makes {count} numbers: reduce, then span. No neighbour is looked at.",
    "2  Reshaped, the {count} numbers are this pixel's own {K_h} × {K_w} kernel.",
    "3  The kernel is multiplied with the window around the pixel, place by place.",
    "4  The sum of the {count} products is the output at this pixel.",
)


@dataclass(frozen=True, slots=True)
class Scene:
    """One frame: where the window is, how much is shown, and for how long.

    Attributes
    ----------
    pixel : (int, int)
        Output row and column.
    step : int
        How many of `STEPS` are on show, 1 to 4.
    filled : int
        Output pixels on show, row by row from the top left.
    visited : tuple of (int, int)
        Output pixels on show besides.
    caption : str
    milliseconds : int
    slow : bool
        Whether there is time to read numbers; else only their colours are drawn.
    """

    pixel: Pair
    step: int
    filled: int
    visited: tuple[Pair, ...]
    caption: str
    milliseconds: int
    slow: bool = True


def scenes(trace: Trace, stops: list[Pair]) -> Iterator[Scene]:
    """Yield the frames: one pixel step by step, a slide along its row, others, then all rows."""
    K_h, K_w = trace.geom.window
    H, W = trace.geom.H_out, trace.geom.W_out
    (row, column), *others = stops[: 1 + OTHERS]
    visited: tuple[Pair, ...] = ()
    for step, text in enumerate(STEPS, start=1):
        if step == len(STEPS):
            visited = ((row, column),)
        caption = text.format(count=K_h * K_w, K_h=K_h, K_w=K_w)
        yield Scene((row, column), step, 0, visited, caption, 2200)
    caption = "The window slides on: the next pixel, its own kernel, the same steps."
    start = max(0, min(column, W - SLIDE))
    for j in range(start, min(start + SLIDE, W)):
        visited += ((row, j),)
        yield Scene((row, j), len(STEPS), 0, visited, caption, 260, slow=False)
    caption = "Elsewhere in the photo: other colours make another kernel."
    for pixel in others:
        visited += (pixel,)
        yield Scene(pixel, len(STEPS), 0, visited, caption, 1800)
    caption = "All other pixels in the same way, row by row, each with its own kernel ..."
    rows = -(-H // FILL)  # a frame
    for filled in range(rows * W, H * W, rows * W):
        yield Scene(visited[-1], len(STEPS), filled, visited, caption, 80)
    pixels = H * W
    end = f"Done: {pixels} pixels, {pixels} kernels, all made by the same two 1×1 convolutions."
    yield Scene(visited[-1], len(STEPS), pixels, (), end, 5000)


class Stage:
    """What all frames share: the trace, the scales of the colours and the still part."""

    def __init__(self, trace: Trace, photo: Photo, output: Photo, note: str) -> None:
        self.trace, self.photo, self.output, self.note = trace, photo, output, note
        self.size = trace.geom.H_out, trace.geom.W_out
        self.scale = max(1, PANEL // max(self.size))
        products = trace.products(slice(None), slice(None))[0, 0, 0]
        self.limits = limit_of(trace.x), limit_of(trace.kernel), limit_of(products)
        self.still = self._still()

    def corner(self, column: int) -> Pair:
        """Return the top left corner (x, y) of the photo or the output in its column."""
        (H, W), s = self.size, self.scale
        return COLUMNS[column] - W * s // 2, PANEL_TOP + (PANEL - H * s) // 2

    def cell(self) -> int:
        """Return the rows and columns of the sheet for one place of the window."""
        return GRID // max(self.trace.geom.window)

    def grid(self, column: int) -> Pair:
        """Return the top left corner (x, y) of the grid of the window in its column."""
        return COLUMNS[column] - self.trace.geom.window[1] * self.cell() // 2, GRID_TOP

    def _still(self) -> Canvas:
        sheet = Canvas(WIDTH, HEIGHT)
        (H, W), (K_h, K_w), cell = self.size, self.trace.geom.window, self.cell()
        sheet.text((32, 20), "Involution: every pixel makes its own kernel", 26, bold=True)
        titles = f"Input x: the photo, {H} × {W}", "Generate the kernel", "Output y"
        grids = "its window (red)", "its kernel", "their products"
        for column, (title, grid, limit) in enumerate(zip(titles, grids, self.limits, strict=True)):
            middle, (x, y) = COLUMNS[column], self.grid(column)
            sheet.text((middle, PANEL_TOP - 24), title, 15, bold=True, anchor="ma")
            sheet.text((middle, GRID_TOP - 24), grid, 15, bold=True, anchor="ma")
            blank = (x - 1, y - 1, x + K_w * cell - 1, y + K_h * cell - 1)
            sheet.pen.rectangle(blank, fill=EMPTY, outline=LINE)
            sheet.colour_bar((x, y + GRID + 10), (GRID, 8), limit)
        sheet.photo(self.corner(0), self.photo, self.scale)
        for left, sign in ((0, "×"), (1, "=")):
            between = (COLUMNS[left] + COLUMNS[left + 1]) // 2
            sheet.text((between, GRID_TOP + GRID // 2), sign, 34, anchor="mm")

        photo_edge = self.corner(0)[0] + W * self.scale
        sheet.arrow((photo_edge + 8, PANEL_TOP + 38), (COLUMNS[1] - 126, PANEL_TOP + 38))
        for column, top, bottom, label in (
            (0, PANEL_TOP + PANEL + 14, GRID_TOP - 30, "cut out"),
            (1, PANEL_TOP + 58, PANEL_TOP + 100, "reduce:\n1×1 convolution,\nbatch norm, ReLU"),
            (1, PANEL_TOP + 140, PANEL_TOP + 182, "span: 1×1 convolution"),
            (1, PANEL_TOP + 244, GRID_TOP - 30, "reshape"),
        ):
            sheet.arrow((COLUMNS[column], top), (COLUMNS[column], bottom))
            place = COLUMNS[column] + 12, (top + bottom) // 2
            sheet.text(place, label, 12, colour=MUTED, anchor="lm")
        sheet.arrow((COLUMNS[2], GRID_TOP - 30), (COLUMNS[2], PANEL_TOP + PANEL + 14))
        sheet.text(
            (WIDTH // 2, HEIGHT - 8),
            f"{self.note} Numbers: the red channel; the same kernel serves green and blue.",
            12,
            colour=MUTED,
            anchor="ms",
        )
        return sheet

    def draw(self, scene: Scene, sheet: Canvas) -> None:
        """Draw what ``scene`` shows."""
        self._draw_panels(sheet, scene)
        self._draw_generator(sheet, scene)
        self._draw_grids(sheet, scene)

    def _draw_panels(self, sheet: Canvas, scene: Scene) -> None:
        H, W = self.size
        shown = (np.arange(H * W) < scene.filled).reshape(H, W)
        for pixel in scene.visited:
            shown[pixel] = True
        output = np.where(shown[..., np.newaxis], self.output, np.array(EMPTY, np.uint8))
        sheet.photo(self.corner(2), output, self.scale)
        if scene.step >= 3:
            window = self.trace.geom.window
            sheet.outline(self.corner(0), (H, W), self.scale, scene.pixel, window)
        sheet.outline(self.corner(0), (H, W), self.scale, scene.pixel)
        if shown[scene.pixel]:
            sheet.outline(self.corner(2), (H, W), self.scale, scene.pixel)

    def _draw_generator(self, sheet: Canvas, scene: Scene) -> None:
        (i, j), middle, y = scene.pixel, COLUMNS[1], PANEL_TOP
        x_limit, kernel_limit, _ = self.limits
        digits = 2 if scene.slow else None
        sheet.text((middle, y), f"pixel (row {i}, column {j})", 13, anchor="ma")
        sheet.photo((middle - 118, y + 24), self.photo[i : i + 1, j : j + 1], 28)
        features = self.trace.x[0, :, i, j][np.newaxis]
        sheet.cells((middle - 78, y + 24), features, (66, 29), x_limit, digits)
        reduced = self.trace.reduced[0, :, i, j][np.newaxis]
        sheet.cells((middle - 99, y + 106), reduced, (66, 29), x_limit, digits)
        numbers = self.trace.kernels[0, 0, i, j].reshape(1, -1)
        width = PANEL // numbers.size
        place = middle - width * numbers.size // 2, y + 188
        sheet.cells(place, numbers, (width, 29), kernel_limit)
        sheet.text((middle, y + 222), f"{numbers.size} numbers", 12, colour=MUTED, anchor="ma")

    def _draw_grids(self, sheet: Canvas, scene: Scene) -> None:
        trace, (i, j), cell = self.trace, scene.pixel, (self.cell(), self.cell())
        x_limit, kernel_limit, product_limit = self.limits
        digits = 2 if scene.slow else None
        if scene.step >= 2:
            sheet.cells(self.grid(1), trace.kernels[0, 0, i, j], cell, kernel_limit, digits)
        if scene.step >= 3:
            sheet.cells(self.grid(0), trace.patches[0, 0, 0, i, j], cell, x_limit, digits)
            sheet.cells(self.grid(2), trace.products(i, j)[0, 0, 0], cell, product_limit, digits)
        if scene.step == len(STEPS) and scene.slow:
            y = number(trace.y[0, 0, i, j], 2)
            sheet.text((COLUMNS[2] + 12, GRID_TOP - 62), f"sum = {y}", 17, bold=True, anchor="lm")


def film_of(trace: Trace, photo: Photo, output: Photo, stops: list[Pair], note: str) -> Film:
    """Return the frames of a trace of ``photo``.

    Parameters
    ----------
    trace, photo
        What `record` returned for the photo's x, and the photo.
    output : ndarray, shape (H, W, 3), uint8
        Its y as colours.
    stops : list of (int, int)
        Output pixels to visit slowly, the first of them step by step; no more than 1 + `OTHERS`.
    note : str
        A sentence about the weights, for the foot of every frame.
    """
    stage = Stage(trace, photo, output, note)
    shots = [
        Shot(scene.caption, scene.milliseconds, partial(stage.draw, scene))
        for scene in scenes(trace, stops)
    ]
    return Film(stage.still, shots, [photo, stage.output])
