"""Why kernels are generated: kernels stored for every pixel fit one image size only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ....arguments import Pair
from ....ops import involution
from ...palette import ACCENT, MUTED, limit_of
from ...recording import record
from ..canvas import Canvas, Frame
from .scene import END, SLOW, Grid, Scene, kernel_field
from .subject import Subject

LEFT, RIGHT, MIDDLE = 256, 704, 272
MINI = 14  # rows and columns of the canvas for a number of a kernel
SIZES = (224, 1024)  # usual image sizes, for the table at the end


class FixedSize(Scene):
    """A stored filter for every pixel beside generated kernels, on a small and a large input."""

    name = "fixed-size"
    title = "Why not simply learn a kernel for every pixel?"
    caption = (
        "Kernels that are stored for the pixels of one size have nothing for those of another. "
        "Involution makes them from the pixels, with a few weights."
    )
    note = "Random weights, not trained. The pink line is the error message of the operator."

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        layer = subject.layer()
        large = subject.patch
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

    def field(self, middle: int, size: Pair) -> Grid:
        """Return the grid of the kernels of an input of ``size``."""
        K_h, K_w = self.stored.shape[2:4]
        return Grid((middle, MIDDLE), *size, (K_w * MINI + 2, K_h * MINI + 2))

    def draw(self, canvas: Canvas, step: int) -> None:
        """Draw a step, counted from 0."""
        small, large = self.generated
        now = small if step < 2 else large
        size = now.geom.H_out, now.geom.W_out
        left, right = self.field(LEFT, size), self.field(RIGHT, size)
        for x, title in ((LEFT, "a filter stored for every pixel"), (RIGHT, "involution")):
            canvas.text((x, 112), title, 17, bold=True, anchor="ms")
        canvas.text((480, MIDDLE), f"x: {size[0]} × {size[1]}", 15, bold=True, anchor="mm")
        known = np.zeros(size, bool)
        known[: self.stored.shape[4], : self.stored.shape[5]] = True
        kernels = np.zeros_like(now.kernels[0, 0])
        kernels[known] = small.kernels[0, 0].reshape(-1, *kernels.shape[2:])
        canvas.photo(left.corner, kernel_field(kernels, self.limit, MINI, known), 1)
        for row, column in np.argwhere(~known).tolist():
            canvas.text(left.at(row, column).middle, "?", 20, bold=True, colour=ACCENT, anchor="mm")
        if step not in (0, 2):
            canvas.photo(right.corner, kernel_field(now.kernels[0, 0], self.limit, MINI), 1)
        else:
            right.clear(canvas)
        stored, weights = f"{self.stored.size} stored numbers", f"{self.weights} weights"
        for x, words in ((LEFT, stored), (RIGHT, weights)):
            canvas.text((x, 444), words, 17, bold=True, anchor="ms")
        if step >= 2:
            canvas.text((480, 484), "ValueError: " + self.error, 13, colour=ACCENT, anchor="ms")
        if step >= 4:
            per_pixel = self.stored.shape[2] * self.stored.shape[3]
            for y, side in zip((520, 546), SIZES, strict=True):
                canvas.text((480, y), f"{side} × {side}", 15, bold=True, anchor="mm")
                canvas.text((LEFT, y), f"{side * side * per_pixel:,} numbers", 15, anchor="mm")
                canvas.text((RIGHT, y), weights, 15, anchor="mm")
            canvas.text((480, 572), "for each group of channels", 12, colour=MUTED, anchor="mm")

    def frames(self) -> Iterator[Frame]:
        """Yield the five steps."""
        large = self.generated[1].geom
        captions = (
            "One could learn the kernels of all pixels and store them. Here they are, for one size.",
            "Involution makes the same kernels from the pixels, with a few weights.",
            "Another size: for the new pixels nothing was learned. The stored filter fails.",
            f"Involution makes {large.H} · {large.W} kernels now: every pixel brings its own.",
            "The stored numbers grow with the image, and fit one size. The weights do not.",
        )
        for step, caption in enumerate(captions):
            yield self.frame(caption, END if caption == captions[-1] else SLOW + 600, step)
