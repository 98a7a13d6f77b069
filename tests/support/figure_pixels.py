"""Colours of a matplotlib figure at given points."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from involution_edu.images import Photo


def pixels(figure: Figure) -> Photo:
    """Return the figure as the colours of its pixels."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def colours_at(shown: Photo, ax: Axes, points: Any) -> Photo:
    """Return the colours of ``points`` (n, 2), rows and columns of the data of ``ax``."""
    places = ax.transData.transform(np.asarray(points, float)[:, ::-1])
    x, y = np.floor(places).astype(int).T
    colours: Photo = shown[shown.shape[0] - 1 - y, x]
    return colours
