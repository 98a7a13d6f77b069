"""The exercises of notebook 07: the gradients of involution, of its generator and of batch norm."""

from __future__ import annotations

import numpy as np

from ..arrays import Array
from .exercise import Arguments, Cases, Drawing, Exercise, Index, table
from .operators import PIXELS, SHAPES, integers, operands
from .windows import CHANNELS, EDGES, GROUPS, KERNELS, STARTS, SUMS, TURNS, windows


def _gradients(rng: np.random.Generator) -> Cases:
    for x, kernel in operands(rng):
        dy = integers(rng, *x.shape) if x.shape[1] == 1 else rng.standard_normal(x.shape)
        yield dy, x, kernel


def _backward_input(dy: Array, x: Array, kernel: Array) -> Array:
    (N, C, H, W), (_, G, K, *_) = x.shape, kernel.shape
    C_g, p = C // G, K // 2
    dx = np.zeros(x.shape)
    for n in range(N):
        for c in range(C):
            for i in range(H):
                for j in range(W):
                    for u in range(K):
                        for v in range(K):
                            h, w = i + u - p, j + v - p
                            if 0 <= h < H and 0 <= w < W:
                                dx[n, c, h, w] += kernel[n, c // C_g, u, v, i, j] * dy[n, c, i, j]
    return dx


def _draw_backward_input(arguments: Arguments, index: Index) -> Drawing:
    (dy, x, kernel), (n, c, h, w) = arguments, index
    K = kernel.shape[2]
    readers = windows(dy[n, c], K)[:, :, h, w]  # dy around (h, w)
    own = kernel[n, c // (x.shape[1] // kernel.shape[1])]
    taps = np.zeros((K, K))
    for u, v in np.ndindex(K, K):  # the output at window place (u, v) reads (h, w) by this tap
        taps[u, v] = windows(own[K - 1 - u, K - 1 - v], K)[u, v, h, w]
    return {
        f"dy[{n}, {c}], dx of ({h}, {w})": dy[n, c],
        "dy of its readers": readers,
        "kernel of each": taps,
        "products": readers * taps,
    }


COLLECT = "dx[n, c, h, w] += => dx[n, c, i, j] += ; dy[n, c, i, j] => dy[n, c, h, w]"
BACKWARD_INPUT = Exercise(
    "backward_input", "backward_input(dy, x, kernel) -> dx: the gradient of y = involution(x, kernel) with respect "
    "to x.", _backward_input, _gradients,
    table(_backward_input,
        (COLLECT, "each output sends dy back with its own kernel: dx[h, w] += kernel[u, v, i, j] * dy[i, j]."),
        (COLLECT.replace("=> dy", "=> x"), "that is y; dx sends dy back through the same products."),
        ("dy[n, c, i, j] => dy[n, c, i, j] * x[n, c, i, j]", "x is one factor too many: kernel * dy is enough."),
        ("+= => =", "= replaces what was there; a pixel is read by many outputs: add with +=."),
        ("i in range(H) => i in range(H)[::-1] ; j in range(W) => j in range(W)[::-1] ; += => =",
         "= replaces what was there; a pixel is read by many outputs: add with +=."),
        *KERNELS[:2], *GROUPS, *CHANNELS, *TURNS, *SUMS[2:],
        *[(how, hint.replace("you read", "you added to")) for how, hint in EDGES],
        (STARTS[0][0], "the margin is p wide on each side: cut it off with [p : p + H], and h = i + u - p."),
        *STARTS[1:],
    ),
    PIXELS,
    picture=_draw_backward_input,
)  # fmt: skip


def _backward_kernel(dy: Array, x: Array, kernel: Array) -> Array:
    (N, C, H, W), (_, G, K, *_) = x.shape, kernel.shape
    C_g, p = C // G, K // 2
    dkernel = np.zeros(kernel.shape)
    for n in range(N):
        for c in range(C):
            for i in range(H):
                for j in range(W):
                    for u in range(K):
                        for v in range(K):
                            h, w = i + u - p, j + v - p
                            if 0 <= h < H and 0 <= w < W:
                                dkernel[n, c // C_g, u, v, i, j] += dy[n, c, i, j] * x[n, c, h, w]
    return dkernel


def _draw_backward_kernel(arguments: Arguments, index: Index) -> Drawing:
    (dy, x, kernel), (n, g, u, v, i, j) = arguments, index
    C_g, K = x.shape[1] // kernel.shape[1], kernel.shape[2]
    group = slice(g * C_g, (g + 1) * C_g)
    read = windows(x[n, group], K)[:, u, v, i, j][:, None]
    given = dy[n, group, i, j][:, None]
    return {f"dy of ({i}, {j})": given, f"x of tap ({u}, {v})": read, "products": given * read}


BACKWARD_KERNEL = Exercise(
    "backward_kernel", "backward_kernel(dy, x, kernel) -> dkernel: the gradient of y = involution(x, kernel) with "
    "respect to kernel.", _backward_kernel, _gradients,
    table(_backward_kernel,
        ("if 0 => if c % C_g == 0 and 0", "you used one channel of each group; all C_g share the kernel: add them up."),
        ("+= => =", "= keeps the last channel of each group; all C_g share the kernel: add with +=."),
        ("c // C_g => :", "you added up the channels of all groups; a kernel belongs to its own group."),
        ("v, i, j] += => v] +=", "you added up over the pixels; every pixel has its own kernel, so its own gradient."),
        ("dy[n, c, i, j] * x[n, c, h, w] => dy[n, c, h, w] * x[n, c, i, j]", "dy is that of the output (i, j), and x is read at (h, w): you swapped them."),
        ("if 0 <= h < H and 0 <= w < W => if True ; x[n, c, h, w] => x[n, c, i, j]", "you used x[i, j] for every tap; tap (u, v) read x[i + u - p, j + v - p]."),
        *GROUPS, *TURNS, *SUMS[2:], *EDGES, *STARTS[:-1],
    ),
    ("image", "group", "u", "v", "row", "column"),
    picture=_draw_backward_kernel,
)  # fmt: skip


def _generate_backward(dkernel: Array, x: Array, reduce: Array, span: Array) -> Array:
    N, H, W = len(x), *x.shape[2:]
    z = np.einsum("dc,nchw->ndhw", reduce, x)
    dz = np.einsum("od,nohw->ndhw", span, dkernel.reshape(N, -1, H, W))
    return np.asarray(np.einsum("dc,ndhw->nchw", reduce, dz * (z > 0)))


def _generators(rng: np.random.Generator) -> Cases:
    for N, C, H, W, G, K in ((1, 3, 2, 3, 1, 3), *SHAPES[1:4]):
        C_r = max(2, C // 2)
        sizes = (N, G, K, K, H, W), (N, C, H, W), (C_r, C), (G * K * K, C_r)
        yield tuple(rng.standard_normal(size) for size in sizes)


ROWS = "dkernel.reshape"
GENERATE_BACKWARD = Exercise(
    "generate_backward", "generate_backward(dkernel, x, reduce, span) -> dx_generate (N, C, H, W): dkernel (N, G, K, K, H, W) "
    "back through span (G*K*K, C_r), ReLU and reduce (C_r, C).", _generate_backward, _generators,
    table(_generate_backward,
        (" * (z > 0) => ", "ReLU is missing: where reduce @ x is not positive, no gradient passes."),
        ("dz * (z > 0) => np.maximum(dz, 0)", "ReLU looks at the number that went forward, reduce @ x, not at the gradient's sign."),
        ("(z > 0) => np.maximum(z, 0)", "multiply by the slope of ReLU, 1 or 0, not by its value."),
        ("z > 0 => z <= 0", "ReLU lets the gradient pass where reduce @ x is positive; you have it the other way round."),
        ("dz * (z > 0))) => dz)) * (x > 0)", "ReLU stands behind reduce: look at the sign of reduce @ x, not of x."),
        ("np.asarray(np.einsum(\"dc,ndhw->nchw\", reduce, dz * (z > 0))) => dz * (z > 0)",
         "that is the gradient of the reduced numbers; go on back through reduce, to x."),
        ("dc,ndhw->nchw => cd,ndhw->nchw", "going back, reduce is transposed: dx[c] sums reduce[d, c] * dz[d] over d."),
        (f"{ROWS} => dkernel.transpose(0, 2, 3, 1, 4, 5).reshape", "you flattened dkernel as (K, K, G); span's row o is (g*K + u)*K + v."),
        (f"{ROWS} => dkernel.swapaxes(2, 3).reshape", TURNS[1][1]),
        (f"{ROWS} => dkernel[:, :, ::-1, ::-1].reshape", TURNS[0][1]),
        (f"{ROWS} => (dkernel * (np.arange(dkernel.shape[1]) == 0)[:, None, None, None, None]).reshape",
         "only the first group is used; every group's kernel was made from the same features."),
        (f"{ROWS} => (dkernel * 0 + dkernel.mean((4, 5), keepdims=True)).reshape",
         "you used the mean over the pixels; every pixel has its own kernel, so its own gradient."),
    ),
    PIXELS,
)  # fmt: skip


def _batch_norm_backward(dy: Array, x: Array, weight: Array, eps: float) -> Array:
    axes = (0, 2, 3)
    std = np.sqrt(x.var(axes, keepdims=True) + eps)
    x_hat = (x - x.mean(axes, keepdims=True)) / std
    g = weight[:, None, None] * dy
    along = x_hat * (g * x_hat).mean(axes, keepdims=True)
    return np.asarray((g - g.mean(axes, keepdims=True) - along) / std)


def _batches(rng: np.random.Generator) -> Cases:
    for N, C, H, W in ((2, 1, 2, 3), (3, 2, 2, 3), (2, 4, 3, 2)):
        shapes = (N, C, H, W), (N, C, H, W), (C,)
        yield *(rng.standard_normal(shape) for shape in shapes), 0.1


MEAN, ALONG = " - g.mean(axes, keepdims=True)", "(g * x_hat).mean("
BATCH_NORM_BACKWARD = Exercise(
    "batch_norm_backward", "batch_norm_backward(dy, x, weight, eps) -> dx in training mode: mean and variance are those of x "
    "(N, C, H, W) in each channel.", _batch_norm_backward, _batches,
    table(_batch_norm_backward,
        (f"{MEAN} - along => ", "this takes mean and std as fixed numbers; in training mode they depend on x, too."),
        (f"{MEAN} => ", "the mean depends on x: subtract mean(g)."),
        (" - along => ", "std depends on x: subtract x_hat * mean(g * x_hat)."),
        (f"g.mean( => g.sum( ; {ALONG} => (g * x_hat).sum(", "you subtracted sums; they are means over the M elements of a channel."),
        ("- along) / std => - along) / std**2", "divide by std, not by the variance."),
        ("np.sqrt(x.var(axes, keepdims=True) + eps) => np.sqrt(x.var(axes, keepdims=True)) + eps", "std is sqrt(var + eps)."),
        ("x.var(axes, keepdims=True) => x.var(axes, keepdims=True, ddof=1)", "batch norm divides by M, not by M - 1: x.var without ddof."),
        ("keepdims=True)) / std => keepdims=True))", "x_hat is (x - mean) / std; you left out / std."),
        ("x_hat = => x_hat = weight[:, None, None] *", "x_hat is x normalised, before it is multiplied by weight."),
        ("(0, 2, 3) => (2, 3)", "the mean is over the images of the batch, too: axes (0, 2, 3)."),
        ("(0, 2, 3) => 0", "the mean is over the pixels of an image, too: axes (0, 2, 3)."),
        ("(0, 2, 3) => (1,)", "the mean is over images and pixels, axes (0, 2, 3), not channels."),
        ("(0, 2, 3) => (0, 1, 2, 3)", "every channel has its own mean: axes (0, 2, 3)."),
    ),
    PIXELS,
)  # fmt: skip
