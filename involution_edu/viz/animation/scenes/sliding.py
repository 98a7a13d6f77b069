"""Convolution and involution in the same layout, so that the difference shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from ....arguments import Pair
from ...palette import limit_of
from ...recording import record_operator
from ...trace import OperatorTrace
from ..canvas import Canvas, Frame, number
from .scene import COLUMNS, END, LARGE, QUICK, SLOW, STEP, Grid, Scene, grids_below, kernel_field
from .subject import Subject

# Finds edges: the column on the right minus the column on the left.
EDGES = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4
MIDDLE, BELOW = 254, 500  # rows of the canvas: the middles of the panels and of the grids below
MINI = 10  # rows and columns of the canvas for a number of a kernel in the field


class Sliding(Scene):
    """The window slides over the patch; numbers are those of its first channel."""

    shared: ClassVar[bool]  # whether one kernel serves all pixels; it is drawn only once then
    moving: ClassVar[str]  # caption while the window slides
    end: ClassVar[str]  # last caption

    def __init__(self, subject: Subject, trace: OperatorTrace) -> None:
        super().__init__(subject)
        self.trace = trace
        geom, (left, middle, right) = trace.geom, COLUMNS
        size = geom.H_out, geom.W_out
        self.input = Grid((left, MIDDLE), *geom.padded_size, limit=limit_of(trace.x))
        self.field = Grid((middle, MIDDLE), *size, limit=limit_of(trace.kernel))
        self.output = Grid((right, MIDDLE), *size, limit=limit_of(trace.y))
        arrays = trace.x, trace.kernel, trace.products(slice(None), slice(None))
        self.below = grids_below(BELOW, geom.window, LARGE, arrays)

    def draw_background(self, canvas: Canvas) -> None:
        """Draw the input, the titles, the scales and empty grids."""
        super().draw_background(canvas)
        geom = self.trace.geom
        self.input.title(canvas, f"input x: red, {geom.H} × {geom.W}, and its zeros")
        self.input.draw_padded(canvas, self.trace.x[0, 0], geom.padding)
        self.output.title(canvas, f"output y, {geom.H_out} × {geom.W_out}", self.input)
        title = f"a kernel for every pixel: {geom.H_out * geom.W_out}"
        if self.shared:
            title = "one kernel for all pixels"
            grid = Grid(self.field.middle, *geom.window, LARGE, limit=self.field.limit)
            grid.draw(canvas, self.trace.kernels[0, 0, 0, 0], digits=2)
        self.field.title(canvas, title, self.input)
        titles = "the window (red)", f"{'the' if self.shared else 'its'} kernel", "their products"
        for grid, title in zip(self.below, titles, strict=True):
            grid.title(canvas, title)
            grid.clear(canvas)
            grid.scale(canvas)
        for x, sign in ((328, "×"), (632, "=")):
            canvas.text((x, BELOW), sign, 34, anchor="mm")
        x = COLUMNS[2]
        canvas.arrow((x, self.below[2].corner[1] - 34), (x, self.output.bottom + 8))

    def draw(self, canvas: Canvas, step: int, visited: list[Pair], slow: bool) -> None:
        """Draw the window (step 1), products (2) and sum (3) of the last pixel, numbers if slow."""
        trace, geom, (i, j) = self.trace, self.trace.geom, visited[-1]
        shown = np.zeros((geom.H_out, geom.W_out), bool)
        for pixel in visited if step == 3 else visited[:-1]:
            shown[pixel] = True
        self.output.draw_some(canvas, trace.y[0, 0], shown)
        if not self.shared:
            known = shown.copy()
            known[i, j] |= step >= 2
            field = kernel_field(trace.kernels[0, 0], self.field.limit, MINI, known)
            x, y = self.field.middle
            canvas.photo((x - field.shape[1] // 2, y - field.shape[0] // 2), field, 1)
            self.field.mark(canvas, i, j)
        K_h, K_w = geom.window
        self.input.mark(canvas, i, j, K_h, K_w)
        self.input.mark(canvas, i + K_h // 2, j + K_w // 2)
        self.output.mark(canvas, i, j)
        (window, kernel, products), digits = self.below, 2 if slow else None
        window.draw(canvas, trace.patches[0, 0, 0, i, j], digits)
        if step >= 2:
            kernel.draw(canvas, trace.kernels[0, 0, i, j], digits)
            products.draw(canvas, trace.products(i, j)[0, 0, 0], digits)
        if step == 3 and slow:
            at = COLUMNS[2] + 14, products.corner[1] - 44
            text = f"sum = {number(float(trace.y[0, 0, i, j]), 2)}"
            canvas.text(at, text, 17, bold=True, anchor="lm")

    def frames(self) -> Iterator[Frame]:
        """Yield the first pixel step by step, two more slowly, and the rest quickly."""
        geom = self.trace.geom
        pixels = list(np.ndindex(geom.H_out, geom.W_out))
        products = geom.window[0] * geom.window[1]
        kernel = "the kernel" if self.shared else "the kernel this pixel made"
        steps = (
            "The window around one pixel is cut out of the input, with zeros outside of it.",
            f"Element by element, the window is multiplied with {kernel}.",
            f"The sum of the {products} products is the output at this pixel.",
        )
        for step, caption in enumerate(steps, start=1):
            yield self.frame(caption, SLOW, step, pixels[:1], True)
        for n in range(2, len(pixels) + 1):
            slow = n <= 3
            yield self.frame(self.moving, STEP if slow else QUICK, 3, pixels[:n], slow)
        middle = pixels.pop((geom.H_out // 2) * geom.W_out + geom.W_out // 2)
        end = self.end.format(pixels=geom.H_out * geom.W_out)
        yield self.frame(end, END, 3, [*pixels, middle], True)


class Convolution(Sliding):
    """One kernel that finds edges slides over the patch."""

    name = "convolution"
    caption = "One kernel slides over the whole image. Here it finds edges, everywhere alike."
    title = "Convolution: one kernel slides over the whole image"
    note = "A kernel that finds edges. A convolution would learn one for each pair of channels."
    shared = True
    moving = "The window slides on; the kernel stays the same everywhere."
    end = "Done: {pixels} pixels, one kernel. It cannot treat an eye differently from the sky."

    def __init__(self, subject: Subject) -> None:
        x = subject.patch
        shape = (1, 1, *EDGES.shape, *x.shape[2:])
        kernel = np.broadcast_to(EDGES[:, :, None, None], shape).astype(x.dtype)
        super().__init__(subject, record_operator(x, kernel))


class Involution(Sliding):
    """The output fills in, each pixel with its own kernel."""

    name = "involution"
    caption = "The output fills in. Unlike in the convolution, every pixel has its own kernel."
    title = "Involution: the kernel changes from pixel to pixel"
    note = "Random weights, not trained. Numbers: the red channel; green and blue share the kernel."
    shared = False
    moving = "The window slides on, and at every pixel the kernel is different."
    end = "Done: {pixels} pixels, {pixels} kernels, all made by the same two 1×1 convolutions."

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject, subject.trace())
