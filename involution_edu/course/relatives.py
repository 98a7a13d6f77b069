"""Exercises on related operations: convolution, the residual block, local attention."""

from __future__ import annotations

import numpy as np

from ..arrays import Array
from .exercise import Arguments, Cases, Drawing, Exercise, Index, table
from .operators import integers
from .windows import EDGES, STARTS, SUMS, windows


def _convolve(x: Array, weight: Array) -> Array:
    (C, H, W), (O, _, K, _) = x.shape, weight.shape
    p = K // 2
    y = np.zeros((O, H, W))
    for o in range(O):
        for c in range(C):
            for i in range(H):
                for j in range(W):
                    for u in range(K):
                        for v in range(K):
                            h, w = i + u - p, j + v - p
                            if 0 <= h < H and 0 <= w < W:
                                y[o, i, j] += weight[o, c, u, v] * x[c, h, w]
    return y


def _convolutions(rng: np.random.Generator) -> Cases:
    yield integers(rng, 1, 3, 4), integers(rng, 1, 1, 3, 3)
    for C, O, H, W, K in ((3, 2, 5, 4, 3), (2, 4, 4, 6, 5), (3, 3, 5, 4, 3), (2, 3, 3, 2, 1)):
        yield rng.standard_normal((C, H, W)), rng.standard_normal((O, C, K, K))


def _draw_convolution(arguments: Arguments, index: Index) -> Drawing:
    (x, weight), (o, i, j) = arguments, index
    seen = windows(x, weight.shape[2])[:, :, :, i, j]
    drawing = {f"x[0], output ({i}, {j})": x[0]}
    for c in range(min(2, len(x))):
        drawing |= {f"window {c}": seen[c], f"weight[{o}, {c}]": weight[o, c]}
    return drawing


CONVOLUTION = Exercise(
    "convolve", "convolve(x, weight) -> y: stride 1, zeros outside the image. x is (C, H, W), weight "
    "(O, C, K, K), y is (O, H, W).", _convolve, _convolutions,
    table(_convolve,
        ("[o, c, u, v] => [o, c, K - 1 - u, K - 1 - v]", "you turned the weights by half a turn; here tap (0, 0) is above and left of the pixel."),
        ("[o, c, u, v] => [o, c, v, u]", "you swapped u and v: u counts rows, v counts columns."),
        ("weight[o, c => (weight.swapaxes(0, 1) if C == O else weight)[o, c", "you swapped the channels of weight: weight[o, c], output first."),
        ("c in range(C) => c in [0]", "you used the first channel only; a convolution sums over all channels."),
        ("c in range(C) => c in [C - 1]", "= keeps the last channel only; a convolution sums over all channels: add with +=."),
        ("c in range(C) => c in [o % C]", "you used one channel for each output; a convolution sums over all channels."),
        ("return y => return (weight[..., None, None] * windows(x, K)).sum((2, 3))", "add up over the channels too: y is (O, H, W)."),
        ("* x[c, h, w] => * (x[c - p, h, w] if c >= p else 0)", "np.pad(x, p) pads the channels, too: np.pad(x, ((0, 0), (p, p), (p, p)))."),
        ("x[c, h, w] => x[:, h, w].sum()", "you summed x over its channels first; each channel has its own weights, weight[o, c]."),
        ("weight[o, => weight[0,", "you used weight[0] for all outputs; index it with o."),
        ("c in range(C) => c in [C - 1] ; i + u - p, j + v - p => (i + p, j + p) if u == v == K - 1 else (-1, -1)", "= keeps the last product only: add with +=."),
        *SUMS, *EDGES, *STARTS,
    ),
    ("output channel", "row", "column"),
    picture=_draw_convolution,
)  # fmt: skip


def _residual_backward(dy: Array, A: Array) -> Array:
    return np.asarray(dy + A.T @ dy)


def _residual(rng: np.random.Generator) -> Cases:
    yield integers(rng, 2), integers(rng, 2, 2)
    for size in (3, 5):
        yield rng.standard_normal(size), rng.standard_normal((size, size))


