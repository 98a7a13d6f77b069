"""Overview: the window slides over the photo, and its kernel changes at every pixel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ....arguments import Pair
from ....images import photo_to_x, x_to_photo
from ....models import pretrained
from ....models.salt_and_pepper import with_salt_and_pepper
from ...palette import EMPTY, LINE, MUTED
from ...picks import telling_pixel, varied_pixels
from ...recording import record
from ..canvas import Canvas, Frame, number
from .scene import COLUMNS, Scene, grids_below
from .subject import Subject

PANEL = 288  # maximum rows and columns of the canvas for the photo, and for the output
GRID = 200  # rows and columns of the canvas for a kernel, a window or its products
PANEL_TOP, GRID_TOP = 118, 500
SLIDE = 12  # pixels along which the window slides, one a frame
STEPS = (
    "1  One pixel makes {count} numbers: reduce, then span. No neighbour is used.",
    "2  Reshaped, the {count} numbers are this pixel's own {K_h} × {K_w} kernel.",
    "3  The kernel is multiplied with the window around the pixel, element by element.",
    "4  The sum of the {count} products is the output at this pixel.",
)


class State(NamedTuple):
    """Content of one frame."""

    pixel: Pair  # output row and column of the window
    step: int  # number of STEPS that are drawn, 1 to 4
    filled: int  # number of output pixels that are drawn, row by row from the top left
    visited: tuple[Pair, ...]  # output pixels that are drawn in addition
    caption: str
    milliseconds: int
    slow: bool = True  # whether there is time to read numbers; if not, only colours are drawn


class Overview(Scene):
    """A trained layer on the photo with noise: one pixel step by step, then all of them."""

    name = "overview"
    title = "Involution: every pixel makes its own kernel"
    caption = (
        "A window slides over a photo with salt-and-pepper noise. The pixel in its middle makes a "
        "kernel from its own three numbers, the kernel is multiplied with the window, and the sum "
        "becomes one pixel of the output. The layer was trained to remove the noise."
    )
    note = (
        "Trained to remove salt-and-pepper noise. "
        "Numbers: the red channel; the same kernel serves green and blue."
    )
    height = 776
    shows_patch = False

    def __init__(self, subject: Subject, pixel: Pair | None = None) -> None:
        super().__init__(subject)
        self.photo = with_salt_and_pepper(subject.photo, subject.seed)
        self.trace = record(pretrained("salt-and-pepper"), photo_to_x(self.photo))
        self.output = x_to_photo(self.trace.y)
        self.photos = [self.photo, self.output]
        # Pixels to enlarge, the first one included.
        self.stops = varied_pixels(self.trace, pixel or telling_pixel(self.trace), 2, 3)
        self.size = self.trace.geom.H_out, self.trace.geom.W_out
        self.zoom = zoom = max(1, PANEL // max(self.size))
        top = PANEL_TOP + (PANEL - self.size[0] * zoom) // 2
        # Top left corners of the photo, of what is between, and of the output.
        self.corners = [(x - self.size[1] * zoom // 2, top) for x in COLUMNS]
        window = self.trace.geom.window
        cell = GRID // max(window)
        products = self.trace.products(slice(None), slice(None))[0, 0, 0]
        arrays = self.trace.x, self.trace.kernel, products
        self.grids = grids_below(GRID_TOP + window[0] * cell // 2, window, cell, arrays)

    def states(self) -> Iterator[State]:
        """Yield the first pixel step by step, a slide along its row, other pixels, then all rows."""
        K_h, K_w = self.trace.geom.window
        H, W = self.size
        (row, column), *others = self.stops[:3]
        visited: tuple[Pair, ...] = ()
        for step, text in enumerate(STEPS, start=1):
            if step == len(STEPS):
                visited = ((row, column),)
            caption = text.format(count=K_h * K_w, K_h=K_h, K_w=K_w)
            yield State((row, column), step, 0, visited, caption, 1300)
        caption = "The window slides on: the next pixel, its own kernel, the same steps."
        start = max(0, min(column, W - SLIDE))
        for j in range(start, min(start + SLIDE, W)):
            visited += ((row, j),)
            yield State((row, j), len(STEPS), 0, visited, caption, 120, slow=False)
        caption = "Elsewhere in the photo: other colours make another kernel."
        for pixel in others:
            visited += (pixel,)
            yield State(pixel, len(STEPS), 0, visited, caption, 900)
        caption = "All other pixels in the same way, row by row, each with its own kernel ..."
        rows = -(-H // 18)  # in each of 18 frames, or of fewer
        for filled in range(rows * W, H * W, rows * W):
            yield State(visited[-1], len(STEPS), filled, visited, caption, 50)
        end = f"Done: {H * W} pixels, {H * W} kernels, all made by the same two 1×1 convolutions."
        yield State(visited[-1], len(STEPS), H * W, (), end, 3000)

    def frames(self) -> Iterator[Frame]:
        """Yield a frame for each of the states."""
        for state in self.states():
            yield self.frame(state.caption, state.milliseconds, state)

    def draw_background(self, canvas: Canvas) -> None:
        """Draw the photo, the titles, the arrows, the scales and empty grids."""
        super().draw_background(canvas)
        H, W = self.size
        titles = f"Input x: the photo, {H} × {W}", "Generate the kernel", "Output y"
        below = "its window (red)", "its kernel", "their products"
        for middle, upper, lower, grid in zip(COLUMNS, titles, below, self.grids, strict=True):
            for y, text in ((PANEL_TOP - 24, upper), (GRID_TOP - 24, lower)):
                canvas.text((middle, y), text, 15, bold=True, anchor="ma")
            x, y = grid.corner
            empty = (x - 1, y - 1, grid.right - 1, grid.bottom - 1)
            canvas.pen.rectangle(empty, fill=EMPTY, outline=LINE)
            canvas.colour_bar((x, y + GRID + 10), (GRID, 8), grid.limit)
        canvas.photo(self.corners[0], self.photo, self.zoom)
        for left, sign in ((0, "×"), (1, "=")):
            between = (COLUMNS[left] + COLUMNS[left + 1]) // 2
            canvas.text((between, GRID_TOP + GRID // 2), sign, 34, anchor="mm")

        photo_edge = self.corners[0][0] + W * self.zoom
        canvas.arrow((photo_edge + 8, PANEL_TOP + 38), (COLUMNS[1] - 126, PANEL_TOP + 38))
        for column, top, bottom, label in (
            (0, PANEL_TOP + PANEL + 14, GRID_TOP - 30, "cut out"),
            (1, PANEL_TOP + 58, PANEL_TOP + 100, "reduce:\n1×1 convolution,\nbatch norm, ReLU"),
            (1, PANEL_TOP + 140, PANEL_TOP + 182, "span: 1×1 convolution"),
            (1, PANEL_TOP + 244, GRID_TOP - 30, "reshape"),
        ):
            canvas.arrow((COLUMNS[column], top), (COLUMNS[column], bottom))
            beside = COLUMNS[column] + 12, (top + bottom) // 2
            canvas.text(beside, label, 12, colour=MUTED, anchor="lm")
        canvas.arrow((COLUMNS[2], GRID_TOP - 30), (COLUMNS[2], PANEL_TOP + PANEL + 14))

    def draw(self, canvas: Canvas, state: State) -> None:
        """Draw the content of a frame."""
        trace, (i, j), (H, W) = self.trace, state.pixel, self.size
        window, kernel, products = self.grids
        digits = 2 if state.slow else None
        self._draw_generator(canvas, state.pixel, digits)
        if state.step >= 2:
            kernel.draw(canvas, trace.kernels[0, 0, i, j], digits)
        if state.step >= 3:
            window.draw(canvas, trace.patches[0, 0, 0, i, j], digits)
            products.draw(canvas, trace.products(i, j)[0, 0, 0], digits)
            canvas.outline(self.corners[0], (H, W), self.zoom, state.pixel, trace.geom.window)
        if state.step == len(STEPS) and state.slow:
            text = f"sum = {number(trace.y[0, 0, i, j], 2)}"
            canvas.text((COLUMNS[2] + 12, GRID_TOP - 62), text, 17, bold=True, anchor="lm")
        shown = (np.arange(H * W) < state.filled).reshape(H, W)
        for pixel in state.visited:
            shown[pixel] = True
        output = np.where(shown[..., np.newaxis], self.output, np.array(EMPTY, np.uint8))
        canvas.photo(self.corners[2], output, self.zoom)
        canvas.outline(self.corners[0], (H, W), self.zoom, state.pixel)
        if shown[state.pixel]:
            canvas.outline(self.corners[2], (H, W), self.zoom, state.pixel)

    def _draw_generator(self, canvas: Canvas, pixel: Pair, digits: int | None) -> None:
        (i, j), middle, y = pixel, COLUMNS[1], PANEL_TOP
        x_limit, kernel_limit, _ = (grid.limit for grid in self.grids)
        canvas.text((middle, y), f"pixel (row {i}, column {j})", 13, anchor="ma")
        canvas.photo((middle - 118, y + 24), self.photo[i : i + 1, j : j + 1], 28)
        x, reduced = self.trace.x[:, :, i, j], self.trace.reduced[:, :, i, j]  # (1, C), (1, C // r)
        canvas.cells((middle - 78, y + 24), x, (66, 29), x_limit, digits)
        canvas.cells((middle - 99, y + 106), reduced, (66, 29), x_limit, digits)
        numbers = self.trace.kernels[0, 0, i, j].reshape(1, -1)
        count, width = numbers.size, PANEL // numbers.size
        canvas.cells((middle - width * count // 2, y + 188), numbers, (width, 29), kernel_limit)
        canvas.text((middle, y + 222), f"{count} numbers", 12, colour=MUTED, anchor="ma")
