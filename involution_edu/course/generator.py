"""The exercises of notebook 03: the generator of the kernels, and weights chosen by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import Array
from .exercise import Arguments, Cases, Drawing, Exercise, Index, table
from .operators import SHAPES, integers


def _generate(x: Array, reduce: Array, span: Array, bias: Array, G: int, K: int) -> Array:
    N, _, H, W = x.shape
    z = np.einsum("dc,nchw->ndhw", reduce, x)
    o = np.einsum("od,ndhw->nohw", span, np.maximum(z, 0)) + bias[:, None, None]
    return np.asarray(o.reshape(N, G, K, K, H, W))


def _generators(rng: np.random.Generator) -> Cases:
    for N, C, H, W, G, K in ((1, 3, 2, 3, 1, 3), *SHAPES[1:4]):
        numbers: Any = integers if C == 3 else lambda rng, *shape: rng.standard_normal(shape)
        reduced = max(2, C // 2)
        sizes = (N, C, H, W), (reduced, C), (G * K * K, reduced), (G * K * K,)
        yield (*(numbers(rng, *shape) for shape in sizes), G, K)


def _draw_generator(arguments: Arguments, index: Index) -> Drawing:
    (x, reduce, *_), (n, g, _, _, i, j) = arguments, index
    features = x[n, :, i, j]
    return {
        f"features of ({i}, {j})": features[:, None],
        "reduced": np.maximum(reduce @ features, 0)[:, None],
        f"right kernel, group {g}": _generate(*arguments)[n, g, :, :, i, j],
    }


AXES, RELU = "reshape(N, G, K, K, H, W)", "np.maximum(z, 0)"
GENERATE = Exercise(
    "generate", "generate(x, reduce, span, bias, G, K) -> kernel: reduce (C_r, C), then ReLU, then span "
    "(G*K*K, C_r) and bias (G*K*K,), at every pixel of x (N, C, H, W). kernel is (N, G, K, K, H, W).", _generate, _generators,
    table(_generate,
        (f"{RELU} => z", "the ReLU between reduce and span is missing."),
        ("asarray(o => asarray(np.maximum(o, 0)", "there is no ReLU after span: a kernel may be negative."),
        (f"{RELU} => z ; reduce, x) => reduce, np.maximum(x, 0))", "ReLU belongs between reduce and span, not before reduce."),
        (f"{RELU} => abs(z)", "ReLU sets negative numbers to 0; abs turns their sign."),
        (f"{RELU} => 1 / (1 + np.exp(-z))", "use ReLU: np.maximum(z, 0)."),
        ("asarray(o => asarray(np.exp(o) ; H, W)) => H, W) / np.exp(o).reshape(N, G, K * K, 1, H, W).sum(2, keepdims=True))",
         "you normalised the kernel with softmax; involution leaves it as it is."),
        (f"{AXES} => reshape(N, K, K, G, H, W).transpose(0, 3, 1, 2, 4, 5)", "you split the channels as (K, K, G); channel o is (g*K + u)*K + v."),
        (f"{AXES} => reshape(N, K, K, G, H, W)", "the axes are (N, K, K, G, H, W); need (N, G, K, K, H, W)."),
        (" + bias[:, None, None] => ", "you left out the bias of span."),
        ("reduce, x) => reduce, 0 * x + x.mean((2, 3), keepdims=True))",
         "that is one kernel for the whole image; every pixel makes its own, from its own features."),
    ),
    ("image", "group", "u", "v", "row", "column"),
    picture=_draw_generator,
)  # fmt: skip


def _as_depthwise(weight: Array, C_r: int) -> Array:
    bias = weight.reshape(-1)
    span = np.zeros((bias.size, C_r))
    return np.column_stack([span, bias])


def _filters(rng: np.random.Generator) -> Cases:
    for G, K, C_r in ((1, 3, 2), (2, 3, 1), (3, 5, 2)):
        yield integers(rng, G, K, K), C_r


AS_DEPTHWISE = Exercise(
    "as_depthwise", "as_depthwise(weight, C_r) -> span (G*K*K, C_r) and bias (G*K*K,), side by side in one array, that "
    "give every pixel the kernels weight (G, K, K).", _as_depthwise, _filters,
    table(_as_depthwise,
        ("[span, bias] => [span + bias[:, None], 0 * bias]", "weight in span is multiplied by the features; the kernel shall not depend on them."),
        ("np.zeros( => np.ones(", "span is multiplied by the features; the kernel shall not depend on them: zeros."),
        ("[span, bias] => [bias, span]", "span comes first, then bias: you exchanged them."),
        ("[span, bias] => [bias]", "span is missing: return both, np.column_stack([span, bias])."),
        ("weight.reshape => weight[:, ::-1, ::-1].reshape", "do not turn the kernel: tap (0, 0) is first."),
        ("weight.reshape => weight.swapaxes(1, 2).reshape", "you swapped u and v: number (g*K + u)*K + v is tap (u, v) of group g."),
        ("weight.reshape => weight.transpose(1, 2, 0).reshape", "the numbers of a group follow each other: number (g*K + u)*K + v."),
    ),
    ("number", "column"),
)  # fmt: skip


def _blur_dark(K: int) -> Array:
    bias = np.zeros(K * K)
    bias[K * K // 2] = 1
    span = np.full(K * K, 1 / K**2) - bias
    return np.column_stack([span, bias])


CENTRE = "the centre tap (p, p) has the number p*K + p, which is K*K // 2."
BLUR_DARK = Exercise(
    "blur_dark", "blur_dark(K) -> span (K*K, 1) and bias (K*K,), side by side: with the reduced feature max(-x, 0), "
    "x = -1 gives the mean of the window and x >= 0 keeps the pixel.", _blur_dark, lambda rng: ((K,) for K in (3, 5, 7)),
    table(_blur_dark,
        (") - bias => )", "a dark pixel's kernel is span + bias: its centre still has the 1 of the bias; take it away."),
        ("[span, bias] => [-span, span + bias]", "that blurs the bright pixels: where the reduced feature is 0, the kernel is the bias."),
        (") - bias => ) ; [span, bias] => [span, span]", "that blurs every pixel: where the reduced feature is 0, the kernel is the bias alone."),
        ("np.full(K * K, 1 / K**2) => (1 - bias) / (K**2 - 1)", "the pixel itself is in its window: the mean is over K*K pixels."),
        ("1 / K**2) - bias => 1 / K**2) * (1 - bias)", "a dark pixel's kernel is span + bias: the 1 of the bias has to be taken away."),
        ("np.full(K * K, 1 / K**2) => (1 - bias) / K**2", "the pixel itself is in its window: the mean is over K*K pixels."),
        (") - bias => ) ; [span, bias] => [span, 0 * bias]", "without a bias, pixels that are not dark become 0."),
        ("[span, bias] => [bias, span]", "span comes first, then bias: you exchanged them."),
        ("[span, bias] => [span, 0 * bias]", "without a bias, pixels that are not dark become 0."),
        ("1 / K**2 => 1", "these are ones: a mean needs 1 / K**2 at each tap."),
        ("1 / K**2 => 1 / K", "a window has K**2 pixels, not K."),
        ("1 / K**2 => 1 / 9", "1 / 9 is right for K = 3 only: 1 / K**2."),
        ("bias[K * K // 2] => bias[:]", "a bias of ones adds up the whole window; keep the centre alone."),
        ("K * K // 2 => 0", CENTRE),
        ("[span, bias] => [-span, bias]", "the sign of span is wrong: kernel = span * reduced + bias."),
    ),
    ("tap", "column"),
)  # fmt: skip
