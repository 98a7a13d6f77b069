"""Kernels themselves: over the photo, in all groups, where else they occur, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...arguments import Pair
from ...arrays import Array
from ...images import Photo
from ..measures import unlikeness
from ..palette import ACCENT, INK, diverging, limit_of
from ..trace import OperatorTrace
from .common import (
    figure_of,
    figure_of_many,
    of_matplotlib,
    pale,
    plain,
    signed,
    signed_bar,
    title,
    unsigned,
)
from .maps import kernels_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GAP = 2  # output pixels left between two kernels of the atlas
NUMBERS = 5  # rows and columns up to which a kernel has room for its numbers


def kernel_atlas(
    trace: OperatorTrace,
    photo: Photo,
    *,
    group: int = 0,
    limit: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw many kernels over the photo, each over the window that it is multiplied with.

    Parameters
    ----------
    trace : OperatorTrace
        Its first image is drawn.
    photo : ndarray, shape (H', W', 3), uint8
        What the kernels were made from; of any size.
    group : int
    limit : float, optional
        Ends of the colours; if not given, those of all kernels of the trace.
    ax : Axes, optional
        Where to draw; if not given, on a new figure.

    Returns
    -------
    figure : Figure

    Examples
    --------
    >>> from involution_edu.viz import record_operator
    >>> trace = record_operator(np.ones((1, 1, 9, 9)), np.ones((1, 1, 3, 3, 9, 9)))
    >>> figure = kernel_atlas(trace, np.zeros((9, 9, 3), np.uint8))
    >>> len(figure.axes[0].images)  # the photo and 2 x 2 kernels
    5
    """
    figure, ax = figure_of(ax, (7.2, 7.2))
    kernels, geom = kernels_of(trace, group), trace.geom
    limit = limit_of(trace.kernel) if limit is None else limit
    height, width = geom.H, geom.W
    ax.imshow(pale(photo), extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="nearest")
    for i, j in atlas_pixels(trace):
        top, left = (
            at * s - p - d / 2
            for at, s, p, d in zip((i, j), geom.stride, geom.padding, geom.dilation, strict=True)
        )
        bottom, right = (
            start + d * k
            for start, d, k in zip((top, left), geom.dilation, geom.window, strict=True)
        )
        colours = diverging(kernels[i, j], limit)
        ax.imshow(colours, extent=(left, right, bottom, top), interpolation="nearest")
        edges = {"fill": False, "edgecolor": of_matplotlib(INK), "linewidth": 0.5}
        _rectangle(ax, (left, top), (right - left, bottom - top), **edges)
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height - 0.5, -0.5)
    signed_bar(ax, limit)
    plain(ax)
    meaning = "each kernel lies over its window; rows and columns of the input"
    title(ax, f"Kernels where they work, group {group}", meaning)
    return figure


