"""Exercises that count: sizes, groups, bytes, operations, parameters, threads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..geometry import make_geometry
from ..nn import Involution2d
from .exercise import Arguments, Cases, Exercise


def _each(*cases: Arguments) -> Callable[[np.random.Generator], Cases]:
    return lambda rng: iter(cases)


OUTPUT_SIZE = Exercise(
    "output_size",
    "output_size(H, K, s, p, d) -> rows of the output: window K, stride s, p zeros on each side, "
    "dilation d.",
    lambda H, K, s, p, d: make_geometry((1, 1, H, 99), 1, (K, 1), (s, 1), (d, 1), (p, 0)).H_out,
    _each((7, 3, 2, 1, 2), (5, 3, 1, 1, 1), (8, 7, 2, 3, 1), (9, 3, 1, 0, 2), (10, 5, 3, 4, 2)),
    {
        "one is missing: a window that just fits gives one output.": (
            lambda H, K, s, p, d: (H + 2 * p - d * (K - 1) - 1) // s
        ),
        "you left out the dilation: the window spans d*(K - 1) + 1 rows.": (
            lambda H, K, s, p, d: (H + 2 * p - K) // s + 1
        ),
        "there are p zeros on each side, so 2*p in all.": (
            lambda H, K, s, p, d: (H + p - d * (K - 1) - 1) // s + 1
        ),
        "there are K - 1 steps between K taps: the window spans d*(K - 1) + 1.": (
            lambda H, K, s, p, d: (H + 2 * p - d * K) // s + 1
        ),
        "the last stride may not fit, and then gives no output: divide with //.": (
            lambda H, K, s, p, d: (H + 2 * p - d * (K - 1) - 1) / s + 1
        ),
        "H // s leaves out the last window: with 'same' padding it is ceil(H / s).": (
            lambda H, K, s, p, d: H // s
        ),
    },
)

GROUPS = Exercise(
    "groups",
    "groups(C, G) -> list: the group of each of the C channels.",
    lambda C, G: [c // (C // G) for c in range(C)],
    _each((4, 1), (6, 2), (6, 3), (8, 8)),
    {
        "this is the order of the Keras example; here a group has adjacent channels.": (
            lambda C, G: [c % G for c in range(C)]
        ),
        "divide by the channels in a group, C // G, not by the number of groups.": (
            lambda C, G: [c // G for c in range(C)]
        ),
        "groups are counted from 0.": (lambda C, G: [c // (C // G) + 1 for c in range(C)]),
    },
)

FULL_FILTER = Exercise(
    "full_filter_parameters",
    "full_filter_parameters(H, W, K, G) -> parameters of a layer that stores a K x K kernel for "
    "every pixel and each of G groups, instead of generating it.",
    lambda H, W, K, G: H * W * K * K * G,
    _each((56, 48, 7, 4), (5, 6, 3, 1), (112, 112, 3, 2)),
    {
        "that is one kernel; every pixel has its own.": (lambda H, W, K, G: K * K * G),
        "every group has its own kernels.": (lambda H, W, K, G: H * W * K * K),
        "a window has K rows and K columns.": (lambda H, W, K, G: H * W * K * G),
    },
)

UNFOLD_BYTES = Exercise(
    "unfold_bytes",
    "unfold_bytes(N, C, H, W, K) -> bytes of a copy of all windows, float32, stride 1, 'same'.",
    lambda N, C, H, W, K: 4 * N * C * H * W * K * K,
    _each((8, 64, 56, 56, 7), (1, 3, 5, 7, 3)),
    {
        "a float32 has 4 bytes.": (lambda N, C, H, W, K: N * C * H * W * K * K),
        "every channel has windows.": (lambda N, C, H, W, K: 4 * N * H * W * K * K),
        "every pixel has K*K numbers in its window.": (lambda N, C, H, W, K: 4 * N * C * H * W),
        "a window has K rows and K columns.": (lambda N, C, H, W, K: 4 * N * C * H * W * K),
    },
)

INTENSITY = Exercise(
    "intensity",
    "intensity(K, C_g) -> FLOP per byte that must be moved, float32, stride 1: x and kernel are "
    "read once, y is written once; a multiply-add is 2 FLOP.",
    lambda K, C_g: 2 * K * K / (4 + 4 + 4 * K * K / C_g),
    _each((7, 16), (3, 1), (5, 32)),
    {
        "a multiply-add is two operations.": (lambda K, C_g: K * K / (8 + 4 * K * K / C_g)),
        "C_g channels share a kernel: each output needs 1 / C_g of it.": (
            lambda K, C_g: 2 * K * K / (8 + 4 * K * K)
        ),
        "x is read and y is written: 4 + 4 bytes.": (
            lambda K, C_g: 2 * K * K / (4 + 4 * K * K / C_g)
        ),
        "a float32 has 4 bytes.": (lambda K, C_g: 2 * K * K / (2 + K * K / C_g)),
    },
)

PIXEL_OF_THREAD = Exercise(
    "pixel_of_thread",
    "pixel_of_thread(t, C, H, W) -> (n, c, i, j): the output of thread number t; threads are "
    "numbered like the elements of a C-contiguous array (N, C, H, W).",
    lambda t, C, H, W: (t // (C * H * W), t // (H * W) % C, t // W % H, t % W),
    _each((0, 2, 3, 4), (23, 2, 3, 4), (77, 2, 3, 5), (1000, 3, 7, 5)),
    {
        "you swapped row and column; neighbouring threads are neighbours along a row.": (
            lambda t, C, H, W: (t // (C * H * W), t // (H * W) % C, t % H, t // H % W)
        ),
        "channels start again with each image: take them modulo C.": (
            lambda t, C, H, W: (t // (C * H * W), t // (H * W), t // W % H, t % W)
        ),
    },
)

HALO = Exercise(
    "halo",
    "halo(rows, columns, K) -> numbers of x that a tile of outputs reads, per output: the size of "
    "the tile with its halo over the size of the tile, stride 1.",
    lambda rows, columns, K: (rows + K - 1) * (columns + K - 1) / (rows * columns),
    _each((8, 32, 7), (4, 4, 3), (1, 1, 5)),
    {
        "the halo has K - 1 rows, (K - 1)/2 on each side.": (
            lambda rows, columns, K: (rows + K) * (columns + K) / (rows * columns)
        ),
        "the window reaches (K - 1)/2 to each side, not K - 1.": (
            lambda rows, columns, K: (rows + 2 * (K - 1)) * (columns + 2 * (K - 1)) / rows / columns
        ),
        "divide by the number of outputs in the tile.": (
            lambda rows, columns, K: (rows + K - 1) * (columns + K - 1)
        ),
        "the halo is on both sides.": (
            lambda rows, columns, K: (rows + K // 2) * (columns + K // 2) / (rows * columns)
        ),
    },
)


def layer_parameters(C: int, K: int, C_g: int, r: int) -> int:
    """Return the number of parameters of an involution layer, counted in a layer."""
    layer = Involution2d(C, K, group_channels=C_g, reduction=r, rng=0)
    return sum(parameter.data.size for parameter in layer.parameters())


PARAMETERS = Exercise(
    "layer_parameters",
    "layer_parameters(C, K, C_g, r) -> parameters of an involution layer: reduce without a bias, "
    "batch norm, span with a bias.",
    layer_parameters,
    _each((64, 7, 16, 4), (32, 3, 16, 4), (12, 5, 3, 2)),
    {
        "batch norm learns a weight and a bias for each reduced channel.": (
            lambda C, K, C_g, r: layer_parameters(C, K, C_g, r) - 2 * (C // r)
        ),
        "span has a bias.": (
            lambda C, K, C_g, r: layer_parameters(C, K, C_g, r) - K * K * (C // C_g)
        ),
        "span gives K*K numbers for each group; there are C / C_g groups.": (
            lambda C, K, C_g, r: C * (C // r) + 2 * (C // r) + K * K * C_g * (C // r + 1)
        ),
        "that is a convolution; here the kernels are generated.": (
            lambda C, K, C_g, r: K * K * C * C
        ),
    },
)
