"""The exercises of notebook 03: the generator of the kernels, and weights chosen by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import Array
from .exercise import Arguments, Cases, Drawing, Exercise, Index, table
from .operators import SHAPES, integers, spread
from .windows import flipped, unchanged


def _relu(x: Array) -> Array:
    return np.maximum(x, 0)


def _generate(
    x: Array,
    reduce: Array,
    span: Array,
    bias: Array,
    G: int,
    K: int,
    *,
    before: Callable[[Array], Array] = unchanged,
    between: Callable[[Array], Array] = _relu,
    biased: Callable[[Array], Array] = unchanged,
    arrange: Callable[[Array, int, int], Array] = lambda o, G, K: _split(o, G, K, K),
    after: Callable[[Array], Array] = unchanged,
) -> Array:
    reduced = between(np.einsum("dc,nchw->ndhw", reduce, before(x)))
    spanned = np.einsum("od,ndhw->nohw", span, reduced) + biased(bias)[:, None, None]
    return after(arrange(spanned, G, K))


def _split(spanned: Array, *sizes: int) -> Array:
    n, _, h, w = spanned.shape
    return spanned.reshape(n, *sizes, h, w)


def _pixel_last(o: Array, G: int, K: int) -> Array:
    return o.transpose(0, 2, 3, 1).reshape(len(o), G, K, K, *o.shape[2:])


def _softmax(kernel: Array) -> Array:
    exp = np.exp(kernel - kernel.max((2, 3), keepdims=True))
    result: Array = exp / exp.sum((2, 3), keepdims=True)
    return result


def _generators(rng: np.random.Generator) -> Cases:
    for N, C, H, W, G, K in ((1, 2, 2, 3, 1, 3), *SHAPES[1:4]):
        numbers: Any = integers if C == 2 else lambda rng, *shape: rng.standard_normal(shape)
        reduced = max(2, C // 2)
        sizes = (N, C, H, W), (reduced, C), (G * K * K, reduced), (G * K * K,)
        yield (*(numbers(rng, *shape) for shape in sizes), G, K)


def _generator_sizes(
    x: Array, reduce: Array, span: Array, bias: Array, G: int, K: int
) -> dict[str, float]:
    return {"K": K, "G": G, "C": x.shape[1], "C_r": len(reduce)}


def _draw_generator(arguments: Arguments, index: Index) -> Drawing:
    (x, reduce, *_), (n, g, _, _, i, j) = arguments, index
    features = x[n, :, i, j]
    return {
        f"features of ({i}, {j})": features[:, None],
        "reduced": _relu(reduce @ features)[:, None],
        f"right kernel, group {g}": _generate(*arguments)[n, g, :, :, i, j],
    }


GENERATE = Exercise(
    "generate",
    "generate(x, reduce, span, bias, G, K) -> kernel: reduce (C_r, C), then ReLU, then span "
    "(G*K*K, C_r) and bias (G*K*K,), at every pixel of x (N, C, H, W). kernel is (N, G, K, K, H, W).",
    _generate,
    _generators,
    table(
        _generate,
        ("no ReLU", {"between": unchanged}, "the ReLU between reduce and span is missing."),
        ("ReLU after span", {"after": _relu},
         "there is no ReLU after span: a kernel may be negative."),
        ("ReLU after, not between", {"between": unchanged, "after": _relu},
         "ReLU belongs between reduce and span, not after span."),
        ("ReLU on x", {"before": _relu, "between": unchanged},
         "ReLU belongs between reduce and span, not before reduce."),
        ("abs", {"between": np.abs}, "ReLU sets negative numbers to 0; abs turns their sign."),
        ("ReLU of the largest", {"between": lambda z: spread(z.max(initial=0), z)},
         "np.max gives one number; np.maximum(z, 0) compares element by element."),
        ("sigmoid", {"between": lambda z: 1 / (1 + np.exp(-z))}, "use ReLU: np.maximum(z, 0)."),
        ("softmax", {"after": _softmax},
         "you normalised the kernel with softmax; involution leaves it as it is."),
        ("(K, K, G)", {"arrange": lambda o, G, K: _split(o, K, K, G).transpose(0, 3, 1, 2, 4, 5)},
         "you split the channels as (K, K, G); channel o is (g*K + u)*K + v."),
        ("bare (K, K, G)", {"arrange": lambda o, G, K: _split(o, K, K, G)},
         "the axes are (N, K, K, G, H, W); need (N, G, K, K, H, W)."),
        ("transposed", {"arrange": lambda o, G, K: _split(o, G, K, K).swapaxes(2, 3)},
         "you swapped u and v: channel o is (g*K + u)*K + v."),
        ("turned", {"arrange": lambda o, G, K: flipped(_split(o, G, K, K))},
         "you turned the kernel by half a turn; span's first number is tap (0, 0)."),
        ("pixels last", {"arrange": _pixel_last},
         "the channel is the last axis before your reshape, which moves no numbers: transpose."),
        ("no bias", {"biased": np.zeros_like}, "you left out the bias of span."),
    ),
    ("image", "group", "u", "v", "row", "column"),
    _generator_sizes,
    _draw_generator,
)  # fmt: skip


def _weights(span: Array, bias: Array) -> Array:
    result: Array = np.column_stack([span, bias])
    return result


def _as_depthwise(
    weight: Array, C_r: int, *, used: float = 0, order: Callable[[Array], Array] = unchanged
) -> Array:
    numbers = order(weight).reshape(-1)
    return _weights(np.repeat(used * numbers[:, None], C_r, 1), (1 - used) * numbers)


def _filters(rng: np.random.Generator) -> Cases:
    for G, K, C_r in ((1, 3, 2), (2, 3, 1), (3, 5, 2)):
        yield integers(rng, G, K, K), C_r


AS_DEPTHWISE = Exercise(
    "as_depthwise",
    "as_depthwise(weight, C_r) -> span (G*K*K, C_r) and bias (G*K*K,), side by side in one array, that "
    "give every pixel the kernels weight (G, K, K).",
    _as_depthwise,
    _filters,
    table(
        _as_depthwise,
        ("in span", {"used": 1},
         "weight in span is multiplied by the features; the kernel shall not depend on them."),
        ("turned", {"order": lambda w: w[:, ::-1, ::-1]}, "do not turn the kernel: tap (0, 0) is first."),
        ("transposed", {"order": lambda w: w.swapaxes(1, 2)},
         "you swapped u and v: number (g*K + u)*K + v is tap (u, v) of group g."),
        ("group last", {"order": lambda w: w.transpose(1, 2, 0)},
         "the numbers of a group follow each other: number (g*K + u)*K + v."),
    ),
    ("number", "column"),
)  # fmt: skip


def _blur_dark(K: int, *, tap: float | None = None, less: float = 1, keep: float = 1) -> Array:
    centre = np.eye(K * K)[K * K // 2]
    return _weights((1 / K**2 if tap is None else tap) - less * centre, keep * centre)


BLUR_DARK = Exercise(
    "blur_dark",
    "blur_dark(K) -> span (K*K, 1) and bias (K*K,), side by side: with the reduced feature max(-x, 0), "
    "x = -1 gives the mean of the window and x >= 0 keeps the pixel.",
    _blur_dark,
    lambda rng: ((K,) for K in (3, 5, 7)),
    table(
        _blur_dark,
        ("bias stays", {"less": 0},
         "a dark pixel's kernel is span + bias: its centre still has the 1 of the bias; take it away."),
        ("other way round", lambda K: _weights(np.eye(K * K)[K * K // 2] - 1 / K**2, np.full(K * K, 1 / K**2)),
         "that blurs the bright pixels: where the reduced feature is 0, the kernel is the bias."),
        ("no bias", {"keep": 0}, "without a bias, pixels that are not dark become 0."),
        ("sum", {"tap": 1}, "these are ones: a mean needs 1 / K**2 at each tap."),
        ("1 / K", lambda K: _blur_dark(K, tap=1 / K), "a window has K**2 pixels, not K."),
        ("sign", lambda K: _blur_dark(K) * [-1, 1], "the sign of span is wrong: kernel = span * reduced + bias."),
    ),
    ("tap", "column"),
)  # fmt: skip
