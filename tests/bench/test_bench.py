"""The benchmark: a wrong contender is not timed; turns, memory and scaling are measured right."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import page
from commands import Screen, code_of

from involution_edu.arrays import Array
from involution_edu.backends import numba_cpu, shifts, windows
from involution_edu.bench import contenders, devices, memory, peaks, presets, timing
from involution_edu.bench import run as module
from involution_edu.bench.derived import unfolded
from involution_edu.bench.presets import Preset, Sweep, label, square
from involution_edu.bench.record import from_json
from involution_edu.bench.run import exponent, run_benchmark
from involution_edu.bench.text import Report
from involution_edu.cli import main
from involution_edu.geometry import Geometry

TINY = square(1, 32, 9, 3)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shrink a preset to one small shape, without PyTorch, and the peak rates to small arrays."""
    monkeypatch.setitem(presets.PRESETS, "quick", Preset((TINY,), peers=("torch eager",), rounds=1))
    monkeypatch.setattr(peaks, "COPIED", 1 << 16)
    monkeypatch.setattr(peaks, "LENGTH", 100)
    monkeypatch.setattr(peaks, "PRODUCT", 16)
    monkeypatch.setattr(timing, "TURN", 0.0)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(module, "memory_unavailable", lambda: "not measured here")


BENCH = ["bench", "--preset", "quick"]


def on_large_images(function: Callable[..., Array]) -> Callable[..., Array]:
    """Return ``function`` with a fault that small shapes do not show."""

    def wrong(a: Array, b: Array, geom: Geometry) -> Array:
        result = function(a, b, geom)
        if geom.H > 6:
            result[0, 0, 0, -1] *= 1.001
        return result

    return wrong


