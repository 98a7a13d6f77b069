"""The benchmark of whole networks: a wrong one is refused, the rest is measured completely."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from benchmarks import page
from targets import targets

from involution_edu.arrays import Array
from involution_edu.bench import memory, networks, presets
from involution_edu.bench import run as module
from involution_edu.bench.derived import speedup
from involution_edu.bench.networks import Network
from involution_edu.bench.presets import INFERENCE, OURS, THEIRS, TRAINING, Batch, Preset, label
from involution_edu.bench.record import Measurement, Record, from_json
from involution_edu.bench.run import run_benchmark
from involution_edu.bench.text import Report
from involution_edu.cli import main
from involution_edu.models.residual import Bottleneck

BENCH = ["bench", "--preset", "networks", "--rounds", "1"]


PLAN = Batch(26, (33, 33), 1, INFERENCE), Batch(26, (33, 33), 2, TRAINING)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shrink the preset, and leave out memory, which has its own test."""
    monkeypatch.setitem(presets.PRESETS, "networks", Preset(batches=PLAN))
    monkeypatch.setattr(module, "memory_unavailable", lambda: "not measured here")
    monkeypatch.setattr(networks, "PEERS", {})  # to compile RedNet-26 takes a minute
    monkeypatch.setattr(networks, "threads", lambda: 1)  # two wait for each other on a busy machine


