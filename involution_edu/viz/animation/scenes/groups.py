"""Groups: each kernel is shared by the channels of its group."""

from __future__ import annotations

from functools import partial

from ....arguments import Pair
from ....nn import Conv2d, Involution2d
from ...palette import ACCENT, LINE, MUTED, limit_of
from ...recording import record
from ...trace import Trace
from ..canvas import Canvas
from ..frames import Film, Shot
from .layout import END, SLOW, STEP, Grid, make_sheet
from .subject import Subject, with_statistics_of

CHANNELS, GROUPS = 6, 2
TOP, PITCH = 152, 80  # rows of the sheet: the middle of the first channel, and to the next
PIXEL = 10  # rows and columns of the sheet for a number of a channel
PLACE = 22  # for a place of a small window
LARGE = 40  # for a place of a kernel


class Groups:
    """One pixel of a layer with groups.

    Parameters
    ----------
    trace : Trace
    pixel : (int, int)
        Output row and column.
    """

    def __init__(self, trace: Trace, pixel: Pair) -> None:
        self.trace, self.pixel = trace, pixel
        geom = trace.geom
        rows = [TOP + PITCH * c + 20 * (c // geom.C_g) for c in range(geom.C)]
        self.channels = [Grid.around((96, y), geom.H, geom.W, PIXEL) for y in rows]
        self.windows = [Grid.around((222, y), *geom.window, PLACE) for y in rows]
        middles = [sum(rows[g * geom.C_g : (g + 1) * geom.C_g]) // geom.C_g for g in range(geom.G)]
        self.kernels = [Grid.around((440, y), *geom.window, LARGE) for y in middles]
        self.products = [Grid.around((664, y), *geom.window, PLACE) for y in rows]
        self.outputs = [Grid.around((800, y), 1, 1, 34, 60) for y in rows]
        i, j = pixel
        self.limits = limit_of(trace.x), limit_of(trace.kernel), limit_of(trace.products(i, j))

    def prepare(self, sheet: Canvas) -> None:
        """Draw what all frames share: the channels."""
        trace = self.trace
        sheet.text((96, TOP - 46), "input x", 15, bold=True, anchor="ms")
        for c, grid in enumerate(self.channels):
            grid.draw(sheet, trace.x[0, c], self.limits[0])
            sheet.text((grid.corner[0] - 8, grid.middle[1]), f"{c}", 14, bold=True, anchor="rm")
            grid.mark(sheet, *self.pixel)
        for x, name, limit in zip(
            (300, 412, 524), ("x", "kernels", "products"), self.limits, strict=True
        ):
            sheet.text((x + 42, 580), name, 12, colour=MUTED, anchor="ms")
            sheet.colour_bar((x, 586), (85, 7), limit, 10)

    def draw(self, step: int, done: int, sheet: Canvas) -> None:
        """Draw the windows (step 1), groups (2), kernels (3), and ``done`` channels' outputs."""
        trace, geom, (i, j) = self.trace, self.trace.geom, self.pixel
        sheet.text((222, TOP - 46), "windows", 15, bold=True, anchor="ms")
        for c, grid in enumerate(self.windows):
            g, r = divmod(c, geom.C_g)
            grid.draw(sheet, trace.patches[0, g, r, i, j], self.limits[0])
        if step >= 2:
            for g in range(geom.G):
                first, last = self.channels[g * geom.C_g], self.channels[(g + 1) * geom.C_g - 1]
                box = first.corner[0] - 26, first.corner[1] - 8, 268, last.bottom + 7
                sheet.pen.rectangle(box, outline=MUTED)
                sheet.text((box[0] - 6, (box[1] + box[3]) // 2), f"g={g}", 12, anchor="rm")
        if step >= 3:
            sheet.text((440, TOP - 46), "one kernel for each group", 15, bold=True, anchor="ms")
            for g, grid in enumerate(self.kernels):
                grid.draw(sheet, trace.kernels[0, g, i, j], self.limits[1], digits=2)
                above = grid.corner[1] - 8
                sheet.text((grid.middle[0], above), f"kernel {g}", 13, anchor="ms")
        for c in range(done):
            self._channel(sheet, c, bright=c == done - 1 < geom.C - 1)

    def _channel(self, sheet: Canvas, c: int, bright: bool) -> None:
        trace, (i, j) = self.trace, self.pixel
        g, r = divmod(c, trace.geom.C_g)
        kernel, product, output = self.kernels[g], self.products[c], self.outputs[c]
        colour = ACCENT if bright else LINE
        start = kernel.right + 8, kernel.middle[1]
        sheet.pen.line((*start, product.corner[0] - 8, product.middle[1]), fill=colour, width=2)
        product.draw(sheet, trace.products(i, j)[0, g, r], self.limits[2])
        x, y = product.right, product.middle[1]
        sheet.arrow((x + 8, y), (output.corner[0] - 8, y))
        output.draw(sheet, trace.y[0, c, i, j].reshape(1, 1), limit_of(trace.y), digits=2)
        sheet.text((output.right + 10, y), f"y[0, {c}]", 13, colour=MUTED, anchor="lm")
        if c == 0:
            for x, title in ((product.middle[0], "kernel × window"), (output.middle[0], "sums")):
                sheet.text((x, TOP - 46), title, 15, bold=True, anchor="ms")


def groups(subject: Subject) -> Film:
    """Return the scene of two kernels shared by six channels."""
    features = Conv2d(3, CHANNELS, 3, padding="same", rng=subject.seed)
    layer = Involution2d(CHANNELS, 3, groups=GROUPS, reduction=2, rng=subject.seed)
    trace = record(with_statistics_of(layer, features(subject.x)), features(subject.patch))
    geom = trace.geom
    strength = (trace.kernel[0] ** 2).sum(axis=(1, 2)).min(axis=0)  # of the weaker group
    # Off the rim, where the photo is large enough: a window without zeros says more.
    top, left = (min(1, (n - 1) // 2) for n in strength.shape)
    inner = strength[top : geom.H_out - top, left : geom.W_out - left]
    i, j = divmod(int(inner.argmax()), inner.shape[1])
    i, j = i + top, j + left
    scene = Groups(trace, (i, j))
    note = "Random weights, not trained; a random 3×3 convolution makes six channels of the photo."
    sheet = make_sheet("Groups: channels share kernels", note, subject)
    scene.prepare(sheet)
    C, G, C_g, places = geom.C, geom.G, geom.C_g, geom.window[0] * geom.window[1]
    shots = [
        Shot(
            f"Six channels, one pixel: a window in each. C = {C}.", SLOW, partial(scene.draw, 1, 0)
        ),
        Shot(
            f"Channel c is in group g = c // C_g = c // {C_g}: neighbours share a group.",
            SLOW,
            partial(scene.draw, 2, 0),
        ),
        Shot(
            f"The pixel makes G = {G} kernels, {G}·{places} = {G * places} numbers.",
            SLOW,
            partial(scene.draw, 3, 0),
        ),
    ]
    for done in range(1, C + 1):
        caption = (
            f"Kernel {(done - 1) // C_g} is broadcast to channel {done - 1}: multiply and sum."
        )
        shots.append(Shot(caption, STEP, partial(scene.draw, 3, done)))
    caption = f"{C} channels, {G} kernels. The Keras example takes c % G instead: another layer."
    shots.append(Shot(caption, END, partial(scene.draw, 3, C)))
    return Film(sheet, shots, [subject.photo])
