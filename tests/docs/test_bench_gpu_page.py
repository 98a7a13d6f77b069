"""The page of a GPU's benchmark: no number is lost, no missed target hidden, no run made up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks_gpu import gpu_page
from benchmarks_gpu import main as make_page
from targets import gpu_targets

from involution_edu.backends.cuda import fused
from involution_edu.backends.cuda.versions import TASKS
from involution_edu.bench.derived import share_of_copy
from involution_edu.bench.presets import square
from involution_edu.bench.record import Machine, Measurement, Peak, Record
from involution_edu.bench.text import Report
from involution_edu.verify.compare import Agreement

DOCS = Path(__file__).parents[2] / "docs"

# A record made up: every number below follows from it by hand.

GEOM = square(64, 64, 56, 7)
FUSED_BYTES = 4 * (
    2 * 64 * 64 * 56 * 56 + 64 * 16 * 56 * 56 + 196 * 17  # x, y, features; weight and bias
)
BYTES = 4 * (2 * 64 * 64 * 56 * 56 + 64 * 4 * 49 * 56 * 56)  # x, y and the kernel once
SHAPE = "64 × 64 × 56 × 56, K = 7"
DTYPES = "float32", "float16"
TIMES = {"cupy:v1": 1.0, "cupy:v4": 0.1, "torch eager": 3.0}


def made_up() -> Record:
    rows = [
        Measurement(SHAPE, dtype, name, task, ms / (2 if dtype == "float16" else 1), 12, None)
        for dtype in DTYPES
        for name, ms in TIMES.items()
        for task in TASKS
    ]
    rows += [
        Measurement(SHAPE, dtype, name, fused.TASK, ms, 12, None)
        for dtype in DTYPES
        for name, ms in (("cupy unfused", 0.2), ("cupy fused", 0.25))
    ]
    return Record(
        date="2026-01-01",
        preset="gpu",
        seconds=60.0,
        background_load=None,
        machine=Machine("A GPU", 132, 2, "Linux x86_64", "3.12.0", {"cupy": "14", "torch": None}),
        peaks=(Peak("copy", {"one": 2000.0, "two": 4000.0}),),
        shapes={SHAPE: GEOM},
        agreements=(Agreement("cupy:v4", "numba", "float32", "y", 4, "a", 2e-7, 1e-6),),
        measurements=tuple(rows),
        scaling=(),
        absent={"numba_cuda": "no NVVM"},
    )


def test_shares_and_targets_by_hand() -> None:
    record = made_up()
    full = 100 * BYTES / 0.1e-3 / 4000e9
    for row in record.measurements:
        if row.contender == "cupy:v4":  # half the bytes in half the time
            assert share_of_copy(record, row) == pytest.approx(full)
    measured = {target.what: target for target in gpu_targets(record)}
    for task in TASKS:
        target = measured[f"cupy:v4, {task}, share of copy bandwidth"]
        assert target.measured == pytest.approx(full)
        assert not target.reached
    assert measured["cupy:v4 over cupy:v1, which reads as the authors' kernels do"].measured == (
        pytest.approx(10)
    )
    assert measured["cupy:v4, float16 over float32"].measured == pytest.approx(2)
    fused = measured["cupy fused over two launches, where a layer fuses"]
    assert fused.measured == pytest.approx(0.8)
    assert not fused.reached
    assert gpu_targets(replace(record, measurements=())) == []


def test_the_page_has_every_number() -> None:
    text = gpu_page(made_up())
    assert "not yet run" not in text.lower()
    assert "A GPU, 132 multiprocessors" in text
    assert "**4000 GB/s** (one 2000, two 4000)" in text
    speed = BYTES / 0.1e-3 / 1e9
    assert f"| cupy:v4 | 0.100 | {speed:.0f} | {speed / 40:.1f} % | 10.0 × |" in text
    assert "| torch eager | 3.00 |" in text
    speed = FUSED_BYTES / 0.25e-3 / 1e9
    assert f"| cupy fused | 0.250 | {speed:.0f} | {speed / 40:.1f} % | 0.8 × |" in text
    assert "**missed**" in text
    assert "numba_cuda: no NVVM" in text


def test_the_committed_page_is_made_from_the_record(tmp_path: Path) -> None:
    made = tmp_path / "page.md"
    make_page([str(DOCS / "benchmarks-gpu.json"), str(made)])
    assert made.read_text(encoding="utf-8") == (DOCS / "benchmarks-gpu.md").read_text("utf-8")
    assert (
        DOCS / "benchmarks-gpu.json"
    ).exists() or "**Not yet run on a GPU.**" in made.read_text()
    record = tmp_path / "record.json"
    record.write_text(json.dumps(Report(made_up()).data()), encoding="utf-8")
    make_page([str(record), str(made)])
    assert made.read_text(encoding="utf-8") == gpu_page(made_up())
