"""Stride, dilation and padding: which pixels of the input an output reads, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from ....arguments import Pair
from ....geometry import Geometry
from ...palette import limit_of
from ...recording import record_operator
from ...trace import OperatorTrace
from ..canvas import Canvas
from ..frames import Film, Shot
from .layout import END, SLOW, STEP, WIDTH, Grid, make_sheet
from .subject import Subject

LEFT, RIGHT, MIDDLE = 256, 736, 320
CELL = 38
PAUSE = 280  # milliseconds


@dataclass(frozen=True, slots=True)
class Setting:
    """A name, what it changes, and the run of the operator with it."""

    name: str
    caption: str
    trace: OperatorTrace


class Sizes:
    """The window on its way over one input, under several settings; the first channel."""

    def __init__(self, limits: tuple[float, float]) -> None:
        self.x_limit, self.y_limit = limits

    def draw(self, setting: Setting, done: int, sheet: Canvas) -> None:
        """Draw the first ``done`` outputs, and the pixels that the last of them reads."""
        trace, geom = setting.trace, setting.trace.geom
        source = Grid.around((LEFT, MIDDLE), *geom.padded_size, CELL)
        output = Grid.around((RIGHT, MIDDLE), geom.H_out, geom.W_out, CELL)
        sheet.text((LEFT, 112), setting.name, 17, bold=True, anchor="ms")
        sheet.text(
            (RIGHT, 112), f"output y, {geom.H_out} × {geom.W_out}", 17, bold=True, anchor="ms"
        )
        source.draw_padded(sheet, trace.x[0, 0], geom.padding, self.x_limit)
        i, j = divmod(done - 1, geom.W_out)
        shown = np.arange(geom.H_out * geom.W_out).reshape(geom.H_out, geom.W_out) < done
        output.draw_some(sheet, trace.y[0, 0], self.y_limit, shown, digits=1)
        sheet.arrow((source.right + 16, MIDDLE), (output.corner[0] - 16, MIDDLE))
        for u, v in geom.taps():
            source.mark(sheet, *place_read(geom, (i, j), (u, v)))
        output.mark(sheet, i, j)
        sheet.text((WIDTH // 2, 570), rule(geom, 0), 16, anchor="ms")
        sheet.text((WIDTH // 2, 596), rule(geom, 1), 16, anchor="ms")


def place_read(geom: Geometry, pixel: Pair, place: Pair) -> Pair:
    """Return the row and column of the padded input that a place of an output's window meets."""
    rows, columns = geom.pixels_under(*place)
    return (
        range(rows.start, rows.stop, rows.step)[pixel[0]],
        range(columns.start, columns.stop, columns.step)[pixel[1]],
    )


def rule(geom: Geometry, axis: int) -> str:
    """Return the rule for the rows (axis 0) or columns (1) of the output, with its numbers."""
    name, pixels, out = (("H", geom.H, geom.H_out), ("W", geom.W, geom.W_out))[axis]
    p, d, k, s = (pair[axis] for pair in (geom.padding, geom.dilation, geom.window, geom.stride))
    return (
        f"{name}_out = ({name} + 2·p − d·(K − 1) − 1) // s + 1"
        f" = ({pixels} + 2·{p} − {d}·({k} − 1) − 1) // {s} + 1 = {out}"
    )


def sizes(subject: Subject) -> Film:
    """Return the scene of stride, dilation and padding."""
    plain = subject.trace()
    K_h, K_w = plain.geom.window
    inside = plain.kernel[..., K_h // 2 : -(K_h // 2), K_w // 2 : -(K_w // 2)]
    settings = [
        Setting(
            "stride 1, dilation 1, padding 1",
            "The plain case: zeros around the input keep its size.",
            plain,
        ),
        Setting(
            "stride 2",
            "Stride: the window takes two steps at a time, so there are fewer outputs.",
            subject.trace(stride=2),
        ),
        Setting(
            "dilation 2, padding 2",
            "Dilation: the places of the window move apart; it sees farther with as many numbers.",
            subject.trace(dilation=2),
        ),
    ]
    if inside.size:  # a patch of two rows has no window without padding
        x, kernel = plain.x, np.ascontiguousarray(inside)
        settings.append(
            Setting(
                "padding 0",
                "No padding: outputs whose window would reach beyond the input are left out.",
                record_operator(x, kernel, padding="valid"),
            )
        )
    outputs = np.concatenate([setting.trace.y.ravel() for setting in settings])
    scene = Sizes((limit_of(plain.x), limit_of(outputs)))
    note = "Random weights, not trained. Numbers: the red channel. The pink cells are multiplied."
    sheet = make_sheet("Stride, dilation and padding", note, subject)
    shots = []
    for setting in settings:
        geom = setting.trace.geom
        count = geom.H_out * geom.W_out
        # The first three one by one, then from row to row.
        stops = sorted({1, 2, 3, *range(geom.W_out, count + 1, geom.W_out)} & {*range(count + 1)})
        for n, done in enumerate(stops):
            pause = SLOW if n == 0 or done == count else STEP if n < 3 else PAUSE
            draw = partial(scene.draw, setting, done)
            shots.append(Shot(setting.caption, pause, draw))
    shots.append(Shot("The sizes follow from one rule, for rows and columns alike.", END, draw))
    return Film(sheet, shots, [subject.photo])
