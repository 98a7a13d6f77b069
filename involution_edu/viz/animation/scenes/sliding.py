"""Two scenes that are drawn alike, so that the difference shows: convolution and involution."""

from __future__ import annotations

from functools import partial

import numpy as np

from ....arguments import Pair
from ...palette import limit_of
from ...recording import record_operator
from ...trace import OperatorTrace
from ..canvas import Canvas, number
from ..frames import Film, Shot
from .layout import COLUMNS, END, LARGE, QUICK, SLOW, STEP, Grid, kernel_field, make_sheet
from .subject import Subject

# Finds edges: the column on the right minus the column on the left.
EDGES = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4
MIDDLE, BELOW = 254, 500  # rows of the sheet: the middles of the panels and of the grids below
MINI = 10  # rows and columns of the sheet for a number of a kernel in the field
STEPS = (
    "The window around one pixel is cut out of the input, with zeros outside of it.",
    "Place by place, the window is multiplied with {kernel}.",
    "The sum of the {count} products is the output at this pixel.",
)


class Sliding:
    """The window on its way over the patch: the first image, its first channel.

    Parameters
    ----------
    trace : OperatorTrace
    shared : bool
        Whether one kernel serves all pixels; it is drawn once then.
    """

    def __init__(self, trace: OperatorTrace, shared: bool) -> None:
        self.trace, self.shared = trace, shared
        geom, (left, middle, right) = trace.geom, COLUMNS
        self.input = Grid.around((left, MIDDLE), *geom.padded_size)
        self.field = Grid.around((middle, MIDDLE), geom.H_out, geom.W_out)
        self.output = Grid.around((right, MIDDLE), geom.H_out, geom.W_out)
        self.below = [Grid.around((column, BELOW), *geom.window, LARGE) for column in COLUMNS]
        self.x_limit, self.y_limit = limit_of(trace.x), limit_of(trace.y)
        self.kernel_limit = limit_of(trace.kernel)
        self.product_limit = limit_of(trace.products(slice(None), slice(None)))

    def prepare(self, sheet: Canvas) -> None:
        """Draw what all frames share."""
        geom = self.trace.geom
        self.input.title(sheet, f"input x: red, {geom.H} × {geom.W}, and its zeros")
        self.input.draw_padded(sheet, self.trace.x[0, 0], geom.padding, self.x_limit)
        above = self.output.corner[1] - self.input.corner[1]
        self.output.title(sheet, f"output y, {geom.H_out} × {geom.W_out}", above)
        kernels, whose = self.trace.kernels[0, 0], "its"
        if self.shared:
            whose = "the"
            grid = Grid.around(self.field.middle, *geom.window, LARGE)
            above += grid.corner[1] - self.output.corner[1]
            grid.title(sheet, "one kernel for all pixels", above)
            grid.draw(sheet, kernels[0, 0], self.kernel_limit, digits=2)
        else:
            title = f"a kernel for every pixel: {geom.H_out * geom.W_out}"
            self.field.title(sheet, title, above)
        titles = "the window (red)", f"{whose} kernel", "their products"
        limits = self.x_limit, self.kernel_limit, self.product_limit
        for grid, title, limit in zip(self.below, titles, limits, strict=True):
            grid.title(sheet, title)
            grid.clear(sheet)
            grid.scale(sheet, limit)
        for at, sign in zip(((328, BELOW), (632, BELOW)), "×=", strict=True):
            sheet.text(at, sign, 34, anchor="mm")
        x = COLUMNS[2]
        sheet.arrow((x, self.below[2].corner[1] - 34), (x, self.output.bottom + 8))

    def draw(self, step: int, visited: list[Pair], slow: bool, sheet: Canvas) -> None:
        """Draw the last of the ``visited`` pixels up to a step of `STEPS`, counted from 1.

        Without time to read them, the numbers of the grids below are left out.
        """
        trace, geom, (i, j) = self.trace, self.trace.geom, visited[-1]
        shown = np.zeros((geom.H_out, geom.W_out), bool)
        for pixel in visited if step == len(STEPS) else visited[:-1]:
            shown[pixel] = True
        self.output.draw_some(sheet, trace.y[0, 0], self.y_limit, shown, digits=1)
        if not self.shared:
            known = shown.copy()
            known[i, j] |= step >= 2
            field = kernel_field(trace.kernels[0, 0], self.kernel_limit, MINI, known)
            x, y = self.field.middle
            sheet.photo((x - field.shape[1] // 2, y - field.shape[0] // 2), field, 1)
            self.field.mark(sheet, i, j)
        K_h, K_w = geom.window
        self.input.mark(sheet, i, j, K_h, K_w)
        self.input.mark(sheet, i + K_h // 2, j + K_w // 2)
        self.output.mark(sheet, i, j)
        window, kernel, products = self.below
        digits = 2 if slow else None
        window.draw(sheet, trace.patches[0, 0, 0, i, j], self.x_limit, digits)
        if step >= 2:
            kernel.draw(sheet, trace.kernels[0, 0, i, j], self.kernel_limit, digits)
            products.draw(sheet, trace.products(i, j)[0, 0, 0], self.product_limit, digits)
        if step == len(STEPS) and slow:
            place = COLUMNS[2] + 14, self.below[2].corner[1] - 44
            text = f"sum = {number(float(trace.y[0, 0, i, j]), 2)}"
            sheet.text(place, text, 17, bold=True, anchor="lm")

    def shots(self, kernel: str, moving: str, end: str) -> list[Shot]:
        """Return the first pixel step by step, two more slowly, and the rest quickly."""
        geom = self.trace.geom
        pixels = [(i, j) for i in range(geom.H_out) for j in range(geom.W_out)]
        count = geom.window[0] * geom.window[1]
        shots = []
        for step, text in enumerate(STEPS, start=1):
            caption = text.format(kernel=kernel, count=count)
            shots.append(Shot(caption, SLOW, partial(self.draw, step, pixels[:1], True)))
        for n in range(2, len(pixels) + 1):
            slow = n <= 3
            draw = partial(self.draw, len(STEPS), pixels[:n], slow)
            shots.append(Shot(moving, STEP if slow else QUICK, draw))
        middle = pixels.pop((geom.H_out // 2) * geom.W_out + geom.W_out // 2)
        shots.append(Shot(end, END, partial(self.draw, len(STEPS), [*pixels, middle], True)))
        return shots


def convolution(subject: Subject) -> Film:
    """Return the scene of one kernel that slides over the patch."""
    x = subject.patch
    (h, w), (K_h, K_w) = x.shape[2:], EDGES.shape
    kernel = np.broadcast_to(EDGES[:, :, None, None], (1, 1, K_h, K_w, h, w)).astype(x.dtype)
    sliding = Sliding(record_operator(x, kernel), shared=True)
    note = "A kernel that finds edges. A convolution would learn one for each pair of channels."
    sheet = make_sheet("Convolution: one kernel slides over the whole image", note, subject)
    sliding.prepare(sheet)
    shots = sliding.shots(
        "the kernel",
        "The window slides on; the kernel stays the same, whatever it meets.",
        f"Done: {h * w} pixels, one kernel. It cannot treat an eye otherwise than a sky.",
    )
    return Film(sheet, shots, [subject.photo])


def involution(subject: Subject) -> Film:
    """Return the scene of the output filling in, each pixel with a kernel of its own."""
    trace = subject.trace()
    sliding = Sliding(trace, shared=False)
    note = "Random weights, not trained. Numbers: the red channel; green and blue share the kernel."
    sheet = make_sheet("Involution: every pixel brings its own kernel", note, subject)
    sliding.prepare(sheet)
    pixels = trace.geom.H_out * trace.geom.W_out
    shots = sliding.shots(
        "the kernel this pixel made",
        "The window slides on, and at every pixel the kernel is another.",
        f"Done: {pixels} pixels, {pixels} kernels, all made by the same two 1×1 convolutions.",
    )
    return Film(sheet, shots, [subject.photo])
