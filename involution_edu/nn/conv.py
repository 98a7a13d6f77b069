"""Convolution as a matrix product."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import IntOrPair, Rng, as_generator, as_int, as_pair
from ..arrays import Array, array_module, as_dtype, kind_of_array
from ..geometry import Geometry, Padding, make_geometry, resolve_padding
from .arguments import as_features, kaiming_normal
from .module import Module, Parameter

# Of the columns, or products, of a block of images: a last-level CPU cache; few launches of a GPU.
MAX_COLUMNS = {"numpy": 1 << 22, "cupy": 1 << 27}


class Conv2d(Module):
    """A convolution: one kernel for all pixels, another for each pair of channels.

    .. code-block:: text

        y[n, o, i, j] = bias[o] + sum over c, u, v of
            weight[o, c, u, v] * x[n, c, i*s + u*d - p, j*s + v*d - p]

    computed as one matrix product per image, with the windows of the image as columns (im2col).

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, dilation : int or (int, int)
        In pixels.
    padding : int, (int, int), "same" or "valid"
        As in `involution_edu.involution`.
    bias : bool
        Add a learned number to each output channel.
    rng : Generator, int or None
        Source of the weights: Kaiming normal in fan_out; the bias starts at zero.
    dtype : float32 or float64

    Examples
    --------
    >>> import numpy as np
    >>> conv = Conv2d(3, 8, kernel_size=3, stride=2, padding=1, rng=0, dtype=float)
    >>> conv(np.zeros((1, 3, 7, 9))).shape
    (1, 8, 4, 5)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrPair = 1,
        *,
        stride: IntOrPair = 1,
        padding: Padding = 0,
        dilation: IntOrPair = 1,
        bias: bool = True,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.window = as_pair("kernel_size", kernel_size)
        self.stride, self.dilation = as_pair("stride", stride), as_pair("dilation", dilation)
        self.padding = resolve_padding(padding, self.window, self.dilation)
        channels = as_int("out_channels", out_channels), as_int("in_channels", in_channels)
        shape = (*channels, *self.window)
        dtype = as_dtype(dtype)
        self.weight = Parameter(kaiming_normal(as_generator(rng), shape, dtype))
        self.bias = Parameter(np.zeros(out_channels, dtype)) if bias else None

    def forward(self, x: Array) -> Array:
        """Return y (N, out_channels, H_out, W_out)."""
        out_channels, in_channels = self.weight.data.shape[:2]
        x = as_features(x, in_channels, self.weight.data)
        geom = make_geometry(x.shape, 1, self.window, self.stride, self.dilation, self.padding)
        xp, weight = array_module(x), self.weight.data.reshape(out_channels, -1)
        y: Array = xp.empty((geom.N, out_channels, geom.H_out * geom.W_out), x.dtype)
        for images in _blocks(geom, x):
            xp.matmul(weight, _columns(x[images], geom), out=y[images])
        if self.bias is not None:
            y += self.bias.data[:, None]
        y = y.reshape(geom.N, out_channels, geom.H_out, geom.W_out)
        self.save(y, x, geom)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx (N, in_channels, H, W)."""
        dy, x, geom = self.saved(dy)
        out_channels = dy.shape[1]
        dy = dy.reshape(geom.N, out_channels, geom.H_out * geom.W_out)
        if self.bias is not None:
            self.bias.grad += dy.sum(axis=(0, 2))
        weight = self.weight.data.reshape(out_channels, -1)
        dweight = array_module(dy).zeros_like(weight)
        for images in _blocks(geom, x, weight.size):
            dweight += (dy[images] @ _columns(x[images], geom).swapaxes(1, 2)).sum(axis=0)
        self.weight.grad += dweight.reshape(self.weight.data.shape)
        if _windows_are_pixels(geom):
            return (weight.T @ dy).reshape(geom.x_shape)
        dx: Array = array_module(dy).zeros(geom.x_shape, dy.dtype)
        for images in _blocks(geom, x):
            dcolumns = weight.T @ dy[images]
            dcolumns = dcolumns.reshape(-1, geom.C, *geom.window, geom.H_out, geom.W_out)
            for (u, v), (outputs, pixels) in zip(geom.taps(), geom.overlaps(), strict=True):
                dx[images, :, *pixels] += dcolumns[:, :, u, v, *outputs]
        return dx


def _windows_are_pixels(geom: Geometry) -> bool:
    return geom.window == geom.stride == (1, 1) and geom.padding == (0, 0)


def _blocks(geom: Geometry, x: Array, product: int = 1) -> Iterator[slice]:
    """Split the images into slices of about `MAX_COLUMNS` numbers in columns or in products."""
    numbers = geom.C * geom.window[0] * geom.window[1] * geom.H_out * geom.W_out
    most = product if _windows_are_pixels(geom) else max(product, numbers)  # x itself, or columns
    fit = max(1, MAX_COLUMNS[str(kind_of_array(x))] // most)
    for start in range(0, geom.N, fit):
        yield slice(start, start + fit)


def _columns(x: Array, geom: Geometry) -> Array:
    """Return the windows of some images ``x`` as columns: (n, C*K_h*K_w, H_out*W_out)."""
    rows, columns = geom.C * geom.window[0] * geom.window[1], geom.H_out * geom.W_out
    if _windows_are_pixels(geom):
        return x.reshape(len(x), rows, columns)
    shape = len(x), geom.C, *geom.window, geom.H_out, geom.W_out
    laid: Array = array_module(x).zeros(shape, x.dtype)
    for (u, v), (outputs, pixels) in zip(geom.taps(), geom.overlaps(), strict=True):
        laid[:, :, u, v, *outputs] = x[:, :, *pixels]
    return laid.reshape(len(x), rows, columns)


class ConvTranspose2d(Module):
    """A transposed convolution whose stride is its window: every pixel becomes a patch.

    .. code-block:: text

        y[n, o, i*k + u, j*k + v] = bias[o] + sum over c of weight[c, o, u, v] * x[n, c, i, j]

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int
        k, the window and the stride, in pixels.
    rng : Generator, int or None
        Source of the weights: Kaiming normal in fan_out; the bias starts at zero.
    dtype : float32 or float64

    Examples
    --------
    >>> import numpy as np
    >>> ConvTranspose2d(4, 3, rng=0, dtype=float)(np.zeros((1, 4, 5, 7))).shape
    (1, 3, 10, 14)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 2,
        *,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        k, dtype = as_int("kernel_size", kernel_size), as_dtype(dtype)
        shape = as_int("out_channels", out_channels), as_int("in_channels", in_channels), k, k
        weight = kaiming_normal(as_generator(rng), shape, dtype).swapaxes(0, 1)
        self.weight = Parameter(np.ascontiguousarray(weight))
        self.bias = Parameter(np.zeros(out_channels, dtype))

    def forward(self, x: Array) -> Array:
        """Return y (N, out_channels, k*H, k*W)."""
        c, o, k, _ = self.weight.data.shape
        x = as_features(x, c, self.weight.data)
        n, _, h, w = x.shape
        y = self.weight.data.reshape(c, o * k * k).T @ x.reshape(n, c, h * w)
        y = y.reshape(n, o, k, k, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, o, h * k, w * k)
        y += self.bias.data[:, None, None]
        self.save(y, x)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx (N, in_channels, H, W)."""
        dy, x = self.saved(dy)
        c, o, k, _ = self.weight.data.shape
        n, _, h, w = x.shape
        self.bias.grad += dy.sum(axis=(0, 2, 3))
        patches = dy.reshape(n, o, h, k, w, k).transpose(0, 1, 3, 5, 2, 4)
        patches = patches.reshape(n, o * k * k, h * w)
        dweight = (x.reshape(n, c, h * w) @ patches.swapaxes(1, 2)).sum(axis=0)
        self.weight.grad += dweight.reshape(self.weight.data.shape)
        dx: Array = self.weight.data.reshape(c, o * k * k) @ patches
        return dx.reshape(x.shape)
