"""The exercises that compute: convolution, involution, the generator, the gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arrays import Array
from ..ops import involution, involution_backward
from .exercise import Exercise, Mistake

Cases = Iterator[tuple[Any, ...]]
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
    (
        Mistake(lambda kernel, window: kernel * window, "these are the products; add them up."),
        Mistake(
            lambda kernel, window: (kernel @ window).sum(),
            "@ is the product of matrices; multiply place by place, with *.",
        ),
        Mistake(lambda kernel, window: (kernel * window).mean(), "that is the mean; take the sum."),
    ),
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


def _interleaved(x: Array, kernel: Array) -> Array:
    C, G = x.shape[1], kernel.shape[1]
    return np.concatenate([involution(x[:, [c]], kernel[:, [c % G]]) for c in range(C)], axis=1)


def _corner(x: Array, kernel: Array) -> Array:
    """Apply the window with its corner, not its middle, on the pixel."""
    p = kernel.shape[2] // 2
    return involution(np.pad(x, ((0, 0), (0, 0), (0, 2 * p), (0, 2 * p))), kernel, padding=0)


def _wrapped(x: Array, kernel: Array) -> Array:
    p = kernel.shape[2] // 2
    around = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), mode="wrap")
    return involution(around, kernel, padding=0)


def _from_the_end(x: Array, kernel: Array) -> Array:
    """Let rows and columns before the first count from the end, as Python's indices do."""
    p = kernel.shape[2] // 2
    before = np.pad(x, ((0, 0), (0, 0), (p, 0), (p, 0)), mode="wrap")
    return involution(np.pad(before, ((0, 0), (0, 0), (0, p), (0, p))), kernel, padding=0)


def _repeated(x: Array, kernel: Array) -> Array:
    p = kernel.shape[2] // 2
    around = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), mode="edge")
    return involution(around, kernel, padding=0)


def _divided_by_groups(x: Array, kernel: Array) -> Array:
    C, G = x.shape[1], kernel.shape[1]
    return involution(x, kernel[:, [min(c // G, G - 1) for c in range(C)]])


OPERATOR_MISTAKES = (
    Mistake(
        _over_channels, "you summed over the channels of the group; only the window is summed."
    ),
    Mistake(
        lambda x, kernel: involution(x, kernel.swapaxes(2, 3)),
        "you swapped u and v: u counts rows, v counts columns.",
    ),
    Mistake(
        _interleaved, "you used group c % G; the channels of a group are neighbours, c // C_g."
    ),
    Mistake(
        lambda x, kernel: involution(x, kernel[:, :, ::-1, ::-1]),
        "you turned the kernel around; place (0, 0) lies above and left of the pixel.",
    ),
    Mistake(_corner, "your window starts at the pixel; its middle must lie there: h = i + u - p."),
    Mistake(_wrapped, "beyond the edge you read the other side of the image; there are zeros."),
    Mistake(
        _from_the_end,
        "an index below 0 counts from the end in Python; outside the image there are zeros.",
    ),
    Mistake(_repeated, "you repeated the pixels of the edge; outside the image there are zeros."),
    Mistake(
        _divided_by_groups, "you used group c // G; divide by the channels of a group, C_g = C / G."
    ),
    Mistake(
        lambda x, kernel: involution(x, _mean_kernel(kernel)),
        "you used one kernel for all pixels; index it with [..., i, j].",
    ),
    Mistake(
        lambda x, kernel: involution(x, np.broadcast_to(kernel[:, :1], kernel.shape)),
        "you used the first group's kernel for all groups.",
    ),
)

INVOLUTION = Exercise(
    "involution",
    "involution(x, kernel) -> y: stride 1, zeros outside the image. x is (N, C, H, W), kernel "
    "(N, G, K, K, H, W), y has the shape of x.",
    involution,
    _operands,
    OPERATOR_MISTAKES,
)


def generate(x: Array, reduce: Array, span: Array, bias: Array, G: int, K: int) -> Array:
    """Return the kernels of x (N, C, H, W): reduce is (C_r, C), span (G*K*K, C_r)."""
    n, _, h, w = x.shape
    features = np.maximum(np.einsum("rc,nchw->nrhw", reduce, x), 0)
    spanned = np.einsum("or,nrhw->nohw", span, features) + bias[:, None, None]
    kernel: Array = spanned.reshape(n, G, K, K, h, w)
    return kernel


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
    (
        Mistake(_soft, "you normalised the kernel with softmax; involution leaves it as it is."),
        Mistake(_groups_last, "you split the numbers as (K, K, G); channel o is (g*K + u)*K + v."),
        Mistake(
            lambda x, reduce, span, bias, G, K: np.maximum(
                generate(x, reduce, span, bias, G, K), 0
            ),
            "there is no ReLU after span: a kernel may be negative.",
        ),
        Mistake(
            lambda x, reduce, span, bias, G, K: generate(x, reduce, span, 0 * bias, G, K),
            "you left out the bias of span.",
        ),
        Mistake(
            lambda x, reduce, span, bias, G, K: generate(
                x, np.eye(x.shape[1]), span @ reduce, bias, G, K
            ),
            "ReLU belongs between reduce and span.",
        ),
    ),
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
    "backward_input(dy, x, kernel) -> dx: the gradient of y = involution(x, kernel) along x.",
    _dx,
    _gradients,
    (
        Mistake(
            lambda dy, x, kernel: involution(dy, kernel),
            "you applied the kernels to dy. A pixel collects from the outputs that read it, each "
            "with that output's kernel: dx[h, w] += kernel[u, v, i, j] * dy[i, j].",
        ),
        Mistake(
            lambda dy, x, kernel: involution(dy, kernel[:, :, ::-1, ::-1]),
            "you turned the kernel of this pixel around; that is right for a convolution. Here "
            "each output that read the pixel has a kernel of its own.",
        ),
        Mistake(
            lambda dy, x, kernel: _dx(np.ones_like(dy), x, kernel),
            "you took dy for 1 everywhere.",
        ),
    ),
)
BACKWARD_KERNEL = Exercise(
    "backward_kernel",
    "backward_kernel(dy, x, kernel) -> dkernel: the gradient of y = involution(x, kernel) along "
    "kernel.",
    _dkernel,
    _gradients,
    (
        Mistake(
            _first_channels,
            "you used one channel of each group; all C_g share the kernel: sum them.",
        ),
        Mistake(
            lambda dy, x, kernel: _dkernel(dy, x, kernel) / (x.shape[1] // kernel.shape[1]),
            "you took the mean over the channels of a group; it is the sum.",
        ),
        Mistake(
            lambda dy, x, kernel: _dkernel(dy, x, kernel).swapaxes(2, 3),
            "you swapped u and v: u counts rows, v counts columns.",
        ),
    ),
)
