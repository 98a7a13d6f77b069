"""Stored kernels fit one image size only; generated kernels fit every size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ....arguments import Pair
from ....models import pretrained
from ....ops import involution
from ...palette import ACCENT, MUTED, limit_of
from ...recording import record
from ..canvas import Canvas, Frame
from .scene import END, Grid, Scene, kernel_field
from .subject import Subject

LEFT, RIGHT, MIDDLE = 232, 728, 280
CELL = 38  # rows and columns of the canvas for a kernel, at most
SIZES = (224, 1024)  # usual image sizes, for the table at the end


class FixedSize(Scene):
    """A stored filter for every pixel beside generated kernels, on a small and a large input."""

    name = "fixed-size"
    title = "Why not simply learn a kernel for every pixel?"
    caption = (
        "Kernels that are stored for the pixels of one size have nothing for those of another. "
        "Involution makes them from the pixels, with a few weights."
    )
    note = (
        "A layer trained to remove salt-and-pepper noise. Pink: the error message of the operator."
    )

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        layer, large = pretrained("salt-and-pepper"), subject.salted
        h, w = (max(1, pixels - 2) for pixels in large.shape[2:])
        small = np.ascontiguousarray(large[:, :, :h, :w])
        self.generated = record(layer, small), record(layer, large)
        # Stands for kernels learned at the small size: those of every pixel, stored as they are.
        self.stored = self.generated[0].kernel
        self.weights = sum(p.data.size for p in layer.parameters())
        self.error = ""
        try:
            involution(large, self.stored)
        except ValueError as error:
            self.error = str(error)
        self.limit = limit_of(self.generated[1].kernel)
        self.mini = (CELL - 2) // max(self.stored.shape[2:4])

    def field(self, middle: int, size: Pair) -> Grid:
        """Return the grid of the kernels of an input of ``size``."""
        K_h, K_w = self.stored.shape[2:4]
        return Grid((middle, MIDDLE), *size, (K_w * self.mini + 2, K_h * self.mini + 2))

    def draw(self, canvas: Canvas, step: int) -> None:
        """Draw a step, counted from 0."""
        small, large = self.generated
        now = large if step else small
        size = now.geom.H_out, now.geom.W_out
        left, right = self.field(LEFT, size), self.field(RIGHT, size)
        for x, title in ((LEFT, "a kernel stored for every pixel"), (RIGHT, "involution")):
            canvas.text((x, 112), title, 17, bold=True, anchor="ms")
        canvas.text((480, MIDDLE), f"x: {size[0]} × {size[1]}", 15, bold=True, anchor="mm")
        known = np.zeros(size, bool)
        known[: self.stored.shape[4], : self.stored.shape[5]] = True
        kernels = np.zeros_like(now.kernels[0, 0])
        kernels[known] = small.kernels[0, 0].reshape(-1, *kernels.shape[2:])
        canvas.photo(left.corner, kernel_field(kernels, self.limit, self.mini, known), 1)
        for row, column in np.argwhere(~known).tolist():
            canvas.text(left.at(row, column).middle, "?", 20, bold=True, colour=ACCENT, anchor="mm")
        canvas.photo(right.corner, kernel_field(now.kernels[0, 0], self.limit, self.mini), 1)
        stored, weights = f"{self.stored.size} stored numbers", f"{self.weights} weights"
        for x, words in ((LEFT, stored), (RIGHT, weights)):
            canvas.text((x, 470), words, 17, bold=True, anchor="ms")
        if step >= 1:
            canvas.text((480, 500), "ValueError: " + self.error, 13, colour=ACCENT, anchor="ms")
        if step >= 3:
            per_pixel = self.stored.shape[2] * self.stored.shape[3]
            for y, side in zip((534, 560), SIZES, strict=True):
                canvas.text((480, y), f"{side} × {side}", 15, bold=True, anchor="mm")
                canvas.text((LEFT, y), f"{side * side * per_pixel:,} numbers", 15, anchor="mm")
                canvas.text((RIGHT, y), weights, 15, anchor="mm")
            canvas.text((480, 586), "for each group of channels", 12, colour=MUTED, anchor="mm")

    def frames(self) -> Iterator[Frame]:
        """Yield the steps."""
        states = (
            (
                2,
                "Kernels stored for one size of photo do not fit another. Involution makes its own.",
            ),
            (0, "Kernels of all pixels, for one size: stored on the left, made on the right."),
            (1, "A larger photo: nothing was stored for its new pixels. The stored kernels fail."),
            (
                3,
                "The stored numbers grow with the photo and fit one size. The weights do not grow.",
            ),
        )
        for step, caption in states:
            yield self.frame(caption, END if step == 3 else 2800, step)
