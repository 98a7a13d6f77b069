"""An involution whose kernels follow the edges of a photo, trained to remove Gaussian noise."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import ArgumentError, IntOrPair, Pair, Rng, as_generator, as_pair
from ..arrays import Array
from ..images import STD, Photo
from ..nn import Conv2d, Module, ReLU, Sequential
from ..nn.arguments import as_features
from ..nn.losses import softmax
from ..ops import involution, involution_backward

SIGMA = 25.0  # standard deviation of the noise, in grey levels 0..255
LONG = 0.8  # length of the axis of a kernel for a coherence of 1
ROUND = 0.05  # a kernel with a shorter axis is round: its direction says little
TURNS = np.arange(4) * np.pi / 4  # directions of the first weights, anticlockwise


class EdgeDenoiser(Module):
    """Filter a photo with a kernel for each pixel, generated from the features of that pixel.

    .. code-block:: text

        x -> features: 7x7 convolution, ReLU, 7x7 convolution of dilation 2, ReLU
          -> reduce, 1x1, ReLU -> span, 1x1 -> softmax over the K*K taps
          -> viewed as kernel (N, 1, K, K, H, W)
        y = involution(x, kernel)

    Only the two convolutions see a neighbourhood, of 19 x 19 pixels: a single noisy pixel does not
    show whether it is on an edge. Red, green and blue share the kernel. The softmax makes its
    weights positive with a sum of 1: every output pixel is a weighted mean of input pixels.

    Some of the first weights are set by hand, see `steer`; the others are random. In training mode,
    `backward` adds the gradients of three costs, means over the pixels:

    .. code-block:: text

        spread = sum over taps of kernel * (distance from the middle)^2
        axis   = sum over taps of kernel * (right + i * up)^2 / spread

        cost = spread_cost * spread + shape_cost * |axis - 0.8 * edges|^2
            - turn_cost * cos(angle between them) * |axis| / sqrt(|axis|^2 + 0.05^2)

    The complex axis is 0 for a round kernel and, for a line, has the length 1 and twice its angle.
    ``edges`` is the same of the structure tensor of the photo without noise: it supervises the
    kernels. The first cost makes the kernel of a flat part small, the second gives it the
    elongation of the structure tensor, and the third, where that is longer than 0.5, its direction.

    Parameters
    ----------
    kernel_size : int or (int, int)
        K, odd.
    channels : (int, int)
        Of the features after each convolution, at least 8 and 4.
    reduced : int
        Channels between reduce and span, at least 4.
    spread_cost, shape_cost, turn_cost : float
        Of the three costs, for distances in pixels.
    rng : Generator, int or None
        Source of the weights.
    dtype : float32 or float64

    Attributes
    ----------
    edges : ndarray of complex numbers, shape (N, H, W), or None
        For the next backward pass, which sets it to None. Without it, only the first cost is added.

    Raises
    ------
    ValueError
        If a size is even or not positive, or there are too few channels.

    References
    ----------
    Mildenhall et al., CVPR 2018, arXiv:1712.02327: kernels predicted for the pixels of a burst.
    Takeda et al., IEEE TIP 2007: kernels steered by the structure tensor.

    Examples
    --------
    >>> model = EdgeDenoiser(5, channels=(8, 8), reduced=6, rng=0)
    >>> x = np.zeros((1, 3, 6, 9), np.float32)
    >>> kernel = model.generate_kernel(x)
    >>> model(x).shape, kernel.shape, round(float(kernel[..., 2, 4].sum()), 5)
    ((1, 3, 6, 9), (1, 1, 5, 5, 6, 9), 1.0)
    """

    def __init__(
        self,
        kernel_size: IntOrPair = 9,
        *,
        channels: tuple[int, int] = (32, 32),
        reduced: int = 24,
        spread_cost: float = 5e-4,
        shape_cost: float = 0.004,
        turn_cost: float = 0.015,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.window = as_pair("kernel_size", kernel_size)
        if not all(size % 2 for size in self.window):
            raise ArgumentError("kernel_size", f"is {kernel_size}", "odd sizes: a middle pixel")
        (first, last), turns = channels, len(TURNS)
        if first < 2 * turns or min(last, reduced) < turns:
            got = f"are {channels}, then {reduced}"
            raise ArgumentError("channels", got, f"at least ({2 * turns}, {turns}), then {turns}")
        self.spread_cost, self.shape_cost, self.turn_cost = spread_cost, shape_cost, turn_cost
        self.edges: Array | None = None
        conv = partial(Conv2d, rng=as_generator(rng), dtype=dtype)
        wide = partial(conv, kernel_size=7, padding="same")
        near, far = wide(3, first), wide(first, last, dilation=2)
        self.features = Sequential(near, ReLU(), far, ReLU())
        reduce = conv(last, reduced, bias=False)
        self.reduce = Sequential(conv=reduce, relu=ReLU())
        self.span = conv(reduced, self.window[0] * self.window[1])
        steer(near, far, reduce, self.span, self.window)

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
            dkernel += self.cost_gradient(kernel)
        # Of the softmax: dz = kernel * (dkernel - sum over the taps of kernel * dkernel).
        dkernel -= (kernel * dkernel).sum(axis=(2, 3), keepdims=True)
        dkernel *= kernel
        dreduced = self.span.backward(dkernel.reshape(n, k_h * k_w, h, w))
        dx += self.features.backward(self.reduce.backward(dreduced))
        return dx

    def cost_gradient(self, kernel: Array) -> Array:
        """Return the gradient of the costs for the kernel of every pixel, in its shape."""
        n, h, w = len(kernel), *kernel.shape[4:]
        at = taps(self.window)
        of_taps = np.stack([np.abs(at) ** 2, (at**2).real, (at**2).imag]).astype(kernel.dtype)
        of_taps = of_taps.reshape(3, -1)  # sums of kernel * of_taps: spread, and axis * spread
        gradient = np.zeros((n, 3, h * w), kernel.dtype)  # for these sums
        gradient[:, 0] = self.spread_cost
        if self.edges is not None:
            spread, real, imag = (of_taps @ kernel.reshape(n, -1, h * w)).swapaxes(0, 1)
            axis, edges = (real + 1j * imag) / spread, self.edges.reshape(spread.shape)
            coherence, length = np.abs(edges), np.sqrt(np.abs(axis) ** 2 + ROUND**2)
            direction = np.where(coherence > 0.5, edges, 0) / np.maximum(coherence, 0.5)
            daxis = axis * ((axis * direction.conj()).real / length**3) - direction / length
            daxis = self.turn_cost * daxis + 2 * self.shape_cost * (axis - LONG * edges)
            gradient[:, 1:] = np.stack([daxis.real / spread, daxis.imag / spread], axis=1)
            gradient[:, 0] -= (daxis * axis.conj()).real / spread
            self.edges = None
        dkernel: Array = of_taps.T @ gradient / (n * h * w)
        return dkernel.reshape(kernel.shape)


def taps(window: Pair, dilation: int = 1) -> Array:
    """Return the taps (K_h, K_w) of a window, in pixels from the middle: right + 1j * up."""
    rows, columns = (dilation * (np.arange(size) - size // 2) for size in window)
    at: Array = columns - 1j * rows[:, np.newaxis]
    return at


def steer(near: Conv2d, far: Conv2d, reduce: Conv2d, span: Conv2d, window: Pair) -> None:
    """Set some first weights of an `EdgeDenoiser`: its kernels are narrow across an edge.

    For each of the directions `TURNS`, ``near`` has the derivative of the grey photo and its
    negative, so that the two ReLU add up to its size, and ``far`` adds up these sizes around the
    pixel. Of the four sums ``reduce`` makes the gradient, with its angle doubled, projected on each
    direction. Then ``span`` lowers the taps that are far along it.
    """
    back, count = np.exp(-1j * TURNS[:, np.newaxis, np.newaxis]), len(TURNS)
    at = taps(near.window)
    slope = (back * at).real * np.exp(-(np.abs(at) ** 2) / (2 * 1.5**2))
    slope /= np.sqrt(3 * np.square(slope).sum(axis=(1, 2), keepdims=True))  # noise keeps its size
    near.weight.data[: 2 * count] = np.concatenate([slope, -slope])[:, np.newaxis]
    around = np.exp(-(np.abs(taps(far.window, far.dilation[0])) ** 2) / (2 * 3.0**2))
    far.weight.data[:count] = reduce.weight.data[:count] = 0
    for n in range(count):
        far.weight.data[n, [n, count + n]] = around / around.sum()
    reduce.weight.data[:count, :count, 0, 0] = np.cos(2 * (TURNS - TURNS[:, np.newaxis])) / 2
    at = taps(window)
    span.weight.data *= 0.3
    span.weight.data[:, :count, 0, 0] = -0.15 * np.square((back * at).real).reshape(count, -1).T
    assert span.bias is not None
    span.bias.data[:] = -(np.abs(at) ** 2).ravel() / (2 * 2.2**2)


def add_noise(x: Array, rng: np.random.Generator) -> Array:
    """Return ``x`` (N, 3, H, W) of `photo_to_x` with Gaussian noise of `SIGMA` grey levels."""
    sigma = (SIGMA / STD).astype(np.float32).reshape(3, 1, 1)  # photo_to_x divides by STD
    return x + sigma * rng.standard_normal(x.shape, np.float32)


def with_noise(photo: Photo, seed: int) -> Photo:
    """Return ``photo`` (H, W, 3) with Gaussian noise as in training, but rounded and clipped."""
    noise = SIGMA * np.random.default_rng(seed).standard_normal(photo.shape)
    noisy: Photo = np.rint((photo + noise).clip(0, 255)).astype(np.uint8)
    return noisy
