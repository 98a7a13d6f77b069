"""How much the kernels of different channels differ: a convolution's, and involution's shared one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...arguments import ArgumentError
from ...arrays import Array
from ...nn import Conv2d
from ..palette import ACCENT, BLUE, MUTED
from ..trace import OperatorTrace
from .common import figure_of, of_matplotlib, plain, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def energy(kernels: Array) -> Array:
    """Return how much of ``kernels`` the first 1, 2, ... of K_h·K_w patterns hold, from 0 to 1.

    The kernels (..., channels, K_h, K_w) are written as the rows of a matrix for each leading
    index; its singular values, squared and added up from the largest on, are the energy that the
    best patterns hold, on average over the matrices.

    Examples
    --------
    Kernels that are all multiples of one pattern need no other:

    >>> pattern = np.arange(9.0).reshape(1, 3, 3)
    >>> energy(pattern * np.array([1.0, -2.0, 3.0]).reshape(3, 1, 1)).round(6)[0]
    np.float64(1.0)
    """
    K_h, K_w = kernels.shape[-2:]
    matrices = kernels.astype(np.float64).reshape(-1, kernels.shape[-3], K_h * K_w)
    values = np.linalg.svd(matrices, compute_uv=False) ** 2
    values = np.pad(values, ((0, 0), (0, K_h * K_w - values.shape[1])))
    sums = values.sum(axis=1, keepdims=True)
    shares = np.divide(values, sums, out=np.zeros_like(values), where=sums > 0)
    kept = shares[sums[:, 0] > 0]
    result: Array = kept.cumsum(axis=1).mean(axis=0) if len(kept) else np.zeros(K_h * K_w)
    return result


def channel_redundancy(
    convolution: Conv2d, trace: OperatorTrace, *, ax: Axes | None = None
) -> Figure:
    """Draw how few patterns hold the kernels of all channels, by singular values.

    For the convolution, each output channel has a kernel for every input channel. For the
    involution, each pixel and group has one kernel for all C_g channels: one pattern holds it
    all. The nearer the convolution's line comes to that, the more of its kernels repeat each
    other.

    Parameters
    ----------
    convolution : Conv2d
        With a window of more than one pixel; best a trained one.
    trace : OperatorTrace
        Of an involution with a window of the same size, for a fair comparison.
    ax : Axes, optional
        Where to draw; if not given, on a new figure.

    Raises
    ------
    ValueError
        If the windows differ.

    References
    ----------
    Li et al., CVPR 2021, arXiv:2103.06255, section 1, on the redundancy between channels.

    Examples
    --------
    Random kernels hardly repeat each other; the kernel that channels share is one pattern:

    >>> from involution_edu import nn, viz
    >>> convolution = nn.Conv2d(16, 16, 3, rng=0)
    >>> layer = nn.Involution2d(16, 3, rng=0).eval()
    >>> trace = viz.record(layer, np.ones((1, 16, 4, 5), np.float32))
    >>> figure = channel_redundancy(convolution, trace)
    >>> for line in figure.axes[0].lines[:2]:  # what the best pattern holds, of all
    ...     print(line.get_label(), line.get_ydata()[1].round(2))
    involution: 16 channels share one kernel 1.0
    convolution: 16 channels, a kernel each 0.48
    """
    weight = convolution.weight.data  # (C_out, C_in, K_h, K_w)
    if weight.shape[2:] != trace.geom.window:
        raise ArgumentError(
            "convolution",
            f"has a window of {weight.shape[2:]}",
            f"{trace.geom.window}, as in trace",
        )
    figure, ax = figure_of(ax, (6.4, 4.2))
    shared = np.repeat(trace.kernels[0].reshape(-1, 1, *trace.geom.window), trace.geom.C_g, axis=1)
    for kernels, name, colour, mark in (
        (shared, f"involution: {trace.geom.C_g} channels share one kernel", ACCENT, "s"),
        (weight, f"convolution: {weight.shape[1]} channels, a kernel each", BLUE, "o"),
    ):
        line = energy(kernels)
        ranks = np.arange(1, len(line) + 1)
        ax.plot(ranks, line, marker=mark, color=of_matplotlib(colour), label=name, markersize=5)
    most = min(weight.shape[1], len(ranks))  # patterns that so many channels can have
    ax.plot([0, most], [0, 1], "--", color=of_matplotlib(MUTED), linewidth=1)
    ax.annotate(
        "all patterns needed alike", (most * 0.5, 0.5), (8, -12), textcoords="offset points",
        fontsize=9, color=of_matplotlib(MUTED),
    )  # fmt: skip
    ax.set_ylim(0, 1.05)
    ax.set_ylabel("energy held", fontsize=9, color=of_matplotlib(MUTED))
    ax.legend(fontsize=9, frameon=False, loc="lower right")
    plain(ax)
    meaning = f"patterns kept, of K·K = {len(ranks)}"
    title(ax, "How many patterns do the kernels of all channels need?", meaning)
    return figure
