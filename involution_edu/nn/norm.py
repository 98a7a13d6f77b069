"""Batch normalisation."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import ArgumentError, as_int, as_number
from ..arrays import Array, array_module, as_dtype
from .arguments import as_features
from .module import Module, Parameter


class BatchNorm2d(Module):
    """Normalise each channel to zero mean and unit variance, then scale and shift it.

    .. code-block:: text

        x_hat = (x - mean) / sqrt(var + eps);  y = weight * x_hat + bias

    In training mode, mean and var (biased) are those of the batch, over N, H and W, and the
    running mean and variance move towards them by ``momentum`` (the running variance towards the
    unbiased one). In evaluation mode the running ones are used.

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

    buffer_names = ("running_mean", "running_var", "num_batches_tracked")

    def __init__(
        self,
        channels: int,
        *,
        eps: float = 1e-5,
        momentum: float = 0.1,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.eps, self.momentum = as_number("eps", eps, 1), as_number("momentum", momentum, 1)
        channels, dtype = as_int("channels", channels), as_dtype(dtype)
        self.weight = Parameter(np.ones(channels, dtype))
        self.bias = Parameter(np.zeros(channels, dtype))
        self.running_mean = np.zeros(channels, dtype)
        self.running_var = np.ones(channels, dtype)
        self.num_batches_tracked = np.zeros((), np.int64)

    def forward(self, x: Array) -> Array:
        """Return y, of the shape of ``x``."""
        weight, bias = self.weight.data, self.bias.data
        x = as_features(x, len(weight), weight)
        use_batch = self.training and len(x) > 0  # an empty batch has no statistics
        if use_batch:
            mean = x.mean(axis=(0, 2, 3))
            y = x - _per_channel(mean)
            inverse_std = 1 / (self._update_statistics(mean, y) + self.eps) ** 0.5
            y *= _per_channel(weight * inverse_std)
            y += _per_channel(bias)
        else:
            mean, inverse_std = self.running_mean, 1 / (self.running_var + self.eps) ** 0.5
            y = x * _per_channel(weight * inverse_std)
            y += _per_channel(bias - mean * weight * inverse_std)
        self.save(y, x, mean, inverse_std, use_batch)
        return y

    def _update_statistics(self, mean: Array, centred: Array) -> Array:
        """Return the variance of the batch, and update the running statistics."""
        count = centred.size // len(mean)
        if count < 2:
            got = f"has shape {centred.shape}, one value per channel"
            need = "at least 2 for a variance in training mode: call eval() on BatchNorm2d"
            raise ArgumentError("x", got, need)
        var = _products(centred, centred) / count
        # Not running += momentum * (new - running), which cancels if momentum is 1.
        new = ((self.running_mean, mean), (self.running_var, var * (count / (count - 1))))
        for running, of_batch in new:
            running *= 1 - self.momentum
            running += self.momentum * of_batch
        self.num_batches_tracked += 1
        return var

    def backward(self, dy: Array) -> Array:
        """Return dx; in training mode also through the batch's mean and variance."""
        dy, x, mean, inverse_std, use_batch = self.saved(dy)
        centred = x - _per_channel(mean)
        dweight, dbias = _products(dy, centred) * inverse_std, dy.sum(axis=(0, 2, 3))
        self.weight.grad += dweight
        self.bias.grad += dbias
        scale = _per_channel(self.weight.data * inverse_std)
        # In training mode mean and var depend on x too, which gives
        # dx = scale * (dy - dbias / count - x_hat * dweight / count).
        if not use_batch:
            return dy * scale
        count = dy.size // len(dbias)
        dx: Array = centred
        dx *= _per_channel(-inverse_std * dweight / count)
        dx -= _per_channel(dbias / count)
        dx += dy
        dx *= scale
        return dx


def _products(a: Array, b: Array) -> Array:
    """Return the sum of a * b for each channel, (C,)."""
    if array_module(a) is np:
        sums: Array = np.einsum("nchw,nchw->c", a, b)  # without an array of the products
        return sums
    of_gpu: Array = (a * b).sum(axis=(0, 2, 3))  # CuPy's einsum would copy both, for a product
    return of_gpu


def _per_channel(a: Array) -> Array:
    return a[:, None, None]  # (C,) -> (C, 1, 1), to broadcast with (N, C, H, W)
