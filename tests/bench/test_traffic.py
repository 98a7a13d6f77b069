"""The traffic of every version, against numbers countable by hand."""

from __future__ import annotations

import math
import subprocess
import sys
from functools import cache
from pathlib import Path

import needs
import pytest

from involution_edu.backends.cuda import fused, versions
from involution_edu.backends.cuda.versions import VERSIONS
from involution_edu.bench import cuda_traffic as traffic
from involution_edu.geometry import make_geometry

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "cuda.md"
FUSED = fused.TASK
HALO = 14 * 38 / (8 * 32)  # of a full tile, K = 7
TALL_HALO = 22 * 38 / (16 * 32)  # of v4 where a thread owns 2 x 2 pixels


@needs.compiler
def test_counts_are_those_of_the_table_of_versions() -> None:
    """No padding and full tiles, 16 channels in a group: no read falls away at an edge."""
    geom = make_geometry((1, 16, 38, 70), 1, 7, padding="valid")
    found = {(t.task, t.version): t for t in traffic.measure(geom)}
    reads = {
        ("forward", "v1"): 49 + 49,
        ("forward", "v2"): HALO + 49,
        ("forward", "v3"): HALO + 49 / 16,
        ("backward_kernel", "v1"): 16 + 16,
        ("backward_kernel", "v2"): 16 * (1 + HALO) / 7,
        ("backward_kernel", "v3"): 16 * (1 + HALO) / 49,
        ("forward", "v4"): TALL_HALO + 49 / 16,
        ("backward_kernel", "v4"): 16 * (1 + HALO) / 49,
        ("forward", "v5"): TALL_HALO + 49 / 16,
        ("backward_kernel", "v5"): 16 * (2 + HALO) / 49,  # two threads read a pixel's dy
        # A thread that has a pixel reads 49 times a bias, 16 weights and 16 features.
        (FUSED, "v1"): HALO + 49 / 16 * (1 + 2 * 16),
        # Each block reads what it needs once: 8 x 32 pixels of 16 features, 49 x 16 weights, bias.
        (FUSED, "v2"): HALO + (16 * 256 + 49 * 17) / (16 * 256),
    }
    for row, expected in reads.items():
        assert math.isclose(found[row].global_reads, expected), row
    shared = {
        ("forward", "v1"): (0, 0),
        ("forward", "v2"): (49, HALO),
        ("forward", "v3"): (49, HALO),
        ("backward_kernel", "v2"): (16, 16 * HALO / 7),
        ("backward_kernel", "v3"): (16, 16 * HALO / 49),
        ("forward", "v4"): (8 * 8 / 4, TALL_HALO),
        ("backward_kernel", "v4"): (16 * 7 * 8 / 2 / 49, 16 * HALO / 49),
        ("forward", "v5"): (8 * 8 / 4, TALL_HALO),
        ("backward_kernel", "v5"): (16 * 7 * 10 / 4 / 49, 16 * HALO / 49),
        (FUSED, "v1"): (49, HALO),
        # On each of 8 rows, for 4 pixels of 16 channels: the bias, then 4 features and 16 weights.
        (FUSED, "v2"): (8 * 8 / 4 + 8 * (14 + 16 * 20) / 64, HALO + (16 * 256 + 49 * 17) / 4096),
    }
    for row, (read, written) in shared.items():
        assert math.isclose(found[row].shared_reads, read), row
        assert math.isclose(found[row].shared_writes, written), row
    assert all(t.global_writes == 1 for t in found.values())
    assert math.isclose(found["forward", "v1"].least, 38 * 70 / (32 * 64) + 49 / 16 + 1)


@cache
def measured() -> list[traffic.Traffic]:
    return traffic.measure()


@needs.compiler
def test_every_version_moves_less_than_the_one_before() -> None:
    found = measured()
    for task in ("forward", "backward_input", "backward_kernel"):
        v1, v2, v3, v4, v5 = (t for t in found if t.task == task)
        assert v1.excess > 1.8 * v2.excess > 3 * v3.excess
        assert 1 < v4.excess <= v3.excess < 1.25
        assert v4.shared_reads < 0.6 * v3.shared_reads
        assert v5.shared_reads <= v4.shared_reads
        # Of dkernel, two threads read the same dy, at the same time: the second finds it cached.
        assert v5.excess < (1.4 if task == "backward_kernel" else v4.excess)
    assert all(t.global_writes == 1 for t in found)
    lines = list(traffic.table(found))
    assert len(lines) == 4 + len(found)
    assert max(map(len, lines)) <= 80


@needs.compiler
def test_bank_conflicts_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """None, but for 2 of 10 numbers of v5's dkernel; every full warp of v3 had two at its old pitch."""
    found = {(t.task, t.version): t.conflicts for t in measured()}
    assert found.pop(("backward_kernel", "v5")) == pytest.approx(1.2)
    assert set(found.values()) == {0, 1}  # 0: none was counted
    source = versions.cuda_source()
    assert source.count("(wide - columns) & 31") == 1
    fault = source.replace("(wide - columns) & 31", "0")
    monkeypatch.setattr(versions, "cuda_source", lambda: fault)
    before = {(t.task, t.version): t.conflicts for t in traffic.measure()}
    for version in ("v2", "v3"):
        assert before["forward", version] == before["backward_kernel", version] == 2


@needs.compiler
def test_the_documentation_has_these_numbers() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for task, table in (("forward", VERSIONS), (fused.TASK, fused.VERSIONS)):
        change = {version.name: version.change for version in table}
        rows = [
            f"| {t.version} | {t.global_reads + t.global_writes:.1f} | {t.least:.1f} | "
            f"{t.shared_reads:.0f} | {change[t.version]} |"
            for t in measured()
            if t.task == task
        ]
        assert "\n".join(rows) in page


def test_without_a_compiler_it_says_so() -> None:
    code = """
import shutil, sys
shutil.which = lambda name: None
from involution_edu.bench import cuda_traffic
sys.exit(cuda_traffic.main())
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "g++ is not installed: install GCC 12 or newer\n"
