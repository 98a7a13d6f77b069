"""Both rungs on a GPU: every version against the processor. ``pytest -m gpu``."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import needs
import numpy as np
import pytest
from checks import definition, run
from cuda_checks import (
    ALL_NAMES,
    CASES,
    FUSED_NAMES,
    TOLERANCES,
    at_odd_offset,
    fused_operands_and_result,
    operands_and_results,
)

import involution_edu as inv
from involution_edu.arrays import Array
from involution_edu.backends import cupy_raw, fusing, numba_cuda
from involution_edu.backends.cuda import fused
from involution_edu.backends.cuda.versions import VERSIONS, Version, plan
from involution_edu.bench import presets
from involution_edu.bench.run import run_benchmark
from involution_edu.cases import AWKWARD, operator_options, random_operands, scaled_error
from involution_edu.geometry import Geometry, make_geometry

needs.skip_file_without_gpu()
needs_cupy = needs.gpu_for("cupy")
BOTH = [pytest.param(name, marks=needs.gpu_for(name)) for name in ("cupy", "numba_cuda")]
LAUNCHERS: dict[str, tuple[Any, tuple[Version, ...]]] = {
    "cupy": (cupy_raw, VERSIONS),
    "numba_cuda": (numba_cuda, numba_cuda.VERSIONS),
}
pytestmark = pytest.mark.gpu
GEOM = AWKWARD["stride 2, odd sizes"]
SMALL = GEOM, make_geometry((1, 20, 33, 45), 1, 7), make_geometry((2, 32, 9, 10), 2, 3)


@needs_cupy
@pytest.mark.parametrize("name", [*ALL_NAMES, *FUSED_NAMES])
def test_it_compiles(name: str) -> None:
    cupy_raw._function(name, 0)


def check_in_cpp(
    geom: Geometry, dtype: Any, placed: Callable[[Array], Any] | None = None, features: int = 5
) -> None:
    """Fail unless every version in C++ is right, on operands ``placed`` on the GPU."""
    import cupy

    dtype, placed = np.dtype(dtype), placed or cupy.asarray
    operands, results = operands_and_results(geom, dtype)
    for task, want in results.items():
        a, b = map(placed, operands[task])
        for version in filter(lambda version: version.takes(geom, dtype), VERSIONS):
            got = cupy.asnumpy(cupy_raw.launch(task, a, b, geom, version)).astype(np.float64)
            assert scaled_error(got, want) <= TOLERANCES[dtype], f"{task}_{version.name}"
    made_of, want = fused_operands_and_result(geom, features, dtype)
    x, made, weight, bias = map(placed, made_of)
    for version in filter(lambda version: version.takes(geom, dtype), fused.VERSIONS):
        got = cupy.asnumpy(cupy_raw.generate_and_apply(x, made, weight, bias, geom, version))
        assert scaled_error(got.astype(np.float64), want) <= TOLERANCES[dtype], version.name


@needs_cupy
@pytest.mark.parametrize("geom", SMALL, ids=str)
def test_small_cases(geom: Geometry) -> None:
    """Run by gpu_check under NVIDIA's tools; without CuPy's pool, they know where arrays end."""
    import cupy

    with cupy.cuda.using_allocator(None):
        check_in_cpp(geom, np.float32)


@needs_cupy
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("geom", SMALL, ids=str)
@pytest.mark.parametrize("where", ["odd offset", "non-blocking stream", "second thread"])
def test_memory_streams_and_threads(where: str, geom: Geometry, dtype: Any) -> None:
    import cupy

    def placed_oddly(a: Array) -> Any:
        memory = cupy.asarray(at_odd_offset(a).base)
        return memory[1:].reshape(a.shape)

    stream = cupy.cuda.Stream(non_blocking=True) if "stream" in where else nullcontext()
    placed = placed_oddly if where == "odd offset" else None
    with stream, ThreadPoolExecutor(1) as pool:
        if where == "second thread":
            pool.submit(check_in_cpp, geom, dtype).result()
        else:
            check_in_cpp(geom, dtype, placed)


@needs_cupy
def test_no_images() -> None:
    import cupy

    x, kernel = cupy.zeros((0, 16, 9, 10), "f4"), cupy.zeros((0, 1, 7, 7, 9, 10), "f4")
    y = inv.involution(x, kernel)
    dx, dkernel = inv.involution_backward(y, x, kernel)
    assert (y.shape, dx.shape, dkernel.shape) == (x.shape, x.shape, kernel.shape)


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", BOTH)
def test_every_version(name: str, case: str, dtype: np.dtype[Any]) -> None:
    import cupy

    geom = CASES[case]
    rung, versions = LAUNCHERS[name]
    operands, results = operands_and_results(geom, dtype)
    for task, want in results.items():
        a, b = map(cupy.asarray, operands[task])
        for version in filter(lambda version: version.takes(geom, dtype), versions):
            if (
                rung is numba_cuda
                and plan(task, version, geom, dtype).shared > numba_cuda.MAX_SHARED
            ):
                continue  # it says so, as is tested without a GPU
            got = cupy.asnumpy(rung.launch(task, a, b, geom, version))
            error = scaled_error(got.astype(np.float64), want)
            assert error <= TOLERANCES[dtype], f"{task}_{version.name} is wrong by {error:.1e}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("backend", BOTH)
def test_any_layout_on_any_stream(backend: str, dtype: Any) -> None:
    import cupy

    plain = random_operands(GEOM, dtype, seed=1)
    with cupy.cuda.Stream(non_blocking=True) as stream:
        operands = tuple(cupy.asarray(a.T).T for a in plain)
        got = run(backend, operands, operator_options(GEOM))
        stream.synchronize()
    for name, want in definition(plain, GEOM).items():
        assert isinstance(got[name], cupy.ndarray)
        assert scaled_error(cupy.asnumpy(got[name]), want) <= TOLERANCES[np.dtype(dtype)]


@needs_cupy
def test_another_size_compiles_nothing() -> None:
    import cupy

    x, kernel, _ = (cupy.asarray(a) for a in random_operands(GEOM, "f4", seed=1))
    inv.involution(x, kernel, stride=2)
    before = cupy_raw._function.cache_info().misses
    inv.involution(*(cupy.concatenate([a, a]) for a in (x, kernel)), stride=2)
    assert cupy_raw._function.cache_info().misses == before


@needs_cupy
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_fused(case: str, dtype: np.dtype[Any]) -> None:
    import cupy

    operands, want = fused_operands_and_result(CASES[case], 5, dtype)
    x, features, weight, bias = map(cupy.asarray, operands)
    for version in filter(lambda version: version.takes(CASES[case], dtype), fused.VERSIONS):
        got = cupy.asnumpy(
            cupy_raw.generate_and_apply(x, features, weight, bias, CASES[case], version)
        )
        error = scaled_error(got.astype(np.float64), want)
        assert error <= TOLERANCES[dtype], f"{version.name} is wrong by {error:.1e}"


@needs_cupy
def test_a_layer_that_generates_and_applies_at_once() -> None:
    import cupy

    layer = inv.nn.Involution2d(64, 7, rng=0).eval()
    x = np.random.default_rng(1).standard_normal((2, 64, 28, 30)).astype(np.float32)
    want = layer(x)
    on_gpu = cupy.asarray(x)
    assert fusing(on_gpu, make_geometry(x.shape, 4, 7), features=16) is cupy_raw
    got = cupy.asnumpy(layer.to("cupy")(on_gpu))
    assert scaled_error(got, want) <= 2e-6  # two sums one after the other


@needs_cupy
def test_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    """On small images: that it runs; a GPU that is busy or shared has no bounds to hold."""
    small = replace(presets.PRESETS["gpu"], shapes=(presets.square(2, 64, 14, 7),))
    monkeypatch.setitem(presets.PRESETS, "gpu", small)
    record = run_benchmark("gpu", rounds=1, date="2026-01-01")
    assert record.ok
    present = {"cupy:v1", "cupy fused", "cupy unfused"}
    assert present <= {m.contender for m in record.measurements if 0 < m.ms < 1000}
    assert 1 < record.peak("copy") < 100_000
