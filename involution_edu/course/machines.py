"""Exercises on what a machine moves: bytes, operations per byte, threads, tiles."""

from __future__ import annotations

from collections.abc import Callable
from operator import truediv
from typing import Any

from .counting import each_of
from .exercise import Exercise, table


def _unfold_bytes(
    N: int, C: int, H: int, W: int, K: int, *, each: int = 4, n: int = 1, c: int = 1, k: int = 2
) -> Any:
    return each * N**n * C**c * H * W * K**k


UNFOLD_BYTES = Exercise(
    "unfold_bytes",
    "unfold_bytes(N, C, H, W, K) -> bytes of a copy of all windows, float32, stride 1, 'same'.",
    _unfold_bytes,
    each_of((1, 2, 3, 4, 3), (3, 1, 5, 7, 3), (8, 64, 56, 48, 7)),
    table(
        _unfold_bytes,
        ("numbers", {"each": 1}, "a float32 has 4 bytes."),
        ("float64", {"each": 8}, "a float32 has 4 bytes; 8 are those of a float64."),
        ("no images", {"n": 0}, "every one of the N images has windows."),
        ("no channels", {"c": 0}, "every channel has windows."),
        ("no windows", {"k": 0}, "every pixel has K*K numbers in its window."),
        ("K", {"k": 1}, "a window has K rows and K columns."),
        ("H*H", lambda N, C, H, W, K: 4 * N * C * H * H * K * K, "H rows of W pixels: H*W."),
        ("valid", lambda N, C, H, W, K: 4 * N * C * (H - K + 1) * (W - K + 1) * K * K,
         "with 'same' padding there is a window for every pixel: H*W."),
        ("K ^ 2", lambda N, C, H, W, K: 4 * N * C * H * W * (K ^ 2),
         "^ is not a power in Python, but a bitwise xor; write K**2 or K*K."),
    ),
)  # fmt: skip


def _intensity(
    K: int,
    C_g: int,
    *,
    flop: float = 2,
    taps: Callable[[int], float] = lambda K: K * K,
    x: Callable[[int], float] = lambda K: 1,
    y: float = 1,
    kernel: Callable[[int, int], float] = lambda K, C_g: K * K / C_g,
    each: float = 4,
    ratio: Callable[[float, float], float] = truediv,
) -> float:
    return ratio(flop * taps(K), each * (x(K) + y + kernel(K, C_g)))


INTENSITY = Exercise(
    "intensity",
    "intensity(K, C_g) -> FLOP per byte that must be moved, float32, stride 1: x and kernel are "
    "read once, y is written once; a multiply-add is 2 FLOP.",
    _intensity,
    each_of((3, 1), (7, 16), (5, 32), (1, 4)),
    table(
        _intensity,
        ("1 FLOP", {"flop": 1}, "a multiply-add is two operations."),
        ("float64", {"each": 8}, "a float32 has 4 bytes; 8 are those of a float64."),
        ("not shared", {"kernel": lambda K, C_g: K * K},
         "C_g channels share a kernel: each output needs 1 / C_g of it."),
        ("times C_g", {"kernel": lambda K, C_g: K * K * C_g},
         "C_g channels share a kernel: divide by C_g."),
        ("no kernel", {"kernel": lambda K, C_g: 0},
         "the kernel is read, too: K*K / C_g numbers for each output."),
        ("no y", {"y": 0}, "x is read and y is written: 4 + 4 bytes."),
        ("no x", {"x": lambda K: 0}, "x is read and y is written: 4 + 4 bytes."),
        ("x K^2 times", {"x": lambda K: K * K},
         "you read x K*K times; each number of x must be read once."),
        ("K taps", {"taps": lambda K: K}, "there are K*K taps: K rows and K columns."),
        ("upside down", {"ratio": lambda a, b: b / a},
         "that is bytes per FLOP; divide the operations by the bytes."),
        ("all channels", lambda K, C_g: 2 * K * K * C_g / (8 + 4 * K * K),
         "count for one number of y or for the C_g of a group, but both parts for the same."),
    ),
)  # fmt: skip


