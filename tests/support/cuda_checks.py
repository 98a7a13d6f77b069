"""Checks of every version of the CUDA source, on the processor and on a GPU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from involution_edu.arrays import Array
from involution_edu.backends import loops, shifts
from involution_edu.backends.cuda import emulator, fused
from involution_edu.backends.cuda.versions import (
    STORAGE,
    TASKS,
    VERSIONS,
    Version,
    all_names,
    plan,
    struct_of_sizes,
)
from involution_edu.cases import (
    AWKWARD,
    HALF_TOLERANCE,
    TOLERANCE,
    random_operands,
    scaled_error,
)
from involution_edu.geometry import Geometry, make_geometry

TOLERANCES = {**TOLERANCE, np.dtype(np.float16): HALF_TOLERANCE}
# Several tiles each way, none of them full; groups above, below and not a multiple of 16 channels.
REALISTIC = {
    "33x45, one group of 20, 7x7": make_geometry((1, 20, 33, 45), 1, 7),
    "33x45, two groups of 4, 5x5": make_geometry((2, 8, 33, 45), 2, 5),
    "33x45, groups of 16, 3x3, stride 2": make_geometry((1, 32, 33, 45), 2, 3, stride=2),
    "33x45, 7x7, stride 2": make_geometry((1, 6, 33, 45), 2, 7, stride=2),
    "33x45, 3x5, stride (2, 1), dilation (1, 3)": make_geometry(
        (1, 18, 33, 45), 1, (3, 5), (2, 1), (1, 3)
    ),
    "5x6, 3x3, stride 9, no padding": make_geometry((1, 2, 5, 6), 1, 3, 9, padding="valid"),
    "45x33, 11x11, no padding": make_geometry((1, 3, 45, 33), 1, 11, padding="valid"),
    # Each of the blocks of v5: the last tiles not full, and units of a block that do not exist.
    "29x55, two groups of 16, 7x7": make_geometry((1, 32, 29, 55), 2, 7),
    "17x64, one group of 32, 5x5": make_geometry((1, 32, 17, 64), 1, 5),
    "30x27, one group of 16, 3x3": make_geometry((1, 16, 30, 27), 1, 3),
    "13x14, three groups of 16, 7x7": make_geometry((1, 48, 13, 14), 3, 7),
    "7x7, three groups of 16": make_geometry((3, 48, 7, 7), 3, 7),
    "12x9, groups of 48, 5x5, no padding": make_geometry((1, 96, 12, 9), 2, 5, padding="valid"),
}
CASES = {**AWKWARD, **REALISTIC}
ALL_NAMES = [
    name
    for task in TASKS
    for version in VERSIONS
    for dtype in STORAGE
    for name in all_names(task, version, dtype)
]
FUSED_NAMES = [
    name
    for version in fused.VERSIONS
    for dtype in STORAGE
    for name in all_names(fused.TASK, version, dtype)
]


@cache
def operands_and_results(
    geom: Geometry, dtype: np.dtype[Any]
) -> tuple[dict[str, tuple[Array, Array]], dict[str, Array]]:
    """Return for each task its random operands in ``dtype``, and its result in float64.

    That is by the loops or, on larger cases, by the shifts.
    """
    x, kernel, dy = (a.astype(dtype) for a in random_operands(geom, np.float64, seed=1))
    operands = {"forward": (x, kernel), "backward_input": (dy, kernel), "backward_kernel": (dy, x)}
    rung: Any = loops if geom in AWKWARD.values() else shifts
    results = {
        task: getattr(rung, task)(*(a.astype(np.float64) for a in pair), geom)
        for task, pair in operands.items()
    }
    return operands, results


@cache
def fused_operands_and_result(
    geom: Geometry, features: int, dtype: np.dtype[Any]
) -> tuple[tuple[Array, ...], Array]:
    """Return x, features, weight and bias in ``dtype``, and y in float64 by two steps."""
    rng = np.random.default_rng(2)
    taps = math.prod(geom.kernel_shape[1:4])
    made_of = (geom.N, features, geom.H_out, geom.W_out)
    shapes = geom.x_shape, made_of, (taps, features), (taps,)
    operands = tuple(rng.standard_normal(shape).astype(dtype) for shape in shapes)
    x, f, weight, bias = (a.astype(np.float64) for a in operands)
    kernel = np.einsum("om,nmij->noij", weight, f) + bias[:, None, None]
    y = shifts.forward(x, kernel.reshape(geom.kernel_shape), geom)
    return operands, y


def check_fused_on_host(
    program: emulator.Program,
    version: Version,
    geom: Geometry,
    dtype: np.dtype[Any],
    features: int = 5,
    orders: tuple[str, ...] = emulator.ORDERS,
) -> None:
    """Fail unless generation and application in one launch give what they do in two."""
    operands, want = fused_operands_and_result(geom, features, dtype)
    launch = plan(fused.TASK, version, geom, dtype, features)
    for order in orders:
        got = np.full(geom.y_shape, np.nan, dtype)
        sizes = struct_of_sizes(geom, features)
        program.run(launch, *operands, got, sizes, order=order, seed=1)
        error = scaled_error(got.astype(np.float64), want)
        assert error <= TOLERANCES[dtype], f"{launch.name} is wrong by {error:.1e}, {order}: {geom}"


def at_odd_offset(a: Array) -> Array:
    """Return a copy whose address is that of one number behind an aligned one."""
    moved = np.empty(a.size + 1, a.dtype)[1:].reshape(a.shape)
    moved[...] = a
    return moved


def check_on_host(
    program: emulator.Program,
    task: str,
    version: Version,
    geom: Geometry,
    dtype: np.dtype[Any],
    orders: tuple[str, ...] = emulator.ORDERS,
    *,
    odd: bool = False,
) -> None:
    """Fail unless a version gives the right numbers on the processor, in any order of threads."""
    operands, results = operands_and_results(geom, dtype)
    launch = plan(task, version, geom, dtype)
    for order in orders:
        got = emulator.empty_result(task, geom, dtype)
        placed = [at_odd_offset(a) if odd else a for a in operands[task]]
        program.run(launch, *placed, got, struct_of_sizes(geom), order=order, seed=1)
        error = scaled_error(got.astype(np.float64), results[task])
        assert error <= TOLERANCES[dtype], f"{launch.name} is wrong by {error:.1e}, {order}: {geom}"


def check_all_on_host(folder: Path, names: Sequence[str], **program: Any) -> None:
    """Build the source for float32 and run the CUDA kernels called ``names`` on every case."""
    dtype = np.dtype(np.float32)
    built = emulator.Program(names, folder, **program)
    for geom in CASES.values():
        for task in TASKS:
            for version in VERSIONS:
                if version.takes(geom, dtype) and plan(task, version, geom, dtype).name in names:
                    for odd in (False, True):
                        check_on_host(built, task, version, geom, dtype, ("shuffled",), odd=odd)
        for version in fused.VERSIONS:
            if (
                version.takes(geom, dtype)
                and plan(fused.TASK, version, geom, dtype, 5).name in names
            ):
                check_fused_on_host(built, version, geom, dtype, 5, ("shuffled",))
