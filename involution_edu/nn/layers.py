"""Convolution, batch normalisation, ReLU and average pooling."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from ..arrays import check_array
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
from .module import Module, Parameter, as_dtype

Rng = np.random.Generator | int | None


def as_features(x: Array, channels: int | None = None, dtype: np.dtype[Any] | None = None) -> Array:
    """Return ``x`` (N, C, H, W), contiguous; raise unless C is ``channels`` and it has ``dtype``."""
    x = check_array("x", x)
    if x.ndim != 4 or channels not in (None, x.shape[1]):
        wanted = "" if channels is None else f" with C = {channels}"
        raise ValueError(f"x has shape {x.shape}; need (N, C, H, W){wanted}")
    if min(x.shape[1:]) < 1:
        raise ValueError(
            f"x has shape {x.shape}; need at least one channel, one row and one column"
        )
    if dtype not in (None, x.dtype):
        raise TypeError(f"x has dtype {x.dtype}; need {dtype}, the dtype of the layer")
    return x


def as_generator(rng: Rng) -> np.random.Generator:
    """Return the random numbers that ``rng`` stands for: its own, a seed's, or new ones."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise ValueError(f"rng is {rng!r}; need a Generator, an int >= 0 or None") from None


def as_fraction(name: str, value: object) -> float:
    """Return ``value`` as a float from 0 to 1."""
    if not isinstance(value, int | float | np.floating) or not 0 <= value <= 1:
        raise ValueError(f"{name} is {value!r}; need a number from 0 to 1")
    return float(value)


def kaiming_normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Return normal weights of variance 2 / fan_out, with fan_out = out_channels * K_h * K_w."""
    out_channels, _, k_h, k_w = shape
    return rng.normal(0.0, np.sqrt(2 / (out_channels * k_h * k_w)), shape).astype(dtype)


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


class BatchNorm2d(Module):
    """Give each channel zero mean and unit variance, then scale and shift it.

    .. code-block:: text

        x_hat = (x - mean) / sqrt(var + eps);  y = weight * x_hat + bias

    In training mode mean and var (biased) are those of the batch, over N, H and W, and the
    running ones move towards them by ``momentum`` (the running variance towards the unbiased
    one); in evaluation mode the running ones are used.

    Parameters
    ----------
    channels : int
    eps, momentum : float
    dtype : float32 or float64

    Examples
    --------
    >>> import numpy as np
    >>> bn = BatchNorm2d(1, eps=0.0, dtype=float)
    >>> bn(np.array([1.0, 3.0]).reshape(1, 1, 1, 2))
    array([[[[-1.,  1.]]]])
    >>> bn.running_mean  # a tenth of the way from 0 to 2
    array([0.2])
    """

    buffer_names: ClassVar[tuple[str, ...]] = (
        "running_mean",
        "running_var",
        "num_batches_tracked",
    )

    def __init__(
        self,
        channels: int,
        *,
        eps: float = 1e-5,
        momentum: float = 0.1,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.eps, self.momentum = as_fraction("eps", eps), as_fraction("momentum", momentum)
        channels, dtype = as_int("channels", channels), as_dtype(dtype)
        self.weight = Parameter(np.ones(channels, dtype))
        self.bias = Parameter(np.zeros(channels, dtype))
        self.running_mean = np.zeros(channels, dtype)
        self.running_var = np.ones(channels, dtype)
        self.num_batches_tracked = np.zeros((), np.int64)

    def forward(self, x: Array) -> Array:
        """Return y, of the shape of ``x``."""
        weight = self.weight.data
        x = as_features(x, len(weight), weight.dtype)
        use_batch = self.training and len(x) > 0  # no images have no statistics
        if use_batch:
            count = x.size // len(weight)
            if count < 2:
                raise ValueError(
                    f"x has shape {x.shape}, one value per channel; BatchNorm2d in training "
                    "mode needs at least 2 for a variance: call eval()"
                )
            mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_var += self.momentum * (var * (count / (count - 1)) - self.running_var)
            self.num_batches_tracked += 1
        else:
            mean, var = self.running_mean, self.running_var
        inverse_std = 1 / np.sqrt(var + x.dtype.type(self.eps))
        x_hat = (x - _per_channel(mean)) * _per_channel(inverse_std)
        y = _per_channel(weight) * x_hat + _per_channel(self.bias.data)
        self.save(y, x_hat, inverse_std, use_batch)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx; in training mode also through the batch's mean and variance."""
        dy, x_hat, inverse_std, use_batch = self.saved(dy)
        dweight, dbias = (dy * x_hat).sum(axis=(0, 2, 3)), dy.sum(axis=(0, 2, 3))
        self.weight.grad += dweight
        self.bias.grad += dbias
        dx = dy
        if use_batch:  # x_hat cannot move along a constant (the mean) nor along itself (the var)
            count = dy.size // len(dbias)
            dx = dy - _per_channel(dbias / count) - x_hat * _per_channel(dweight / count)
        return dx * _per_channel(self.weight.data * inverse_std)


