"""The exercise of notebook 03: the generator of the kernels."""

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
    reduced = between(np.einsum("rc,nchw->nrhw", reduce, before(x)))
    spanned = np.einsum("or,nrhw->nohw", span, reduced) + biased(bias)[:, None, None]
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
