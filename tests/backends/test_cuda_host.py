"""The CUDA source run on the processor: right numbers, no race, no access out of bounds."""

from __future__ import annotations

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
)

from involution_edu.backends.cuda import emulator, fused
from involution_edu.backends.cuda.fused import fusing_pays
from involution_edu.backends.cuda.versions import (
    MAX_IMAGE,
    TASKS,
    VERSIONS,
    Launch,
    Version,
    cuda_source,
    highest_that_fits,
    name_expression,
    plan,
    struct_of_sizes,
)
from involution_edu.geometry import Geometry, make_geometry

V1, V2, V3, V4 = VERSIONS
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
            if CASES[case].N and version.takes(CASES[case]):
                check_on_host(program, task, version, CASES[case], dtype)
    for version in fused.VERSIONS:
        if CASES[case].N and version.takes(CASES[case]):
            check_fused_on_host(program, version, CASES[case], dtype)


@needs.compiler
@pytest.mark.parametrize("features", [1, 16, 33])
def test_fused_from_any_number_of_features(features: int, program: emulator.Program) -> None:
    for version in fused.VERSIONS:
        geom = CASES["33x45, two groups of 4, 5x5"]
        check_fused_on_host(program, version, geom, FLOAT, features, ("shuffled",))


@needs.compiler
def test_nan_and_inf_arrive_where_the_equation_puts_them(program: emulator.Program) -> None:
    """The padding is multiplied: Inf * 0 = NaN at the corner; dx reads no padding."""
    geom = make_geometry((1, 2, 5, 6), 1, 3)
    x, kernel = np.ones(geom.x_shape, FLOAT), np.ones(geom.kernel_shape, FLOAT)
    dy, sizes = np.ones(geom.y_shape, FLOAT), struct_of_sizes(geom)
    kernel[0, 0, 0, 0, 0, 0] = dy[0, 1, 0, 0] = np.inf
    other = np.ones(geom.x_shape, FLOAT)
    other[0, 1, 2, 3] = np.inf  # reaches the nine windows that hold it, and no neighbour
    for version in VERSIONS:
        y = emulator.empty_result("forward", geom, FLOAT)
        plain = np.ones_like(kernel)
        program.run(plan("forward", version, geom, FLOAT), other, plain, y, sizes)
        assert not np.isnan(y).any()
        assert np.argwhere(np.isinf(y)).tolist() == [
            [0, 1, i, j] for i in (1, 2, 3) for j in (2, 3, 4)
        ]
        program.run(plan("forward", version, geom, FLOAT), x, kernel, y, sizes)
        assert np.argwhere(np.isnan(y)).tolist() == [[0, 0, 0, 0], [0, 1, 0, 0]]
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
        "    load(tile, dy + nc * pixels, count, i0, j0, rows, columns, s.H_out, s.W_out);",
        "    load(tile, dy + nc * pixels, count, i0, j0, rows + 1, columns, s.H_out, s.W_out);",
        "backward_input",
        V2,
        caught="wrote beyond its shared memory",
    ),
    "the last row of the image is taken for padding": Fault(
        "rows;\n    const bool inside = 0 <= h && h < H",
        "rows;\n    const bool inside = 0 <= h && h < H - 1",
        "backward_kernel", V3,
    ),
    "rows and columns of x swapped": Fault(
        "tile[t] = images[(image * H + h) * W + w]", "tile[t] = images[(image * W + w) * H + h]",
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
    "outputs between two strides": Fault(
        "top % stride == 0 && ", "", "backward_input", V3, "33x45, 7x7, stride 2"
    ),
    "the column's stride is the row's": Fault(
        "j0 = first_output(at.column + s.p_w - reach_w, s.s_w)",
        "j0 = first_output(at.column + s.p_w - reach_w, s.s_h)",
        "backward_input",
        V3,
        "33x45, 3x5, stride (2, 1), dilation (1, 3)",
    ),
    "half precision summed in half": Fault(
        "Sum<__half> { using type = float; };", "Sum<__half> { using type = __half; };",
        "forward", V3, dtype=HALF,
    ),
    "every channel of a group of 20 after the 16th takes the first 16's x": Fault(
        "load(tile, x + nc * s.H * s.W, count, h0, w0, rows, columns, s.H, s.W);\n"
        "    __syncthreads();  // the tile is whole",
        "load(tile, x + at.ng * C_g * s.H * s.W, count, h0, w0, rows, columns, s.H, s.W);\n"
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
    "entries of the pixel that is not there": Fault(
        "q < count ? static_cast<A>(from[v * step + q]) : A(0)", "static_cast<A>(from[v * step])",
        "forward", V4,
    ),
    "the mirrored window turned over one axis only": Fault(
        "(K - 1 - u) * K + K - 1 - v", "(K - 1 - u) * K + v", "backward_input", V4,
    ),
    "the gap between rows of pairs left out of the size of the tile": Fault(
        "pitch = columns + (wide < 16 ? gap : 0);", "pitch = columns + gap + 2;", "forward", V4,
        caught="wrote beyond its shared memory",
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
        ("columns % PAIR == 0 && address", "address", "backward_kernel_v4", "misaligned address"),
    ],
    ids=["reads beyond the image", "overflows an int", "reads pairs where rows are odd"],
)
def test_sanitizers_find_a_fault(
    right: str, wrong: str, name: str, found: str, tmp_path: Path
) -> None:
    source = cuda_source()
    assert right in source
    done = sanitized(tmp_path, source.replace(right, wrong), [f"{name}<float, 3>"])
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
            name = name_expression(task, version, FLOAT, 7)
            assert plan(task, version, small, FLOAT).name == name
            assert plan(task, version, large, FLOAT).name == name


def best(task: str, geom: Geometry, limit: int, features: int = 0) -> Launch:
    versions = fused.VERSIONS if task == FUSED else VERSIONS
    return highest_that_fits(task, versions, geom, FLOAT, (limit, "here"), features)[1]


def test_the_best_version_is_the_highest_that_fits() -> None:
    plain = make_geometry((1, 64, 56, 56), 4, 7)
    assert best("forward", plain, 48 * 1024).name == "forward_v4<float, 7>"
    assert best("forward", plain, 40 * 1024).name == "forward_v3<float, 7>"
    assert best("forward", plain, 8 * 1024).name == "forward_v2<float, 7>"
    wide = make_geometry((1, 64, 300, 300), 4, 7, dilation=40)
    assert best("forward", wide, 227 * 1024).name == "forward_v1<float, 0>"


def test_too_many_pixels() -> None:
    geom = make_geometry((1, 1, 1, 5), 1, (1, 1), stride=2**30, padding=(2**29, 0))
    message = rf"^x has {2**30 + 1} x 5 pixels with its padding; need at most {MAX_IMAGE}"
    with pytest.raises(ValueError, match=message):
        plan("forward", V1, geom, FLOAT)


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
        with pytest.raises(ValueError, match=rf"^version is v4 for Geometry\(.*\); {needs}$"):
            plan("forward", V4, geom, FLOAT)
