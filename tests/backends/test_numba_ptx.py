"""Rung 4 through Numba's compiler, which needs no GPU: registers, not memory, and no surprises.

PTX is the assembler that NVIDIA's driver turns into machine code.
"""

from __future__ import annotations

import importlib
import re
from types import SimpleNamespace
from typing import Any

import needs
import numpy as np
import pytest

from involution_edu.backends import numba_cuda
from involution_edu.backends.cuda.versions import STORAGE, TASKS, Version
from involution_edu.backends.numba_cuda import VERSIONS

FLOAT = np.dtype(np.float32)
V1, _, V3 = VERSIONS
# In float32 for both; the other dtypes once, for the front end is the same and it takes seconds.
RUNS = [(FLOAT, (8, 0))] + [(dtype, (9, 0)) for dtype in STORAGE]


def absent() -> str | None:
    """Return None, or why nothing can be compiled here."""
    try:
        from numba import cuda

        cuda.compile_ptx(lambda: None, (), cc=(9, 0))
    except Exception as error:  # noqa: BLE001 - whatever stops it is the reason
        return f"no NVVM ({type(error).__name__}): {numba_cuda.INSTALL}"
    return None


REASON = absent()
pytestmark = needs.mark("NVVM, Numba's compiler for GPUs", REASON, REASON)


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba asks the GPU at hand for what to compile functions that kernels call."""
    dispatcher = importlib.import_module("numba.cuda.dispatcher")
    gpu = SimpleNamespace(compute_capability=(9, 0))
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: gpu)


def ptx_of(task: str, version: Version, dtype: np.dtype[Any], cc: tuple[int, int]) -> str:
    from numba import cuda, from_dtype, types

    cuda_kernel = numba_cuda._cuda_kernel(task, version, dtype, (7, 7))
    four, six = (types.Array(from_dtype(dtype), axes, "C") for axes in (4, 6))
    arrays = {
        "forward": (four, six, four),
        "backward_input": (four, six, four),
        "backward_kernel": (four, four, six),
    }
    pair = types.UniTuple(types.int64, 2)
    ptx, _ = cuda.compile_ptx(cuda_kernel.py_func, (*arrays[task], pair, pair, pair), cc=cc)
    return str(ptx)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize(("dtype", "cc"), RUNS, ids=str)
def test_every_version(
    task: str, version: Version, dtype: np.dtype[Any], cc: tuple[int, int]
) -> None:
    ptx = ptx_of(task, version, dtype, cc)
    assert f".target sm_{cc[0]}{cc[1]}" in ptx
    assert ".local" not in ptx, "the sums of a thread are in memory, not in registers"
    assert (".f64" in ptx) == (dtype == np.float64), "Python's floats are doubles"
    index = r"mul\.wide\.[su]32\s+%rd\d+, %r\d+, %r\d+" if version is V1 else "bar.sync"
    assert re.findall(index, ptx), "the number of a thread has 32 bits, or nothing waits"
    if task == "backward_kernel" and version is V3:
        assert ptx.count("fma.rn.f") == 49  # the whole window unrolled


def test_sums_in_memory_are_seen() -> None:
    """An index that is known only when the kernel runs needs memory, which has addresses."""
    from numba import cuda, types

    def wrong(y: Any, r: int) -> None:
        sums = cuda.local.array(16, np.float32)
        for k in range(16):
            sums[k] = y[k]
        y[0] = sums[r]

    ptx, _ = cuda.compile_ptx(wrong, (types.float32[::1], types.int64), cc=(9, 0))
    assert ".local" in ptx
