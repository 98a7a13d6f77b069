"""Arrays drawn side by side, with their numbers in the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import ArgumentError
from ..arrays import Array
from ..viz.palette import SHADES, diverging, limit_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MIN_CELL = 0.3  # inches; numbers in smaller cells could not be read
DARK = 0.7  # cells beyond this share of the limit have white numbers


def show(
    limit: float | None = None, *, outline: tuple[Any, int, int, int] | None = None, **arrays: Array
) -> Figure:
    """Return a figure of two-dimensional arrays, titled by their names.

    Blue is negative, white zero, orange positive, on one scale for all arrays; numbers are written
    in the cells if they fit. One colour bar serves all.

    Parameters
    ----------
    limit : float, optional
        The number with the darkest colour; by default the largest absolute value, or the 99th
        percentile where cells are too small for numbers.
    outline : (str or list of str, int, int, int), optional
        The window to outline: name of its array or arrays, row and column of its centre, and K.
    **arrays : ndarray, shape (rows, columns)

    Raises
    ------
    ValueError
        If there is no array, or one does not have two axes.

    Examples
    --------
    >>> figure = show(x=np.eye(3), kernel=-np.ones((3, 3)), outline=("x", 0, 2, 3))
    >>> [axes.get_title() for axes in figure.axes]
    ['x (3 × 3)', 'kernel (3 × 3)', '']
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    if not arrays:
        raise ArgumentError("arrays", "is empty", "one or more, such as show(x=x[0, 0])")
    for name, array in arrays.items():
        if np.ndim(array) != 2:
            raise ArgumentError(name, f"has shape {np.shape(array)}", "(rows, columns)")
    widths = [max(3, np.shape(array)[1]) for array in arrays.values()]
    cell = min(0.55, 9.5 / sum(widths))
    values = np.nan_to_num(np.concatenate([np.ravel(a) for a in arrays.values()]))
    largest = float(np.abs(values).max(initial=0)) if cell >= MIN_CELL else 0
    limit = limit or largest or limit_of(values)
    height = cell * max(np.shape(array)[0] for array in arrays.values()) + 0.5
    figure = Figure(
        figsize=(cell * sum(widths) + 0.3 * len(arrays) + 0.7, height), layout="constrained"
    )
    axes = figure.subplots(1, len(arrays), width_ratios=widths, squeeze=False)[0]
    for ax, (name, array) in zip(axes, arrays.items(), strict=True):
        ax.imshow(diverging(np.nan_to_num(array), limit))  # NaN is white
        ax.set_title(f"{name} ({array.shape[0]} × {array.shape[1]})", fontsize=9)
        ax.set_xticks(np.arange(-0.5, array.shape[1]), minor=True)
        ax.set_yticks(np.arange(-0.5, array.shape[0]), minor=True)
        ax.grid(which="minor", color="0.85", linewidth=0.5)
        ax.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
        if cell >= MIN_CELL:
            digits = 0 if np.array_equal(array, np.rint(array)) else 2
            for (i, j), value in np.ndenumerate(array):
                style = {"color": "white" if abs(value) > DARK * limit else "black"}
                style |= {"ha": "center", "va": "center", "fontsize": 72 * cell / 3.6}
                ax.text(j, i, f"{value:z.{digits}f}", **style)
        if outline is not None and name in np.atleast_1d(outline[0]):
            _, row, column, K = outline
            corner = (column - K / 2, row - K / 2)
            ax.add_patch(
                Rectangle(corner, K, K, fill=False, edgecolor="black", linewidth=2.5, clip_on=False)
            )
    scale = ScalarMappable(Normalize(-limit, limit), ListedColormap(SHADES / 255))
    figure.colorbar(scale, ax=list(axes), aspect=12, pad=0.02).ax.tick_params(labelsize=8)
    return figure
