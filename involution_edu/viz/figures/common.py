"""How all figures look: the palette of the animations, on matplotlib's axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ...arguments import ArgumentError
from ...arrays import Array
from ...images import Photo
from ..animation.canvas import number
from ..palette import INK, LINE, MUTED, PAPER, SHADES, Colour, diverging, luminance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def of_matplotlib(colour: Colour) -> str:
    """Return a colour as matplotlib spells it.

    Examples
    --------
    >>> of_matplotlib((208, 0, 111))
    '#d0006f'
    """
    return "#{:02x}{:02x}{:02x}".format(*colour)


def figure_of(ax: Axes | None, size: tuple[float, float]) -> tuple[Figure, Axes]:
    """Return ``ax`` and its figure; without one a new figure of ``size`` inches, which no window shows."""
    if ax is None:
        figure = new_figure(size)
        return figure, figure.add_subplot()
    return cast("Figure", ax.figure), ax


def figure_of_many(
    axes: Any, count: int, size: tuple[float, float], columns: int | None = None
) -> tuple[Figure, list[Axes]]:
    """Return ``count`` axes and their figure, as `figure_of` does for one.

    Raises
    ------
    ValueError
        If there are fewer than ``count`` in ``axes``.
    """
    if axes is None:
        figure = new_figure(size)
        across = columns or count
        grid = figure.subplots(-(-count // across), across, squeeze=False)
        for ax in grid.flat[count:]:
            ax.set_axis_off()
        return figure, list(grid.flat[:count])
    given = list(np.asarray(axes).flat)
    if len(given) < count:
        raise ArgumentError("axes", f"has {len(given)} entries", str(count))
    return figure_of(given[0], size)[0], given[:count]


def new_figure(size: tuple[float, float]) -> Figure:
    """Return an empty figure of ``size`` inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, facecolor=of_matplotlib(PAPER), layout="constrained", dpi=110)


def title(ax: Axes, text: str, meaning: str = "") -> None:
    """Write what is shown above ``ax`` and, in small letters, what it means."""
    ink = of_matplotlib(INK)
    ax.set_title(text, loc="left", fontsize=12, fontweight="bold", color=ink, pad=8)
    if meaning:
        ax.set_xlabel(meaning, fontsize=9, color=of_matplotlib(MUTED), loc="left")


def plain(ax: Axes, ticks: bool = True) -> None:
    """Give ``ax`` thin lines and small muted numbers, or no numbers."""
    for spine in ax.spines.values():
        spine.set_color(of_matplotlib(LINE))
    ax.tick_params(labelsize=8, colors=of_matplotlib(MUTED), length=3)
    if not ticks:
        ax.set_xticks([])
        ax.set_yticks([])


def pale(photo: Photo) -> Photo:
    """Return ``photo`` bleached, to draw on."""
    bleached: Photo = np.rint(115 + 0.55 * photo).astype(np.uint8)
    return bleached


def signed(ax: Axes, values: Array, limit: float, digits: int | None = None) -> None:
    """Draw ``values`` (rows, columns): blue below 0, white at 0, orange above."""
    colours = diverging(values, limit)
    ax.imshow(colours, interpolation="nearest")
    if digits is None:
        return
    for (r, c), value in np.ndenumerate(values):
        ink = of_matplotlib(INK) if luminance(colours[r, c].tolist()) > 0.2 else "white"
        text = number(float(value), digits)
        ax.text(c, r, text, ha="center", va="center", fontsize=8, color=ink)


def signed_bar(ax: Axes, limit: float, label: str = "") -> None:
    """Draw the colour bar of `signed` beside ``ax``, with 0 marked."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    scale = ScalarMappable(Normalize(-limit, limit), ListedColormap(SHADES / 255.0))
    _bar(ax, scale, label, ticks=[-limit, 0, limit], extend="both")


def unsigned(
    ax: Axes, values: Array, limit: float, label: str = "", extend: str = "neither"
) -> None:
    """Draw ``values`` from dark at 0 to yellow at ``limit``, and their colour bar."""
    image = ax.imshow(values, cmap="cividis", vmin=0, vmax=limit, interpolation="nearest")
    _bar(ax, image, label, ticks=[0, limit / 2, limit], extend=extend)


def _bar(ax: Axes, scale: Any, label: str, ticks: list[float], extend: str) -> None:
    figure, _ = figure_of(ax, (0, 0))
    bar = figure.colorbar(scale, ax=ax, shrink=0.8, ticks=ticks, extend=extend, aspect=25, pad=0.02)
    bar.ax.tick_params(labelsize=8, colors=of_matplotlib(MUTED), length=3)
    bar.ax.set_yticklabels([f"{tick:g}".replace("-", "−") for tick in ticks])
    bar.outline.set_edgecolor(of_matplotlib(LINE))
    if 0 in ticks and ticks[0] < 0:
        bar.ax.axhline(0, color=of_matplotlib(INK), linewidth=1.2)
    bar.set_label(label, fontsize=9, color=of_matplotlib(MUTED))
