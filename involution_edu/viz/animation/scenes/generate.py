"""How a pixel makes its kernel, in four stages: its features, reduce, span, reshape."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from ....arguments import Pair
from ....arrays import Array
from ...palette import MUTED, limit_of
from ...picks import varied_pixels
from ...recording import record
from ...trace import Trace
from ..canvas import Canvas, number
from ..frames import Film, Shot
from .layout import END, QUICK, SLOW, STEP, Grid, bracketed, make_sheet, sum_of
from .subject import Subject

PHOTO = (32, 124)
TOP, BELOW = 196, 462  # rows of the sheet: the middles of both rows of grids
COLOURS = "red", "green", "blue"
WIDE = 46  # rows and columns of the sheet for a number
ROW = 27  # and for one of the many weights of span


class Generate:
    """One pixel of the photo on its way to its kernel.

    Parameters
    ----------
    subject : Subject
    trace : Trace
        Of the whole photo, at stride 1, with batch norm and ReLU.
    """

    def __init__(self, subject: Subject, trace: Trace) -> None:
        self.subject, self.trace = subject, trace
        C, hidden = trace.reduce_weight.shape[1], len(trace.reduce_weight)
        K_h, K_w = trace.geom.window
        self.x = Grid.around((342, TOP), C, 1, WIDE)
        self.weight = Grid.around((478, TOP), hidden, C, WIDE)
        self.stages = [
            Grid.around((x, TOP), hidden, 1, WIDE)
            for x, _ in zip((630, 750, 870), trace.stages, strict=False)
        ]
        self.reduced = Grid.around((112, BELOW), hidden, 1, WIDE)
        self.span = Grid.around((264, BELOW), K_h * K_w, hidden, ROW, WIDE)
        self.numbers = Grid.around((460, BELOW), K_h * K_w, 1, ROW, WIDE)
        self.kernel = Grid.around((760, BELOW), K_h, K_w, 56)
        self.x_limit, self.kernel_limit = limit_of(trace.x), limit_of(trace.kernel)
        weights = np.concatenate([trace.reduce_weight.ravel(), trace.span_weight.ravel()])
        self.weight_limit = limit_of(weights)

    def prepare(self, sheet: Canvas) -> None:
        """Draw what all frames share: the photo, the weights, the empty places."""
        trace, photo = self.trace, self.subject.photo
        sheet.photo(PHOTO, photo, self.photo_scale)
        self.x.title(sheet, "1 × 1 × C")
        self.weight.title(sheet, "reduce: weights")
        self.weight.draw(sheet, trace.reduce_weight, self.weight_limit, digits=2)
        for name, grid in zip(trace.stages, self.stages, strict=True):
            titles = {"conv": "sums", "bn": "batch norm", "relu": "ReLU"}
            grid.title(sheet, titles[name])
            grid.clear(sheet)
        for row, colour in enumerate(COLOURS):
            x, y = self.x.at(row, 0).middle
            sheet.text((x - WIDE // 2 - 8, y), colour, 12, colour=MUTED, anchor="rm")
        self.span.title(sheet, "span: weights")
        self.span.draw(sheet, trace.span_weight, self.weight_limit, digits=2)
        above = self.reduced.corner[1] - self.span.corner[1]
        self.reduced.title(sheet, "reduced", above)
        self.numbers.title(sheet, "sums + bias")
        self.kernel.title(sheet, "this pixel's kernel", self.kernel.corner[1] - self.span.corner[1])
        for grid in (self.x, self.reduced, self.numbers, self.kernel):
            grid.clear(sheet)
        for left, right in (
            (self.x, self.weight),
            (self.weight, self.stages[0]),
            *zip(self.stages, self.stages[1:], strict=False),
        ):
            sheet.arrow((left.right + 10, TOP), (right.corner[0] - 12, TOP))
        for left, right in (
            (self.reduced, self.span),
            (self.span, self.numbers),
            (self.numbers, self.kernel),
        ):
            sheet.arrow((left.right + 12, BELOW), (right.corner[0] - 14, BELOW))
        middle = (self.numbers.right + self.kernel.corner[0]) // 2
        sheet.text((middle, BELOW - 10), "reshape:", 12, colour=MUTED, anchor="ms")
        sheet.text((middle, BELOW + 20), "nothing is computed", 12, colour=MUTED, anchor="ms")
        self.kernel.scale(sheet, self.kernel_limit)

    @property
    def photo_scale(self) -> int:
        """Rows and columns of the sheet for a pixel of the photo."""
        H, W = self.trace.geom.H, self.trace.geom.W
        return max(1, 144 // max(H, W))

    def draw(self, pixel: Pair, done: int, formula: str, sheet: Canvas) -> None:
        """Draw the first ``done`` numbers of the pixel's way, and how the last one came about."""
        trace, (i, j) = self.trace, pixel
        size = self.subject.photo.shape[0], self.subject.photo.shape[1]
        sheet.outline(PHOTO, size, self.photo_scale, pixel)
        below = PHOTO[0], PHOTO[1] + size[0] * self.photo_scale + 12
        sheet.text(below, f"pixel (row {i}, column {j})", 12, colour=MUTED)
        left = done
        for values, grid, limit in self.columns(pixel):
            if left > 0:
                grid.draw(sheet, values[:left], limit, digits=2)
            if formula and 0 < left <= len(values):
                grid.mark(sheet, left - 1, 0)
            left -= len(values)
        K_h, K_w = trace.geom.window
        rows = max(0, min(left, K_h))
        if rows:
            kernel = trace.kernels[0, 0, i, j]
            self.kernel.draw(sheet, kernel[:rows], self.kernel_limit, digits=2)
            if formula:
                self.numbers.mark(sheet, (rows - 1) * K_w, 0, rows=K_w)
                self.kernel.mark(sheet, rows - 1, 0, columns=K_w)
        for sums, weights in ((self.stages[0], self.weight), (self.numbers, self.span)):
            row = done - self.before(sums, pixel) - 1
            if formula and 0 <= row < sums.rows:
                weights.mark(sheet, row, 0, columns=weights.columns)
        sheet.text((480, 606), formula, 14, anchor="ms")

    def columns(self, pixel: Pair) -> list[tuple[Array, Grid, float]]:
        """Return the columns of numbers in their order, with their places and scales."""
        trace, (i, j) = self.trace, pixel
        features = [stage[0, :, i, j, None] for stage in trace.stages.values()]
        numbers = trace.kernels[0, 0, i, j].reshape(-1, 1)
        columns = [(trace.x[0, :, i, j, None], self.x, self.x_limit)]
        columns += [(a, g, self.x_limit) for a, g in zip(features, self.stages, strict=True)]
        columns += [(features[-1], self.reduced, self.x_limit)]
        return [*columns, (numbers, self.numbers, self.kernel_limit)]

    def before(self, column: Grid, pixel: Pair) -> int:
        """Return how many numbers come before those of ``column``."""
        count = 0
        for values, grid, _ in self.columns(pixel):
            if grid is column:
                break
            count += len(values)
        return count

    def slowly(self, pixel: Pair) -> Iterator[Shot]:
        """Yield the way of a pixel, number by number."""
        trace, (i, j) = self.trace, pixel
        x, reduced = trace.x[0, :, i, j], trace.reduced[0, :, i, j]
        C, hidden, count = len(x), len(reduced), len(trace.span_weight)
        done = C
        caption = f"One pixel: its C = {C} features, and nothing of its neighbours."
        yield Shot(caption, SLOW, partial(self.draw, pixel, done, ""))
        caption = "Reduce: a 1×1 convolution. Each weight times its feature, and their sum."
        for row, weights in enumerate(trace.reduce_weight):
            done += 1
            total = number(float(trace.stages["conv"][0, row, i, j]), 2)
            formula = f"{sum_of(weights, x)} = {total}"
            yield Shot(caption, STEP, partial(self.draw, pixel, done, formula))
        caption = "Batch norm: minus the mean, divided by the standard deviation; both are fixed."
        done += hidden
        mean, std = (float(trace.statistics[name][-1]) for name in ("mean", "std"))
        conv, normal = (float(trace.stages[name][0, -1, i, j]) for name in ("conv", "bn"))
        formula = (
            f"({number(conv, 2)} − {bracketed(mean)}) / {number(std, 2)} = {number(normal, 2)}"
        )
        yield Shot(caption, SLOW, partial(self.draw, pixel, done, formula))
        done += hidden
        caption = "ReLU: what is negative becomes 0. These are the reduced features."
        yield Shot(caption, SLOW, partial(self.draw, pixel, done, ""))
        done += hidden
        caption = f"Span: another 1×1 convolution, from {hidden} numbers to K·K = {count}."
        for row, weights in enumerate(trace.span_weight):
            done += 1
            total = number(float(trace.kernels[0, 0, i, j].ravel()[row]), 2)
            bias = bracketed(float(trace.span_bias[row]))
            formula = f"{sum_of(weights, reduced)} + {bias} = {total}"
            pause = STEP if row < 2 else 3 * QUICK
            yield Shot(caption, pause, partial(self.draw, pixel, done, formula))
        K_h, K_w = trace.geom.window
        caption = f"Reshape: the {count} numbers are written in {K_h} rows of {K_w}. That is all."
        for row in range(K_h):
            formula = f"numbers {row * K_w} to {row * K_w + K_w - 1} are row {row}"
            yield Shot(caption, STEP, partial(self.draw, pixel, done + row + 1, formula))


