"""Maps: one number for the kernel of every output pixel, on a fixed scale to compare maps by."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...arrays import Array
from ...images import Photo
from ..measures import centroid, entropy, kernel_sum, l1_norm, orientation
from ..palette import ACCENT
from ..trace import OperatorTrace
from .common import figure_of, hex_of, kernels_of, label, show_photo, signed, signed_bar, unsigned

Indices = NDArray[np.intp]

SUM_LIMIT, NORM_LIMIT = 2.0, 4.0  # ends of the scales; numbers beyond have the colour of the end
MAX_ARROWS = 18  # arrows or dashes along a side
MAP = (5.4, 5.6)  # inches


def kernel_sum_map(
    trace: OperatorTrace, *, group: int = 0, limit: float = SUM_LIMIT, ax: Axes | None = None
) -> Figure:
    """Draw Σ kernel at every output pixel: the output where the input is 1 everywhere.

    Parameters
    ----------
    trace : OperatorTrace
    group : int
    limit : float
        Ends of the scale.
    ax : Axes, optional
        Where to draw; if not given, on a new figure.

    Raises
    ------
    ValueError
        If there is no such group.

    Examples
    --------
    >>> from involution_edu.viz import record_operator
    >>> trace = record_operator(np.ones((1, 1, 4, 5)), np.full((1, 1, 3, 3, 4, 5), 0.1))
    >>> figure = kernel_sum_map(trace)
    >>> figure.savefig("sum.png")  # doctest: +SKIP
    """
    figure, ax = figure_of(ax, MAP)
    signed(ax, kernel_sum(kernels_of(trace, group)), limit)
    signed_bar(ax, limit)
    label(ax, f"Σ kernel, group {group}", "1 keeps a uniform area as it is, 0 removes it")
    return figure


def l1_norm_map(
    trace: OperatorTrace, *, group: int = 0, limit: float = NORM_LIMIT, ax: Axes | None = None
) -> Figure:
    """Draw ``Σ|kernel|`` at every output pixel, from 0 to ``limit``.

    Parameters
    ----------
    trace, group, limit, ax
        As in `kernel_sum_map`.

    Examples
    --------
    >>> from involution_edu.viz import record_operator
    >>> trace = record_operator(np.ones((1, 1, 4, 5)), np.full((1, 1, 3, 3, 4, 5), -0.1))
    >>> l1_norm_map(trace).axes[0].images[0].get_array()[0, 0].round(3)
    np.float64(0.9)
    """
    figure, ax = figure_of(ax, MAP)
    unsigned(ax, l1_norm(kernels_of(trace, group)), limit, extend="max")
    label(ax, f"L1 norm Σ|kernel|, group {group}", "strength of a kernel, whatever its signs")
    return figure


def entropy_map(trace: OperatorTrace, *, group: int = 0, ax: Axes | None = None) -> Figure:
    """Draw the entropy of ``|kernel|`` at every output pixel, 0 to 1.

    Parameters
    ----------
    trace, group, ax
        As in `kernel_sum_map`.

    Examples
    --------
    >>> from involution_edu.viz import record_operator
    >>> trace = record_operator(np.ones((1, 1, 4, 5)), np.full((1, 1, 3, 3, 4, 5), 0.1))
    >>> entropy_map(trace).axes[0].images[0].get_array()[0, 0].round(3)
    np.float64(1.0)
    """
    figure, ax = figure_of(ax, MAP)
    unsigned(ax, entropy(kernels_of(trace, group)), 1.0)
    meaning = "0: a single tap is not zero; 1: all taps have one size"
    label(ax, f"Entropy of |kernel|, group {group}", meaning)
    return figure


def centroid_map(
    trace: OperatorTrace, *, group: int = 0, photo: Photo | None = None, ax: Axes | None = None
) -> Figure:
    """Draw the distance of the centroid of ``|kernel|`` from the middle, and arrows to it.

    The scale ends at half the window, the maximum.

    Parameters
    ----------
    trace : OperatorTrace
    group : int
    photo : ndarray, shape (H', W', 3), uint8, optional
        Drawn pale under the arrows in place of the distances; of any size, over the area of the
        output.
    ax : Axes, optional
        Where to draw; if not given, on a new figure.

    Examples
    --------
    >>> from involution_edu.viz import record_operator
    >>> trace = record_operator(np.ones((1, 1, 8, 9)), np.full((1, 1, 3, 3, 8, 9), 0.1))
    >>> ax = centroid_map(trace).axes[0]
    >>> len(ax.collections[0].get_offsets())  # one arrow for each of 8 x 9 pixels
    72
    """
    figure, ax = figure_of(ax, MAP)
    offset = centroid(kernels_of(trace, group))  # (H_out, W_out, 2)
    farthest = max((max(trace.geom.window) - 1) / 2, 0.5)
    ink = _background(ax, trace, photo, np.hypot(offset[..., 0], offset[..., 1]), farthest)
    i, j, step = _thinned(trace)
    down, right = offset[i, j, 0], offset[i, j, 1]
    # An offset of one tap is drawn a little longer than the space between two arrows.
    ax.quiver(
        j, i, right, down, color=ink, angles="xy", scale_units="xy", scale=0.7 / step, width=0.005
    )
    label(ax, f"Centroid of |kernel|, group {group}", "arrows: offset from the middle, in taps")
    return figure


def orientation_map(
    trace: OperatorTrace, *, group: int = 0, photo: Photo | None = None, ax: Axes | None = None
) -> Figure:
    """Draw the long axis of ``|kernel|`` as a dash, on its strength or on ``photo``.

    A dash as long as the space between two dashes is a kernel that is a line; a dot is a round
    one.

    Parameters
    ----------
    trace, group, photo, ax
        As in `centroid_map`.

    Examples
    --------
    >>> from involution_edu.viz import record_operator
    >>> trace = record_operator(np.ones((1, 1, 8, 9)), np.full((1, 1, 3, 3, 8, 9), 0.1))
    >>> ax = orientation_map(trace).axes[0]
    >>> len(ax.collections[0].get_segments())  # one dash for each of 8 x 9 pixels
    72
    """
    figure, ax = figure_of(ax, MAP)
    angle, strength = orientation(kernels_of(trace, group))
    ink = _background(ax, trace, photo, strength, 1.0)
    i, j, step = _thinned(trace)
    length = 0.5 * step * strength[i, j]
    across, up = (length * f(np.radians(angle[i, j])) for f in (np.cos, np.sin))
    ends = np.stack([j - across, i + up, j + across, i - up], -1).reshape(-1, 2, 2)
    ax.add_collection(LineCollection(list(ends), colors=ink, linewidths=2.0))
    meaning = "dashes: the line of the large entries; dot: a round kernel"
    label(ax, f"Orientation of |kernel|, group {group}", meaning)
    return figure


def _background(
    ax: Axes, trace: OperatorTrace, photo: Photo | None, values: Array, limit: float
) -> str:
    """Draw ``values``, or the pale photo over the same area; return a colour to draw on it with."""
    if photo is None:
        unsigned(ax, values, limit)
        return "white"
    show_photo(ax, photo, (trace.geom.H_out, trace.geom.W_out), pale=True)
    return hex_of(ACCENT)


def _thinned(trace: OperatorTrace) -> tuple[Indices, Indices, int]:
    """Return the rows and the columns of evenly spaced output pixels, and their spacing."""
    H, W = trace.geom.H_out, trace.geom.W_out
    step = -(-max(H, W) // MAX_ARROWS)
    rows, columns = (np.arange((n - 1) % step // 2, n, step) for n in (H, W))
    i, j = np.meshgrid(rows, columns, indexing="ij")
    return i, j, step
