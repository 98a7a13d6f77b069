"""The check of a GPU, with a stand-in for CuPy: its order, what stops it, and its record."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fake_cupy
import pytest

from involution_edu.backends import cupy_raw
from involution_edu.bench import devices, gpu_check, memory, presets
from involution_edu.bench.presets import square
from involution_edu.bench.timing import Call
from involution_edu.verify import doctor

pytest_plugins = ["bench_fixtures"]
SHAPES = square(1, 32, 9, 3), square(2, 16, 5, 7)
ROOT = Path(__file__).parents[2]


class Clock:
    """Calls everything; every turn is shorter than the one before."""

    turns = 100_000

    def __call__(self, work: Sequence[Call]) -> list[float]:
        for call in work:
            call()
        self.turns -= 1
        return [self.turns * 1e-9] * len(work)


@pytest.fixture
def gpu(bench_cupy: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stand-in of test_bench_gpu, in this process; pytest and NVIDIA's tools always succeed."""
    fake = bench_cupy
    fake.cuda.nvrtc = SimpleNamespace(getVersion=lambda: (13, 0))
    monkeypatch.setattr(fake_cupy.Device, "compute_capability", "90", raising=False)
    monkeypatch.setattr(devices, "GpuClock", Clock)
    monkeypatch.setattr(gpu_check, "GPU_SHAPES", SHAPES)
    found = {"cupy": None, "numba_cuda": None, "numba": None}
    monkeypatch.setattr(doctor, "examine", lambda: SimpleNamespace(backends=found))
    monkeypatch.setattr(gpu_check, "which", lambda name: name if name == "ncu" else None)
    ran: list[list[str]] = []

    def run(command: list[str], **_: Any) -> Any:
        ran.append(command)
        return SimpleNamespace(returncode=0, stdout='"a","b"\n3 passed in 1 s\n', stderr="")

    monkeypatch.setattr(gpu_check, "subprocess", SimpleNamespace(run=run))
    calls: list[str] = []

    def in_this_process(function: Any, *given: Any, timeout: float) -> Any:
        assert 0 < timeout <= 180
        calls.append(function.__name__)
        return function(*given)

    monkeypatch.setattr(gpu_check, "in_new_process", in_this_process)
    return SimpleNamespace(cupy=fake, ran=ran, calls=calls, doctor=found)


def rows_of(out: Path) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = json.loads(out.read_text(encoding="utf-8"))
    return rows


