from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_cupy
import pytest
from hypothesis import settings

from involution_edu.backends import cupy_raw

# Derandomized: the same examples on every machine, so that a failure can be reproduced.
settings.register_profile("reproducible", derandomize=True, deadline=None, max_examples=400)
settings.load_profile("reproducible")

# The helpers have no doctests, and some import PyTorch.
collect_ignore = ["support"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print one line for each reason to skip: how many tests of which files, and the fix."""
    skipped: dict[str, set[str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = str(report.longrepr[2]).removeprefix("Skipped: ")
        skipped.setdefault(reason, set()).add(report.nodeid)
    if skipped:
        terminalreporter.section("not run")
    for reason, nodes in sorted(skipped.items(), key=lambda item: -len(item[1])):
        tests = sum("::" in node for node in nodes)
        counts = [
            f"{count} {what}{'s' * (count > 1)}"
            for count, what in ((tests, "test"), (len(nodes) - tests, "whole file"))
            if count
        ]
        files = sorted({Path(node.partition("::")[0]).stem for node in nodes})
        terminalreporter.write_line(f"{' and '.join(counts)} in {', '.join(files)}: {reason}")


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Replace CuPy by its stand-in."""
    cached: tuple[Any, ...] = cupy_raw.unavailable, cupy_raw._function, cupy_raw._shared_limit
    cached += (cupy_raw._planned,)
    fake = fake_cupy.make(tmp_path)
    monkeypatch.setitem(sys.modules, "cupy", fake)
    for function in cached:
        function.cache_clear()
    yield fake
    for function in cached:
        function.cache_clear()


# Imported only where used: without the extras of the browser, every other test still runs.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from browser import chromium

    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def photo_page(folder: Path) -> Any:
    from explorer_cases import photo_page

    return photo_page(folder)


@pytest.fixture(scope="module")
def group_page(folder: Path) -> Any:
    from explorer_cases import group_page

    return group_page(folder)
