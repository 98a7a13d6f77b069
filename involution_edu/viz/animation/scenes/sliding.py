"""Convolution and involution in the same layout, so that the difference shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from ....arguments import Pair
from ....images import x_to_photo
from ...palette import EMPTY, MUTED, limit_of
from ...recording import record_operator
from ...trace import OperatorTrace
from ..canvas import Canvas, Frame
from .scene import COLUMNS, END, Grid, Scene, kernel_field
from .subject import Subject

MIDDLE, BELOW = 256, 514  # rows of the canvas: the middles of the panels and of the grids below
LARGE = 144  # rows and columns of the canvas for a window, and for a kernel
QUICK = 135  # milliseconds


class Sliding(Scene):
    """The window slides over a part of the noisy photo, and the output fills in."""

    title_below: ClassVar[str]  # of the kernel at the window
    title_field: ClassVar[str]
    first: ClassVar[str]  # captions
    moving: ClassVar[str]
    end: ClassVar[str]

    def __init__(self, subject: Subject, trace: OperatorTrace) -> None:
        super().__init__(subject)
        (top, left), (h, w) = subject.corner, subject.patch_size
        self.trace = trace.part(slice(top, top + h), slice(left, left + w))
        geom, (K_h, K_w) = self.trace.geom, self.trace.geom.window
        self.source = x_to_photo(self.trace.x)
        self.result = x_to_photo(self.trace.y)
        self.photos += [subject.noisy, x_to_photo(trace.y)]
        self.mini = 38 // max(K_h, K_w)  # rows and columns of the canvas for a tap in the field
        cell = K_w * self.mini + 2, K_h * self.mini + 2
        rows_read, columns_read, _ = self.source.shape
        side = 252 // max(rows_read, columns_read), 252 // max(geom.H_out, geom.W_out)
        self.input = Grid((COLUMNS[0] - 18, MIDDLE), rows_read, columns_read, side[0])
        self.field = Grid((COLUMNS[1], MIDDLE), geom.H_out, geom.W_out, cell)
        self.output = Grid((COLUMNS[2] + 18, MIDDLE), geom.H_out, geom.W_out, side[1])
        limit = limit_of(self.trace.kernels[0, 0][subject.pixel])
        tap = LARGE // max(K_h, K_w)
        self.window = Grid((COLUMNS[0] - 18, BELOW), K_h, K_w, tap)
        self.kernel = Grid((COLUMNS[1], BELOW), K_h, K_w, tap, limit)
        self.pixel = Grid((COLUMNS[2] + 18, BELOW), 1, 1, 72)

    def draw_background(self, canvas: Canvas) -> None:
        """Draw the photo with noise, the kernels of its pixels, and the titles."""
        super().draw_background(canvas)
        for grid, title in (
            (self.input, "photo with noise"),
            (self.field, self.title_field),
            (self.output, "output"),
        ):
            grid.title(canvas, title, self.field)
        self.window.title(canvas, "window")
        self.kernel.title(canvas, self.title_below)
        self.pixel.title(canvas, "output pixel", self.kernel)
        canvas.photo(self.input.corner, self.source, self.input.size[0])
        field = kernel_field(self.trace.kernels[0, 0], self.kernel.limit, self.mini)
        canvas.photo(self.field.corner, field, 1)
        self.kernel.scale(canvas)
        for x, sign in ((COLUMNS[0] + 143, "×"), (COLUMNS[1] + 161, "=")):
            canvas.text((x, BELOW), sign, 34, anchor="mm")
        canvas.text((self.pixel.middle[0], BELOW + 56), "the sum", 13, colour=MUTED, anchor="ma")

    def draw(self, canvas: Canvas, pixel: Pair, done: int) -> None:
        """Draw the first ``done`` pixels of the output, and the window at ``pixel``."""
        (i, j), (K_h, K_w), (h, w) = pixel, self.trace.geom.window, self.result.shape[:2]
        shown = (np.arange(h * w) < done).reshape(h, w, 1)
        output = np.where(shown, self.result, np.array(EMPTY, np.uint8))
        canvas.photo(self.output.corner, output, self.output.size[0])
        for grid in self.field, self.output:
            grid.mark(canvas, i, j)
        self.input.mark(canvas, i, j, K_h, K_w)
        self.input.mark(canvas, i + K_h // 2, j + K_w // 2)
        window = self.source[i : i + K_h, j : j + K_w]
        canvas.photo(self.window.corner, window, self.window.size[0])
        self.kernel.draw(canvas, self.trace.kernels[0, 0, i, j])
        one = self.result[i : i + 1, j : j + 1]
        canvas.photo(self.pixel.corner, one, self.pixel.size[0])

    def frames(self) -> Iterator[Frame]:
        """Yield the whole, the pixels of the first row, every other one, and the whole again."""
        h, w = self.result.shape[:2]
        count = h * w
        yield self.frame(self.first, 2000, self.subject.pixel, count)
        for done in (*range(1, w), *range(w, count, 2), count):
            yield self.frame(self.moving, QUICK, divmod(done - 1, w), done)
        yield self.frame(self.end.format(pixels=count), END, self.subject.pixel, count)


class Convolution(Sliding):
    """One kernel, the mean of the trained ones, slides over the photo."""

    name = "convolution"
    caption = "One kernel slides over the whole photo: it blurs edges and flat parts alike."
    title = "Convolution: one kernel for all pixels"
    note = "The kernel: the mean of all the kernels of the trained layer in the scene 'involution'."
    title_field, title_below = "the same kernel everywhere", "kernel"
    first = "The window around each pixel is multiplied with the same kernel, and summed up."
    moving = "The window slides on; the kernel stays the same."
    end = "{pixels} pixels, one kernel: what is right for a flat part blurs an edge."

    def __init__(self, subject: Subject) -> None:
        trained = subject.trained
        mean = trained.kernel.mean(axis=(4, 5), keepdims=True)
        kernel = np.ascontiguousarray(np.broadcast_to(mean, trained.kernel.shape))
        super().__init__(subject, record_operator(trained.x, kernel))


class Involution(Sliding):
    """Every pixel has a kernel of its own, made by a trained layer."""

    name = "involution"
    caption = "The output fills in. Unlike in the convolution, every pixel has its own kernel."
    title = "Involution: a kernel for every pixel"
    note = "A layer trained to remove noise; red, green and blue share the kernel of their pixel."
    title_field, title_below = "a kernel for every pixel", "its kernel"
    first = (
        "The window around each pixel is multiplied with this pixel's own kernel, and summed up."
    )
    moving = "The window slides on, and the kernel changes with the pixel."
    end = "{pixels} pixels, {pixels} kernels, all made by the same few weights."

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject, subject.trained)
