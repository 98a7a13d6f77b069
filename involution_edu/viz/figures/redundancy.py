"""Redundancy of the kernels of different channels, in a convolution and in an involution."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...arguments import ArgumentError
from ...arrays import Array
from ...nn import Conv2d
from ..palette import ACCENT, BLUE, MUTED
from ..trace import OperatorTrace
from .common import figure_of, hex_of, label


def energy(kernels: Array) -> Array:
    """Return the share of squared singular values in the best 1, 2, ... patterns of the channels."""
    K_h, K_w = kernels.shape[-2:]
    matrices = kernels.astype(np.float64).reshape(-1, kernels.shape[-3], K_h * K_w)
    values = np.linalg.svd(matrices, compute_uv=False) ** 2
    values = np.pad(values, ((0, 0), (0, K_h * K_w - values.shape[1])))
    values = values[values.sum(axis=1) > 0]
    shares = values / values.sum(axis=1, keepdims=True)
    result: Array = shares.cumsum(axis=1).mean(axis=0) if len(shares) else np.zeros(K_h * K_w)
    return result


def channel_redundancy(
    trace: OperatorTrace, convolution: Conv2d, *, ax: Axes | None = None
) -> Figure:
    """Draw the energy of the kernels of all channels in their best patterns; see `energy`.

    In the convolution each output channel has a kernel for every input channel. In the
    involution each pixel and group has one kernel for all C_g channels: one pattern has all the
    energy. The nearer the convolution's line is to that, the more its kernels are redundant.

    Parameters
    ----------
    trace : OperatorTrace
        Of an involution.
    convolution : Conv2d
        With a window of the same size, for a fair comparison; best a trained one.
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
    Random kernels are hardly redundant; the kernel that channels share is one pattern:

    >>> from involution_edu import nn, viz
    >>> convolution = nn.Conv2d(16, 16, 3, rng=0)
    >>> layer = nn.Involution2d(16, 3, rng=0).eval()
    >>> trace = viz.record(layer, np.ones((1, 16, 4, 5), np.float32))
    >>> figure = channel_redundancy(trace, convolution)
    >>> for line in figure.axes[0].lines[:2]:  # energy in the best pattern
    ...     print(line.get_label(), line.get_ydata()[1].round(2))
    involution: 16 channels share one kernel 1.0
    convolution: 16 channels, a kernel each 0.48
    """
    weight = convolution.weight.data  # (C_out, C_in, K_h, K_w)
    if weight.shape[2:] != trace.geom.window:
        got = f"has a window of {weight.shape[2:]}"
        raise ArgumentError("convolution", got, f"{trace.geom.window}, as in trace")
    (figure, ax), muted = figure_of(ax, (6.4, 4.2)), hex_of(MUTED)
    shared = np.repeat(trace.kernels[0].reshape(-1, 1, *trace.geom.window), trace.geom.C_g, axis=1)
    for kernels, name, colour, mark in (
        (shared, f"involution: {trace.geom.C_g} channels share one kernel", ACCENT, "s"),
        (weight, f"convolution: {weight.shape[1]} channels, a kernel each", BLUE, "o"),
    ):
        line = energy(kernels)
        ranks = np.arange(1, len(line) + 1)
        ax.plot(ranks, line, marker=mark, color=hex_of(colour), label=name, markersize=5)
    count = min(weight.shape[1], len(ranks))  # patterns that so many channels can have
    ax.plot([0, count], [0, 1], "--", color=muted, linewidth=1)
    beside: dict[str, Any] = {"textcoords": "offset points", "fontsize": 9, "color": muted}
    ax.annotate("equal energy in all patterns", (count * 0.5, 0.5), (8, -12), **beside)
    ax.set_ylim(0, 1.05)
    ax.set_ylabel("share of the energy", fontsize=9, color=muted)
    ax.legend(fontsize=9, frameon=False, loc="lower right")
    label(ax, "Patterns in the kernels of all channels", f"patterns kept, of K·K = {len(ranks)}")
    return figure
