"""The CUDA source on a GPU: every version against the processor. ``pytest -m gpu``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from checks import definition, run
from cuda_checks import CASES, TOLERANCES, operands_and_results

import involution_edu as inv
from involution_edu.backends import cupy_raw
from involution_edu.backends.cuda_versions import VERSIONS
from involution_edu.cases import AWKWARD, operator_options, random_operands, scaled_error

REASON = cupy_raw.unavailable()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(REASON is not None, reason=f"cupy: {REASON}"),
]
GEOM = AWKWARD["stride 2, odd sizes"]


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_every_version(case: str, dtype: np.dtype[Any]) -> None:
    import cupy

    geom = CASES[case]
    operands, results = operands_and_results(geom, dtype)
    for task, want in results.items():
        a, b = map(cupy.asarray, operands[task])
        for version in VERSIONS:
            got = cupy.asnumpy(cupy_raw.launch(task, a, b, geom, version))
            error = scaled_error(got.astype(np.float64), want)
            assert error <= TOLERANCES[dtype], f"{task}_{version.name} is wrong by {error:.1e}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_layout_on_any_stream(dtype: Any) -> None:
    import cupy

    plain = random_operands(GEOM, dtype, seed=1)
    with cupy.cuda.Stream(non_blocking=True) as stream:
        operands = tuple(cupy.asarray(a.T).T for a in plain)
        got = run("auto", operands, operator_options(GEOM))
        stream.synchronize()
    for name, want in definition(plain, GEOM).items():
        assert isinstance(got[name], cupy.ndarray)
        assert scaled_error(cupy.asnumpy(got[name]), want) <= TOLERANCES[np.dtype(dtype)]


def test_another_size_compiles_nothing() -> None:
    import cupy

    x, kernel, _ = (cupy.asarray(a) for a in random_operands(GEOM, "f4", seed=1))
    inv.involution(x, kernel, stride=2)
    before = cupy_raw._function.cache_info().misses
    inv.involution(*(cupy.concatenate([a, a]) for a in (x, kernel)), stride=2)
    assert cupy_raw._function.cache_info().misses == before
