"""Pooling: the mean or the maximum of every window, and the mean of the whole image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..arguments import ArgumentError, IntOrPair, as_pair
from ..arrays import Array, array_module
from ..geometry import Geometry, Slices, make_geometry, overlaps
from .arguments import as_features
from .module import Module


class AvgPool2d(Module):
    """The mean of every window; a window over the edge is the mean of its pixels in the image.

    Sizes round up ("ceil mode"), so that stride s gives ceil(H / s) rows, like the operator.

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
        """Return dx (N, C, H, W): each pixel of a window gets an equal share of its gradient."""
        dy, shape, count = self.saved(dy)
        dx: Array = array_module(dy).zeros(shape, dy.dtype)
        share = dy / count
        for outputs, pixels in overlaps(shape[2:], dy.shape[2:], self.window, self.stride):
            dx[:, :, *pixels] += share[:, :, *outputs]
        return dx


def _ceil_windows(pixels: int, k: int, s: int) -> int:
    """Return the number of windows that start inside the image; the last may reach over the edge."""
    count = -(-(pixels - k) // s) + 1
    return count - 1 if (count - 1) * s >= pixels else max(count, 1)


class MaxPool2d(Module):
    """The maximum of every window; its gradient goes to the pixel of the maximum.

    .. code-block:: text

        y[n, c, i, j] = max over u, v of x[n, c, i*s + u - p, j*s + v - p]

    over the pixels inside the image; sizes round down. Of equal pixels, the first, row by row,
    gets the whole gradient. NaN counts as the maximum.

    Parameters
    ----------
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        ``kernel_size`` if not given.
    padding : int or (int, int)
        Pixels by which windows reach over the edge; at most half of ``kernel_size``, so that
        every window has a pixel in the image.

    Raises
    ------
    TypeError, ValueError
        If a size is not an int, out of range, or too large for ``x``.

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
            need = f"at most half of kernel_size = {kernel_size}"
            raise ArgumentError("padding", f"is {padding}", need)

    def forward(self, x: Array) -> Array:
        """Return y (N, C, H_out, W_out), with H_out = (H + 2p - K) // s + 1."""
        x = as_features(x)
        xp = array_module(x)
        geom = make_geometry(x.shape, 1, self.window, self.stride, padding=self.padding)
        (k_h, k_w), (s_h, s_w), (p_h, p_w) = self.window, self.stride, self.padding
        y = x
        # First of rows, then of columns: half the time of all pixels of a window at once.
        for k, s, p in (((k_h, 1), (s_h, 1), (p_h, 0)), ((1, k_w), (1, s_w), (0, p_w))):
            line = make_geometry(y.shape, 1, k, s, padding=p)
            found: Array = xp.full(line.y_shape, -np.inf, x.dtype)
            for outputs, pixels in line.overlaps():
                largest = found[:, :, *outputs]
                xp.maximum(largest, y[:, :, *pixels], out=largest)
            y = found
        self.save(y, x, y, geom)
        return y

    def _maxima(self, x: Array, y: Array, geom: Geometry) -> Iterator[tuple[Slices, Slices, Array]]:
        """Yield, for every tap, the outputs, the pixels, and a mask of the pixels that are y."""
        xp = array_module(y)
        missing = xp.ones(y.shape, bool)  # until the first pixel that equals y
        for outputs, pixels in geom.overlaps():
            seen = x[:, :, *pixels]
            is_maximum = (seen == y[:, :, *outputs]) | xp.isnan(seen)
            is_maximum &= missing[:, :, *outputs]
            missing[:, :, *outputs] ^= is_maximum
            yield outputs, pixels, is_maximum

    def active_masks(self) -> list[Array]:
        """Return, for every tap, a mask of the pixels that were the maximum in the last pass."""
        return [] if self._saved is None else [mask for *_, mask in self._maxima(*self._saved[2])]

    def backward(self, dy: Array) -> Array:
        """Return dx (N, C, H, W)."""
        dy, x, y, geom = self.saved(dy)
        xp = array_module(dy)
        dx: Array = xp.zeros_like(x)
        for outputs, pixels, is_maximum in self._maxima(x, y, geom):
            dx[:, :, *pixels] += xp.where(is_maximum, dy[:, :, *outputs], 0)
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
