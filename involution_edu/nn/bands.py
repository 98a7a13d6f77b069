"""Bands of output rows: an involution layer computed in parts, so that its kernels stay small."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..arguments import Pair
from ..arrays import Array, array_module, kind_of_array
from ..geometry import Geometry

# Of the kernels of a band: about a last-level CPU cache, and enough work for all threads of a GPU.
MAX_BAND_BYTES = {"numpy": 1 << 22, "cupy": 1 << 27}


@dataclass(frozen=True, slots=True)
class Band:
    """Some rows of the output, and the rows of the inputs that they are computed from."""

    rows: slice  # of y and of the reduced features
    generator_rows: slice  # of the layer's input, whose kernels these are: stride times `rows`
    input_rows: slice  # of the operator's input, in the windows of the band
    # Rows of zeros above and below those, for windows that reach over the edge of the image. They
    # come in addition to the padding in `options`, which is the same on both sides.
    extra_zeros: Pair
    options: dict[str, Any]  # arguments of `involution` for the result of `cut`

    def cut(self, x: Array) -> Array:
        """Return the input rows with the extra zeros."""
        rows = x[:, :, self.input_rows]
        if self.extra_zeros == (0, 0):
            return rows
        padded: Array = array_module(x).pad(rows, ((0, 0), (0, 0), self.extra_zeros, (0, 0)))
        return padded

    def add(self, dcut: Array, dx: Array) -> None:
        """Add the gradient of `cut` to ``dx``; the windows of neighbouring bands overlap."""
        above, below = self.extra_zeros
        dx[:, :, self.input_rows] += dcut[:, :, above : dcut.shape[2] - below]


def bands(geom: Geometry, max_rows: int) -> Iterator[Band]:
    """Yield the bands of an image, of about equal height and at most ``max_rows`` output rows."""
    count = -(-geom.H_out // max_rows) if geom.N else 1  # an empty batch has no kernels
    stride, (p_h, p_w) = geom.stride[0], geom.padding
    for n in range(count):
        i0, i1 = geom.H_out * n // count, geom.H_out * (n + 1) // count
        h0, h1 = i0 * stride - p_h, (i1 - 1) * stride - p_h + geom.extent[0]
        above, below = max(-h0, 0), max(h1 - geom.H, 0)
        both = min(above, below)
        yield Band(
            rows=slice(i0, i1),
            generator_rows=slice(i0 * stride, i1 * stride),
            input_rows=slice(max(h0, 0), min(h1, geom.H)),
            extra_zeros=(above - both, below - both),
            options={"stride": geom.stride, "padding": (both, p_w), "dilation": geom.dilation},
        )


def rows_that_fit(geom: Geometry, like: Array) -> int:
    """Return how many output rows have kernels, of the dtype of ``like``, of `MAX_BAND_BYTES`."""
    row = geom.N * geom.G * geom.window[0] * geom.window[1] * geom.W_out * like.itemsize
    return max(1, MAX_BAND_BYTES[kind_of_array(like) or "numpy"] // max(1, row))
