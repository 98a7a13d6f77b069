"""The benchmark of a GPU, with a processor and a made-up clock in its place."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fake_cupy
import needs
import numpy as np
import pytest
from checks import definition
from commands import code_of

from involution_edu.arrays import Array
from involution_edu.backends import cupy_raw, numba_cuda, shifts
from involution_edu.backends.cuda import fused
from involution_edu.backends.cuda.versions import TASKS, VERSIONS, Version
from involution_edu.bench import gpu
from involution_edu.bench.gpu_contenders import Call, _compiled, _eager, generate, gpu_contenders
from involution_edu.bench.presets import square
from involution_edu.bench.record import from_json
from involution_edu.cases import random_operands, scaled_error
from involution_edu.geometry import Geometry, make_geometry

ALL = [
    *(f"cupy {version.name}" for version in VERSIONS),
    *(f"numba_cuda {version.name}" for version in numba_cuda.VERSIONS),
]
LAYERS = ["cupy fused", "cupy in two launches"]
GPU = ["bench", "--preset", "gpu"]


class Memory:
    def copy_from_device_async(self, source: Any, size: int) -> None:
        pass


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A GPU with a cache of 10 kB, both rungs on it computed by the shifts, and two small shapes."""

    def launch(task: str, a: Any, b: Any, geom: Geometry, _: Version | None = None) -> Any:
        x, y = (operand.host.astype(np.float32) for operand in (a, b))
        return fake_cupy.asarray(getattr(shifts, task)(x, y, geom).astype(a.dtype))

    def fused(x: Any, features: Any, weight: Any, bias: Any, geom: Geometry) -> Any:
        f, w, b = (a.host.astype(np.float32) for a in (features, weight, bias))
        return launch("forward", x, fake_cupy.asarray(generate(f, w, b, geom)), geom)

    fake = fake_cupy.make(tmp_path)
    fake.__version__ = "14.2.0"
    fake.multiply = lambda a, b, *, out: out
    attributes = {"L2CacheSize": 10_000, "MultiProcessorCount": 132}
    monkeypatch.setattr(fake_cupy.Device, "attributes", attributes)
    monkeypatch.setattr(fake_cupy.ndarray, "data", Memory(), raising=False)
    fake.cuda.runtime.getDeviceProperties = lambda device: {"name": b"A GPU"}
    fake.cuda.runtime.driverGetVersion = fake.cuda.runtime.runtimeGetVersion = lambda: 13000
    monkeypatch.setitem(sys.modules, "cupy", fake)
    monkeypatch.setitem(sys.modules, "torch", None)
    for rung in (cupy_raw, numba_cuda):
        monkeypatch.setattr(rung, "unavailable", lambda: None)
        monkeypatch.setattr(rung, "launch", launch)
    monkeypatch.setattr(cupy_raw, "generate_and_apply", fused)
    monkeypatch.setattr(gpu, "SHAPES", (square(1, 32, 9, 3), square(2, 16, 5, 7)))
    monkeypatch.setattr(gpu, "COPIED", 1 << 10)
    return fake


def one_after_the_other() -> Callable[[Sequence[Call]], float]:
    """Return a clock by which every look takes a millisecond less than the one before."""
    looks = iter(range(100_000, 0, -1))

    def clock(calls: Sequence[Call]) -> float:
        for call in calls:
            call()
        return float(next(looks))

    return clock


@pytest.mark.usefixtures("cupy")
def test_every_version_is_checked_and_timed() -> None:
    steps: list[tuple[int, int, str]] = []
    record = gpu.run_gpu(
        rounds=2,
        date="2026-01-01",
        progress=lambda *step: steps.append(step),
        clock=one_after_the_other(),
    )
    assert record.agrees
    assert {(a.backend, a.dtype, a.tensor, a.cases) for a in record.agreements} == {
        (name, dtype, tensor, 2)
        for names, tensors in ((ALL, ("y", "dx", "dkernel")), (LAYERS, ("fused y",)))
        for name in names
        for tensor in tensors
        for dtype in ("float32", "float16")
    }
    assert len(record.shapes) == 4
    assert {(row.shape, row.contender, row.task) for row in record.rows} == {
        (shape, name, task)
        for shape in record.shapes
        for names, tasks in ((ALL, TASKS), (LAYERS, (fused.TASK,)))
        for name in names
        for task in tasks
    }
    for first, second in zip(record.rows, record.rows[1:], strict=False):
        if first.shape == second.shape:
            assert second.ms == first.ms - 1  # the last of three looks is the shortest
    assert [done for done, _, _ in steps] == list(range(1, steps[-1][1] + 1))
    assert record.absent.keys() == {"torch eager", "torch.compile"}
    assert (record.machine.processor, record.machine.cores) == ("A GPU", 132)
    assert record.machine.versions["the driver's CUDA"] == "13.0"
    assert from_json(json.dumps(asdict(record))) == record
    assert max(record.limit("copy").ways.values()) > 0


def test_operands_and_results_outgrow_the_cache(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Sequence[Call]] = []
    made: list[Any] = []

    def asarray(a: Any) -> Any:
        made.append(fake_cupy.asarray(a))
        return made[-1]

    def clock(calls: Sequence[Call]) -> float:
        seen.append(calls)
        return 1.0

    monkeypatch.setattr(cupy, "asarray", asarray)
    small = make_geometry((1, 16, 5, 4), 1, 1)
    contenders, _ = gpu_contenders()
    names = {"cupy v1": contenders["cupy v1"]}
    rows, _ = gpu._time(names, small, np.dtype("f4"), "shape", clock, 1, lambda: None)
    size = 4 * 2 * 16 * 5 * 4  # x and dy, which every task moves or their like
    sets = len(made) // 6
    assert sets * size >= 2 * 10_000 > (sets - 1) * size
    assert {len(calls) for calls in seen} == {sets}
    assert len({id(a.host) for a in made}) == len(made)
    assert [row.calls for row in rows] == [2 * sets] * 3


