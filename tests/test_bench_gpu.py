"""The benchmark of a GPU, with a processor and a made-up clock in its place."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import fake_cupy
import numpy as np
import pytest
from checks import definition
from test_cli import code_of

from involution_edu.backends import cuda_fused, cupy_raw, numba_cuda, shifts
from involution_edu.backends.cuda_versions import TASKS, VERSIONS, Version
from involution_edu.bench import gpu
from involution_edu.bench.gpu_contenders import Call, _compiled, _eager, generate, gpu_contenders
from involution_edu.bench.gpu_page import gpu_page, gpu_targets, gpu_text, share
from involution_edu.bench.gpu_page import main as make_page
from involution_edu.bench.presets import square
from involution_edu.bench.record import Limit, Machine, Record, Row, from_json
from involution_edu.cases import random_operands, scaled_error
from involution_edu.compare import Agreement
from involution_edu.geometry import Array, Geometry, make_geometry

DOCS = Path(__file__).parent.parent / "docs"
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
        for names, tasks in ((ALL, TASKS), (LAYERS, (cuda_fused.TASK,)))
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


@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="torch is not installed")
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


# A record made up: every number below follows from it by hand.

GEOM = square(64, 64, 56, 7)
FUSED_BYTES = 4 * (
    2 * 64 * 64 * 56 * 56 + 64 * 16 * 56 * 56 + 196 * 17  # x, y, features; weight and bias
)
BYTES = 4 * (2 * 64 * 64 * 56 * 56 + 64 * 4 * 49 * 56 * 56)  # x, y and the kernel once
SHAPES = {f"64 × 64 × 56 × 56, K = 7, {dtype}": GEOM for dtype in ("float32", "float16")}
TIMES = {"cupy v1": 1.0, "cupy v4": 0.1, "torch eager": 3.0}


def made_up() -> Record:
    rows = [
        Row(shape, name, task, ms / (2 if "float16" in shape else 1), 12, None)
        for shape in SHAPES
        for name, ms in TIMES.items()
        for task in TASKS
    ]
    rows += [
        Row(shape, name, cuda_fused.TASK, ms, 12, None)
        for shape in SHAPES
        for name, ms in (("cupy in two launches", 0.2), ("cupy fused", 0.25))
    ]
    return Record(
        date="2026-01-01",
        preset="gpu",
        seconds=60.0,
        others=None,
        machine=Machine("A GPU", 132, 2, "Linux x86_64", "3.12.0", {"cupy": "14", "torch": None}),
        limits=(Limit("copy", {"one": 2000.0, "two": 4000.0}),),
        shapes=SHAPES,
        agreements=(Agreement("cupy v4", "numba", "float32", "y", 4, "a", 2e-7, 1e-6),),
        rows=tuple(rows),
        growths=(),
        absent={"numba_cuda": "no NVVM"},
    )


def test_shares_and_targets_by_hand() -> None:
    record = made_up()
    full = 100 * BYTES / 0.1e-3 / 4000e9
    for row in record.rows:
        if row.contender == "cupy v4":  # half the bytes in half the time
            assert share(record, row) == pytest.approx(full)
    measured = {target.what: target for target in gpu_targets(record)}
    for task in TASKS:
        target = measured[f"cupy v4, {task}, share of copy bandwidth"]
        assert target.measured == pytest.approx(full)
        assert not target.met
    assert measured["cupy v4 over cupy v1, which reads as the authors' kernels do"].measured == (
        pytest.approx(10)
    )
    assert measured["cupy v4, float16 over float32"].measured == pytest.approx(2)
    fused = measured["cupy fused over two launches, where a layer fuses"]
    assert fused.measured == pytest.approx(0.8)
    assert not fused.met
    assert gpu_targets(replace(record, rows=())) == []


def test_the_page_has_every_number() -> None:
    text = gpu_page(made_up())
    assert "not yet run" not in text.lower()
    assert "A GPU, 132 multiprocessors" in text
    assert "**4000 GB/s** (one 2000, two 4000)" in text
    speed = BYTES / 0.1e-3 / 1e9
    assert f"| cupy v4 | 0.100 | {speed:.0f} | {speed / 40:.1f} % | 10.0 × |" in text
    assert "| torch eager | 3.00 |" in text
    speed = FUSED_BYTES / 0.25e-3 / 1e9
    assert f"| cupy fused | 0.250 | {speed:.0f} | {speed / 40:.1f} % | 0.8 × |" in text
    assert "**missed**" in text
    assert "numba_cuda: no NVVM" in text
    assert gpu_text(made_up()) in text


def test_the_committed_page_is_made_from_the_record(tmp_path: Path) -> None:
    made = tmp_path / "page.md"
    make_page([str(DOCS / "benchmarks-gpu.json"), str(made)])
    assert made.read_text(encoding="utf-8") == (DOCS / "benchmarks-gpu.md").read_text("utf-8")
    assert (
        DOCS / "benchmarks-gpu.json"
    ).exists() or "**Not yet run on a GPU.**" in made.read_text()
    record = tmp_path / "record.json"
    record.write_text(json.dumps(asdict(made_up())), encoding="utf-8")
    make_page([str(record), str(made)])
    assert made.read_text(encoding="utf-8") == gpu_page(made_up())
