"""Results derived from a record of the benchmark: no number is lost, no missed target hidden."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import main as make_page
from benchmarks import page
from targets import targets

from involution_edu.bench.derived import (
    bandwidth,
    flops,
    geometric_means,
    gflops,
    traffic,
    unfolded,
)
from involution_edu.bench.plots import save_plot
from involution_edu.bench.presets import FIVE, INFERENCE, REDNET50, Batch, label, square
from involution_edu.bench.record import Machine, Measurement, Peak, Record, Scaling, from_json
from involution_edu.bench.run import exponent
from involution_edu.bench.text import Report, megabytes, three_digits
from involution_edu.verify.compare import Agreement

DOCS = Path(__file__).parents[2] / "docs"

# A record made up: every number below follows from it by hand.

GEOM = REDNET50[0]  # 8 × 64 × 56 × 56, K = 7, G = 4
MS = {"windows": 50.0, "shifts": 40.0, "numba": 1.0, "torch eager": 100.0, "torch.compile": 6.0}


def made_up(**changes: Any) -> Record:
    rows = [
        Measurement(
            label(geom), "float32", name, task, ms * (2 if task == "both" else 1), 5, 700_000
        )
        for geom in REDNET50
        for task in ("forward", "both")
        for name, ms in MS.items()
        if (name, task) != ("torch.compile", "both")
    ]
    fields: dict[str, Any] = {
        "date": "2026-01-01",
        "preset": "all",
        "seconds": 3.0,
        "background_load": 0.25,
        "machine": Machine("A processor", 2, 2, "Linux x86_64", "3.12.0", {"numpy": "2.0"}),
        "peaks": (
            Peak("copy", {"one": 10.0, "two": 65.0}),
            Peak("multiply-add", {"chains": 630.0}),
        ),
        "shapes": {label(geom): geom for geom in REDNET50},
        "agreements": (Agreement("numba", "windows", "float32", "y", 7, "a", 2e-7, 1e-6),),
        "measurements": tuple(rows),
        "scaling": (Scaling("K", "numba", (3, 5), (1.0, 2.5), 1.8, 2),),
        "absent": {"loops": "takes minutes"},
    }
    return Record(**{**fields, **changes})


def test_counts() -> None:
    assert flops(GEOM) == 2 * 8 * 64 * 56 * 56 * 49
    assert traffic(GEOM) == 4 * 8 * 56 * 56 * (64 + 4 * 49 + 64)
    assert unfolded(GEOM) == 4 * 8 * 64 * 56 * 56 * 49
    row = Measurement(label(GEOM), "float32", "numba", "forward", 2.0, 1, None)
    assert gflops(row, GEOM) == pytest.approx(157_351_936 / 2e-3 / 1e9)
    assert bandwidth(row, GEOM) == pytest.approx(32_514_048 / 2e-3 / 1e9)
    both = Measurement(label(GEOM), "float32", "numba", "both", 2.0, 1, None)
    assert gflops(both, GEOM) == pytest.approx(3 * gflops(row, GEOM))


def test_names_and_numbers_as_text() -> None:
    assert label(square(8, 64, 56, 7)) == "8 × 64 × 56 × 56, K = 7"
    assert label(Batch(50, (224, 224), 8, INFERENCE)) == "RedNet-50, 8 × 3 × 224 × 224"
    times = 0.8, 1.0, 12.345, 100.0, 1234.5, np.nan
    assert [*map(three_digits, times)] == ["0.800", "1.00", "12.3", "100", "1234", "-"]
    assert [*map(megabytes, (7_654_321, 20_000, None))] == ["7.7", "< 0.5", "-"]
    assert exponent([1, 2, 4], [3.0, 12.0, 48.0]) == pytest.approx(2)


def slower(record: Record, contender: str, shape: str, times: float) -> Record:
    rows = [
        replace(r, ms=r.ms * times) if (r.contender, r.shape) == (contender, shape) else r
        for r in record.measurements
    ]
    return made_up(measurements=tuple(rows))


def test_means_and_targets() -> None:
    record = made_up()
    means = {(m.slow, m.quick, m.task): m.times for m in geometric_means(record)}
    assert means["torch eager", "numba", "forward"] == pytest.approx(100)
    assert means["torch eager", "numba", "both"] == pytest.approx(100)
    assert means["torch.compile", "numba", "forward"] == pytest.approx(6)
    assert ("torch.compile", "numba", "both") not in means
    goals = targets(record)
    assert [round(t.measured, 3) for t in goals] == [100, 100, 6, 100, 50.022, 2.5]
    assert all(t.reached for t in goals)
    assert "missed" not in page(record)
    assert "target" not in Report(record).text().lower()
    odd = slower(record, "numba", label(FIVE[1]), 32.0)
    assert [(t.need, round(t.measured, 3), t.reached) for t in targets(odd)][:2] == [
        (50, 50.0, True),  # the fifth root of 32 is 2
        (20, 3.125, False),
    ]
    assert targets(odd)[1].where == label(FIVE[1])
    assert "| 20 × | 3.1 × | **missed** |" in page(odd)


def test_no_targets_without_torch() -> None:
    rows = tuple(row for row in made_up().measurements if not row.contender.startswith("torch"))
    record = made_up(measurements=rows)
    assert targets(record) == []
    assert geometric_means(record) == []
    assert "| windows ÷ this |" in page(record)


def test_json_and_back() -> None:
    wrong = Agreement("numba", "windows", "float32", "y", 7, "a", np.inf, 1e-6)
    for record in (made_up(), made_up(agreements=(wrong,), measurements=(), background_load=None)):
        text = json.dumps(Report(record).data())
        assert from_json(text) == record


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"date": 1, "machine": {"cores": 2}}'])
def test_text_that_is_not_a_record(text: str) -> None:
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


def test_the_readme_quotes_the_record() -> None:
    record = from_json((DOCS / "benchmarks.json").read_text(encoding="utf-8"))
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    means = {
        mean.quick: mean.times
        for mean in geometric_means(record)
        if (mean.slow, mean.task) == ("torch eager", "forward")
    }
    assert set(means) == {"windows", "shifts", "numba"}
    for name, times in means.items():
        row = next(line for line in readme.splitlines() if line.startswith(f"| [`{name}`]"))
        assert row.endswith(f" {times:.1f} × |")
