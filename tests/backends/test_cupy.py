"""The launcher, with a CuPy that runs the same CUDA source under g++; and choosing by array."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import fake_cupy
import needs
import numpy as np
import pytest
from checks import definition, run
from cuda_checks import TOLERANCES

import involution_edu as inv
from involution_edu import nn
from involution_edu.backends import cupy_raw, select
from involution_edu.backends.cuda import fused, versions
from involution_edu.backends.cuda.versions import VERSIONS, cuda_source
from involution_edu.cases import AWKWARD, operator_options, random_operands, scaled_error
from involution_edu.geometry import make_geometry
from involution_edu.verify import doctor

GEOM = AWKWARD["stride 2, odd sizes"]


def on_gpu(dtype: Any = np.float32, gpu: int = 0) -> tuple[Any, Any, Any]:
    x, kernel, dy = random_operands(GEOM, dtype, seed=1)
    return tuple(fake_cupy.asarray(a, gpu=gpu) for a in (x, kernel, dy))


@needs.compiler
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_the_operator_on_gpu_arrays(dtype: np.dtype[Any], cupy: Any) -> None:
    operands = on_gpu(dtype, gpu=1)
    got: Any = run("auto", operands, operator_options(GEOM))
    x, kernel, dy = (fake_cupy.asnumpy(a).astype(np.float64) for a in operands)
    want = definition((x, kernel, dy), GEOM)
    for name, result in got.items():
        assert type(result) is fake_cupy.ndarray
        assert result.device == fake_cupy.Device(1)
        assert result.dtype == dtype
        error = scaled_error(fake_cupy.asnumpy(result).astype(np.float64), want[name])
        assert error <= TOLERANCES[dtype], name
    assert fake_cupy.Device.current == 0


@needs.compiler
def test_any_layout_and_no_images(cupy: Any) -> None:
    operands = on_gpu()
    turned = tuple(fake_cupy.asarray(a.get().T).T for a in operands)
    assert not turned[0].flags.c_contiguous
    options = operator_options(GEOM)
    want = run("cupy", operands, options)
    for name, result in run("cupy", turned, options).items():
        np.testing.assert_array_equal(*map(cupy.asnumpy, (result, want[name])))
    empty = tuple(a[:0] for a in operands)
    for name, result in run("cupy", empty, options).items():
        assert result.shape == (0, *want[name].shape[1:])


@needs.compiler
def test_another_size_compiles_nothing(cupy: Any) -> None:
    for shape in ((1, 4, 5, 6), (3, 8, 7, 4)):
        geom = make_geometry(shape, 2, 3)
        x, kernel, dy = (fake_cupy.asarray(a) for a in random_operands(geom, "f4", seed=1))
        inv.involution(x, kernel)
        inv.involution_backward(dy, x, kernel)
    tasks = "forward", "backward_input", "backward_kernel"
    assert cupy.compiled == [f"{task}_v4<float, 3>" for task in tasks]


@needs.compiler
def test_the_same_sizes_are_planned_once(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[tuple[str, Any]] = []
    plans = versions.highest_that_fits

    def counted(task: str, choice: Any, geom: Any, dtype: Any, *rest: Any) -> Any:
        planned.append((task, dtype))
        return plans(task, choice, geom, dtype, *rest)

    monkeypatch.setattr(cupy_raw, "highest_that_fits", counted)
    for dtype in (np.float32, np.float64, np.float32):
        for _ in range(3):
            x, kernel, _ = on_gpu(dtype)
            y = inv.involution(x, kernel, stride=2)
            assert y.dtype == dtype
    assert planned == [("forward", np.float32), ("forward", np.float64)]
    x, kernel, _ = on_gpu(np.float32, gpu=1)  # where another limit may hold
    cupy_raw.launch("forward", x, kernel, GEOM)
    cupy_raw.launch("forward", x, kernel, GEOM, VERSIONS[0])
    assert len(planned) == 4


@needs.compiler
def test_a_tile_beyond_48_kilobytes_is_asked_for(cupy: Any) -> None:
    geom = make_geometry((1, 16, 32, 32), 1, 7)
    x, kernel, _ = random_operands(geom, np.float64, seed=1)
    a, b = fake_cupy.asarray(x), fake_cupy.asarray(kernel)
    y = cupy_raw.launch("forward", a, b, geom, VERSIONS[2])
    want = inv.involution(x, kernel, backend="shifts")
    assert scaled_error(cupy.asnumpy(y), want) <= 1e-12
    assert cupy_raw._function("forward_v3<double, 7>", 0).max_dynamic_shared_size_bytes > 48 * 1024


@needs.compiler
def test_what_cannot_be_launched_says_so(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    geom = make_geometry((1, 16, 90, 90), 1, 7, dilation=9)
    x, kernel = (fake_cupy.asarray(np.ones(s)) for s in (geom.x_shape, geom.kernel_shape))
    needs = r"^forward_v3<double, 0> needs \d+ bytes of shared memory for Geometry\(N=1, C=16"
    with pytest.raises(ValueError, match=needs + r".*; need at most 101376 on this GPU: use an"):
        cupy_raw.launch("forward", x, kernel, geom, VERSIONS[2])

    def refuse(*_: Any, **__: Any) -> None:
        raise fake_cupy.CUDADriverError("CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES")

    monkeypatch.setattr(fake_cupy.Function, "__call__", refuse)
    sizes = r"Launch\(name='forward_v3<float, 3>', grid=4, block=\(5, 4\), .*N=2, C=4, H=7, W=9"
    with pytest.raises(RuntimeError, match=rf"^{sizes}.*: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES$"):
        inv.involution(*on_gpu()[:2], stride=2)


@needs.compiler
def test_a_layer_makes_no_kernel_in_evaluation_mode(cupy: Any) -> None:
    """The memory that it allocates does not depend on K, as it does in training mode."""
    x = np.random.default_rng(1).standard_normal((2, 32, 9, 11)).astype(np.float32)
    allocated: dict[tuple[int, bool], int] = {}
    for k, training in ((3, False), (7, False), (3, True), (7, True)):
        layer = nn.Involution2d(32, k, rng=0).train(training)
        want = layer(x)
        layer.to("cupy")
        on_gpu = fake_cupy.asarray(x)
        fake_cupy.ndarray.allocated = 0
        fake_cupy.ndarray.copies.clear()
        y = layer(on_gpu)
        allocated[k, training] = fake_cupy.ndarray.allocated
        assert fake_cupy.ndarray.copies == []
        assert scaled_error(fake_cupy.asnumpy(y), want) <= 2e-6  # two sums one after the other
    assert allocated[7, False] == allocated[3, False] < 3 * x.size
    assert allocated[7, True] > allocated[3, True] + 40 * 2 * 2 * 9 * 11
    assert cupy.compiled[:2] == [f"generate_and_apply_v2<float, {k}>" for k in (3, 7)]


@needs.compiler
def test_a_layer_generates_and_applies_in_two_where_that_is_faster(cupy: Any) -> None:
    x = np.random.default_rng(1).standard_normal((1, 16, 9, 10)).astype(np.float32)
    layers = (
        nn.Involution2d(16, 3, stride=2, rng=0).eval(),  # a version for stride 1
        nn.Involution2d(16, 3, groups=16, rng=0).eval(),  # four features for each channel
    )
    for layer in layers:
        want = layer(x)
        y = layer.to("cupy")(fake_cupy.asarray(x))
        assert scaled_error(fake_cupy.asnumpy(y), want) <= 2e-6
    assert cupy.compiled == ["forward_v3<float, 3>", "forward_v4<float, 3>"]


@needs.compiler
def test_fused_of_no_images_and_of_a_tile_that_does_not_fit(cupy: Any) -> None:
    geom = make_geometry((0, 16, 9, 10), 1, 3)
    shapes = (0, 16, 9, 10), (0, 4, 9, 10), (9, 4), (9,)
    x, features, weight, bias = (cupy.zeros(shape, "f4") for shape in shapes)
    y = cupy_raw.generate_and_apply(x, features, weight, bias, geom)
    assert y.shape == geom.y_shape
    geom = make_geometry((1, 16, 17, 40), 1, 7)
    shapes = (1, 16, 17, 40), (1, 99, 17, 40), (49, 99), (49,)
    x, features, weight, bias = (cupy.zeros(shape, "f4") for shape in shapes)
    needs = r"^generate_and_apply_v2<float, 7> needs \d+ bytes .*; need at most 101376 on this GPU"
    with pytest.raises(ValueError, match=needs):
        cupy_raw.generate_and_apply(x, features, weight, bias, geom, fused.VERSIONS[1])
    cupy_raw.generate_and_apply(x, features, weight, bias, geom)
    assert cupy.compiled == ["generate_and_apply_v1<float, 7>"]


def no_nvidia(fake: Any) -> None:
    sys.modules.update({"cupy": None})  # type: ignore[dict-item] # import takes it for absent


def absent(fake: Any) -> None:
    no_nvidia(fake)  # but its program is found


def no_driver(fake: Any) -> None:
    def count() -> int:
        raise fake_cupy.CUDARuntimeError("cudaErrorInsufficientDriver")

    fake.cuda.runtime.getDeviceCount = count


def no_gpu(fake: Any) -> None:
    fake.cuda.runtime.getDeviceCount = lambda: 0


def probe_fails(message: str) -> Callable[[Any], None]:
    def lack(fake: Any) -> None:
        def compile_probe(code: str) -> None:
            raise RuntimeError(message)

        fake.compile_probe = compile_probe

    return lack


def test_the_probe_includes_the_headers_of_the_source() -> None:
    included = [line for line in cuda_source().splitlines() if line.startswith("#include <")]
    assert included
    assert set(included) <= set(cupy_raw.PROBE.splitlines())


@pytest.mark.parametrize(
    ("lack", "reason"),
    [
        (absent, r"cupy cannot be imported \(.*\): pip install 'cupy-cuda13x\[ctk\]'"),
        (no_nvidia, r"no NVIDIA GPU is seen here \(nvidia-smi is absent\)"),
        (
            no_driver,
            r"no CUDA driver \(cudaErrorInsufficientDriver\): install NVIDIA's driver, on a .* GPU",
        ),
        (no_gpu, r"no GPU is visible: unset CUDA_VISIBLE_DEVICES"),
        (
            probe_fails("no\n libnvrtc"),
            r"CuPy cannot compile CUDA C\+\+ \(no libnvrtc\): pip install 'cupy-cuda13x\[ctk\]'",
        ),
        (
            probe_fails('x.cu(2): catastrophic error: cannot open source file "cuda_fp16.h"'),
            r"CuPy does not find CUDA's headers \(x.cu.*\): pip install 'cupy-cuda13x\[ctk\]'",
        ),
        (
            probe_fails("CUDA_ERROR_UNSUPPORTED_PTX_VERSION: the provided PTX was compiled with"),
            r"the driver is older than CUDA's compiler \(CUDA_.*\): install a newer driver, or .*",
        ),
    ],
)
def test_why_it_cannot_run(
    lack: Callable[[Any], None], reason: str, cupy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = "nvidia-smi" if lack is absent else None
    monkeypatch.setattr(cupy_raw, "which", lambda program: seen if program == seen else None)
    lack(cupy)
    found = inv.available_backends()["cupy"]
    assert found is not None
    assert re.fullmatch(reason, found)
    message = rf"^backend 'cupy' cannot run here: {reason}$"
    with pytest.raises(inv.BackendUnavailable, match=message):
        select("cupy")
    with pytest.raises(inv.BackendUnavailable, match=message), inv.use_backend("cupy"):
        pytest.fail("the block must not start")
    if lack not in (absent, no_nvidia):  # an array of a GPU never falls back to the processor
        x, kernel, _ = on_gpu()
        with pytest.raises(inv.BackendUnavailable, match=message):
            inv.involution(x, kernel, stride=2)


CPU_X, CPU_KERNEL, CPU_DY = random_operands(GEOM, np.float32, seed=1)


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"x": CPU_X, "kernel": CPU_KERNEL, "dy": CPU_DY, "backend": "cupy"},
            r"x is a NumPy array; need a CuPy array for backend 'cupy', such as cupy.asarray\(x\)",
        ),
        (
            {"backend": "shifts"},
            r"x is a CuPy array; need a NumPy array for backend 'shifts', such as cupy.asnum.*",
        ),
        (
            {"kernel": CPU_KERNEL},
            r"kernel is a NumPy array; need a CuPy array, as x is, such as cupy\.asarray\(kernel\)",
        ),
        (
            {"dy": CPU_DY},
            r"dy is a NumPy array; need a CuPy array, as x is, such as cupy\.asarray\(dy\)",
        ),
        (
            {"x": CPU_X},
            r"kernel is a CuPy array; need a NumPy array, as x is, such as cupy\.asnumpy\(kernel\)",
        ),
        ({"dy": on_gpu(gpu=1)[2]}, r"dy is on <CUDA Device 1>; need <CUDA Device 0>, where x is"),
        ({"x": on_gpu(int)[0]}, r"x has dtype int64; need float16, float32 or float64"),
        (
            {"kernel": on_gpu(np.float16)[1]},
            r"kernel has dtype float16; need float32, the dtype of x",
        ),
    ],
)
def test_the_wrong_kind_of_array(arguments: dict[str, Any], message: str) -> None:
    x, kernel, dy = on_gpu()
    options: dict[str, Any] = {"dy": dy, "x": x, "kernel": kernel, "stride": 2, **arguments}
    with pytest.raises((TypeError, ValueError), match=f"^{message}$"):
        inv.involution_backward(**options)
    if "dy" not in arguments or "backend" in arguments:
        del options["dy"]
        with pytest.raises((TypeError, ValueError), match=f"^{message}$"):
            inv.involution(**options)


@needs.compiler
@pytest.mark.usefixtures("cupy")
def test_doctor_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.examine().backends["cupy"] is None
    monkeypatch.setattr(cupy_raw, "forward", lambda x, *_: 0 * x)
    wrong = (
        "gives wrong numbers, off by 1.0e+00: involution-edu compare --backends cupy shows where"
    )
    assert doctor.examine().backends["cupy"] == wrong
    assert doctor.examine().problems == (f"cupy: {wrong}",)


@pytest.mark.usefixtures("cupy")
def test_the_surrounding_choice_holds_for_gpu_arrays_too() -> None:
    x, kernel, _ = on_gpu()
    with (
        inv.use_backend("shifts"),
        pytest.raises(TypeError, match="need a NumPy array for backend"),
    ):
        inv.involution(x, kernel, stride=2)
    with inv.use_backend("cupy"), pytest.raises(TypeError, match="need a CuPy array for backend"):
        inv.involution(CPU_X, CPU_KERNEL, stride=2)


def test_numpy_arrays_never_import_cupy() -> None:
    code = """