def _per_channel(a: Array) -> Array:
    return a[:, None, None]  # (C,) -> (C, 1, 1), to meet (N, C, H, W)


class ReLU(Module):
    """max(x, 0), with gradient 0 at x = 0."""

    def forward(self, x: Array) -> Array:
        """Return y, of the shape of ``x``."""
        x = check_array("x", x)
        y = np.maximum(x, 0)
        self.save(y, x > 0)
        return y

    def backward(self, dy: Array) -> Array:
        """Return ``dy`` where ``x`` was positive, else 0."""
        dy, positive = self.saved(dy)
        return np.where(positive, dy, 0)


class AvgPool2d(Module):
    """The mean of every window, with a last, smaller window where the image does not divide.

    Sizes round up ("ceil mode"), so that stride s gives ceil(H / s) rows like the operator;
    a window that hangs over the edge is the mean of the pixels it really has.

    Parameters
    ----------
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        ``kernel_size`` if not given.

    Examples
    --------
    >>> import numpy as np
    >>> AvgPool2d(2)(np.array([1.0, 3.0, 5.0]).reshape(1, 1, 1, 3))
    array([[[[2., 5.]]]])
    """

    def __init__(self, kernel_size: IntOrPair, stride: IntOrPair | None = None) -> None:
        self.window = as_pair("kernel_size", kernel_size)
        self.stride = self.window if stride is None else as_pair("stride", stride)

    def _geometry(self, x: Array) -> Geometry:
        """Return the geometry of ``x`` extended to where the last window ends."""
        n, c, *size = x.shape
        h, w = (
            max(pixels, (_ceil_windows(pixels, k, s) - 1) * s + k)
            for pixels, k, s in zip(size, self.window, self.stride, strict=True)
        )
        return make_geometry((n, c, h, w), 1, self.window, self.stride, padding=0)

    def forward(self, x: Array) -> Array:
        """Return y (N, C, H_out, W_out)."""
        x = as_features(x)
        geom = self._geometry(x)
        h, w = x.shape[2:]
        extended = np.zeros(geom.x_shape, x.dtype)
        extended[:, :, :h, :w] = x
        inside = np.zeros((geom.H, geom.W), x.dtype)
        inside[:h, :w] = 1
        y = np.zeros(geom.y_shape, x.dtype)
        count = np.zeros((geom.H_out, geom.W_out), x.dtype)
        for u, v in geom.window_places():
            rows, columns = geom.pixels_under(u, v)
            y += extended[:, :, rows, columns]
            count += inside[rows, columns]
        y /= count
        self.save(y, geom, count, (h, w))
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx: each pixel of a window gets an equal share."""
        dy, geom, count, (h, w) = self.saved(dy)
        share = dy / count
        dx = np.zeros(geom.x_shape, dy.dtype)
        for u, v in geom.window_places():
            rows, columns = geom.pixels_under(u, v)
            dx[:, :, rows, columns] += share
        return np.ascontiguousarray(dx[:, :, :h, :w])


def _ceil_windows(pixels: int, k: int, s: int) -> int:
    """Return how many windows start inside the image, the last one possibly cut off."""
    count = -(-(pixels - k) // s) + 1
    return count - 1 if (count - 1) * s >= pixels else max(count, 1)