RESIDUAL = Exercise(
    "residual_backward", "residual_backward(dy, A) -> dx, for a block with a shortcut, y = x + A @ x.", _residual_backward, _residual,
    table(_residual_backward,
        ("dy + => ", "x is used twice: dy also comes back through the shortcut."),
        (" + A.T @ dy => ", "x is used twice: dy also comes back through A."),
        ("A.T => A", "the gradient of A @ x with respect to x is A.T @ dy."),
        ("A.T @ => A *", "* multiplies element by element; A.T @ dy is the matrix product."),
        ("dy + A.T @ dy => (1 + A.T) @ dy", "1 + A adds 1 to every entry; x is np.eye(n) @ x."),
        ("dy + => 1 +", "the shortcut sends dy back, not 1: the chain rule multiplies with dy."),
    ),
    ("number",),
    picture=lambda arguments, _: {"dy": arguments[0][:, None], "A": arguments[1]},
)  # fmt: skip


def _attend(query: Array, key: Array, K: int) -> Array:
    (_, H, W), p = query.shape, K // 2
    scores = np.zeros((K, K, H, W))
    for i in range(H):
        for j in range(W):
            for u in range(K):
                for v in range(K):
                    h, w = i + u - p, j + v - p
                    if 0 <= h < H and 0 <= w < W:
                        scores[u, v, i, j] = query[:, i, j] @ key[:, h, w]
    exp = np.exp(scores - scores.max((0, 1)))
    return np.asarray(exp / exp.sum((0, 1)))


def _attentions(rng: np.random.Generator) -> Cases:
    yield integers(rng, 1, 2, 3), integers(rng, 1, 2, 3), 3
    for D, H, W, K, scale in ((4, 5, 4, 3, 1), (2, 4, 6, 5, 1), (3, 3, 4, 3, 30)):
        yield scale * rng.standard_normal((D, H, W)), scale * rng.standard_normal((D, H, W)), K


def _draw_attention(arguments: Arguments, index: Index) -> Drawing:
    (query, key, K), (_, _, i, j) = arguments, index
    scores = np.einsum("d,duv->uv", query[:, i, j], windows(key, K)[..., i, j])
    weights = _attend(query, key, K)[:, :, i, j]
    return {f"query of ({i}, {j})": query[:, i, [j]], "scores": scores, "right weights": weights}


TOP, SUM = "scores.max((0, 1))", "exp.sum((0, 1))"
INSIDE = "(windows(np.ones((H, W)), K) > 0)"
OUTSIDE = "you left out the taps outside; their keys are zeros, their scores 0, and exp(0) is 1."


def _over(axes: str, hint: str) -> tuple[str, str]:
    return (
        f"{TOP} => scores.max({axes}, keepdims=True) ; {SUM} => exp.sum({axes}, keepdims=True)",
        hint,
    )


ATTENTION = Exercise(
    "attend", "attend(query, key, K) -> weights: the softmax, over the K x K window, of the dot products "
    "of the pixel's query with the keys in its window. Keys outside the image are zeros, and count. "
    "query and key are (D, H, W), weights (K, K, H, W).", _attend, _attentions,
    table(_attend,
        (f"exp / {SUM} => scores", "these are the scores; take their softmax over the window."),
        (f" - {TOP} => ", "exp overflows above 709 and gives NaN: subtract the largest score of the window first."),
        (f"{TOP} => scores.max()", "subtract the largest score of each window, not of the whole image: exp gives 0 and NaN."),
        (f" / {SUM} => ", "divide by the sum over the window, so that the weights add up to 1."),
        _over("(2, 3)", "your softmax runs over the pixels; it runs over the window, the first two axes."),
        _over("0", "your softmax runs over u alone; it runs over u and v."),
        _over("1", "your softmax runs over v alone; it runs over u and v."),
        _over("None", "your softmax runs over everything; each pixel has its own, over u and v."),
        ("query[:, i, j] => query[:, h, w]", "you took query and key of the same pixel; the query is the centre pixel's."),
        ("query[:, i, j] @ key[:, h, w] => query[-1, i, j] * key[-1, h, w]", "= keeps the last feature of D; the dot product adds up all of them."),
        ("key[:, h, w] => key[:, h, w] / np.sqrt(len(key))", "you divided by the square root of D; transformers do, this exercise does not."),
        (f"np.exp(scores - {TOP}) => np.exp((s := np.where({INSIDE}, scores, -np.inf)) - s.max((0, 1)))", OUTSIDE),
        (f"{TOP}) => {TOP}) * {INSIDE}", OUTSIDE),
        ("scores[u, v, => scores[v, u,", "you swapped u and v: u counts rows, v counts columns."),
        (f"np.exp(scores - {TOP}) => scores", "the softmax takes exp of the scores before it divides."),
        *EDGES[:5], *STARTS[:-1],
    ),
    ("u", "v", "row", "column"),
    picture=_draw_attention,
)  # fmt: skip
