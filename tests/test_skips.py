"""Skipped tests: every reason says what is needed and what to do, and all are counted."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import conftest
import needs
import pytest

TESTS = Path(__file__).parent
FORM = re.compile(r"^needs [^:]+: .+$")


def test_every_reason_names_a_need_and_a_remedy() -> None:
    marks = [mark for mark in vars(needs).values() if isinstance(mark, pytest.MarkDecorator)]
    reasons = [mark.kwargs["reason"] for mark in [*marks, needs.gpu_for("cupy")]]
    reasons += [f"needs {name}: {install}" for name, install in needs.PACKAGES.values()]
    for path in TESTS.rglob("test_*.py"):
        if path != Path(__file__):
            text = path.read_text(encoding="utf-8")
            assert "importorskip" not in text, f"{path.name}: use needs.package"
            reasons += re.findall(r"(?:pytest\.skip\(|reason=)f?\"([^\"]*)\"", text)
    assert [reason for reason in reasons if not FORM.match(reason)] == []


class Terminal:
    """Keep what is written to the end of a run."""

    def __init__(self, skipped: list[Any]) -> None:
        self.stats, self.lines = {"skipped": skipped}, list[str]()

    def section(self, title: str) -> None:
        self.lines.append(title)

    write_line = section


def report(node: str, reason: str) -> Any:
    return SimpleNamespace(nodeid=node, longrepr=("file.py", 1, f"Skipped: {reason}"))


def test_the_summary_has_one_line_for_each_reason() -> None:
    terminal: Any = Terminal([
        report("tests/nn/test_gpu.py", "needs a GPU: buy one"),
        report("tests/nn/test_gpu.py", "needs a GPU: buy one"),  # of another worker
        *(report(f"tests/test_a.py::test_b[{i}]", "needs torch: pip") for i in range(30)),
        report("tests/test_c.py::test_d", "needs torch: pip"),
    ])  # fmt: skip
    conftest.pytest_terminal_summary(terminal)
    assert terminal.lines == [
        "not run",
        "31 tests in test_a, test_c: needs torch: pip",
        "1 whole file in test_gpu: needs a GPU: buy one",
    ]
    nothing: Any = Terminal([])
    conftest.pytest_terminal_summary(nothing)
    assert nothing.lines == []
