"""Stride, dilation and padding: the pixels that an output reads, and the number of outputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ....arguments import Pair
from ....arrays import Array
from ....geometry import Geometry, make_geometry
from ...palette import limit_of
from ...recording import record_operator
from ...trace import OperatorTrace
from ..canvas import Canvas, Frame
from .scene import END, WIDTH, Grid, Scene
from .subject import Subject

CELL = 17  # rows and columns of the canvas for a pixel
CORNERS = (20, 106), (500, 106), (20, 356), (500, 356)  # of the panels
NAMES = "stride 1, padding 1", "stride 2", "dilation 2, padding 2", "padding 0"
SETTINGS = (1, 1, 1), (2, 1, 1), (1, 2, 2), (1, 1, 0)  # stride, dilation, padding
WINDOW = 3
MOMENTS = 36  # at which the windows stand; those of small outputs stay longer


class Sizes(Scene):
    """The window slides over one input, under four settings at once; the first channel is shown."""

    name = "sizes"
    title = "Stride, dilation and padding"
    caption = "The pixels that an output reads, and the number of outputs, from one rule."
    note = "Here every output is the mean of the pink pixels. Colour: red channel; grey: zeros of the padding."

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        x = subject.patch
        # A patch of two rows has no window without padding.
        settings = SETTINGS if min(x.shape[2:]) >= WINDOW else SETTINGS[:-1]
        traces = [record_mean(x, *setting) for setting in settings]
        limits = limit_of(x), limit_of(np.concatenate([trace.y.ravel() for trace in traces]))
        self.panels = list[tuple[OperatorTrace, Grid, Grid]]()
        for trace, (left, top) in zip(traces, CORNERS, strict=False):
            geom, row = trace.geom, top + 122
            source = Grid((left + 112, row), *geom.padded_size, CELL, limits[0])
            output = Grid((left + 352, row), geom.H_out, geom.W_out, CELL, limits[1])
            self.panels.append((trace, source, output))

    def draw_background(self, canvas: Canvas) -> None:
        """Draw the inputs with their zeros, and the titles."""
        super().draw_background(canvas)
        for name, (trace, source, output) in zip(NAMES, self.panels, strict=False):
            geom = trace.geom
            source.clear(canvas)
            source.at(*geom.padding).draw(canvas, trace.x[0, 0])
            source.arrow_to(canvas, output)
            above = source.middle[1] - 118
            canvas.text((source.middle[0], above), name, 15, bold=True, anchor="ms")
            size = f"output {geom.H_out} × {geom.W_out}"
            canvas.text((output.middle[0], above), size, 15, bold=True, anchor="ms")

    def draw(self, canvas: Canvas, moment: int, setting: int | None) -> None:
        """Draw the outputs until a moment, the pixels that the last ones read, and a rule."""
        for trace, source, output in self.panels:
            geom = trace.geom
            count = geom.H_out * geom.W_out
            last = min(count - 1, count * moment // MOMENTS)
            i, j = divmod(last, geom.W_out)
            output.clear(canvas)
            for r, c in (divmod(n, geom.W_out) for n in range(last + 1)):
                output.at(r, c).draw(canvas, trace.y[0, 0, r : r + 1, c : c + 1])
            for tap in geom.taps():
                source.mark(canvas, *pixel_read(geom, (i, j), tap))
            output.mark(canvas, i, j)
        if setting is not None:
            text = f"{NAMES[setting]}:   {rule(self.panels[setting][0].geom, 0)}"
            canvas.text((WIDTH // 2, 604), text, 15, anchor="ms")

    def frames(self) -> Iterator[Frame]:
        """Yield all windows in the middle of their way, the whole way, and the rule of each size."""
        first = "The same window, four settings: other pixels are read, other outputs result."
        yield self.frame(first, 2000, MOMENTS // 2, None)
        caption = "Stride skips pixels, dilation skips inside the window."
        for moment in range(MOMENTS):
            yield self.frame(caption, 135, moment, None)
        caption = "The number of rows follows from one rule, and so does that of columns."
        for setting in range(len(self.panels)):
            last = setting == len(self.panels) - 1
            yield self.frame(caption, END if last else 700, MOMENTS, setting)


def record_mean(x: Array, stride: int, dilation: int, padding: int) -> OperatorTrace:
    """Return the trace of an involution whose kernels are all the mean of the window."""
    geom = make_geometry(x.shape, 1, WINDOW, stride, dilation, padding)
    kernel = np.full(geom.kernel_shape, 1 / WINDOW**2, x.dtype)
    return record_operator(x, kernel, stride=stride, dilation=dilation, padding=padding)


def pixel_read(geom: Geometry, pixel: Pair, tap: Pair) -> Pair:
    """Return the row and column of the padded input that an output pixel reads with a tap."""
    rows, columns = (range(s.start, s.stop, s.step) for s in geom.pixels_under(*tap))
    return rows[pixel[0]], columns[pixel[1]]


def rule(geom: Geometry, axis: int) -> str:
    """Return the rule for the rows (axis 0) or columns (1) of the output, with its numbers."""
    name, pixels, out = (("H", geom.H, geom.H_out), ("W", geom.W, geom.W_out))[axis]
    p, d, k, s = (pair[axis] for pair in (geom.padding, geom.dilation, geom.window, geom.stride))
    return (
        f"{name}_out = ({name} + 2·p − d·(K − 1) − 1) // s + 1"
        f" = ({pixels} + 2·{p} − {d}·({k} − 1) − 1) // {s} + 1 = {out}"
    )
