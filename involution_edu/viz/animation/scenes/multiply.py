"""Multiply and sum, row by row; then the same kernel on the other channels."""

from __future__ import annotations

from collections.abc import Iterator

from ....images import photo_to_x, x_to_photo
from ....models import pretrained
from ....models.salt_and_pepper import with_salt_and_pepper
from ...palette import BLUE, MUTED, ORANGE
from ...picks import telling_pixel
from ...recording import record
from ..canvas import Canvas, Frame, number
from .scene import END, Scene, grids_below
from .subject import Subject

COLOURS = "red", "green", "blue"
MIDDLE = 258  # row of the canvas: the middle of the large grids
GRID = 280  # rows and columns of the canvas for a grid
BAR = 496  # row of the canvas: the axis of the running sum
AXIS = 340  # columns of the canvas on either side of the zero


class Multiply(Scene):
    """One output pixel is summed up, channel by channel."""

    name = "multiply"
    title = "Multiply and sum: one output"
    caption = (
        "The kernel is multiplied with the window, element by element, and the products are added "
        "up: over the window only, never across channels."
    )
    note = "A layer trained to remove salt-and-pepper noise. Black is −2, white 2.5, middle grey 0."
    shows_patch = False

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.noisy = with_salt_and_pepper(subject.photo, subject.seed)
        trace = record(pretrained("salt-and-pepper"), photo_to_x(self.noisy))
        self.pixel = i, j = telling_pixel(trace)
        self.windows = trace.patches[0, 0, :, i, j]  # (C, K_h, K_w)
        self.kernel = trace.kernels[0, 0, i, j]
        self.products = trace.products(i, j)[0, 0]
        self.y = trace.y[0, :, i, j]
        self.colour = x_to_photo(trace.y[:, :, i : i + 1, j : j + 1])
        self.photos = [self.noisy, self.colour]
        cell = GRID // max(trace.geom.window)
        # The scale of each grid is that of what it shows.
        arrays = self.windows, self.kernel, self.products
        self.grids = grids_below(MIDDLE, trace.geom.window, cell, arrays)
        running = self.products.sum(axis=2).cumsum(axis=1)  # after each row
        self.reach = float(abs(running).max()) or 1.0

    def draw_background(self, canvas: Canvas) -> None:
        """Draw the photo, the kernel, empty grids, and the axis of the running sum."""
        super().draw_background(canvas)
        corner, size = (928 - self.noisy.shape[1], 10), self.noisy.shape[:2]
        canvas.photo(corner, self.noisy, 1)
        canvas.outline(corner, size, 1, self.pixel, self.kernel.shape)
        for x, sign in ((328, "×"), (632, "=")):
            canvas.text((x, MIDDLE), sign, 26, anchor="mm")
        for grid in self.grids:
            grid.clear(canvas)
            grid.scale(canvas)
        self.grids[1].draw(canvas, self.kernel, 2, "its kernel")
        canvas.pen.line((480 - AXIS, BAR + 18, 480 + AXIS, BAR + 18), fill=MUTED)
        canvas.text((480, BAR + 22), "0", 12, colour=MUTED, anchor="ma")

    def draw(self, canvas: Canvas, channel: int, rows: int, marked: bool) -> None:
        """Draw the first ``rows`` rows of products of a channel, and the outputs before it."""
        window, kernel, product = self.grids
        window.draw(canvas, self.windows[channel], 2, f"window: {COLOURS[channel]}")
        product.draw(canvas, self.products[channel, :rows], 2, "products")
        if marked:
            for grid in self.grids:
                grid.mark(canvas, rows - 1, 0, columns=kernel.columns)
        total = float(self.products[channel, :rows].sum())
        finished = channel + (rows == kernel.rows)
        title = "sum of all products" if rows == kernel.rows else "the sum so far"
        canvas.text((480, BAR - 24), title, 15, bold=True, anchor="ms")
        x = 480 + round(total / self.reach * AXIS)
        if x != 480:
            bar = min(x, 480), BAR - 8, max(x, 480), BAR + 10
            canvas.pen.rectangle(bar, fill=BLUE if total < 0 else ORANGE)
        canvas.pen.line((480, BAR - 14, 480, BAR + 18), fill=MUTED)
        at, anchor = (x + 8, "lm") if total >= 0 else (x - 8, "rm")
        canvas.text((at, BAR + 1), number(total, 2), 15, bold=True, anchor=anchor)
        (i, j), channels = self.pixel, len(self.y)
        for c in range(finished):
            text = f"y[0, {c}, {i}, {j}] = {number(float(self.y[c]), 2)}  {COLOURS[c]}"
            canvas.text((56 + 268 * c, 582), text, 15, bold=c == finished - 1, anchor="lm")
        if finished == channels:
            canvas.photo((874, 562), self.colour, 40)

    def frames(self) -> Iterator[Frame]:
        """Yield the whole for red, then row by row, then the other channels."""
        rows, channels = self.kernel.shape[0], len(self.y)
        first = "The window around a pixel, times the pixel's own kernel, element by element."
        if (self.noisy[self.pixel] != self.subject.photo[self.pixel]).any():
            first = "The middle pixel is noise: its kernel takes from the neighbours instead."
        yield self.frame(first, 2200, 0, rows, False)
        for row in range(1, rows + 1):
            caption = "All the products are added up, here row by row. The sum is one output."
            yield self.frame(caption, 3200 // rows, 0, row, True)
        for channel in range(1, channels - 1):
            caption = f"The same kernel serves {COLOURS[channel]}: another window, another sum."
            yield self.frame(caption, 1800, channel, rows, False)
        caption = f"One pixel, one kernel, {channels} channels, {channels} sums: one colour."
        yield self.frame(caption, END, channels - 1, rows, False)
