"""Exercises on related operations: convolution, the residual block, local attention."""

from __future__ import annotations

import numpy as np

from ..arrays import Array
from ..nn import Conv2d
from .exercise import Cases, Exercise


def convolve(x: Array, weight: Array) -> Array:
    """Return the convolution of x (C, H, W) with weight (O, C, K, K), zeros outside."""
    out_channels, in_channels, K, _ = weight.shape
    conv = Conv2d(in_channels, out_channels, K, padding="same", bias=False, dtype=float)
    conv.weight.data[...] = weight
    y: Array = conv(x[None])[0]
    return y


def _from_the_corner(x: Array, weight: Array) -> Array:
    (_, H, W), p = x.shape, weight.shape[2] // 2
    y = convolve(np.pad(x, ((0, 0), (0, 2 * p), (0, 2 * p))), weight)
    return y[:, p : p + H, p : p + W]


def _convolutions(rng: np.random.Generator) -> Cases:
    for C, O, H, W, K in ((1, 1, 3, 4, 3), (3, 2, 5, 4, 3), (2, 4, 4, 6, 5), (2, 3, 3, 2, 1)):
        yield rng.standard_normal((C, H, W)), rng.standard_normal((O, C, K, K))


CONVOLUTION = Exercise(
    "convolve",
    "convolve(x, weight) -> y: stride 1, zeros outside the image. x is (C, H, W), weight "
    "(O, C, K, K), y is (O, H, W).",
    convolve,
    _convolutions,
    {
        "you turned the weights by half a turn, as mathematicians do; here tap (0, 0) is above "
        "and left of the pixel.": (lambda x, weight: convolve(x, weight[:, :, ::-1, ::-1])),
        "you swapped u and v: u counts rows, v counts columns.": (
            lambda x, weight: convolve(x, weight.swapaxes(2, 3))
        ),
        "you used the first channel only; a convolution sums over all channels.": (
            lambda x, weight: convolve(x[:1], weight[:, :1])
        ),
        "your window starts at the pixel; it must be centred there: i + u - p.": _from_the_corner,
        "you took the mean of the products; it is their sum.": (
            lambda x, weight: convolve(x, weight) / weight[0].size
        ),
    },
)


def _residual(rng: np.random.Generator) -> Cases:
    for size in (2, 5):
        yield rng.standard_normal(size), rng.standard_normal((size, size))


RESIDUAL = Exercise(
    "residual_backward",
    "residual_backward(dy, A) -> dx, for a block with a shortcut, y = x + A @ x.",
    lambda dy, A: dy + A.T @ dy,
    _residual,
    {
        "x is used twice: dy also comes back through the shortcut.": (lambda dy, A: A.T @ dy),
        "x is used twice: dy also comes back through A.": (lambda dy, A: dy.copy()),
        "the gradient of A @ x with respect to x is A.T @ dy.": (lambda dy, A: dy + A @ dy),
    },
)


def _scores(query: Array, key: Array, K: int) -> Array:
    p = K // 2
    padded = np.pad(key, ((0, 0), (p, p), (p, p)))
    keys = np.lib.stride_tricks.sliding_window_view(padded, (K, K), (1, 2))
    scores: Array = np.einsum("dhw,dhwuv->uvhw", query, keys)
    return scores


def _softmax(scores: Array, axis: tuple[int, int]) -> Array:
    exp = np.exp(scores)
    result: Array = exp / exp.sum(axis=axis, keepdims=True)
    return result


def attend(query: Array, key: Array, K: int) -> Array:
    """Return the weights (K, K, H, W) of local attention for query and key (D, H, W)."""
    return _softmax(_scores(query, key, K), (0, 1))


def _inside(query: Array, key: Array, K: int) -> Array:
    outside = _scores(query * 0 + 1, key * 0 + 1, K) == 0
    return _softmax(np.where(outside, -np.inf, _scores(query, key, K)), (0, 1))


def _attentions(rng: np.random.Generator) -> Cases:
    for D, H, W, K in ((1, 3, 4, 3), (4, 5, 4, 3), (2, 4, 6, 5)):
        yield rng.standard_normal((D, H, W)), rng.standard_normal((D, H, W)), K


ATTENTION = Exercise(
    "attend",
    "attend(query, key, K) -> weights: the softmax, over the K x K window, of the dot products "
    "of the pixel's query with the keys in its window (zeros outside the image). query and key "
    "are (D, H, W), weights (K, K, H, W).",
    attend,
    _attentions,
    {
        "these are the scores; take their softmax over the window.": _scores,
        "your softmax runs over the pixels; it runs over the window, the first two axes.": (
            lambda query, key, K: _softmax(_scores(query, key, K), (2, 3))
        ),
        "you swapped query and key: the query is the centre pixel's, the keys are its window's.": (
            lambda query, key, K: attend(key, query, K)
        ),
        "you left out the taps outside the image; their keys are zeros, so their score is 0 "
        "and exp(0) is 1.": _inside,
        "you divided by the square root of D; transformers do, this exercise does not.": (
            lambda query, key, K: attend(query / np.sqrt(len(query)), key, K)
        ),
        "you swapped u and v: u counts rows, v counts columns.": (
            lambda query, key, K: attend(query, key, K).swapaxes(0, 1)
        ),
    },
)
