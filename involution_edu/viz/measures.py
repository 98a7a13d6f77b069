"""Measures (...) of kernels (..., K_h, K_w), such as `OperatorTrace.kernels`."""

from __future__ import annotations

import numpy as np

from ..arrays import Array


def kernel_sum(kernels: Array) -> Array:
    """Return Σ kernel, as in the heat maps of Li et al.: the output where the input is 1 everywhere."""
    sums: Array = _floats(kernels).sum(axis=(-2, -1))
    return sums


def l1_norm(kernels: Array) -> Array:
    """Return ``Σ|kernel|``: the strength of the kernel, whatever its signs."""
    return kernel_sum(np.abs(_floats(kernels)))


def entropy(kernels: Array) -> Array:
    """Return the entropy of ``|kernel|`` over log(K_h·K_w): 0 for one tap, 1 for taps of one size."""
    share = _shares(kernels)
    logarithm = np.log(share, out=np.zeros_like(share), where=share > 0)
    maximum = np.log(kernels.shape[-2] * kernels.shape[-1]) or 1.0  # a 1 x 1 window has entropy 0
    return 0 - kernel_sum(share * logarithm) / maximum  # 0 - x: no -0


def centroid(kernels: Array) -> Array:
    """Return the centre of mass of ``|kernel|``: (..., 2) rows down and columns right of the middle."""
    share = _shares(kernels)
    return np.stack([kernel_sum(share * offsets) for offsets in _offsets(kernels)], axis=-1)


def orientation(kernels: Array) -> tuple[Array, Array]:
    """Return the long axis of ``|kernel|``: degrees anticlockwise, and strength, 0 round to 1 a line."""
    share, middle = _shares(kernels), centroid(kernels)
    rows, columns = _offsets(kernels)
    down, right = rows - middle[..., :1, None], columns - middle[..., 1:, None]
    tall, wide = (kernel_sum(share * d**2) for d in (down, right))
    slant = -kernel_sum(share * down * right)  # rows are counted downwards
    angle: Array = np.degrees(np.arctan2(2 * slant, wide - tall)) / 2
    return angle, _ratio(np.hypot(wide - tall, 2 * slant), tall + wide)


def structure(photo: Array) -> tuple[Array, Array, Array]:
    """Return direction, coherence and energy of the edges of ``photo`` (C, H, W), each (H, W).

    They are those of the structure tensor: the products of the two derivatives (Gaussian, of 1
    pixel), summed over the channels and smoothed (Gaussian, of 2 pixels). The direction is that
    of the edge, in degrees anticlockwise; the coherence (λ1 - λ2) / (λ1 + λ2) is 1 if all gradients
    around are parallel; the energy λ1 + λ2 is the mean square of the gradient.
    """
    down, right = np.gradient(_blurred(photo.astype(np.float64), 1), axis=(1, 2))
    products = down * down, right * right, -down * right  # rows are counted downwards
    tall, wide, slant = (_blurred(product.sum(axis=0), 2) for product in products)
    energy = tall + wide
    across: Array = np.degrees(np.arctan2(2 * slant, wide - tall)) / 2  # of the gradient
    return across + 90, _ratio(np.hypot(wide - tall, 2 * slant), energy), energy


def distance(kernels: Array, kernel: Array) -> Array:
    """Return ‖a - b‖ / (‖a‖ + ‖b‖) of each of ``kernels`` and ``kernel``: 0 equal, 1 opposite."""
    a, b = _floats(kernels), _floats(kernel)
    apart, of_a, of_b = (np.sqrt(kernel_sum(k**2)) for k in (a - b, a, b))
    return _ratio(apart, of_a + of_b)


def _floats(kernels: Array) -> Array:
    """Return float32 at least: small integers overflow in differences, sizes and squares."""
    return kernels.astype(np.result_type(kernels, np.float32), copy=False)


def _ratio(a: Array, b: Array) -> Array:
    """Return a / b; 0 where b is 0."""
    ratio: Array = np.divide(a, b, out=np.zeros_like(a), where=b > 0)
    return ratio


def _blurred(array: Array, sigma: int) -> Array:
    """Return ``array`` (..., H, W) smoothed by a Gaussian, its borders repeated."""
    offsets = np.arange(-4 * sigma, 4 * sigma + 1)
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    for _ in range(2):
        pad = [(0, 0)] * (array.ndim - 1) + [(4 * sigma, 4 * sigma)]
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(array, pad, "edge"), len(weights), -1
        )
        array = (windows @ (weights / weights.sum())).swapaxes(-2, -1)
    return array


def _shares(kernels: Array) -> Array:
    """Return ``|kernel|`` over its sum; 0 where that is 0."""
    sizes = np.abs(kernels.astype(np.float64))
    return _ratio(sizes, sizes.sum(axis=(-2, -1), keepdims=True))


def _offsets(kernels: Array) -> tuple[Array, Array]:
    """Return the row and the column of every tap of the window, counted from its middle."""
    K_h, K_w = kernels.shape[-2:]
    rows, columns = np.arange(K_h) - (K_h - 1) / 2, np.arange(K_w) - (K_w - 1) / 2
    return rows[:, np.newaxis], columns[np.newaxis]
