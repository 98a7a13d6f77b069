"""Exercises that compute: one output pixel, involution, the generator, the gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..arrays import Array
from .exercise import Arguments, Cases, Drawing, Exercise, Index, table
from .windows import (
    EDGES,
    STARTS,
    Edge,
    centred,
    flipped,
    fold,
    last_inside,
    swapped,
    unchanged,
    windows,
    zeros,
)

SHAPES = (  # N, C, H, W, G, K
    (1, 1, 3, 4, 1, 3),
    (2, 4, 5, 6, 2, 3),
    (1, 6, 4, 7, 3, 5),
    (1, 4, 2, 3, 4, 7),
    (2, 6, 6, 5, 2, 1),
)


def integers(rng: np.random.Generator, *shape: int) -> Array:
    """Return small integers, as floats, none of them 0."""
    numbers: Array = rng.integers(1, 5, shape) * rng.choice([-1.0, 1.0], shape)
    return numbers


def _one_pixel(rng: np.random.Generator) -> Cases:
    yield integers(rng, 3, 3), integers(rng, 3, 3)
    for K in (3, 5, 7):
        yield rng.standard_normal((K, K)), rng.standard_normal((K, K))


def _draw_pixel(arguments: Arguments, index: Index) -> Drawing:
    kernel, window = arguments
    return {"window": window, "kernel": kernel, "products": kernel * window}


def _apply(kernel: Array, window: Array) -> Array:
    result: Array = (kernel * window).sum()
    return result


APPLY = Exercise(
    "apply",
    "apply(kernel, window) -> the output of one pixel. Both are (K, K).",
    _apply,
    _one_pixel,
    table(
        _apply,
        ("no sum", lambda k, w: k * w, "these are the products; add them up."),
        ("matrix product", lambda k, w: k @ w,
         "@ is the matrix product; multiply element by element, with *, and add up."),
        ("matrix product, sum", lambda k, w: (k @ w).sum(),
         "@ is the matrix product; multiply element by element, with *."),
        ("mean", lambda k, w: (k * w).mean(), "that is the mean; take the sum."),
        ("built-in sum", lambda k, w: sum(k * w),
         "Python's sum adds up the rows only; use (...).sum() or np.sum."),
        ("turned", lambda k, w: (flipped(k) * w).sum(),
         "you turned the kernel by half a turn; tap (0, 0) belongs to window[0, 0]."),
        ("transposed", lambda k, w: (k.T * w).sum(),
         "you swapped rows and columns of the kernel or of the window."),
        ("last tap", lambda k, w: (k * w)[-1, -1],
         "= replaces what was there, so that only the last product is left; add with +=."),
        ("added", lambda k, w: (k + w).sum(), "multiply kernel and window, do not add them."),
        ("normalised", lambda k, w: (k * w).sum() / k.sum(),
         "do not divide by the kernel's sum; a kernel need not add up to 1."),
        ("short loop", lambda k, w: (k * w)[:-1, :-1].sum(),
         "range(K - 1) ends one tap early; range(K) has all K."),
    ),
    sizes=lambda kernel, window: {"K": len(kernel)},
    picture=_draw_pixel,
)  # fmt: skip


def operands(rng: np.random.Generator) -> Cases:
    """Yield x and kernel of awkward sizes."""
    for N, C, H, W, G, K in SHAPES:
        numbers = integers if C == 1 else lambda rng, *shape: rng.standard_normal(shape)
        yield numbers(rng, N, C, H, W), numbers(rng, N, G, K, K, H, W)


def adjacent(c: int, C: int, G: int) -> int:
    """Return the group of a channel."""
    return c // (C // G)


def apply_kernels(
    x: Array,
    kernel: Array,
    *,
    edge: Edge = zeros,
    start: Callable[[int], int] = centred,
    group: Callable[[int, int, int], int] = adjacent,
    weigh: Callable[[Array], Array] = unchanged,
    add: Callable[[Array, Array], Array] = lambda products, inside: products.sum((2, 3)),
    out: Callable[[Array, int], Array] = lambda y, G: y,
) -> Array:
    """Return y by the definition; see `Exercise.right` for the keyword arguments."""
    C, G, K = x.shape[1], kernel.shape[1], kernel.shape[2]
    seen, inside = (windows(a, K, edge, start) for a in (x, np.ones_like(x)))
    products = weigh(kernel)[:, [group(c, C, G) for c in range(C)]] * seen  # (N, C, K, K, H, W)
    return out(add(products, inside), G)


def each_group(reduce: Callable[..., Array]) -> Callable[[Array, int], Array]:
    """Return a function that gives all channels of a group, or of G groups, the same result."""

    def result(y: Array, G: int) -> Array:
        parts = y.reshape(len(y), G, -1, *y.shape[2:])
        return np.broadcast_to(reduce(parts, axis=2, keepdims=True), parts.shape).reshape(y.shape)

    return result


def _of_neighbour(kernel: Array) -> Array:
    """Return, for every tap, the number of the kernel of the pixel that is read."""
    K, result = kernel.shape[2], np.zeros_like(kernel)
    for u, v in np.ndindex(K, K):
        result[:, :, u, v] = windows(kernel[:, :, u, v], K)[:, :, u, v]
    return result


def _scattered(x: Array, kernel: Array) -> Array:
    C, G = x.shape[1], kernel.shape[1]
    return fold(kernel[:, [adjacent(c, C, G) for c in range(C)]] * x[:, :, None, None])


def spread(one: Any, all_: Any) -> Array:
    """Repeat an array to the shape of another."""
    return np.broadcast_to(one, all_.shape)


GROUPS = (
    ("interleaved", {"group": lambda c, C, G: c % G},
     "you used group c % G; a group has adjacent channels, so it is c // C_g."),
    ("c % C_g", {"group": lambda c, C, G: c % (C // G) % G},
     "you used c % C_g; that is the channel's number in its group, which is c // C_g."),
    ("c // G", {"group": lambda c, C, G: min(c // G, G - 1)},
     "you used group c // G; divide by the channels in a group, C_g = C / G."),
    ("first group", {"group": lambda c, C, G: 0},
     "you used the first group's kernel for all groups."),
)  # fmt: skip
TURNS = (
    ("turned", {"weigh": flipped},
     "you turned the kernel by half a turn; tap (0, 0) is above and left of the pixel."),
    ("transposed", {"weigh": swapped}, "you swapped u and v: u counts rows, v counts columns."),
)  # fmt: skip
SUMS = (
    ("mean", {"add": lambda products, inside: products.mean((2, 3))},
     "you took the mean of the products; it is their sum."),
    ("= for +=", {"add": last_inside},
     "= replaces what was there, so that only the last tap inside is left; add with +=."),
    ("last tap", {"add": lambda products, inside: products[:, :, -1, -1]},
     "= replaces what was there, so that only the last tap is left; add with +=."),
    ("short loop", {"add": lambda products, inside: products[:, :, :-1, :-1].sum((2, 3))},
     "the loops end one tap early: u and v run over range(K)."),
    ("late loop", {"add": lambda products, inside: products[:, :, 1:, 1:].sum((2, 3))},
     "the loops start one tap late: u and v run over range(K), from 0."),
    ("diagonal", {"add": lambda products, inside: np.einsum("ncuuij->ncij", products)},
     "u and v run together along the diagonal; they need a loop each."),
    ("no centre", {"add": lambda p, inside: p.sum((2, 3)) - p[:, :, p.shape[2] // 2, p.shape[2] // 2]},
     "the centre tap is left out: the pixel itself counts, too."),
)  # fmt: skip


def _draw_involution(arguments: Arguments, index: Index) -> Drawing:
    (x, kernel), (n, c, i, j) = arguments, index
    window = windows(x[n, c], kernel.shape[2])[:, :, i, j]
    weights = kernel[n, adjacent(c, x.shape[1], kernel.shape[1]), :, :, i, j]
    return {
        f"x[{n}, {c}], output ({i}, {j})": x[n, c],
        "window": window,
        "kernel": weights,
        "products": window * weights,
    }


def sizes_of(x: Array, kernel: Array) -> dict[str, float]:
    """Return the sizes of the operands by name."""
    (N, C, H, W), (_, G, K, *_) = x.shape, kernel.shape
    return {"K": K, "C_g": C // G, "C": C, "G": G, "N": N, "H": H, "W": W}


PIXELS = ("image", "channel", "row", "column")
INVOLUTION = Exercise(
    "involution",
    "involution(x, kernel) -> y: stride 1, zeros outside the image. x is (N, C, H, W), kernel "
    "(N, G, K, K, H, W), y has the shape of x.",
    apply_kernels,
    operands,
    table(
        apply_kernels,
        ("over the group", {"out": each_group(np.sum)},
         "you summed over the channels of the group; sum over the window only."),
        ("over all channels", {"out": lambda y, G: each_group(np.sum)(y, 1)},
         "you summed over all channels; sum over the window only. Each channel has its own output."),
        ("mean of the group", {"out": each_group(np.mean)},
         "you took the mean over the channels of the group; each channel has its own output."),
        ("only C_g channels", {"out": lambda y, G: np.where(
            np.arange(y.shape[1])[:, None, None] < y.shape[1] // G, y, 0)},
         "only the first group is computed: channel r of group g is g*C_g + r."),
        ("one kernel", {"weigh": lambda k: spread(k.mean((4, 5), keepdims=True), k)},
         "you used the mean kernel for all pixels; index it with [..., i, j]."),
        ("kernel of pixel 0", {"weigh": lambda k: spread(k[..., :1, :1], k)},
         "you used the kernel of pixel (0, 0) for all; index it with [..., i, j]."),
        ("neighbour's kernel", {"weigh": _of_neighbour},
         "you took the kernel of the pixel that is read, (h, w); it is that of the output, (i, j)."),
        ("softmax", {"weigh": lambda k: np.exp(k) / np.exp(k).sum((2, 3), keepdims=True)},
         "you normalised the kernel with softmax; involution uses it as it is."),
        ("scattered", _scattered,
         "you sent x[i, j] to the pixels of its window; output (i, j) collects from its window."),
        *GROUPS, *TURNS, *SUMS, *EDGES, *STARTS,
    ),
    PIXELS,
    sizes_of,
    _draw_involution,
)  # fmt: skip
LARGE = np.ones((1, 4, 40, 50)), np.ones((1, 2, 3, 3, 40, 50))
BY_SHIFTS = replace(
    INVOLUTION,
    name="involution_by_shifts",
    task="involution_by_shifts(x, kernel) -> y, as `involution`, without a loop over pixels.",
    quick=(LARGE, 1000),
)


def _window_of(
    x: Array, i: int, j: int, K: int, *, edge: Edge = zeros, start: Callable[[int], int] = centred
) -> Array:
    return windows(x, K, edge, start)[:, :, i, j]


def _places(rng: np.random.Generator) -> Cases:
    for (H, W), K in (((3, 4), 3), ((4, 5), 3), ((6, 5), 5)):
        for i, j in ((1, 2), (0, 0), (H - 1, W - 1)):
            yield integers(rng, H, W), i, j, K


WINDOW_OF = Exercise(
    "window_of",
    "window_of(x, i, j, K) -> the K x K window of x (H, W) around (i, j), with zeros outside x.",
    _window_of,
    _places,
    table(_window_of, *EDGES, *STARTS),
    ("u", "v"),
)


def _one_output(x: Array, kernel: Array, n: int, c: int, i: int, j: int, **parts: Any) -> Array:
    result: Array = apply_kernels(x, kernel, **parts)[n, c, i, j]
    return result


def _outputs(rng: np.random.Generator) -> Cases:
    for x, kernel in operands(rng):
        for place in ((0, x.shape[1] // 4, 1, 1), (len(x) - 1, x.shape[1] - 1, 0, x.shape[3] - 1)):
            yield x, kernel, *place


ONE_OUTPUT = Exercise(
    "one_output",
    "one_output(x, kernel, n, c, i, j) -> y[n, c, i, j]. x is (N, C, H, W), kernel (N, G, K, K, H, W).",
    _one_output,
    _outputs,
    table(_one_output, *GROUPS, *TURNS, *SUMS[:5], *EDGES, *STARTS),
    sizes=lambda x, kernel, *place: sizes_of(x, kernel),
    picture=lambda arguments, _: _draw_involution(arguments[:2], arguments[2:]),
)


def _repainted(
    H: int, W: int, K: int, h: int, w: int, *, reach: Callable[[int], int] = centred,
    own: int = 2, near: int = 1, ahead: bool = False,
) -> Array:  # fmt: skip
    rows, columns = np.ogrid[:H, :W]
    distance = np.maximum(abs(rows - h), abs(columns - w))
    result: Array = np.where(distance <= reach(K), near, 0)
    if ahead:
        result[:h], result[:, :w] = 0, 0
    result[h, w] = own
    return result


REPAINTED = Exercise(
    "repainted",
    "repainted(H, W, K, h, w) -> (H, W): 0 where the output stays when pixel (h, w) is painted, 1 where "
    "only its window changes, 2 where its kernel changes, too.",
    _repainted,
    lambda rng: iter([(4, 5, 3, 1, 2), (5, 8, 3, 0, 4), (7, 6, 5, 6, 1), (3, 3, 7, 2, 0)]),
    table(
        _repainted,
        ("window only", {"own": 1}, "pixel (h, w) itself has a new kernel: 2 there."),
        ("kernel only", lambda *sizes: _repainted(*sizes, near=0), "every output whose window holds (h, w) changes, not only its own."),
        ("kernels of all", {"near": 2}, "a neighbour's kernel stays: it is made from the neighbour alone."),
        ("reach K", {"reach": lambda K: K}, "a window reaches (K - 1) // 2 pixels to each side, not K."),
        ("reach 1", {"reach": lambda K: 1}, "1 is the reach for K = 3; it is (K - 1) // 2."),
        ("ahead", {"ahead": True}, "outputs above and to the left have (h, w) in their windows, too."),
        ("own stays", {"own": 0}, "output (h, w) changes, too: 2 there."),
    ),
    ("row", "column"),
)  # fmt: skip
