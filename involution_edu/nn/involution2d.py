"""The involution layer: generate a kernel at every pixel, then apply it."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ..geometry import Array, IntOrPair, as_int, as_pair
from ..ops import involution, involution_backward
from .layers import AvgPool2d, BatchNorm2d, Conv2d, ReLU, Rng, check_features
from .module import Module, Sequential

SIGMAS = ("bn-relu", "relu", "identity")


class Involution2d(Module):
    """Involution: each pixel makes its own kernel from its own features.

    .. code-block:: text

        x -> [mean over s x s cells if s > 1] -> reduce, 1x1 (C -> C/r) -> sigma
          -> span, 1x1 (C/r -> G*K_h*K_w, with bias) -> viewed as kernel (N, G, K_h, K_w, ...)
        y = involution(x, kernel)

    ``x`` is used twice, so its gradient is the sum of two: dx = dx_apply + dx_generate.

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
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        channels, reduction = as_int("channels", channels), as_int("reduction", reduction)
        out_channels = channels if out_channels is None else as_int("out_channels", out_channels)
        self.window = as_pair("kernel_size", kernel_size)
        self.stride, self.dilation = as_pair("stride", stride), as_pair("dilation", dilation)
        self.channels = channels
        self.groups = _groups(out_channels, groups, group_channels)
        if min(self.window) % 2 == 0 or max(self.window) % 2 == 0:
            raise ValueError(f"kernel_size is {kernel_size}; need odd sizes, with a middle pixel")
        if reduction > channels:
            raise ValueError(f"reduction is {reduction}; need 1 to channels = {channels}")
        if sigma not in SIGMAS:
            raise ValueError(f"sigma is {sigma!r}; need one of {', '.join(map(repr, SIGMAS))}")
        rng = np.random.default_rng(rng)
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
        return self.conv1(self.pool(x))

    def span(self, features: Array) -> Array:
        """Return the kernels (N, G, K_h, K_w, H_out, W_out) made of the reduced features."""
        spanned = self.conv2(features)  # (N, G*K_h*K_w, H_out, W_out)
        n, _, h, w = spanned.shape
        return spanned.reshape(n, self.groups, *self.window, h, w)

    def generate_kernel(self, x: Array) -> Array:
        """Return the kernel of every pixel, (N, G, K_h, K_w, H_out, W_out)."""
        check_features(x, self.channels, self.conv2.parameters()[0].data.dtype)
        return self.span(self.reduce(x))

    def generate_kernel_backward(self, dkernel: Array) -> Array:
        """Return dx_generate (N, C, H, W): the path from the kernels back to ``x``."""
        n, g, k_h, k_w, h, w = dkernel.shape
        dspanned = dkernel.reshape(n, g * k_h * k_w, h, w)
        return self.pool.backward(self.conv1.backward(self.conv2.backward(dspanned)))

    def forward(self, x: Array) -> Array:
        """Return y (N, out_channels, H_out, W_out)."""
        kernel = self.generate_kernel(x)
        x = self.project(x)
        y = involution(x, kernel, stride=self.stride, dilation=self.dilation)
        self.save(y, x, kernel)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx = dx_apply + dx_generate, (N, C, H, W)."""
        x, kernel = self.saved(dy)
        dx, dkernel = involution_backward(dy, x, kernel, stride=self.stride, dilation=self.dilation)
        return self.project.backward(dx) + self.generate_kernel_backward(dkernel)


def _groups(out_channels: int, groups: int | None, group_channels: int) -> int:
    name, value = ("group_channels", group_channels) if groups is None else ("groups", groups)
    value = as_int(name, value)
    if out_channels % value:
        raise ValueError(f"{name} is {value}; need a divisor of the {out_channels} channels")
    return out_channels // value if groups is None else value