def test_a_dry_run(gpu: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "check.json"
    assert gpu_check.main([str(out)]) == 0
    rows = rows_of(out)
    status = {name: row["status"] for name, row in rows.items()}
    absent = {name for name, found in status.items() if found == "absent"}
    assert absent == {"memcheck", "racecheck", "initcheck"}
    assert {found for name, found in status.items() if name not in absent} == {"ok"}
    assert list(rows)[:4] == ["versions", "compiling", "a launch and a layer", "tests"]
    assert list(rows)[-1].startswith("PyTorch, ")
    assert rows["versions"]["data"]["NVRTC"] == "13.0"
    assert rows["counters"]["data"] == ['"a","b"']
    measured = rows["2 × 16 × 5 × 5, K = 7, float16"]["data"]
    assert {m["contender"] for m in measured["measurements"]} >= {"cupy:v1", "cupy fused"}
    assert {m["calls"] % gpu_check.ROUNDS for m in measured["measurements"]} == {0}
    moved = 2 * (2 * 2 * 16 * 25 + 2 * 49 * 25)
    assert [p["name"] for p in measured["peaks"]] == ["copy", devices.COPY_OF.format(moved / 1e6)]
    printed = capsys.readouterr().out.splitlines()
    assert [line[18:].split("  ")[0] for line in printed] == list(rows)
    options = [" ".join(command) for command in gpu.ran]
    assert all(" -m gpu " in line for line in options)
    assert [line.startswith("ncu --csv") for line in options].count(True) == 1


def test_layers_are_timed(
    gpu: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(presets, "GPU_SHAPES", SHAPES)
    path = ROOT / gpu_check.LAYERS
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    layers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(layers)
    monkeypatch.setattr(layers, "IMAGES", (2, 3, 32, 32))
    monkeypatch.setattr(layers, "ROUNDS", 2)
    layers.test_versions_to_be_counted(0)
    layers.test_batch_norm()
    layers.test_a_training_step()
    layers.test_one_launch_or_two(1, 4, "float32")
    lines = filter(None, capsys.readouterr().out.splitlines())
    norm, network, both = map(json.loads, lines)
    assert norm["shape"] == "1 × 32 × 9 × 9"
    assert len(network["losses"]) == layers.ROUNDS
    assert (both["ratio"], both["dtype"]) == (4, "float32")
    assert all(found["ms"] > 0 for found in (norm, network))
    assert 0 < both["unfused"] < both["fused"]  # the clock of the stand-in


@pytest.mark.parametrize("planted", ["doctor", "skip", "failure"])
def test_a_failed_check_stops_what_measures(
    planted: str, gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if planted == "doctor":
        gpu.doctor["numba_cuda"] = "gives wrong numbers"
        name, why = "a launch and a layer", "numba_cuda: gives wrong numbers"
    else:
        name, why = "tests", {"skip": "SKIPPED [3] no GPU", "failure": "FAILED x"}[planted]
        done = SimpleNamespace(returncode=planted == "failure", stdout=f"{why}\n", stderr="")
        right: Any = gpu_check.subprocess.run  # type: ignore[attr-defined]
        run = lambda command, **how: (
            done if gpu_check.NETWORKS in command else right(command, **how)
        )
        monkeypatch.setattr(gpu_check, "subprocess", SimpleNamespace(run=run))
    out = tmp_path / "check.json"
    assert gpu_check.main([str(out)]) == 1
    rows = rows_of(out)
    assert (rows[name]["status"], rows[name]["why"]) == ("failed", why)
    assert rows["memcheck"]["status"] == "absent"  # the other checks tell where to look
    checks = {step[0] for step in gpu_check.steps() if step[2]}
    rest = {(row["status"], row["why"]) for step, row in rows.items() if step not in checks}
    assert rest == {("skipped", f"failed: {name}")}
    assert "measure" not in gpu.calls


def test_a_wrong_version_is_named_and_the_rest_measured(
    gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = cupy_raw.launch

    def launch(task: str, a: Any, b: Any, geom: Any, version: Any = None) -> Any:
        result: Any = right(task, a, b, geom, version)
        if version is not None and (version.name, task) == ("v2", "forward"):
            result.host[...] *= 1.01
        return result

    monkeypatch.setattr(cupy_raw, "launch", launch)
    out = tmp_path / "check.json"
    assert not gpu_check.check_gpu(out)
    row = rows_of(out)["1 × 32 × 9 × 9, K = 3, float32"]
    assert (row["status"], row["why"]) == ("failed", "cupy:v2 is wrong in y")
    assert {m["contender"] for m in row["data"]["measurements"]} >= {"cupy:v1", "cupy:v3"}


def test_a_second_call_repeats_what_was_not_right(
    gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "check.json"
    gpu.doctor["cupy"] = "too old"
    assert not gpu_check.check_gpu(out)
    first = rows_of(out)
    gpu.doctor["cupy"] = None
    gpu.calls.clear()
    assert gpu_check.check_gpu(out)
    assert gpu.calls[:2] == ["machine", "works"]
    assert rows_of(out)["tests"] == first["tests"]
    gpu.calls.clear()
    assert gpu_check.check_gpu(out, force=True)
    assert gpu.calls[:3] == ["machine", "run_pytest", "works"]
    monkeypatch.setattr(gpu.cupy, "__version__", "15.0")
    kept = out.read_bytes()
    capsys.readouterr()
    assert gpu_check.main([str(out)]) == 2
    assert "is of another GPU or set-up; need another, or --force" in (
        " ".join(capsys.readouterr().err.split()).replace(f"out is {out}, of", "is of")
    )
    assert out.read_bytes() == kept


def test_late_steps_are_skipped_and_a_crash_keeps_the_record(
    gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "check.json"
    now = iter(range(0, 10_000, 30))  # each look at the clock is 30 s after the one before
    monkeypatch.setattr(gpu_check, "time", SimpleNamespace(monotonic=lambda: next(now)))
    assert gpu_check.check_gpu(out)
    rows = list(rows_of(out).values())
    late = [row for row in rows if row["why"] == "no time was left"]
    assert late == rows[-len(late) :]
    assert {row["status"] for row in late} == {"skipped"}
    assert 0 < len(late) < len(rows)
    monkeypatch.setattr(gpu_check, "time", time)

    def crash() -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "examine", crash)
    with pytest.raises(KeyboardInterrupt):
        gpu_check.check_gpu(out, force=True)
    assert list(rows_of(out)) == ["versions", "compiling"]


def test_without_a_gpu_it_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cupy_raw, "why_no_gpu", lambda: "no CUDA driver")
    assert gpu_check.main(["a.json"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "gpu_check: error: no GPU can be used: no CUDA driver\n")


def test_the_tests_of_a_gpu_are_where_it_looks_for_them() -> None:
    for name in (gpu_check.OPERATOR, gpu_check.NETWORKS, gpu_check.LAYERS):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "pytest.mark.gpu" in text
    operator = (ROOT / gpu_check.OPERATOR).read_text(encoding="utf-8")
    assert "def test_it_compiles(" in operator
    assert "def test_small_cases(" in operator
    layers = (ROOT / gpu_check.LAYERS).read_text(encoding="utf-8")
    for name in (*gpu_check.TIMED, "counted"):
        assert len(re.findall(rf"def test_\w*{name}\(", layers)) == 1, name


@pytest.mark.parametrize(("body", "problem"), [("pass", ""), ("pytest.skip('no GPU')", "SKIPPED"), ("assert 0", "FAILED")])  # fmt: skip
def test_pytest_is_understood(body: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "test_a.py"
    file.write_text(
        f"import pytest\n@pytest.mark.gpu\ndef test_it():\n    print('\\n{{}}')\n    {body}\n"
    )
    found = gpu_check.run_pytest((), "-n", "0", "-s", "-p", "no:cacheprovider", str(file))
    assert [p.split()[0] for p in found["problems"]] == ([problem] if problem else [])
    assert found["data"] == ["{}"]


def test_no_test_is_a_problem(tmp_path: Path) -> None:
    found = gpu_check.run_pytest((), "-n", "0", "-p", "no:cacheprovider", str(tmp_path))
    assert found["problems"][0].startswith("pytest ended with 5: no tests ran")


def test_a_step_is_ended_with_what_it_started() -> None:
    start = time.monotonic()
    with pytest.raises(RuntimeError, match=r"^it was ended after 3 s$"):
        memory.in_new_process(subprocess.run, [sys.executable, "-c", "import time; time.sleep(60)"], timeout=3.0)  # fmt: skip
    assert time.monotonic() - start < 20


def test_what_a_step_prints_is_not_its_result() -> None:
    assert memory.in_new_process(subprocess.call, ["echo", "a warning"]) == 0
