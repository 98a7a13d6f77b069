"""Exercises that count: sizes, groups, bytes, operations, parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .exercise import Arguments, Cases, Exercise, table

XOR = "^ is not a power in Python, but a bitwise xor; write K**2 or K*K."
TAPS = "a window has K rows and K columns."


def each_of(*cases: Arguments) -> Callable[[np.random.Generator], Cases]:
    """Return a function of a random generator that yields these cases."""
    return lambda rng: iter(cases)


def _output_size(H: int, K: int, s: int, p: int, d: int) -> Any:
    return (H + 2 * p - (d * (K - 1) + 1)) // s + 1


SPAN = "(d * (K - 1) + 1)"
OUTPUT_SIZE = Exercise(
    "output_size", "output_size(H, K, s, p, d) -> rows of the output: window K, stride s, p zeros on each side, "
    "dilation d.", _output_size, each_of( *((5, 3, 1, 1, 1), (7, 3, 2, 1, 1), (6, 3, 2, 1, 1), (7, 3, 2, 1, 2), (8, 7, 2, 3, 1)),
    *((9, 3, 1, 0, 2), (10, 5, 3, 4, 2), (8, 3, 2, 0, 1), (11, 3, 3, 0, 1), (9, 5, 4, 3, 3)), ),
    table(_output_size,
        ("// s + 1 => // s", "one is missing: a window that just fits gives one output."),
        (f"{SPAN} => K", "you left out the dilation: the window spans d*(K - 1) + 1 rows."),
        ("2 * p => p", "there are p zeros on each side, so 2*p in all."),
        ("+ 2 * p => - 2 * p", "padding adds rows: + 2*p."),
        (f"{SPAN} => d * K", "there are K - 1 steps between K taps: the window spans d*(K - 1) + 1."),
        (f"{SPAN} => d * (K - 1)", "the window spans d*(K - 1) + 1 rows: its first tap is a row, too."),
        (f"{SPAN} => (K + d - 1)", "each of K - 1 steps has d rows: the window spans d*(K - 1) + 1."),
        (f"{SPAN} => (K + (d - 1) * K)", "there are K - 1 gaps of d - 1 rows, not K: the window spans d*(K - 1) + 1."),
        ("// s => / s", "the last stride may not fit, and then gives no output: divide with //."),
        ("return (H => return round((H ; // s + 1 => / s + 1)", "the last stride may not fit, and then gives no output: round down, with //."),
        ("return (H => return -(-(H ; // s => // s)", "you rounded up; the last stride may not fit, and then gives no output."),
        ("+ 1)) // s + 1 => + 1) + 1) // s", "the + 1 comes after the division: (...) // s + 1."),
        (f"(H + 2 * p - {SPAN}) // s + 1 => -(-H // s)", "that is the size with 'same' padding, whatever K, p and d are; use them."),
    ),
)  # fmt: skip


def _groups(C: int, G: int) -> list[int]:
    C_g = C // G
    return [c // C_g for c in range(C)]


GROUPS = Exercise(
    "groups", "groups(C, G) -> list: the group of each of the C channels.", _groups, each_of((4, 2), (6, 2), (6, 3), (4, 1), (8, 8)),
    table(_groups,
        ("c // C_g => c % G", "this is the order of the Keras example; here a group has adjacent channels."),
        ("c // C_g => c // G", "divide by the channels in a group, C // G, not by the number of groups."),
        ("c // C_g => c // C_g + 1", "groups are counted from 0."),
        ("c // C_g => c % C_g", "c % C_g is the number of the channel in its group; its group is c // C_g."),
        ("c // C_g => round(c / C_g)", "round goes up from the middle of a group: divide with //."),
        ("range(C) => range(1, C + 1)", "channels are counted from 0: range(C)."),
        ("[c // C_g for c in range(C)] => [[*range(g * C_g, g * C_g + C_g)] for g in range(G)]",
         "these are the channels of each group; return the group of each channel."),
        ("c // C_g => G - 1 - c // C_g", "group 0 has the first channels."),
    ),
    ("channel",),
)  # fmt: skip


def _full_filter(H: int, W: int, K: int, G: int) -> Any:
    return H * W * K * K * G


FULL_FILTER = Exercise(
    "full_filter_parameters", "full_filter_parameters(H, W, K, G) -> parameters of a layer that stores a K x K kernel for "
    "every pixel and each of G groups, instead of generating it.", _full_filter, each_of((2, 3, 3, 2), (5, 6, 3, 1), (56, 48, 7, 4), (112, 112, 3, 2)),
    table(_full_filter,
        ("K * K => K", TAPS),
        ("K * K * G => K * K * G * G", "a group has one kernel for all its channels: G kernels for each pixel, not G*G."),
        ("K * K => (K ^ 2)", XOR),
        ("K * K * G => K ^ 2 * G", XOR),
        ("H * W * K * K * G => G * H * W * K ^ 2", XOR),
        ("K * K * G => G", "each kernel has K*K numbers."),
        ("H * W => (H - K + 1) * (W - K + 1)", "every pixel has a kernel, those at the border too: H*W."),
    ),
)  # fmt: skip


def _layer_parameters(C: int, K: int, C_g: int, r: int) -> int:
    C_r, spanned = C // r, K * K * (C // C_g)
    reduce, norm, span, bias = C * C_r, 2 * C_r, C_r * spanned, spanned
    return reduce + norm + span + bias


SPANNED = "span gives K*K numbers for each group; there are C / C_g groups."
PARAMETERS = Exercise(
    "layer_parameters", "layer_parameters(C, K, C_g, r) -> parameters of an involution layer: reduce without a bias, "
    "batch norm, span with a bias.", _layer_parameters, each_of((4, 3, 2, 2), (64, 7, 16, 4), (32, 3, 16, 4), (12, 5, 3, 2)),
    table(_layer_parameters,
        (" + norm => ", "batch norm learns a weight and a bias for each reduced channel."),
        ("2 * C_r => C_r", "batch norm learns a weight and a bias: two for each reduced channel."),
        ("2 * C_r => 4 * C_r", "batch norm's running mean and variance are counted up, not learned: only 2 per channel."),
        (" + bias => ", "span has a bias."),
        ("spanned, spanned => spanned, C // C_g", "the bias has K*K numbers for each group, one for each row of span."),
        ("reduce + => reduce + C_r +", "reduce has no bias: batch norm follows it."),
        ("(C // C_g) => 1", SPANNED),
        ("K * K => K", "a kernel has K*K numbers: K rows and K columns."),
        ("K * K => (K ^ 2)", XOR),
        ("reduce + norm => K * K * reduce + norm", "reduce is 1 x 1: a matrix of C * C / r numbers."),
        ("return reduce + norm + span + bias => return K * K * C * C", "that is a convolution; here the kernels are generated."),
    ),
)  # fmt: skip


def _rows_from_keras(G: int, K: int) -> list[int]:
    return [tap * G + g for g in range(G) for tap in range(K * K)]


ROWS_FROM_KERAS = Exercise(
    "rows_from_keras", "rows_from_keras(G, K) -> list: for each row of span here, g*K*K + tap, the row of the Keras "
    "example's span, where it is tap*G + g.", _rows_from_keras, each_of((2, 3), (3, 3), (1, 3), (4, 1), (3, 5)),
    table(_rows_from_keras,
        ("[tap * G => np.argsort([tap * G ; range(K * K)] => range(K * K)]).tolist()",
         "that is the way back, from here to Keras: entry g*K*K + tap of the list is tap*G + g."),
        ("tap * G + g => (tap % K * K + tap // K) * G + g", "you swapped u and v: tap is u*K + v in both."),
        ("tap * G => tap * K * K", "in Keras a tap has G rows: tap*G + g."),
        ("tap * G + g => g * K * K + tap", "nothing changes place: here a row is g*K*K + tap, in Keras tap*G + g."),
        ("for g in range(G) for tap in range(K * K) => for tap in range(K * K) for g in range(G)",
         "the loops are the wrong way round: here the taps of a group follow each other, so g is outside."),
    ),
    ("row",),
)  # fmt: skip
