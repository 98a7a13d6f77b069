"""The exercises of notebook 07: the gradients of involution, of its generator and of batch norm."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..arrays import Array
from .exercise import Arguments, Cases, Drawing, Exercise, Index, table
from .operators import (
    GROUPS,
    PIXELS,
    SHAPES,
    TURNS,
    adjacent,
    apply_kernels,
    each_group,
    integers,
    operands,
    sizes_of,
    spread,
)
from .windows import EDGES, STARTS, Edge, centred, corner, flipped, fold, unchanged, windows, zeros


def _gradients(rng: np.random.Generator) -> Cases:
    for x, kernel in operands(rng):
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
    weigh: Callable[[Array], Array] = unchanged,
    use: Callable[[Array, Array], Array] = lambda dy, x: dy,
    replace: bool = False,
    out: Callable[[Array, int], Array] = lambda dx, G: dx,
) -> Array:
    C, G = x.shape[1], kernel.shape[1]
    kernels = weigh(kernel)[:, [group(c, C, G) for c in range(C)]]  # (N, C, K, K, H, W)
    return out(fold(kernels * use(dy, x)[:, :, None, None], edge, start, replace), G)


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
    table(
        _backward_input,
        ("applied to dy", lambda dy, x, kernel: apply_kernels(dy, kernel),
         "each output sends dy back with its own kernel: dx[h, w] += kernel[u, v, i, j] * dy[i, j]."),
        ("turned kernels", lambda dy, x, kernel: apply_kernels(dy, flipped(kernel)),
         "turning this pixel's kernel is right for a convolution; each reader has its own kernel."),
        ("applied to x", lambda dy, x, kernel: apply_kernels(x, kernel),
         "that is y; dx sends dy back through the same products."),
        ("x for dy", {"use": lambda dy, x: x}, "you used x instead of dy."),
        ("dy * x", {"use": lambda dy, x: dy * x}, "x is one factor too many: kernel * dy is enough."),
        ("= for +=", {"replace": True},
         "= replaces what was there; a pixel is read by many outputs: add with +=."),
        ("kernel of pixel 0", {"weigh": lambda k: spread(k[..., :1, :1], k)},
         "you used the kernel of pixel (0, 0) for all; index it with [..., i, j]."),
        ("over the group", {"out": each_group(np.sum)},
         "you summed over the channels of the group; dx has a number for each channel."),
        ("over all channels", {"out": lambda y, G: each_group(np.sum)(y, 1)},
         "you summed over all channels; dx has a number for each channel."),
        *GROUPS, *TURNS,
        *[(name, how, hint.replace("you read", "you added to")) for name, how, hint in EDGES],
        ("wrong crop", {"start": corner},
         "the margin is p wide on each side: cut it off with [p : p + H], and h = i + u - p."),
        *STARTS[1:],
    ),
    PIXELS,
    _gradient_sizes,
    _draw_backward_input,
)  # fmt: skip


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
    weigh: Callable[[Array], Array] = unchanged,
) -> Array:
    C, (_, G, K, *_) = x.shape[1], kernel.shape
    dy, x = use(dy, x)
    products = (dy[:, :, None, None] * windows(x, K, edge, start)).swapaxes(0, 1)  # (C, N, ...)
    dkernel = np.zeros(kernel.shape)
    for g in range(G):
        if members := [c for c in range(C) if group(c, C, G) == g]:
            dkernel[:, g] = reduce(products[members])
    return weigh(dkernel)


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
    table(
        _backward_kernel,
        ("first channel", {"reduce": lambda products: products[0]},
         "you used one channel of each group; all C_g share the kernel: add them up."),
        ("last channel", {"reduce": lambda products: products[-1]},
         "= keeps the last channel of each group; all C_g share the kernel: add with +=."),
        ("mean", {"reduce": lambda products: products.mean(0)},
         "you took the mean over the channels of a group; it is the sum."),
        ("all channels", lambda dy, x, kernel: spread(
            _backward_kernel(dy, x, kernel).sum(1, keepdims=True), kernel),
         "you added up the channels of all groups; a kernel belongs to its own group."),
        ("over pixels", {"weigh": lambda k: spread(k.sum((4, 5), keepdims=True), k)},
         "you added up over the pixels; every pixel has its own kernel, so its own gradient."),
        ("roles swapped", {"use": lambda dy, x: (x, dy)},
         "dy is that of the output (i, j), and x is read at (h, w): you swapped them."),
        ("pixel for window", lambda dy, x, kernel: spread(
            _backward_kernel(dy, x, kernel, edge=lambda h, n: (spread(np.arange(n), h), spread(True, h))), kernel),
         "you used x[i, j] for every tap; tap (u, v) read x[i + u - p, j + v - p]."),
        *GROUPS, *TURNS, *EDGES, *STARTS,
    ),
    ("image", "group", "u", "v", "row", "column"),
    _gradient_sizes,
    _draw_backward_kernel,
)  # fmt: skip


def _generate_backward(
    dkernel: Array,
    x: Array,
    reduce: Array,
    span: Array,
    *,
    weigh: Callable[[Array], Array] = unchanged,
    gate: Callable[[Array, Array], Array] = lambda dz, z: dz * (z > 0),
    back: str = "dc,ndhw->nchw",
) -> Array:
    n, _, _, _, h, w = dkernel.shape
    z = np.einsum("dc,nchw->ndhw", reduce, x)
    dz = np.einsum("od,nohw->ndhw", span, weigh(dkernel).reshape(n, -1, h, w))
    dx: Array = np.einsum(back, reduce, gate(dz, z))
    return dx


def _generators(rng: np.random.Generator) -> Cases:
    for N, C, H, W, G, K in ((1, 2, 2, 3, 1, 3), *SHAPES[1:4]):
        C_r = max(2, C // 2)
        sizes = (N, G, K, K, H, W), (N, C, H, W), (C_r, C), (G * K * K, C_r)
        yield tuple(rng.standard_normal(size) for size in sizes)


GENERATE_BACKWARD = Exercise(
    "generate_backward",
    "generate_backward(dkernel, x, reduce, span) -> dx_generate (N, C, H, W): dkernel (N, G, K, K, H, W) "
    "back through span (G*K*K, C_r), ReLU and reduce (C_r, C).",
    _generate_backward,
    _generators,
    table(
        _generate_backward,
        ("no ReLU", {"gate": lambda dz, z: dz},
         "ReLU is missing: where reduce @ x is not positive, no gradient passes."),
        ("ReLU of the gradient", {"gate": lambda dz, z: np.maximum(dz, 0)},
         "ReLU looks at the number that went forward, reduce @ x, not at the gradient's sign."),
        ("times ReLU", {"gate": lambda dz, z: dz * np.maximum(z, 0)},
         "multiply by the slope of ReLU, 1 or 0, not by its value."),
        ("where negative", {"gate": lambda dz, z: dz * (z <= 0)},
         "ReLU lets the gradient pass where reduce @ x is positive; you have it the other way round."),
        ("square reduce", {"back": "cd,ndhw->nchw"},
         "going back, reduce is transposed: dx[c] sums reduce[d, c] * dz[d] over d."),
        ("group last", {"weigh": lambda k: k.transpose(0, 2, 3, 1, 4, 5)},
         "you flattened dkernel as (K, K, G); span's row o is (g*K + u)*K + v."),
        ("first group", {"weigh": lambda k: k * (np.arange(k.shape[1]) == 0)[:, None, None, None, None]},
         "only the first group is used; every group's kernel was made from the same features."),
        *TURNS,
    ),
    PIXELS,
)  # fmt: skip


def _batch_norm_backward(
    dy: Array,
    x: Array,
    weight: Array,
    eps: float,
    *,
    axes: tuple[int, ...] = (0, 2, 3),
    divisor: Callable[[Array, float], Array] = lambda var, eps: np.sqrt(var + eps),
    constant: float = 1,
    along: float = 1,
    hat: Callable[[Array, Array], Array] = lambda centred, std: centred / std,
    total: bool = False,
) -> Array:
    g, part = weight[:, None, None] * dy, x - x.mean(axes, keepdims=True)
    x_hat = hat(part, np.sqrt(x.var(axes, keepdims=True) + eps))
    mean = np.sum if total else np.mean
    dx = g - constant * mean(g, axes, keepdims=True)
    dx = dx - along * x_hat * mean(g * x_hat, axes, keepdims=True)
    return np.asarray(dx / divisor(x.var(axes, keepdims=True), eps))


def _batches(rng: np.random.Generator) -> Cases:
    for N, C, H, W in ((2, 1, 2, 3), (3, 2, 2, 3), (2, 4, 3, 2)):
        shapes = (N, C, H, W), (N, C, H, W), (C,)
        yield *(rng.standard_normal(shape) for shape in shapes), 0.1


BATCH_NORM_BACKWARD = Exercise(
    "batch_norm_backward",
    "batch_norm_backward(dy, x, weight, eps) -> dx in training mode: mean and variance are those of x "
    "(N, C, H, W) in each channel.",
    _batch_norm_backward,
    _batches,
    table(
        _batch_norm_backward,
        ("evaluation mode", {"constant": 0, "along": 0},
         "this takes mean and std as fixed numbers; in training mode they depend on x, too."),
        ("no mean of g", {"constant": 0}, "the mean depends on x: subtract mean(g)."),
        ("no mean of g x_hat", {"along": 0}, "std depends on x: subtract x_hat * mean(g * x_hat)."),
        ("sums", {"total": True}, "you subtracted sums; they are means over the M elements of a channel."),
        ("variance", {"divisor": lambda var, eps: var + eps}, "divide by std, not by the variance."),
        ("eps outside", {"divisor": lambda var, eps: np.sqrt(var) + eps}, "std is sqrt(var + eps)."),
        ("not divided", {"hat": lambda centred, std: centred}, "x_hat is (x - mean) / std; you left out / std."),
        ("each image", {"axes": (2, 3)}, "the mean is over the images of the batch, too: axes (0, 2, 3)."),
        ("each pixel", {"axes": (1,)}, "the mean is over images and pixels, axes (0, 2, 3), not channels."),
        ("all channels", {"axes": (0, 1, 2, 3)}, "every channel has its own mean: axes (0, 2, 3)."),
    ),
    PIXELS,
)  # fmt: skip