import sys
import numpy as np
import involution_edu as inv
x, kernel = np.ones((1, 1, 2, 2)), np.ones((1, 1, 3, 3, 2, 2))
inv.involution_backward(inv.involution(x, kernel), x, kernel)
print("cupy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


@needs.compiler
def test_doctor_runs_a_layer(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """CuPy without cuBLAS launches the operator, and fails in the first matrix product."""

    def no_cublas(*_: Any, **__: Any) -> None:
        raise ImportError("libcublas.so.13: cannot open shared object file")

    monkeypatch.setattr(cupy, "matmul", no_cublas)
    monkeypatch.setattr(fake_cupy.ndarray, "__matmul__", no_cublas)
    diagnosis = doctor.examine()
    assert not diagnosis.ok
    assert str(diagnosis.backends["cupy"]).startswith("fails with libcublas.so.13: cannot open")


def test_a_gpu_that_cannot_be_used_is_a_problem(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one only if CuPy and NVIDIA's driver are installed."""
    probe_fails("no libnvrtc")(cupy)
    assert doctor.examine().ok
    version = doctor._version
    monkeypatch.setattr(doctor, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(doctor, "_version", lambda p: "14.0" if "cupy" in p else version(p))
    (problem,) = (p for p in doctor.examine().problems if p.startswith("cupy: "))
    assert problem.startswith("cupy: CuPy cannot compile CUDA C++ (no libnvrtc): ")


def test_a_gpu_test_is_not_skipped_where_cupy_sees_a_gpu(
    cupy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(needs.NO_BACKEND, "cupy", "no libnvrtc")
    assert needs.gpu_for("cupy").args == (False,)
    no_gpu(cupy)
    assert needs.gpu_for("cupy").args == (True,)
