"""Exercises on related operations: convolution, the residual block, local attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import Array
from .exercise import Arguments, Cases, Drawing, Exercise, Index, table
from .operators import integers
from .windows import EDGES, STARTS, Edge, Start, centred, flipped, windows, zeros


def _convolve(
    x: Array,
    weight: Array,
    *,
    edge: Edge = zeros,
    start: Start = centred,
    weigh: Callable[[Array], Array] = lambda weight: weight,
    add: Callable[[Array], Array] = lambda products: products.sum((1, 2, 3)),
    out: Callable[[Array], Array] = lambda y: y,
) -> Array:
    """Return y (O, H, W): the sum of the products (O, C, K, K, H, W)."""
    seen = windows(x, weight.shape[2], edge, start)
    return out(add(weigh(weight)[..., None, None] * seen))


def _convolutions(rng: np.random.Generator) -> Cases:
    yield integers(rng, 1, 3, 4), integers(rng, 1, 1, 3, 3)
    for C, O, H, W, K in ((3, 2, 5, 4, 3), (2, 4, 4, 6, 5), (3, 3, 5, 4, 3), (2, 3, 3, 2, 1)):
        yield rng.standard_normal((C, H, W)), rng.standard_normal((O, C, K, K))


def _convolution_sizes(x: Array, weight: Array) -> dict[str, float]:
    (O, C, K, _), (_, H, W) = weight.shape, x.shape
    return {"K": K, "C": C, "O": O, "H": H, "W": W}


def _draw_convolution(arguments: Arguments, index: Index) -> Drawing:
    (x, weight), (o, i, j) = arguments, index
    seen = windows(x, weight.shape[2])[:, :, :, i, j]
    drawing = {f"x[0], output ({i}, {j})": x[0]}
    for c in range(min(2, len(x))):
        drawing |= {f"window {c}": seen[c], f"weight[{o}, {c}]": weight[o, c]}
    return drawing


CONVOLUTION = Exercise(
    "convolve",
    "convolve(x, weight) -> y: stride 1, zeros outside the image. x is (C, H, W), weight "
    "(O, C, K, K), y is (O, H, W).",
    _convolve,
    _convolutions,
    table(
        _convolve,
        ("turned", {"weigh": flipped},
         "you turned the weights by half a turn; here tap (0, 0) is above and left of the pixel."),
        ("transposed", {"weigh": lambda w: w.swapaxes(2, 3)},
         "you swapped u and v: u counts rows, v counts columns."),
        ("O and C swapped", {"weigh": lambda w: w.swapaxes(0, 1) if len(w) == w.shape[1] else w},
         "you swapped the channels of weight: weight[o, c], output first."),
        ("first channel", {"add": lambda p: p[:, 0].sum((1, 2))},
         "you used the first channel only; a convolution sums over all channels."),
        ("last channel", {"add": lambda p: p[:, -1].sum((1, 2))},
         "= keeps the last channel only; a convolution sums over all channels: add with +=."),
        ("own channel", {"add": lambda p: np.stack(
            [p[o, o % p.shape[1]].sum((0, 1)) for o in range(len(p))])},
         "you used one channel for each output; a convolution sums over all channels."),
        ("no sum over channels", {"add": lambda p: p.sum((2, 3))},
         "add up over the channels too: y is (O, H, W)."),
        ("mean", {"add": lambda p: p.mean((1, 2, 3))},
         "you took the mean of the products; it is their sum."),
        ("first filter", {"weigh": lambda w: np.broadcast_to(w[:1], w.shape)},
         "you used weight[0] for all outputs; index it with o."),
        ("last tap", {"add": lambda p: p[:, -1, -1, -1]},
         "= keeps the last product only: add with +=."),
        ("short loop", {"add": lambda p: p[:, :, :-1, :-1].sum((1, 2, 3))},
         "the loops end one tap early: u and v run over range(K)."),
        ("diagonal", {"add": lambda p: np.einsum("ocuuij->oij", p)},
         "u and v run together along the diagonal; they need a loop each."),
        *EDGES, *STARTS,
    ),
    ("output channel", "row", "column"),
    _convolution_sizes,
    _draw_convolution,
)  # fmt: skip


def _residual_backward(
    dy: Array,
    A: Array,
    *,
    shortcut: Callable[[Array], Array] = lambda dy: dy,
    block: Callable[[Array, Array], Array] = lambda dy, A: A.T @ dy,
) -> Array:
    return shortcut(dy) + block(dy, A)


def _residual(rng: np.random.Generator) -> Cases:
    yield integers(rng, 2), integers(rng, 2, 2)
    for size in (3, 5):
        yield rng.standard_normal(size), rng.standard_normal((size, size))


RESIDUAL = Exercise(
    "residual_backward",
    "residual_backward(dy, A) -> dx, for a block with a shortcut, y = x + A @ x.",
    _residual_backward,
    _residual,
    table(
        _residual_backward,
        ("no shortcut", {"shortcut": np.zeros_like},
         "x is used twice: dy also comes back through the shortcut."),
        ("no block", {"block": lambda dy, A: 0 * dy},
         "x is used twice: dy also comes back through A."),
        ("A for A.T", {"block": lambda dy, A: A @ dy},
         "the gradient of A @ x with respect to x is A.T @ dy."),
        ("element by element", {"block": lambda dy, A: A * dy},
         "* multiplies element by element; A.T @ dy is the matrix product."),
        ("without dy", {"shortcut": np.ones_like},
         "the shortcut sends dy back, not 1: the chain rule multiplies with dy."),
    ),
    ("number",),
    lambda dy, A: {"n": len(dy)},
    lambda arguments, index: {"dy": arguments[0][:, None], "A": arguments[1]},
)  # fmt: skip


def _attend(
    query: Array,
    key: Array,
    K: int,
    *,
    edge: Edge = zeros,
    start: Start = centred,
    score: Callable[[Array, Array], Array] = lambda query, keys: np.einsum(
        "dhw,duvhw->uvhw", query, keys
    ),
    outside: Callable[[Array, Any], Array] = lambda scores, inside: scores,
    axes: tuple[int, ...] = (0, 1),
    exp: Callable[[Array, tuple[int, ...]], Array] = lambda scores, axes: np.exp(
        scores - scores.max(axes, keepdims=True)
    ),
    total: Callable[[Array], Array] = lambda sums: sums,
    turn: Callable[[Array], Array] = lambda weights: weights,
) -> Array:
    """Return the weights (K, K, H, W) of local attention for query and key (D, H, W)."""
    inside = windows(np.ones(key.shape[1:]), K) > 0
    scores = outside(score(query, windows(key, K, edge, start)), inside)
    weights = exp(scores, axes)
    return turn(weights / total(weights.sum(axes, keepdims=True)))


def _attentions(rng: np.random.Generator) -> Cases:
    yield integers(rng, 1, 2, 3), integers(rng, 1, 2, 3), 3
    for D, H, W, K, scale in ((4, 5, 4, 3, 1), (2, 4, 6, 5, 1), (3, 3, 4, 3, 30)):
        yield scale * rng.standard_normal((D, H, W)), scale * rng.standard_normal((D, H, W)), K


def _attention_sizes(query: Array, key: Array, K: int) -> dict[str, float]:
    D, H, W = query.shape
    return {"K": K, "D": D, "H": H, "W": W}


def _draw_attention(arguments: Arguments, index: Index) -> Drawing:
    (query, key, K), (_, _, i, j) = arguments, index
    scores = np.einsum("d,duv->uv", query[:, i, j], windows(key, K)[..., i, j])
    weights = _attend(query, key, K)[:, :, i, j]
    return {f"query of ({i}, {j})": query[:, i, [j]], "scores": scores, "right weights": weights}


def _no_softmax(query: Array, key: Array, K: int) -> Array:
    scores: Array = np.einsum("dhw,duvhw->uvhw", query, windows(key, K))
    return scores


ATTENTION = Exercise(
    "attend",
    "attend(query, key, K) -> weights: the softmax, over the K x K window, of the dot products "
    "of the pixel's query with the keys in its window. Keys outside the image are zeros, and count. "
    "query and key are (D, H, W), weights (K, K, H, W).",
    _attend,
    _attentions,
    table(
        _attend,
        ("scores", _no_softmax, "these are the scores; take their softmax over the window."),
        ("no maximum taken off", {"exp": lambda scores, axes: np.exp(scores)},
         "exp overflows above 709 and gives NaN: subtract the largest score of the window first."),
        ("one maximum for all", {"exp": lambda scores, axes: np.exp(scores - scores.max())},
         "subtract the largest score of each window, not of the whole image: exp gives 0 and NaN."),
        ("not divided", {"total": np.ones_like},
         "divide by the sum over the window, so that the weights add up to 1."),
        ("over pixels", {"axes": (2, 3)},
         "your softmax runs over the pixels; it runs over the window, the first two axes."),
        ("over rows", {"axes": (0,)}, "your softmax runs over u alone; it runs over u and v."),
        ("over columns", {"axes": (1,)}, "your softmax runs over v alone; it runs over u and v."),
        ("over everything", {"axes": (0, 1, 2, 3)},
         "your softmax runs over everything; each pixel has its own, over u and v."),
        ("over image rows", {"axes": (2,)},
         "your softmax runs over the rows of the image; it runs over u and v."),
        ("over image columns", {"axes": (3,)},
         "your softmax runs over the columns of the image; it runs over u and v."),
        ("query and key swapped", lambda query, key, K: _attend(key, query, K),
         "you swapped query and key: the query is the centre pixel's, the keys are its window's."),
        ("query of the neighbour", {"score": lambda q, keys: np.einsum(
            "duvhw,duvhw->uvhw", windows(q, keys.shape[1]), keys)},
         "you took query and key of the same pixel; the query is the centre pixel's."),
        ("last feature", {"score": lambda q, keys: q[-1] * keys[-1]},
         "= keeps the last feature of D; the dot product adds up all of them."),
        ("divided by sqrt(D)", {"score": lambda q, keys: np.einsum(
            "dhw,duvhw->uvhw", q, keys) / np.sqrt(len(q))},
         "you divided by the square root of D; transformers do, this exercise does not."),
        ("outside left out", {"outside": lambda s, inside: np.where(inside, s, -np.inf)},
         "you left out the taps outside; their keys are zeros, their scores 0, and exp(0) is 1."),
        ("outside is 0", {"exp": lambda s, axes: np.exp(s - s.max(axes, keepdims=True)) * (
            windows(np.ones(s.shape[2:]), len(s)) > 0)},
         "you left out the taps outside; their keys are zeros, their scores 0, and exp(0) is 1."),
        ("transposed", {"turn": lambda w: w.swapaxes(0, 1)},
         "you swapped u and v: u counts rows, v counts columns."),
        ("sum of scores", {"exp": lambda scores, axes: scores},
         "the softmax takes exp of the scores before it divides."),
        *EDGES[:5], *STARTS,
    ),
    ("u", "v", "row", "column"),
    _attention_sizes,
    _draw_attention,
)  # fmt: skip
