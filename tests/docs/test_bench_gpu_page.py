"""The page of a GPU's benchmark: no number is lost, no missed target hidden, no run made up."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks_gpu import gpu_page, merged
from benchmarks_gpu import main as make_page
from targets import gpu_targets

from involution_edu.backends.cuda import fused
from involution_edu.backends.cuda.versions import TASKS
from involution_edu.bench.derived import share_of_copy
from involution_edu.bench.presets import square
from involution_edu.bench.record import Machine, Measurement, Peak, Record
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
TIMES = {"cupy:v1": 1.0, "cupy:v5": 0.1, "torch eager": 3.0}


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
        peaks=(
            Peak("copy", {"one": 2000.0, "two": 4000.0}),
            Peak(f"copy of {BYTES / 1e6:.0f} MB", {"one": 1000.0, "two": 8000.0}),
            Peak(f"copy of {BYTES / 2e6:.0f} MB", {"one": 1000.0, "two": 8000.0}),
        ),
        shapes={SHAPE: GEOM},
        agreements=(Agreement("cupy:v5", "numba", "float32", "y", 4, "a", 2e-7, 1e-6),),
        measurements=tuple(rows),
        scaling=(),
        absent={"numba_cuda": "no NVVM"},
    )


PRINTED = [
    {"what": "batch norm", "shape": SHAPE, "ms": 1.25},
    {"what": "RedNet-26", "images": 32, "ms": 64.0, "losses": [7.0]},
    {"what": "one or two", "shape": SHAPE, "dtype": "float32", "ratio": 2, "fused": 0.5, "unfused": 1.0},
]  # fmt: skip
COUNTED = """\
"ID","Kernel Name","Metric Name","Metric Unit","Metric Value"
"0","void forward_v4<float, 7>(int)","dram__bytes.sum","Mbyte","12.5"
"0","void forward_v4<float, 7>(int)","gpu__time_duration.sum","us","10"
"1","cupy_copy","dram__bytes.sum","byte","7"
"""


def made_up_rows(*records: Record) -> dict[str, dict[str, Any]]:
    """Return the record of gpu_check with these records of shapes."""
    data: dict[str, Any] = {
        "versions": {"processor": "A GPU"},
        "tests": ["63 passed"],
        "counters": COUNTED.splitlines(),
        "batch_norm": [json.dumps(PRINTED[0])],
        "one_launch_or_two": list(map(json.dumps, PRINTED[1:])),
        **{f"shape {n}": asdict(record) for n, record in enumerate(records)},
    }
    row = {"status": "ok", "seconds": 7.5, "why": ""}
    late = {"status": "skipped", "seconds": 0.0, "why": "a | <b>", "data": None}
    return {**{name: {**row, "data": found} for name, found in data.items()}, "PyTorch": late}


def test_shares_and_targets_by_hand() -> None:
    record = made_up()
    full = 100 * BYTES / 0.1e-3 / 4000e9
    own = full / 2  # of a copy that is twice as fast
    for row in record.measurements:
        if row.contender == "cupy:v5":  # half the bytes in half the time
            assert share_of_copy(record, row) == pytest.approx(full)
    measured = {target.what: target for target in gpu_targets(record)}
    for task in TASKS:
        target = measured[f"cupy:v5, {task}, share of a copy of its size"]
        assert target.measured == pytest.approx(own)
        assert not target.reached
    assert measured["cupy:v5 over cupy:v1, which reads as the authors' kernels do"].measured == (
        pytest.approx(10)
    )
    assert measured["cupy:v5, float16 over float32"].measured == pytest.approx(2)
    fused = measured["cupy fused over two launches, where a layer fuses"]
    assert fused.measured == pytest.approx(0.8)
    assert not fused.reached
    assert gpu_targets(replace(record, measurements=())) == []


def test_the_page_has_every_number() -> None:
    text = gpu_page(made_up_rows(made_up()))
    assert "not yet run" not in text.lower()
    assert "A GPU, 132 multiprocessors" in text
    assert "| copy | 2000 | 4000 |" in text
    assert f"| copy of {BYTES / 1e6:.0f} MB | 1000 | 8000 |" in text
    speed = BYTES / 0.1e-3 / 1e9
    assert (
        f"| cupy:v5 | 0.100 | {speed:.0f} | {speed / 40:.1f} % | {speed / 80:.1f} % | 10.0 × |"
        in text
    )
    assert "| torch eager | 3.00 |" in text
    speed = FUSED_BYTES / 0.25e-3 / 1e9
    assert (
        f"| cupy fused | 0.250 | {speed:.0f} | {speed / 40:.1f} % | {speed / 80:.1f} % | 0.8 × |"
        in text
    )
    assert "**missed**" in text
    assert "numba_cuda: no NVVM" in text
    assert f"- Batch norm, forward and backward, {SHAPE}: 1.25 ms" in text
    assert "32 images: 64 ms, 500 images a second" in text
    assert f"| {SHAPE} | float32 | 2 | 0.500 | 1.00 | 2.00 × |" in text
    assert "| void forward_v4&lt;float, 7>(int) | 12.5 Mbyte | 10 us |" in text
    assert "cupy_copy" not in text
    assert "| PyTorch | skipped | 0.0 | a \\| &lt;b> |" in text
    assert "**Predictions, not measurements**" in text


def test_the_records_of_all_steps_become_one() -> None:
    first = made_up()
    faster = replace(first.peaks[0], methods={"one": 3000.0, "two": 1000.0})
    worse = replace(first.agreements[0], error=5e-7, worst="b")
    other = replace(first, peaks=(faster,), agreements=(worse,), measurements=(), absent={"a": "b"})
    record = merged(made_up_rows(first, other))
    assert record is not None
    assert record.peaks[0].methods == {"one": 3000.0, "two": 4000.0}
    assert record.agreements == (replace(worse, cases=8),)
    assert record.measurements == first.measurements
    assert record.absent == {"numba_cuda": "no NVVM", "a": "b"}
    assert record.seconds == 7 * 7.5


def test_a_failed_check_leaves_a_page_that_says_so() -> None:
    rows = made_up_rows()
    rows["tests"] |= {"status": "failed", "why": "SKIPPED [3] no GPU", "data": []}
    for step in ("batch_norm", "one_launch_or_two", "counters"):
        rows[step] = {**rows["PyTorch"], "why": "failed: tests"}
    text = gpu_page(rows)
    assert "**Nothing was measured**" in text
    assert "| tests | failed | 7.5 | SKIPPED [3] no GPU |" in text
    assert "## Targets" not in text


def test_the_committed_page_is_made_from_the_record(tmp_path: Path) -> None:
    made = tmp_path / "page.md"
    make_page([str(DOCS / "benchmarks-gpu.json"), str(made)])
    assert made.read_text(encoding="utf-8") == (DOCS / "benchmarks-gpu.md").read_text("utf-8")
    assert (
        DOCS / "benchmarks-gpu.json"
    ).exists() or "**Not yet run on a GPU.**" in made.read_text()
    record = tmp_path / "record.json"
    rows = made_up_rows(made_up())
    record.write_text(json.dumps(rows), encoding="utf-8")
    make_page([str(record), str(made)])
    assert made.read_text(encoding="utf-8") == gpu_page(rows)