def _pixel_of_thread(
    t: int,
    C: int,
    H: int,
    W: int,
    *,
    n: Callable[..., Any] = lambda t, C, H, W: t // (C * H * W),
    c: Callable[..., Any] = lambda t, C, H, W: t // (H * W) % C,
    i: Callable[..., Any] = lambda t, C, H, W: t // W % H,
    j: Callable[..., Any] = lambda t, C, H, W: t % W,
) -> tuple[Any, ...]:
    return tuple(part(t, C, H, W) for part in (n, c, i, j))


PIXEL_OF_THREAD = Exercise(
    "pixel_of_thread",
    "pixel_of_thread(t, C, H, W) -> (n, c, i, j): the output of thread number t; threads are "
    "numbered like the elements of a C-contiguous array (N, C, H, W).",
    _pixel_of_thread,
    each_of((0, 2, 3, 4), (5, 2, 3, 4), (23, 2, 3, 4), (77, 2, 3, 5), (1100, 3, 7, 5), (967, 2, 4, 7)),
    table(
        _pixel_of_thread,
        ("% H, // H % W", {"i": lambda t, C, H, W: t % H, "j": lambda t, C, H, W: t // H % W},
         "you swapped row and column; neighbouring threads are neighbours along a row."),
        ("columns first", {"i": lambda t, C, H, W: t % H, "j": lambda t, C, H, W: t // H},
         "you swapped row and column; neighbouring threads are neighbours along a row."),
        ("i and j swapped", {"i": lambda t, C, H, W: t % W, "j": lambda t, C, H, W: t // W % H},
         "i is the row and j the column: you returned them in the other order."),
        ("i: t // H % H", {"i": lambda t, C, H, W: t // H % H},
         "a row has W threads: the row is t // W % H."),
        ("i: t // H % W", {"i": lambda t, C, H, W: t // H % W},
         "a row has W threads, and there are H rows: the row is t // W % H."),
        ("i: no % H", {"i": lambda t, C, H, W: t // W},
         "rows start again with each channel: take them modulo H."),
        ("i: from the image", {"i": lambda t, C, H, W: t % (H * W) // H},
         "a row has W threads: the row is t % (H*W) // W."),
        ("j: t % H", {"j": lambda t, C, H, W: t % H}, "a row has W columns: t % W."),
        ("c: no % C", {"c": lambda t, C, H, W: t // (H * W)},
         "channels start again with each image: take them modulo C."),
        ("c: // H % C", {"c": lambda t, C, H, W: t // H % C}, "a channel has H*W threads."),
        ("c: // W % C", {"c": lambda t, C, H, W: t // W % C}, "a channel has H*W threads."),
        ("n: no C", {"n": lambda t, C, H, W: t // (H * W)}, "an image has C*H*W threads."),
        ("n: 0", {"n": lambda t, C, H, W: 0}, "there are more images than one: n is t // (C*H*W)."),
        ("channels last", lambda t, C, H, W: (
            t // (C * H * W), t % C, t // (C * W) % H, t // C % W),
         "the channel changes slowest within an image, not fastest: the layout is (N, C, H, W)."),
        ("from 1", lambda t, C, H, W: _pixel_of_thread(t - 1, C, H, W),
         "threads are numbered from 0."),
    ),
    ("n", "c", "i", "j"),
)  # fmt: skip


def _halo(
    rows: int,
    columns: int,
    K: int,
    *,
    margin: Callable[[int], float] = lambda K: K - 1,
    width: Callable[[int], float] | None = None,
    per: Callable[[float, int], float] = truediv,
) -> float:
    height, wide = rows + margin(K), columns + (width or margin)(K)
    return per(height * wide, rows * columns)


HALO = Exercise(
    "halo",
    "halo(rows, columns, K) -> numbers of x that a tile of outputs reads, per output: the size of "
    "the tile with its halo over the size of the tile, stride 1.",
    _halo,
    each_of((4, 4, 3), (8, 32, 7), (1, 1, 5), (2, 3, 1)),
    table(
        _halo,
        ("K", {"margin": lambda K: K}, "the halo has K - 1 rows, (K - 1)/2 on each side."),
        ("2(K - 1)", {"margin": lambda K: 2 * (K - 1)},
         "the window reaches (K - 1)/2 to each side, not K - 1."),
        ("2K", {"margin": lambda K: 2 * K}, "the window reaches (K - 1)/2 to each side, not K."),
        ("one side", {"margin": lambda K: K // 2}, "the halo is on both sides."),
        ("no halo", {"margin": lambda K: 0}, "you left out the halo: K - 1 rows and columns more."),
        ("rows only", {"width": lambda K: 0}, "the halo is on the left and right side, too."),
        ("numbers", {"per": lambda a, tile: a}, "divide by the number of outputs in the tile."),
        ("upside down", {"per": lambda a, tile: tile / a},
         "divide what is read by the outputs, not the other way round."),
        ("margin only", {"per": lambda a, tile: (a - tile) / tile},
         "that is the halo alone; the tile itself is read, too."),
        ("every window", lambda rows, columns, K: K * K,
         "that is without sharing; a tile reads each number once."),
        ("no corners", lambda rows, columns, K: (
            rows * columns + (K - 1) * (rows + columns)) / (rows * columns),
         "the corners of the halo are missing: (rows + K - 1) * (columns + K - 1)."),
        ("no brackets", lambda rows, columns, K: (
            (rows + K - 1) * (columns + K - 1) / rows * columns),
         "a / rows * columns multiplies by columns: put rows * columns in brackets."),
    ),
)  # fmt: skip


def _launch(
    down: int,
    across: int,
    rows: int,
    columns: int,
    *,
    i: Callable[..., int] = lambda by, ty, bx, tx, rows, columns: by * rows + ty,
    j: Callable[..., int] = lambda by, ty, bx, tx, rows, columns: bx * columns + tx,
    first: str = "blocks",
) -> list[tuple[int, int]]:
    pairs = [(b, t) for b in range(down * across) for t in range(rows * columns)]
    if first == "threads":
        pairs.sort(key=lambda pair: pair[::-1])
    found = []
    for b, t in pairs:
        at = b // across, t // columns, b % across, t % columns
        found.append((i(*at, rows, columns), j(*at, rows, columns)))
    return found


LAUNCH = Exercise(
    "launch",
    "launch(down, across, rows, columns) -> list of the pixel (i, j) of each thread; a grid of "
    "down x across blocks of rows x columns threads; one block after the other, row by row.",
    _launch,
    each_of((1, 2, 2, 3), (3, 2, 2, 4), (2, 3, 1, 5)),
    table(
        _launch,
        ("thread alone", {"i": lambda by, ty, bx, tx, rows, columns: ty,
                          "j": lambda by, ty, bx, tx, rows, columns: tx},
         "each block starts at its own tile: add block * size of a block."),
        ("times the other size", {"i": lambda by, ty, bx, tx, rows, columns: by * columns + ty,
                                  "j": lambda by, ty, bx, tx, rows, columns: bx * rows + tx},
         "a block has its own rows and columns: you exchanged them."),
        ("block + thread", {"i": lambda by, ty, bx, tx, rows, columns: by + ty,
                            "j": lambda by, ty, bx, tx, rows, columns: bx + tx},
         "the blocks before it have rows * columns threads each: multiply by the size of a block."),
        ("interleaved", lambda down, across, rows, columns: [
            (ty * down + by, tx * across + bx) for by in range(down) for bx in range(across)
            for ty in range(rows) for tx in range(columns)],
         "threads of a block are neighbours: block * size + thread, not thread * blocks + block."),
        ("threads outside", {"first": "threads"},
         "all threads of a block come before the next block: the loops over blocks are outside."),
        ("(j, i)", lambda *sizes: [(j, i) for i, j in _launch(*sizes)],
         "i is the row and j the column: you returned them in the other order."),
    ),
)  # fmt: skip
