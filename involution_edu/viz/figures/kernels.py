"""Kernels themselves: over the photo, in all groups, where else they occur, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...arguments import Pair
from ...arrays import Array
from ...images import Photo
from ..measures import distance
from ..palette import ACCENT, INK, diverging, limit_of
from ..trace import OperatorTrace
from .common import (
    figure_of,
    hex_of,
    kernels_of,
    label,
    new_figure,
    outline,
    show_photo,
    signed,
    signed_bar,
    unsigned,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GAP = 2  # output pixels left between two kernels of the atlas


def kernel_atlas(
    trace: OperatorTrace, photo: Photo, *, group: int = 0, ax: Axes | None = None
) -> Figure:
    """Draw many kernels over the photo, each over the window that it is multiplied with.

    Parameters
    ----------
    trace : OperatorTrace
        Its first image is drawn.
    photo : ndarray, shape (H', W', 3), uint8
        The photo that the kernels were made from; of any size.
    group : int
    ax : Axes, optional
        Where to draw; if not given, on a new figure.

    Examples
    --------
    >>> from involution_edu.viz import record_operator
    >>> trace = record_operator(np.ones((1, 1, 9, 9)), np.ones((1, 1, 3, 3, 9, 9)))
    >>> figure = kernel_atlas(trace, np.zeros((9, 9, 3), np.uint8))
    >>> len(figure.axes[0].patches)  # the frames of 2 x 2 kernels
    4
    """
    figure, ax = figure_of(ax, (7.2, 7.2))
    limit = limit_of(trace.kernel)
    draw_atlas(ax, trace, photo, group, limit)
    signed_bar(ax, limit)
    meaning = "each kernel covers its window; rows and columns of the input"
    label(ax, f"Kernels over their windows, group {group}", meaning)
    return figure


def draw_atlas(ax: Axes, trace: OperatorTrace, photo: Photo, group: int, limit: float) -> None:
    """Draw the pale photo on ``ax``, and on it the kernels of `atlas_pixels`, each with a frame."""
    kernels, geom = kernels_of(trace, group), trace.geom
    show_photo(ax, photo, (geom.H, geom.W), pale=True)
    (s_h, s_w), (p_h, p_w), (d_h, d_w) = geom.stride, geom.padding, geom.dilation
    top, left = -p_h - d_h / 2, -p_w - d_w / 2  # of the window of pixel (0, 0), in input pixels
    # Two rows and columns of the overlay for each of the padded input: a cell of an even
    # dilation ends in the middle of a pixel.
    rows, columns = geom.padded_size[0] + d_h, geom.padded_size[1] + d_w
    overlay = np.zeros((2 * rows, 2 * columns, 4), np.uint8)
    for i, j in atlas_pixels(trace):
        cells = diverging(kernels[i, j], limit).repeat(2 * d_h, axis=0).repeat(2 * d_w, axis=1)
        height, width = cells.shape[:2]
        part = overlay[2 * i * s_h :, 2 * j * s_w :][:height, :width]
        part[..., :3], part[..., 3] = cells, 255
        corner = left + j * s_w, top + i * s_h
        outline(ax, corner, (width / 2, height / 2), color=hex_of(INK))
    edges = (left, left + columns, top + rows, top)
    ax.imshow(overlay, extent=edges, interpolation="nearest")
    ax.set_xlim(-0.5, geom.W - 0.5)
    ax.set_ylim(geom.H - 0.5, -0.5)


def atlas_pixels(trace: OperatorTrace) -> list[Pair]:
    """Return output pixels whose windows do not overlap, as many as fit with gaps between them."""
    geom = trace.geom
    sizes, chosen = (geom.H_out, geom.W_out), []
    for pixels, extent, s in zip(sizes, geom.extent, geom.stride, strict=True):
        step = -(-extent // s) + GAP
        last = max(0, (pixels + GAP) // step - 1) * step
        start = (pixels - last - 1) // 2  # about as much is left over on both sides
        chosen.append(range(start, start + last + 1, step))
    return [(i, j) for i in chosen[0] for j in chosen[1]]


def all_groups(trace: OperatorTrace, pixel: Pair) -> Figure:
    """Draw the kernels that one output pixel made for each group, with their numbers.

    Parameters
    ----------
    trace : OperatorTrace
    pixel : (int, int)
        Output row and column.

    Examples
    --------
    >>> from involution_edu.viz import record_operator
    >>> trace = record_operator(np.ones((1, 4, 8, 9)), np.ones((1, 2, 3, 3, 8, 9)))
    >>> figure = all_groups(trace, (2, 5))
    >>> [ax.get_title(loc="left") for ax in figure.axes[:2]]
    ['group 0', 'group 1']
    """
    (G, C_g), limit = (trace.geom.G, trace.geom.C_g), limit_of(trace.kernel)
    columns = min(G, 4)
    rows = -(-G // columns)
    figure = new_figure((2.6 * columns + 0.8, 2.7 * rows + 0.3))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for group, ax in enumerate(axes[:G]):
        signed(ax, kernels_of(trace, group)[pixel], limit, numbers=True)
        channels = f"channels {group * C_g} to {group * C_g + C_g - 1}"
        label(ax, f"group {group}", channels if C_g > 1 else f"channel {group}", ticks=False)
    for ax in axes[G:]:
        ax.set_axis_off()
    signed_bar(axes[G - 1], limit)
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
    """Draw the distance of every kernel to that of one pixel, and mark the nearest.

    Parameters
    ----------
    trace : OperatorTrace
    photo : ndarray, shape (H', W', 3), uint8
        Of any size; drawn small in a corner.
    pixel : (int, int)
        Output row and column of the kernel that is looked for.
    group : int
    count : int
        How many of the nearest kernels are marked, none within a window of another.
    ax : Axes, optional
        Where to draw; if not given, on a new figure.

    Examples
    --------
    >>> from involution_edu.viz import record_operator
    >>> trace = record_operator(np.ones((1, 1, 8, 9)), np.ones((1, 1, 3, 3, 8, 9)))
    >>> figure = nearest_kernels(trace, np.zeros((8, 9, 3), np.uint8), (2, 5), count=3)
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1', '2', '3']
    """
    figure, ax = figure_of(ax, (5.4, 5.6))
    kernels = kernels_of(trace, group)
    distances = distance(kernels, kernels[pixel])
    unsigned(ax, distances, 1.0, label="distance")
    for n, (i, j) in enumerate([pixel, *nearest_pixels(trace, distances, pixel, count)]):
        colour, width = ("white", 1.4) if n else (hex_of(ACCENT), 2.2)
        outline(ax, (j - 0.9, i - 0.9), (1.8, 1.8), width, color=colour)
        if n:
            beside: dict[str, Any] = {"xytext": (3, 3), "textcoords": "offset points"}
            ax.annotate(f"{n}", (j, i), fontsize=8, color="white", **beside)
    inset = ax.inset_axes((0.02, 0.74, 0.22, 0.24))
    show_photo(inset, photo, (trace.geom.H_out, trace.geom.W_out))
    inset.plot(pixel[1], pixel[0], "s", color=hex_of(ACCENT), markersize=3)
    label(inset, "", ticks=False)
    meaning = "‖a − b‖ / (‖a‖ + ‖b‖): 0 for equal kernels, 1 for opposite ones"
    label(ax, f"Kernels like that of pixel {pixel}", meaning)
    return figure


def nearest_pixels(trace: OperatorTrace, distances: Array, pixel: Pair, count: int) -> list[Pair]:
    """Return the ``count`` pixels of the least distance, a window apart, nearest first."""
    left = distances.astype(float).copy()
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
    before: OperatorTrace, after: OperatorTrace, pixels: Sequence[Pair], *, group: int = 0
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

    Examples
    --------
    >>> from involution_edu.viz import record_operator
    >>> x, kernel = np.ones((1, 1, 8, 9)), np.ones((1, 1, 3, 3, 8, 9))
    >>> before, after = record_operator(x, kernel), record_operator(x, 2 * kernel)
    >>> figure = before_and_after(before, after, [(0, 0), (4, 7)])
    >>> [ax.get_title(loc="left") for ax in figure.axes[:4]]
    ['before (0, 0)', 'before (4, 7)', 'after (0, 0)', 'after (4, 7)']
    """
    figure = new_figure((1.9 * len(pixels) + 0.8, 4.6))
    rows = figure.subplots(2, len(pixels), squeeze=False)
    for axes, name, trace in zip(rows, ("before", "after"), (before, after), strict=True):
        limit = limit_of(trace.kernel)
        for ax, pixel in zip(axes, pixels, strict=True):
            signed(ax, kernels_of(trace, group)[pixel], limit, numbers=True)
            label(ax, f"{name} {pixel}", ticks=False, size=9)
        signed_bar(axes[-1], limit)
    return figure
