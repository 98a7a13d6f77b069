"""The CUDA source run on the processor: right numbers, no race, no access out of bounds."""

from __future__ import annotations

import math
import mmap
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from cuda_checks import (
    ALL_NAMES,
    CASES,
    FUSED_NAMES,
    TOLERANCES,
    check_fused_on_host,
    check_on_host,
    operands_and_results,
)

from involution_edu.arrays import Array
from involution_edu.backends import loops
from involution_edu.backends.cuda import emulator, fused, versions
from involution_edu.backends.cuda.fused import fusing_pays
from involution_edu.backends.cuda.versions import (
    MAX_IMAGE,
    TASKS,
    VERSIONS,
    Launch,
    Version,
    all_names,
    cuda_source,
    highest_that_fits,
    name_expression,
    plan,
    struct_of_sizes,
)
from involution_edu.cases import random_operands, scaled_error
from involution_edu.geometry import Geometry, make_geometry

V1, V2, V3, V4, V5 = VERSIONS
F1, F2 = fused.VERSIONS
FUSED = fused.TASK
FLOAT, HALF = np.dtype(np.float32), np.dtype(np.float16)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> emulator.Program:
    return emulator.Program(ALL_NAMES + FUSED_NAMES, tmp_path_factory.mktemp("emulator"))


@needs.compiler
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_every_version(case: str, dtype: np.dtype[Any], program: emulator.Program) -> None:
    for task in TASKS:
        for version in VERSIONS:
            if CASES[case].N and version.takes(CASES[case], dtype):
                check_on_host(program, task, version, CASES[case], dtype)
    for version in fused.VERSIONS:
        if CASES[case].N and version.takes(CASES[case], dtype):
            check_fused_on_host(program, version, CASES[case], dtype)


@needs.compiler
@pytest.mark.parametrize("features", [1, 16, 33])
def test_fused_from_any_number_of_features(features: int, program: emulator.Program) -> None:
    for version in fused.VERSIONS:
        geom = CASES["33x45, two groups of 4, 5x5"]
        check_fused_on_host(program, version, geom, FLOAT, features, ("shuffled",))


@needs.compiler
@pytest.mark.parametrize("channels", [2, 16])
def test_nan_and_inf_arrive_where_the_equation_puts_them(
    channels: int, program: emulator.Program
) -> None:
    """The padding is multiplied: Inf * 0 = NaN at the corner; dx reads no padding."""
    geom = make_geometry((1, channels, 5, 6), 1, 3)
    x, kernel = np.ones(geom.x_shape, FLOAT), np.ones(geom.kernel_shape, FLOAT)
    dy, sizes = np.ones(geom.y_shape, FLOAT), struct_of_sizes(geom)
    kernel[0, 0, 0, 0, 0, 0] = dy[0, 1, 0, 0] = np.inf
    other = np.ones(geom.x_shape, FLOAT)
    other[0, 1, 2, 3] = np.inf  # reaches the nine windows that hold it, and no neighbour
    for version in filter(lambda version: version.takes(geom, FLOAT), VERSIONS):
        y = emulator.empty_result("forward", geom, FLOAT)
        plain = np.ones_like(kernel)
        program.run(plan("forward", version, geom, FLOAT), other, plain, y, sizes)
        assert not np.isnan(y).any()
        assert np.argwhere(np.isinf(y)).tolist() == [
            [0, 1, i, j] for i in (1, 2, 3) for j in (2, 3, 4)
        ]
        program.run(plan("forward", version, geom, FLOAT), x, kernel, y, sizes)
        assert np.argwhere(np.isnan(y)).tolist() == [[0, c, 0, 0] for c in range(channels)]
        dkernel = emulator.empty_result("backward_kernel", geom, FLOAT)
        program.run(plan("backward_kernel", version, geom, FLOAT), dy, x, dkernel, sizes)
        assert np.isnan(dkernel[0, 0, :, :, 0, 0]).tolist() == [
            [True, True, True],
            [True, False, False],
            [True, False, False],
        ]
        dx = emulator.empty_result("backward_input", geom, FLOAT)
        program.run(plan("backward_input", version, geom, FLOAT), dy, kernel, dx, sizes)
        assert np.argwhere(~np.isfinite(dx)).tolist() == [
            [0, 1, 0, 0], [0, 1, 0, 1], [0, 1, 1, 0], [0, 1, 1, 1]
        ]  # fmt: skip


