"""Exercises on what a machine moves: bytes, operations per byte, threads, tiles."""

from __future__ import annotations

from typing import Any

from .counting import TAPS, XOR, each_of
from .exercise import Exercise, table

FLOAT32 = "a float32 has 4 bytes."


def _unfold_bytes(N: int, C: int, H: int, W: int, K: int) -> Any:
    return 4 * N * C * H * W * K * K


UNFOLD_BYTES = Exercise(
    "unfold_bytes", "unfold_bytes(N, C, H, W, K) -> bytes of a copy of all windows, float32, stride 1, 'same'.", _unfold_bytes,
    each_of((1, 2, 3, 4, 3), (3, 1, 5, 7, 3), (8, 64, 56, 48, 7)),
    table(_unfold_bytes,
        ("4 * => ", FLOAT32),
        ("4 * => 8 *", f"{FLOAT32[:-1]}; 8 are those of a float64."),
        ("K * K => K", TAPS),
        ("H * W => (H - K + 1) * (W - K + 1)", "with 'same' padding there is a window for every pixel: H*W."),
        ("H * W => (H + K - 1) * (W + K - 1)", "the zeros around the image have no windows of their own: there are H*W."),
        ("K * K => (K ^ 2)", XOR),
    ),
)  # fmt: skip


def _intensity(K: int, C_g: int) -> float:
    flop, kernel = 2 * K * K, K * K / C_g
    return flop / (4 * (1 + 1 + kernel))


INTENSITY = Exercise(
    "intensity", "intensity(K, C_g) -> FLOP per byte that must be moved, float32, stride 1: x and kernel are "
    "read once, y is written once; a multiply-add is 2 FLOP.", _intensity, each_of((3, 1), (7, 16), (5, 32), (1, 4)),
    table(_intensity,
        ("2 * K * K => K * K", "a multiply-add is two operations."),
        ("4 * => 8 *", f"{FLOAT32[:-1]}; 8 are those of a float64."),
        ("K / C_g => K", "C_g channels share a kernel: each output needs 1 / C_g of it."),
        (" + kernel => ", "the kernel is read, too: K*K / C_g numbers for each output."),
        ("1 + 1 => 1", "x is read and y is written: 4 + 4 bytes."),
        ("1 + 1 => K * K + 1", "you read x K*K times; each number of x must be read once."),
        ("2 * K * K => 2 * K", "there are K*K taps: K rows and K columns."),
        ("flop / (4 * (1 + 1 + kernel)) => 4 * (1 + 1 + kernel) / flop", "that is bytes per FLOP; divide the operations by the bytes."),
        ("2 * K * K => 2 * K * K * C_g ; K / C_g => K", "count for one number of y or for the C_g of a group, but both parts for the same."),
    ),
)  # fmt: skip


def _pixel_of_thread(t: int, C: int, H: int, W: int) -> tuple[Any, ...]:
    return t // (C * H * W), t // (H * W) % C, t // W % H, t % W


SWAPPED = "you swapped row and column; neighbouring threads are neighbours along a row."
PIXEL_OF_THREAD = Exercise(
    "pixel_of_thread", "pixel_of_thread(t, C, H, W) -> (n, c, i, j): the output of thread number t; threads are "
    "numbered like the elements of a C-contiguous array (N, C, H, W).", _pixel_of_thread,
    each_of((0, 2, 3, 4), (5, 2, 3, 4), (23, 2, 3, 4), (77, 2, 3, 5), (1100, 3, 7, 5), (967, 2, 4, 7)),
    table(_pixel_of_thread,
        ("t // W % H, t % W => t % H, t // H % W", SWAPPED),
        ("t // W % H, t % W => t % H, t // H", SWAPPED),
        ("t // W % H, t % W => t % W, t // W % H", "i is the row and j the column: you returned them in the other order."),
        ("t // W % H => t // W", "rows start again with each channel: take them modulo H."),
        ("t // W % H => t % (H * W) // H", "a row has W threads: the row is t % (H*W) // W."),
        ("t // W % H => t % (H * W)", "that is the number of the pixel in its channel; its row is t % (H*W) // W."),
        (") % C => )", "channels start again with each image: take them modulo C."),
        ("t // (C * H * W) => 0", "there are more images than one: n is t // (C*H*W)."),
        ("t // (H * W) % C, t // W % H, t % W => t % C, t // (C * W) % H, t // C % W",
         "the channel changes slowest within an image, not fastest: the layout is (N, C, H, W)."),
        ("t // (C => t / (C ; t // (H => t / (H ; t // W => t / W", "/ gives a fraction; n, c and i are whole numbers: divide with //."),
        ("return => t -= 1; return", "threads are numbered from 0."),
    ),
    ("n", "c", "i", "j"),
)  # fmt: skip


