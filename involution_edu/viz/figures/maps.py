"""Maps: one number for the kernel of every output pixel, per group, on scales that are fixed.

A scale does not follow the numbers, so that two maps of a kind can be compared. Each function
draws one group of the first image, on ``ax`` or on a figure of its own, and returns the figure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...arguments import ArgumentError, as_int
from ...arrays import Array
from ...images import Photo
from ..measures import centre, orientation, size, spread, total
from ..palette import ACCENT
from ..trace import OperatorTrace
from .common import figure_of, of_matplotlib, pale, plain, signed, signed_bar, title, unsigned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Indices = NDArray[np.intp]

SUMS, SIZES = 2.0, 4.0  # ends of the scales; what lies beyond has the colour of the end
ARROWS = 18  # most arrows or dashes along a side
MAP = (5.4, 5.6)  # inches


def kernels_of(trace: OperatorTrace, group: int) -> Array:
    """Return the kernels (H_out, W_out, K_h, K_w) of a group of the first image."""
    group = as_int("group", group, 0)
    if group >= trace.geom.G:
        raise ArgumentError("group", f"is {group}", f"0 to {trace.geom.G - 1}")
    kernels: Array = trace.kernels[0, group]
    return kernels


def sum_map(
    trace: OperatorTrace, *, group: int = 0, limit: float = SUMS, ax: Axes | None = None
) -> Figure:
    """Draw Σ kernel at every output pixel: what each would make of an area that is 1 everywhere.

    Parameters
    ----------
    trace : OperatorTrace
    group : int
    limit : float
        Ends of the scale.
    ax : Axes, optional
        Where to draw; if not given, on a new figure.

    Returns
    -------
    figure : Figure

    Raises
    ------
    ValueError
        If there is no such group.

    Examples
    --------
    >>> from involution_edu.viz import record_operator
    >>> trace = record_operator(np.ones((1, 1, 4, 5)), np.full((1, 1, 3, 3, 4, 5), 0.1))
    >>> figure = sum_map(trace)
    >>> figure.savefig("sum.png")  # doctest: +SKIP
    """
    figure, ax = figure_of(ax, MAP)
    signed(ax, total(kernels_of(trace, group)), limit)
    signed_bar(ax, limit)
    plain(ax)
    title(ax, f"Σ kernel, group {group}", "1 keeps an even area as it is, 0 removes it")
    return figure


def size_map(
    trace: OperatorTrace, *, group: int = 0, limit: float = SIZES, ax: Axes | None = None
) -> Figure:
    """Draw ``Σ|kernel|`` at every output pixel; see `sum_map` for the arguments.

    Parameters
    ----------
    trace : OperatorTrace
    group : int
    limit : float
        Upper end of the scale.
    ax : Axes, optional
        Where to draw; if not given, on a new figure.

    Returns
    -------
    figure : Figure

    Examples
    --------
    >>> from involution_edu import viz
    >>> rng = np.random.default_rng(0)
    >>> x, kernel = rng.standard_normal((1, 2, 8, 9)), rng.standard_normal((1, 2, 3, 3, 8, 9))
    >>> trace = viz.record_operator(x, kernel)
    >>> size_map(trace, group=1).axes[0].images[0].get_array().shape[:2]
    (8, 9)
    """
    figure, ax = figure_of(ax, MAP)
    unsigned(ax, size(kernels_of(trace, group)), limit, extend="max")
    plain(ax)
    title(ax, f"Σ|kernel|, group {group}", "how strong a kernel is, whatever its signs")
    return figure


def entropy_map(trace: OperatorTrace, *, group: int = 0, ax: Axes | None = None) -> Figure:
    """Draw the entropy of ``|kernel|`` at every output pixel, 0 to 1; see `sum_map`.

    Parameters
    ----------
    trace : OperatorTrace
    group : int
    ax : Axes, optional
        Where to draw; if not given, on a new figure.

    Returns
    -------
    figure : Figure

    Examples
    --------
    >>> from involution_edu import viz
    >>> rng = np.random.default_rng(0)
    >>> x, kernel = rng.standard_normal((1, 2, 8, 9)), rng.standard_normal((1, 2, 3, 3, 8, 9))
    >>> trace = viz.record_operator(x, kernel)
    >>> entropy_map(trace, group=1).axes[0].images[0].get_array().shape[:2]
    (8, 9)
    """
    figure, ax = figure_of(ax, MAP)
    unsigned(ax, spread(kernels_of(trace, group)), 1.0)
    plain(ax)
    meaning = "0: one place of the window counts; 1: all alike"
    title(ax, f"Entropy of |kernel|, group {group}", meaning)
    return figure


def centre_map(
    trace: OperatorTrace,
    *,
    group: int = 0,
    photo: Photo | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw how far the centre of mass of ``|kernel|`` lies off the middle, and arrows to where.

    The scale ends at half the window, the farthest there is. With a ``photo`` of the size of the
    output the arrows lie on it instead of on the distances; see `sum_map` for the rest.

    Parameters
    ----------
    trace : OperatorTrace
    group : int
    photo : ndarray, shape (H', W', 3), uint8, optional
        Drawn pale under them; of any size, over the area of the output.
    ax : Axes, optional
        Where to draw; if not given, on a new figure.

    Returns
    -------
    figure : Figure

    Examples
    --------
    >>> from involution_edu import viz
    >>> rng = np.random.default_rng(0)
    >>> x, kernel = rng.standard_normal((1, 2, 8, 9)), rng.standard_normal((1, 2, 3, 3, 8, 9))
    >>> trace = viz.record_operator(x, kernel)
    >>> ax = centre_map(trace, group=1).axes[0]
    >>> len(ax.collections[0].get_offsets())  # one arrow for each of 8 x 9 pixels
    72
    """
    figure, ax = figure_of(ax, MAP)
    offset = centre(kernels_of(trace, group))  # (H_out, W_out, 2)
    farthest = max((max(trace.geom.window) - 1) / 2, 0.5)
    ink = _background(ax, trace, photo, np.hypot(offset[..., 0], offset[..., 1]), farthest)
    i, j, step = _thinned(trace)
    down, right = offset[i, j, 0], offset[i, j, 1]
    # An arrow of one place of the window is as long as the space between two arrows, and more.
    look: dict[str, Any] = {
        "angles": "xy",
        "scale_units": "xy",
        "scale": 0.7 / step,
        "width": 0.005,
    }
    ax.quiver(j, i, right, down, color=ink, **look)
    plain(ax)
    meaning = "arrows: where in its window the weight lies, in places"
    title(ax, f"Centre of mass of |kernel|, group {group}", meaning)
    return figure


