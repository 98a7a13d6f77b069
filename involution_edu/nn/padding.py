"""Padding of images, and the pixels in the middle of the windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arguments import ArgumentError, IntOrPair, as_choice, as_pair
from ..arrays import Array, array_module
from .arguments import as_features
from .module import Module

Sizes = tuple[int, ...]  # one of each axis after the channels

MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}  # our names, NumPy's


class Pad2d(Module):
    """Add pixels of the image itself on each side of it.

    Parameters
    ----------
    padding : int or (int, int)
        Rows and columns on each side.
    mode : {"reflect", "replicate", "circular"}
        The image mirrored at its outermost pixels, these pixels repeated, or the opposite side.

    Raises
    ------
    ValueError
        If the mode is another, or the image has fewer pixels than "reflect" or "circular" copies.

    Examples
    --------
    >>> import numpy as np
    >>> pad = Pad2d((0, 1), "reflect")
    >>> pad(np.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3))
    array([[[[2., 1., 2., 3., 2.]]]])
    >>> pad.backward(np.array([10.0, 1.0, 2.0, 3.0, 20.0]).reshape(1, 1, 1, 5))
    array([[[[ 1., 32.,  3.]]]])
    """

    def __init__(self, padding: IntOrPair, mode: str) -> None:
        self.padding, self.mode = as_pair("padding", padding, 0), as_choice("mode", mode, MODES)

    def forward(self, x: Array) -> Array:
        """Return y (N, C, H + 2 p_h, W + 2 p_w)."""
        x = as_features(x)
        sources, y = [], x
        for axis, p in zip((2, 3), self.padding, strict=True):
            size = x.shape[axis]
            # The mirror has one pixel less than the image, for the outermost is not repeated.
            most = {"reflect": size - 1, "circular": size}.get(self.mode, p)
            if p > most:
                least, name = p + size - most, "rows" if axis == 2 else "columns"
                need = f"at least {least} {name} to pad {p} in mode {self.mode!r}"
                raise ArgumentError("x", f"has shape {x.shape}", need)
            mode: Any = MODES[self.mode]
            sources.append(np.pad(np.arange(size), p, mode).tolist())
            y = y.take(array_module(x).asarray(sources[-1]), axis)
        self.save(y, sources)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx (N, C, H, W): every pixel gets the gradients of all its copies."""
        dy, sources = self.saved(dy)
        for axis, p, source in zip((2, 3), self.padding, sources, strict=True):
            padded = dy.swapaxes(2, axis)  # the axis in the place of the rows
            size = padded.shape[2] - 2 * p
            dx = padded[:, :, p : p + size].copy()
            for copy in (*range(p), *range(p + size, size + 2 * p)):
                dx[:, :, source[copy]] += padded[:, :, copy]
            dy = dx.swapaxes(2, axis)
        return array_module(dy).ascontiguousarray(dy)  # type: ignore[no-any-return]


class Centres(Module):
    """Crop an image or volume to the pixels in the middle of the windows of an involution.

    Of every output, the s x s cell that begins at the middle of its window is kept; the cells of
    all outputs have no pixels between them.

    The padding must be so small that the middle of every window is inside the image.
    """

    def __init__(self, window: Sizes, stride: Sizes, dilation: Sizes, padding: Sizes) -> None:
        spans = [d * (k - 1) for k, d in zip(window, dilation, strict=True)]
        largest = tuple(span // 2 for span in spans)
        if any(p > most for p, most in zip(padding, largest, strict=True)):
            need = f"at most {largest}, for the middle of every window to be a pixel of x"
            raise ArgumentError("padding", f"is {padding}", need)
        self.axes = list(zip(spans, stride, padding, strict=True))
        self.everywhere = all(span == 2 * p for span, _, p in self.axes)

    def forward(self, x: Array) -> Array:
        """Return a view of ``x``, of the pixels that kernels are generated from."""
        cells = []
        for axis, (span, stride, p) in enumerate(self.axes, 2):
            if (room := x.shape[axis] + 2 * p - span) < 1:
                need = f"at least {span + 1 - 2 * p} pixels on axis {axis}, for one window"
                raise ArgumentError("x", f"has shape {x.shape}", need)
            first = span // 2 - p
            cells.append(slice(first, first + stride * ((room - 1) // stride + 1)))
        y = x[:, :, *cells]
        self.save(y, x.shape, cells)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx, of the shape of ``x``: zero at the pixels that generate no kernel."""
        dy, shape, cells = self.saved(dy)
        dx: Array = array_module(dy).zeros(shape, dy.dtype)
        dx[:, :, *cells] = dy
        return dx
