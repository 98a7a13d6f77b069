"""The benchmark of a GPU, with a stand-in for CuPy and a made-up clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import fake_cupy
import needs
import numpy as np
import pytest
from checks import definition
from commands import code_of

from involution_edu.arrays import Array
from involution_edu.backends import cupy_raw, numba_cuda
from involution_edu.backends.cuda import fused
from involution_edu.backends.cuda.versions import TASKS, VERSIONS
from involution_edu.bench import devices, timing
from involution_edu.bench.contenders import (
    GPU_TASKS,
    TENSORS,
    Contender,
    Job,
    contender,
    contenders,
    generate,
    make_operands,
    torch_eager,
)
from involution_edu.bench.devices import Gpu
from involution_edu.bench.presets import square
from involution_edu.bench.record import Record, from_json
from involution_edu.bench.run import Session, run_benchmark
from involution_edu.bench.text import Report
from involution_edu.bench.timing import Call
from involution_edu.cases import scaled_error
from involution_edu.geometry import Geometry, make_geometry

pytest_plugins = ["bench_fixtures"]
ALL = [
    *(f"cupy:{version.name}" for version in VERSIONS),
    *(f"numba_cuda:{version.name}" for version in numba_cuda.VERSIONS),
]
LAYERS = ["cupy fused", "cupy unfused"]
GPU = ["bench", "--preset", "gpu"]


@pytest.fixture
def cupy(bench_cupy: Any) -> Any:
    return bench_cupy


TICK = 1e-9  # seconds by which every turn of the made-up clock is shorter than the one before


def made_up_clock() -> Callable[[Sequence[Call]], list[float]]:
    turns = iter(range(100_000, 0, -1))

    def clock(work: Sequence[Call]) -> list[float]:
        for call in work:
            call()
        return [next(turns) * TICK] * len(work)

    return clock


def run_gpu(**options: Any) -> Record:
    return run_benchmark("gpu", date="2026-01-01", device=Gpu(made_up_clock()), **options)


@pytest.mark.usefixtures("cupy")
def test_every_version_is_checked_and_timed() -> None:
    steps: list[tuple[int, int, str]] = []
    record = run_gpu(rounds=2, progress=lambda *step: steps.append(step))
    assert record.ok
    assert {(a.backend, a.dtype, a.tensor, a.cases) for a in record.agreements} == {
        (name, dtype, tensor, 2)
        for names, tensors in ((ALL, ("y", "dx", "dkernel")), (LAYERS, ("y",)))
        for name in names
        for tensor in tensors
        for dtype in ("float32", "float16")
    }
    assert {a.reference for a in record.agreements} == {"numba"}
    assert len(record.shapes) == 2
    assert {(m.shape, m.dtype, m.contender, m.task) for m in record.measurements} == {
        (shape, dtype, name, task)
        for shape in record.shapes
        for dtype in ("float32", "float16")
        for names, tasks in ((ALL, TASKS), (LAYERS, (fused.TASK,)))
        for name in names
        for task in tasks
    }
    for first, second in pairwise(record.measurements):
        if (first.shape, first.dtype) == (second.shape, second.dtype):
            assert second.ms == pytest.approx(
                first.ms - 1e3 * TICK
            )  # the last turn is the shortest
    assert [done for done, _, _ in steps] == list(range(1, steps[-1][1] + 1))
    assert record.absent.keys() == {"torch eager", "torch.compile"}
    assert (record.machine.processor, record.machine.cores) == ("A GPU", 132)
    assert record.machine.versions["the driver's CUDA"] == "13.0"
    assert from_json(json.dumps(Report(record).data())) == record
    assert record.peak("copy") > 0
    text = Report(record).text()
    assert max(map(len, text.splitlines())) <= 80
    assert "the time of cupy:v1" in text
    assert "the time of cupy unfused" in text


@pytest.mark.usefixtures("cupy")
def test_chosen_versions() -> None:
    record = run_gpu(rounds=1, backends=["cupy:v3", "numba_cuda"])
    assert {m.contender for m in record.measurements} == {"cupy:v3", "numba_cuda"}


def test_operands_and_results_outgrow_the_cache(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Sequence[Call]] = []
    made: list[Any] = []

    def asarray(a: Any) -> Any:
        made.append(fake_cupy.asarray(a))
        return made[-1]

    def clock(work: Sequence[Call]) -> list[float]:
        seen.append(work)
        return [1e-3] * len(work)

    monkeypatch.setattr(cupy, "asarray", asarray)
    small = make_geometry((1, 16, 5, 4), 1, 1)
    found, _ = contenders("cupy", ["cupy:v1"], ())
    found_rows, _ = time_on(found, small, clock, rounds=2)
    size = 4 * 2 * 16 * 5 * 4  # x and dy; every task moves at least as much
    sets = len(made) // 6
    assert sets * size >= 2 * 10_000 > (sets - 1) * size
    copied = -(-10_000 // devices.COPIED)  # pairs of arrays; as much is read as written
    assert {len(calls) for calls in seen} == {sets, copied}
    assert len({id(a.host) for a in made}) == len(made)
    assert [row.calls for row in found_rows] == [2 * sets] * 3


def time_on(found: list[Contender], geom: Geometry, clock: Any, rounds: int) -> Any:
    session = Session(gpu := Gpu(clock))
    cases = [(geom, np.dtype(np.float32))]
    rows, _ = session.times(found, cases, rounds, {}, gpu.peak_methods())
    return rows, session.absent


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
    monkeypatch.setattr(devices, "GpuClock", made_up_clock)
    assert code_of([*GPU, "--rounds", "1"]) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "FAIL: cupy:v2 differs from numba in dkernel (float32), case '2 × 16 × 5 × 5" in text
    assert (
        "cupy:v3 is absent: fails on 1 × 32 × 9 × 9, K = 3, float32 with ValueError: "
        "too small a GPU" in text
    )
    record = run_gpu(rounds=1)
    names = {row.contender for row in record.measurements}
    assert names == {*ALL, *LAYERS} - {"cupy:v2", "cupy:v3"}


@pytest.mark.usefixtures("cupy")
def test_a_contender_that_needs_too_much_memory_is_named() -> None:
    def clock(work: Sequence[Call]) -> list[float]:
        if any(isinstance(found := call(), str) and found == "much" for call in work):
            raise MemoryError("needs\n9 GB")
        return [1e-3] * len(work)

    def named(name: str, result: str) -> Contender:
        def prepare(operands: Any, geom: Geometry) -> Job:
            return dict.fromkeys(TASKS, lambda: result)

        return Contender(name, prepare, TASKS, may_fail=True)

    found = [named("small", "little"), named("large", "much")]
    rows, failed = time_on(found, square(1, 16, 5, 3), clock, rounds=1)
    assert {row.contender for row in rows} == {"small"}
    shape = "1 × 16 × 5 × 5, K = 3, float32"
    assert failed == {f"large on {shape}": "MemoryError: needs 9 GB"}


@pytest.mark.usefixtures("cupy")
def test_a_contender_that_runs_out_of_memory_later_keeps_its_first_turns() -> None:
    turns = {"small": 0, "large": 0}

    def clock(work: Sequence[Call]) -> list[float]:
        for call in work:
            name = call()
            turns[name] = turns.get(name, 0) + 1
            if name == "large" and turns[name] > 4:
                raise MemoryError("needs\n9 GB")
        return [1e-3] * len(work)

    def named(name: str) -> Contender:
        return Contender(name, lambda operands, geom: {"forward": lambda: name}, TASKS, True)

    session = Session(Gpu(clock))
    case = square(1, 64, 10, 3), np.dtype(np.float32)
    rows, _ = session.times([named("large"), named("small")], [case], 3, {})
    assert [(row.contender, row.calls) for row in rows] == [("large", 4), ("small", 12)]
    assert turns == {"large": 5, "small": 12}
    on = "1 × 64 × 10 × 10, K = 3, float32"
    assert session.absent == {f"more of large, forward on {on}": "MemoryError: needs 9 GB"}


def test_a_kernel_is_generated_entry_by_entry() -> None:
    geom = make_geometry((2, 8, 6, 5), 2, (3, 1))
    rng = np.random.default_rng(0)
    features, weight, bias = (rng.standard_normal(s) for s in ((2, 4, 6, 5), (6, 4), (6,)))
    kernel = generate(features, weight, bias, geom=geom)
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
    assert timing.GpuClock()([call, call, call]) == pytest.approx([2e-3] * 3)
    assert log == ["wait", "record", *["call"] * 3, "record", "synchronize", *["freed"] * 3]


def test_without_a_gpu_it_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cupy_raw, "unavailable", lambda: "no CUDA driver: install one")
    monkeypatch.setattr(numba_cuda, "unavailable", lambda: "no CUDA driver: install one")
    assert code_of([*GPU, "--out", str(tmp_path / "a.json")]) == 2
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
        ("--backends numba", "backends is 'numba'; need some of 'numba_cuda', 'cupy'"),
        ("--rounds 0", "rounds is 0; need an int >= 1"),
        ("--out /dev/null/a.json", "/dev/null is not a folder"),
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
    operands = make_operands(geom, np.float32)
    x, kernel, dy, *_ = operands
    want = definition((x, kernel, dy), geom)
    calls = torch_eager(operands, geom)
    for task in TASKS:
        for _ in range(2):  # nothing is used up, nothing accumulated
            got: Array = calls[task]().detach().numpy()
            assert scaled_error(got, want[TENSORS[task]]) <= 1e-6, task
    assert {*calls} - {"both"} == {*TASKS}
    for task, a in zip(TASKS, calls["both"](), strict=True):
        assert scaled_error(a.numpy(), want[TENSORS[task]]) <= 1e-6, task
    assert contender("torch eager", GPU_TASKS).job(operands, geom).keys() == {*TASKS}
