"""Photo beside its kernels, and a few kernels close up: ``kernels.png`` of the demo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...arguments import Pair
from ...images import Photo
from ..palette import ACCENT, INK, MUTED, PAPER, limit_of
from ..trace import Trace
from .common import DPI, hex_of, label, new_figure, outline, show_photo, signed, signed_bar
from .kernels import atlas_pixels, draw_atlas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 1500  # this and all sizes below in pixels of the figure
PANEL = 650  # longer side of the photo, at most
LEFT, MIDDLE, TOP = 90, 810, 160
CELLS = 190  # side of a kernel close up
LETTERS = "abcdef"  # names of the pixels whose kernels are seen close up


def close_ups(trace: Trace, photo: Photo, pixels: Sequence[Pair]) -> Figure:
    """Draw the photo, its kernels over their windows, and those of up to six pixels with numbers."""
    from matplotlib.patheffects import withStroke
    from matplotlib.ticker import MaxNLocator

    (H, W), (K_h, K_w) = photo.shape[:2], trace.geom.window
    scale = max(1, PANEL // max(H, W))
    bottom = TOP + H * scale + 60
    height = bottom + CELLS + 190
    figure, limit = new_figure((WIDTH / DPI, height / DPI), layout=None), limit_of(trace.kernel)

    def axes(x: float, y: float, width: float, rows: float) -> Axes:
        box = x / WIDTH, 1 - (y + rows) / height, width / WIDTH, rows / height
        return figure.add_axes(box)

    def write(x: float, y: float, text: str, **look: Any) -> None:
        look = {"va": "top", "fontsize": 10, "color": hex_of(MUTED), **look}
        figure.text(x / WIDTH, 1 - y / height, text, **look)

    ink = hex_of(INK)
    write(LEFT, 26, "Every pixel makes its own kernel", fontsize=23, fontweight="bold", color=ink)
    meaning = (
        f"Right: {len(atlas_pixels(trace))} of the {H * W} kernels, each {K_h} × {K_w}, drawn "
        "over the window it is multiplied with. A pixel's kernel depends on that pixel alone: "
        "like colours make like kernels."
    )
    write(LEFT, 80, meaning)
    left, right = (axes(x, TOP, W * scale, H * scale) for x in (LEFT, MIDDLE))
    show_photo(left, photo, (H, W))
    draw_atlas(right, trace, photo, 0, limit)
    for ax, title in ((left, f"The photo, {H} × {W} pixels"), (right, "Its kernels")):
        label(ax, title, "row ↓, column →", pad=16)
        for axis, count in ((ax.xaxis, W), (ax.yaxis, H)):
            bins: dict[str, Any] = {"nbins": min(8, max(1, count * scale // 13)), "min_n_ticks": 1}
            axis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True, **bins))
        ax.autoscale(False)
    write(LEFT, bottom, "Some of them close up", fontsize=12, fontweight="bold", color=ink)
    meaning = "Ordinary colours keep their value; black and white take that of their neighbours."
    write(MIDDLE, bottom + 2, meaning)
    halo = [withStroke(linewidth=3.5, foreground=hex_of(PAPER))]
    mark: dict[str, Any] = {"color": hex_of(ACCENT), "path_effects": halo}
    tag = {"fontsize": 12, "fontweight": "bold", "ha": "center", "va": "center", **mark}
    for n, (letter, (i, j)) in enumerate(zip(LETTERS, pixels, strict=False)):
        out = 2 / scale  # around the pixel, which stays visible
        outline(left, (j - 0.5 - out, i - 0.5 - out), (1 + 2 * out, 1 + 2 * out), 1.5, **mark)
        # Beside a small pixel and inside a large one, towards the middle of the photo.
        beside = 9 * np.array([1 if j < W / 2 else -1, -1 if i < (H - 1) / 2 else 1])
        left.annotate(letter, (j, i), tuple(beside), textcoords="offset points", **tag)
        at = LEFT + n * (WIDTH - LEFT - 40) // len(LETTERS)
        show_photo(axes(at + 30, bottom + 42, 24, 24), photo[i : i + 1, j : j + 1], (1, 1))
        cells = axes(at, bottom + 80, CELLS * min(1, K_w / K_h), CELLS * min(1, K_h / K_w))
        signed(cells, trace.kernels[0, 0, i, j], limit, numbers=True)
        write(at + 12, bottom + 54, letter, **tag)
        write(at + 64, bottom + 54, f"row {i}, column {j}", va="center", color=ink)
    for ax in figure.axes[2:]:
        label(ax, "", ticks=False)
    bar = axes(LEFT, bottom + 100 + CELLS, 520, 16)
    signed_bar(left, limit, cax=bar, orientation="horizontal")
    meaning = "Blue subtracts a pixel of the window, orange adds it, white leaves it out."
    write(LEFT + 570, bottom + 108 + CELLS, meaning, va="center")
    return figure
