"""An involution whose kernels follow the edges of a photo, trained to remove Gaussian noise."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import ArgumentError, IntOrPair, Rng, as_generator, as_pair
from ..arrays import Array
from ..images import STD, Photo
from ..nn import Conv2d, Module, ReLU, Sequential
from ..nn.arguments import as_features
from ..nn.losses import softmax
from ..ops import involution, involution_backward

SIGMA = 25.0  # standard deviation of the noise, in grey levels 0..255


class EdgeDenoiser(Module):
    """Filter a photo with a kernel for each pixel, generated from the features of that pixel.

    .. code-block:: text

        x -> features: 5x5 convolution, ReLU, 5x5 convolution of dilation 2, ReLU
          -> reduce, 1x1, ReLU -> span, 1x1 -> softmax over the K*K taps
          -> viewed as kernel (N, 1, K, K, H, W)
        y = involution(x, kernel)

    Only the two convolutions see a neighbourhood, of 13 x 13 pixels: a single noisy pixel does not
    show whether it is on an edge. Red, green and blue share the kernel. The softmax makes its
    weights positive with a sum of 1: every output pixel is a weighted mean of input pixels.

    In training mode, `backward` adds the gradient of a small penalty on the spread of the kernels,

    .. code-block:: text

        spread_cost * mean over pixels of sum over taps of kernel * (distance from the middle)^2

    so that the kernel of a flat part is a round dot instead of the whole square window.

    Parameters
    ----------
    kernel_size : int or (int, int)
        K, odd.
    channels : (int, int)
        Of the features after each convolution.
    reduced : int
        Channels between reduce and span.
    spread_cost : float
        Of the penalty, for a distance in pixels.
    rng : Generator, int or None
        Source of the weights.
    dtype : float32 or float64

    Raises
    ------
    ValueError
        If a size is even or not positive.

    References
    ----------
    Mildenhall et al., CVPR 2018, arXiv:1712.02327: kernels predicted for the pixels of a burst.

    Examples
    --------
    >>> model = EdgeDenoiser(5, channels=(4, 8), reduced=6, rng=0)
    >>> x = np.zeros((1, 3, 6, 9), np.float32)
    >>> kernel = model.generate_kernel(x)
    >>> model(x).shape, kernel.shape, round(float(kernel[..., 2, 4].sum()), 5)
    ((1, 3, 6, 9), (1, 1, 5, 5, 6, 9), 1.0)
    """

    def __init__(
        self,
        kernel_size: IntOrPair = 9,
        *,
        channels: tuple[int, int] = (24, 32),
        reduced: int = 24,
        spread_cost: float = 5e-4,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.window = as_pair("kernel_size", kernel_size)
        if not all(size % 2 for size in self.window):
            raise ArgumentError("kernel_size", f"is {kernel_size}", "odd sizes: a middle pixel")
        rows, columns = (np.arange(size) - size // 2 for size in self.window)
        self.spread = spread_cost * (rows[:, np.newaxis] ** 2.0 + columns**2)
        first, last = channels
        conv = partial(Conv2d, rng=as_generator(rng), dtype=dtype)
        wide = partial(conv, kernel_size=5, padding="same")
        self.features = Sequential(wide(3, first), ReLU(), wide(first, last, dilation=2), ReLU())
        self.reduce = Sequential(conv=conv(last, reduced, bias=False), relu=ReLU())
        self.span = conv(reduced, self.window[0] * self.window[1])

    def generate_kernel(self, x: Array) -> Array:
        """Return the kernel of every pixel, (N, 1, K_h, K_w, H, W)."""
        kernel = softmax(self.span(self.reduce(self.features(x))), axis=1)
        return kernel.reshape(len(kernel), 1, *self.window, *kernel.shape[2:])

    def forward(self, x: Array) -> Array:
        """Return y (N, 3, H, W)."""
        x = as_features(x, 3, self.span.weight.data)
        kernel = self.generate_kernel(x)
        y = involution(x, kernel)
        self.save(y, x, kernel)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx = dx_apply + dx_generate, (N, 3, H, W)."""
        dy, x, kernel = self.saved(dy)
        dx, dkernel = involution_backward(dy, x, kernel)
        n, _, k_h, k_w, h, w = dkernel.shape
        if self.training:
            cost = self.spread[:, :, np.newaxis, np.newaxis] / (n * h * w)
            dkernel += cost.astype(dkernel.dtype)
        # Of the softmax: dz = kernel * (dkernel - sum over the taps of kernel * dkernel).
        dkernel -= (kernel * dkernel).sum(axis=(2, 3), keepdims=True)
        dkernel *= kernel
        dreduced = self.span.backward(dkernel.reshape(n, k_h * k_w, h, w))
        dx += self.features.backward(self.reduce.backward(dreduced))
        return dx


def add_noise(x: Array, rng: np.random.Generator) -> Array:
    """Return ``x`` (N, 3, H, W) of `photo_to_x` with Gaussian noise of `SIGMA` grey levels."""
    sigma = (SIGMA / STD).astype(np.float32).reshape(3, 1, 1)  # photo_to_x divides by STD
    return x + sigma * rng.standard_normal(x.shape, np.float32)


def with_noise(photo: Photo, seed: int) -> Photo:
    """Return ``photo`` (H, W, 3) with Gaussian noise as in training, but rounded and clipped."""
    noise = SIGMA * np.random.default_rng(seed).standard_normal(photo.shape)
    noisy: Photo = np.rint((photo + noise).clip(0, 255)).astype(np.uint8)
    return noisy
