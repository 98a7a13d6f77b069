"""Exercises that count: sizes, groups, bytes, operations, parameters, threads."""

from __future__ import annotations

from collections.abc import Callable
from operator import floordiv, truediv
from typing import Any

import numpy as np

from .exercise import Arguments, Cases, Exercise, table


def each_of(*cases: Arguments) -> Callable[[np.random.Generator], Cases]:
    """Return a function of a random generator that yields these cases."""
    return lambda rng: iter(cases)


def _output_size(
    H: int,
    K: int,
    s: int,
    p: int,
    d: int,
    *,
    sides: int = 2,
    span: Callable[[int, int], int] = lambda K, d: d * (K - 1) + 1,
    divide: Callable[[int, int], Any] = floordiv,
    more: int = 1,
    rows: Callable[[int], int] = lambda H: H,
) -> Any:
    return divide(rows(H) + sides * p - span(K, d), s) + more


OUTPUT_SIZE = Exercise(
    "output_size",
    "output_size(H, K, s, p, d) -> rows of the output: window K, stride s, p zeros on each side, "
    "dilation d.",
    _output_size,
    each_of(
        *((5, 3, 1, 1, 1), (7, 3, 2, 1, 1), (6, 3, 2, 1, 1), (7, 3, 2, 1, 2), (8, 7, 2, 3, 1)),
        *((9, 3, 1, 0, 2), (10, 5, 3, 4, 2), (8, 3, 2, 0, 1), (11, 3, 3, 0, 1), (9, 5, 4, 3, 3)),
    ),
    table(
        _output_size,
        ("no + 1", {"more": 0}, "one is missing: a window that just fits gives one output."),
        ("no dilation", {"span": lambda K, d: K},
         "you left out the dilation: the window spans d*(K - 1) + 1 rows."),
        ("padding once", {"sides": 1}, "there are p zeros on each side, so 2*p in all."),
        ("padding taken off", {"sides": -2}, "padding adds rows: + 2*p."),
        ("d*K", {"span": lambda K, d: d * K},
         "there are K - 1 steps between K taps: the window spans d*(K - 1) + 1."),
        ("d*(K - 1)", {"span": lambda K, d: d * (K - 1)},
         "the window spans d*(K - 1) + 1 rows: its first tap is a row, too."),
        ("K + d - 1", {"span": lambda K, d: K + d - 1},
         "each of K - 1 steps has d rows: the window spans d*(K - 1) + 1."),
        ("(d - 1)*K", {"span": lambda K, d: K + (d - 1) * K},
         "there are K - 1 gaps of d - 1 rows, not K: the window spans d*(K - 1) + 1."),
        ("/", {"divide": truediv},
         "the last stride may not fit, and then gives no output: divide with //."),
        ("round", {"divide": lambda a, s: round(a / s + 1) - 1},
         "the last stride may not fit, and then gives no output: round down, with //."),
        ("ceil", {"divide": lambda a, s: -(-a // s)},
         "you rounded up; the last stride may not fit, and then gives no output."),
        ("+ 1 inside", lambda H, K, s, p, d: (H + 2 * p - d * (K - 1)) // s,
         "the + 1 comes after the division: (...) // s + 1."),
        ("no brackets", lambda H, K, s, p, d: H + 2 * p - (d * (K - 1) + 1) // s + 1,
         "// binds before + and -: put H + 2*p - span in brackets."),
        ("same", lambda H, K, s, p, d: -(-H // s),
         "that is the size with 'same' padding, whatever K, p and d are; use them."),
        ("H // s", lambda H, K, s, p, d: H // s,
         "H // s leaves out the window, the padding and the dilation."),
    ),
)  # fmt: skip


GROUPS = Exercise(
    "groups",
    "groups(C, G) -> list: the group of each of the C channels.",
    lambda C, G: [c // (C // G) for c in range(C)],
    each_of((4, 2), (6, 2), (6, 3), (4, 1), (8, 8)),
    table(
        list,
        ("interleaved", lambda C, G: [c % G for c in range(C)],
         "this is the order of the Keras example; here a group has adjacent channels."),
        ("c // G", lambda C, G: [c // G for c in range(C)],
         "divide by the channels in a group, C // G, not by the number of groups."),
        ("from 1", lambda C, G: [c // (C // G) + 1 for c in range(C)],
         "groups are counted from 0."),
        ("c % C_g", lambda C, G: [c % (C // G) for c in range(C)],
         "c % C_g is the number of the channel in its group; its group is c // C_g."),
        ("/", lambda C, G: [c / (C // G) for c in range(C)],
         "a group is a whole number: divide with //."),
        ("rounded", lambda C, G: [round(c / (C // G)) for c in range(C)],
         "round goes up from the middle of a group: divide with //."),
        ("c from 1", lambda C, G: [c // (C // G) for c in range(1, C + 1)],
         "channels are counted from 0: range(C)."),
        ("members", lambda C, G: [list(range(g * C // G, (g + 1) * C // G)) for g in range(G)],
         "these are the channels of each group; return the group of each channel."),
        ("backwards", lambda C, G: [G - 1 - c // (C // G) for c in range(C)],
         "group 0 has the first channels."),
    ),
)  # fmt: skip


def _full_filter(
    H: int, W: int, K: int, G: int, *, pixels: Any = None, k: int = 2, g: int = 1
) -> Any:
    return (H * W if pixels is None else pixels(H, W)) * K**k * G**g


FULL_FILTER = Exercise(
    "full_filter_parameters",
    "full_filter_parameters(H, W, K, G) -> parameters of a layer that stores a K x K kernel for "
    "every pixel and each of G groups, instead of generating it.",
    _full_filter,
    each_of((2, 3, 3, 2), (5, 6, 3, 1), (56, 48, 7, 4), (112, 112, 3, 2)),
    table(
        _full_filter,
        ("one kernel", {"pixels": lambda H, W: 1}, "that is one kernel; every pixel has its own."),
        ("no groups", {"g": 0}, "every group has its own kernels."),
        ("K", {"k": 1}, "a window has K rows and K columns."),
        ("G*G", {"g": 2}, "each of the G groups has its kernels once: G, not G*G."),
        ("H*H", {"pixels": lambda H, W: H * H}, "the image has H rows and W columns."),
        ("W*W", {"pixels": lambda H, W: W * W}, "the image has H rows and W columns."),
        ("K ^ 2", lambda H, W, K, G: H * W * (K ^ 2) * G,
         "^ is not a power in Python, but a bitwise xor; write K**2 or K*K."),
        ("H*W*K ^ 2*G", lambda H, W, K, G: H * W * K ^ 2 * G,
         "^ is not a power in Python, but a bitwise xor; write K**2 or K*K."),
        ("G*H*W*K ^ 2", lambda H, W, K, G: G * H * W * K ^ 2,
         "^ is not a power in Python, but a bitwise xor; write K**2 or K*K."),
        ("valid", lambda H, W, K, G: (H - K + 1) * (W - K + 1) * K * K * G,
         "every pixel has a kernel, those at the border too: H*W."),
    ),
)  # fmt: skip


def _layer_parameters(
    C: int,
    K: int,
    C_g: int,
    r: int,
    *,
    reduced: Callable[[int, int], int] = lambda C, r: C // r,
    groups: Callable[[int, int], int] = lambda C, C_g: C // C_g,
    taps: Callable[[int], int] = lambda K: K * K,
    reduce_bias: int = 0,
    norm: int = 2,
    span_bias: int = 1,
    reduce: int = 1,
    span: int = 1,
) -> int:
    narrow, spanned = reduced(C, r), taps(K) * groups(C, C_g)
    return (
        reduce * C * narrow
        + (reduce_bias + norm) * narrow
        + span * spanned * narrow
        + span_bias * spanned
    )


PARAMETERS = Exercise(
    "layer_parameters",
    "layer_parameters(C, K, C_g, r) -> parameters of an involution layer: reduce without a bias, "
    "batch norm, span with a bias.",
    _layer_parameters,
    each_of((4, 3, 2, 2), (64, 7, 16, 4), (32, 3, 16, 4), (12, 5, 3, 2)),
    table(
        _layer_parameters,
        ("no batch norm", {"norm": 0},
         "batch norm learns a weight and a bias for each reduced channel."),
        ("norm has one", {"norm": 1},
         "batch norm learns a weight and a bias: two for each reduced channel."),
        ("running statistics", {"norm": 4},
         "batch norm's running mean and variance are counted up, not learned: only 2 per channel."),
        ("norm of all channels", lambda C, K, C_g, r: (
            _layer_parameters(C, K, C_g, r, norm=0) + 2 * C),
         "batch norm follows reduce, so it has C / r channels."),
        ("no bias", {"span_bias": 0}, "span has a bias."),
        ("reduce has a bias", {"reduce_bias": 1}, "reduce has no bias: batch norm follows it."),
        ("one group", {"groups": lambda C, C_g: 1},
         "span gives K*K numbers for each group; there are C / C_g groups."),
        ("C_g groups", {"groups": lambda C, C_g: C_g},
         "span gives K*K numbers for each group; there are C / C_g groups."),
        ("a group per channel", {"groups": lambda C, C_g: C},
         "the C_g channels of a group share a kernel; there are C / C_g groups."),
        ("K", {"taps": lambda K: K}, "a kernel has K*K numbers: K rows and K columns."),
        ("K ^ 2", {"taps": lambda K: K ^ 2},
         "^ is not a power in Python, but a bitwise xor; write K**2 or K*K."),
        ("not reduced", {"reduced": lambda C, r: C}, "reduce gives C / r channels."),
        ("K x K reduce", lambda C, K, C_g, r: (
            _layer_parameters(C, K, C_g, r, reduce=0) + K * K * C * (C // r)),
         "reduce is 1 x 1: a matrix of C * C / r numbers."),
        ("convolution", lambda C, K, C_g, r: K * K * C * C,
         "that is a convolution; here the kernels are generated."),
    ),
)  # fmt: skip


def _rows_from_keras(G: int, K: int) -> list[int]:
    return [tap * G + g for g in range(G) for tap in range(K * K)]


ROWS_FROM_KERAS = Exercise(
    "rows_from_keras",
    "rows_from_keras(G, K) -> list: for each row of span here, g*K*K + tap, the row of the Keras "
    "example's span, where it is tap*G + g.",
    _rows_from_keras,
    each_of((2, 3), (3, 3), (1, 3), (4, 1), (3, 5)),
    table(
        _rows_from_keras,
        ("inverse", lambda G, K: np.argsort(_rows_from_keras(G, K)).tolist(),
         "that is the way back, from here to Keras: entry g*K*K + tap of the list is tap*G + g."),
        ("u and v", lambda G, K: [(v * K + u) * G + g for g in range(G) for u in range(K) for v in range(K)], "you swapped u and v: tap is u*K + v in both."),
        ("tap*K*K + g", lambda G, K: [t * K * K + g for g in range(G) for t in range(K * K)],
         "in Keras a tap has G rows: tap*G + g."),
    ),
    ("row",),
)  # fmt: skip
