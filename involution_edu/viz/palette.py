"""Colours: one palette for every picture, and the way from numbers to colours.

Blue is negative, white is zero, orange is positive: these can be told apart with every kind of
colour blindness, and dark against light says how large a number is even in grey.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array
from ..images import Photo

Colour = tuple[int, int, int]

PAPER: Colour = (252, 251, 248)
INK: Colour = (31, 36, 48)
MUTED: Colour = (102, 109, 122)
LINE: Colour = (206, 204, 198)
EMPTY: Colour = (236, 234, 229)
ACCENT: Colour = (208, 0, 111)
BLUE: Colour = (18, 68, 132)  # the ends of the scale of numbers
ORANGE: Colour = (166, 70, 0)

# Colours at -1, -1/2, 0, 1/2 and 1 times the limit; then all shades between them.
_ANCHORS = np.array([BLUE, (122, 174, 220), (255, 255, 255), (247, 172, 92), ORANGE])
_HALF = 32
SHADES = np.rint(
    [np.interp(np.linspace(-1, 1, 2 * _HALF + 1), (-1, -0.5, 0, 0.5, 1), a) for a in _ANCHORS.T]
).T.astype(np.uint8)


def limit_of(a: Array) -> float:
    """Return the end of a colour scale for ``a``: its 99th percentile in size, two digits.

    The few numbers beyond it get the colour of the end. It is at least 0.01, the smallest number
    that is written beside the colours, lest rounding errors look like something.

    Examples
    --------
    >>> limit_of(np.array([0.0, -3.14159]))
    3.1
    """
    return max(0.01, float(f"{np.percentile(np.abs(a), 99):.2g}"))


def diverging(a: Array | float, limit: float) -> Photo:
    """Return the colour of every number: blue at -limit, white at 0, orange at limit.

    Examples
    --------
    >>> diverging(np.array([0.0, 7.0]), limit=1.0)
    array([[255, 255, 255],
           [166,  70,   0]], dtype=uint8)
    """
    place = np.rint(np.clip(np.asarray(a) / limit, -1, 1) * _HALF).astype(int) + _HALF
    shades: Photo = SHADES[place]
    return shades


def luminance(colour: Sequence[int]) -> float:
    """Return how light a colour looks, from 0 for black to 1 for white (that of WCAG 2).

    Examples
    --------
    >>> luminance((255, 255, 255)), round(luminance((18, 68, 132)), 2)
    (1.0, 0.06)
    """
    linear = ((c / 255 + 0.055) / 1.055 if c > 10 else 0.0 for c in colour)
    return math.fsum(w * c**2.4 for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def as_photo(y: Array, limit: float) -> Photo:
    """Return channels (3, H, W) as a photo (H, W, 3): 0 is middle grey, the limit is 255.

    Examples
    --------
    >>> as_photo(np.array([-1.0, 0.0, 1.0]).reshape(3, 1, 1), limit=1.0)
    array([[[  0, 128, 255]]], dtype=uint8)
    """
    bytes_ = np.rint(127.5 + 127.5 * np.clip(y / limit, -1, 1)).astype(np.uint8)
    return np.ascontiguousarray(bytes_.transpose(1, 2, 0))


class GifPalette:
    """At most 256 colours for an animation, and every colour's nearest among them.

    The colours of the numbers and the lines are in it exactly; what is left goes to the photos.
    Number 0 is kept for "as in the frame before".
    """

    TRANSPARENT = 0
    _KEPT: Colour = (255, 0, 255)

    def __init__(self, *photos: Photo) -> None:
        from PIL import Image

        texts = [_blends(colour, PAPER) for colour in (INK, MUTED, ACCENT)]
        drawn = np.concatenate([[PAPER, LINE, EMPTY], *texts, SHADES]).astype(np.uint8)
        strip = np.concatenate([photo.reshape(-1, 3) for photo in photos])[np.newaxis]
        reduced = Image.fromarray(strip).quantize(255 - len(drawn), kmeans=2)
        photo_colours = np.array(reduced.getpalette(), dtype=np.uint8).reshape(-1, 3)
        colours = np.unique(np.concatenate([drawn, photo_colours]), axis=0)
        colours = colours[(colours != self._KEPT).any(axis=1)]
        self.colours = np.concatenate([np.array([self._KEPT], np.uint8), colours])
        self._nearest = _nearest_colour(self.colours)

    def numbers(self, frame: Photo) -> NDArray[np.uint8]:
        """Return the palette number (rows, columns) of every pixel of an RGB frame."""
        red, green, blue = np.moveaxis(frame, -1, 0)
        numbers: NDArray[np.uint8] = self._nearest[red, green, blue]
        return numbers


def _blends(ink: Colour, paper: Colour, steps: int = 6) -> NDArray[Any]:
    """Return the shades that the smooth edges of letters have."""
    part = np.linspace(0, 1, steps, endpoint=False)[:, np.newaxis]
    blends: NDArray[Any] = np.rint((1 - part) * ink + part * np.array(paper))
    return blends


def _nearest_colour(colours: Photo) -> NDArray[np.uint8]:
    """Return a table [red, green, blue] -> number: exact for the colours, close for the rest."""
    steps = np.arange(0, 256, 8) + 3.5  # the middle of each block of 8 x 8 x 8 colours
    blocks = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)
    c = colours.astype(np.float64)
    # |block - c|^2 without |block|^2, which is the same for every c
    distance = (c**2).sum(axis=1) - 2 * blocks @ c.T
    distance[..., GifPalette.TRANSPARENT] = np.inf
    block_number = distance.argmin(axis=-1).astype(np.uint8)
    table = np.kron(block_number, np.ones((8, 8, 8), np.uint8))
    table[tuple(colours.T)] = np.arange(len(colours))
    return table
