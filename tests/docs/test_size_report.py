"""The size report counts the lines of the package, and a total over its budget fails it."""

from __future__ import annotations

from pathlib import Path

import pytest
import size_report
from size_report import ROOT, budgets, lines_by_folder, report

PYPROJECT = ROOT / "pyproject.toml"


def test_only_source_is_counted_by_its_first_folder(tmp_path: Path) -> None:
    for name, text in {
        "a.py": "1\n2\n",
        "nn/b.py": "1\n",
        "nn/deep/c.cu": "1\n2\n3",
        "nn/weights.npz": "1\n",
        "viz/page.html": "\n\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert lines_by_folder(tmp_path) == {"top": 2, "nn": 4, "viz": 2}


def test_a_folder_over_its_budget_is_marked_and_the_total_decides() -> None:
    text, within = report({"nn": 1200, "viz": 10, "new": 1}, 1211, {"nn": 1000, "viz": 10})
    assert within
    assert text.splitlines() == [
        "folder         lines  budget",
        "nn             1,200   1,000  200 over",
        "viz               10      10",
        "new                1       0  1 over",
        "total          1,211   1,211",
    ]
    assert not report({"nn": 1}, 0, {})[1]


def test_every_folder_has_a_budget() -> None:
    total, folders = budgets(PYPROJECT)
    assert sum(folders.values()) <= total
    assert lines_by_folder(ROOT / "involution_edu").keys() == folders.keys()


def test_the_exit_code_says_whether_the_total_is_within_its_budget(
    capsys: pytest.CaptureFixture[str],
) -> None:
    used, (total, _) = sum(lines_by_folder(ROOT / "involution_edu").values()), budgets(PYPROJECT)
    assert size_report.main() == (used > total)
    assert f"{'total':12}{used:8,}{total:8,}" in capsys.readouterr().out
