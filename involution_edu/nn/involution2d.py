"""The involution layer: generate a kernel at every pixel, then apply it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import ArgumentError, IntOrPair, Rng, as_generator, as_int, as_pair
from ..arrays import Array, array_module, kind_of_array
from ..backends import fusing
from ..geometry import Geometry, make_geometry
from ..ops import involution, involution_backward
from .activation import ReLU
from .arguments import as_features
from .conv import Conv2d
from .module import Module, Sequential
from .norm import BatchNorm2d
from .pooling import AvgPool2d

# Of kernels in a band: what a last-level cache holds beside the rest, and what gives all threads
# of a GPU something to do.
BAND_BYTES = {"numpy": 1 << 22, "cupy": 1 << 27}
SIGMAS = ("bn-relu", "relu", "identity")


class Involution2d(Module):
    """Involution: each pixel makes its own kernel from its own features.

    .. code-block:: text

        x -> [mean over s x s cells if s > 1] -> reduce, 1x1 (C -> C/r) -> sigma
          -> span, 1x1 (C/r -> G*K_h*K_w, with bias) -> viewed as kernel (N, G, K_h, K_w, ...)
        y = involution(x, kernel)

    ``x`` is used twice, so its gradient is the sum of two: dx = dx_apply + dx_generate.

    The kernel tensor is K_h*K_w*G / C times as large as ``x``. So it is never made as a whole:
    `forward` generates the kernels of a band of output rows, applies them and drops them, and
    `backward` generates them again. In training mode the reduced features are made for all rows
    first, because batch normalisation needs the statistics of the whole batch. In evaluation mode
    a backend that can make the kernels where it applies them does so, where that is faster.

    Parameters
    ----------
    channels : int
        C, channels of ``x``.
    kernel_size : int or (int, int)
        K, odd.
    out_channels : int, optional
        If given and not C, a 1x1 convolution without bias maps ``x`` to this many channels
        before the kernels are applied; they are still generated from ``x`` itself.
    stride, dilation : int or (int, int)
        In pixels. The output has ceil(H / stride) rows.
    groups : int, optional
        G. If not given, it is out_channels / group_channels.
    group_channels : int
        Channels that share a kernel; used only if ``groups`` is not given.
    reduction : int
        r; the reduced features have C // r channels.
    sigma : {"bn-relu", "relu", "identity"}
        What stands between reduce and span.
    band_rows : int, optional
        Output rows of a band; the numbers do not depend on it. If not given, as many as keep
        the kernels of a band within `BAND_BYTES`.
    rng : Generator, int or None
        Source of the weights: Kaiming normal in fan_out, biases zero.
    dtype : float32 or float64

    Raises
    ------
    ValueError
        If the sizes do not fit together; the message says which and what is needed.

    References
    ----------
    Li et al., CVPR 2021, arXiv:2103.06255, section 3.2 and algorithm 1. The names of the
    parameters (``conv1`` is reduce, ``conv2`` is span) are those of the authors' checkpoints.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Involution2d(32, kernel_size=3, rng=0, dtype=float)
    >>> x = np.random.default_rng(0).standard_normal((2, 32, 5, 6))
    >>> layer.generate_kernel(x).shape  # G = 32 / 16
    (2, 2, 3, 3, 5, 6)
    >>> layer(x).shape
    (2, 32, 5, 6)
    """

    _reductions = 0  # how often reduce() was called

    def __init__(
        self,
        channels: int,
        kernel_size: IntOrPair = 7,
        *,
        out_channels: int | None = None,
        stride: IntOrPair = 1,
        dilation: IntOrPair = 1,
        groups: int | None = None,
        group_channels: int = 16,
        reduction: int = 4,
        sigma: str = "bn-relu",
        band_rows: int | None = None,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        channels, reduction = as_int("channels", channels), as_int("reduction", reduction)
        out_channels = channels if out_channels is None else as_int("out_channels", out_channels)
        self.window = as_pair("kernel_size", kernel_size)
        self.stride, self.dilation = as_pair("stride", stride), as_pair("dilation", dilation)
        self.channels = channels
        self.band_rows = None if band_rows is None else as_int("band_rows", band_rows)
        self.groups = _groups(out_channels, groups, group_channels)
        if min(self.window) % 2 == 0 or max(self.window) % 2 == 0:
            raise ArgumentError(
                "kernel_size", f"is {kernel_size}", "odd sizes, with a middle pixel"
            )
        if reduction > channels:
            raise ArgumentError("reduction", f"is {reduction}", f"1 to channels = {channels}")
        if sigma not in SIGMAS:
            raise ArgumentError("sigma", f"is {sigma!r}", f"one of {', '.join(map(repr, SIGMAS))}")
        rng = as_generator(rng)
        hidden = channels // reduction
        between: dict[str, Module] = {}
        if sigma == "bn-relu":
            between["bn"] = BatchNorm2d(hidden, dtype=dtype)
        if sigma != "identity":
            between["relu"] = ReLU()
        self.pool = AvgPool2d(self.stride) if max(self.stride) > 1 else Sequential()
        self.conv1 = Sequential(
            conv=Conv2d(channels, hidden, bias=False, rng=rng, dtype=dtype), **between
        )
        spanned = self.groups * self.window[0] * self.window[1]
        self.conv2 = Sequential(conv=Conv2d(hidden, spanned, rng=rng, dtype=dtype))
        self.project = (
            Sequential()
            if out_channels == channels
            else Conv2d(channels, out_channels, bias=False, rng=rng, dtype=dtype)
        )

    def reduce(self, x: Array) -> Array:
        """Return the features (N, C // r, H_out, W_out) that the kernels are made of."""
        self._reductions += 1
        return self.conv1(self.pool(x))

    def span(self, features: Array) -> Array:
        """Return the kernels (N, G, K_h, K_w, H_out, W_out) made of the reduced features."""
        spanned = self.conv2(features)  # (N, G*K_h*K_w, H_out, W_out)
        n, _, h, w = spanned.shape
        return spanned.reshape(n, self.groups, *self.window, h, w)

    def generate_kernel(self, x: Array) -> Array:
        """Return the kernel of every pixel, (N, G, K_h, K_w, H_out, W_out)."""
        x = as_features(x, self.channels, self.conv2.parameters()[0].data)
        return self.span(self.reduce(x))

    def span_backward(self, dkernel: Array) -> Array:
        """Return the gradient of the reduced features, (N, C // r, H_out, W_out)."""
        n, g, k_h, k_w, h, w = dkernel.shape
        return self.conv2.backward(dkernel.reshape(n, g * k_h * k_w, h, w))

    def reduce_backward(self, dfeatures: Array) -> Array:
        """Return dx_generate (N, C, H, W): the path from the kernels back to ``x``."""
        return self.pool.backward(self.conv1.backward(dfeatures))

    def forward(self, x: Array) -> Array:
        """Return y (N, out_channels, H_out, W_out)."""
        x = as_features(x, self.channels, self.conv2.parameters()[0].data)
        value = self.project(x)
        features = self.reduce(x) if self.training else None
        geom = self._geometry(value)
        weight, bias = (parameter.data for parameter in self.conv2.parameters())
        backend = None if self.training else fusing(value, geom, weight.shape[1])
        if backend:
            weight = weight.reshape(weight.shape[:2])
            y = backend.generate_and_apply(value, self.reduce(x), weight, bias, geom)
        else:
            y = array_module(x).empty(geom.y_shape, x.dtype)
            for band in self._bands(geom):
                kernel = self.span(self._features(x, features, band))
                rows, options = _cut(value, geom, band)
                y[:, :, band] = involution(rows, kernel, **options)
        self.save(y, x, value, features, self._reductions)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx = dx_apply + dx_generate, (N, C, H, W)."""
        dy, x, value, features, reductions = self.saved(dy)
        if self.training != (features is not None):
            raise RuntimeError("Involution2d.backward() needs the mode of the forward pass")
        if self.training and self._reductions != reductions:
            raise RuntimeError(
                "Involution2d.backward() needs reduce() or generate_kernel() not to have run "
                "since the forward pass: what reduce keeps for its own backward is of another x"
            )
        geom = self._geometry(value)
        xp = array_module(x)
        dvalue, dx_generate = xp.zeros_like(value), xp.empty_like(x)
        dfeatures = xp.empty_like(features) if self.training else None
        for band in self._bands(geom):
            kernel = self.span(self._features(x, features, band))
            rows, options = _cut(value, geom, band)
            drows, dkernel = involution_backward(dy[:, :, band], rows, kernel, **options)
            _add_back(drows, dvalue, geom, band)
            dband = self.span_backward(dkernel)
            if dfeatures is None:
                dx_generate[:, :, self._cells(band)] = self.reduce_backward(dband)
            else:
                dfeatures[:, :, band] = dband
        if dfeatures is not None:
            dx_generate = self.reduce_backward(dfeatures)
        dx = self.project.backward(dvalue)
        dx += dx_generate
        return dx

    def _geometry(self, value: Array) -> Geometry:
        return make_geometry(value.shape, self.groups, self.window, self.stride, self.dilation)

    def _bands(self, geom: Geometry) -> Iterator[slice]:
        """Yield the output rows of each band, in bands of about equal height."""
        kernel_row = geom.N * geom.G * self.window[0] * self.window[1] * geom.W_out
        weight = self.conv2.parameters()[0].data
        most = BAND_BYTES[kind_of_array(weight) or "numpy"]
        rows = self.band_rows or max(1, most // max(1, kernel_row * weight.itemsize))
        count = -(-geom.H_out // rows)
        for band in range(count):
            yield slice(geom.H_out * band // count, geom.H_out * (band + 1) // count)

    def _cells(self, band: slice) -> slice:
        """Return the rows of ``x`` that the kernels of a band are made of."""
        return slice(band.start * self.stride[0], band.stop * self.stride[0])

    def _features(self, x: Array, features: Array | None, band: slice) -> Array:
        if features is None:
            return self.reduce(x[:, :, self._cells(band)])
        return features[:, :, band]


def _cut(value: Array, geom: Geometry, band: slice) -> tuple[Array, dict[str, Any]]:
    """Return the rows of ``value`` that a band reads, and the options to apply kernels to them."""
    rows, (above, below) = geom.rows_of_band(band.start, band.stop)
    both = min(above, below)  # what the operator pads by itself; the first and last band lack some
    cut = value[:, :, rows]
    if above != below:
        cut = array_module(cut).pad(cut, ((0, 0), (0, 0), (above - both, below - both), (0, 0)))
    padding = both, geom.padding[1]
    return cut, {"stride": geom.stride, "padding": padding, "dilation": geom.dilation}


def _add_back(drows: Array, dvalue: Array, geom: Geometry, band: slice) -> None:
    """Add the gradient of `_cut`'s rows where they came from: bands overlap."""
    rows, (above, below) = geom.rows_of_band(band.start, band.stop)
    skip = above - min(above, below)
    dvalue[:, :, rows] += drows[:, :, skip : skip + rows.stop - rows.start]


def _groups(out_channels: int, groups: int | None, group_channels: int) -> int:
    name, value = ("group_channels", group_channels) if groups is None else ("groups", groups)
    value = as_int(name, value)
    if out_channels % value:
        raise ArgumentError(name, f"is {value}", f"a divisor of the {out_channels} channels")
    return out_channels // value if groups is None else value