def generate(subject: Subject) -> Film:
    """Return the scene of a kernel being made."""
    trace = record(subject.layer(), subject.x)
    scene = Generate(subject, trace)
    note = (
        "Random weights, not trained. The mean and the standard deviation are those of the photo."
    )
    sheet = make_sheet("How a pixel makes its kernel", note)
    scene.prepare(sheet)
    first = strongest(trace)
    shots = list(scene.slowly(first))
    everything = sum(len(values) for values, _, _ in scene.columns(first)) + trace.geom.window[0]
    for pixel in varied_pixels(trace, first, 2, 3)[1:4]:
        caption = "Another pixel, other features, another kernel; the weights are the same."
        shots.append(Shot(caption, SLOW, partial(scene.draw, pixel, everything, "")))
    weights = trace.reduce_weight.size + trace.span_weight.size + trace.span_bias.size
    caption = f"The same {weights} weights make all {trace.geom.H_out * trace.geom.W_out} kernels."
    shots.append(Shot(caption, END, partial(scene.draw, first, everything, "")))
    return Film(sheet, shots, [subject.photo])


def strongest(trace: Trace) -> Pair:
    """Return the pixel (i, j) of the middle whose reduced features are largest in all."""
    strength = trace.reduced[0].sum(axis=0)
    H, W = strength.shape
    top, left = H // 4, W // 4
    middle = strength[top : H - top, left : W - left]
    i, j = np.unravel_index(middle.argmax(), middle.shape)
    return top + int(i), left + int(j)
