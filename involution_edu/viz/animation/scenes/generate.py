"""Generation of one kernel in four stages: features of the pixel, reduce, span, reshape."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from ....arguments import Pair
from ...palette import MUTED, limit_of
from ...picks import strongest_pixel, varied_pixels
from ...recording import record
from ..canvas import Canvas, Frame, number
from .scene import END, QUICK, SLOW, STEP, Grid, Scene, bracketed, sum_of
from .subject import Subject

PHOTO = (32, 124)
TOP, BELOW = 196, 462  # rows of the canvas: the middles of both rows of grids
COLOURS = "red", "green", "blue"
WIDE = 46  # rows and columns of the canvas for a number
ROW = 27  # and for one of the many weights of span


class Generate(Scene):
    """One pixel of the photo makes its kernel, number by number; then three others."""

    name = "generate"
    title = "How a pixel makes its kernel"
    caption = (
        "Four stages: the pixel's 1×1×C features, reduce, span, and a reshape to K×K. Two 1×1 "
        "convolutions do all the work; no neighbour is used."
    )
    note = "Random weights, not trained. Mean and standard deviation are those of the photo."
    shows_patch = False

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.trace = trace = record(subject.layer(), subject.x)
        C, hidden = trace.reduce_weight.shape[1], len(trace.reduce_weight)
        K_h, K_w = trace.geom.window
        self.zoom = max(1, 144 // max(trace.geom.H, trace.geom.W))
        weights = np.concatenate([trace.reduce_weight.ravel(), trace.span_weight.ravel()])
        x_limit, weight_limit, kernel_limit = map(limit_of, (trace.x, weights, trace.kernel))
        self.x = Grid((342, TOP), C, 1, WIDE, x_limit)
        self.weight = Grid((478, TOP), hidden, C, WIDE, weight_limit)
        self.stages = [Grid((x, TOP), hidden, 1, WIDE, x_limit) for x in (630, 750, 870)]
        self.reduced = Grid((112, BELOW), hidden, 1, WIDE, x_limit)
        self.span = Grid((264, BELOW), K_h * K_w, hidden, (WIDE, ROW), weight_limit)
        self.numbers = Grid((460, BELOW), K_h * K_w, 1, (WIDE, ROW), kernel_limit)
        self.kernel = Grid((760, BELOW), K_h, K_w, 56, kernel_limit)
        # Columns of numbers in their order, their values (rows, H, W), the grids of their weights.
        conv, bn, relu = (stage[0] for stage in trace.stages.values())
        numbers = trace.kernel[0, 0].reshape(K_h * K_w, *relu.shape[1:])
        grids = self.x, *self.stages, self.reduced, self.numbers
        values = trace.x[0], conv, bn, relu, relu, numbers
        weight_grids = None, self.weight, None, None, None, self.span
        self.columns = list(zip(grids, values, weight_grids, strict=True))

    def draw_background(self, canvas: Canvas) -> None:
        """Draw the photo, the weights, the arrows and empty grids."""
        super().draw_background(canvas)
        trace = self.trace
        canvas.photo(PHOTO, self.subject.photo, self.zoom)
        self.x.title(canvas, "1 × 1 × C")
        self.weight.draw(canvas, trace.reduce_weight, 2, "reduce: weights")
        for grid, title in zip(self.stages, ("sums", "batch norm", "ReLU"), strict=True):
            grid.title(canvas, title)
        for row, colour in enumerate(COLOURS):
            x, y = self.x.at(row, 0).middle
            canvas.text((x - WIDE // 2 - 8, y), colour, 12, colour=MUTED, anchor="rm")
        self.span.draw(canvas, trace.span_weight, 2, "span: weights")
        self.reduced.title(canvas, "reduced", self.span)
        self.numbers.title(canvas, "sums + bias")
        self.kernel.title(canvas, "this pixel's kernel", self.span)
        for grid in (self.x, *self.stages, self.reduced, self.numbers, self.kernel):
            grid.clear(canvas)
        for left, right in pairwise([self.x, self.weight, *self.stages]):
            canvas.arrow((left.right + 10, TOP), (right.corner[0] - 12, TOP))
        for left, right in pairwise([self.reduced, self.span, self.numbers, self.kernel]):
            canvas.arrow((left.right + 12, BELOW), (right.corner[0] - 14, BELOW))
        middle = (self.numbers.right + self.kernel.corner[0]) // 2
        for y, words in ((BELOW - 10, "reshape:"), (BELOW + 20, "nothing is computed")):
            canvas.text((middle, y), words, 12, colour=MUTED, anchor="ms")
        self.kernel.scale(canvas)

    def draw(self, canvas: Canvas, pixel: Pair, done: int, formula: str) -> None:
        """Draw the first ``done`` numbers of the pixel, and the formula of the last one."""
        (i, j), size = pixel, (self.trace.geom.H, self.trace.geom.W)
        canvas.outline(PHOTO, size, self.zoom, pixel)
        below = PHOTO[0], PHOTO[1] + size[0] * self.zoom + 12
        canvas.text(below, f"pixel (row {i}, column {j})", 12, colour=MUTED)
        left = done
        for grid, values, weights in self.columns:
            if left > 0:
                grid.draw(canvas, values[:left, i, j, np.newaxis], digits=2)
            if formula and 0 < left <= grid.rows:
                grid.mark(canvas, left - 1, 0)
                if weights is not None:
                    weights.mark(canvas, left - 1, 0, columns=weights.columns)
            left -= grid.rows
        K_h, K_w = self.trace.geom.window
        if (rows := min(left, K_h)) > 0:
            self.kernel.draw(canvas, self.trace.kernels[0, 0, i, j, :rows], digits=2)
            if formula:
                self.numbers.mark(canvas, (rows - 1) * K_w, 0, rows=K_w)
                self.kernel.mark(canvas, rows - 1, 0, columns=K_w)
        canvas.text((480, 606), formula, 14, anchor="ms")

    def frames(self) -> Iterator[Frame]:
        """Yield the kernel of one pixel number by number, then those of other pixels."""
        trace, (i, j) = self.trace, (first := strongest_pixel(self.trace))
        x, reduced = trace.x[0, :, i, j], trace.reduced[0, :, i, j]
        done, hidden, count = len(x), len(reduced), len(trace.span_weight)
        caption = f"One pixel: its C = {len(x)} features, and nothing of its neighbours."
        yield self.frame(caption, SLOW, first, done, "")
        caption = "Reduce: a 1×1 convolution. Each weight times its feature, and their sum."
        for row, weights in enumerate(trace.reduce_weight):
            done += 1
            total = number(float(trace.stages["conv"][0, row, i, j]), 2)
            yield self.frame(caption, STEP, first, done, f"{sum_of(weights, x)} = {total}")
        caption = "Batch norm: minus the mean, divided by the standard deviation; both are fixed."
        done += hidden
        mean, std = (float(trace.statistics[name][-1]) for name in ("mean", "std"))
        conv, bn = (number(float(trace.stages[name][0, -1, i, j]), 2) for name in ("conv", "bn"))
        formula = f"({conv} − {bracketed(mean)}) / {number(std, 2)} = {bn}"
        yield self.frame(caption, SLOW, first, done, formula)
        done += hidden
        caption = "ReLU: negative numbers become 0. These are the reduced features."
        yield self.frame(caption, SLOW, first, done, "")
        done += hidden
        caption = f"Span: another 1×1 convolution, from {hidden} numbers to K·K = {count}."
        for row, weights in enumerate(trace.span_weight):
            done += 1
            total = number(float(trace.kernels[0, 0, i, j].ravel()[row]), 2)
            bias = bracketed(float(trace.span_bias[row]))
            formula = f"{sum_of(weights, reduced)} + {bias} = {total}"
            yield self.frame(caption, STEP if row < 2 else 3 * QUICK, first, done, formula)
        K_h, K_w = trace.geom.window
        caption = f"Reshape: the {count} numbers are written in {K_h} rows of {K_w}. That is all."
        for row in range(K_h):
            formula = f"numbers {row * K_w} to {row * K_w + K_w - 1} are row {row}"
            yield self.frame(caption, STEP, first, done + row + 1, formula)
        everything = done + K_h
        for pixel in varied_pixels(trace, first, 2, 3)[1:4]:
            caption = "Another pixel, other features, another kernel; the weights are the same."
            yield self.frame(caption, SLOW, pixel, everything, "")
        size = trace.reduce_weight.size + trace.span_weight.size + trace.span_bias.size
        kernels = trace.geom.H_out * trace.geom.W_out
        caption = f"The same {size} weights make all {kernels} kernels."
        yield self.frame(caption, END, first, everything, "")
