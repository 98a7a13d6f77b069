"""The charts of a benchmark: a bar for each contender, the roofline, and the scaling."""

from __future__ import annotations

import math
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from ..viz.palette import INK, LINE, MUTED, PAPER, diverging
from .derived import TASKS, flops, gflops, traffic
from .record import Record
from .text import three_digits

# Blue for the rungs, darker up the ladder; orange for PyTorch. Marks differ too.
_TONES = {"windows": -0.4, "shifts": -0.65, "numba": -1.0, "torch eager": 0.5, "torch.compile": 1.0}
_MARKS = {"windows": "o", "shifts": "s", "numba": "D", "torch eager": "^", "torch.compile": "v"}


def save_plot(record: Record, path: Path) -> None:
    """Save the charts of ``record`` as PNG or SVG, whichever ``path`` ends in."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {"axes.titlelocation": "left", "axes.titleweight": "bold"}
    style |= {"axes.axisbelow": True, "legend.frameon": False, "legend.loc": "upper center"}
    style |= {"axes.facecolor": _hex(PAPER), "figure.facecolor": _hex(PAPER)}
    style |= {"axes.labelcolor": _hex(INK), "text.color": _hex(INK), "grid.linewidth": 0.6}
    style |= {"axes.edgecolor": _hex(LINE), "grid.color": _hex(LINE)}
    style |= {"xtick.color": _hex(MUTED), "ytick.color": _hex(MUTED)}
    style |= {"axes.grid": True, "svg.hashsalt": "involution_edu"}  # a fixed salt: the same file
    axes = [row for row, _ in groupby(record.scaling, lambda row: row.axis)]
    with rc_context(style):
        bars = max(4.5, 0.22 * len(record.measurements) / len(TASKS)) if record.measurements else 0
        heights = [height for height in (bars, 5.0 if axes else 0) if height]
        figure = Figure(figsize=(15, sum(heights)), layout="constrained")
        parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        if bars:
            ladder, roof = parts[0].subplots(1, 2, width_ratios=(3, 2))
            _ladder(ladder, record)
            _roofline(roof, record)
        if axes:
            grid = parts[-1].subplots(1, len(axes), squeeze=False)[0]
            grid[0].set_ylabel("milliseconds")
            for ax, axis in zip(grid, axes, strict=True):
                _scaling(ax, record, axis)
        figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)


def _ladder(ax: Any, record: Record) -> None:
    """Draw a bar for every contender on every shape, its forward time at the end."""
    rows = [row for row in record.measurements if row.task == "forward"]
    names = list(dict.fromkeys(row.contender for row in rows))
    shapes, times = list(record.shapes), [row.ms for row in rows]
    for row in rows:
        y = shapes.index(row.shape) + (names.index(row.contender) + 0.5) / len(names) * 0.84 - 0.42
        ax.barh(y, row.ms, 0.78 * 0.84 / len(names), color=_colour(row.contender))
        ax.text(row.ms * 1.06, y, three_digits(row.ms), va="center", fontsize=8, color=_hex(INK))
    ax.set(title="Forward pass; from one line to the next, ten times slower")
    ax.set(xlabel="milliseconds", xscale="log", ylim=(len(shapes) - 0.5, -0.5))
    ax.set_xlim(10 ** math.floor(math.log10(min(times))), 2 * max(times))
    ax.set_yticks(range(len(shapes)), [shape.replace(", ", "\n") for shape in shapes])
    ax.grid(visible=False, axis="y")
    ax.xaxis.set_major_formatter("{x:g}")
    for name in names:
        ax.barh(0, 0, color=_colour(name), label=name)
    ax.legend(bbox_to_anchor=(0.5, -0.09), ncols=len(names))


def _roofline(ax: Any, record: Record) -> None:
    """Draw every contender below the peak rates of copying memory and of multiply-adds."""
    copy, peak = record.peak("copy"), record.peak("multiply-add")
    points: dict[str, list[tuple[float, float]]] = {}
    for row in (row for row in record.measurements if row.task == "forward"):
        geom = record.shapes[row.shape]
        point = flops(geom) / traffic(geom), gflops(row, geom)
        points.setdefault(row.contender, []).append(point)
    intensities = np.geomspace(0.5, 4 * peak / copy, 200)
    ax.plot(intensities, np.minimum(peak, copy * intensities), color=_hex(INK), linewidth=2)
    slope = math.degrees(math.atan(copy))  # along the line, whatever the scales
    along = {"rotation": slope, "rotation_mode": "anchor", "transform_rotates_text": True}
    ax.text(0.6, 0.6 * copy * 1.2, f"{copy:.1f} GB/s copied", **along)
    ax.text(intensities[-1], peak * 1.12, f"{peak:.0f} GFLOP/s of multiply-adds ", ha="right")
    for name, own in points.items():
        mark = {"marker": _MARKS.get(name, "o"), "markersize": 8, "markeredgecolor": _hex(PAPER)}
        ax.plot(*zip(*own, strict=True), linestyle="none", color=_colour(name), label=name, **mark)
    lowest = min(y for own in points.values() for _, y in own)
    ax.set(title="Roofline: beside the peak rates of this machine", xscale="log", yscale="log")
    ax.set(xlabel="operations per byte of x, kernel and y", ylabel="GFLOP/s, forward")
    ax.set(xlim=(0.5, intensities[-1]), ylim=(lowest / 2, 2 * peak))
    for tick in (ax.xaxis, ax.yaxis):
        tick.set_major_formatter("{x:g}")
    ax.legend(bbox_to_anchor=(0.5, -0.09), ncols=3)


def _scaling(ax: Any, record: Record, axis: str) -> None:
    """Draw times along one axis, with their exponents."""
    rows = [row for row in record.scaling if row.axis == axis]
    for row in rows:
        name, power = row.contender, "" if row.exponent is None else f": {row.exponent:.2f}"
        mark = _MARKS.get(name, "o")
        ax.plot(row.values, row.ms, color=_colour(name), marker=mark, label=f"{name}{power}")
    values = rows[0].values
    ax.set(title=f"Forward pass over {axis}", xlabel=axis, xscale="log", yscale="log")
    ax.set_xticks(values, [str(value) for value in values], minor=False)
    ax.set_xticks([], minor=True)
    tens = [math.log10(ms) for row in rows for ms in row.ms]
    low, high = math.floor(min(tens)), math.ceil(max(tens))
    ax.set_yticks([10.0**n for n in range(low, high + 1)])
    ax.yaxis.set_major_formatter("{x:g}")
    ax.legend(title=f"exponent (theory: {rows[0].theory})", bbox_to_anchor=(0.5, -0.16))


def _colour(contender: str) -> str:
    return _hex(tuple(diverging(_TONES.get(contender, 0.75), 1.0)))


def _hex(colour: Any) -> str:
    return "#{:02x}{:02x}{:02x}".format(*(int(part) for part in colour))
