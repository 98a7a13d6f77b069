"""The versions of the CUDA source as data, and the launches for given sizes.

Documentation, tests, benchmarks and the launcher read the table `VERSIONS`. Nothing here needs a
GPU: `plan` is arithmetic, and its plans also run on the processor (``emulator``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ...arguments import ArgumentError, Pair
from ...geometry import Geometry

TASKS = ("forward", "backward_input", "backward_kernel")
FUSED = "generate_and_apply"  # a task with versions of its own: see fused.py
WINDOWS = (3, 5, 7)  # square ones without dilation, compiled in; any other runs as K = 0
STORAGE: dict[np.dtype[Any], str] = {
    np.dtype(np.float32): "float",
    np.dtype(np.float64): "double",
    np.dtype(np.float16): "__half",  # summed in float
}
SIZES = (
    "N", "C", "H", "W", "G", "H_out", "W_out",
    "K_h", "K_w", "s_h", "s_w", "d_h", "d_w", "p_h", "p_w", "C_r",
)  # fmt: skip
THREADS = 256  # in a block without a tile; as in common.cuh
MAX_IMAGE = 2**30  # rows or columns with padding: their sums still fit into a C int
MAX_GRID = 2**31 - 1  # blocks of one launch
MAX_UNIT = 2**25  # pixels of an image: an index in its 7 x 7 kernels still fits into a C int

Block = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)  # hashed by identity: a key of cached launches
class Version:
    """One version of the three CUDA kernels; a dict has an entry for each task."""

    name: str  # the end of their names: v1 of forward_v1
    change: str  # the difference from the version before it
    # Numbers read from global memory for each one written; K²/16 if C_g is a multiple of 16. The
    # halo is the size of a tile with its margin over that of the tile: see common.cuh.
    reads: dict[str, str]
    channels: dict[str, int]  # those that a tile in shared memory holds at a time
    registers: int  # limit of a thread's in float32; none is spilled in any dtype
    threads: Pair = (8, 32)  # limit of the rows and columns of threads in a block with a tile
    # Rows and columns of pixels that a thread owns, if more than one. Such a version needs stride
    # 1 and a window that is compiled in.
    pairs: dict[str, Pair] = field(default_factory=dict)
    # Blocks that are compiled in: columns and rows of threads of a unit, units of a block, channels
    # of a unit. Such a version takes float32 only, and groups of a multiple of 16 channels.
    blocks: dict[str, tuple[Block, ...]] = field(default_factory=dict)

    @property
    def windows(self) -> tuple[int, ...]:
        """The windows it is compiled for: `WINDOWS`, and 0 if it takes any other too."""
        return WINDOWS if self.pairs else (0, *WINDOWS)

    def takes(self, geom: Geometry, dtype: Any) -> bool:
        """Return whether it can compute an involution of these sizes in this dtype."""
        if self.pairs and (geom.stride != (1, 1) or not compiled_window(geom)):
            return False
        pixels = max(prod(geom.x_shape[2:]), prod(geom.y_shape[2:]))
        return not self.blocks or (dtype == np.float32 and geom.C_g % 16 == 0 and pixels < MAX_UNIT)


def _each(forward: Any, backward_input: Any, backward_kernel: Any) -> dict[str, Any]:
    return dict(zip(TASKS, (forward, backward_input, backward_kernel), strict=True))


_SHARED = _each(
    "halo of x + K²/16 of kernel", "halo of dy + K²/16 of kernel",
    "(C_g of dy + C_g·halo of x) / K²",
)  # fmt: skip
_GATHER = ((28, 8, 1, 16), (16, 8, 1, 16), (14, 14, 1, 16), (8, 7, 2, 16), (4, 4, 8, 8))
VERSIONS = (
    Version(
        "v1", "one thread for each result, straight from the equation",
        _each("K² of x + K² of kernel", "K² of dy + K² of kernel", "C_g of dy + C_g of x"), {}, 64,
    ),
    Version(
        "v2", "a tile with its margin in shared memory, read again there by K² neighbours",
        _each("halo of x + K² of kernel", "halo of dy + K² of kernel",
              "(C_g of dy + C_g·halo of x) / K"),
        _each(1, 1, 1), 64,
    ),
    Version(
        "v3", "a kernel entry read once for 16 channels; all K² of dkernel summed side by side",
        _SHARED, _each(16, 16, 4), 128,
    ),
    Version(
        "v4", "a thread owns 2 x 2 pixels, whose windows share its reads of the tile",
        _SHARED, _each(16, 16, 8), 168, threads=(8, 16), pairs=_each((2, 2), (2, 2), (1, 2)),
    ),
    Version(
        "v5", "fewer instructions around a product: sizes compiled in, copies that do not wait",
        _SHARED, _each(16, 16, 16), 168, pairs=_each((2, 2), (2, 2), (1, 4)),
        blocks=_each(_GATHER, _GATHER, ((8, 8, 1, 16), (7, 8, 1, 16), (4, 14, 1, 16), (2, 7, 4, 8))),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Launch:
    """A launch: a C++ name, blocks, threads of a block, bytes of dynamic shared memory."""

    name: str
    grid: int
    block: Pair  # (x, y), as CUDA counts
    shared: int


def cuda_source() -> str:
    """Return the CUDA C++ source as one text: its headers, each once, before those that need it."""
    included: set[str] = set()

    def text(name: str) -> str:
        lines = Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()
        return "\n".join(map(inlined, filter("#pragma once".__ne__, lines)))

    def inlined(line: str) -> str:
        if (name := line.removeprefix("#include ").strip('"')) == line or "<" in line:
            return line
        if name in included:
            return ""
        included.add(name)
        return text(name)

    return "\n".join(map(inlined, ('#include "fused.cuh"', '#include "units.cuh"')))


def struct_of_sizes(geom: Geometry, features: int = 0) -> np.ndarray[Any, np.dtype[np.void]]:
    """Return the C++ struct ``Sizes``, one record of C ints; ``features`` is its C_r."""
    numbers = (
        *geom.x_shape, geom.G, geom.H_out, geom.W_out,
        *geom.window, *_strides(geom), *geom.dilation, *geom.padding, features,
    )  # fmt: skip
    return np.array([numbers], dtype=[(name, np.intc) for name in SIZES])


def _strides(geom: Geometry) -> Pair:
    """Return the strides, cut to the padded image: a longer one gives the same outputs."""
    return min(geom.stride[0], geom.padded_size[0]), min(geom.stride[1], geom.padded_size[1])


def name_expression(
    task: str, version: Version, dtype: np.dtype[Any], window: int, block: tuple[int, ...] = ()
) -> str:
    """Return the C++ name of a CUDA kernel, such as "forward_v3<__half, 7>"; 0 is any window."""
    return f"{task}_{version.name}<{', '.join(map(str, (STORAGE[dtype], window, *block)))}>"


def all_names(task: str, version: Version, dtype: np.dtype[Any]) -> list[str]:
    """Return the C++ names of all CUDA kernels that a version of ``task`` has for this dtype."""
    blocks = version.blocks.get(task, ((),)) if dtype == np.float32 or not version.blocks else ()
    return [name_expression(task, version, dtype, w, b) for w in version.windows for b in blocks]


def compiled_window(geom: Geometry) -> int:
    """Return K if the window is one of `WINDOWS`, square and without dilation; else 0."""
    square = geom.window[0] == geom.window[1] and geom.dilation == (1, 1)
    return geom.window[0] if square and geom.window[0] in WINDOWS else 0


def result_shape(task: str, geom: Geometry) -> tuple[int, ...]:
    """Return the shape of the y, dx or dkernel that ``task`` computes."""
    shapes = {"backward_input": geom.x_shape, "backward_kernel": geom.kernel_shape}
    return shapes.get(task, geom.y_shape)


def plan(
    task: str, version: Version, geom: Geometry, dtype: np.dtype[Any], features: int = 0
) -> Launch:
    """Return the launch of a version of ``task``; ``features`` is the C_r of `FUSED`."""
    if max(geom.padded_size) > MAX_IMAGE:
        got = "has {} x {} pixels with its padding".format(*geom.padded_size)
        raise ArgumentError("x", got, f"at most {MAX_IMAGE} each way")
    if not version.takes(geom, dtype):
        need = f"stride 1 and a square window of {', '.join(map(str, WINDOWS))} without dilation"
        if version.blocks:
            need += ", float32, a multiple of 16 channels in a group, fewer than 2^25 pixels"
        raise ArgumentError("version", f"is {version.name} for {geom} in {dtype}", need)
    name = name_expression(task, version, dtype, compiled_window(geom))
    shape = result_shape(task, geom)
    units = 1
    if version.blocks:
        own_block, units, grid, block, shared = _plan_of_units(task, version, geom)
        name = name_expression(task, version, dtype, geom.window[0], own_block)
    elif task not in version.channels:
        grid, block, shared = -(-prod(shape) // THREADS), (THREADS, 1), 0
    else:
        own = version.pairs.get(task, (1, 1))
        tall, wide = (
            _threads(size, limit, pixels)
            for size, limit, pixels in zip(shape[-2:], version.threads, own, strict=True)
        )
        if version.pairs:
            wide = 1 << max(wide - 1, 1).bit_length()  # whole banks of shared memory
        tile = tall * own[0], wide * own[1]
        down, across = (-(-size // step) for size, step in zip(shape[-2:], tile, strict=True))
        grid, block = geom.N * geom.G * down * across, (wide, tall)
        rows, columns = _with_margin(task, tile, geom)
        channels = min(version.channels[task], geom.C_g)
        if wide < 32 and _strides(geom) == (1, 1) and not version.pairs:
            columns += (wide - columns) % 32  # the pitch: see tiles.cuh
        numbers, itemsize = channels * rows * columns, dtype.itemsize
        if version.pairs:
            numbers, itemsize = channels * _area(rows, columns, wide, own[0]), max(itemsize, 4)
            if task == FUSED:
                K = geom.window[0]
                weights = (features + 1) * K * (-(-K // 4) * 4)  # a row of the window in fours
                numbers += weights + features * _area(*tile, wide, own[0])
        shared = numbers * itemsize
    if grid > MAX_GRID:
        raise ArgumentError("x", f"has shape {geom.x_shape}", "fewer images for one launch")
    return Launch(name, -(-grid // units), block, shared)


def _plan_of_units(task: str, version: Version, geom: Geometry) -> tuple[Any, ...]:
    """Return the block that copies fewest columns, its units, all units, and as in `Launch`."""
    K, (H, W), own = geom.window[0], result_shape(task, geom)[-2:], version.pairs[task]
    wide = {block: own[1] * block[0] for block in version.blocks[task]}
    block = min(wide, key=lambda block: -(-W // wide[block]) * (wide[block] + K - 1))
    across, tall, units, channels = block
    tile = own[0] * tall, own[1] * across
    rows, columns = _with_margin(task, tile, geom)
    columns += (tile[1] // own[0] - columns) % (32 // own[0])  # the pitch: see units.cuh
    # Two threads share the window of a pixel of dkernel, and add up all channels of the group.
    parts, splits = (2, 1) if task == "backward_kernel" else (1, geom.C_g // channels)
    count = geom.N * geom.G * splits * -(-H // tile[0]) * -(-W // tile[1])
    shared = 4 * units * channels * rows * columns
    return block, units, count, (across, tall * parts * units), shared


def _threads(size: int, limit: int, pixels: int) -> int:
    """Return how many threads take ``size`` pixels, ``pixels`` each, in tiles of similar size."""
    tiles = -(-size // (limit * pixels))
    return -(-size // (tiles * pixels))


def _area(rows: int, columns: int, wide: int, own: int) -> int:
    """Return the size of a tile of pairs, with the gap after each row; see pairs.cuh."""
    gap = (2 * wide // own - columns) % (32 // own) if wide < 16 else 0
    return rows * (columns + gap)


def _with_margin(task: str, tile: Pair, geom: Geometry) -> Pair:
    """Return the rows and columns of x, or of dy for ``backward_input``, that a tile reads."""
    ranges = list(zip(tile, geom.extent, _strides(geom), strict=True))
    rows, columns = ((n - 1) * s + extent for n, extent, s in ranges)
    if task == "backward_input":
        rows, columns = ((n + extent - 2) // s + 1 for n, extent, s in ranges)
    return rows, columns


def highest_that_fits(
    task: str, versions: Sequence[Version], geom: Geometry, dtype: np.dtype[Any],
    limit: tuple[int, str], features: int = 0,
) -> tuple[Version, Launch]:  # fmt: skip
    """Return the last version that takes ``geom`` and fits the ``limit`` in bytes, and its launch."""
    taking = [version for version in versions if version.takes(geom, dtype)] or versions
    plans = [(version, plan(task, version, geom, dtype, features)) for version in taking]
    for version, planned in reversed(plans):
        # One block of compiled-in size alone would leave too few warps to wait for memory in turns.
        two = version.blocks and len(plans) > 1
        if (2 if two else 1) * planned.shared <= limit[0]:
            return version, planned
    got = f"needs {planned.shared} bytes of shared memory for {geom}"
    raise ArgumentError(planned.name, got, f"at most {limit[0]} {limit[1]}: use an earlier version")
