"""The involution layer: a kernel generated at every pixel, then applied there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import IntOrPair, Rng, as_choice, as_generator, as_int, as_pair
from ..arrays import Array, array_module
from ..backends import fusing
from ..geometry import Geometry, Padding, make_geometry, resolve_padding
from ..ops import involution, involution_backward
from .arguments import as_features, as_groups
from .bands import Band, bands, rows_that_fit
from .basic import ReLU, Sequential
from .conv import Conv2d
from .module import Module
from .norm import BatchNorm2d
from .padding import MODES, Centres, Pad2d
from .pooling import AvgPool2d

SIGMAS = ("bn-relu", "relu", "identity")


class Involution2d(Module):
    """Involution: a kernel for each pixel, generated from the features of that pixel.

    .. code-block:: text

        x -> [mean over s x s cells if s > 1] -> reduce, 1x1 (C -> C/r) -> sigma
          -> span, 1x1 (C/r -> G*K_h*K_w, with bias) -> viewed as kernel (N, G, K_h, K_w, ...)
        y = involution(x, kernel)

    The kernel of an output pixel is generated from the pixel in the middle of its window (the
    s x s cell that begins there). With less padding than "same", such as "valid", the outermost
    pixels of ``x`` are in the middle of no window and generate no kernel.

    ``x`` is used twice, so its gradient is the sum of two: dx = dx_apply + dx_generate.

    The kernel tensor has K_h*K_w*G / C times as many numbers as ``x``, so it is never in memory
    as a whole: `forward` generates and applies the kernels of one band of output rows at a time,
    and `backward` generates them again. In training mode the reduced features of all rows are
    computed first, because batch normalisation needs the statistics of the whole batch. In
    evaluation mode a backend may generate the kernels inside the operator, where that is faster.

    Parameters
    ----------
    channels : int
        C, channels of ``x``.
    kernel_size : int or (int, int)
        K; an even one needs an explicit ``padding``.
    out_channels : int, optional
        If given and not C, a 1x1 convolution without bias maps ``x`` to this many channels
        before the kernels are applied; they are still generated from ``x`` itself.
    stride, dilation : int or (int, int)
        In pixels.
    padding : int, (int, int), "same" or "valid"
        Pixels added on each side, at most d(K-1)/2. That is "same", which gives ceil(H / stride)
        rows; "valid" is 0.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        What is added: zeros, the image mirrored at its outermost pixels, these pixels repeated,
        or the opposite side. Zeros darken the border of a filtered image, the mirror does not.
    groups : int, optional
        G. If not given, it is out_channels / group_channels.
    group_channels : int
        Channels that share a kernel; used only if ``groups`` is not given.
    reduction : int
        r; the reduced features have C // r channels.
    sigma : {"bn-relu", "relu", "identity"}
        Normalisation and activation between reduce and span.
    band_rows : int, optional
        Output rows of a band; the results do not depend on it. If not given, as many as keep
        the kernels of a band within `involution_edu.nn.bands.MAX_BAND_BYTES`.
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

    _reductions = 0  # number of calls of reduce()

    def __init__(
        self,
        channels: int,
        kernel_size: IntOrPair = 7,
        *,
        out_channels: int | None = None,
        stride: IntOrPair = 1,
        padding: Padding = "same",
        padding_mode: str = "zeros",
        dilation: IntOrPair = 1,
        groups: int | None = None,
        group_channels: int = 16,
        reduction: int = 4,
        sigma: str = "bn-relu",
        band_rows: int | None = None,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        channels = as_int("channels", channels)
        hidden = channels // as_int("reduction", reduction, 1, channels)
        out_channels = channels if out_channels is None else as_int("out_channels", out_channels)
        self.window = as_pair("kernel_size", kernel_size)
        self.stride, self.dilation = as_pair("stride", stride), as_pair("dilation", dilation)
        self.channels = channels
        self.band_rows = None if band_rows is None else as_int("band_rows", band_rows)
        self.groups = as_groups(out_channels, groups, group_channels)
        self.padding = resolve_padding(padding, self.window, self.dilation)
        self.padding_mode = as_choice("padding_mode", padding_mode, ("zeros", *MODES))
        self.crop: Module = Sequential()  # the identity: every pixel is the middle of a window
        centres = Centres(self.window, self.stride, self.dilation, self.padding)
        if not centres.everywhere:
            self.crop = centres
        self.pad: Module = Sequential()  # the operator adds zeros itself
        if padding_mode != "zeros" and max(self.padding) > 0:
            self.pad = Pad2d(self.padding, padding_mode)
        rng = as_generator(rng)
        self.pool = AvgPool2d(self.stride) if max(self.stride) > 1 else Sequential()
        spanned = self.groups * self.window[0] * self.window[1]
        self.conv1, self.conv2 = generator(channels, hidden, spanned, sigma, rng, dtype)
        self.project: Module = Sequential()  # the identity
        if out_channels != channels:
            self.project = Conv2d(channels, out_channels, bias=False, rng=rng, dtype=dtype)

    def reduce(self, x: Array) -> Array:
        """Return the features (N, C // r, H_out, W_out) that the kernels are generated from."""
        self._reductions += 1
        return self.conv1(self.pool(self.crop(x)))

    def span(self, features: Array) -> Array:
        """Return the kernels (N, G, K_h, K_w, H_out, W_out) of reduced features."""
        spanned = self.conv2(features)  # (N, G*K_h*K_w, H_out, W_out)
        n, _, h, w = spanned.shape
        return spanned.reshape(n, self.groups, *self.window, h, w)

    def generate_kernel(self, x: Array) -> Array:
        """Return the kernel of every pixel, (N, G, K_h, K_w, H_out, W_out)."""
        return self.span(self.reduce(self._checked(x)))

    def span_backward(self, dkernel: Array) -> Array:
        """Return the gradient of the reduced features, (N, C // r, H_out, W_out)."""
        n, g, k_h, k_w, h, w = dkernel.shape
        return self.conv2.backward(dkernel.reshape(n, g * k_h * k_w, h, w))

    def reduce_backward(self, dfeatures: Array) -> Array:
        """Return dx_generate (N, C, H, W): the path from the kernels back to ``x``."""
        return self.crop.backward(self.pool.backward(self.conv1.backward(dfeatures)))

    def forward(self, x: Array) -> Array:
        """Return y (N, out_channels, H_out, W_out)."""
        x = self._checked(x)
        value = self.pad(self.project(x))
        # Kernels are generated band by band, in training mode from features reduced beforehand.
        source = self.reduce(x) if self.training else self.crop(x)
        y = self._fused(x, value)
        if y is None:
            y = array_module(x).empty(self._geometry(value).y_shape, x.dtype)
            for band, _, kernel in self._bands(value, source):
                y[:, :, band.rows] = involution(band.cut(value), kernel, **band.options)
        self.save(y, value, source, self.training, self._reductions)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx = dx_apply + dx_generate, (N, C, H, W)."""
        dy, value, source, training, reductions = self.saved(dy)
        if self.training != training:
            raise RuntimeError("Involution2d.backward() needs the mode of the forward pass")
        if training and self._reductions != reductions:
            raise RuntimeError(
                "Involution2d.backward() needs reduce() or generate_kernel() not to have run "
                "since the forward pass: the layers inside have kept the arrays of another x"
            )
        dvalue, dsource = array_module(dy).zeros_like(value), array_module(dy).empty_like(source)
        for band, source_rows, kernel in self._bands(value, source):
            dy_band, cut = dy[:, :, band.rows], band.cut(value)
            dcut, dkernel = involution_backward(dy_band, cut, kernel, **band.options)
            band.add(dcut, dvalue)
            dfeatures = self.span_backward(dkernel)
            if not self.training:
                dfeatures = self.pool.backward(self.conv1.backward(dfeatures))
            dsource[:, :, source_rows] = dfeatures
        dx = self.project.backward(self.pad.backward(dvalue))
        dx += (self.reduce_backward if self.training else self.crop.backward)(dsource)
        return dx

    def _bands(self, value: Array, source: Array) -> Iterator[tuple[Band, slice, Array]]:
        """Yield every band, its rows of the source (reduced features or cropped x), its kernels."""
        geom = self._geometry(value)
        for band in bands(geom, self.band_rows or rows_that_fit(geom, value)):
            rows = band.rows if self.training else band.generator_rows
            part = source[:, :, rows]
            yield band, rows, self.span(part if self.training else self.conv1(self.pool(part)))

    @property
    def options(self) -> dict[str, Any]:
        """Stride, padding and dilation of the operator, for the padded, projected ``x``."""
        padding = self.padding if self.padding_mode == "zeros" else 0
        return {"stride": self.stride, "padding": padding, "dilation": self.dilation}

    def _geometry(self, value: Array) -> Geometry:
        return make_geometry(value.shape, self.groups, self.window, **self.options)

    def _fused(self, x: Array, value: Array) -> Array | None:
        """Return y from a backend that generates the kernels itself, if one is faster here."""
        weight, bias = (parameter.data for parameter in self.conv2.parameters())
        geom = self._geometry(value)
        backend = None if self.training else fusing(value, geom, weight.shape[1])
        if backend is None:
            return None
        weight = weight.reshape(weight.shape[:2])
        return backend.generate_and_apply(value, self.reduce(x), weight, bias, geom)

    def _checked(self, x: Array) -> Array:
        return as_features(x, self.channels, self.conv2.parameters()[0].data)


def generator(
    channels: int, hidden: int, spanned: int, sigma: str, rng: np.random.Generator, dtype: DTypeLike
) -> tuple[Sequential, Sequential]:
    """Return reduce with ``sigma``, and span: the layers that generate the kernels."""
    as_choice("sigma", sigma, SIGMAS)
    between: dict[str, Module] = {}
    if sigma == "bn-relu":
        between["bn"] = BatchNorm2d(hidden, dtype=dtype)
    if sigma != "identity":
        between["relu"] = ReLU()
    reduce = Conv2d(channels, hidden, bias=False, rng=rng, dtype=dtype)
    span = Conv2d(hidden, spanned, rng=rng, dtype=dtype)
    return Sequential(conv=reduce, **between), Sequential(conv=span)
