"""Resizing, adaptive pooling and RoIAlign: one weight matrix for the rows, one for the columns.

All of them are linear and separable: ``y = rows @ x @ columns.T`` for every channel, so that
``dx = rows.T @ dy @ columns``, and nothing needs to be kept for the backward pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import ArgumentError, IntOrPair, Pair, as_choice, as_int, as_pair, check_shape
from ..arrays import Array, array_module
from .arguments import as_features
from .module import Module

MODES = ("nearest", "bilinear", "area")
Indices = NDArray[np.integer[Any]]


def resize(x: Array, size: IntOrPair, mode: str = "bilinear") -> Array:
    """Return ``x`` (N, C, H, W) with the rows and columns of ``size``.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    size : int or (int, int)
        Rows and columns of the result.
    mode : {"nearest", "bilinear", "area"}
        As in ``torch.nn.functional.interpolate`` without ``align_corners``; "area" is the mean
        over the pixels that each output covers, which is adaptive average pooling.

    Raises
    ------
    TypeError, ValueError
        If a size is not an int of at least 1, or ``mode`` is another.

    Examples
    --------
    >>> x = np.array([1.0, 3.0, 8.0]).reshape(1, 1, 1, 3)
    >>> resize(x, (1, 6), "nearest")[0, 0], resize(x, (1, 2), "area")[0, 0]
    (array([[1., 1., 3., 3., 8., 8.]]), array([[2. , 5.5]]))
    >>> resize(x, (1, 6))[0, 0]
    array([[1.  , 1.5 , 2.5 , 4.25, 6.75, 8.  ]])
    """
    x = as_features(x)
    rows, columns = _matrices(x, x.shape[2:], as_pair("size", size), mode)
    y: Array = rows @ (x @ columns.T)
    return y


def resize_backward(dy: Array, size: IntOrPair, mode: str = "bilinear") -> Array:
    """Return dx of `resize`, for an ``x`` with the rows and columns of ``size``.

    Parameters
    ----------
    dy : ndarray, shape (N, C, H_out, W_out)
    size : int or (int, int)
        Rows and columns of ``x``.
    mode : {"nearest", "bilinear", "area"}

    Examples
    --------
    >>> resize_backward(np.array([1.0, 2.0]).reshape(1, 1, 1, 2), (1, 3), "area")
    array([[[[0.5, 1.5, 1. ]]]])
    """
    dy = as_features(dy)
    rows, columns = _matrices(dy, as_pair("size", size), dy.shape[2:], mode)
    dx: Array = rows.T @ (dy @ columns)
    return dx


class Resize2d(Module):
    """`resize` as a layer: to a fixed size, or by a whole factor.

    Parameters
    ----------
    size : int or (int, int), optional
        Rows and columns of the output.
    scale : int
        Factor of rows and columns; used only if ``size`` is not given.
    mode : {"nearest", "bilinear", "area"}

    Examples
    --------
    >>> Resize2d(scale=2)(np.zeros((1, 4, 3, 5))).shape
    (1, 4, 6, 10)
    """

    def __init__(
        self, size: IntOrPair | None = None, *, scale: int = 1, mode: str = "bilinear"
    ) -> None:
        self.size = None if size is None else as_pair("size", size)
        self.scale, self.mode = as_int("scale", scale), as_choice("mode", mode, MODES)

    def forward(self, x: Array) -> Array:
        """Return y (N, C, H_out, W_out)."""
        x = as_features(x)
        h, w = x.shape[2:]
        y = resize(x, self.size or (h * self.scale, w * self.scale), self.mode)
        self.save(y, (h, w))
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx (N, C, H, W)."""
        dy, size = self.saved(dy)
        return resize_backward(dy, size, self.mode)


def _matrices(like: Array, before: tuple[int, ...], after: Pair, mode: str) -> tuple[Array, Array]:
    as_choice("mode", mode, MODES)
    rows, columns = (
        array_module(like).asarray(_weights(old, new, mode), like.dtype)
        for old, new in zip(before, after, strict=True)
    )
    return rows, columns


