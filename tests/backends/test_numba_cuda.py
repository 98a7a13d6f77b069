"""Rung 4 without a GPU: right numbers in any order of threads, no race, the expected traffic."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import needs
import numpy as np
import pytest
from cuda_checks import TOLERANCES, operands_and_results
from fake_cuda import ORDERS, SOURCE, VERSIONS, Cuda, installed

import involution_edu as inv
from involution_edu.backends import numba_cuda
from involution_edu.backends.cuda import fused
from involution_edu.backends.cuda.versions import TASKS, Version
from involution_edu.bench import cuda_traffic as traffic
from involution_edu.cases import AWKWARD, random_operands, scaled_error
from involution_edu.geometry import make_geometry

V1, V2, V3 = VERSIONS
FLOAT, HALF = np.dtype(np.float32), np.dtype(np.float16)
MANY = "more channels in a group than a tile holds"
DILATED = "dilation (2, 1), 3x5, stride (3, 2)"
CASES = {**AWKWARD, MANY: make_geometry((1, 17, 5, 7), 1, (1, 3))}
# The kernels are the same for all dtypes, up to what they store and sum in.
RUNS = [(case, FLOAT) for case in CASES] + [
    (case, dtype) for case in ("plain 3x3", DILATED, MANY) for dtype in (np.dtype("f8"), HALF)
]


def check(task: str, version: Version, case: str, dtype: np.dtype[Any] = FLOAT) -> None:
    """Fail unless a version gives the right numbers on the ``cuda`` that is installed."""
    operands, results = operands_and_results(CASES[case], dtype)
    want = results[task]
    got = numba_cuda.launch(task, *operands[task], CASES[case], version)
    assert (got.shape, got.dtype) == (want.shape, dtype)
    error = scaled_error(got.astype(np.float64), want)
    assert error <= TOLERANCES[dtype], f"{task}_{version.name} is wrong by {error:.1e}"


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("case", "dtype"), RUNS, ids=str)
def test_every_version(case: str, dtype: np.dtype[Any], task: str) -> None:
    with installed(Cuda("shuffled")):
        for version in VERSIONS:
            check(task, version, case, dtype)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_the_order_of_the_threads_does_not_matter(version: Version, order: str) -> None:
    with installed(Cuda(order)):
        for task in TASKS:
            check(task, version, "stride 3, 7x7")


def test_nan_and_inf_arrive_where_the_equation_puts_them() -> None:
    """The padding is multiplied: Inf * 0 = NaN at the corner; dx reads no padding."""
    geom = make_geometry((1, 2, 5, 6), 1, 3)
    x, kernel, dy = (np.ones(s, FLOAT) for s in (geom.x_shape, geom.kernel_shape, geom.y_shape))
    kernel[0, 0, 0, 0, 0, 0] = dy[0, 1, 0, 0] = np.inf
    with installed(Cuda()):
        for version in VERSIONS:
            y = numba_cuda.launch("forward", x, kernel, geom, version)
            assert np.argwhere(np.isnan(y)).tolist() == [[0, 0, 0, 0], [0, 1, 0, 0]]
            dkernel = numba_cuda.launch("backward_kernel", dy, x, geom, version)
            assert np.isnan(dkernel[0, 0, :, :, 0, 0]).tolist() == [
                [True, True, True],
                [True, False, False],
                [True, False, False],
            ]
            dx = numba_cuda.launch("backward_input", dy, kernel, geom, version)
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
    case: str = "plain 3x3"
    order: str = "forward"
    caught: str = "is wrong by"
    dtype: np.dtype[Any] = FLOAT


WHOLE = "            cuda.syncthreads()  # the tile is whole\n"
FAULTS = {
    "no barrier after the tile is loaded": Fault(WHOLE, "", "forward", V2),
    "no barrier before the tile is replaced": Fault(
        "            cuda.syncthreads()  # all have read it: the next channels may take its place\n",
        "",
        "forward",
        V2,
    ),
    "threads outside the image leave before the barrier": Fault(
        WHOLE,
        "            if i >= H_out:\n                return\n" + WHOLE,
        "forward",
        V3,
        MANY,
        caught="some threads missed a barrier",
    ),
    "the tile is larger than its memory": Fault(
        "load(tile, dy, n, c0, count, i0, j0, rows, columns)",
        "load(tile, dy, n, c0, count, i0, j0, 9 * rows, columns)",
        "backward_input",
        V2,
        caught="out of bounds",
    ),
    "the column left of the image is read": Fault(
        "if 0 <= h < images.shape[2] and 0 <= w",
        "if 0 <= h < images.shape[2] and -1 <= w",
        "backward_kernel",
        V3,
        caught="is outside",
    ),
    "the last row of the image is taken for padding": Fault(
        "if 0 <= h < images.shape[2] and",
        "if 0 <= h < images.shape[2] - 1 and",
        "backward_kernel",
        V3,
    ),
    "threads beyond the results write": Fault(
        "        if n >= N:\n            return\n        g = c // (C // kernel.shape[1])\n"
        "        total = S(0)\n        for u in range(kernel.shape[2]):\n            i =",
        "        n %= N\n        g = c // (C // kernel.shape[1])\n"
        "        total = S(0)\n        for u in range(kernel.shape[2]):\n            i =",
        "backward_input",
        V1,
        caught="is written twice",
    ),
    "u and v swapped": Fault(
        "total += S(kernel[n, g, u, v, i, j]) * value",
        "total += S(kernel[n, g, v, u, i, j]) * value",
        "forward",
        V1,
    ),
    "u and v of dkernel swapped": Fault(
        "u, v = tap // K_w, tap % K_w", "v, u = tap // K_w, tap % K_w", "backward_kernel", V3
    ),
    "groups interleaved, c % G": Fault(
        "g = c // (C // kernel.shape[1])\n        total = S(0)\n"
        "        for u in range(kernel.shape[2]):\n            for",
        "g = c % kernel.shape[1]\n        total = S(0)\n"
        "        for u in range(kernel.shape[2]):\n            for",
        "forward",
        V1,
    ),
    "outputs between two strides": Fault(
        " and i * stride == top", "", "backward_input", V3, "stride 3, 7x7",
        caught="is wrong by|is outside",
    ),
    "the column's stride is the row's": Fault(
        "j0 = -((reach_w - left - padding[1]) // stride[1])",
        "j0 = -((reach_w - left - padding[1]) // stride[0])",
        "backward_input",
        V3,
        "stride (1, 2)",
        caught="is wrong by|is outside|out of bounds",
    ),
    "sums of the channels before are kept": Fault(
        "                for r in range(CHANNELS):\n                    sums[r] = 0\n"
        "                for u in range(K_h):\n                    row",
        "                for r in range(CHANNELS):\n"
        "                    sums[r] = 0 if c0 == g * C_g else sums[r]\n"
        "                for u in range(K_h):\n                    row",
        "forward",
        V3,
        MANY,
    ),
    "half precision summed in half": Fault(
        "        total = S(0)\n        for c in range", "        total = np.float16(0)\n"
        "        S = np.float16\n        for c in range", "backward_kernel", V1, MANY, dtype=HALF,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults_are_caught(name: str) -> None:
    """By the very check that the unharmed source passes in `test_every_version`."""
    fault = FAULTS[name]
    source = SOURCE.read_text(encoding="utf-8")
    assert source.count(fault.right) == 1
    wrong = source.replace(fault.right, fault.wrong).replace(
        "from numba import cuda\n", "import numpy as np\nfrom numba import cuda\n"
    )
    with (
        installed(Cuda(fault.order), wrong),
        pytest.raises((AssertionError, RuntimeError), match=fault.caught),
    ):
        check(fault.task, fault.version, fault.case, fault.dtype)


def test_a_tile_too_large_for_numba() -> None:
    """Numba has 48 KiB of shared memory: a lower version runs, unless a higher one is named."""
    geom = make_geometry((1, 8, 8, 8), 1, 7, dilation=15)
    x, kernel, _ = random_operands(geom, np.float64, seed=1)
    needs = r"^forward_v3<double, 0> needs \d+ bytes of shared memory for Geometry\(N=1, C=8"
    with installed(Cuda()):
        with pytest.raises(ValueError, match=needs + r".*; need at most 49152 in Numba: use an e"):
            numba_cuda.launch("forward", x, kernel, geom, V3)
        y = numba_cuda.forward(x, kernel, geom)
    assert scaled_error(y, inv.involution(x, kernel, dilation=15, backend="shifts")) <= 1e-12


@needs.compiler
def test_the_traffic_is_that_of_the_same_versions_in_cuda(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every read and write of either memory, so that one table of versions holds for both."""
    geom = make_geometry((1, 6, 7, 9), 1, 3, stride=(2, 1))
    operands, _ = operands_and_results(geom, FLOAT)
    monkeypatch.setattr(traffic, "VERSIONS", VERSIONS)
    monkeypatch.setattr(fused, "VERSIONS", ())  # there is none in Python
    with installed(cuda := Cuda()):
        rows = {(t.task, t.version): t for t in traffic.measure(geom)}
        for task in TASKS:
            for version in VERSIONS:
                cuda.counts.clear()
                result = numba_cuda.launch(task, *operands[task], geom, version)
                t = rows[task, version.name]
                want = t.global_reads, t.global_writes, t.shared_reads, t.shared_writes
                kinds = "global read", "global written", "shared read", "shared written"
                assert tuple(cuda.counts[kind] / result.size for kind in kinds) == want


