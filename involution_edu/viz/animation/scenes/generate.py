"""Generation of a kernel: features of the pixel, reduce, span, reshape; then of other pixels."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ....arguments import Pair
from ...palette import MUTED, diverging, limit_of
from ...picks import varied_pixels
from ..canvas import Canvas, Frame
from .scene import Grid, Scene
from .subject import Subject

MIDDLE = 348  # row of the canvas: the middle of all parts
TALL = 410  # rows of the canvas for a column of numbers
MATRIX = 96  # columns of the canvas for a matrix of weights
STAGES = (
    "The features of one pixel: C = {C} numbers.",
    "Reduce: a 1×1 convolution, from {C} numbers to {hidden}; then ReLU: no number is below 0.",
    "Span: another 1×1 convolution, from {hidden} numbers to K·K = {count}; softmax: their sum is 1.",
    "Reshape: the {count} numbers are written in {K} rows. This is the pixel's own kernel.",
)


class Generate(Scene):
    """One pixel of the photo makes its kernel; then others do, with the same weights."""

    name = "generate"
    title = "How a pixel makes its kernel"
    caption = (
        "The features of the pixel, reduce, span, and a reshape to K×K. Two 1×1 convolutions make "
        "the kernel of every pixel, with the same weights."
    )
    note = "A layer trained to remove noise. Each column of numbers has a colour scale of its own."
    shows_patch = False

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.trace = trace = subject.trained
        self.photos = [subject.noisy]
        (i, j), (row, column) = subject.corner, subject.pixel
        self.pixel = i + row, j + column
        C, (hidden, taps) = trace.reduce_weight.shape[1], trace.span_weight.shape[::-1]
        numbers = trace.kernel[0, 0].reshape(taps, *trace.reduced.shape[2:])
        self.columns = trace.features[0], trace.reduced[0], numbers
        strip = [(44, max(2, min(40, TALL // rows))) for rows in (C, hidden, taps)]
        scales = [max(1, min(MATRIX // n, TALL // m)) for n, m in ((C, hidden), (hidden, taps))]
        limits = [limit_of(a) for a in (*self.columns, trace.reduce_weight, trace.span_weight)]
        H, W = subject.photo.shape[:2]
        self.photo = Grid((128, MIDDLE), H, W, max(1, 216 // max(H, W)))
        self.features = Grid((292, MIDDLE), C, 1, strip[0], limits[0])
        self.reduce = Grid((390, MIDDLE), hidden, C, scales[0], limits[3])
        self.reduced = Grid((490, MIDDLE), hidden, 1, strip[1], limits[1])
        self.span = Grid((588, MIDDLE), taps, hidden, scales[1], limits[4])
        self.spanned = Grid((686, MIDDLE), taps, 1, strip[2], limits[2])
        K_h, K_w = trace.geom.window
        self.kernel = Grid((840, MIDDLE), K_h, K_w, 196 // max(K_h, K_w), limits[2])

    def draw_background(self, canvas: Canvas) -> None:
        """Draw the photo, the weights, the titles and the arrows."""
        super().draw_background(canvas)
        canvas.photo(self.photo.corner, self.subject.noisy, self.photo.size[0])
        weights = self.trace.reduce_weight, self.trace.span_weight
        for grid, name, a in zip(
            (self.reduce, self.span), ("reduce", "span"), weights, strict=True
        ):
            canvas.photo(grid.corner, diverging(a, grid.limit), grid.size[0])
            at = grid.middle[0], grid.bottom + 8
            canvas.text(at, f"{name}: weights", 13, colour=MUTED, anchor="ma")
        self.kernel.scale(canvas)
        for grid, title in (
            (self.photo, "photo with noise"),
            (self.features, "features"),
            (self.reduced, "reduced"),
            (self.spanned, f"{self.spanned.rows} numbers"),
            (self.kernel, "its kernel"),
        ):
            grid.title(canvas, title)
        parts = self.photo, self.features, self.reduce, self.reduced, self.span, self.spanned
        for left, right in pairwise((*parts, self.kernel)):
            left.arrow_to(canvas, right)

    def draw(self, canvas: Canvas, pixel: Pair, stage: int | None) -> None:
        """Draw the numbers of a pixel, those of a stage outlined."""
        (i, j), grids = pixel, (self.features, self.reduced, self.spanned)
        self.photo.mark(canvas, i, j)
        for grid, values in zip(grids, self.columns, strict=True):
            grid.draw(canvas, values[:, i, j, None], 2 if grid.size[1] >= 18 else None)
        self.kernel.draw(canvas, self.trace.kernels[0, 0, i, j])
        if stage is not None:
            grid = (*grids, self.kernel)[stage]
            grid.mark(canvas, 0, 0, grid.rows, grid.columns)

    def frames(self) -> Iterator[Frame]:
        """Yield the kernel of one pixel stage by stage, then those of other pixels."""
        trace, first = self.trace, self.pixel
        C, (hidden, count) = trace.reduce_weight.shape[1], trace.span_weight.shape[::-1]
        caption = "From the features of a pixel alone, two 1×1 convolutions make its kernel."
        yield self.frame(caption, 1500, first, None)
        sizes = {"C": C, "hidden": hidden, "count": count, "K": trace.geom.window[0]}
        for stage, text in enumerate(STAGES):
            yield self.frame(text.format(**sizes), 1150, first, stage)
        for pixel in varied_pixels(trace, first, 2, 2)[1:4]:
            caption = "Another pixel, other features, another kernel. The weights are the same."
            yield self.frame(caption, 1000, pixel, None)
        size = trace.reduce_weight.size + trace.span_weight.size + trace.span_bias.size
        kernels = trace.geom.H_out * trace.geom.W_out
        caption = f"The same {size:,} weights make all {kernels:,} kernels."
        yield self.frame(caption, 2400, first, None)
