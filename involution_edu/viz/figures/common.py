"""Style that all figures share: the palette of the animations, on matplotlib's axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ...arguments import as_int
from ...arrays import Array
from ...images import Photo
from ..animation.canvas import number
from ..palette import INK, LINE, MUTED, PAPER, SHADES, Colour, diverging, luminance
from ..trace import OperatorTrace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110
NUMBERS = 5  # rows and columns up to which the cells of a kernel have room for numbers


def hex_of(colour: Colour) -> str:
    """Return a colour as matplotlib reads it."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def new_figure(size: tuple[float, float], layout: Any = "constrained") -> Figure:
    """Return an empty figure of ``size`` inches, which no window shows."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, dpi=DPI, facecolor=hex_of(PAPER), layout=layout)


def figure_of(ax: Axes | None, size: tuple[float, float]) -> tuple[Figure, Axes]:
    """Return the figure of ``ax``, and ``ax``; if that is None, a new figure of ``size`` inches."""
    if ax is None:
        figure = new_figure(size)
        return figure, figure.add_subplot()
    return cast("Figure", ax.figure), ax


def kernels_of(trace: OperatorTrace, group: int) -> Array:
    """Return the kernels (H_out, W_out, K_h, K_w) of a group of the first image."""
    kernels: Array = trace.kernels[0, as_int("group", group, 0, trace.geom.G - 1)]
    return kernels


def label(
    ax: Axes, title: str, meaning: str = "", *, ticks: bool = True, size: int = 12, pad: float = 8
) -> None:
    """Write the title of ``ax``, and below it, small, its meaning; draw thin lines and ticks."""
    ink, muted = hex_of(INK), hex_of(MUTED)
    ax.set_title(title, loc="left", fontsize=size, fontweight="bold", color=ink, pad=pad)
    if meaning:
        ax.set_xlabel(meaning, fontsize=9, color=muted, loc="left")
    for spine in ax.spines.values():
        spine.set_color(hex_of(LINE))
    ax.tick_params(labelsize=8, colors=muted, length=3)
    if not ticks:
        ax.set_xticks([])
        ax.set_yticks([])


def show_photo(ax: Axes, photo: Photo, size: tuple[int, int], *, pale: bool = False) -> None:
    """Draw ``photo``, of any size, over ``size`` rows and columns of ``ax``; pale to draw on it."""
    if pale:
        photo = np.rint(115 + 0.55 * photo).astype(np.uint8)
    edges = (-0.5, size[1] - 0.5, size[0] - 0.5, -0.5)
    ax.imshow(photo, extent=edges, interpolation="nearest")


def signed(ax: Axes, values: Array, limit: float, *, numbers: bool = False) -> None:
    """Draw ``values``, blue to orange; with ``numbers`` also edges and, of few cells, the numbers."""
    colours = diverging(values, limit)
    ax.imshow(colours, interpolation="nearest")
    if not numbers:
        return
    rows, columns = values.shape
    edges: dict[str, Any] = {"color": hex_of(LINE), "linewidth": 0.8}
    ax.hlines(np.arange(1, rows) - 0.5, -0.5, columns - 0.5, **edges)
    ax.vlines(np.arange(1, columns) - 0.5, -0.5, rows - 0.5, **edges)
    if max(values.shape) > NUMBERS:
        return
    for (r, c), value in np.ndenumerate(values):
        ink = hex_of(INK) if luminance(colours[r, c].tolist()) > 0.2 else "white"
        ax.text(c, r, number(float(value), 2), ha="center", va="center", fontsize=7.5, color=ink)


def outline(
    ax: Axes,
    corner: tuple[float, float],
    size: tuple[float, float],
    width: float = 0.5,
    *,
    color: str,
    **look: Any,
) -> None:
    """Draw the edges of a rectangle from its top left ``corner`` (x, y), ``size`` wide and high."""
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle(corner, *size, fill=False, linewidth=width, edgecolor=color, **look))


def signed_bar(ax: Any, limit: float, **options: Any) -> None:
    """Draw the colour bar of `signed` beside ``ax``, one axes or several, with 0 marked."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    scale = ScalarMappable(Normalize(-limit, limit), ListedColormap(SHADES / 255.0))
    _bar(ax, scale, ticks=[-limit, 0, limit], extend="both", **options)


def unsigned(
    ax: Axes, values: Array, limit: float, *, label: str = "", extend: str = "neither"
) -> None:
    """Draw ``values`` from dark at 0 to yellow at ``limit``, and their colour bar."""
    image = ax.imshow(values, cmap="cividis", vmin=0, vmax=limit, interpolation="nearest")
    _bar(ax, image, ticks=[0, limit / 2, limit], extend=extend, label=label)


def _bar(ax: Any, scale: Any, ticks: list[float], **options: Any) -> None:
    figure = np.asarray(ax).flat[0].figure
    if "cax" not in options:
        options = {"ax": ax, "shrink": 0.8, "aspect": 25, "pad": 0.02, **options}
    bar = figure.colorbar(scale, ticks=ticks, **options)
    bar.ax.tick_params(labelsize=8, colors=hex_of(MUTED), length=3)
    bar.set_ticklabels([f"{tick:g}".replace("-", "−") for tick in ticks])
    bar.outline.set_edgecolor(hex_of(LINE))
    if ticks[0] < 0:
        mark = bar.ax.axhline if bar.orientation == "vertical" else bar.ax.axvline
        mark(0, color=hex_of(INK), linewidth=1.2)
    bar.ax.yaxis.label.set(fontsize=9, color=hex_of(MUTED))
