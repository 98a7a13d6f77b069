"""Pooling: the mean or the maximum of every window, and the mean of whole images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arguments import ArgumentError, IntOrPair, as_pair
from ..arrays import Array, array_module
from ..geometry import make_geometry, overlaps
from .arguments import as_features
from .module import Module


class AvgPool2d(Module):
    """The mean of every window, with a last, smaller window where the image does not divide.

    Sizes round up ("ceil mode"), so that stride s gives ceil(H / s) rows like the operator;
    a window that hangs over the edge is the mean of the pixels it really has.

    Parameters
    ----------
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        ``kernel_size`` if not given.

    Examples
    --------
    >>> import numpy as np
    >>> AvgPool2d(2)(np.array([1.0, 3.0, 5.0]).reshape(1, 1, 1, 3))
    array([[[[2., 5.]]]])
    """

    def __init__(self, kernel_size: IntOrPair, stride: IntOrPair | None = None) -> None:
        self.window = as_pair("kernel_size", kernel_size)
        self.stride = self.window if stride is None else as_pair("stride", stride)

    def forward(self, x: Array) -> Array:
        """Return y (N, C, H_out, W_out)."""
        x = as_features(x)
        xp = array_module(x)
        n, c, h, w = x.shape
        h_out, w_out = map(_ceil_windows, (h, w), self.window, self.stride)
        y: Array = xp.zeros((n, c, h_out, w_out), x.dtype)
        count = xp.zeros((h_out, w_out), x.dtype)  # of the pixels in each window
        for outputs, pixels in overlaps((h, w), (h_out, w_out), self.window, self.stride):
            y[:, :, *outputs] += x[:, :, *pixels]
            count[outputs] += 1
        y /= count
        self.save(y, x.shape, count)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx: each pixel of a window gets an equal share."""
        dy, shape, count = self.saved(dy)
        dx: Array = array_module(dy).zeros(shape, dy.dtype)
        share = dy / count
        for outputs, pixels in overlaps(shape[2:], dy.shape[2:], self.window, self.stride):
            dx[:, :, *pixels] += share[:, :, *outputs]
        return dx


def _ceil_windows(pixels: int, k: int, s: int) -> int:
    """Return how many windows start inside the image, the last one possibly cut off."""
    count = -(-(pixels - k) // s) + 1
    return count - 1 if (count - 1) * s >= pixels else max(count, 1)


class MaxPool2d(Module):
    """The largest number of every window; its gradient goes to the pixel that had it.

    .. code-block:: text

        y[n, c, i, j] = max over u, v of x[n, c, i*s + u - p, j*s + v - p]

    over the pixels inside the image; sizes round down. Of several equal pixels, the first, row by
    row, gets the whole gradient.

    Parameters
    ----------
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        ``kernel_size`` if not given.
    padding : int or (int, int)
        How far windows reach over the edge, in pixels; at most half of ``kernel_size``, so that
        every window has a pixel.

    Raises
    ------
    TypeError, ValueError
        If a size is no int, out of range, or too large for ``x``.

    Examples
    --------
    >>> import numpy as np
    >>> pool = MaxPool2d(2)
    >>> pool(np.array([[1.0, 3.0, 7.0, 7.0], [3.0, 2.0, 7.0, 7.0]]).reshape(1, 1, 2, 4))
    array([[[[3., 7.]]]])
    >>> pool.backward(np.array([5.0, 6.0]).reshape(1, 1, 1, 2))[0, 0]
    array([[0., 5., 6., 0.],
           [0., 0., 0., 0.]])
    """

    def __init__(
        self, kernel_size: IntOrPair, stride: IntOrPair | None = None, padding: IntOrPair = 0
    ) -> None:
        self.window = as_pair("kernel_size", kernel_size)
        self.stride = self.window if stride is None else as_pair("stride", stride)
        self.padding = as_pair("padding", padding, minimum=0)
        if any(2 * p > k for p, k in zip(self.padding, self.window, strict=True)):
            raise ArgumentError(
                "padding", f"is {padding}", f"at most half of kernel_size = {kernel_size}"
            )

    def _overlaps(self, x: Array, y: Array) -> Iterator[tuple[Any, Any]]:
        return overlaps(x.shape[2:], y.shape[2:], self.window, self.stride, self.padding)

    def forward(self, x: Array) -> Array:
        """Return y (N, C, H_out, W_out), with H_out = (H + 2p - K) // s + 1."""
        x = as_features(x)
        xp = array_module(x)
        geom = make_geometry(x.shape, 1, self.window, self.stride, padding=self.padding)
        y: Array = xp.full(geom.y_shape, -np.inf, x.dtype)
        for outputs, pixels in self._overlaps(x, y):
            largest = y[:, :, *outputs]
            xp.maximum(largest, x[:, :, *pixels], out=largest)
        self.save(y, x, y)
        return y

    def _winners(self, x: Array, y: Array) -> Iterator[tuple[Any, Any, Array]]:
        """Yield, for every place of the window, the outputs, the pixels and which pixel won."""
        missing = array_module(y).ones(y.shape, bool)  # until the first pixel that equals y
        for outputs, pixels in self._overlaps(x, y):
            won = x[:, :, *pixels] == y[:, :, *outputs]
            won &= missing[:, :, *outputs]
            missing[:, :, *outputs] ^= won
            yield outputs, pixels, won

    def active_masks(self) -> list[Array]:
        """Return which pixels won in the last pass: a step that changes it met a kink."""
        return [] if self._saved is None else [won for *_, won in self._winners(*self._saved[2])]

    def backward(self, dy: Array) -> Array:
        """Return dx (N, C, H, W)."""
        dy, x, y = self.saved(dy)
        dx: Array = array_module(dy).zeros_like(x)
        for outputs, pixels, won in self._winners(x, y):
            dx[:, :, *pixels] += won * dy[:, :, *outputs]
        return dx


class GlobalAvgPool2d(Module):
    """The mean of every channel of every image: (N, C, H, W) -> (N, C).

    Examples
    --------
    >>> import numpy as np
    >>> GlobalAvgPool2d()(np.array([[1.0, 3.0], [5.0, 7.0]]).reshape(1, 2, 1, 2))
    array([[2., 6.]])
    """

    def forward(self, x: Array) -> Array:
        """Return y (N, C)."""
        x = as_features(x)
        y: Array = x.mean(axis=(2, 3))
        self.save(y, x.shape)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx (N, C, H, W): each pixel gets an equal share."""
        dy, (n, c, h, w) = self.saved(dy)
        dx: Array = array_module(dy).empty((n, c, h, w), dy.dtype)
        dx[...] = (dy / (h * w))[:, :, None, None]
        return dx
