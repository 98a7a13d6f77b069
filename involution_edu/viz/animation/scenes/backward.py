"""Gradients on the two paths back to x: through the window, and through the kernel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ....arguments import Pair
from ...palette import MUTED, limit_of
from ...picks import strongest_pixel
from ...recording import Gradients, record, record_gradients
from ..canvas import Canvas, number
from ..frames import Frame
from .layout import Grid, bracketed
from .scene import END, SLOW, Scene
from .subject import Subject

UPPER, MIDDLE, LOWER = 200, 330, 470  # rows of the canvas: the middles of both paths
CELL = 24  # rows and columns of the canvas for a pixel
TAP = 38  # and for a tap of the window
TOGETHER = 3  # output pixels that are added from frame to frame
PAUSE = 260  # milliseconds
STEPS = (
    "The loss sends back dy, here at one pixel and one channel, red: dy = {dy}.",
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
    note = "Random weights and a random dy. Numbers: the red channel of dx."

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        x, self.layer, self.dy = subject.patch, subject.layer(), np.zeros_like(subject.patch)
        self.dy[:, 0] = np.random.default_rng(subject.seed).standard_normal(x.shape[2:])
        self.trace = record(self.layer, x)
        self.pixel = strongest_pixel(self.trace)
        H, W = x.shape[2:]
        self.order = [self.pixel, *(p for p in np.ndindex(H, W) if p != self.pixel)]
        self.runs: dict[int, Gradients] = {}
        whole, one = self.run(len(self.order)), self.run(1)
        self.limits = {
            "dy": limit_of(whole.dy[0, 0]),
            "kernel": limit_of(self.trace.kernel),
            "window": limit_of(self.trace.x),
            "dkernel": limit_of(one.dkernel),
            "dreduced": limit_of(one.dreduced),
            "dx": limit_of(whole.dx[0, 0]),
        }
        K = self.trace.geom.window
        self.source = Grid.around((100, MIDDLE), H, W, CELL - 2)
        self.kernel = Grid.around((330, UPPER), *K, TAP)
        self.window = Grid.around((284, LOWER), *K, TAP)
        self.dkernel = Grid.around((430, LOWER), *K, TAP)
        self.dreduced = Grid.around((542, LOWER), one.dreduced.shape[1], 1, 30, 48)
        self.dx_apply = Grid.around((676, UPPER), H, W, CELL)
        self.dx_generate = Grid.around((676, LOWER), H, W, CELL)
        self.dx = Grid.around((868, MIDDLE), H, W, CELL - 4)

    def run(self, count: int) -> Gradients:
        """Return the recorded gradients for the dy of the first ``count`` pixels, zero elsewhere."""
        if count not in self.runs:
            dy = np.zeros_like(self.dy)
            for i, j in self.order[:count]:
                dy[0, 0, i, j] = self.dy[0, 0, i, j]
            self.runs[count] = record_gradients(self.layer, self.subject.patch, dy)
        return self.runs[count]

    def draw(self, canvas: Canvas, step: int, count: int, pixel: Pair, slow: bool) -> None:
        """Draw the first ``step`` of `STEPS` for the dy of the first ``count`` pixels.

        The kernel and the window are those of ``pixel``, with numbers if ``slow``.
        """
        run, (i, j) = self.run(count), pixel
        digits = 2 if slow else None
        dy = run.dy[0, 0]
        self.source.title(canvas, "dy (red)")
        self.source.draw(canvas, dy, self.limits["dy"])
        self.source.mark(canvas, i, j)
        self.source.scale(canvas, self.limits["dy"])
        if slow:
            text = f"dy[0, {i}, {j}] = {number(float(dy[i, j]), 2)}"
            canvas.text((100, 446), text, 13, anchor="ma")
        if step >= 2:
            self._draw_apply(canvas, run, pixel, digits)
        if step >= 3:
            self._draw_generate(canvas, run, pixel, digits, step)
        if step >= 5:
            arrow = self.dreduced.right + 8, LOWER
            canvas.arrow(arrow, (self.dx_generate.corner[0] - 10, LOWER))
            self.dx_generate.title(canvas, "dx_generate")
            self.dx_generate.draw(canvas, run.dx_generate[0, 0], self.limits["dx"])
            self.dx_generate.mark(canvas, i, j)
        if step >= 6:
            self._draw_sum(canvas, run, pixel, slow)

    def _draw_apply(self, canvas: Canvas, run: Gradients, pixel: Pair, digits: int | None) -> None:
        i, j = pixel
        K_h, K_w = self.trace.geom.window
        self.kernel.title(canvas, "its kernel")
        self.kernel.draw(canvas, self.trace.kernels[0, 0, i, j], self.limits["kernel"], digits)
        canvas.text((self.kernel.corner[0] - 10, UPPER), "dy ×", 17, anchor="rm")
        canvas.arrow((self.kernel.right + 14, UPPER), (self.dx_apply.corner[0] - 10, UPPER))
        middle = (self.kernel.right + self.dx_apply.corner[0]) // 2
        text = "to the pixels of the window"
        canvas.text((middle, UPPER - 8), text, 12, colour=MUTED, anchor="ms")
        self.dx_apply.title(canvas, "dx_apply")
        self.dx_apply.draw(canvas, run.dx_apply[0, 0], self.limits["dx"])
        self.dx_apply.mark(canvas, i - K_h // 2, j - K_w // 2, K_h, K_w)

    def _draw_generate(
        self, canvas: Canvas, run: Gradients, pixel: Pair, digits: int | None, step: int
    ) -> None:
        i, j = pixel
        window = self.trace.patches[0, 0, 0, i, j]
        self.window.title(canvas, "its window")
        self.window.draw(canvas, window, self.limits["window"], digits)
        canvas.text((self.window.corner[0] - 10, LOWER), "dy ×", 17, anchor="rm")
        canvas.text(
            ((self.window.right + self.dkernel.corner[0]) // 2, LOWER), "=", 22, anchor="mm"
        )
        dkernel = run.dkernel[0, 0, :, :, i, j]
        self.dkernel.title(canvas, "dkernel")
        self.dkernel.draw(canvas, dkernel, self.limits["dkernel"], digits)
        if step >= 4:
            canvas.arrow((self.dkernel.right + 6, LOWER), (self.dreduced.corner[0] - 6, LOWER))
            dreduced = run.dreduced[0, :, i, j, None]
            self.dreduced.title(canvas, "dreduced")
            self.dreduced.draw(canvas, dreduced, self.limits["dreduced"], digits)

    def _draw_sum(self, canvas: Canvas, run: Gradients, pixel: Pair, slow: bool) -> None:
        i, j = pixel
        self.dx.title(canvas, "dx: their sum")
        self.dx.draw(canvas, run.dx[0, 0], self.limits["dx"])
        self.dx.mark(canvas, i, j)
        self.dx.scale(canvas, self.limits["dx"])
        x = self.dx.middle[0]
        for y, part in ((UPPER, self.dx_apply), (LOWER, self.dx_generate)):
            end = self.dx.corner[1] - 30 if y == UPPER else self.dx.bottom + 36
            canvas.pen.line((part.right + 8, y, x, y), fill=MUTED, width=2)
            canvas.arrow((x, y), (x, end))
        if not slow:
            return
        parts = [float(a[0, 0, i, j]) for a in (run.dx_apply, run.dx_generate, run.dx)]
        apply, _, total = (number(value, 2) for value in parts)
        text = f"at the pixel itself: {apply} + {bracketed(parts[1])} = {total}"
        canvas.text((480, 606), text, 14, anchor="ms")

    def frames(self) -> Iterator[Frame]:
        """Yield the steps of one pixel, then more and more pixels together."""
        dy, total = number(float(self.dy[0, 0][self.pixel]), 2), len(self.order)
        for step, text in enumerate(STEPS, start=1):
            yield self.frame(text.format(dy=dy), SLOW, step, 1, self.pixel, True)
        caption = "Every output pixel sends its dy back along both paths; the parts are added up."
        for count in range(1 + TOGETHER, total, TOGETHER):
            pixel = self.order[count - 1]
            yield self.frame(caption, PAUSE, len(STEPS), count, pixel, False)
        caption = "All of dx: what every output pixel sent back, added up."
        yield self.frame(caption, END, len(STEPS), total, self.pixel, True)
