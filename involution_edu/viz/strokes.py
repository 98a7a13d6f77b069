"""Kernels as light strokes over a dark photo: their shapes are seen at a glance."""

from __future__ import annotations

from itertools import product

import numpy as np

from ..arguments import Pair
from ..arrays import Array
from ..images import Photo
from .measures import orientation
from .palette import INK, PAPER

BRIGHTNESS = 0.42  # of the photo below the strokes
ROUND = 0.25  # strength of the direction below which a kernel is nearly round
SMOOTH = 4  # the strokes are drawn that much larger, and scaled down


def strokes(photo: Photo, kernels: Array, zoom: int, every: int) -> Photo:
    """Draw kernels as ellipses over the enlarged, darkened photo: an edge's kernel is a stroke.

    An ellipse has the direction of the long axis of ``|kernel|``, and its width is to its length as
    the variance across that axis is to the variance along it. A kernel is drawn in every block of
    ``every`` rows and columns: that of its most elongated pixel, or if none is, of the middle one.

    Parameters
    ----------
    photo : ndarray, shape (H, W, 3), uint8
    kernels : ndarray, shape (H, W, K_h, K_w)
    zoom : int
        Rows and columns of the picture for a pixel of the photo.
    every : int
        Of the photo, at least 2.

    Returns
    -------
    picture : ndarray, shape (H * zoom, W * zoom, 3), uint8

    Examples
    --------
    Kernels that add up three pixels of their row are horizontal strokes:

    >>> photo, kernels = np.zeros((6, 6, 3), np.uint8), np.zeros((6, 6, 3, 3))
    >>> kernels[:, :, 1] = 1 / 3
    >>> light = strokes(photo, kernels, zoom=4, every=6)[..., 0]
    >>> light.max(axis=0).mean() > 3 * light.max(axis=1).mean()
    True
    """
    from PIL import Image, ImageDraw

    H, W = photo.shape[:2]
    mask = Image.new("L", (W * zoom * SMOOTH, H * zoom * SMOOTH))
    pen = ImageDraw.Draw(mask)
    angle, strength = orientation(kernels)
    around = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    for i, j in stroke_pixels(strength, every, max(kernels.shape[2:])):
        ratio = (1 - strength[i, j]) / (1 + strength[i, j])
        length = every * zoom * SMOOTH * 0.52 * (1 - 0.5 * ratio)  # half of it, as the width's
        along = length * np.cos(around), max(0.26, ratio) * length * np.sin(around)
        c, s = np.cos(np.radians(angle[i, j])), np.sin(np.radians(angle[i, j]))
        x = (j + 0.5) * zoom * SMOOTH + c * along[0] + s * along[1]
        y = (i + 0.5) * zoom * SMOOTH - s * along[0] + c * along[1]
        pen.polygon(list(zip(x.tolist(), y.tolist(), strict=True)), fill=255)
    light = np.asarray(mask.resize((W * zoom, H * zoom), Image.Resampling.BOX))[..., np.newaxis]
    dark = BRIGHTNESS * photo.repeat(zoom, axis=0).repeat(zoom, axis=1)
    return np.rint(dark + light / 255 * (PAPER - dark)).astype(np.uint8)


def lit(kernel: Array) -> Photo:
    """Return a picture of ``|kernel|``, a pixel for each tap: light is the largest, dark is 0."""
    share = np.abs(kernel) / (np.abs(kernel).max() or 1)
    return np.rint(INK + share[..., np.newaxis] * np.subtract(PAPER, INK)).astype(np.uint8)


def stroke_pixels(strength: Array, every: int, border: int) -> list[Pair]:
    """Return a pixel of each block of (H, W): the strongest, or the middle one if all are weak.

    Windows beyond the photo's edge see its zeros, so that ``border`` rows and columns are left out
    where there is room.
    """
    chosen = []
    tops, lefts = (_starts(pixels, every, border) for pixels in strength.shape)
    for top, left in product(tops, lefts):
        block = strength[top : top + every, left : left + every]
        at = np.unravel_index(block.argmax(), block.shape)
        i, j = at if block[at] > ROUND else np.array(block.shape) // 2
        chosen.append((top + int(i), left + int(j)))
    return chosen


def _starts(pixels: int, every: int, border: int) -> range:
    border = border if pixels >= 2 * border + every else 0
    count = max(1, (pixels - 2 * border) // every)
    first = max(0, pixels - count * every) // 2  # as much is left over at both ends
    return range(first, first + count * every, every)
