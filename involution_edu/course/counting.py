"""The exercises that count: sizes, groups, bytes, operations, parameters, threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..geometry import make_geometry
from ..nn import Involution2d
from .exercise import Exercise, Mistake


def _each(*cases: tuple[Any, ...]) -> Callable[[np.random.Generator], Iterator[tuple[Any, ...]]]:
    return lambda rng: iter(cases)


SIZES = (7, 3, 2, 1, 2), (5, 3, 1, 1, 1), (8, 7, 2, 3, 1), (9, 3, 1, 0, 2), (10, 5, 3, 4, 2)

OUTPUT_SIZE = Exercise(
    "output_size",
    "output_size(H, K, s, p, d) -> rows of the output: window K, stride s, p zeros on each side, "
    "dilation d.",
    lambda H, K, s, p, d: make_geometry((1, 1, H, 99), 1, (K, 1), (s, 1), (d, 1), (p, 0)).H_out,
    _each(*SIZES),
    (
        Mistake(
            lambda H, K, s, p, d: (H + 2 * p - d * (K - 1) - 1) // s,
            "one is missing: a window that just fits gives one output, not none.",
        ),
        Mistake(
            lambda H, K, s, p, d: (H + 2 * p - K) // s + 1,
            "you left out the dilation: the window spans d*(K - 1) + 1 rows.",
        ),
        Mistake(
            lambda H, K, s, p, d: (H + p - d * (K - 1) - 1) // s + 1,
            "there are p zeros on each side, so 2*p in all.",
        ),
        Mistake(
            lambda H, K, s, p, d: (H + 2 * p - d * K) // s + 1,
            "from the first to the last of K places are K - 1 steps: the window spans d*(K - 1) + 1.",
        ),
        Mistake(
            lambda H, K, s, p, d: (H + 2 * p - d * (K - 1) - 1) / s + 1,
            "a stride that does not fit is left out: divide with //.",
        ),
        Mistake(
            lambda H, K, s, p, d: H // s,
            "H // s forgets the last window: with 'same' padding it is ceil(H / s).",
        ),
    ),
)

GROUPS = Exercise(
    "groups",
    "groups(C, G) -> list: which group's kernel each of the C channels uses.",
    lambda C, G: [c // (C // G) for c in range(C)],
    _each((4, 1), (6, 2), (6, 3), (8, 8)),
    (
        Mistake(
            lambda C, G: [c % G for c in range(C)],
            "that is the order of the Keras example; here the channels of a group are neighbours.",
        ),
        Mistake(
            lambda C, G: [c // G for c in range(C)],
            "divide by the channels of a group, C // G, not by the number of groups.",
        ),
        Mistake(lambda C, G: [c // (C // G) + 1 for c in range(C)], "groups are counted from 0."),
    ),
)

FULL_FILTER = Exercise(
    "full_filter_parameters",
    "full_filter_parameters(H, W, K, G) -> learned numbers of a layer that keeps a K x K kernel "
    "for every pixel and each of G groups, instead of generating it.",
    lambda H, W, K, G: H * W * K * K * G,
    _each((56, 48, 7, 4), (5, 6, 3, 1), (112, 112, 3, 2)),
    (
        Mistake(
            lambda H, W, K, G: K * K * G, "that is one kernel; every pixel has one of its own."
        ),
        Mistake(lambda H, W, K, G: H * W * K * K, "every group has kernels of its own."),
        Mistake(lambda H, W, K, G: H * W * K * G, "a window has K rows and K columns."),
    ),
)

UNFOLD_BYTES = Exercise(
    "unfold_bytes",
    "unfold_bytes(N, C, H, W, K) -> bytes of all windows copied out, float32, stride 1, 'same'.",
    lambda N, C, H, W, K: 4 * N * C * H * W * K * K,
    _each((8, 64, 56, 56, 7), (1, 3, 5, 7, 3)),
    (
        Mistake(lambda N, C, H, W, K: N * C * H * W * K * K, "a float32 has 4 bytes."),
        Mistake(lambda N, C, H, W, K: 4 * N * H * W * K * K, "every channel has windows."),
        Mistake(
            lambda N, C, H, W, K: 4 * N * C * H * W, "every pixel has K*K numbers in its window."
        ),
        Mistake(lambda N, C, H, W, K: 4 * N * C * H * W * K, "a window has K rows and K columns."),
    ),
)

INTENSITY = Exercise(
    "intensity",
    "intensity(K, C_g) -> FLOP for each byte moved at the least, float32, stride 1: x and kernel "
    "read once, y written once; a multiply-add is 2 FLOP.",
    lambda K, C_g: 2 * K * K / (4 + 4 + 4 * K * K / C_g),
    _each((7, 16), (3, 1), (5, 32)),
    (
        Mistake(lambda K, C_g: K * K / (8 + 4 * K * K / C_g), "a multiply-add is two operations."),
        Mistake(
            lambda K, C_g: 2 * K * K / (8 + 4 * K * K),
            "C_g channels share a kernel: an output pays for a C_g-th of it.",
        ),
        Mistake(
            lambda K, C_g: 2 * K * K / (4 + 4 * K * K / C_g),
            "x is read and y is written: 4 + 4 bytes.",
        ),
        Mistake(lambda K, C_g: 2 * K * K / (2 + K * K / C_g), "a float32 has 4 bytes."),
    ),
)

PIXEL_OF_THREAD = Exercise(
    "pixel_of_thread",
    "pixel_of_thread(t, C, H, W) -> (n, c, i, j): the output that thread number t computes, if "
    "threads are counted like the numbers of a C-contiguous array (N, C, H, W).",
    lambda t, C, H, W: (t // (C * H * W), t // (H * W) % C, t // W % H, t % W),
    _each((0, 2, 3, 4), (23, 2, 3, 4), (77, 2, 3, 5), (1000, 3, 7, 5)),
    (
        Mistake(
            lambda t, C, H, W: (t // (C * H * W), t // (H * W) % C, t % H, t // H % W),
            "you took the row from the end; neighbouring threads are neighbours along a row.",
        ),
        Mistake(
            lambda t, C, H, W: (t // (C * H * W), t // (H * W), t // W % H, t % W),
            "channels begin again with each image: take them modulo C.",
        ),
    ),
)

HALO = Exercise(
    "halo",
    "halo(rows, columns, K) -> numbers of x that a tile of outputs reads, for each output: the "
    "tile with its margin over the tile, stride 1.",
    lambda rows, columns, K: (rows + K - 1) * (columns + K - 1) / (rows * columns),
    _each((8, 32, 7), (4, 4, 3), (1, 1, 5)),
    (
        Mistake(
            lambda rows, columns, K: (rows + K) * (columns + K) / (rows * columns),
            "a margin has K - 1 rows, (K - 1)/2 on each side.",
        ),
        Mistake(
            lambda rows, columns, K: (
                (rows + 2 * (K - 1)) * (columns + 2 * (K - 1)) / rows / columns
            ),
            "the window reaches (K - 1)/2 to each side, not K - 1.",
        ),
        Mistake(
            lambda rows, columns, K: (rows + K - 1) * (columns + K - 1),
            "divide by the outputs of the tile.",
        ),
        Mistake(
            lambda rows, columns, K: (rows + K // 2) * (columns + K // 2) / (rows * columns),
            "there is a margin on both sides.",
        ),
    ),
)


def layer_parameters(C: int, K: int, C_g: int, r: int) -> int:
    """Return how many numbers an involution layer learns, counted in a real one."""
    layer = Involution2d(C, K, group_channels=C_g, reduction=r, rng=0)
    return sum(parameter.data.size for parameter in layer.parameters())


PARAMETERS = Exercise(
    "layer_parameters",
    "layer_parameters(C, K, C_g, r) -> learned numbers of an involution layer: reduce without a "
    "bias, batch norm, span with a bias.",
    layer_parameters,
    _each((64, 7, 16, 4), (32, 3, 16, 4), (12, 5, 3, 2)),
    (
        Mistake(
            lambda C, K, C_g, r: layer_parameters(C, K, C_g, r) - 2 * (C // r),
            "batch norm learns a weight and a bias for each reduced channel.",
        ),
        Mistake(
            lambda C, K, C_g, r: layer_parameters(C, K, C_g, r) - K * K * (C // C_g),
            "span has a bias.",
        ),
        Mistake(
            lambda C, K, C_g, r: C * (C // r) + 2 * (C // r) + K * K * C_g * (C // r + 1),
            "span makes K*K numbers for each group; there are C / C_g groups.",
        ),
        Mistake(
            lambda C, K, C_g, r: K * K * C * C, "that is a convolution; here kernels are generated."
        ),
    ),
)
