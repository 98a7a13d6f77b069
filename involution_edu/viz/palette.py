"""Palette of every picture, and the colour of a number.

Blue is negative, white is zero, orange is positive. The hues are distinct with every kind of
colour blindness, and a darker shade is a larger number, also in greyscale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

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
BLUE: Colour = (18, 68, 132)  # the ends of the colour scale
ORANGE: Colour = (166, 70, 0)

# Colours at -1, -1/2, 0, 1/2 and 1 times the limit; SHADES interpolates between them.
_ANCHORS = np.array([BLUE, (122, 174, 220), (255, 255, 255), (247, 172, 92), ORANGE])
_HALF = 32
SHADES = np.rint(
    [np.interp(np.linspace(-1, 1, 2 * _HALF + 1), (-1, -0.5, 0, 0.5, 1), a) for a in _ANCHORS.T]
).T.astype(np.uint8)


def limit_of(a: Array) -> float:
    """Return the limit of a colour scale for ``a``: the 99th percentile of abs(a), in two digits."""
    # At least the smallest number that is written in the pictures: rounding errors stay white.
    return max(0.01, float(f"{np.percentile(np.abs(a), 99):.2g}"))


def diverging(a: Array | float, limit: float) -> Photo:
    """Return the colour of every number: blue at -limit, white at 0, orange at limit."""
    index = np.rint(np.clip(np.asarray(a) / limit, -1, 1) * _HALF).astype(int) + _HALF
    shades: Photo = SHADES[index]
    return shades


def luminance(colour: Sequence[int]) -> float:
    """Return the relative luminance of a colour as WCAG 2 defines it: 0 for black, 1 for white."""
    linear = ((c / 255 + 0.055) / 1.055 if c > 10 else 0.0 for c in colour)
    return math.fsum(w * c**2.4 for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


class GifPalette:
    """At most 256 colours: exact for numbers and lines; the rest approximates the photos."""

    TRANSPARENT = 0  # index of a pixel that stays as in the frame before
    _UNUSED: Colour = (255, 0, 255)

    def __init__(self, *photos: Photo) -> None:
        from PIL import Image

        # The smooth edges of letters have shades between ink and paper, and kernels in light too.
        shades = (INK, 18), (MUTED, 6), (ACCENT, 6)
        texts = [np.rint(np.linspace(c, PAPER, n, endpoint=False)) for c, n in shades]
        drawn = np.concatenate([[PAPER, LINE, EMPTY], *texts, SHADES]).astype(np.uint8)
        strip = np.concatenate([photo.reshape(-1, 3) for photo in photos])[np.newaxis]
        reduced = Image.fromarray(strip).quantize(255 - len(drawn), kmeans=2)
        photo_colours = np.array(reduced.getpalette(), dtype=np.uint8).reshape(-1, 3)
        colours = np.unique(np.concatenate([drawn, photo_colours]), axis=0)
        colours = colours[(colours != self._UNUSED).any(axis=1)]
        self.colours = np.concatenate([np.array([self._UNUSED], np.uint8), colours])
        self._nearest = _nearest_colour(self.colours)

    def indices(self, frame: Photo) -> NDArray[np.uint8]:
        """Return the palette index (rows, columns) of every pixel of an RGB frame."""
        indices: NDArray[np.uint8] = self._nearest[tuple(np.moveaxis(frame, -1, 0))]
        return indices


def _nearest_colour(colours: Photo) -> NDArray[np.uint8]:
    """Return a table from [red, green, blue] to the index: exact for ``colours``, near for the rest."""
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
