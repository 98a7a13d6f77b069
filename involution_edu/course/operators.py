"""Exercises that compute: one output pixel, involution, the generator, the gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from ..arrays import Array
from ..ops import involution, involution_backward
from .exercise import Cases, Exercise

SHAPES = (  # N, C, H, W, G, K
    (1, 1, 3, 4, 1, 3),
    (2, 4, 5, 6, 2, 3),
    (1, 6, 4, 7, 3, 5),
    (1, 4, 2, 3, 4, 7),
    (2, 6, 6, 5, 2, 1),
)


def _one_pixel(rng: np.random.Generator) -> Cases:
    for K in (3, 5, 7):
        yield rng.standard_normal((K, K)), rng.standard_normal((K, K))


APPLY = Exercise(
    "apply",
    "apply(kernel, window) -> the output of one pixel. Both are (K, K).",
    lambda kernel, window: (kernel * window).sum(),
    _one_pixel,
    {
        "these are the products; add them up.": (lambda kernel, window: kernel * window),
        "@ is the matrix product; multiply element by element, with *.": (
            lambda kernel, window: (kernel @ window).sum()
        ),
        "that is the mean; take the sum.": (lambda kernel, window: (kernel * window).mean()),
    },
)


def _operands(rng: np.random.Generator) -> Cases:
    for N, C, H, W, G, K in SHAPES:
        yield rng.standard_normal((N, C, H, W)), rng.standard_normal((N, G, K, K, H, W))


def _mean_kernel(kernel: Array) -> Array:
    return np.broadcast_to(kernel.mean(axis=(4, 5), keepdims=True), kernel.shape)


def _over_channels(x: Array, kernel: Array) -> Array:
    n, g = x.shape[0], kernel.shape[1]
    y = involution(x, kernel).reshape(n, g, -1, *x.shape[2:])
    return np.broadcast_to(y.sum(2, keepdims=True), y.shape).reshape(x.shape)


def _by_channel(x: Array, kernel: Array, group_of: Callable[[int, int], int]) -> Array:
    """Apply to channel c the kernel of group ``group_of(c, G)``."""
    C, G = x.shape[1], kernel.shape[1]
    return involution(x, kernel[:, [group_of(c, G) for c in range(C)]])


def _padded(
    x: Array, kernel: Array, *margins: tuple[int, int, Literal["constant", "edge", "wrap"]]
) -> Array:
    """Pad rows and columns by multiples of half a window, in one mode after another; then apply."""
    p = kernel.shape[2] // 2
    for before, after, mode in margins:
        widths = before * p, after * p
        x = np.pad(x, ((0, 0), (0, 0), widths, widths), mode=mode)
    return involution(x, kernel, padding=0)


INVOLUTION = Exercise(
    "involution",
    "involution(x, kernel) -> y: stride 1, zeros outside the image. x is (N, C, H, W), kernel "
    "(N, G, K, K, H, W), y has the shape of x.",
    involution,
    _operands,
    {
        "you summed over the channels of the group; sum over the window only.": _over_channels,
        "you swapped u and v: u counts rows, v counts columns.": (
            lambda x, kernel: involution(x, kernel.swapaxes(2, 3))
        ),
        "you used group c % G; a group has adjacent channels, so it is c // C_g.": (
            lambda x, kernel: _by_channel(x, kernel, lambda c, G: c % G)
        ),
        "you turned the kernel by half a turn; tap (0, 0) is above and left of the pixel.": (
            lambda x, kernel: involution(x, kernel[:, :, ::-1, ::-1])
        ),
        "your window starts at the pixel; it must be centred there: h = i + u - p.": (
            lambda x, kernel: _padded(x, kernel, (0, 2, "constant"))
        ),
        "beyond the edge you read the other side of the image; there are zeros.": (
            lambda x, kernel: _padded(x, kernel, (1, 1, "wrap"))
        ),
        "an index below 0 counts from the end in Python; outside the image there are zeros.": (
            lambda x, kernel: _padded(x, kernel, (1, 0, "wrap"), (0, 1, "constant"))
        ),
        "you repeated the pixels at the edge; outside the image there are zeros.": (
            lambda x, kernel: _padded(x, kernel, (1, 1, "edge"))
        ),
        "you used group c // G; divide by the channels in a group, C_g = C / G.": (
            lambda x, kernel: _by_channel(x, kernel, lambda c, G: min(c // G, G - 1))
        ),
        "you used one kernel for all pixels; index it with [..., i, j].": (
            lambda x, kernel: involution(x, _mean_kernel(kernel))
        ),
        "you used the first group's kernel for all groups.": (
            lambda x, kernel: _by_channel(x, kernel, lambda c, G: 0)
        ),
    },
)


def generate(x: Array, reduce: Array, span: Array, bias: Array, G: int, K: int) -> Array:
    """Return the kernels of x (N, C, H, W): reduce is (C_r, C), span (G*K*K, C_r)."""
    n, _, h, w = x.shape
    features = np.maximum(np.einsum("rc,nchw->nrhw", reduce, x), 0)
    spanned: Array = np.einsum("or,nrhw->nohw", span, features) + bias[:, None, None]
    return spanned.reshape(n, G, K, K, h, w)


def _generators(rng: np.random.Generator) -> Cases:
    for N, C, H, W, G, K in SHAPES[:4]:
        reduced = max(1, C // 2)
        yield (
            rng.standard_normal((N, C, H, W)),
            rng.standard_normal((reduced, C)),
            rng.standard_normal((G * K * K, reduced)),
            rng.standard_normal(G * K * K),
            G,
            K,
        )


def _soft(x: Array, reduce: Array, span: Array, bias: Array, G: int, K: int) -> Array:
    exp = np.exp(generate(x, reduce, span, bias, G, K))
    result: Array = exp / exp.sum(axis=(2, 3), keepdims=True)
    return result


def _groups_last(x: Array, reduce: Array, span: Array, bias: Array, G: int, K: int) -> Array:
    n, _, h, w = x.shape
    kernel = generate(x, reduce, span, bias, G, K).reshape(n, K, K, G, h, w)
    return kernel.transpose(0, 3, 1, 2, 4, 5)


GENERATE = Exercise(
    "generate",
    "generate(x, reduce, span, bias, G, K) -> kernel: reduce (C_r, C), then ReLU, then span "
    "(G*K*K, C_r) and bias (G*K*K,), at every pixel of x (N, C, H, W). kernel is (N, G, K, K, H, W).",
    generate,
    _generators,
    {
        "you normalised the kernel with softmax; involution leaves it as it is.": _soft,
        "you split the channels as (K, K, G); channel o is (g*K + u)*K + v.": _groups_last,
        "there is no ReLU after span: a kernel may be negative.": (
            lambda x, reduce, span, bias, G, K: np.maximum(generate(x, reduce, span, bias, G, K), 0)
        ),
        "you left out the bias of span.": (
            lambda x, reduce, span, bias, G, K: generate(x, reduce, span, 0 * bias, G, K)
        ),
        "ReLU belongs between reduce and span.": (
            lambda x, reduce, span, bias, G, K: generate(
                x, np.eye(x.shape[1]), span @ reduce, bias, G, K
            )
        ),
    },
)


def _gradients(rng: np.random.Generator) -> Cases:
    for x, kernel in _operands(rng):
        yield rng.standard_normal(x.shape), x, kernel


def _dx(dy: Array, x: Array, kernel: Array) -> Array:
    return involution_backward(dy, x, kernel)[0]


def _dkernel(dy: Array, x: Array, kernel: Array) -> Array:
    return involution_backward(dy, x, kernel)[1]


def _first_channels(dy: Array, x: Array, kernel: Array) -> Array:
    first = slice(None, None, x.shape[1] // kernel.shape[1])
    return _dkernel(dy[:, first], x[:, first], kernel)


BACKWARD_INPUT = Exercise(
    "backward_input",
    "backward_input(dy, x, kernel) -> dx: the gradient of y = involution(x, kernel) with respect "
    "to x.",
    _dx,
    _gradients,
    {
        "you applied the kernels to dy. A pixel collects from the outputs that read it, each "
        "with the kernel of that output: dx[h, w] += kernel[u, v, i, j] * dy[i, j].": (
            lambda dy, x, kernel: involution(dy, kernel)
        ),
        "you turned the kernel of this pixel by half a turn; that is right for a convolution. "
        "Here each output that read the pixel has a kernel of its own.": (
            lambda dy, x, kernel: involution(dy, kernel[:, :, ::-1, ::-1])
        ),
        "you used 1 instead of dy.": (lambda dy, x, kernel: _dx(np.ones_like(dy), x, kernel)),
    },
)
BACKWARD_KERNEL = Exercise(
    "backward_kernel",
    "backward_kernel(dy, x, kernel) -> dkernel: the gradient of y = involution(x, kernel) with "
    "respect to kernel.",
    _dkernel,
    _gradients,
    {
        "you used one channel of each group; all C_g share the kernel: add them up.": _first_channels,
        "you took the mean over the channels of a group; it is the sum.": (
            lambda dy, x, kernel: _dkernel(dy, x, kernel) / (x.shape[1] // kernel.shape[1])
        ),
        "you swapped u and v: u counts rows, v counts columns.": (
            lambda dy, x, kernel: _dkernel(dy, x, kernel).swapaxes(2, 3)
        ),
    },
)
