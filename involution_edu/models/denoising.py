"""A network that removes noise from photos with a kernel for each pixel."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import ArgumentError, IntOrPair, Rng, as_generator, as_int, as_pair
from ..arrays import Array
from ..nn import Conv2d, Module, ReLU, Sequential
from ..nn.arguments import as_features
from ..ops import involution, involution_backward

DILATIONS = (1, 2, 4)  # of the 3x3 convolutions: a receptive field of 15 x 15 pixels


class KernelDenoiser(Module):
    """Filter a photo with a kernel for each pixel, generated from the neighbourhood of the pixel.

    .. code-block:: text

        x -> three times: 3x3 convolution, ReLU -> span, 1x1 -> viewed as kernel (N, 1, K, K, H, W)
        y = involution(x, kernel)

    It is an involution whose generator reads a neighbourhood, since a single noisy pixel does not
    show whether it is on an edge. The kernels have no constraint on sign or sum.

    Parameters
    ----------
    channels : int
        Of the features.
    kernel_size : int or (int, int)
        K, odd.
    in_channels : int
        C of ``x``; all channels share the kernel.
    rng : Generator, int or None
        Source of the weights.
    dtype : float32 or float64

    References
    ----------
    Mildenhall et al., CVPR 2018, arXiv:1712.02327: kernels predicted for the pixels of a burst.

    Examples
    --------
    >>> model = KernelDenoiser(8, 5, rng=0)
    >>> x = np.zeros((1, 1, 6, 9), np.float32)
    >>> model(x).shape, model.generate_kernel(x).shape
    ((1, 1, 6, 9), (1, 1, 5, 5, 6, 9))
    """

    def __init__(
        self,
        channels: int = 24,
        kernel_size: IntOrPair = 7,
        *,
        in_channels: int = 1,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.window = as_pair("kernel_size", kernel_size)
        if not all(size % 2 for size in self.window):
            raise ArgumentError("kernel_size", f"is {kernel_size}", "odd sizes: a middle pixel")
        self.in_channels = as_int("in_channels", in_channels)
        conv, layers = partial(Conv2d, rng=as_generator(rng), dtype=dtype), list[Module]()
        for width, dilation in zip((in_channels, channels, channels), DILATIONS, strict=True):
            layers += [conv(width, channels, 3, padding="same", dilation=dilation), ReLU()]
        self.body = Sequential(*layers)
        self.span = conv(channels, self.window[0] * self.window[1])

    def generate_kernel(self, x: Array) -> Array:
        """Return the kernel of every pixel, (N, 1, K_h, K_w, H, W)."""
        spanned = self.span(self.body(x))
        return spanned.reshape(len(spanned), 1, *self.window, *spanned.shape[2:])

    def forward(self, x: Array) -> Array:
        """Return y, of the shape of ``x``."""
        x = as_features(x, self.in_channels, self.span.weight.data)
        kernel = self.generate_kernel(x)
        y = involution(x, kernel)
        self.save(y, x, kernel)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx = dx_apply + dx_generate, (N, C, H, W)."""
        dy, x, kernel = self.saved(dy)
        dx, dkernel = involution_backward(dy, x, kernel)
        n, _, k_h, k_w, h, w = dkernel.shape
        dx += self.body.backward(self.span.backward(dkernel.reshape(n, k_h * k_w, h, w)))
        return dx
