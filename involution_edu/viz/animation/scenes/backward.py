"""The gradient's two ways back to x: through the window, and through the kernel."""

from __future__ import annotations

from functools import partial

import numpy as np

from ....arguments import Pair
from ....arrays import Array
from ....nn import Involution2d
from ...palette import MUTED, limit_of
from ...recording import Gradients, record, record_gradients
from ..canvas import Canvas, number
from ..frames import Film, Shot
from .generate import strongest
from .layout import END, SLOW, Grid, bracketed, make_sheet
from .subject import Subject

UPPER, MIDDLE, LOWER = 200, 330, 470  # rows of the sheet: the middles of both ways
CELL = 24  # rows and columns of the sheet for a pixel
PLACE = 38  # and for a place of the window
TOGETHER = 3  # output pixels that join from frame to frame
PAUSE = 260  # milliseconds
STEPS = (
    "The loss sends back dy, here at one pixel and one channel, red: dy = {dy}.",
    "Path 1, through the window: dy times the kernel goes to the pixels under it.",
    "Path 2, through the kernel: dy times the window is the gradient of the kernel.",
    "Span gives it back to the reduced features: each weight times its part of dkernel.",
    "ReLU, batch norm and reduce give that back to the one pixel that made the kernel.",
    "x was used twice, so its gradient is the sum of both: dx = dx_apply + dx_generate.",
)


