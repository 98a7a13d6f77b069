"""The benchmark times nothing wrong, counts what it says, and hides no miss."""

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
from test_cli import Screen, code_of

from involution_edu.backends import numba_cpu, shifts, windows
from involution_edu.bench import contenders, limits, memory, presets, timing
from involution_edu.bench import run as module
from involution_edu.bench.contenders import Job
from involution_edu.bench.derived import (
    bandwidth,
    data_of,
    flops,
    geometric_means,
    gflops,
    targets,
    traffic,
    unfolded,
)
from involution_edu.bench.page import main as make_page
from involution_edu.bench.page import page
from involution_edu.bench.plots import save_plot
from involution_edu.bench.presets import FIVE, REDNET50, Preset, Sweep, label, square
from involution_edu.bench.record import Growth, Limit, Machine, Record, Row, from_json
from involution_edu.bench.run import exponent, run
from involution_edu.bench.text import bench_text
from involution_edu.cli import main
from involution_edu.compare import Agreement
from involution_edu.geometry import Array, Geometry

DOCS = Path(__file__).parent.parent / "docs"
TINY = square(1, 32, 9, 3)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shrink a preset to one small shape, without PyTorch, and the limits to small arrays."""
    monkeypatch.setitem(presets.PRESETS, "quick", Preset((TINY,), ("torch eager",), rounds=1))
    monkeypatch.setattr(limits, "COPIED", 1 << 16)
    monkeypatch.setattr(limits, "LENGTH", 100)
    monkeypatch.setattr(limits, "PRODUCT", 16)
    monkeypatch.setattr(timing, "TURN", 0.0)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(module, "memory_unavailable", lambda: "not measured here")


BENCH = ["bench", "--preset", "quick"]


def on_large_images(function: Callable[..., Array]) -> Callable[..., Array]:
    """Return ``function`` with a fault that small twins of a shape do not show."""

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

    def peaks(name: str, shapes: list[Geometry]) -> list[dict[str, int]]:
        asked.append(name)
        return [{} for _ in shapes]

    monkeypatch.setattr(module, "peaks", peaks)
    record = run("quick", date="2026-01-01")
    assert [row.contender for row in record.rows] == ["windows", "windows", "numba", "numba"]
    assert asked == ["windows", "numba"]


def test_a_wrong_rung_is_no_reference(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "forward", lambda x, kernel, geom: 0 * x)
    record = run("quick", date="2026-01-01")
    assert {a.reference for a in record.agreements} == {"loops", "shifts"}
    assert {a.backend for a in record.agreements if not a.agrees} == {"windows"}
    assert {row.contender for row in record.rows} == {"shifts", "numba"}


def fake_peer(monkeypatch: pytest.MonkeyPatch, prepare: contenders.Prepare) -> None:
    monkeypatch.setitem(contenders.PEERS, "torch eager", prepare)
    monkeypatch.setattr(module, "torch_unavailable", lambda: None)


def test_nothing_is_timed_if_all_are_wrong(
    tiny: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fake_peer(monkeypatch, lambda x, kernel, dy, geom: Job(lambda: x, None))
    for rung in (windows, shifts, numba_cpu):
        monkeypatch.setattr(rung, "forward", lambda x, kernel, geom: 0 * x)
    assert main([*BENCH, "--plot", str(tmp_path / "a.png")]) == 1
    text = capsys.readouterr().out
    assert text.count("FAIL:") == 3
    assert "torch eager is absent: no backend is right here" in text
    assert "ms  GFLOP/s" not in text
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_peer_is_refused(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_peer(monkeypatch, lambda x, kernel, dy, geom: Job(lambda: 0 * x, None))
    record = run("quick", date="2026-01-01")
    assert [(a.backend, a.tensor) for a in record.agreements if not a.agrees] == [
        ("torch eager", "y")
    ]
    assert "torch eager" not in {row.contender for row in record.rows}


def test_a_peer_that_cannot_run_is_absent(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(x: Array, kernel: Array, dy: Array, geom: Geometry) -> Job:
        raise RuntimeError("no C++\ncompiler")

    fake_peer(monkeypatch, broken)
    record = run("quick", date="2026-01-01")
    assert record.agrees
    assert record.absent["torch eager"] == "fails with RuntimeError: no C++ compiler"


def test_without_torch(tiny: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(BENCH) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "torch eager is absent: torch cannot be imported" in text
    assert "the time of windows over this one" in text
    assert "Targets" not in text


def test_chosen_backends(tiny: None) -> None:
    record = run("quick", backends=["shifts", "shifts"], date="2026-01-01")
    assert [(row.contender, row.task) for row in record.rows] == [
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
        ("--json", "--json: expected one argument"),
        ("--json missing/a.json", "missing is not a folder"),
        ("--json kept.json", "kept.json exists; pass --force"),
        ("--plot kept.png", "kept.png exists; pass --force"),
        ("--plot folder", "folder is a folder"),
        ("--plot a.pdf", "plot is a.pdf; need a name that ends in .png or .svg"),
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


def test_an_unknown_preset_is_no_record() -> None:
    with pytest.raises(ValueError, match="preset is 'fast'; need one of 'rednet50', 'quick'"):
        run("fast", date="2026-01-01")


def test_quick_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = tmp_path / "a.json", tmp_path / "a.svg"
    assert main([*BENCH, "--json", str(files[0]), "--plot", str(files[1]), "--rounds", "1"]) == 0
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
    assert text == f"{bench_text(record)}\n"
    for geom in presets.PRESETS["quick"].shapes:
        names = {row.contender for row in record.rows if row.shape == label(geom)}
        assert names >= {"windows", "shifts", "numba"}
    assert all(0 < row.ms < 10_000 for row in record.rows)
    assert files[1].read_text().startswith("<?xml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.svg"]
    if memory.memory_unavailable() is None:
        geom = presets.PRESETS["quick"].shapes[0]
        needs = {
            r.contender: r.memory or 0
            for r in record.rows
            if (r.shape, r.task) == (label(geom), "both")
        }
        assert needs["windows"] > 0.9 * unfolded(geom)  # dx needs all windows for real
        assert needs["numba"] < needs["windows"] / 2


def test_json_to_stdout(tiny: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*BENCH, "--json", "-"]) == 0
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
        last = screen.getvalue().split("\r")[-2].split()
        assert last[0] == f"[{'#' * 24}]"
        assert last[1] == "2/2"
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
    record = run("scaling", date="2026-01-01", rounds=1)
    assert [(g.axis, g.contender, g.values) for g in record.growths] == [
        ("C", "windows", (16, 32)),
        ("C", "shifts", (16, 32)),
        ("C", "numba", (16, 32)),
        ("threads", "numba", (1, 2)),
    ]
    assert seen[-2:] == [1, 2]
    assert {a.worst for a in record.agreements if a.reference == "windows"} <= {
        label(geom) for sweep in (small, threads) for _, geom in sweep.points
    }
    assert not record.rows
    assert not record.limits
    assert "theory" in bench_text(record)
    assert "## How time grows" in page(record)


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
    slow, quick = timing.Stopwatch(call), timing.Stopwatch(lambda: None)
    quick.spent = timing.BUDGET
    for _ in range(5):
        timing.take_turns([slow, quick])
    assert (slow.calls, slow.shortest, slow.spent) == (3, 0.75, 2.25)
    assert quick.calls == 0


@pytest.mark.skipif(memory.memory_unavailable() is not None, reason="memory cannot be measured")
def test_memory_is_what_a_call_allocates() -> None:
    size = 64_000_000
    peak = memory._peak(lambda: np.ones(size // 4, np.float32), results=0)
    assert peak == pytest.approx(size, rel=0.05)
    assert memory._peak(lambda: np.ones(size // 4, np.float32), results=size) < 0.05 * size


# A record made up: every number below follows from it by hand.

GEOM = REDNET50[0]  # 8 × 64 × 56 × 56, K = 7, G = 4
MS = {"windows": 50.0, "shifts": 40.0, "numba": 1.0, "torch eager": 100.0, "torch.compile": 6.0}


def made_up(**changes: Any) -> Record:
    rows = [
        Row(label(geom), name, task, ms * (2 if task == "both" else 1), 5, 700_000)
        for geom in REDNET50
        for task in ("forward", "both")
        for name, ms in MS.items()
        if (name, task) != ("torch.compile", "both")
    ]
    fields: dict[str, Any] = {
        "date": "2026-01-01",
        "preset": "all",
        "seconds": 3.0,
        "others": 0.25,
        "machine": Machine("A processor", 2, 2, "Linux x86_64", "3.12.0", {"numpy": "2.0"}),
        "limits": (
            Limit("copy", {"one": 10.0, "two": 65.0}),
            Limit("multiply-add", {"chains": 630.0}),
        ),
        "shapes": {label(geom): geom for geom in REDNET50},
        "agreements": (Agreement("numba", "windows", "float32", "y", 7, "a", 2e-7, 1e-6),),
        "rows": tuple(rows),
        "growths": (Growth("K", "numba", (3, 5), (1.0, 2.5), 1.8, 2),),
        "absent": {"loops": "takes minutes"},
    }
    return Record(**{**fields, **changes})


def test_counts() -> None:
    assert flops(GEOM) == 2 * 8 * 64 * 56 * 56 * 49
    assert traffic(GEOM) == 4 * 8 * 56 * 56 * (64 + 4 * 49 + 64)
    assert unfolded(GEOM) == 4 * 8 * 64 * 56 * 56 * 49
    row = Row(label(GEOM), "numba", "forward", 2.0, 1, None)
    assert gflops(row, GEOM) == pytest.approx(157_351_936 / 2e-3 / 1e9)
    assert bandwidth(row, GEOM) == pytest.approx(32_514_048 / 2e-3 / 1e9)
    both = Row(label(GEOM), "numba", "both", 2.0, 1, None)
    assert gflops(both, GEOM) == pytest.approx(3 * gflops(row, GEOM))


def slower(record: Record, contender: str, shape: str, times: float) -> Record:
    rows = [
        Row(r.shape, r.contender, r.task, r.ms * times, r.calls, r.memory)
        if (r.contender, r.shape) == (contender, shape)
        else r
        for r in record.rows
    ]
    return made_up(rows=tuple(rows))


def test_means_and_targets() -> None:
    record = made_up()
    means = {(m.slow, m.quick, m.task): m.times for m in geometric_means(record)}
    assert means["torch eager", "numba", "forward"] == pytest.approx(100)
    assert means["torch eager", "numba", "both"] == pytest.approx(100)
    assert means["torch.compile", "numba", "forward"] == pytest.approx(6)
    assert ("torch.compile", "numba", "both") not in means
    goals = targets(record)
    assert [round(t.measured, 3) for t in goals] == [100, 100, 6, 100, 50.022, 2.5]
    assert all(t.met for t in goals)
    assert "MISSED" not in bench_text(record)
    odd = slower(record, "numba", label(FIVE[1]), 32.0)
    assert [(t.need, round(t.measured, 3), t.met) for t in targets(odd)][:2] == [
        (50, 50.0, True),  # the fifth root of 32 is 2
        (20, 3.125, False),
    ]
    assert targets(odd)[1].where == label(FIVE[1])
    assert "MISSED: numba over PyTorch eager, forward, on every shape: 3.1 ×" in bench_text(odd)
    assert "| 20 × | 3.1 × | **missed** |" in page(odd)


def test_no_targets_without_torch() -> None:
    rows = tuple(row for row in made_up().rows if not row.contender.startswith("torch"))
    record = made_up(rows=rows)
    assert targets(record) == []
    assert geometric_means(record) == []
    assert "| windows ÷ this |" in page(record)


def test_json_and_back() -> None:
    wrong = Agreement("numba", "windows", "float32", "y", 7, "a", np.inf, 1e-6)
    for record in (made_up(), made_up(agreements=(wrong,), rows=(), others=None)):
        text = json.dumps(data_of(record))
        assert from_json(text) == record
    assert json.loads(json.dumps(data_of(made_up())))["targets"][0]["met"] is True


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"date": 1, "machine": {"cores": 2}}'])
def test_what_is_no_record(text: str) -> None:
    with pytest.raises(ValueError, match=r"record is not one|Expecting value"):
        from_json(text)


@pytest.mark.parametrize("name", ["a.png", "a.svg"])
def test_plots_are_the_same_from_the_same_record(name: str, tmp_path: Path) -> None:
    files = [tmp_path / name, tmp_path / f"again-{name}"]
    for path in files:
        save_plot(made_up(), path)
    first, second = (path.read_bytes() for path in files)
    assert len(first) > 10_000
    assert first == second


def test_the_page_is_made_from_the_record(tmp_path: Path) -> None:
    make_page([str(DOCS / "benchmarks.json"), str(tmp_path / "a.md")])
    made = (tmp_path / "a.md").read_text(encoding="utf-8")
    assert made == (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    assert (DOCS / "benchmarks.png").is_file()