def test_under_the_simulator_of_numba() -> None:
    """It is meant for people with a debugger; here, every version on a few small cases."""
    code = """
import numpy as np
import involution_edu as inv
from involution_edu.verify import doctor
from involution_edu.backends import LADDER, loops, numba_cuda, select
from involution_edu.cases import random_operands, scaled_error
from involution_edu.geometry import make_geometry
for geom in (
    make_geometry((1, 4, 5, 2), 2, 3, stride=2),
    make_geometry((2, 2, 2, 3), 1, 5),
    make_geometry((1, 2, 3, 4), 1, (1, 3), dilation=(1, 2)),
):
    x, kernel, dy = random_operands(geom, "f8", seed=1)
    for version in numba_cuda.VERSIONS:
        for task, a, b in (
            ("forward", x, kernel), ("backward_input", dy, kernel), ("backward_kernel", dy, x)
        ):
            got = numba_cuda.launch(task, a, b, geom, version)
            assert scaled_error(got, getattr(loops, task)(a, b, geom)) <= 1e-12, (version, task)
y = inv.involution(x, kernel, dilation=(1, 2), backend="numba_cuda")
assert scaled_error(y, loops.forward(x, kernel, geom)) <= 1e-12
with inv.use_backend("numba_cuda"):
    np.testing.assert_array_equal(inv.involution(x, kernel, dilation=(1, 2)), y)
print(select("auto").__name__)
assert doctor.examine().text().count("runs in a simulator and agrees with the loops") == 1
try:
    select("auto", "cupy")
except inv.BackendUnavailable as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"},
    )
    assert done.returncode == 0, done.stderr
    auto, gpu = done.stdout.splitlines()
    assert auto == "involution_edu.backends.numba_cpu"
    assert gpu.startswith("backend 'cupy' cannot run here: ")