class Backward:
    """The gradients of one output pixel, and of more and more of them; the channel red.

    Parameters
    ----------
    layer : Involution2d
    x : ndarray, shape (1, 3, H, W)
    dy : ndarray, shape of x
        In the first channel only.
    """

    def __init__(self, layer: Involution2d, x: Array, dy: Array) -> None:
        self.layer, self.x, self.dy = layer, x, dy
        self.trace = record(layer, x)
        self.pixel = strongest(self.trace)
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
        self.kernel = Grid.around((330, UPPER), *K, PLACE)
        self.window = Grid.around((284, LOWER), *K, PLACE)
        self.dkernel = Grid.around((430, LOWER), *K, PLACE)
        self.dreduced = Grid.around((542, LOWER), one.dreduced.shape[1], 1, 30, 48)
        self.dx_apply = Grid.around((676, UPPER), H, W, CELL)
        self.dx_generate = Grid.around((676, LOWER), H, W, CELL)
        self.dx = Grid.around((868, MIDDLE), H, W, CELL - 4)

    def run(self, count: int) -> Gradients:
        """Return the recorded gradients when the first ``count`` pixels have their dy."""
        if count not in self.runs:
            dy = np.zeros_like(self.dy)
            for i, j in self.order[:count]:
                dy[0, 0, i, j] = self.dy[0, 0, i, j]
            self.runs[count] = record_gradients(self.layer, self.x, dy)
        return self.runs[count]

    def draw(self, step: int, count: int, pixel: Pair, slow: bool, sheet: Canvas) -> None:
        """Draw the steps of `STEPS` so far, counted from 1, for the first ``count`` pixels.

        ``pixel`` is the one whose kernel and window are shown, with numbers if ``slow``.
        """
        run, (i, j) = self.run(count), pixel
        digits = 2 if slow else None
        dy = run.dy[0, 0]
        self.source.title(sheet, "dy (red)")
        self.source.draw(sheet, dy, self.limits["dy"])
        self.source.mark(sheet, i, j)
        self.source.scale(sheet, self.limits["dy"])
        if slow:
            text = f"dy[0, {i}, {j}] = {number(float(dy[i, j]), 2)}"
            sheet.text((100, 446), text, 13, anchor="ma")
        if step >= 2:
            self._apply(sheet, run, pixel, digits)
        if step >= 3:
            self._kernel(sheet, run, pixel, digits, step)
        if step >= 5:
            arrow = self.dreduced.right + 8, LOWER
            sheet.arrow(arrow, (self.dx_generate.corner[0] - 10, LOWER))
            self.dx_generate.title(sheet, "dx_generate")
            self.dx_generate.draw(sheet, run.dx_generate[0, 0], self.limits["dx"])
            self.dx_generate.mark(sheet, i, j)
        if step >= 6:
            self._sum(sheet, run, pixel, slow)

    def _apply(self, sheet: Canvas, run: Gradients, pixel: Pair, digits: int | None) -> None:
        i, j = pixel
        K_h, K_w = self.trace.geom.window
        self.kernel.title(sheet, "its kernel")
        self.kernel.draw(sheet, self.trace.kernels[0, 0, i, j], self.limits["kernel"], digits)
        sheet.text((self.kernel.corner[0] - 10, UPPER), "dy ×", 17, anchor="rm")
        sheet.arrow((self.kernel.right + 14, UPPER), (self.dx_apply.corner[0] - 10, UPPER))
        middle = (self.kernel.right + self.dx_apply.corner[0]) // 2
        text = "to the pixels of the window"
        sheet.text((middle, UPPER - 8), text, 12, colour=MUTED, anchor="ms")
        self.dx_apply.title(sheet, "dx_apply")
        self.dx_apply.draw(sheet, run.dx_apply[0, 0], self.limits["dx"])
        self.dx_apply.mark(sheet, i - K_h // 2, j - K_w // 2, K_h, K_w)

    def _kernel(
        self, sheet: Canvas, run: Gradients, pixel: Pair, digits: int | None, step: int
    ) -> None:
        i, j = pixel
        self.window.title(sheet, "its window")
        window = self.trace.patches[0, 0, 0, i, j]
        self.window.draw(sheet, window, self.limits["window"], digits)
        sheet.text((self.window.corner[0] - 10, LOWER), "dy ×", 17, anchor="rm")
        sheet.text(((self.window.right + self.dkernel.corner[0]) // 2, LOWER), "=", 22, anchor="mm")
        self.dkernel.title(sheet, "dkernel")
        dkernel = run.dkernel[0, 0, :, :, i, j]
        self.dkernel.draw(sheet, dkernel, self.limits["dkernel"], digits)
        if step >= 4:
            sheet.arrow((self.dkernel.right + 6, LOWER), (self.dreduced.corner[0] - 6, LOWER))
            self.dreduced.title(sheet, "dreduced")
            dreduced = run.dreduced[0, :, i, j, None]
            self.dreduced.draw(sheet, dreduced, self.limits["dreduced"], digits)

    def _sum(self, sheet: Canvas, run: Gradients, pixel: Pair, slow: bool) -> None:
        i, j = pixel
        self.dx.title(sheet, "dx: their sum")
        self.dx.draw(sheet, run.dx[0, 0], self.limits["dx"])
        self.dx.mark(sheet, i, j)
        self.dx.scale(sheet, self.limits["dx"])
        x = self.dx.middle[0]
        for y, part in ((UPPER, self.dx_apply), (LOWER, self.dx_generate)):
            end = self.dx.corner[1] - 30 if y == UPPER else self.dx.bottom + 36
            sheet.pen.line((part.right + 8, y, x, y), fill=MUTED, width=2)
            sheet.arrow((x, y), (x, end))
        if not slow:
            return
        parts = [float(a[0, 0, i, j]) for a in (run.dx_apply, run.dx_generate, run.dx)]
        apply, _, total = (number(value, 2) for value in parts)
        text = f"at the pixel itself: {apply} + {bracketed(parts[1])} = {total}"
        sheet.text((480, 606), text, 14, anchor="ms")


def backward(subject: Subject) -> Film:
    """Return the scene of the gradients of both paths."""
    x = subject.patch
    dy = np.zeros_like(x)
    dy[:, 0] = np.random.default_rng(subject.seed).standard_normal(x.shape[2:])
    scene = Backward(subject.layer(), x, dy)
    note = "Random weights and a random dy. Numbers: the red channel of dx."
    sheet = make_sheet("Backward: two ways back to x", note, subject)
    first = number(float(dy[0, 0][scene.pixel]), 2)
    shots = [
        Shot(text.format(dy=first), SLOW, partial(scene.draw, step, 1, scene.pixel, True))
        for step, text in enumerate(STEPS, start=1)
    ]
    caption = "Every output pixel sends its dy back along both paths; all that arrives is added up."
    total = len(scene.order)
    for count in range(1 + TOGETHER, total, TOGETHER):
        draw = partial(scene.draw, len(STEPS), count, scene.order[count - 1], False)
        shots.append(Shot(caption, PAUSE, draw))
    draw = partial(scene.draw, len(STEPS), total, scene.pixel, True)
    shots.append(Shot("All of dx: what every output pixel sent back, added up.", END, draw))
    return Film(sheet, shots, [subject.photo])