def atlas_pixels(trace: OperatorTrace) -> list[Pair]:
    """Return output pixels whose windows do not overlap, as many as fit with gaps between them."""
    geom = trace.geom
    rows, columns = (
        _apart(pixels, -(-extent // s) + GAP)
        for pixels, extent, s in zip(
            (geom.H_out, geom.W_out), geom.extent, geom.stride, strict=True
        )
    )
    return [(i, j) for i in rows for j in columns]


def _apart(pixels: int, step: int) -> range:
    """Return every ``step``-th of ``pixels``, with about as much left over on both sides."""
    count = max(1, (pixels + GAP) // step)
    start = (pixels - (count - 1) * step - 1) // 2
    return range(start, start + (count - 1) * step + 1, step)


def _rectangle(
    ax: Axes, corner: tuple[float, float], size: tuple[float, float], **look: Any
) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle(corner, *size, **look))


def all_groups(
    trace: OperatorTrace,
    pixel: Pair,
    *,
    limit: float | None = None,
    axes: Sequence[Axes] | None = None,
) -> Figure:
    """Draw the kernels that one output pixel made for each group, with their numbers.

    Parameters
    ----------
    trace : OperatorTrace
    pixel : (int, int)
        Output row and column.
    limit : float, optional
        Ends of the colours; if not given, those of all kernels of the trace.
    axes : sequence of Axes, optional
        G of them; if not given, on a new figure.

    Examples
    --------
    >>> from involution_edu import viz
    >>> rng = np.random.default_rng(0)
    >>> x, kernel = rng.standard_normal((1, 4, 8, 9)), rng.standard_normal((1, 2, 3, 3, 8, 9))
    >>> trace = viz.record_operator(x, kernel)
    >>> figure = all_groups(trace, (2, 5))
    >>> [ax.get_title(loc="left") for ax in figure.axes[: trace.geom.G]]
    ['group 0', 'group 1']
    """
    G = trace.geom.G
    columns = min(G, 4)
    rows = -(-G // columns)
    figure, given = figure_of_many(axes, G, (2.6 * columns + 0.8, 2.7 * rows + 0.3), columns)
    limit = limit_of(trace.kernel) if limit is None else limit
    C_g = trace.geom.C_g
    for group, ax in enumerate(given):
        kernel = kernels_of(trace, group)[pixel]
        _kernel(ax, kernel, limit)
        channels = f"channels {group * C_g} to {group * C_g + C_g - 1}"
        title(ax, f"group {group}", channels if C_g > 1 else f"channel {group}")
    signed_bar(given[-1], limit)
    return figure


def nearest_kernels(
    trace: OperatorTrace,
    photo: Photo,
    pixel: Pair,
    *,
    group: int = 0,
    count: int = 8,
    ax: Axes | None = None,
) -> Figure:
    """Show where else the kernel of a pixel occurs: how unlike every other kernel is to it.

    Parameters
    ----------
    trace : OperatorTrace
    photo : ndarray, shape (H', W', 3), uint8
        Of any size; drawn pale where kernels are unlike.
    pixel : (int, int)
        Output row and column of the kernel that is looked for.
    group : int
    count : int
        The most alike of the others are marked, none within a window of another.
    ax : Axes, optional
        Where to draw; if not given, on a new figure.

    Examples
    --------
    >>> from involution_edu import viz
    >>> rng = np.random.default_rng(0)
    >>> x, kernel = rng.standard_normal((1, 4, 8, 9)), rng.standard_normal((1, 2, 3, 3, 8, 9))
    >>> trace = viz.record_operator(x, kernel)
    >>> photo = np.full((8, 9, 3), 128, np.uint8)
    >>> figure = nearest_kernels(trace, photo, (2, 5), group=1, count=3)
    >>> [text.get_text() for text in figure.axes[0].texts][:3]
    ['1', '2', '3']
    """
    figure, ax = figure_of(ax, (5.4, 5.6))
    kernels = kernels_of(trace, group)
    distance = unlikeness(kernels, kernels[pixel])
    unsigned(ax, distance, 1.0, label="unlikeness")
    for n, (i, j) in enumerate([pixel, *nearest_pixels(trace, distance, pixel, count)]):
        colour, width = (of_matplotlib(ACCENT), 2.2) if n == 0 else ("white", 1.4)
        _rectangle(
            ax, (j - 0.9, i - 0.9), (1.8, 1.8), fill=False, edgecolor=colour, linewidth=width
        )
        if n:
            ax.annotate(
                f"{n}", (j, i), (3, 3), textcoords="offset points", fontsize=8, color="white"
            )
    inset = ax.inset_axes((0.02, 0.74, 0.22, 0.24))
    H, W = trace.geom.H_out, trace.geom.W_out
    inset.imshow(photo, extent=(-0.5, W - 0.5, H - 0.5, -0.5))
    inset.plot(pixel[1], pixel[0], "s", color=of_matplotlib(ACCENT), markersize=3)
    plain(inset, ticks=False)
    plain(ax)
    meaning = "‖a − b‖ / (‖a‖ + ‖b‖): 0 the same kernel, 1 its opposite"
    title(ax, f"Where else is the kernel of {pixel}?", meaning)
    return figure


def nearest_pixels(trace: OperatorTrace, distance: Array, pixel: Pair, count: int) -> list[Pair]:
    """Return the ``count`` pixels of the least ``distance`` that lie a window apart, nearest first."""
    left = distance.astype(float).copy()
    (K_h, K_w), chosen, at = trace.geom.window, [], pixel
    for _ in range(count + 1):
        i, j = at
        left[max(0, i - K_h + 1) : i + K_h, max(0, j - K_w + 1) : j + K_w] = np.inf
        at = divmod(int(left.argmin()), left.shape[1])
        if np.isinf(left[at]):
            break
        chosen.append(at)
    return chosen[:count]


def before_and_after(
    before: OperatorTrace,
    after: OperatorTrace,
    pixels: Sequence[Pair],
    *,
    group: int = 0,
    axes: Sequence[Axes] | None = None,
) -> Figure:
    """Draw the kernels of some pixels in two traces of one layer, such as before and after training.

    The upper row is ``before``, the lower ``after``, each with the scale of its own trace: random
    kernels and trained ones differ much in size.

    Parameters
    ----------
    before, after : OperatorTrace
    pixels : sequence of (int, int)
        Output rows and columns.
    group : int
    axes : sequence of Axes, optional
        Two for each pixel, the upper row first; if not given, on a new figure.

    Examples
    --------
    >>> from involution_edu import viz
    >>> rng = np.random.default_rng(0)
    >>> x, kernel = rng.standard_normal((1, 4, 8, 9)), rng.standard_normal((1, 2, 3, 3, 8, 9))
    >>> trace = viz.record_operator(x, kernel)
    >>> later = viz.record_operator(x, 2 * kernel)
    >>> figure = before_and_after(trace, later, [(0, 0), (4, 7)])
    >>> [ax.get_title(loc="left") for ax in figure.axes[:4]]
    ['before (0, 0)', 'before (4, 7)', 'after (0, 0)', 'after (4, 7)']
    """
    columns = len(pixels)
    figure, given = figure_of_many(axes, 2 * columns, (1.9 * columns + 0.8, 4.6), columns)
    for row, (name, trace) in enumerate((("before", before), ("after", after))):
        limit = limit_of(trace.kernel)
        for ax, pixel in zip(given[row * columns : (row + 1) * columns], pixels, strict=True):
            _kernel(ax, kernels_of(trace, group)[pixel], limit)
            title(ax, f"{name} {pixel}")
            ax.title.set_fontsize(9)
        signed_bar(given[(row + 1) * columns - 1], limit)
    return figure


def _kernel(ax: Axes, kernel: Array, limit: float) -> None:
    signed(ax, kernel, limit, digits=2 if max(kernel.shape) <= NUMBERS else None)
    plain(ax, ticks=False)
