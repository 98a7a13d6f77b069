"""Rung 4 on CuPy arrays: launched in place, chosen by name, and why it cannot run."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fake_cupy
import numba
import numpy as np
import pytest
from checks import definition, run
from cuda_checks import TOLERANCES
from fake_cuda import Cuda, CudaOnGpu, installed

import involution_edu as inv
from involution_edu.backends import cupy_raw, numba_cuda, select
from involution_edu.cases import AWKWARD, operator_options, random_operands, scaled_error
from involution_edu.verify import doctor

GEOM = AWKWARD["stride 2, odd sizes"]
OPTIONS = operator_options(GEOM)
NO_NVRTC = "no NVRTC"


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """CuPy on two GPUs; on the current stream of either, 7, nothing has to wait."""
    fake = fake_cupy.make(tmp_path)
    monkeypatch.setattr(fake_cupy.ndarray, "copies", [])
    fake.cuda.get_current_stream = lambda: SimpleNamespace(ptr=7)
    monkeypatch.setitem(sys.modules, "cupy", fake)
    known = cupy_raw.unavailable, numba_cuda.unavailable, numba_cuda._cuda
    for reason in known:
        reason.cache_clear()
    yield fake
    for reason in known:
        reason.cache_clear()


@pytest.fixture
def cuda(cupy: Any) -> Iterator[CudaOnGpu]:
    with installed(cuda := CudaOnGpu()):
        yield cuda


def on_gpu(dtype: Any = np.float32, gpu: int = 0) -> tuple[Any, Any, Any]:
    x, kernel, dy = random_operands(GEOM, dtype, seed=1)
    return tuple(fake_cupy.asarray(a, gpu=gpu) for a in (x, kernel, dy))


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_the_operator_on_gpu_arrays(dtype: np.dtype[Any], cuda: CudaOnGpu) -> None:
    operands = on_gpu(dtype, gpu=1)
    got: Any = run("numba_cuda", operands, OPTIONS)
    x, kernel, dy = (a.host.astype(np.float64) for a in operands)
    want = definition((x, kernel, dy), GEOM)
    for name, result in got.items():
        assert type(result) is fake_cupy.ndarray
        assert result.device == fake_cupy.Device(1)
        assert result.dtype == dtype
        error = scaled_error(result.host.astype(np.float64), want[name])
        assert error <= TOLERANCES[dtype], name
    assert (cuda.streams, fake_cupy.ndarray.copies) == ([7, 7, 7], [])
    assert (fake_cupy.Device.current, cuda.gpus.current) == (0, None)


@pytest.mark.usefixtures("cuda")
def test_any_layout_and_no_images() -> None:
    operands = on_gpu()
    turned = tuple(fake_cupy.asarray(a.host.T).T for a in operands)
    assert not turned[0].flags.c_contiguous
    want: Any = run("numba_cuda", operands, OPTIONS)
    got: Any = run("numba_cuda", turned, OPTIONS)
    for name, result in got.items():
        np.testing.assert_array_equal(result.host, want[name].host)
    empty = tuple(a[:0] for a in operands)
    for name, result in run("numba_cuda", empty, OPTIONS).items():
        assert result.shape == (0, *want[name].shape[1:])


@pytest.mark.usefixtures("cuda")
def test_auto_takes_it_only_where_the_rung_above_cannot_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert select("auto", "cupy").forward is cupy_raw.forward
    monkeypatch.setattr(cupy_raw, "unavailable", lambda: NO_NVRTC)
    assert select("auto", "cupy").forward is numba_cuda.forward
    monkeypatch.setattr(numba_cuda, "simulated", lambda: True)
    with pytest.raises(inv.BackendUnavailable, match=rf"^backend 'cupy' .*: {NO_NVRTC}$"):
        select("auto", "cupy")


@pytest.mark.usefixtures("cuda")
def test_a_failed_launch_names_the_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("CUDA_ERROR_LAUNCH\nOUT_OF_RESOURCES")

    monkeypatch.setattr(CudaOnGpu, "external_stream", refuse)
    sizes = r"Launch\(name='forward_v3<float, 3>', grid=\d+, .*N=2, C=4, H=7, W=9"
    with pytest.raises(RuntimeError, match=rf"^{sizes}.*: CUDA_ERROR_LAUNCH OUT_OF_RESOURCES$"):
        inv.involution(*on_gpu()[:2], stride=2, backend="numba_cuda")


@pytest.mark.usefixtures("cuda")
def test_doctor_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cupy_raw, "unavailable", lambda: NO_NVRTC)  # nor need g++ take its place
    assert doctor.examine().backends["numba_cuda"] is None
    monkeypatch.setattr(numba_cuda, "forward", lambda x, *_: x - x)
    wrong = "gives wrong numbers, off by 1.0e+00: involution-edu compare --backends numba_cuda shows where"
    assert doctor.examine().backends["numba_cuda"] == wrong


CPU_X, CPU_KERNEL, CPU_DY = random_operands(GEOM, np.float32, seed=1)


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"x": CPU_X, "kernel": CPU_KERNEL, "dy": CPU_DY},
            r"x is a NumPy array; need a CuPy array for backend 'numba_cuda', such as .*",
        ),
        (
            {"kernel": CPU_KERNEL},
            r"kernel is a NumPy array; need a CuPy array, as x is, such as .*",
        ),
        ({"dy": on_gpu(gpu=1)[2]}, r"dy is on <CUDA Device 1>; need <CUDA Device 0>, where x is"),
        ({"x": on_gpu(int)[0]}, r"x has dtype int64; need float16, float32 or float64"),
        ({"dy": on_gpu(np.float16)[2]}, r"dy has dtype float16; need float32, the dtype of x"),
    ],
)
def test_the_wrong_kind_of_array(arguments: dict[str, Any], message: str) -> None:
    x, kernel, dy = on_gpu()
    options: dict[str, Any] = {"dy": dy, "x": x, "kernel": kernel, "stride": 2, **arguments}
    with pytest.raises((TypeError, ValueError), match=f"^{message}$"):
        inv.involution_backward(**options, backend="numba_cuda")


def test_half_precision_is_for_gpus_even_under_the_simulator() -> None:
    x, kernel, _ = (a.astype(np.float16) for a in (CPU_X, CPU_KERNEL, CPU_DY))
    with (
        installed(Cuda()),
        pytest.raises(TypeError, match=r"^x has dtype float16; need float32 or float64$"),
    ):
        inv.involution(x, kernel, stride=2, backend="numba_cuda")


def no_numba_cuda() -> Any:
    return None  # in sys.modules, import takes it for absent


def no_driver() -> Any:
    return SimpleNamespace(is_available=lambda: False, cuda_error=lambda: "no\n libcuda")


def no_compiler() -> Any:
    return SimpleNamespace(is_available=lambda: False, cuda_error=lambda: None)


def refuses_to_compile() -> Any:
    def jit(signature: str) -> Any:
        raise OSError("CUDA_ERROR_UNSUPPORTED\n_PTX_VERSION")

    return SimpleNamespace(is_available=lambda: True, jit=jit)


INSTALL = r"pip install 'numba-cuda\[cu13\]'"


@pytest.mark.parametrize(
    ("lack", "reason"),
    [
        (no_numba_cuda, rf"numba\.cuda cannot be imported \(.*\): {INSTALL}"),
        (no_driver, rf"numba\.cuda cannot use the GPU \(no libcuda\): {INSTALL}"),
        (no_compiler, rf"numba\.cuda cannot use the GPU \(no NVVM, Numba's compiler\): {INSTALL}"),
        (refuses_to_compile, rf"numba\.cuda cannot compile .* \(CUDA_ERROR_U.*\): {INSTALL}"),
    ],
)
@pytest.mark.usefixtures("cupy")
def test_why_it_cannot_run(
    lack: Callable[[], Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(numba, "cuda", raising=False)
    monkeypatch.setitem(sys.modules, "numba.cuda", lack())
    found = inv.available_backends()["numba_cuda"]
    assert found is not None
    assert re.fullmatch(reason, found)
    message = rf"^backend 'numba_cuda' cannot run here: {reason}$"
    with pytest.raises(inv.BackendUnavailable, match=message):
        inv.involution(*on_gpu()[:2], stride=2, backend="numba_cuda")
    with pytest.raises(inv.BackendUnavailable, match=message), inv.use_backend("numba_cuda"):
        pytest.fail("the block must not start")


def test_without_cupy_it_cannot_run(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(cupy_raw, "which", str)
    found = inv.available_backends()["numba_cuda"]
    assert found is not None
    assert re.fullmatch(r"cupy cannot be imported \(.*\): pip install 'cupy-cuda13x\[ctk\]'", found)