def test_both_networks_are_compared_and_timed(
    tiny: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs.package("torch")
    file = tmp_path / "a.json"
    assert main([*BENCH, "--out", str(file)]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    record = from_json(file.read_text(encoding="utf-8"))
    assert f"{Report(record).text()}\n" == text
    assert [(r.shape, r.task, r.contender, r.calls > 0) for r in record.networks] == [
        (label(batch), batch.task, name, True) for batch in PLAN for name in (OURS, THEIRS)
    ]
    found = {(a.dtype, a.tensor): a for a in record.agreements}
    assert {key: a.tolerance for key, a in found.items()} == {
        ("float32", "logits"): 1e-4,
        ("float64", "logits"): 1e-9,
        ("float64", "loss"): 1e-9,
        ("float64", "gradients"): 1e-9,
        ("float64", "logits after a step"): 1e-9,
    }
    assert found["float64", "gradients"].cases == 131
    assert record.measurements == ()
    assert record.absent == {"memory": "not measured here"}


def half_gradient(self: Bottleneck, dy: Array) -> Array:
    return 0.999 * backward(self, dy)


def shifted(self: Bottleneck, x: Array) -> Array:
    return forward(self, x) + np.float32(0.01).astype(x.dtype)


backward, forward = Bottleneck.backward, Bottleneck.forward


@pytest.mark.parametrize(
    ("name", "wrong", "tensor"),
    [("backward", half_gradient, "gradients"), ("forward", shifted, "logits")],
)
def test_a_wrong_network_is_refused_and_named(
    name: str,
    wrong: Any,
    tensor: str,
    tiny: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    needs.package("torch")
    monkeypatch.setattr(Bottleneck, name, wrong)
    assert main(BENCH) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert f"FAIL: involution_edu differs from torch eager in {tensor} (float64)" in text
    assert "÷ this" not in text


def test_without_torch_ours_is_timed_alone(
    tiny: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    record = run_benchmark("networks", rounds=1, date="2026-01-01")
    assert [(r.task, r.contender) for r in record.networks] == [(INFERENCE, OURS), (TRAINING, OURS)]
    assert record.agreements == ()
    assert "so RedNet-26 was not checked" in record.absent["torch eager"]
    assert [speedup(record, r) for r in record.networks] == [None, None]
    assert "Every backend agrees" not in Report(record).text()


def test_a_peer_that_cannot_run_is_absent(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(depth: int, dtype: Any) -> Network:
        raise RuntimeError("Numpy is\nnot available")

    monkeypatch.setitem(networks.CONTENDERS, THEIRS, broken)
    monkeypatch.setattr(networks, "torch_unavailable", lambda: None)
    record = run_benchmark("networks", rounds=1, date="2026-01-01")
    assert record.absent[THEIRS] == (
        "fails with RuntimeError: Numpy is not available; so RedNet-26 was not checked"
    )
    assert [r.contender for r in record.networks] == [OURS, OURS]


def test_compilers_are_checked_and_timed_for_what_they_do(
    tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs.package("torch")

    def wrong(depth: int, dtype: Any) -> Network:
        return Network(lambda x: networks.ours(depth, dtype).infer(x) * np.float32(1.001))

    def missing(depth: int, dtype: Any) -> Network:
        raise ModuleNotFoundError("No module named 'openvino'")

    def right(depth: int, dtype: Any) -> Network:
        return Network(networks.theirs(depth, dtype).infer)

    peers = {"right": right, "wrong": wrong, "missing": missing}
    monkeypatch.setattr(networks, "PEERS", peers)
    record = run_benchmark("networks", rounds=1, date="2026-01-01")
    assert [(r.task, r.contender) for r in record.networks] == [
        *((INFERENCE, name) for name in (OURS, THEIRS, "right")),
        *((TRAINING, name) for name in (OURS, THEIRS)),
    ]
    assert record.absent["missing"] == "fails with ModuleNotFoundError: No module named 'openvino'"
    assert [a.backend for a in record.agreements if not a.agrees] == ["wrong"]


def test_all_steps_are_reported(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Network(lambda x: x, lambda x, labels: 0.0, dict)
    monkeypatch.setattr(networks, "CONTENDERS", {OURS: lambda depth, dtype: nothing})
    monkeypatch.setattr(networks, "compare", lambda batch: ([OURS], [], {}))
    monkeypatch.setattr(module, "in_new_process", lambda function, name, batches: [])
    for no_memory in ("not measured here", None):
        monkeypatch.setattr(module, "memory_unavailable", lambda: no_memory)  # noqa: B023
        for rounds in (1, 2, 99):
            steps: list[tuple[int, int]] = []

            def progress(done: int, total: int, what: str) -> None:
                steps.append((done, total))  # noqa: B023 - called within this turn

            record = run_benchmark("networks", rounds=rounds, date="2026-01-01", progress=progress)
            total = 1 + (no_memory is None) + min(rounds, networks.MAX_TURNS) * len(PLAN)
            assert steps == [(done, total) for done in range(1, total + 1)]
            assert len(record.networks) == 2


def test_memory_that_cannot_be_measured_is_named(
    tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the system ends the new process, which needs as much memory again."""
    nothing = Network(lambda x: x, lambda x, labels: 0.0, dict)
    monkeypatch.setattr(networks, "CONTENDERS", {OURS: lambda depth, dtype: nothing})
    monkeypatch.setattr(networks, "compare", lambda batch: ([OURS], [], {}))
    monkeypatch.setattr(module, "memory_unavailable", lambda: None)
    monkeypatch.setattr(memory, "CALL", "import os; os._exit(137)")
    record = run_benchmark("networks", rounds=1, date="2026-01-01")
    assert record.absent == {"memory of involution_edu": "RuntimeError: its process ended with 137"}
    assert [row.memory for row in record.networks] == [None, None]


def made_up(*rows: Measurement) -> Record:
    text = (Path(__file__).parents[2] / "docs" / "benchmarks.json").read_text(encoding="utf-8")
    return replace(from_json(text), networks=rows)


SHAPE = "RedNet-50, 8 × 3 × 224 × 224"


def row(task: str, contender: str, ms: float, size: int | None) -> Measurement:
    return Measurement(SHAPE, "float32", contender, task, ms, 3, size)


def test_targets_of_networks() -> None:
    theirs = row(TRAINING, "torch eager", 900.0, 4_000_000_000)
    record = made_up(row(TRAINING, OURS, 300.0, 3_000_000_000), theirs)
    found = [t for t in targets(record) if "network" in t.what]
    assert [(t.need, t.measured, t.reached) for t in found] == [(2, 3.0, True), (2, 4 / 3, False)]
    assert {t.where for t in found} == {f"{SHAPE}: training step"}
    text, made = Report(record).text(), page(record)
    assert f"{SHAPE}, float32: training step\n÷: the time of torch eager\n" in text
    assert "involution_edu  300   3.0 ×  3000.0" in text
    assert f"### {SHAPE}: training step" in made
    assert "| involution_edu | 300 | 3.0 × | 3000.0 |" in made
    assert "Whole networks" in made
    assert from_json(json.dumps(Report(record).data())) == record
    without = made_up(row(INFERENCE, OURS, 300.0, None), row(INFERENCE, "torch eager", 450.0, None))
    assert [t.measured for t in targets(without) if "network" in t.what] == [1.5]


@pytest.mark.skipif(
    memory.memory_unavailable() is not None,
    reason="needs Linux with /proc/self/clear_refs: run it there",
)
def test_the_memory_of_a_network_is_measured_in_its_own_process() -> None:
    small, large = ([replace(b, size=(side, side)) for b in PLAN] for side in (32, 128))
    used = [memory.in_new_process(networks.network_memory, OURS, plan) for plan in (small, large)]
    assert all([list(need) for need in needs_] == [[INFERENCE], [TRAINING]] for needs_ in used)
    assert (
        used[0][1][TRAINING] + 20e6 < used[1][1][TRAINING]
    )  # the activations of sixteen times as many pixels
    assert used[1][0][INFERENCE] < used[1][1][TRAINING]  # one image forward, two there and back


MEASURE = """
import numpy as np
from involution_edu.bench.memory import rise, steady_rise
size, kept = 64_000_000, []
def forget(): np.ones(size // 4, np.float32)
def keep(): kept[:] = [np.ones(size // 4, np.float32)]
rises = rise(forget, 0), rise(forget, size), steady_rise(forget), steady_rise(keep)
print([round(rise / size, 1) for rise in rises])
"""


@pytest.mark.skipif(
    memory.memory_unavailable() is not None,
    reason="needs Linux with /proc/self/clear_refs: run it there",
)
def test_memory_is_what_a_call_allocates_and_leaves_behind() -> None:
    """In its own process: PyTorch, once used, may keep in this one what NumPy frees."""
    command = [sys.executable, "-c", MEASURE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [1, 0, 1, 2]  # the last has the old array beside the new
