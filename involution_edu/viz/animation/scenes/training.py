"""Kernels while they are learned, by a layer that removes salt-and-pepper noise from the photo."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ....arrays import Array
from ....images import photo_to_x, x_to_photo
from ....models.salt_and_pepper import with_salt_and_pepper
from ....nn import Adam, Involution2d, MeanSquaredError, train_step
from ...palette import ACCENT, INK, LINE, MUTED, limit_of
from ...picks import varied_pixels
from ...recording import record
from ...trace import Trace
from ..canvas import Canvas, Frame, Point, number
from .scene import END, Grid, Scene
from .subject import Subject

EPOCHS = 150
SHOWN = 16  # states that are shown, more of them early in the training
WINDOW = 5
TICKS = [10.0**n for n in range(-8, 9)]
PHOTO = 288  # columns of the canvas for a photo, at most
MIDDLES, TOP, ROWS = (168, 480), 114, 224  # of the photos; their first row, and rows at most
CHART = (700, 126, 924, 288)  # left, top, right, bottom
KERNELS, TAP = 474, 24  # middle row of the kernels; rows and columns for a tap


class Training(Scene):
    """A layer trained on one noisy photo, recorded while it learns."""

    name = "training"
    title = "Training: kernels learn what their pixel needs"
    caption = (
        "A layer of 5×5 kernels learns to remove salt-and-pepper noise from a photo. At first its "
        "kernels are random; after training, pixels that may be noisy take from their neighbours."
    )
    note = "One layer of 5×5 kernels, Adam, the whole photo at each step, trained as this is drawn."
    shows_patch = False

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.clean = subject.x
        self.noisy = photo_to_x(with_salt_and_pepper(subject.photo, subject.seed))
        layer = Involution2d(3, WINDOW, groups=1, reduction=1, rng=subject.seed)
        layer(self.noisy)
        adam, criterion = Adam(layer.parameters(), lr=0.02), MeanSquaredError()
        self.damage = float(criterion(self.noisy, self.clean))  # error of the noisy photo itself
        self.epochs = sorted({round(EPOCHS * (n / (SHOWN - 1)) ** 2) for n in range(SHOWN)})
        self.traces: list[Trace] = []
        self.losses: list[float] = []
        for epoch in range(EPOCHS + 1):
            if epoch in self.epochs:
                self.traces.append(record(layer.eval(), self.noisy))
                self.losses.append(float(criterion(self.traces[-1].y, self.clean)))
            train_step(layer.train(), adam, criterion, self.noisy, self.clean)
        H, W = self.clean.shape[2:]
        last = self.traces[-1]
        self.pixels = varied_pixels(last, (H // 2, W // 2), 2, 3)
        self.limit = limit_of(last.kernel)
        losses = [loss for loss in (*self.losses, self.damage) if loss > 0]
        self.low, self.high = min(losses) / 1.5, max(losses) * 1.2  # of the axis, a logarithm
        self.photos = [x_to_photo(a) for a in (self.noisy, self.clean, self.traces[0].y, last.y)]
        self.zoom = max(1, min(ROWS // H, PHOTO // W))
        middles = [480 + 76 * (2 * n + 1 - len(self.pixels)) for n in range(len(self.pixels))]
        self.grids = [Grid((x, KERNELS), WINDOW, WINDOW, TAP, self.limit) for x in middles]

    def draw_background(self, canvas: Canvas) -> None:
        """Draw the noisy photo and the axes."""
        super().draw_background(canvas)
        self._draw_photo(canvas, MIDDLES[0], "photo with noise", self.noisy)
        left, top, right, bottom = CHART
        middle = (left + right) // 2
        canvas.text((middle, top - 22), "mean squared error", 15, bold=True, anchor="ms")
        canvas.pen.line((left, top - 10, left, bottom, right, bottom), fill=INK)
        for epoch in (0, EPOCHS // 2, EPOCHS):
            at = self.point(epoch, self.low)[0], bottom + 6
            canvas.text(at, f"{epoch}", 12, colour=MUTED, anchor="ma")
        canvas.text((middle, bottom + 24), "epoch", 12, colour=MUTED, anchor="ma")
        for value in (*(t for t in TICKS if self.low <= t <= self.high), self.damage):
            y = self.point(0, value)[1]
            canvas.pen.line((left, y, right, y), fill=LINE)
            if value != self.damage:
                canvas.text((left - 6, y), f"{value:g}", 12, colour=MUTED, anchor="rm")
        at = right, self.point(0, self.damage)[1] - 3
        canvas.text(at, "of the noisy photo", 12, colour=MUTED, anchor="rs")
        H, W = self.clean.shape[2:]
        for (i, j), grid in zip(self.pixels, self.grids, strict=True):
            below = grid.middle[0], grid.bottom + 8
            canvas.text(below, f"row {i}, column {j}", 12, colour=MUTED, anchor="ma")
            canvas.outline(self.corner(MIDDLES[0]), (H, W), self.zoom, (i, j))
        canvas.colour_bar((360, 590), (240, 8), self.limit, 11)

    def point(self, epoch: int, loss: float) -> Point:
        """Return the point (x, y) of an epoch and its loss in the chart."""
        left, top, right, bottom = CHART
        x = left + (right - left) * epoch / EPOCHS
        part = np.log(max(loss, self.low) / self.low) / np.log(self.high / self.low)
        return round(x), round(float(bottom - (bottom - top) * part))

    def draw(self, canvas: Canvas, n: int) -> None:
        """Draw the recorded state number ``n``."""
        trace, epoch, loss = self.traces[n], self.epochs[n], self.losses[n]
        self._draw_photo(canvas, MIDDLES[1], "output", trace.y)
        points = [self.point(*at) for at in zip(self.epochs, self.losses, strict=True)]
        canvas.pen.line(points, fill=LINE, width=2)
        if n:
            canvas.pen.line(points[: n + 1], fill=ACCENT, width=2)
        x, y = points[n]
        canvas.pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=ACCENT)
        text = f"epoch {epoch}: {number(loss, 3)}"
        canvas.text((CHART[2], CHART[3] + 64), text, 15, bold=True, anchor="ra")
        canvas.text((480, 396), "kernels of the pixels in pink", 15, bold=True, anchor="ms")
        for (i, j), grid in zip(self.pixels, self.grids, strict=True):
            kernel = trace.kernels[0, 0, i, j]
            grid.draw(canvas, kernel)
            text = f"sum {number(float(kernel.sum()), 2)}"
            canvas.text((grid.middle[0], grid.bottom + 26), text, 13, anchor="ma")

    def _draw_photo(self, canvas: Canvas, middle: int, title: str, x: Array) -> None:
        left, top = self.corner(middle)
        canvas.text((middle, top - 10), title, 15, bold=True, anchor="ms")
        canvas.photo((left, top), x_to_photo(x), self.zoom)

    def corner(self, middle: int) -> Point:
        """Return the corner of the photo whose middle is in a column of the canvas."""
        H, W = self.clean.shape[2:]
        return middle - W * self.zoom // 2, TOP + (ROWS - H * self.zoom) // 2

    def frames(self) -> Iterator[Frame]:
        """Yield a frame for each recorded epoch."""
        before = "Random kernels. No pixel of so small a photo is noisy."
        if self.damage:
            times = self.losses[0] / self.damage
            before = f"Random kernels: the error is {times:.2g} times that of the noisy photo."
        yield self.frame(before, 2400, 0)
        caption = "The two 1×1 convolutions learn; with them, all kernels change at once."
        for n in range(1, len(self.epochs)):
            yield self.frame(caption, 320, n)
        caption = "Trained: every pixel blends its window with its own kernel."
        yield self.frame(caption, END, len(self.epochs) - 1)
