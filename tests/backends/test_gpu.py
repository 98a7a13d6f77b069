"""Both rungs on a GPU: every version against the processor. ``pytest -m gpu``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import needs
import numpy as np
import pytest
from checks import definition, run
from cuda_checks import (
    CASES,
    TOLERANCES,
    fused_operands_and_result,
    operands_and_results,
)

import involution_edu as inv
from involution_edu.backends import cupy_raw, fusing, numba_cuda
from involution_edu.backends.cuda import fused
from involution_edu.backends.cuda.versions import VERSIONS, Version, plan
from involution_edu.bench import presets
from involution_edu.bench.run import run_benchmark
from involution_edu.cases import AWKWARD, operator_options, random_operands, scaled_error
from involution_edu.geometry import make_geometry

needs.skip_file_without_gpu()
needs_cupy = needs.gpu_for("cupy")
BOTH = [pytest.param(name, marks=needs.gpu_for(name)) for name in ("cupy", "numba_cuda")]
LAUNCHERS: dict[str, tuple[Any, tuple[Version, ...]]] = {
    "cupy": (cupy_raw, VERSIONS),
    "numba_cuda": (numba_cuda, numba_cuda.VERSIONS),
}
pytestmark = pytest.mark.gpu
GEOM = AWKWARD["stride 2, odd sizes"]


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
