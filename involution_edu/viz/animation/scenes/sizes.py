"""Stride, dilation and padding: the pixels that an output reads, and the number of outputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ....arguments import Pair
from ....geometry import Geometry
from ...palette import limit_of
from ...recording import record_operator
from ...trace import OperatorTrace
from ..canvas import Canvas, Frame
from .scene import END, SLOW, STEP, WIDTH, Grid, Scene
from .subject import Subject

LEFT, RIGHT, MIDDLE = 256, 736, 320
CELL = 38
NAMES = "stride 1, dilation 1, padding 1", "stride 2", "dilation 2, padding 2", "padding 0"
CAPTIONS = (
    "The plain case: zeros around the input keep its size.",
    "Stride: the window takes two steps at a time, so there are fewer outputs.",
    "Dilation: the taps of the window move apart; it spans more pixels with as many numbers.",
    "No padding: outputs whose window would reach beyond the input are left out.",
)


class Sizes(Scene):
    """The window slides over one input, under several settings; numbers of the first channel."""

    name = "sizes"
    title = "Stride, dilation and padding"
    caption = "The pixels that an output reads, and the number of outputs, from one rule."
    note = "Random weights, not trained. Numbers: the red channel. The pink cells are multiplied."

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        plain = subject.trace()
        traces: list[OperatorTrace] = [plain, subject.trace(stride=2), subject.trace(dilation=2)]
        K_h, K_w = plain.geom.window
        kernel = plain.kernel[..., K_h // 2 : -(K_h // 2), K_w // 2 : -(K_w // 2)]
        if kernel.size:  # a patch of two rows has no window without padding
            kernel = np.ascontiguousarray(kernel)
            traces.append(record_operator(plain.x, kernel, padding="valid"))
        self.settings = list(zip(NAMES, CAPTIONS, traces, strict=False))
        self.x_limit = limit_of(plain.x)
        self.y_limit = limit_of(np.concatenate([trace.y.ravel() for trace in traces]))

    def draw(self, canvas: Canvas, setting: str, trace: OperatorTrace, done: int) -> None:
        """Draw the first ``done`` outputs, and the pixels that the last of them reads."""
        geom = trace.geom
        source = Grid((LEFT, MIDDLE), *geom.padded_size, CELL, self.x_limit)
        output = Grid((RIGHT, MIDDLE), geom.H_out, geom.W_out, CELL, self.y_limit)
        title = f"output y, {geom.H_out} × {geom.W_out}"
        canvas.text((LEFT, 112), setting, 17, bold=True, anchor="ms")
        canvas.text((RIGHT, 112), title, 17, bold=True, anchor="ms")
        source.draw_padded(canvas, trace.x[0, 0], geom.padding)
        i, j = divmod(done - 1, geom.W_out)
        shown = np.arange(geom.H_out * geom.W_out).reshape(geom.H_out, geom.W_out) < done
        output.draw_some(canvas, trace.y[0, 0], shown)
        canvas.arrow((source.right + 16, MIDDLE), (output.corner[0] - 16, MIDDLE))
        for tap in geom.taps():
            source.mark(canvas, *pixel_read(geom, (i, j), tap))
        output.mark(canvas, i, j)
        for y, axis in ((570, 0), (596, 1)):
            canvas.text((WIDTH // 2, y), rule(geom, axis), 16, anchor="ms")

    def frames(self) -> Iterator[Frame]:
        """Yield each setting: the first three outputs one by one, then row by row."""
        for name, caption, trace in self.settings:
            count, W_out = trace.geom.H_out * trace.geom.W_out, trace.geom.W_out
            stops = sorted({1, 2, 3, *range(W_out, count + 1, W_out)} & {*range(count + 1)})
            for n, done in enumerate(stops):
                pause = SLOW if n == 0 or done == count else STEP if n < 3 else 280
                yield self.frame(caption, pause, name, trace, done)
        end = "The sizes follow from one rule, for rows and columns alike."
        yield self.frame(end, END, name, trace, count)


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