NAN_CASES = {
    "6x8": make_geometry((2, 4, 6, 8), 2, 3),
    "7x9, 5x5": make_geometry((1, 3, 7, 9), 1, 5),
    "9x10, 7x7, no padding": make_geometry((1, 2, 9, 10), 1, 7, padding="valid"),
    "9x12, stride 2": make_geometry((1, 4, 9, 12), 2, 3, stride=2),
    "8x9, 3x5, dilation 2": make_geometry((1, 2, 8, 9), 1, (3, 5), dilation=2),
    "9x10, group of 16, 7x7, no padding": make_geometry((1, 16, 9, 10), 1, 7, padding="valid"),
    "7x9, groups of 16, 5x5": make_geometry((2, 32, 7, 9), 2, 5),
    "5x58, group of 32, 3x3": make_geometry((1, 32, 5, 58), 1, 3),
}


def check_nan(program: emulator.Program, task: str, version: Version, geom: Geometry) -> None:
    """Fail unless NaN arrives where the loops have it: 0 times an entry that is not read hides it."""
    rng = np.random.default_rng(1)
    x, kernel, dy = random_operands(geom, "float32", seed=1)
    for a in (x, kernel, dy):
        a[rng.random(a.shape) < 0.01] = np.nan
    operands = {"forward": (x, kernel), "backward_input": (dy, kernel), "backward_kernel": (dy, x)}
    want = getattr(loops, task)(*operands[task], geom)
    assert 0 < np.isnan(want).sum() < want.size
    got = np.zeros_like(want)
    program.run(plan(task, version, geom, FLOAT), *operands[task], got, struct_of_sizes(geom))
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want), "NaN is elsewhere")
    np.testing.assert_allclose(np.nan_to_num(got), np.nan_to_num(want), 0, 1e-4)


@needs.compiler
@pytest.mark.parametrize("case", NAN_CASES)
@pytest.mark.parametrize("task", TASKS)
def test_nan_is_not_taken_from_a_neighbour(task: str, case: str, program: emulator.Program) -> None:
    for version in VERSIONS:
        if version.takes(NAN_CASES[case], FLOAT):
            check_nan(program, task, version, NAN_CASES[case])


NAN_FAULTS = {
    "dx takes entries of the next row": (
        " && j + v < W_out)", ")", "backward_input", V4, "9x10, 7x7, no padding",
    ),
    "dx takes entries of the row before": (
        "(0 <= j + v && ", "(", "backward_input", V4, "7x9, 5x5",
    ),
    "dx takes entries of the next tap": (
        "0 <= i + t && i + t < H_out ? columns", "0 <= i + t ? columns", "backward_input", V5,
        "9x10, group of 16, 7x7, no padding",
    ),
    "the first row of the lower window is the upper one's too": (
        "multiply_row<U, 1, 1>", "multiply_row<U, 0, 1>", "forward", V5, "7x9, groups of 16, 5x5",
    ),
    "y leaves out the products with the padding": (
        "          if (r < count) {\n            A row[K + 1];",
        "          if (r < count && (h0 >= 0 || t > 0)) {\n            A row[K + 1];",
        "forward", V4, "7x9, 5x5",
    ),
}  # fmt: skip


@needs.compiler
@pytest.mark.parametrize("name", NAN_FAULTS)
def test_planted_faults_of_nan_are_caught(name: str, tmp_path: Path) -> None:
    """The first three are right for finite numbers: they multiply by a 0 of the tile."""
    right, wrong, task, version, case = NAN_FAULTS[name]
    source = cuda_source()
    assert source.count(right) == 1
    launch = plan(task, version, NAN_CASES[case], FLOAT)
    program = emulator.Program([launch.name], tmp_path, source=source.replace(right, wrong))
    with pytest.raises(AssertionError, match="NaN is elsewhere"):
        check_nan(program, task, version, NAN_CASES[case])


