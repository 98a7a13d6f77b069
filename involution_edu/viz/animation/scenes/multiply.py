"""Multiply and sum, element by element; then the same kernel on the other channels."""

from __future__ import annotations

from collections.abc import Iterator

from ...palette import BLUE, MUTED, ORANGE
from ..canvas import Canvas, Frame, number
from .generate import COLOURS
from .scene import END, SLOW, STEP, Scene, bracketed, grids_below
from .subject import Subject

MIDDLE = 246  # row of the canvas: the middle of the large grids
BAR = 484  # and of the axis of the running sum
AXIS = 380  # columns of the canvas on either side of the zero


class Multiply(Scene):
    """One output pixel is summed up, channel by channel."""

    name = "multiply"
    title = "Multiply and sum: one output"
    caption = (
        "The kernel is multiplied with the window, element by element, and the products are added "
        "up: over the window only, never across channels."
    )
    note = "Random weights, not trained. The sum runs over the window only, never across channels."

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        trace = subject.trace()
        self.pixel = i, j = trace.geom.H_out // 2, trace.geom.W_out // 2
        self.windows = trace.patches[0, 0, :, i, j]  # (C, K_h, K_w)
        self.kernel = trace.kernels[0, 0, i, j]
        self.products = trace.products(i, j)[0, 0]
        self.y = trace.y[0, :, i, j]
        arrays = trace.x, trace.kernel, self.products
        self.grids = grids_below(MIDDLE, trace.geom.window, 68, arrays)
        self.taps = list(trace.geom.taps())
        running = self.products.reshape(len(self.products), -1).cumsum(axis=1)
        self.reach = max(1.0, float(abs(running).max()))

    def draw_background(self, canvas: Canvas) -> None:
        """Draw the kernel, empty grids, and the axis of the running sum."""
        super().draw_background(canvas)
        for x, sign in ((328, "×"), (632, "=")):
            canvas.text((x, MIDDLE), sign, 34, anchor="mm")
        for grid in self.grids:
            grid.clear(canvas)
            grid.scale(canvas)
        title = f"kernel of (row {self.pixel[0]}, column {self.pixel[1]})"
        self.grids[1].draw(canvas, self.kernel, 2, title)
        canvas.text((480, BAR - 30), "the sum so far", 15, bold=True, anchor="ms")
        canvas.pen.line((480 - AXIS, BAR + 18, 480 + AXIS, BAR + 18), fill=MUTED)
        for part in (-1, -0.5, 0, 0.5, 1):
            x = 480 + round(part * AXIS)
            canvas.pen.line((x, BAR + 18, x, BAR + 24), fill=MUTED)
            canvas.text((x, BAR + 28), number(part * self.reach, 1), 12, colour=MUTED, anchor="ma")

    def draw(self, canvas: Canvas, channel: int, done: int) -> None:
        """Draw the first ``done`` products of a channel, and the outputs before it."""
        window, _, product = self.grids
        window.draw(canvas, self.windows[channel], 2, f"window: {COLOURS[channel]}")
        product.title(canvas, "products")
        total = 0.0
        for u, v in self.taps[:done]:
            value = self.products[channel, u : u + 1, v : v + 1]
            product.at(u, v).draw(canvas, value, digits=2)
            total += value.item()
        if 0 < done < len(self.taps):
            u, v = self.taps[done - 1]
            for grid in self.grids:
                grid.mark(canvas, u, v)
            a, b = float(self.kernel[u, v]), float(self.windows[channel, u, v])
            text = f"{bracketed(a)} · {bracketed(b)} = {number(a * b, 2)}"
            canvas.text((480, MIDDLE + 164), text, 15, anchor="ms")
        x = 480 + round(total / self.reach * AXIS)
        if x != 480:
            bar = min(x, 480), BAR - 8, max(x, 480), BAR + 10
            canvas.pen.rectangle(bar, fill=BLUE if total < 0 else ORANGE)
        canvas.pen.line((480, BAR - 14, 480, BAR + 18), fill=MUTED)
        at, anchor = (x + 8, "lm") if total >= 0 else (x - 8, "rm")
        canvas.text((at, BAR + 1), number(total, 2), 15, bold=True, anchor=anchor)
        (i, j), finished = self.pixel, channel + (done == len(self.taps))
        for c in range(finished):
            text = f"y[0, {c}, {i}, {j}] = {number(float(self.y[c]), 2)}   {COLOURS[c]}"
            canvas.text((120 + 260 * c, 562), text, 16, bold=c == finished - 1)

    def frames(self) -> Iterator[Frame]:
        """Yield the products one by one, then the other channels."""
        count, channels = len(self.taps), len(self.y)
        yield self.frame("The window around the pixel, and its kernel.", SLOW, 0, 0)
        for done in range(1, count):
            caption = f"Element by element: product {done} of {count} is added to the sum."
            yield self.frame(caption, STEP, 0, done)
        caption = f"All {count} products are added up: this is the output for red."
        yield self.frame(caption, SLOW, 0, count)
        for channel in range(1, channels):
            caption = f"The same kernel serves {COLOURS[channel]}: another window, another sum."
            yield self.frame(caption, SLOW, channel, count)
        caption = f"One pixel, one kernel, {channels} channels, {channels} outputs."
        yield self.frame(caption, END, channels - 1, count)
