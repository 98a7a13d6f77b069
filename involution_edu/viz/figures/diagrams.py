"""Diagrams read from objects: the array shapes of a layer, the blocks of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from ...models import Bottleneck, ResidualNetwork
from ...nn import Conv2d, Involution2d, Linear, MaxPool2d, Module
from ..palette import ACCENT, BLUE, INK, LINE, MUTED, PAPER, Colour
from ..trace import Trace
from .common import figure_of, hex_of, label

WHITE: Colour = (255, 255, 255)
PINK: Colour = (250, 226, 238)


@dataclass(frozen=True, slots=True)
class Box:
    """A box of a diagram: its middle, its two lines of text, and its size."""

    x: float
    y: float
    name: str
    detail: str
    colour: Colour = WHITE
    width: float = 1.7
    height: float = 0.72


def shape_diagram(trace: Trace, *, ax: Axes | None = None) -> Figure:
    """Draw the arrays of an involution layer with their shapes, and the steps from one to the next.

    Parameters
    ----------
    trace : Trace
    ax : Axes, optional
        Where to draw; if not given, on a new figure.

    Examples
    --------
    >>> import numpy as np
    >>> from involution_edu import nn
    >>> from involution_edu.viz import record
    >>> layer = nn.Involution2d(8, 3, groups=2, rng=0, dtype=float).eval()
    >>> figure = shape_diagram(record(layer, np.zeros((1, 8, 5, 6))))
    >>> "(1, 2, 3, 3, 5, 6)" in [text.get_text() for text in figure.axes[0].texts]
    True
    """
    figure, ax = figure_of(ax, (10.5, 3.7))
    spanned, (K_h, K_w), C_g = len(trace.span_weight), trace.geom.window, trace.geom.C_g
    flat = (trace.geom.N, spanned, trace.geom.H_out, trace.geom.W_out)
    x, y = Box(0.0, 0.0, "x", f"{trace.x.shape}"), Box(11.0, 0.0, "y", f"{trace.y.shape}")
    reduced = Box(3.4, 1.4, "reduced", f"{trace.reduced.shape}")
    span = Box(6.4, 1.4, "spanned", f"{flat}")
    kernel = Box(9.3, 1.4, "kernel", f"{trace.kernel.shape}", PINK)
    windows = Box(5.4, -1.4, "windows of x", f"{trace.patches.shape}", width=2.4)
    stages = " → ".join(trace.stages)
    for start, end, words in (
        (x, reduced, f"reduce 1×1\n{trace.reduce_weight.size} weights\n{stages}"),
        (reduced, span, f"span 1×1\n{trace.span_weight.size + spanned} weights"),
        (span, kernel, "reshape\n0 weights"),
        (x, windows, f"stride {trace.geom.stride[0]}\ndilation {trace.geom.dilation[0]}"),
        (kernel, y, f"shared by\nC_g = {C_g} channels"),
        (windows, y, f"times kernel, summed\nover {K_h}·{K_w} taps"),
    ):
        _arrow(ax, start, end, words)
    for box in (x, reduced, span, kernel, windows, y):
        _box(ax, box)
    _finish(ax, f"An involution generates {spanned} = G·K·K numbers at every pixel")
    return figure


def block_diagram(model: ResidualNetwork, *, ax: Axes | None = None) -> Figure:
    """Draw a RedNet or ResNet: its stages, and the layers of the first block of each.

    Names, sizes and weights are read from the modules.

    Parameters
    ----------
    model : ResidualNetwork
    ax : Axes, optional
        Where to draw; if not given, on a new figure.

    Examples
    --------
    >>> from involution_edu import models
    >>> figure = block_diagram(models.small_rednet(10, rng=0))
    >>> [text.get_text() for text in figure.axes[0].texts if "layer" in text.get_text()]
    ['layer1', 'layer2', 'layer3']
    """
    children = model.children()
    figure, ax = figure_of(ax, (1.75 * len(children), 4.1))
    before: Box | None = None
    for column, (name, module) in enumerate(children.items()):
        stage = Box(2.1 * column, 0.0, name, weights(module))
        if before is not None:
            _arrow(ax, before, stage, "")
        _box(ax, stage)
        before, y = stage, -0.62
        for line in inside(module):
            first, _, second = line.partition("\n")
            colour, edge = (PINK, ACCENT) if first.startswith("involution") else (PAPER, LINE)
            _box(ax, Box(stage.x, y - 0.28, first, second, colour, 1.7, 0.5), edge, 8)
            y -= 0.58
    pink = "; the layers in pink generate a kernel at every pixel"
    involutions = any(isinstance(layer, Involution2d) for _, layer in model.named_modules())
    _finish(ax, weights(model) + pink * involutions)
    return figure


def weights(module: Module) -> str:
    """Return the number of weights of ``module``, in words."""
    count = sum(parameter.data.size for parameter in module.parameters())
    if count >= 100_000:
        return f"{count / 1e6:.2f} M weights"
    return f"{count:,} weights" if count else "no weights"


def inside(module: Module) -> list[str]:
    """Return a line for each layer of ``module``; of a stage, the count and layers of its blocks."""
    blocks = [child for child in module.children().values() if isinstance(child, Bottleneck)]
    if not blocks:
        # An involution's own convolutions are not layers of the network.
        lines = [line for child in module.children().values() for line in inside(child)]
        return _line(module) or lines
    first, shortcut = blocks[0], inside(blocks[0].downsample)
    lines = ["1 block"] if len(blocks) == 1 else [f"{len(blocks)} blocks\nthe first:"]
    for part in (first.conv1, first.conv2, first.conv3):
        lines += _line(part)
    return [*lines, f"+ {shortcut[0]}" if shortcut else "+ x itself"]


def _line(layer: Module) -> list[str]:
    if isinstance(layer, Linear):
        out_features, in_features = layer.weight.data.shape
        return [f"{in_features} → {out_features}"]
    if not isinstance(layer, Involution2d | Conv2d | MaxPool2d):
        return []
    window, stride = f"{layer.window[0]}×{layer.window[1]}", f"stride {layer.stride[0]}"
    strided = max(layer.stride) > 1
    if isinstance(layer, Involution2d):
        reduced = layer.conv1.state_dict()["conv.weight"]
        r = reduced.shape[1] // reduced.shape[0]
        return [f"involution {window}" + f", {stride}" * strided + f"\nG = {layer.groups}, r = {r}"]
    if isinstance(layer, Conv2d):
        out_channels, in_channels = layer.weight.data.shape[:2]
        window = f"{window}, {in_channels} → {out_channels}"
    else:
        window = f"largest of {window}"
    return [window + f"\n{stride}" * strided]


def _box(ax: Axes, box: Box, edge: Colour = BLUE, letters: int = 11) -> None:
    corner = box.x - box.width / 2, box.y - box.height / 2
    look = FancyBboxPatch(corner, box.width, box.height, "round,pad=0,rounding_size=0.08")
    look.set(facecolor=hex_of(box.colour), edgecolor=hex_of(edge), linewidth=1.2)
    ax.add_patch(look)
    ink, muted = hex_of(INK), hex_of(MUTED)
    up = 0.2 * box.height if box.detail else 0.0
    bold = "bold" if letters > 8 else "normal"
    middle: dict[str, Any] = {"ha": "center", "va": "center"}
    ax.text(box.x, box.y + up, box.name, fontsize=letters, fontweight=bold, color=ink, **middle)
    ax.text(box.x, box.y - up - 0.03, box.detail, fontsize=8, color=muted, **middle)


def _arrow(ax: Axes, start: Box, end: Box, words: str) -> None:
    level = start.y == end.y
    tail, head = (start.x + start.width / 2, start.y), (end.x - end.width / 2, end.y)
    if not level and abs(end.x - start.x) < start.width + 0.5:  # nearly below each other
        tail, head = (start.x + 0.4, start.y - start.height / 2), (end.x, end.y + end.height / 2)
    muted, paper = hex_of(MUTED), hex_of(PAPER)
    arrow: dict[str, Any] = {"arrowstyle": "-|>", "color": muted, "shrinkA": 2, "shrinkB": 2}
    ax.annotate("", head, tail, arrowprops=arrow)
    x, y = (tail[0] + head[0]) / 2, (tail[1] + head[1]) / 2
    text: dict[str, Any] = {"fontsize": 8, "color": muted, "ha": "center"}
    if level:
        ax.text(x, y + 0.08, words, va="bottom", **text)
    else:
        ground = {"facecolor": paper, "edgecolor": "none", "pad": 1}
        ax.text(x, y, words, va="center", bbox=ground, **text)


def _finish(ax: Axes, title: str) -> None:
    label(ax, title)
    ax.set_aspect("equal")
    ax.margins(0.03)
    ax.autoscale_view()
    ax.set_axis_off()