def orientation_map(
    trace: OperatorTrace,
    *,
    group: int = 0,
    photo: Photo | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the long axis of ``|kernel|`` as a dash, on the strength of it or on ``photo``.

    A dash as long as the space between two dashes is a kernel that is a line; a dot is a round
    one. See `centre_map` for the arguments.

    Parameters
    ----------
    trace : OperatorTrace
    group : int
    photo : ndarray, shape (H', W', 3), uint8, optional
        Drawn pale under them; of any size, over the area of the output.
    ax : Axes, optional
        Where to draw; if not given, on a new figure.

    Returns
    -------
    figure : Figure

    Examples
    --------
    >>> from involution_edu import viz
    >>> rng = np.random.default_rng(0)
    >>> x, kernel = rng.standard_normal((1, 2, 8, 9)), rng.standard_normal((1, 2, 3, 3, 8, 9))
    >>> trace = viz.record_operator(x, kernel)
    >>> ax = orientation_map(trace, group=1).axes[0]
    >>> len(ax.collections[0].get_segments())  # one dash for each of 8 x 9 pixels
    72
    """
    from matplotlib.collections import LineCollection

    figure, ax = figure_of(ax, MAP)
    angle, strength = orientation(kernels_of(trace, group))
    ink = _background(ax, trace, photo, strength, 1.0)
    i, j, step = _thinned(trace)
    length = 0.5 * step * strength[i, j]
    across, up = (length * f(np.radians(angle[i, j])) for f in (np.cos, np.sin))
    ends = np.stack([j - across, i + up, j + across, i - up], -1).reshape(-1, 2, 2)
    ax.add_collection(LineCollection(list(ends), colors=ink, linewidths=2.0))
    plain(ax)
    meaning = "dashes: where the large entries line up; dot: nowhere"
    title(ax, f"Orientation of |kernel|, group {group}", meaning)
    return figure


def _background(
    ax: Axes, trace: OperatorTrace, photo: Photo | None, values: Array, limit: float
) -> str:
    """Draw ``values``, or the pale photo over the same area; return a colour to draw on it with."""
    if photo is None:
        unsigned(ax, values, limit)
        return "white"
    H, W = trace.geom.H_out, trace.geom.W_out
    ax.imshow(pale(photo), extent=(-0.5, W - 0.5, H - 0.5, -0.5), interpolation="nearest")
    return of_matplotlib(ACCENT)


def _thinned(trace: OperatorTrace) -> tuple[Indices, Indices, int]:
    """Return the rows and the columns of evenly spaced output pixels, and how far apart they are."""
    H, W = trace.geom.H_out, trace.geom.W_out
    step = -(-max(H, W) // ARROWS)
    rows, columns = (np.arange((n - 1) % step // 2, n, step) for n in (H, W))
    i, j = np.meshgrid(rows, columns, indexing="ij")
    return i, j, step
