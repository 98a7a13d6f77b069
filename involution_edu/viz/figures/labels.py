"""Labels of the pixels of a photo, beside the kernels of a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...images import Photo
from ...nn.losses import Labels
from ..trace import OperatorTrace
from .common import label, new_figure, show_photo
from .maps import l1_norm_map, orientation_map

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def segmentation(photo: Photo, truth: Labels | None, found: Labels, trace: OperatorTrace) -> Figure:
    """Draw a photo, its true and found labels (H, W), and long axes and norms of the kernels."""
    from matplotlib import colormaps
    from matplotlib.patches import Patch

    panels = {"input": None, "true labels": truth, "labels of the network": found}
    if truth is None:
        del panels["true labels"]
    figure = new_figure((4.2 * len(panels) + 9.2, 4.9))
    axes: Any = figure.subplots(1, len(panels) + 2)
    colours = np.vstack([np.zeros(4), colormaps["tab10"](range(10))])  # the background is clear
    for ax, (title, labels) in zip(axes, panels.items(), strict=False):
        show_photo(ax, photo, photo.shape[:2], pale=labels is not None)
        label(ax, title, ticks=False)
        if labels is not None:
            ax.imshow(colours[labels], interpolation="nearest")
            there = np.unique(labels[labels > 0]).tolist()
            names = [Patch(color=colours[n], label=str(n - 1)) for n in there]
            ax.legend(handles=names, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=5)
    orientation_map(trace, photo=photo, ax=axes[-2])
    l1_norm_map(trace, ax=axes[-1])
    return figure
