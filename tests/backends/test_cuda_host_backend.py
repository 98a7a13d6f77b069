"""The backend ``cuda_host``: the CUDA source on NumPy arrays, by name only."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import needs
import numpy as np
import pytest
from checks import definition, run

import involution_edu as inv
from involution_edu.backends import LADDER, cuda_host, select
from involution_edu.cases import AWKWARD, TOLERANCE, operator_options, random_operands, scaled_error
from involution_edu.verify.on_numpy import on_numpy, simulated

GEOM = AWKWARD["stride 2, odd sizes"]


@needs.compiler
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", ["cuda_host", "cuda_host:v1", "cuda_host:v3"])
def test_the_operator(name: str, dtype: np.dtype[Any]) -> None:
    operands = random_operands(GEOM, dtype, seed=1)
    want = definition(operands, GEOM)
    with inv.use_backend(name):
        got = run("auto", operands, operator_options(GEOM))
    for tensor, result in got.items():
        assert result.dtype == dtype
        assert scaled_error(result, want[tensor]) <= TOLERANCE[dtype], tensor


@needs.compiler
def test_no_images() -> None:
    x, kernel, _ = (a[:0] for a in random_operands(GEOM, "f4", seed=1))
    assert inv.involution(x, kernel, stride=2, backend="cuda_host").shape[0] == 0


@needs.compiler
def test_threads_take_turns() -> None:
    x, kernel, _ = random_operands(GEOM, "f4", seed=1)
    want = inv.involution(x, kernel, stride=2, backend="loops")
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(
            lambda _: inv.involution(x, kernel, stride=2, backend="cuda_host"), range(8)
        )
        assert max(scaled_error(y, want) for y in found) <= TOLERANCE[np.dtype("f4")]


@needs.compiler
def test_compare_takes_it_for_small_sizes_only() -> None:
    assert on_numpy("cuda_host").forward is cuda_host.forward
    assert simulated("cuda_host:v3")
    assert not simulated("shifts")


def test_it_is_never_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "cuda_host" not in [rung.name for rung in LADDER]
    assert select("auto").forward is not cuda_host.forward
    monkeypatch.setattr(cuda_host, "unavailable", lambda: "g++ is not installed")
    with pytest.raises(inv.BackendUnavailable, match=r"'cuda_host' cannot run here: g\+\+ is not"):
        inv.involution(*random_operands(GEOM, "f4", seed=1)[:2], stride=2, backend="cuda_host")
