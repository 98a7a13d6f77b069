"""Groups: each kernel is shared by the channels of its group."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ....models import pretrained
from ...palette import ACCENT, LINE, MUTED, limit_of
from ...recording import record
from ..canvas import Canvas, Frame
from .scene import END, Grid, Scene
from .stages import digit
from .subject import Subject

DIGIT, LAYER = 3, "layer2.0.conv2"
SHOWN = 3  # channels of each group
TOP, PITCH, GAP = 152, 72, 28  # rows: middle of the first channel, to the next, between groups
SMALL, LARGE = 62, 140  # rows and columns of the canvas for a window, and for a kernel


class Groups(Scene):
    """One pixel of a trained layer with groups: two kernels, each shared by 16 channels."""

    name = "groups"
    title = "Groups: channels share kernels"
    caption = (
        "The channels of a group share a kernel. The groups are contiguous: channel c belongs to "
        "group c // C_g."
    )
    note = "The second stage of the trained network 'digits', which reads a printed 3."
    shows_patch = False
    uses_photo = False

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.trace = trace = record(pretrained("digits"), digit(DIGIT), layer=LAYER)
        geom, K = trace.geom, trace.geom.window
        self.pixel = i, j = geom.H_out // 2, geom.W_out // 2
        size = np.abs(trace.patches[0, :, :, i, j]).sum(axis=(-2, -1))  # (G, C_g)
        # The channels with most to see, in their order.
        strongest = np.sort(np.argsort(-size, axis=1, kind="stable")[:, :SHOWN], axis=1)
        self.channels = [(g, int(r)) for g in range(geom.G) for r in strongest[g]]
        rows = [TOP + PITCH * n + GAP * g for n, (g, _) in enumerate(self.channels)]
        self.windows = [trace.patches[0, g, r, i, j] for g, r in self.channels]
        self.products = [trace.products(i, j)[0, g, r] for g, r in self.channels]
        self.sums = [float(trace.y[0, g * geom.C_g + r, i, j]) for g, r in self.channels]
        arrays = self.windows, trace.kernels[0, :, i, j], self.products, self.sums
        limits = [limit_of(np.array(a)) for a in arrays]
        middles = [rows[g * SHOWN + SHOWN // 2] for g in range(geom.G)]
        small, large = SMALL // max(K), LARGE // max(K)
        self.window_grids = [Grid((216, y), *K, small, limits[0]) for y in rows]
        self.kernels = [Grid((452, y), *K, large, limits[1]) for y in middles]
        self.product_grids = [Grid((684, y), *K, small, limits[2]) for y in rows]
        self.outputs = [Grid((812, y), 1, 1, (60, 34), limits[3]) for y in rows]

    def draw_background(self, canvas: Canvas) -> None:
        """Draw the windows in their groups, the kernels, and the scales."""
        super().draw_background(canvas)
        (i, j), geom = self.pixel, self.trace.geom
        titles = "windows", "one kernel for each group", "kernel × window", "sums"
        grids = self.window_grids[0], self.kernels[0], self.product_grids[0], self.outputs[0]
        for grid, title in zip(grids, titles, strict=True):
            canvas.text((grid.middle[0], TOP - 48), title, 15, bold=True, anchor="ms")
        for (g, r), grid, values in zip(
            self.channels, self.window_grids, self.windows, strict=True
        ):
            grid.draw(canvas, values)
            at = grid.corner[0] - 10, grid.middle[1]
            canvas.text(at, f"channel {g * geom.C_g + r}", 13, anchor="rm")
        for g, grid in enumerate(self.kernels):
            grid.draw(canvas, self.trace.kernels[0, g, i, j])
            grid.title(canvas, f"kernel {g}")
            canvas.text((40, grid.middle[1]), f"g = {g}", 15, bold=True, anchor="mm")
            last = (g + 1) * SHOWN - 1
            first_row, last_row = (self.window_grids[n] for n in (g * SHOWN, last))
            box = 70, first_row.corner[1] - 6, first_row.right + 8, last_row.bottom + 5
            canvas.pen.rectangle(box, outline=MUTED)
            canvas.text((316, grid.middle[1]), "×", 34, anchor="mm")
        for grid in grids[:3]:
            canvas.colour_bar((grid.middle[0] - 48, 590), (96, 7), grid.limit, 10)

    def draw(self, canvas: Canvas, done: int, marked: bool) -> None:
        """Draw the products and sums of the first ``done`` channels, the last one marked."""
        geom = self.trace.geom
        for n, (g, r) in enumerate(self.channels[:done]):
            kernel, product, output = self.kernels[g], self.product_grids[n], self.outputs[n]
            now = marked and n == done - 1
            line = kernel.right + 8, kernel.middle[1], product.corner[0] - 8, product.middle[1]
            canvas.pen.line(line, fill=ACCENT if now else LINE, width=3 if now else 2)
            product.draw(canvas, self.products[n])
            product.arrow_to(canvas, output)
            output.draw(canvas, np.array([[self.sums[n]]]), digits=2)
            at = output.right + 8, output.middle[1]
            canvas.text(at, f"y[0, {g * geom.C_g + r}]", 13, colour=MUTED, anchor="lm")
            if now:
                for grid in self.window_grids[n], kernel:
                    grid.mark(canvas, 0, 0, grid.rows, grid.columns)

    def frames(self) -> Iterator[Frame]:
        """Yield the whole, then the channels one by one."""
        geom, count = self.trace.geom, len(self.channels)
        first = f"{geom.C} channels in G = {geom.G} groups: one pixel makes {geom.G} kernels, not {geom.C}."
        yield self.frame(first, 2400, count, False)
        for n, (g, _) in enumerate(self.channels):
            caption = f"Kernel {g} serves every channel of group {g}: multiply and sum."
            yield self.frame(caption, 950, n + 1, True)
        end = f"Channel c is in group c // {geom.C_g}: neighbours share a kernel."
        yield self.frame(end, END, count, False)
