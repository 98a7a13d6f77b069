"""Kernels of every stage of a network, as maps of their sums."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from ...arrays import Array
from ...images import Photo
from ...nn import Module
from ..measures import kernel_sum
from ..palette import INK, MUTED, limit_of
from ..recording import involution_names, record
from ..trace import OperatorTrace
from .common import hex_of, label, new_figure, show_photo, signed, signed_bar

GROUPS = 3  # drawn of each stage
TITLE = "Kernels of every stage: one number for each pixel"
NOTES = """\
Colour: the sum of the K × K numbers of
the kernel that a pixel generated, in the
last involution of each stage. Blue is
below 0, white 0, orange above.

Top row: the mean of all groups.
Below: the groups whose sums differ most
from pixel to pixel.

Each stage has a scale of its own."""


def record_stages(model: Module, x: Array) -> dict[str, OperatorTrace]:
    """Return the trace of the last involution of every module of ``model`` itself, by its name."""
    last = {name.partition(".")[0]: name for name in involution_names(model)}
    return {stage: record(model, x, layer=name) for stage, name in last.items()}


def stage_maps(traces: Mapping[str, OperatorTrace], photo: Photo) -> Figure:
    """Draw maps of the sums of the kernels: a column for each stage.

    The first map of a column is the mean of all groups; below it are the groups that vary most.

    Parameters
    ----------
    traces : mapping of str to OperatorTrace
        As `record_stages` returns them.
    photo : ndarray, shape (H, W, 3), uint8
        The input of the network.

    References
    ----------
    Li et al., CVPR 2021, arXiv:2103.06255, whose heat maps show these sums.

    Examples
    --------
    A small RedNet has involutions in three stages, and convolutions in its stem:

    >>> from involution_edu import models
    >>> from involution_edu.images import photo_to_x
    >>> photo = np.random.default_rng(0).integers(0, 256, (16, 20, 3), np.uint8)
    >>> traces = record_stages(models.small_rednet(10, 3, rng=0).eval(), photo_to_x(photo))
    >>> figure = stage_maps(traces, photo)
    >>> [ax.get_title(loc="left") for ax in figure.axes[:4]]
    ['input', 'layer1', 'layer2', 'layer3']
    """
    columns = 1 + len(traces)
    figure = new_figure((2.5 * columns, 12.0))
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
    figure.suptitle(TITLE, x=0.01, ha="left", fontsize=16, fontweight="bold", color=hex_of(INK))
    grid = figure.subplots(1 + GROUPS, columns, squeeze=False)
    show_photo(grid[0, 0], photo, photo.shape[:2])
    label(grid[0, 0], "input", f"{photo.shape[0]} × {photo.shape[1]} pixels\n", ticks=False)
    grid[1, 0].text(0, 1, NOTES, va="top", fontsize=7.5, color=hex_of(MUTED), linespacing=1.5)
    for (stage, trace), axes in zip(traces.items(), grid.T[1:], strict=True):
        geom, sums = trace.geom, kernel_sum(trace.kernels[0])  # (G, H_out, W_out)
        size = f"{geom.window[0]} × {geom.window[1]} kernels at {geom.H_out} × {geom.W_out} pixels"
        shown = {"mean of all groups": sums.mean(axis=0)}
        varied = np.argsort(-sums.std(axis=(1, 2)), kind="stable")[:GROUPS]
        shown |= {f"group {g} of {geom.G}": sums[g] for g in varied if geom.G > 1}
        limit = limit_of(np.stack(list(shown.values())))
        for n, (ax, (name, values)) in enumerate(zip(axes, shown.items(), strict=False)):
            signed(ax, values, limit)
            label(ax, "" if n else stage, name if n else f"{name}\n{size}", ticks=False)
        signed_bar(list(axes), limit, location="bottom")
    for ax in grid.flat:
        if not ax.images:
            ax.set_axis_off()
    return figure