def reserved(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return an array of zeros that takes memory only where it is written."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # MAP_NORESERVE
    memory = mmap.mmap(-1, dtype.itemsize * math.prod(shape), flags)
    array: Array = np.frombuffer(memory, dtype)
    return array.reshape(shape)


def check_far(
    program: emulator.Program, task: str, version: Version, dtype: np.dtype[Any] = HALF,
    channels: int = 4,
) -> None:  # fmt: skip
    """Fail unless the last 64 images are right, beyond 2^32 numbers of x."""
    near, far = (make_geometry((n, channels, 1, 1), 1, 3) for n in (64, 2**32 // channels + 64))
    operands, results = operands_and_results(near, dtype)
    arrays = []
    for a in operands[task]:
        arrays.append(reserved((far.N, *a.shape[1:]), dtype))
        arrays[-1][-64:] = a
    got = reserved((far.N, *results[task].shape[1:]), dtype)
    launch, last = (plan(task, version, geom, dtype) for geom in (far, near))
    program.run(launch, *arrays, got, struct_of_sizes(far), first=launch.grid - last.grid)
    error = scaled_error(got[-64:].astype(np.float64), results[task])
    assert error <= TOLERANCES[dtype], f"{launch.name} is wrong by {error:.1e}"


@needs.compiler
@needs.linux
def test_more_than_2_32_numbers(program: emulator.Program) -> None:
    for task in TASKS:
        for version in VERSIONS:
            if version is not V5:
                check_far(program, task, version)
        check_far(program, task, V5, FLOAT, channels=16)


@needs.compiler
@needs.linux
@pytest.mark.parametrize(
    ("right", "wrong", "version"),
    [
        ("static_cast<long long>(blockIdx.x) * blockDim.x", "blockIdx.x * blockDim.x", V1),
        ("long long thread_index() {", "int thread_index() {", V1),
        ("const long long o = thread_index();", "const int o = thread_index();", V1),
        ("const long long nc = at.ng * C_g + r0;", "const int nc = at.ng * C_g + r0;", V3),
        ("const long long nc = tile.at.ng * C_g", "const int nc = tile.at.ng * C_g", V4),
    ],
)
@pytest.mark.parametrize("task", TASKS)
def test_indices_of_32_bits_are_caught(
    task: str, right: str, wrong: str, version: Version, tmp_path: Path
) -> None:
    name = name_expression(task, version, HALF, 3)
    source = cuda_source()
    assert right in source
    program = emulator.Program([name], tmp_path, source=source.replace(right, wrong))
    with pytest.raises(AssertionError, match="is wrong by"):
        check_far(program, task, version)


def test_more_blocks_than_a_launch_can_have() -> None:
    assert plan("forward", V2, make_geometry((2**31 - 1, 1, 1, 1), 1, 1), FLOAT).grid == 2**31 - 1
    with pytest.raises(
        ValueError, match=r"^x has shape \(1073741824, 2, 1, 1\); need fewer images"
    ):
        plan("forward", V2, make_geometry((2**30, 2, 1, 1), 2, 1), FLOAT)


@dataclass(frozen=True)
class Fault:
    """A mistake planted in the source, and the task, version and case that show it."""

    right: str
    wrong: str
    task: str
    version: Version
    case: str = "33x45, one group of 20, 7x7"
    dtype: np.dtype[Any] = FLOAT
    caught: str = "is wrong by"


UNITS_56, UNITS_7 = "29x55, two groups of 16, 7x7", "7x7, three groups of 16"
FAULTS = {
    "no barrier after the tile is loaded": Fault(
        "    __syncthreads();  // the tile is whole\n", "", "forward", V2
    ),
    "no barrier before the tile is replaced": Fault(
        "    __syncthreads();  // all have read it: the next channels may take its place\n",
        "",
        "forward",
        V3,
    ),
    "threads outside the image leave before the barrier": Fault(
        "    __syncthreads();  // the tile is whole\n",
        "    if (i >= s.H_out) return;\n    __syncthreads();\n",
        "forward",
        V3,
        caught="reached a barrier that others did not",
    ),
    "the tile is larger than its memory": Fault(
        "    load(tile, dy + nc * pixels, count, i0, j0, rows, columns, pitch, s.H_out, s.W_out);",
        "    load(tile, dy + nc * pixels, count, i0, j0, rows + 1, columns, pitch, s.H_out, s.W_out);",
        "backward_input",
        V2,
        caught="wrote beyond its shared memory",
    ),
    "the last row of the image is taken for padding": Fault(
        "    const bool inside = 0 <= h && h < H && 0 <= w && w < W;\n    const T* from = images + static",
        "    const bool inside = 0 <= h && h < H - 1 && 0 <= w && w < W;\n"
        "    const T* from = images + static",
        "backward_kernel", V3,
    ),
    "rows and columns of x swapped": Fault(
        "images + static_cast<long long>(h) * W + w;", "images + static_cast<long long>(w) * H + h;",
        "forward", V2,
    ),
    "u and v swapped": Fault(
        "kernel[((ng * k.K_h + u) * k.K_w + v) * pixels + o % pixels]",
        "kernel[((ng * k.K_h + v) * k.K_w + u) * pixels + o % pixels]",
        "forward",
        V1,
    ),
    "groups interleaved, c % G": Fault(
        "const long long ng = nc / (s.C / s.G);  // n * G + g", "const long long ng = nc % s.G;",
        "forward", V1, "33x45, two groups of 4, 5x5",
    ),
    "the stride taken for 1": Fault(
        "if (s.s_h == 1 && s.s_w == 1) {", "if (s.s_w == 1) {", "backward_input", V3,
        "33x45, 3x5, stride (2, 1), dilation (1, 3)",
        caught="wrote beyond its shared memory",
    ),
    "outputs between two strides": Fault(
        "top % stride == 0 && ", "", "backward_input", V3, "33x45, 7x7, stride 2"
    ),
    "the column's stride is the row's": Fault(
        "j0 = first_output(at.column + s.p_w - reach_w, s_w)",
        "j0 = first_output(at.column + s.p_w - reach_w, s_h)",
        "backward_input",
        V3,
        "33x45, 3x5, stride (2, 1), dilation (1, 3)",
    ),
    "half precision summed in half": Fault(
        "Sum<__half> { using type = float; };", "Sum<__half> { using type = __half; };",
        "forward", V3, dtype=HALF,
    ),
    "every channel of a group of 20 after the 16th takes the first 16's x": Fault(
        "load(tile, x + nc * s.H * s.W, count, h0, w0, rows, columns, pitch, s.H, s.W);\n"
        "    __syncthreads();  // the tile is whole",
        "load(tile, x + at.ng * C_g * s.H * s.W, count, h0, w0, rows, columns, pitch, s.H, s.W);\n"
        "    __syncthreads();",
        "forward",
        V3,
    ),
    "no barrier after the tile of pairs is loaded": Fault(
        "    __syncthreads();  // the tile of pairs is whole\n", "", "backward_input", V4
    ),
    "no barrier before the tile of pairs is replaced": Fault(
        "    __syncthreads();  // all have read it: the next channels of the pairs may take its place\n",
        "", "forward", V4,
    ),
    "the last row of the lower window left out": Fault(
        "if (0 <= t - p && t - p < K)", "if (0 <= t - p && t < K)", "forward", V4,
    ),
    "the entry of the left pixel for both": Fault(
        "right < PAIR ? 0 : 1", "0", "forward", V4,
    ),
    "the entry of the upper pixel for both": Fault(
        "down < PAIR ? 0 : W_out", "0", "forward", V5, UNITS_56,
    ),
    "the mirrored window turned over one axis only": Fault(
        "(K - 1 - u) * K + K - 1) * pixels", "u * K + K - 1) * pixels", "backward_input", V4,
    ),
    "a copy that is not waited for": Fault(
        "  finish_copies();\n  __syncthreads();", "  __syncthreads();", "forward", V5, UNITS_56,
    ),
    "no barrier after the tiles of the units are copied": Fault(
        "  __syncthreads();  // the tiles of the units are whole\n", "", "backward_input", V5, UNITS_7,
    ),
    "no barrier before the tiles of x are replaced": Fault(
        "    __syncthreads();  // all have read x: the next channels may take its place\n", "",
        "backward_kernel", V5, "17x64, one group of 32, 5x5",
    ),
    "units of a block that share a tile": Fault(
        "tile = in_block * CHANNELS * area;", "tile = 0;", "forward", V5, UNITS_7,
    ),
    "the second half of the window for both parts": Fault(
        "u0 = unit.part * HALF", "u0 = K - HALF", "backward_kernel", V5, UNITS_7,
    ),
    "dkernel of one unit's channels only": Fault(
        "for (int r0 = 0; r0 < C_g; r0 += CHANNELS) {\n    const long long nc = unit.ng",
        "for (int r0 = 0; r0 < CHANNELS; r0 += CHANNELS) {\n    const long long nc = unit.ng",
        "backward_kernel", V5, "17x64, one group of 32, 5x5",
    ),
    "the gap between rows of pairs left out of the size of the tile": Fault(
        "pitch = columns + (wide < 16 ? gap : 0);", "pitch = columns + gap + 2;", "forward", V4,
        caught="wrote beyond its shared memory",
    ),
    "blocks of more threads than it is compiled for": Fault(
        "constexpr int FEW_THREADS = 128;", "constexpr int FEW_THREADS = 32;", "forward", V4,
        caught="its launch bounds are 32 threads",
    ),
    "the weights of another group": Fault(
        "const T* rows = weight + g * K * K * s.C_r;", "const T* rows = weight;",
        FUSED, F2, "33x45, two groups of 4, 5x5",
    ),
    "the bias left out of the last row of the window": Fault(
        "tap < K * K; tap += threads", "tap < K * K - K; tap += threads", FUSED, F2,
    ),
    "a row of weights too early": Fault(
        "const int u = min(max(t - p, 0), K - 1);\n        const Vector",
        "const int u = min(max(t - 1, 0), K - 1);\n        const Vector", FUSED, F2,
    ),
    "the features of the pixel above": Fault(
        "features + m * area + p * pitch", "features + m * area", FUSED, F2,
    ),
    "the features of the first image": Fault(
        "features + n * s.C_r * pixels", "features", FUSED, F2, "33x45, two groups of 4, 5x5",
    ),
    "the tile laid over the last feature": Fault(
        "made_of + s.C_r * own.area, tile", "made_of + (s.C_r - 1) * own.area, tile", FUSED, F2,
    ),
    "weights taken by column": Fault(
        "weight[o * s.C_r + m]", "weight[m * s.G * k.K_h * k.K_w + o]", FUSED, F1,
    ),
}  # fmt: skip


@needs.compiler
@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults_are_caught(name: str, tmp_path: Path) -> None:
    """By the very check that the unharmed source passes in `test_every_version`."""
    fault = FAULTS[name]
    source = cuda_source()
    assert source.count(fault.right) == 1
    geom = CASES[fault.case]
    launch = plan(fault.task, fault.version, geom, fault.dtype)
    wrong = source.replace(fault.right, fault.wrong)
    program = emulator.Program([launch.name], tmp_path, source=wrong)
    check = check_fused_on_host if fault.task == FUSED else partial(check_on_host, task=fault.task)
    with pytest.raises((AssertionError, RuntimeError), match=fault.caught):
        check(program, version=fault.version, geom=geom, dtype=fault.dtype)


@needs.compiler
def test_a_tile_of_dx_for_the_stride_as_it_was_given_is_caught(tmp_path: Path) -> None:
    """The fault is in the plan: the source has the stride cut to the size of the image."""
    path = Path(versions.__file__)
    source, geom = path.read_text(encoding="utf-8"), CASES["5x6, 3x3, stride 9, no padding"]
    assert source.count("geom.extent, _strides(geom)") == 1
    planted = {"__name__": versions.__name__, "__package__": versions.__package__}
    code = source.replace("geom.extent, _strides(geom)", "geom.extent, geom.stride")
    exec(compile(code, path, "exec"), planted)  # noqa: S102
    launch = planted["plan"]("backward_input", V2, geom, FLOAT)  # type: ignore[operator]
    program = emulator.Program([launch.name], tmp_path)
    (dy, kernel), dx = operands_and_results(geom, FLOAT)[0]["backward_input"], np.ones(geom.x_shape)
    with pytest.raises(RuntimeError, match="wrote beyond its shared memory"):
        program.run(launch, dy, kernel, dx.astype(FLOAT), struct_of_sizes(geom))


def sanitized(tmp_path: Path, source: str, names: list[str]) -> subprocess.CompletedProcess[str]:
    """Run what is called so on every case with the address and undefined-behaviour sanitizers."""
    path = tmp_path / "source.cu"
    path.write_text(source, encoding="utf-8")
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1] / "support")!r})
from pathlib import Path
from cuda_checks import check_all_on_host
check_all_on_host(
    Path({str(tmp_path)!r}),
    {names!r},
    source=Path({str(path)!r}).read_text(encoding="utf-8"),
    options=["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
)
print("all is well")
"""
    library = subprocess.run(
        ["g++", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    ).stdout.strip()
    if not Path(library).is_absolute():
        pytest.skip("needs libasan: install GCC's sanitizer library")
    # Python itself is not instrumented: the library must be there first, and leaks are its own.
    options = {"LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0"}
    return subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **options},
    )


@needs.compiler
def test_sanitizers_find_nothing(tmp_path: Path) -> None:
    names = [name for name in ALL_NAMES + FUSED_NAMES if "float" in name]
    done = sanitized(tmp_path, cuda_source(), names)
    assert done.stdout.strip() == "all is well", done.stderr


@needs.compiler
@pytest.mark.parametrize(
    ("right", "wrong", "name", "found"),
    [
        ("h < s.H && 0 <= w", "h <= s.H && 0 <= w", "forward_v1", "heap-buffer-overflow"),
        (
            "static_cast<long long>(i) * s.W_out",
            "i * (s.W_out << 28)",
            "forward_v2",
            "runtime error",
        ),
        ("columns % WIDE == 0 && address", "address", "backward_kernel_v4", "misaligned address"),
        (" && address % (WIDE * sizeof(T)) == 0", "", "forward_v4", "misaligned address"),
        (
            "next, from += pixels, unit.right",
            "next, from += pixels, FOUR",
            "backward_kernel_v5<float, 3, 7, 8, 1, 16>",
            "heap-buffer-overflow",
        ),
        (
            "dy + (nc + r) * pixels + ij, tile.right",
            "dy + (nc + r) * pixels + ij, PAIR",
            "backward_kernel_v4<float, 7>",
            "heap-buffer-overflow",
        ),
        (
            "unit.exists && t < U::rows",
            "t < U::rows",
            "forward_v5<float, 7, 4, 4, 8, 8>",
            "heap-buffer-overflow",
        ),
        ("min(tap0 + t, taps - 1)", "tap0 + t", "backward_kernel_v3<float, 0>", "use-after-poison"),
    ],
    ids=[
        "reads beyond the image",
        "overflows an int",
        "reads pairs where rows are odd",
        "reads pairs from any address",
        "reads dy of pixels that are not there, v5",
        "reads dy of pixels that are not there, v4",
        "copies units that are not there",
        "reads beyond the tile",
    ],
)
def test_sanitizers_find_a_fault(
    right: str, wrong: str, name: str, found: str, tmp_path: Path
) -> None:
    source = cuda_source()
    assert right in source
    done = sanitized(
        tmp_path, source.replace(right, wrong), [name if "<" in name else f"{name}<float, 3>"]
    )
    assert done.returncode != 0
    assert found in done.stderr


def test_the_struct_of_sizes_is_the_one_in_the_source() -> None:
    source = cuda_source()
    body = source.partition("struct Sizes {")[2].partition("};")[0]
    members = [name for line in re.findall(r"int (.*?);", body) for name in line.split(", ")]
    sizes = struct_of_sizes(make_geometry((2, 4, 6, 5), 2, (3, 5), (2, 1), (1, 2)), 7)
    assert sizes.dtype.names == tuple(members)
    assert sizes.nbytes == 4 * len(members)
    assert sizes[0].item() == (2, 4, 6, 5, 2, 3, 5, 3, 5, 2, 1, 1, 2, 1, 4, 7)


def test_versions_are_the_ones_in_the_source() -> None:
    source = cuda_source()
    for version in VERSIONS:
        assert f"// {version.name}: " in source
        for task in TASKS:
            assert source.count(f"\n{task}_{version.name}(") == 1
    for version in fused.VERSIONS:
        assert source.count(f"\n{FUSED}_{version.name}(") == 1


def test_a_batch_recompiles_nothing() -> None:
    small, large = (make_geometry((n, 64, 56, 56), 4, 7) for n in (1, 64))
    for task in TASKS:
        for version in VERSIONS:
            name = plan(task, version, small, FLOAT).name
            assert name in all_names(task, version, FLOAT)
            assert plan(task, version, large, FLOAT).name == name


def best(task: str, geom: Geometry, limit: int, features: int = 0) -> Launch:
    versions = fused.VERSIONS if task == FUSED else VERSIONS
    return highest_that_fits(task, versions, geom, FLOAT, (limit, "here"), features)[1]


def test_the_best_version_is_the_highest_that_fits() -> None:
    plain = make_geometry((1, 64, 56, 56), 4, 7)
    assert best("forward", plain, 227 * 1024).name == "forward_v5<float, 7, 28, 8, 1, 16>"
    assert best("forward", plain, 163 * 1024).name == "forward_v4<float, 7>"  # two blocks do not
    assert best("forward", plain, 8 * 1024).name == "forward_v2<float, 7>"
    strided = make_geometry((1, 64, 56, 56), 4, 7, stride=2)
    assert best("forward", strided, 227 * 1024).name == "forward_v3<float, 7>"
    wide = make_geometry((1, 64, 300, 300), 4, 7, dilation=40)
    assert best("forward", wide, 227 * 1024).name == "forward_v1<float, 0>"


def test_too_many_pixels() -> None:
    geom = make_geometry((1, 1, 1, 5), 1, (1, 1), stride=2**30, padding=(2**29, 0))
    message = rf"^x has {2**30 + 1} x 5 pixels with its padding; need at most {MAX_IMAGE}"
    with pytest.raises(ValueError, match=message):
        plan("forward", V1, geom, FLOAT)


def test_the_blocks_of_a_launch() -> None:
    for results, blocks in ((256, 1), (257, 2), (2 * 255, 2)):
        geom = make_geometry((1, 1, 1, results), 1, 1)
        assert plan("forward", V1, geom, FLOAT).grid == blocks


def test_fusing_pays_where_features_are_few_and_the_tile_fits() -> None:
    """RedNet-50's first two stages, in float32; where its strides are, or for halves, not."""
    limit = 227 * 1024
    for channels, size, pays in [
        (64, 56, True),
        (128, 28, True),
        (256, 14, False),
        (512, 7, False),
    ]:
        geom = make_geometry((64, channels, size, size), channels // 16, 7)
        assert fusing_pays(geom, channels // 4, FLOAT, limit) == pays
        assert not fusing_pays(geom, channels // 4, HALF, limit)
    first = make_geometry((64, 64, 56, 56), 4, 7)
    assert not fusing_pays(first, 16, FLOAT, 48 * 1024)
    assert not fusing_pays(make_geometry((64, 64, 56, 56), 4, 7, stride=2), 16, FLOAT, limit)
    needed = plan(FUSED, F2, first, FLOAT, 16)
    assert best(FUSED, first, needed.shared, 16) == needed
    assert best(FUSED, first, needed.shared - 1, 16).name == f"{FUSED}_v1<float, 7>"
    with pytest.raises(
        ValueError, match=rf"^{FUSED}_v1<float, 7> needs \d+ bytes of shared memory"
    ):
        best(FUSED, first, 1, 16)


def test_a_version_says_what_it_does_not_take() -> None:
    needs = "need stride 1 and a square window of 3, 5, 7 without dilation"
    for options in ({"stride": 2}, {"dilation": 2}, {"window": (3, 5)}, {"window": 9}):
        geom = make_geometry((1, 4, 12, 13), 2, **{"window": 3, **options})  # type: ignore[arg-type]
        with pytest.raises(
            ValueError, match=rf"^version is v4 for Geometry\(.*\) in float32; {needs}$"
        ):
            plan("forward", V4, geom, FLOAT)
    full, few = (make_geometry((1, c, 12, 13), 1, 3) for c in (16, 8))
    huge = make_geometry((1, 16, 2**13, 2**12), 1, 3)
    for geom, dtype in ((few, FLOAT), (full, HALF), (full, np.dtype(np.float64)), (huge, FLOAT)):
        with pytest.raises(
            ValueError, match=r"float32, a multiple of 16 channels in a group, fewer"
        ):
            plan("forward", V5, geom, dtype)
    assert plan("forward", V5, full, FLOAT).name == "forward_v5<float, 3, 8, 7, 2, 16>"
