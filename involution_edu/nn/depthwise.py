"""A depthwise convolution as an involution whose kernels are the same at every pixel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import IntOrPair, Rng, as_generator, as_int, as_pair
from ..arrays import Array, array_module, as_dtype
from ..geometry import Geometry, make_geometry
from ..ops import involution, involution_backward
from .arguments import as_features, as_window, kaiming_normal
from .bands import Band, bands, rows_that_fit
from .module import Module, Parameter


class DepthwiseConv2d(Module):
    """Depthwise convolution: one learned kernel per channel, applied at every pixel.

    It is ``involution(x, kernel)`` with a constant generator: G = C groups and

    .. code-block:: text

        kernel[n, c, u, v, i, j] = weight[c, u, v]

    Nothing of the kernel depends on ``x``, so dx is that of the operator alone, and every pixel
    adds to the gradient of the weight:

    .. code-block:: text

        dweight[c, u, v] = sum over n, i, j of dkernel[n, c, u, v, i, j]

    A framework would never lay the kernels out. Here they are, for one band of rows at a time as
    in `Involution2d`, so that the operator is the same one.

    Parameters
    ----------
    channels : int
        C, channels of ``x`` and of the output.
    kernel_size : int or (int, int)
        K, odd.
    stride, dilation : int or (int, int)
        In pixels. The output has ceil(H / stride) rows.
    rng : Generator, int or None
        Source of the weight (C, K_h, K_w): normal of variance 2 / (K_h*K_w). There is no bias.
    dtype : float32 or float64

    Raises
    ------
    ValueError
        If a size is not positive or the window is even.

    Examples
    --------
    >>> import numpy as np
    >>> layer = DepthwiseConv2d(8, 3, stride=2, rng=0, dtype=float)
    >>> x = np.random.default_rng(0).standard_normal((2, 8, 5, 6))
    >>> layer(x).shape
    (2, 8, 3, 3)
    >>> layer.generate_kernel(x).shape
    (2, 8, 3, 3, 3, 3)
    """

    def __init__(
        self,
        channels: int,
        kernel_size: IntOrPair = 7,
        *,
        stride: IntOrPair = 1,
        dilation: IntOrPair = 1,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.channels, self.window = as_int("channels", channels), as_window(kernel_size)
        self.stride, self.dilation = as_pair("stride", stride), as_pair("dilation", dilation)
        shape = 1, channels, *self.window  # each output reads one channel: fan_out is K_h*K_w
        self.weight = Parameter(kaiming_normal(as_generator(rng), shape, as_dtype(dtype))[0])

    def generate_kernel(self, x: Array) -> Array:
        """Return the kernel of every pixel, (N, C, K_h, K_w, H_out, W_out): a view of the weight."""
        return self._repeated(self._geometry(self._checked(x)).kernel_shape)

    def forward(self, x: Array) -> Array:
        """Return y (N, C, H_out, W_out)."""
        x = self._checked(x)
        y: Array = array_module(x).empty(self._geometry(x).y_shape, x.dtype)
        for band, kernel in self._bands(x):
            y[:, :, band.rows] = involution(band.cut(x), kernel, **band.options)
        self.save(y, x)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx (N, C, H, W)."""
        dy, x = self.saved(dy)
        dx: Array = array_module(dy).zeros_like(x)
        for band, kernel in self._bands(x):
            dy_band, cut = dy[:, :, band.rows], band.cut(x)
            dcut, dkernel = involution_backward(dy_band, cut, kernel, **band.options)
            band.add(dcut, dx)
            self.weight.grad += dkernel.sum(axis=(0, 4, 5))
        return dx

    def _bands(self, x: Array) -> Iterator[tuple[Band, Array]]:
        geom = self._geometry(x)
        for band in bands(geom, rows_that_fit(geom, x)):
            rows = band.rows.stop - band.rows.start
            yield band, self._repeated((*geom.kernel_shape[:4], rows, geom.W_out))

    def _repeated(self, shape: tuple[int, ...]) -> Array:
        weight = self.weight.data
        kernel: Array = array_module(weight).broadcast_to(weight[None, ..., None, None], shape)
        return kernel

    def _geometry(self, x: Array) -> Geometry:
        return make_geometry(x.shape, self.channels, self.window, self.stride, self.dilation)

    def _checked(self, x: Array) -> Array:
        return as_features(x, self.channels, self.weight.data)