def _halo(rows: int, columns: int, K: int) -> float:
    return (rows + K - 1) * (columns + K - 1) / (rows * columns)


def _reach(margin: str, hint: str) -> tuple[str, str]:
    return f"rows + K - 1 => rows + {margin} ; columns + K - 1 => columns + {margin}", hint


HALO = Exercise(
    "halo", "halo(rows, columns, K) -> numbers of x that a tile of outputs reads, per output: the size of "
    "the tile with its halo over the size of the tile, stride 1.", _halo, each_of((4, 4, 3), (8, 32, 7), (1, 1, 5), (2, 3, 1)),
    table(_halo,
        _reach("K", "the halo has K - 1 rows, (K - 1)/2 on each side."),
        _reach("2 * (K - 1)", "the window reaches (K - 1)/2 to each side, not K - 1."),
        _reach("2 * K", "the window reaches (K - 1)/2 to each side, not K."),
        _reach("K // 2", "the halo is on both sides."),
        _reach("0", "you left out the halo: K - 1 rows and columns more."),
        ("columns + K - 1 => columns", "the halo is on the left and right side, too."),
        (" / (rows * columns) => ", "divide by the number of outputs in the tile."),
        ("return => return 1 /", "divide what is read by the outputs, not the other way round."),
        ("/ (rows * columns) => / (rows * columns) - 1", "that is the halo alone; the tile itself is read, too."),
        ("return (rows + K - 1) * (columns + K - 1) / (rows * columns) => return K * K", "that is without sharing; a tile reads each number once."),
        ("(rows + K - 1) * (columns + K - 1) / => (rows * columns + (K - 1) * (rows + columns)) /",
         "the corners of the halo are missing: (rows + K - 1) * (columns + K - 1)."),
    ),
)  # fmt: skip


def _launch(down: int, across: int, rows: int, columns: int) -> list[tuple[int, int]]:
    return [
        (by * rows + ty, bx * columns + tx)
        for by in range(down) for bx in range(across) for ty in range(rows) for tx in range(columns)
    ]  # fmt: skip


BLOCKS = "for by in range(down) for bx in range(across)"
THREADS = "for ty in range(rows) for tx in range(columns)"
LAUNCH = Exercise(
    "launch", "launch(down, across, rows, columns) -> list of the pixel (i, j) of each thread; a grid of "
    "down x across blocks of rows x columns threads; one block after the other, row by row.", _launch, each_of((1, 2, 2, 3), (3, 2, 2, 4), (2, 3, 1, 5)),
    table(_launch,
        ("by * rows + ty => ty ; bx * columns + tx => tx", "each block starts at its own tile: add block * size of a block."),
        ("by * rows => by * columns ; bx * columns => bx * rows", "a block has its own rows and columns: you exchanged them."),
        ("by * rows => by * down ; bx * columns => bx * across", "down and across count the blocks; a block has rows x columns threads: by * rows + ty."),
        ("by * rows => by ; bx * columns => bx", "the blocks before it have rows * columns threads each: multiply by the size of a block."),
        ("by * rows + ty => ty * down + by ; bx * columns + tx => tx * across + bx",
         "threads of a block are neighbours: block * size + thread, not thread * blocks + block."),
        (f"{BLOCKS} {THREADS} => {THREADS} {BLOCKS}", "all threads of a block come before the next block: the loops over blocks are outside."),
        (f"{BLOCKS} => for bx in range(across) for by in range(down)", "blocks are counted row by row: the loop over down is outside the loop over across."),
        (f"{THREADS} => for tx in range(columns) for ty in range(rows)", "threads are counted row by row: the loop over rows is outside the loop over columns."),
        (f"{BLOCKS} {THREADS} => for by in range(down) for ty in range(rows) for bx in range(across) for tx in range(columns)",
         "that is row by row over the whole image; finish one block before the next."),
        (f" {BLOCKS} =>  for by, bx in [(0, 0)]", "that is one block; the grid has down x across blocks."),
        ("(by * rows + ty, bx * columns + tx) => (by * rows + ty) * across * columns + bx * columns + tx",
         "these are numbers of pixels; return the pair (i, j) of each."),
        ("by * rows + ty, bx * columns + tx => bx * columns + tx, by * rows + ty", "i is the row and j the column: you returned them in the other order."),
    ),
    ("thread", "(i, j)"),
)  # fmt: skip
