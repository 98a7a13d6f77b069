"""Kernels while they are learned: a layer that takes black and white specks off the photo."""

from __future__ import annotations

from functools import partial

import numpy as np

from ....arrays import Array
from ....images import photo_to_x, x_to_photo
from ....models.salt_and_pepper import with_salt_and_pepper
from ....nn import Adam, Involution2d, MeanSquaredError, train_step
from ...palette import ACCENT, INK, LINE, MUTED, limit_of
from ...picks import varied_pixels
from ...recording import record
from ...trace import Trace
from ..canvas import Canvas, Place, number
from ..frames import Film, Shot
from .layout import END, SLOW, Grid, make_sheet
from .subject import Subject

EPOCHS = 150
SHOWN = 16  # states that are shown, closer together at the beginning
WINDOW = 5
TICKS = [10.0**n for n in range(-8, 9)]
PAUSE = 320  # milliseconds
MIDDLES, TOP = (132, 336, 540), 116  # of the photos; their first row
CHART = (706, 126, 924, 288)  # left, top, right, bottom
KERNELS, PLACE = 474, 24  # middle row of the kernels; rows and columns for a place


class Training:
    """A layer trained on one photo with specks, recorded as it learns.

    Attributes
    ----------
    epochs : list of int
        When it was recorded; 0 is before the first step.
    traces : list of Trace
    losses : list of float
        Mean squared error over the photo, at the same moments.
    """

    def __init__(self, subject: Subject) -> None:
        self.clean = subject.x
        self.noisy = photo_to_x(with_salt_and_pepper(subject.photo, subject.seed))
        layer = Involution2d(3, WINDOW, groups=1, reduction=1, rng=subject.seed)
        layer(self.noisy)
        adam, criterion = Adam(layer.parameters(), lr=0.02), MeanSquaredError()
        self.damage = float(criterion(self.noisy, self.clean))
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
        self.scale = max(1, 220 // max(H, W))

    def prepare(self, sheet: Canvas) -> None:
        """Draw what all frames share: the photo with specks and without, the axes."""
        for name, x, a in zip(
            ("x: the photo with specks", "what it should be"),
            (MIDDLES[0], MIDDLES[2]),
            (self.noisy, self.clean),
            strict=True,
        ):
            self._photo(sheet, x, name, a)
        left, top, right, bottom = CHART
        sheet.text(
            ((left + right) // 2, top - 22), "mean squared error", 15, bold=True, anchor="ms"
        )
        sheet.pen.line((left, top - 10, left, bottom), fill=INK)
        sheet.pen.line((left, bottom, right, bottom), fill=INK)
        for epoch in (0, EPOCHS // 2, EPOCHS):
            x, _ = self.point(epoch, self.low)
            sheet.text((x, bottom + 6), f"{epoch}", 12, colour=MUTED, anchor="ma")
        sheet.text(((left + right) // 2, bottom + 24), "epoch", 12, colour=MUTED, anchor="ma")
        for value in (*(t for t in TICKS if self.low <= t <= self.high), self.damage):
            y = self.point(0, value)[1]
            sheet.pen.line((left, y, right, y), fill=LINE)
            if value != self.damage:
                sheet.text((left - 6, y), f"{value:g}", 12, colour=MUTED, anchor="rm")
        text = "of the specks"
        sheet.text((right, self.point(0, self.damage)[1] - 3), text, 12, colour=MUTED, anchor="rs")
        for (i, j), grid in zip(self.pixels, self.grids(), strict=True):
            x, y = grid.middle[0], grid.bottom + 8
            sheet.text((x, y), f"row {i}, column {j}", 12, colour=MUTED, anchor="ma")
            size = self.clean.shape[2], self.clean.shape[3]
            corner = MIDDLES[0] - size[1] * self.scale // 2, TOP
            sheet.outline(corner, size, self.scale, (i, j))
        sheet.colour_bar((360, 590), (240, 8), self.limit, 11)

    def grids(self) -> list[Grid]:
        """Return the places of the kernels."""
        step = 152
        left = 480 - step * (len(self.pixels) - 1) // 2
        return [
            Grid.around((left + step * n, KERNELS), WINDOW, WINDOW, PLACE)
            for n in range(len(self.pixels))
        ]

    def point(self, epoch: int, loss: float) -> Place:
        """Return where an epoch and its loss lie in the chart."""
        left, top, right, bottom = CHART
        x = left + (right - left) * epoch / EPOCHS
        y = bottom - (bottom - top) * np.log(max(loss, self.low) / self.low) / np.log(
            self.high / self.low
        )
        return round(x), round(float(y))

    def draw(self, n: int, sheet: Canvas) -> None:
        """Draw the state number ``n``."""
        trace, epoch, loss = self.traces[n], self.epochs[n], self.losses[n]
        self._photo(sheet, MIDDLES[1], "y: the output", trace.y)
        points = [self.point(*at) for at in zip(self.epochs, self.losses, strict=True)][: n + 1]
        if n:
            sheet.pen.line(points, fill=ACCENT, width=2)
        x, y = points[-1]
        sheet.pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=ACCENT)
        text = f"epoch {epoch}: {number(loss, 3)}"
        sheet.text((CHART[2], CHART[3] + 64), text, 15, bold=True, anchor="ra")
        sheet.text((480, 396), "kernels of the pixels in pink", 15, bold=True, anchor="ms")
        for (i, j), grid in zip(self.pixels, self.grids(), strict=True):
            kernel = trace.kernels[0, 0, i, j]
            grid.draw(sheet, kernel, self.limit)
            text = f"sum {number(float(kernel.sum()), 2)}"
            sheet.text((grid.middle[0], grid.bottom + 26), text, 13, anchor="ma")

    def _photo(self, sheet: Canvas, middle: int, title: str, x: Array) -> None:
        photo = x_to_photo(x)
        corner = middle - photo.shape[1] * self.scale // 2, TOP
        sheet.text((middle, TOP - 10), title, 15, bold=True, anchor="ms")
        sheet.photo(corner, photo, self.scale)


def training(subject: Subject) -> Film:
    """Return the scene of kernels that learn to take specks away."""
    scene = Training(subject)
    note = (
        "One layer of 5×5 kernels, Adam, the whole photo at each step; trained while this is drawn."
    )
    sheet = make_sheet("Training: kernels learn what their pixel needs", note)
    scene.prepare(sheet)
    before = "Random kernels. No pixel of so small a photo is a speck."
    if scene.damage:
        times = scene.losses[0] / scene.damage
        before = f"Random kernels: the error is {times:.2g} times that of the specks."
    shots = [Shot(before, SLOW, partial(scene.draw, 0))]
    for n in range(1, len(scene.epochs)):
        caption = "The two 1×1 convolutions learn; with them, all kernels change at once."
        shots.append(Shot(caption, PAUSE, partial(scene.draw, n)))
    caption = "Trained: every pixel blends its window in a way of its own."
    shots.append(Shot(caption, END, partial(scene.draw, len(scene.epochs) - 1)))
    photos = [
        x_to_photo(a) for a in (scene.noisy, scene.clean, scene.traces[0].y, scene.traces[-1].y)
    ]
    return Film(sheet, shots, photos)
