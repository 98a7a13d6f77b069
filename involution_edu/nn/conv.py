"""Convolution, as one matrix product."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ..backends.windows import fold, windows
from ..geometry import (
    Array,
    Geometry,
    IntOrPair,
    Padding,
    as_int,
    as_pair,
    make_geometry,
    resolve_padding,
)
from .arguments import Rng, as_features, as_generator, kaiming_normal
from .module import Module, Parameter, as_dtype


class Conv2d(Module):
    """A convolution: one kernel for all pixels, a different one for each pair of channels.

    .. code-block:: text

        y[n, o, i, j] = bias[o] + sum over c, u, v of
            weight[o, c, u, v] * x[n, c, i*s + u*d - p, j*s + v*d - p]

    computed as one matrix product with the windows laid out as columns.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, dilation : int or (int, int)
        In pixels.
    padding : int, (int, int), "same" or "valid"
        As in `involution_edu.involution`.
    bias : bool
        Whether a number per output channel is added.
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

    def _columns(self, x: Array, geom: Geometry) -> Array:
        """Lay the windows of ``x`` out as (N, C*K_h*K_w, H_out*W_out)."""
        if geom.window == geom.stride == (1, 1) and geom.padding == (0, 0):
            return x.reshape(geom.N, geom.C, geom.H * geom.W)  # the windows are the pixels
        k_h, k_w = geom.window
        view = windows(x, geom)[:, 0]  # (N, C, H_out, W_out, K_h, K_w)
        columns = view.transpose(0, 1, 4, 5, 2, 3)
        return columns.reshape(geom.N, geom.C * k_h * k_w, geom.H_out * geom.W_out)

    def forward(self, x: Array) -> Array:
        """Return y (N, out_channels, H_out, W_out)."""
        weight = self.weight.data
        out_channels, in_channels = weight.shape[:2]
        x = as_features(x, in_channels, weight.dtype)
        geom = make_geometry(x.shape, 1, self.window, self.stride, self.dilation, self.padding)
        y = weight.reshape(out_channels, -1) @ self._columns(x, geom)
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
        columns = self._columns(x, geom)
        dweight = np.tensordot(dy, columns, axes=((0, 2), (0, 2)))  # (out, C*K_h*K_w)
        self.weight.grad += dweight.reshape(self.weight.data.shape)
        if self.bias is not None:
            self.bias.grad += dy.sum(axis=(0, 2))
        dcolumns = self.weight.data.reshape(out_channels, -1).T @ dy
        return fold(dcolumns.reshape(geom.N, geom.C, *geom.window, geom.H_out, geom.W_out), geom)
