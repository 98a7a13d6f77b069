"""Gradients on the two paths back to x: through the window, and through the kernel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ....arguments import Pair
from ....models import pretrained
from ....nn import Involution2d
from ...palette import MUTED, limit_of
from ...picks import maximum_inside
from ...recording import Gradients, record, record_gradients
from ..canvas import Canvas, Frame, number
from .scene import Grid, Scene, bracketed
from .subject import Subject

UPPER, MIDDLE, LOWER = 200, 330, 470  # rows of the canvas: the middles of both paths
CELL = 20  # rows and columns of the canvas for a pixel
KERNEL = 120  # and for a window
STEPS = (
    "The error of one output pixel, in the channel red: dy = {dy}.",
    "Path 1, through the window: dy times the kernel goes to the pixels under it.",
    "Path 2, through the kernel: dy times the window is the gradient of the kernel.",
    "Span gives it back to the reduced features: each weight times its part of dkernel.",
    "ReLU, batch norm and reduce give that back to the one pixel that made the kernel.",
    "x was used twice, so its gradient is the sum of both: dx = dx_apply + dx_generate.",
)


class Backward(Scene):
    """Gradients of one output pixel, then of more and more of them; the channel red."""

    name = "backward"
    title = "Backward: two ways back to x"
    caption = (
        "x is used twice, so the gradient comes back on two paths: through the window and through "
        "the kernel. dx is their sum."
    )
    note = "A layer trained to remove salt-and-pepper noise; dy = y − the clean photo; the red channel."

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.x, layer = subject.salted, pretrained("salt-and-pepper")
        assert isinstance(layer, Involution2d)
        self.layer, self.trace = layer, record(layer, self.x)
        self.dy = self.trace.y - subject.patch  # of half the squared error
        H, W = self.dy.shape[2:]
        self.pixel = maximum_inside(abs(self.dy[0, 0]), min(1, (H - 1) // 2), min(1, (W - 1) // 2))
        self.order = [self.pixel, *(p for p in np.ndindex(H, W) if p != self.pixel)]
        self.runs: dict[int, Gradients] = {}
        whole, one = self.run(len(self.order)), self.run(1)
        K, hidden, limit = self.trace.geom.window, one.dreduced.shape[1], limit_of(whole.dx[0, 0])
        tap = KERNEL // max(K)
        self.source = Grid((100, MIDDLE), H, W, CELL - 2, limit_of(whole.dy[0, 0]))
        own = self.trace.kernels[0, 0, self.pixel[0], self.pixel[1]]
        self.kernel = Grid((330, UPPER), *K, tap, limit_of(own))
        self.window = Grid((284, LOWER), *K, tap, limit_of(self.x))
        self.dkernel = Grid((430, LOWER), *K, tap, limit_of(one.dkernel))
        self.dreduced = Grid((542, LOWER), hidden, 1, (48, 30), limit_of(one.dreduced))
        self.dx_apply = Grid((676, UPPER), H, W, CELL, limit)
        self.dx_generate = Grid((676, LOWER), H, W, CELL, limit)
        self.dx = Grid((868, MIDDLE), H, W, CELL - 2, limit)

    def run(self, count: int) -> Gradients:
        """Return the recorded gradients for the dy of the first ``count`` pixels, zero elsewhere."""
        if count not in self.runs:
            dy = np.zeros_like(self.dy)
            for i, j in self.order[:count]:
                dy[0, 0, i, j] = self.dy[0, 0, i, j]
            self.runs[count] = record_gradients(self.layer, self.x, dy)
        return self.runs[count]

    def draw_background(self, canvas: Canvas) -> None:
        """Draw the titles, empty grids, and the two paths."""
        super().draw_background(canvas)
        for grid, title in (
            (self.source, "dy (red)"),
            (self.kernel, "its kernel"),
            (self.dx_apply, "dx_apply"),
            (self.window, "its window"),
            (self.dkernel, "dkernel"),
            (self.dreduced, "dreduced"),
            (self.dx_generate, "dx_generate"),
            (self.dx, "dx: their sum"),
        ):
            grid.clear(canvas)
            grid.title(canvas, title)
        for grid in self.source, self.dx:
            grid.scale(canvas)
        for grid in self.kernel, self.window:
            canvas.text((grid.corner[0] - 10, grid.middle[1]), "dy ×", 17, anchor="rm")
        canvas.text(
            ((self.window.right + self.dkernel.corner[0]) // 2, LOWER), "=", 22, anchor="mm"
        )
        at = (self.kernel.right + self.dx_apply.corner[0]) // 2, UPPER - 8
        canvas.text(at, "to the pixels of the window", 12, colour=MUTED, anchor="ms")
        self.kernel.arrow_to(canvas, self.dx_apply)
        self.dkernel.arrow_to(canvas, self.dreduced)
        self.dreduced.arrow_to(canvas, self.dx_generate)
        x, above, below = self.dx.middle[0], self.dx.corner[1] - 30, self.dx.bottom + 36
        for y, part, to in ((UPPER, self.dx_apply, above), (LOWER, self.dx_generate, below)):
            canvas.pen.line((part.right + 8, y, x, y), fill=MUTED, width=2)
            canvas.arrow((x, y), (x, to))

    def draw(self, canvas: Canvas, step: int, count: int, pixel: Pair, slow: bool) -> None:
        """Draw the first ``step`` of `STEPS` for ``count`` pixels; the kernel is that of ``pixel``."""
        run, trace, (i, j), (K_h, K_w) = self.run(count), self.trace, pixel, self.trace.geom.window
        digits, under = 2 if slow else None, (i - K_h // 2, j - K_w // 2, K_h, K_w)
        for first, grid, values, written, mark in (
            (1, self.source, run.dy[0, 0], None, pixel),
            (2, self.kernel, trace.kernels[0, 0, i, j], None, ()),
            (2, self.dx_apply, run.dx_apply[0, 0], None, under),
            (3, self.window, trace.patches[0, 0, 0, i, j], None, ()),
            (3, self.dkernel, run.dkernel[0, 0, :, :, i, j], None, ()),
            (4, self.dreduced, run.dreduced[0, :, i, j, None], digits, ()),
            (5, self.dx_generate, run.dx_generate[0, 0], None, pixel),
            (6, self.dx, run.dx[0, 0], None, pixel),
        ):
            if step >= first:
                grid.draw(canvas, values, written)
            if step >= first and mark:
                grid.mark(canvas, *mark)
        if slow:
            text = f"dy[0, {i}, {j}] = {number(float(run.dy[0, 0][pixel]), 2)}"
            canvas.text((100, 446), text, 13, anchor="ma")
        if step == len(STEPS) and slow:
            parts = run.dx_apply, run.dx_generate, run.dx
            apply, generate, total = (float(a[0, 0][pixel]) for a in parts)
            formula = f"{number(apply, 2)} + {bracketed(generate)} = {number(total, 2)}"
            canvas.text((480, 606), f"at the pixel itself: {formula}", 14, anchor="ms")

    def frames(self) -> Iterator[Frame]:
        """Yield all of dx, the steps of one pixel, then more and more pixels together."""
        dy, total = number(float(self.dy[0, 0][self.pixel]), 2), len(self.order)
        caption = "The error comes back to x on two paths: through the window and the kernel."
        yield self.frame(caption, 1800, len(STEPS), total, self.pixel, True)
        for step, text in enumerate(STEPS, start=1):
            yield self.frame(text.format(dy=dy), 950, step, 1, self.pixel, True)
        caption = "Every output pixel sends its dy back along both paths; the parts are added up."
        for count in range(1 + total // 10, total, max(1, total // 10)):
            yield self.frame(caption, 120, len(STEPS), count, self.order[count - 1], False)
        yield self.frame(caption, 2600, len(STEPS), total, self.pixel, True)