@pytest.mark.usefixtures("cupy")
def test_a_wrong_version_is_refused_and_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = cupy_raw.launch

    def launch(task: str, a: Any, b: Any, geom: Geometry, version: Any = None) -> Any:
        result: Any = right(task, a, b, geom, version)
        if (version, task, geom.H) == (VERSIONS[1], "backward_kernel", 5):
            result.host[..., -1] *= 1.01
        if version == VERSIONS[2]:
            raise ValueError("too small\na GPU")
        return result

    monkeypatch.setattr(cupy_raw, "launch", launch)
    monkeypatch.setattr(gpu, "GpuClock", one_after_the_other)
    assert code_of([*GPU, "--rounds", "1"]) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "| cupy v2 | numba | dkernel | 2 |" in text
    assert "**wrong**" in text
    assert (
        "cupy v3: fails on 1 × 32 × 9 × 9, K = 3, float32 with ValueError: too small a GPU" in text
    )
    record = gpu.run_gpu(rounds=1, date="2026-01-01", clock=one_after_the_other())
    assert {row.contender for row in record.rows} == {*ALL, *LAYERS} - {"cupy v2", "cupy v3"}


@pytest.mark.usefixtures("cupy")
def test_a_contender_that_needs_too_much_memory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def clock(calls: Sequence[Call]) -> float:
        if any("backward_kernel" in str(call()) for call in calls):
            raise MemoryError("needs\n9 GB")
        return 1.0

    monkeypatch.setattr(numba_cuda, "launch", lambda *_: "no array")
    monkeypatch.setattr(cupy_raw, "launch", lambda task, *_: task)
    contenders = {name: make for name, make in gpu_contenders()[0].items() if name in ALL}
    geom, dtype = square(1, 16, 5, 3), np.dtype(np.float32)
    rows, failed = gpu._time(contenders, geom, dtype, "shape", clock, 1, lambda: None)
    assert {row.contender for row in rows} == {name for name in ALL if "numba_cuda" in name}
    assert failed == {f"cupy {v.name}": "MemoryError: needs 9 GB" for v in VERSIONS}


def test_a_kernel_is_generated_entry_by_entry() -> None:
    geom = make_geometry((2, 8, 6, 5), 2, (3, 1))
    rng = np.random.default_rng(0)
    features, weight, bias = (rng.standard_normal(s) for s in ((2, 4, 6, 5), (6, 4), (6,)))
    kernel = generate(features, weight, bias, geom)
    for g, u in np.ndindex(2, 3):  # v is 0, o = g*3 + u
        want = np.einsum("m,nmij->nij", weight[g * 3 + u], features) + bias[g * 3 + u]
        np.testing.assert_allclose(kernel[:, g, u, 0], want, rtol=0, atol=1e-12)


def test_the_clock_keeps_the_gpu_waiting_and_the_results_alive(cupy: Any) -> None:
    log: list[str] = []

    class Event:
        def record(self) -> None:
            log.append("record")

        def synchronize(self) -> None:
            log.append("synchronize")

    class Result:
        def __del__(self) -> None:
            log.append("freed")

    def call() -> Any:
        log.append("call")
        return Result()

    cupy.RawKernel = lambda code, name: lambda grid, block, arguments: log.append("wait")
    cupy.cuda.Event = Event
    cupy.cuda.get_elapsed_time = lambda start, end: 6.0
    assert gpu.GpuClock()([call, call, call]) == 2.0
    assert log == ["wait", "record", *["call"] * 3, "record", "synchronize", *["freed"] * 3]


def test_without_a_gpu_it_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cupy_raw, "unavailable", lambda: "no CUDA driver: install one")
    monkeypatch.setattr(numba_cuda, "unavailable", lambda: "no CUDA driver: install one")
    assert code_of([*GPU, "--json", str(tmp_path / "a.json")]) == 2
    out, err = capsys.readouterr()
    assert (out, list(tmp_path.iterdir())) == ("", [])
    assert err == (
        "involution-edu: error: the benchmark of a GPU cannot run here: "
        "no CUDA driver: install one\n"
    )


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("--plot a.png", "plot is a.png; need none with the preset gpu"),
        ("--backends numba", "backends is ['numba']; need none with the preset gpu"),
        ("--rounds 0", "rounds is 0; need an int >= 1"),
        ("--json missing/a.json", "missing is not a folder"),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    typed: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of([*GPU, *typed.split()]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert named in err


@needs.torch
def test_pytorch_computes_the_same() -> None:
    """On the processor, where its tensors share memory with NumPy arrays as well."""
    geom = make_geometry((2, 8, 6, 5), 2, 3)
    operands = random_operands(geom, np.float32, seed=1)
    want = definition(operands, geom)
    calls = _eager(operands, geom)
    for task, call in calls.items():
        for _ in range(2):  # nothing is used up, nor added to
            got: Array = call().detach().numpy()
            assert scaled_error(got, want[gpu.TENSORS[task]]) <= 1e-6, task
    assert calls.keys() == set(TASKS)
    assert _compiled(operands, geom).keys() == {"forward"}
