"""CUDA kernels of learners: the right ones pass with their score, faults are named."""

from __future__ import annotations

import json
import linecache
import re
from typing import Any

import pytest

from involution_edu import course
from involution_edu.course import notebooks, simulated

PATH = next(path for path in notebooks.paths() if path.name.startswith("09"))


def solution(name: str) -> str:
    """Return the solution of the notebook."""
    cells = json.loads(PATH.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    code = next(s for s in sources if f"```python\ndef {name}(" in s)
    return code.partition("```python\n")[2].partition("```")[0]


def check(name: str, change: tuple[str, str] = ("", "")) -> simulated.Score:
    """Check the solution with one piece of its code replaced."""
    source = solution(name)
    assert change[0] in source
    source = source.replace(*change) if change[0] else source
    file, names = f"<{name} {hash(source)}>", dict[str, Any]()
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    exec(compile(source, file, "exec"), names)  # noqa: S102 - our own solution
    score = course.check(names[name])
    assert isinstance(score, simulated.Score)
    return score


def numbers(score: simulated.Score, row: str) -> list[float]:
    line = next(line for line in score.text.splitlines() if line.startswith(row))
    return [float(number) for number in re.findall(r"\d+\.\d\d", line)]


@pytest.mark.parametrize("name", ["forward_tile", "forward_channels"])
def test_solutions_move_what_the_package_moves(name: str) -> None:
    score = check(name)
    assert score.ok, score.text
    assert numbers(score, "yours") == numbers(score, "ours")
    assert max(map(len, score.text.splitlines())) <= 100


def test_the_direct_version_reads_whole_windows() -> None:
    score = check("forward_v1")
    assert score.ok, score.text
    rows, columns = 3 * simulated.H - 2, 3 * simulated.W - 2  # taps within the image
    assert sum(map(sum, score.reads)) == rows * columns
    per_output = 2 * rows * columns / (simulated.H * simulated.W)
    assert numbers(score, "yours")[0] == pytest.approx(per_output, abs=0.005)


@pytest.mark.parametrize(
    ("name", "right", "wrong", "said"),
    [
        ("forward_tile", "    cuda.syncthreads()\n", "", "at a barrier"),
        ("forward_channels", "    cuda.syncthreads()\n", "", "at a barrier"),
        ("forward_v1", "if 0 <= h < H and 0 <= w < W", "if True", "] is outside of (16, 9, 11)"),
        ("forward_v1", "if c >= C", "if c >= 3", "numbers of y were never written"),
        ("forward_v1", "kernel[u, v, i, j]", "kernel[v, u, i, j]", "more of 1584 are wrong"),
        ("forward_v1", "y[c, i, j] = total", "y[c, i, j] = y[c, i, j] = total", "more than once"),
        ("forward_v1", "    if c >= C:\n        return\n", "", "is outside of (16, 9, 11)"),
        ("forward_v1", "total += kernel", "total = kernel", "= replaces what was there"),
        (
            "forward_tile",
            "    cuda.syncthreads()\n",
            "    if top + cuda.threadIdx.y >= H:\n        return\n    cuda.syncthreads()\n",
            "miss a barrier",
        ),
        ("forward_v1", "total = 0.0", "total = zero", "name 'zero' is not defined"),
        (
            "forward_tile",
            "tile[cuda.threadIdx.y + u, cuda.threadIdx.x + v]",
            "(x[c, i + u - 1, j + v - 1] if 0 <= i + u - 1 < H and 0 <= j + v - 1 < W else 0.0)",
            "nothing reads the tile",
        ),
        (
            "forward_channels",
            "range(thread, CHANNELS * rows * columns, TILE[0] * TILE[1])",
            "range(CHANNELS * rows * columns)",
            "x is read 32 times as often",
        ),
        (
            "forward_channels",
            "sums[c] += entry",
            "sums[c] += kernel[u, v, i, j]",
            "kernel is read 17 times as often",
        ),
        (
            "forward_channels",
            "cuda.blockIdx.y * TILE[0], cuda.blockIdx.x * TILE[1]",
            "cuda.blockIdx.x * TILE[0], cuda.blockIdx.y * TILE[1]",
            "numbers of y were never written",
        ),
    ],
)
def test_a_fault_is_named(name: str, right: str, wrong: str, said: str) -> None:
    score = check(name, (right, wrong))
    assert not score.ok
    assert said in score.text


def test_a_loop_without_an_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated, "SECONDS", 5)
    text = check("forward_v1", ("    total = 0.0\n", "    while True:\n        pass\n")).text
    assert "it was stopped after 5 s" in text
