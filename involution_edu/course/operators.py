"""Exercises that compute: one output pixel, involution, the generator, the gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import Array
from .exercise import Arguments, Cases, Drawing, Exercise, Index, table
from .windows import (
    EDGES,
    STARTS,
    Edge,
    centred,
    corner,
    flipped,
    fold,
    last_inside,
    swapped,
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


def _operands(rng: np.random.Generator) -> Cases:
    for N, C, H, W, G, K in SHAPES:
        numbers = integers if C == 1 else lambda rng, *shape: rng.standard_normal(shape)
        yield numbers(rng, N, C, H, W), numbers(rng, N, G, K, K, H, W)


def adjacent(c: int, C: int, G: int) -> int:
    """Return the group of a channel."""
    return c // (C // G)


def _involution(
    x: Array,
    kernel: Array,
    *,
    edge: Edge = zeros,
    start: Callable[[int], int] = centred,
    group: Callable[[int, int, int], int] = adjacent,
    weigh: Callable[[Array], Array] = lambda kernel: kernel,
    add: Callable[[Array, Array], Array] = lambda products, inside: products.sum((2, 3)),
    out: Callable[[Array, int], Array] = lambda y, G: y,
) -> Array:
    """Return y by the definition; see `Exercise.right` for the keyword arguments."""
    C, G, K = x.shape[1], kernel.shape[1], kernel.shape[2]
    seen, inside = (windows(a, K, edge, start) for a in (x, np.ones_like(x)))
    products = weigh(kernel)[:, [group(c, C, G) for c in range(C)]] * seen  # (N, C, K, K, H, W)
    return out(add(products, inside), G)


def _each_group(reduce: Callable[..., Array]) -> Callable[[Array, int], Array]:
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
    return _backward_input(x, x, kernel)


def _like(one: Any, all_: Any) -> Array:
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
INVOLUTION_MISTAKES = table(
    _involution,
    ("over the group", {"out": _each_group(np.sum)},
     "you summed over the channels of the group; sum over the window only."),
    ("over all channels", {"out": lambda y, G: _each_group(np.sum)(y, 1)},
     "you summed over all channels; sum over the window only. Each channel has its own output."),
    ("mean of the group", {"out": _each_group(np.mean)},
     "you took the mean over the channels of the group; each channel has its own output."),
    ("only C_g channels", {"out": lambda y, G: np.where(
        np.arange(y.shape[1])[:, None, None] < y.shape[1] // G, y, 0)},
     "only the first group is computed: channel r of group g is g*C_g + r."),
    ("one kernel", {"weigh": lambda k: _like(k.mean((4, 5), keepdims=True), k)},
     "you used the mean kernel for all pixels; index it with [..., i, j]."),
    ("kernel of pixel 0", {"weigh": lambda k: _like(k[..., :1, :1], k)},
     "you used the kernel of pixel (0, 0) for all; index it with [..., i, j]."),
    ("neighbour's kernel", {"weigh": _of_neighbour},
     "you took the kernel of the pixel that is read, (h, w); it is that of the output, (i, j)."),
    ("softmax", {"weigh": lambda k: np.exp(k) / np.exp(k).sum((2, 3), keepdims=True)},
     "you normalised the kernel with softmax; involution uses it as it is."),
    ("scattered", _scattered,
     "you sent x[i, j] to the pixels of its window; output (i, j) collects from its window."),
    *GROUPS, *TURNS, *SUMS, *EDGES, *STARTS,
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
    _involution,
    _operands,
    INVOLUTION_MISTAKES,
    PIXELS,
    sizes_of,
    _draw_involution,
)
LARGE = np.ones((1, 4, 40, 50)), np.ones((1, 2, 3, 3, 40, 50))
BY_SHIFTS = Exercise(
    "involution_by_shifts",
    "involution_by_shifts(x, kernel) -> y, as `involution`, without a loop over pixels.",
    _involution,
    _operands,
    INVOLUTION_MISTAKES,
    PIXELS,
    sizes_of,
    _draw_involution,
    (LARGE, 1000),
)


def _relu(x: Array) -> Array:
    return np.maximum(x, 0)


def _as_it_is(x: Array) -> Array:
    return x


def _generate(
    x: Array,
    reduce: Array,
    span: Array,
    bias: Array,
    G: int,
    K: int,
    *,
    before: Callable[[Array], Array] = _as_it_is,
    between: Callable[[Array], Array] = _relu,
    biased: Callable[[Array], Array] = _as_it_is,
    arrange: Callable[[Array, int, int], Array] = lambda o, G, K: _split(o, G, K, K),
    after: Callable[[Array], Array] = _as_it_is,
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
        ("no ReLU", {"between": _as_it_is}, "the ReLU between reduce and span is missing."),
        ("ReLU after span", {"after": _relu},
         "there is no ReLU after span: a kernel may be negative."),
        ("ReLU after, not between", {"between": _as_it_is, "after": _relu},
         "ReLU belongs between reduce and span, not after span."),
        ("ReLU on x", {"before": _relu, "between": _as_it_is},
         "ReLU belongs between reduce and span, not before reduce."),
        ("abs", {"between": np.abs}, "ReLU sets negative numbers to 0; abs turns their sign."),
        ("ReLU of the largest", {"between": lambda z: _like(z.max(initial=0), z)},
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


def _gradients(rng: np.random.Generator) -> Cases:
    for x, kernel in _operands(rng):
        yield (
            (integers(rng, *x.shape) if x.shape[1] == 1 else rng.standard_normal(x.shape)),
            x,
            kernel,
        )


def _gradient_sizes(dy: Array, x: Array, kernel: Array) -> dict[str, float]:
    return sizes_of(x, kernel)


def _backward_input(
    dy: Array,
    x: Array,
    kernel: Array,
    *,
    edge: Edge = zeros,
    start: Callable[[int], int] = centred,
    group: Callable[[int, int, int], int] = adjacent,
    weigh: Callable[[Array], Array] = _as_it_is,
    use: Callable[[Array, Array], Array] = lambda dy, x: dy,
    replace: bool = False,
    out: Callable[[Array, int], Array] = lambda dx, G: dx,
) -> Array:
    C, G = x.shape[1], kernel.shape[1]
    kernels = weigh(kernel)[:, [group(c, C, G) for c in range(C)]]  # (N, C, K, K, H, W)
    return out(fold(kernels * use(dy, x)[:, :, None, None], edge, start, replace), G)


BACKWARD_INPUT_MISTAKES = table(
    _backward_input,
    ("applied to dy", lambda dy, x, kernel: _involution(dy, kernel),
     "each output sends dy back with its own kernel: dx[h, w] += kernel[u, v, i, j] * dy[i, j]."),
    ("turned kernels", lambda dy, x, kernel: _involution(dy, flipped(kernel)),
     "turning this pixel's kernel is right for a convolution; each reader has its own kernel."),
    ("applied to x", lambda dy, x, kernel: _involution(x, kernel),
     "that is y; dx sends dy back through the same products."),
    ("x for dy", {"use": lambda dy, x: x}, "you used x instead of dy."),
    ("dy * x", {"use": lambda dy, x: dy * x}, "x is one factor too many: kernel * dy is enough."),
    ("= for +=", {"replace": True},
     "= replaces what was there; a pixel is read by many outputs: add with +=."),
    ("kernel of pixel 0", {"weigh": lambda k: _like(k[..., :1, :1], k)},
     "you used the kernel of pixel (0, 0) for all; index it with [..., i, j]."),
    ("over the group", {"out": _each_group(np.sum)},
     "you summed over the channels of the group; dx has a number for each channel."),
    ("over all channels", {"out": lambda y, G: _each_group(np.sum)(y, 1)},
     "you summed over all channels; dx has a number for each channel."),
    *GROUPS, *TURNS,
    *[(name, how, hint.replace("you read", "you added to")) for name, how, hint in EDGES],
    ("wrong crop", {"start": corner},
     "the margin is p wide on each side: cut it off with [p : p + H], and h = i + u - p."),
    *STARTS[1:],
)  # fmt: skip


def _draw_backward_input(arguments: Arguments, index: Index) -> Drawing:
    (dy, x, kernel), (n, c, h, w) = arguments, index
    K = kernel.shape[2]
    readers = windows(dy[n, c], K)[:, :, h, w]  # dy around (h, w)
    own = kernel[n, adjacent(c, x.shape[1], kernel.shape[1])]
    taps = np.zeros((K, K))
    for u, v in np.ndindex(K, K):  # the output at window place (u, v) reads (h, w) by this tap
        taps[u, v] = windows(own[K - 1 - u, K - 1 - v], K)[u, v, h, w]
    return {
        f"dy[{n}, {c}], dx of ({h}, {w})": dy[n, c],
        "dy of its readers": readers,
        "kernel of each": taps,
        "products": readers * taps,
    }


BACKWARD_INPUT = Exercise(
    "backward_input",
    "backward_input(dy, x, kernel) -> dx: the gradient of y = involution(x, kernel) with respect "
    "to x.",
    _backward_input,
    _gradients,
    BACKWARD_INPUT_MISTAKES,
    PIXELS,
    _gradient_sizes,
    _draw_backward_input,
)


def _backward_kernel(
    dy: Array,
    x: Array,
    kernel: Array,
    *,
    edge: Edge = zeros,
    start: Callable[[int], int] = centred,
    group: Callable[[int, int, int], int] = adjacent,
    use: Callable[[Array, Array], tuple[Array, Array]] = lambda dy, x: (dy, x),
    reduce: Callable[[Array], Array] = lambda products: products.sum(0),
    weigh: Callable[[Array], Array] = _as_it_is,
) -> Array:
    C, (_, G, K, *_) = x.shape[1], kernel.shape
    dy, x = use(dy, x)
    products = (dy[:, :, None, None] * windows(x, K, edge, start)).swapaxes(0, 1)  # (C, N, ...)
    dkernel = np.zeros(kernel.shape)
    for g in range(G):
        if members := [c for c in range(C) if group(c, C, G) == g]:
            dkernel[:, g] = reduce(products[members])
    return weigh(dkernel)


BACKWARD_KERNEL_MISTAKES = table(
    _backward_kernel,
    ("first channel", {"reduce": lambda products: products[0]},
     "you used one channel of each group; all C_g share the kernel: add them up."),
    ("last channel", {"reduce": lambda products: products[-1]},
     "= keeps the last channel of each group; all C_g share the kernel: add with +=."),
    ("mean", {"reduce": lambda products: products.mean(0)},
     "you took the mean over the channels of a group; it is the sum."),
    ("all channels", lambda dy, x, kernel: _like(
        _backward_kernel(dy, x, kernel).sum(1, keepdims=True), kernel),
     "you added up the channels of all groups; a kernel belongs to its own group."),
    ("over pixels", {"weigh": lambda k: _like(k.sum((4, 5), keepdims=True), k)},
     "you added up over the pixels; every pixel has its own kernel, so its own gradient."),
    ("roles swapped", {"use": lambda dy, x: (x, dy)},
     "dy is that of the output (i, j), and x is read at (h, w): you swapped them."),
    ("pixel for window", lambda dy, x, kernel: _like(
        _backward_kernel(dy, x, kernel, edge=lambda h, n: (_like(np.arange(n), h), _like(True, h))), kernel),
     "you used x[i, j] for every tap; tap (u, v) read x[i + u - p, j + v - p]."),
    *GROUPS, *TURNS, *EDGES, *STARTS,
)  # fmt: skip


def _draw_backward_kernel(arguments: Arguments, index: Index) -> Drawing:
    (dy, x, kernel), (n, g, u, v, i, j) = arguments, index
    C_g, K = x.shape[1] // kernel.shape[1], kernel.shape[2]
    group = slice(g * C_g, (g + 1) * C_g)
    read = windows(x[n, group], K)[:, u, v, i, j][:, None]
    given = dy[n, group, i, j][:, None]
    return {f"dy of ({i}, {j})": given, f"x of tap ({u}, {v})": read, "products": given * read}


BACKWARD_KERNEL = Exercise(
    "backward_kernel",
    "backward_kernel(dy, x, kernel) -> dkernel: the gradient of y = involution(x, kernel) with "
    "respect to kernel.",
    _backward_kernel,
    _gradients,
    BACKWARD_KERNEL_MISTAKES,
    ("image", "group", "u", "v", "row", "column"),
    _gradient_sizes,
    _draw_backward_kernel,
)