def _weights(before: int, after: int, mode: str) -> Array:
    """Return the share (after, before) of every input pixel in every output pixel, along an axis."""
    output, pixel = np.arange(after)[:, None], np.arange(before)
    if mode == "nearest":
        nearest: Array = (pixel == output * before // after).astype(float)
        return nearest
    if mode == "bilinear":
        position = np.clip((output + 0.5) * before / after - 0.5, 0, before - 1)
        linear: Array = np.maximum(1 - abs(position - pixel), 0)
        return linear
    first, stop = output * before // after, -(-(output + 1) * before // after)
    shares: Array = ((first <= pixel) & (pixel < stop)) / (stop - first)
    return shares


def roi_align(
    x: Array, boxes: Array, images: Indices, size: IntOrPair, scale: float = 1.0
) -> Array:
    """Return the features inside each box, sampled bilinearly on a grid of ``size`` bins.

    Every bin is the mean of ceil(box / size) samples along each axis. A sample more than one
    pixel outside the features counts as zero.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    boxes : ndarray, shape (R, 4)
        (x0, y0, x1, y1) in pixels of the image, where the first pixel covers 0 to 1.
    images : ndarray of int, shape (R,)
        Index of the image of each box.
    size : int or (int, int)
        Rows and columns of bins.
    scale : float
        Pixels of ``x`` for each pixel of the image.

    Returns
    -------
    y : ndarray, shape (R, C, H_out, W_out)

    Raises
    ------
    ValueError
        If a shape does not fit.

    References
    ----------
    He et al., "Mask R-CNN", ICCV 2017, arXiv:1703.06870; with half a pixel subtracted, as
    torchvision does with ``aligned=True``.

    Examples
    --------
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> roi_align(x, np.array([[1.0, 0.0, 3.0, 2.0]]), np.array([0]), 2)
    array([[[[1., 2.],
             [5., 6.]]]])
    """
    x, size = as_features(x), as_pair("size", size)
    y: Array = np.zeros((len(boxes), x.shape[1], *size), x.dtype)
    for box, image, rows, columns in _bins(x.shape, x.dtype, boxes, images, size, scale):
        (row, weights), (column, others) = rows, columns
        y[box] = weights @ (x[image, :, row, column] @ others.T)
    return y


def roi_align_backward(
    dy: Array, boxes: Array, images: Indices, shape: tuple[int, ...], scale: float = 1.0
) -> Array:
    """Return dx of `roi_align`.

    Parameters
    ----------
    dy : ndarray, shape (R, C, H_out, W_out)
    boxes, images, scale
        As in `roi_align`.
    shape : tuple of int
        That of ``x``, (N, C, H, W).

    Examples
    --------
    >>> dy, box = np.ones((1, 1, 1, 1)), np.array([[0.0, 0.0, 2.0, 2.0]])
    >>> roi_align_backward(dy, box, np.array([0]), (1, 1, 2, 3))
    array([[[[0.25, 0.25, 0.  ],
             [0.25, 0.25, 0.  ]]]])
    """
    dx: Array = np.zeros(shape, dy.dtype)
    size = dy.shape[2], dy.shape[3]
    for box, image, rows, columns in _bins(shape, dy.dtype, boxes, images, size, scale):
        (row, weights), (column, others) = rows, columns
        dx[image, :, row, column] += weights.T @ (dy[box] @ others)
    return dx


Bins = tuple[slice, Array]


def _bins(
    shape: tuple[int, ...], dtype: Any, boxes: Array, images: Indices, size: Pair, scale: float
) -> Iterator[tuple[int, int, Bins, Bins]]:
    """Yield every box, its image, and for both axes the pixels that it reads and their weights."""
    check_shape("boxes", boxes, (len(boxes), 4), "(R, 4)")
    check_shape("images", images, (len(boxes),), "(R,), one for each box")
    if len(images) and not 0 <= images.min() <= images.max() < shape[0]:
        got = f"has {images.min()} to {images.max()}"
        raise ArgumentError("images", got, f"0 to {shape[0] - 1}, the images of x")
    for box, (image, (x0, y0, x1, y1)) in enumerate(zip(images, boxes * scale - 0.5, strict=True)):
        rows = _bin_weights(float(y0), float(y1), size[0], shape[2], dtype)
        columns = _bin_weights(float(x0), float(x1), size[1], shape[3], dtype)
        yield box, int(image), rows, columns


def _bin_weights(start: float, stop: float, bins: int, pixels: int, dtype: Any) -> Bins:
    samples = int(np.ceil((stop - start) / bins))  # for each bin
    steps = (np.arange(bins * samples) + 0.5) / max(samples, 1)
    position = start + steps * (stop - start) / bins
    outside = (position < -1) | (position > pixels)
    position = np.clip(position, 0, pixels - 1)
    low = int(position.min(initial=pixels - 1))
    pixel = np.arange(low, min(int(position.max(initial=low)) + 2, pixels))
    weights = np.maximum(1 - abs(position[:, None] - pixel), 0) * ~outside[:, None]
    weights = weights.reshape(bins, samples, len(pixel)).sum(axis=1) / max(samples, 1)
    return slice(low, low + len(pixel)), weights.astype(dtype)
