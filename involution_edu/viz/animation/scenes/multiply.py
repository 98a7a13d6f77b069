"""Multiply and sum, place by place; then the same kernel on the other channels."""

from __future__ import annotations

from functools import partial

from ....arguments import Pair
from ...palette import BLUE, MUTED, ORANGE, limit_of
from ...trace import Trace
from ..canvas import Canvas, number
from ..frames import Film, Shot
from .generate import COLOURS
from .layout import COLUMNS, END, SLOW, STEP, Grid, bracketed, make_sheet
from .subject import Subject

MIDDLE = 246  # row of the sheet: the middle of the large grids
BAR = 484  # and of the axis of the running sum
PLACE = 68  # rows and columns of the sheet for a place of the window
AXIS = 380  # columns of the sheet on either side of the zero


class Multiply:
    """One output pixel of a layer for colours.

    Parameters
    ----------
    trace : Trace
    pixel : (int, int)
        Output row and column.
    """

    def __init__(self, trace: Trace, pixel: Pair) -> None:
        i, j = pixel
        self.windows = trace.patches[0, 0, :, i, j]  # (C, K_h, K_w)
        self.kernel = trace.kernels[0, 0, i, j]
        self.products = trace.products(i, j)[0, 0]
        self.y = trace.y[0, :, i, j]
        self.pixel = pixel
        self.grids = [Grid.around((x, MIDDLE), *trace.geom.window, PLACE) for x in COLUMNS]
        self.limits = limit_of(trace.x), limit_of(trace.kernel), limit_of(self.products)
        self.places = list(trace.geom.taps())
        running = self.products.reshape(len(self.products), -1).cumsum(axis=1)
        self.reach = max(1.0, float(abs(running).max()))

    def prepare(self, sheet: Canvas) -> None:
        """Draw what all frames share."""
        for x, sign in ((328, "×"), (632, "=")):
            sheet.text((x, MIDDLE), sign, 34, anchor="mm")
        for grid, limit in zip(self.grids, self.limits, strict=True):
            grid.clear(sheet)
            grid.scale(sheet, limit)
        self.grids[1].title(sheet, f"kernel of (row {self.pixel[0]}, column {self.pixel[1]})")
        self.grids[1].draw(sheet, self.kernel, self.limits[1], digits=2)
        sheet.text((480, BAR - 30), "the sum so far", 15, bold=True, anchor="ms")
        sheet.pen.line((480 - AXIS, BAR + 18, 480 + AXIS, BAR + 18), fill=MUTED)
        for part in (-1, -0.5, 0, 0.5, 1):
            x = 480 + round(part * AXIS)
            sheet.pen.line((x, BAR + 18, x, BAR + 24), fill=MUTED)
            label = number(part * self.reach, 1)
            sheet.text((x, BAR + 28), label, 12, colour=MUTED, anchor="ma")

    def draw(self, channel: int, done: int, sheet: Canvas) -> None:
        """Draw the first ``done`` products of a channel, and the channels before it."""
        window, _, product = self.grids
        window.title(sheet, f"window: {COLOURS[channel]}")
        window.draw(sheet, self.windows[channel], self.limits[0], digits=2)
        product.title(sheet, "products")
        total = 0.0
        for u, v in self.places[:done]:
            value = self.products[channel, u : u + 1, v : v + 1]
            product.at(u, v).draw(sheet, value, self.limits[2], digits=2)
            total += float(value[0, 0])
        if 0 < done < len(self.places):
            u, v = self.places[done - 1]
            for grid in self.grids:
                grid.mark(sheet, u, v)
            a, b = float(self.kernel[u, v]), float(self.windows[channel, u, v])
            text = f"{bracketed(a)} · {bracketed(b)} = {number(a * b, 2)}"
            sheet.text((480, MIDDLE + 164), text, 15, anchor="ms")
        self._bar(sheet, total)
        i, j = self.pixel
        finished = channel + (done == len(self.places))
        for c in range(finished):
            text = f"y[0, {c}, {i}, {j}] = {number(float(self.y[c]), 2)}   {COLOURS[c]}"
            sheet.text((120 + 260 * c, 562), text, 16, bold=c == finished - 1)

    def _bar(self, sheet: Canvas, total: float) -> None:
        x = 480 + round(total / self.reach * AXIS)
        left, right = min(x, 480), max(x, 480)
        if right > left:
            colour = BLUE if total < 0 else ORANGE
            sheet.pen.rectangle((left, BAR - 8, right, BAR + 10), fill=colour)
        sheet.pen.line((480, BAR - 14, 480, BAR + 18), fill=MUTED)
        at, anchor = (x + 8, "lm") if total >= 0 else (x - 8, "rm")
        sheet.text((at, BAR + 1), number(total, 2), 15, bold=True, anchor=anchor)


def multiply(subject: Subject) -> Film:
    """Return the scene of one output being summed up."""
    trace = subject.trace()
    scene = Multiply(trace, (trace.geom.H_out // 2, trace.geom.W_out // 2))
    note = "Random weights, not trained. The sum runs over the window only, never across channels."
    sheet = make_sheet("Multiply and sum: one output", note, subject)
    scene.prepare(sheet)
    count = len(scene.places)
    shots = [Shot("The window around the pixel, and its kernel.", SLOW, partial(scene.draw, 0, 0))]
    for done in range(1, count):
        caption = f"Place by place: product {done} of {count} joins the sum."
        shots.append(Shot(caption, STEP, partial(scene.draw, 0, done)))
    caption = f"All {count} products are added up: this is the output for red."
    shots.append(Shot(caption, SLOW, partial(scene.draw, 0, count)))
    for channel in range(1, len(scene.y)):
        caption = f"The same kernel serves {COLOURS[channel]}: another window, another sum."
        shots.append(Shot(caption, SLOW, partial(scene.draw, channel, count)))
    caption = f"One pixel, one kernel, {len(scene.y)} channels, {len(scene.y)} outputs."
    shots.append(Shot(caption, END, shots[-1].draw))
    return Film(sheet, shots, [subject.photo])
