"""Exercises that compute: one output pixel, involution by loops and by shifts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..arrays import Array
from .exercise import Arguments, Cases, Drawing, Exercise, Index, table
from .windows import CHANNELS, EDGES, GROUPS, KERNELS, STARTS, SUMS, TURNS, windows

SHAPES = (  # N, C, H, W, G, K
    (1, 1, 3, 4, 1, 3),
    (2, 4, 5, 6, 2, 3),
    (1, 6, 4, 7, 3, 5),
    (1, 4, 2, 3, 4, 7),
    (2, 6, 6, 5, 2, 1),
)


def integers(rng: np.random.Generator, *shape: int) -> Array:
    """Return small integers, as floats, none of them 0."""
    return np.asarray(rng.integers(1, 5, shape) * rng.choice([-1.0, 1.0], shape))


def _one_pixel(rng: np.random.Generator) -> Cases:
    yield integers(rng, 3, 3), integers(rng, 3, 3)
    for K in (3, 5, 7):
        yield rng.standard_normal((K, K)), rng.standard_normal((K, K))


def _draw_pixel(arguments: Arguments, index: Index) -> Drawing:
    kernel, window = arguments
    return {"window": window, "kernel": kernel, "products": kernel * window}


def _apply(kernel: Array, window: Array) -> float:
    K = len(kernel)
    total = 0.0
    for u in range(K):
        for v in range(K):
            total += kernel[u, v] * window[u, v]
    return total


PRODUCT = "return total => return (kernel * window)"
APPLY = Exercise(
    "apply", "apply(kernel, window) -> the output of one pixel. Both are (K, K).", _apply, _one_pixel,
    table(_apply,
        (PRODUCT, "these are the products; add them up."),
        ("return total => return kernel @ window", "@ is the matrix product; multiply element by element, with *, and add up."),
        ("return total => return (kernel @ window).sum()", "@ is the matrix product; multiply element by element, with *."),
        (f"{PRODUCT}.sum(0)", "Python's sum adds up the rows only; use (...).sum() or np.sum."),
        ("kernel[u, v] => kernel[K - 1 - u, K - 1 - v]", "you turned the kernel by half a turn; tap (0, 0) belongs to window[0, 0]."),
        ("kernel[u, v] => kernel[v, u]", "you swapped rows and columns of the kernel or of the window."),
        ("+= => =", "= replaces what was there, so that only the last product is left; add with +=."),
        ("return total => return total / kernel.sum()", "do not divide by the kernel's sum; a kernel need not add up to 1."),
        ("u in range(K) => u in range(K - 1) ; v in range(K) => v in range(K - 1)", "range(K - 1) ends one tap early; range(K) has all K."),
        ("K = len(kernel) => K = 3", "K is not always 3: take it from the shape of kernel."),
        (f"{PRODUCT}.max()", "that is the largest product; add up all of them."),
    ),
    picture=_draw_pixel,
)  # fmt: skip


def operands(rng: np.random.Generator) -> Cases:
    """Yield x and kernel of awkward sizes."""
    for N, C, H, W, G, K in SHAPES:
        numbers = integers if C == 1 else lambda rng, *shape: rng.standard_normal(shape)
        yield numbers(rng, N, C, H, W), numbers(rng, N, G, K, K, H, W)


def _involution(x: Array, kernel: Array) -> Array:
    (N, C, H, W), (_, G, K, *_) = x.shape, kernel.shape
    C_g, p = C // G, K // 2
    y = np.zeros(x.shape)
    for n in range(N):
        for c in range(C):
            for i in range(H):
                for j in range(W):
                    for u in range(K):
                        for v in range(K):
                            h, w = i + u - p, j + v - p
                            if 0 <= h < H and 0 <= w < W:
                                y[n, c, i, j] += kernel[n, c // C_g, u, v, i, j] * x[n, c, h, w]
    return y


def _draw_involution(arguments: Arguments, index: Index) -> Drawing:
    (x, kernel), (n, c, i, j) = arguments, index
    K, C_g = kernel.shape[2], x.shape[1] // kernel.shape[1]
    window, weights = windows(x[n, c], K)[:, :, i, j], kernel[n, c // C_g, :, :, i, j]
    drawing = {f"x[{n}, {c}], output ({i}, {j})": x[n, c], "window": window, "kernel": weights}
    return drawing | {"products": window * weights}


PIXELS = ("image", "channel", "row", "column")
INVOLUTION = Exercise(
    "involution", "involution(x, kernel) -> y: stride 1, zeros outside the image. x is (N, C, H, W), kernel "
    "(N, G, K, K, H, W), y has the shape of x.", _involution, operands,
    table(_involution,
        ("c in range(C) => c in range(C_g)", "only the first group is computed: channel r of group g is g*C_g + r."),
        ("v, i, j] => v, i, j] / np.exp(kernel)[n, c // C_g, :, :, i, j].sum() ; kernel[n, c // C_g, u => np.exp(kernel)[n, c // C_g, u",
         "you normalised the kernel with softmax; involution uses it as it is."),
        ("y[n, c, i, j] => y[n, c, h, w] ; x[n, c, h, w] => x[n, c, i, j]", "you sent x[i, j] to the pixels of its window; output (i, j) collects from its window."),
        *KERNELS, *GROUPS, *CHANNELS, *TURNS, *SUMS, *EDGES, *STARTS,
    ),
    PIXELS,
    picture=_draw_involution,
)  # fmt: skip


def _by_shifts(x: Array, kernel: Array) -> Array:
    (_, C, H, W), (_, G, K, *_) = x.shape, kernel.shape
    C_g, p = C // G, K // 2
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    y = np.zeros(x.shape)
    for c in range(C):
        for u in range(K):
            for v in range(K):
                y[:, c] += kernel[:, c // C_g, u, v] * padded[:, c, u : u + H, v : v + W]
    return y


LARGE = np.ones((1, 4, 40, 50)), np.ones((1, 2, 3, 3, 40, 50))
BY_SHIFTS = replace(
    INVOLUTION,
    name="involution_by_shifts",
    task="involution_by_shifts(x, kernel) -> y, as `involution`, without a loop over pixels.",
    right=_by_shifts,
    quick=(LARGE, 1000),
)


def _window_of(x: Array, i: int, j: int, K: int) -> Array:
    (H, W), p = x.shape, K // 2
    window = np.zeros((K, K))
    for u in range(K):
        for v in range(K):
            h, w = i + u - p, j + v - p
            if 0 <= h < H and 0 <= w < W:
                window[u, v] = x[h, w]
    return window


def _places(rng: np.random.Generator) -> Cases:
    for (H, W), K in (((3, 4), 3), ((4, 5), 3), ((6, 5), 5)):
        for i, j in ((1, 2), (0, 0), (H - 1, W - 1)):
            yield integers(rng, H, W), i, j, K


WINDOW_OF = Exercise(
    "window_of", "window_of(x, i, j, K) -> the K x K window of x (H, W) around (i, j), with zeros outside x.", _window_of, _places,
    table(_window_of,
        *EDGES[:-1], *STARTS, *SUMS[2:4],
        ("return window => i, j = max(i - p, 0), max(j - p, 0); return x[i : i + K, j : j + K]",
         "at the edge a slice of x is cut off: pad x with p zeros on each side first."),
        ("return window => return x[i - p : i - p + K, j - p : j - p + K]",
         "a slice that starts below 0 counts from the end: pad x with p zeros on each side first."),
        ("i + u - p, j + v - p => min(max(i - p, 0), H - K) + u, min(max(j - p, 0), W - K) + v",
         "you moved the window into the image; it stays around (i, j), with zeros outside."),
        ("return window => return np.pad(x, p, constant_values=1)[i : i + K, j : j + K]", "outside the image there are zeros, not ones."),
    ),
    ("u", "v"),
)  # fmt: skip


def _one_output(x: Array, kernel: Array, n: int, c: int, i: int, j: int) -> float:
    (_, C, H, W), (_, G, K, *_) = x.shape, kernel.shape
    C_g, p = C // G, K // 2
    total = 0.0
    for u in range(K):
        for v in range(K):
            h, w = i + u - p, j + v - p
            if 0 <= h < H and 0 <= w < W:
                total += kernel[n, c // C_g, u, v, i, j] * x[n, c, h, w]
    return total


def _outputs(rng: np.random.Generator) -> Cases:
    for x, kernel in operands(rng):
        for place in ((0, x.shape[1] // 4, 1, 1), (len(x) - 1, x.shape[1] - 1, 0, x.shape[3] - 1)):
            yield x, kernel, *place


ONE_OUTPUT = Exercise(
    "one_output", "one_output(x, kernel, n, c, i, j) -> y[n, c, i, j]. x is (N, C, H, W), kernel (N, G, K, K, H, W).", _one_output, _outputs,
    table(_one_output,
        ("x[n, c, h, w] => x[n, :, h, w].sum()", "you summed over all channels; the output has only channel c."),
        ("x[n, c, h, w] => x[n, c // C_g * C_g :][:C_g, h, w].sum()", "you summed over the channels of the group; the output has only channel c."),
        ("return total => return (kernel[n, c // C_g, :, :, i, j] @ np.pad(x[n, c], p)[i : i + K, j : j + K]).sum()",
         "@ is the matrix product; multiply element by element, with *."),
        *KERNELS, *GROUPS, *TURNS, *SUMS, *EDGES[:-1], *STARTS,
    ),
    picture=lambda arguments, _: _draw_involution(arguments[:2], arguments[2:]),
)  # fmt: skip


def _repainted(H: int, W: int, K: int, h: int, w: int) -> Array:
    p = K // 2
    marks = np.zeros((H, W))
    for i in range(H):
        for j in range(W):
            if abs(i - h) <= p and abs(j - w) <= p:
                marks[i, j] = 1
    marks[h, w] = 2
    return marks


REACH = "abs(i - h) <= p and abs(j - w) <= p"
REPAINTED = Exercise(
    "repainted", "repainted(H, W, K, h, w) -> (H, W): 0 where the output stays when pixel (h, w) is painted, 1 where "
    "only its window changes, 2 where its kernel changes, too.", _repainted, lambda rng: iter([(4, 5, 3, 1, 2), (5, 8, 3, 0, 4), (7, 6, 5, 6, 1), (3, 3, 7, 2, 0)]),
    table(_repainted,
        ("= 2 => = 1", "pixel (h, w) itself has a new kernel: 2 there."),
        ("j] = 1 => j] = 0", "every output whose window holds (h, w) changes, not only its own."),
        ("j] = 1 => j] = 2", "a neighbour's kernel stays: it is made from the neighbour alone."),
        ("p = K // 2 => p = K", "a window reaches (K - 1) // 2 pixels to each side, not K."),
        ("p = K // 2 => p = 1", "1 is the reach for K = 3; it is (K - 1) // 2."),
        (f"{REACH} => 0 <= i - h <= p and 0 <= j - w <= p", "outputs above and to the left have (h, w) in their windows, too."),
        (f"{REACH} => 0 <= i - h < K and 0 <= j - w < K", "the window is centred at (h, w), it does not start there."),
        (f"{REACH} => -p <= i - h < p and -p <= j - w < p", "the last row and column of the window are missing: a slice ends at h + p + 1."),
        (f"{REACH} => abs(i - h) + abs(j - w) <= p", "a window is a square: rows and columns are compared with p one by one."),
        (f"{REACH} => i in range(H)[h - p : h + p + 1] and j in range(W)[w - p : w + p + 1]",
         "a slice that starts below 0 counts from the end: start at max(h - p, 0)."),
        ("h, w] = 2 => h, w] += 2", "the mark of (h, w) itself is 2, not 1 + 2: store it with =."),
        ("h, w] = 2 => h, w] = 0", "output (h, w) changes, too: 2 there."),
    ),
    ("row", "column"),
)  # fmt: skip