@pytest.mark.parametrize(
    ("function", "wrong", "named"),
    [
        ("forward", lambda x, kernel, geom: 0 * x, "differs from loops in y "),
        ("backward_input", lambda dy, kernel, geom: dy[:, ::-1], "differs from loops in dx "),
        ("forward", on_large_images(shifts.forward), "differs from windows in y "),
        ("backward_kernel", on_large_images(shifts.backward_kernel), "from windows in dkernel "),
        ("forward", lambda x, kernel, geom: x.astype(np.float64), "error inf"),
    ],
)
def test_a_wrong_backend_is_refused_and_named(
    function: str,
    wrong: Any,
    named: str,
    tiny: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(shifts, function, wrong)
    assert main(BENCH) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "FAIL: shifts" in text
    assert named in text
    assert "Every backend agrees" not in text
    monkeypatch.setattr(module, "memory_unavailable", lambda: None)
    asked: list[str] = []

    def in_new_process(
        function: Any, name: str, shapes: tuple[Geometry, ...]
    ) -> list[dict[str, int]]:
        asked.append(name)
        return [{} for _ in shapes]

    monkeypatch.setattr(module, "in_new_process", in_new_process)
    record = run_benchmark("quick", date="2026-01-01")
    assert [row.contender for row in record.measurements] == [
        "windows",
        "windows",
        "numba",
        "numba",
    ]
    assert asked == ["windows", "numba"]


def test_a_wrong_rung_is_no_reference(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "forward", lambda x, kernel, geom: 0 * x)
    record = run_benchmark("quick", date="2026-01-01")
    assert {a.reference for a in record.agreements} == {"loops", "shifts"}
    assert {a.backend for a in record.agreements if not a.agrees} == {"windows"}
    assert {row.contender for row in record.measurements} == {"shifts", "numba"}


def fake_peer(monkeypatch: pytest.MonkeyPatch, prepare: contenders.Prepare) -> None:
    monkeypatch.setitem(contenders.PEERS, "torch eager", prepare)
    monkeypatch.setattr(contenders, "torch_unavailable", lambda **_: None)


def test_nothing_is_timed_if_all_are_wrong(
    tiny: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fake_peer(monkeypatch, lambda operands, geom: {"forward": lambda: operands[0]})
    for rung in (windows, shifts, numba_cpu):
        monkeypatch.setattr(rung, "forward", lambda x, kernel, geom: 0 * x)
    assert main([*BENCH, "--plot", str(tmp_path / "a.png")]) == 1
    text = capsys.readouterr().out
    assert text.count("FAIL:") == 3
    assert "torch eager is absent: no backend is correct here" in text
    assert "GFLOP/s" not in text
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_peer_is_refused(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_peer(monkeypatch, lambda operands, geom: {"forward": lambda: 0 * operands[0]})
    record = run_benchmark("quick", date="2026-01-01")
    assert [(a.backend, a.tensor) for a in record.agreements if not a.agrees] == [
        ("torch eager", "y")
    ]
    assert "torch eager" not in {row.contender for row in record.measurements}


def test_a_peer_that_cannot_run_is_absent(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(operands: Any, geom: Geometry) -> contenders.Job:
        raise RuntimeError("no C++\ncompiler")

    fake_peer(monkeypatch, broken)
    record = run_benchmark("quick", date="2026-01-01")
    assert record.ok
    assert record.absent["torch eager"] == (
        f"fails on {label(TINY)}, float32 with RuntimeError: no C++ compiler"
    )


def test_without_torch(tiny: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(BENCH) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "torch eager is absent: torch cannot be imported" in text
    assert "the time of windows" in text
    assert "target" not in text.lower()


@pytest.mark.parametrize("preset", ["quick", "networks"])
@pytest.mark.parametrize(
    "code",
    [
        "raise OSError('libtorch.so: cannot open\\nshared object file')",
        "import numpy; numpy.no",
        "(",
    ],
    ids=["a library is missing", "another version of a package", "a damaged file"],
)
def test_a_broken_torch_is_a_reason(
    code: str, preset: str, tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        presets.PRESETS,
        "networks",
        Preset(batches=(presets.Batch(26, (33, 33), 1, presets.INFERENCE),)),
    )
    (tmp_path / "torch.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torch")
    record = run_benchmark(preset, rounds=1, date="2026-01-01")
    assert record.absent["torch eager"].startswith("torch cannot be imported (")
    assert "\n" not in record.absent["torch eager"]
    assert record.measurements or record.networks


def test_an_interrupted_benchmark_leaves_no_files(
    tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    names = [*BENCH, "--out", str(tmp_path / "a.json"), "--plot", str(tmp_path / "a.png")]
    with monkeypatch.context() as patch:
        patch.setattr(timing, "processor_clock", interrupted)
        patch.setattr(devices, "processor_clock", interrupted)
        assert main(names) == 130
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("involution_edu.bench.plots.three_digits", interrupted)  # half drawn
    assert main(names) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert from_json((tmp_path / "a.json").read_text(encoding="utf-8")).measurements
    assert capsys.readouterr().out == ""


def test_chosen_backends(tiny: None) -> None:
    record = run_benchmark("quick", backends=["shifts", "shifts"], date="2026-01-01")
    assert [(row.contender, row.task) for row in record.measurements] == [
        ("shifts", "forward"),
        ("shifts", "both"),
    ]
    assert {a.reference for a in record.agreements} == {"loops"}


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("--preset fast", "'fast'"),
        ("--rounds 0", "rounds is 0; need an int >= 1"),
        ("--rounds many", "--rounds: invalid int value: 'many'"),
        ("--backends", "--backends: expected at least one argument"),
        ("--backends numba cuda", "backends is 'cuda'; need some of 'windows', 'shifts', 'numba'"),
        ("--backends loops", "backends is 'loops'; need some of 'windows'"),
        ("--out", "--out: expected one argument"),
        ("--out kept.json", "kept.json exists; pass --force"),
        ("--plot kept.png", "kept.png exists; pass --force"),
        ("--plot folder", "folder is a folder"),
        ("--plot a.pdf", "plot is a.pdf; need a name that ends in .png or .svg"),
        ("--out a.png --plot a.png", "plot is a.png; need another file than the record's"),
        ("--force --out kept.png --plot folder/../kept.png", "need another file than the record"),
        ("--out kept.json/missing/a.json", "kept.json is not a folder"),
        ("--out kept.json/a.json", "kept.json is not a folder"),
        ("--plot /proc/a.png", "/proc/a.png cannot be made"),
        ("--preset networks --plot a.png", "plot is a.png; need none with the preset networks"),
        ("--preset networks --backends numba", "backends is ['numba']; need none with the preset"),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    typed: str,
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("kept.json", "kept.png"):
        Path(name).write_text("precious")
    Path("folder").mkdir()
    assert code_of(["bench", *typed.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("involution-edu: error: ")
    assert err.count("\n") == 1
    assert named in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "kept.json", "kept.png"]
    assert Path("kept.json").read_text() == "precious"


def test_an_unknown_preset_is_an_error() -> None:
    with pytest.raises(ValueError, match="preset is 'fast'; need one of 'rednet50', 'quick'"):
        run_benchmark("fast", date="2026-01-01")


def test_quick_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = tmp_path / "a.json", tmp_path / "a.svg"
    assert main([*BENCH, "--out", str(files[0]), "--plot", str(files[1]), "--rounds", "1"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    written = files[0].read_text(encoding="utf-8")
    data = json.loads(written, parse_constant=pytest.fail)
    assert data["ok"] is True
    assert data["preset"] == "quick"
    assert platform.node() not in written
    assert str(Path.home()) not in written
    assert str(Path(sys.prefix)) not in written
    record = from_json(written)
    assert text == f"{Report(record).text()}\n"
    for geom in presets.PRESETS["quick"].shapes:
        names = {row.contender for row in record.measurements if row.shape == label(geom)}
        assert names >= {"windows", "shifts", "numba"}
    assert all(0 < row.ms < 10_000 for row in record.measurements)
    assert files[1].read_text().startswith("<?xml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.svg"]
    if memory.memory_unavailable() is None:
        geom = presets.PRESETS["quick"].shapes[0]
        needs = {
            r.contender: r.memory or 0
            for r in record.measurements
            if (r.shape, r.task) == (label(geom), "both")
        }
        assert needs["windows"] > 0.9 * unfolded(geom)  # dx needs all windows for real
        assert needs["numba"] < needs["windows"] / 2


def test_json_to_stdout(tiny: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*BENCH, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_the_bar_is_full_at_the_end(
    tiny: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(BENCH) == 0
    assert capsys.readouterr().err == ""
    for wrong in (False, True):  # one that is refused has its steps too
        if wrong:
            monkeypatch.setattr(shifts, "forward", lambda x, kernel, geom: 0 * x)
        monkeypatch.setattr(sys, "stderr", screen := Screen())
        main(BENCH)
        last = screen.getvalue().split("\r")[-1]
        assert "100%" in last
        assert screen.getvalue().endswith("\n")


def test_scaling(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def forward(x: Array, kernel: Array, geom: Geometry) -> Array:
        seen.append(numba_cpu._threads.get() or 0)
        return shifts.forward(x, kernel, geom)

    monkeypatch.setattr(numba_cpu, "forward", forward)
    monkeypatch.setattr(numba_cpu, "max_threads", lambda: 2)
    small = Sweep("C", tuple((c, square(1, c, 4, 3)) for c in (16, 32)), 1)
    threads = Sweep("threads", ((1, TINY), (2, TINY)), -1)
    monkeypatch.setattr(module, "sweeps", lambda threads_: (small, threads))
    record = run_benchmark("scaling", date="2026-01-01", rounds=1)
    assert [(g.axis, g.contender, g.values) for g in record.scaling] == [
        ("C", "windows", (16, 32)),
        ("C", "shifts", (16, 32)),
        ("C", "numba", (16, 32)),
        ("threads", "numba", (1, 2)),
    ]
    assert seen[-2:] == [1, 2]
    assert {a.worst for a in record.agreements if a.reference == "windows"} <= {
        label(geom) for sweep in (small, threads) for _, geom in sweep.points
    }
    assert not record.measurements
    assert not record.peaks
    assert "theory" in Report(record).text()
    assert "## Scaling" in page(record)


@pytest.mark.parametrize("power", [-1, 1, 2, 1.37])
def test_exponent(power: float) -> None:
    values = [3, 5, 7, 9, 11]
    assert exponent(values, [0.07 * v**power for v in values]) == pytest.approx(power)
    noise = np.random.default_rng(0).uniform(0.97, 1.03, 5)
    noisy = [0.07 * n * v**power for v, n in zip(values, noise, strict=True)]
    assert exponent(values, noisy) == pytest.approx(power, abs=0.1)


def test_exponent_of_one_point() -> None:
    assert exponent([1], [3.0]) is None


def test_a_turn_ends_and_a_budget_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def call() -> None:
        nonlocal now
        now += 0.75

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    clock = timing.processor_clock
    slow, quick = timing.Stopwatch([call], clock), timing.Stopwatch([lambda: None], clock)
    quick.spent = timing.BUDGET
    for _ in range(5):
        timing.take_turns([slow, quick])
    assert (slow.calls, slow.shortest, slow.spent) == (3, 0.75, 2.25)
    assert quick.calls == 0
