"""The involution layer for sequences and for volumes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import ArgumentError, Rng, as_generator, as_int
from ..arrays import Array
from ..ops_nd import (
    IntOrTriple,
    Padding3d,
    as_triple,
    involution3d,
    involution3d_backward,
    resolve_padding3d,
)
from .arguments import as_groups, as_input
from .involution2d import Involution2d, generator
from .module import Module
from .padding import Centres
from .pooling import AvgPool2d


class Involution1d(Module):
    """`Involution2d` for sequences: each is an image of one row.

    Parameters
    ----------
    channels : int
        C, channels of ``x``.
    kernel_size, stride, dilation : int
        In elements; an even kernel_size needs an explicit ``padding``.
    padding : int, "same" or "valid"
    **options
        Those of `Involution2d`: padding_mode, groups, reduction, rng and so on.

    Raises
    ------
    TypeError, ValueError
        If the sizes do not fit together; the message says which and what is needed.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Involution1d(32, kernel_size=5, stride=2, rng=0, dtype=float)
    >>> y = layer(np.random.default_rng(0).standard_normal((2, 32, 9)))
    >>> y.shape, layer.backward(y).shape
    ((2, 32, 5), (2, 32, 9))
    """

    def __init__(
        self, channels: int, kernel_size: int = 7, *, stride: int = 1, padding: int | str = "same",
        dilation: int = 1, **options: Any,
    ) -> None:  # fmt: skip
        self.involution2d = Involution2d(
            channels,
            (1, as_int("kernel_size", kernel_size)),
            stride=(1, as_int("stride", stride)),
            padding=padding if isinstance(padding, str) else (0, as_int("padding", padding, 0)),
            dilation=(1, as_int("dilation", dilation)),
            **options,
        )

    def generate_kernel(self, x: Array) -> Array:
        """Return the kernel of every element, (N, G, K, W_out)."""
        return self.involution2d.generate_kernel(self._checked(x)[:, :, None])[:, :, 0, :, 0]

    def forward(self, x: Array) -> Array:
        """Return y (N, C, W_out)."""
        y = self.involution2d(self._checked(x)[:, :, None])[:, :, 0]
        self.save(y)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx, (N, C, W)."""
        (dy,) = self.saved(dy)
        return self.involution2d.backward(dy[:, :, None])[:, :, 0]

    def _checked(self, x: Array) -> Array:
        return _as_features(x, self, self.involution2d.channels, "(N, C, W)")


class Involution3d(Module):
    """Involution of volumes, or of video with its frames as depth.

    The kernel of a voxel is generated from the voxel in the middle of its window, as in
    `Involution2d`. The kernel tensor has K_d*K_h*K_w*G / C times as many numbers as ``x`` and is
    kept until the backward pass: choose a small window.

    Parameters
    ----------
    channels : int
        C, channels of ``x``.
    kernel_size, stride, dilation : int or (int, int, int)
        Depth, rows and columns; an even kernel_size needs an explicit ``padding``.
    padding : int, (int, int, int), "same" or "valid"
        Zeros on each side, at most d(K-1)/2, which is "same".
    groups, group_channels, reduction, sigma, rng, dtype
        As in `Involution2d`.

    Raises
    ------
    TypeError, ValueError
        If the sizes do not fit together; the message says which and what is needed.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Involution3d(32, 3, stride=(1, 2, 2), rng=0, dtype=float)
    >>> x = np.random.default_rng(0).standard_normal((1, 32, 4, 5, 6))
    >>> layer.generate_kernel(x).shape  # G = 32 / 16
    (1, 2, 3, 3, 3, 4, 3, 3)
    >>> y = layer(x)
    >>> y.shape, layer.backward(y).shape
    ((1, 32, 4, 3, 3), (1, 32, 4, 5, 6))
    """

    def __init__(
        self, channels: int, kernel_size: IntOrTriple = 3, *, stride: IntOrTriple = 1,
        padding: Padding3d = "same", dilation: IntOrTriple = 1, groups: int | None = None,
        group_channels: int = 16, reduction: int = 4, sigma: str = "bn-relu", rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        self.channels = as_int("channels", channels)
        hidden = channels // as_int("reduction", reduction, 1, channels)
        self.groups = as_groups(channels, groups, group_channels)
        self.window = as_triple("kernel_size", kernel_size)
        self.stride, self.dilation = as_triple("stride", stride), as_triple("dilation", dilation)
        self.padding = resolve_padding3d(padding, self.window, self.dilation)
        self.crop = Centres(self.window, self.stride, self.dilation, self.padding)
        # The mean of a cell is the mean over depth of the means of its slices.
        self.pool_slices = AvgPool2d(self.stride[1:])
        self.pool_depth = AvgPool2d((self.stride[0], 1))
        spanned = self.groups * self.window[0] * self.window[1] * self.window[2]
        rng = as_generator(rng)
        self.conv1, self.conv2 = generator(channels, hidden, spanned, sigma, rng, dtype)

    def generate_kernel(self, x: Array) -> Array:
        """Return the kernel of every voxel, (N, G, K_d, K_h, K_w, D_out, H_out, W_out)."""
        x = self.crop(_as_features(x, self, self.channels, "(N, C, D, H, W)"))
        n, c, d, h, w = x.shape
        slices = self.pool_slices(x.reshape(n, c * d, h, w))
        *_, h, w = slices.shape
        pooled = self.pool_depth(slices.reshape(n, c, d, h * w))
        kernel = self.conv2(self.conv1(pooled))  # (N, G*K_d*K_h*K_w, D_out, H_out*W_out)
        return kernel.reshape(n, self.groups, *self.window, kernel.shape[2], h, w)

    def generate_backward(self, dkernel: Array) -> Array:
        """Return dx_generate (N, C, D, H, W): the path from the kernels back to ``x``."""
        n, *spanned, d, h, w = dkernel.shape
        dkernel = dkernel.reshape(n, math.prod(spanned), d, h * w)
        dslices = self.pool_depth.backward(self.conv1.backward(self.conv2.backward(dkernel)))
        _, c, d, _ = dslices.shape
        dx = self.pool_slices.backward(dslices.reshape(n, c * d, h, w))
        return self.crop.backward(dx.reshape(n, c, d, *dx.shape[2:]))

    def forward(self, x: Array) -> Array:
        """Return y (N, C, D_out, H_out, W_out)."""
        kernel = self.generate_kernel(x)
        options: dict[str, Any] = {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
        }
        y = involution3d(x, kernel, **options)
        self.save(y, x, kernel, options)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx = dx_apply + dx_generate, (N, C, D, H, W)."""
        dy, x, kernel, options = self.saved(dy)
        dx, dkernel = involution3d_backward(dy, x, kernel, **options)
        dx += self.generate_backward(dkernel)
        return dx


def _as_features(x: Array, layer: Module, channels: int, axes: str) -> Array:
    """Return ``x``, contiguous, of the layer's dtype and device, and with its axes and channels."""
    x = as_input(x, layer.parameters()[0].data)
    if x.ndim != axes.count(",") + 1 or x.shape[1] != channels or min(x.shape[1:]) < 1:
        need = f"{axes} with C = {channels} and no empty axis but N"
        raise ArgumentError("x", f"has shape {x.shape}", need)
    return x
