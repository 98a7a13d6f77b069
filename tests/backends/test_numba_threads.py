"""The numba backend's threads: their number, and a child of fork, which has none of them."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import needs
import numpy as np
import pytest

from involution_edu.backends import numba_cpu
from involution_edu.cases import random_operands
from involution_edu.geometry import make_geometry

FORK = """
import os, signal, warnings
warnings.simplefilter("ignore")  # Python's own, of forking with threads
import numpy as np
from involution_edu.backends import numba_cpu
from involution_edu.cases import random_operands
from involution_edu.geometry import make_geometry

numba_cpu.MIN_PRODUCTS = 1  # both threads have work
geom = make_geometry((2, 8, 9, 11), 4, 3)
x, kernel, _ = random_operands(geom, np.float32, 0)
y = numba_cpu.forward(x, kernel, geom)
child = os.fork()
if child == 0:
    signal.alarm(20)  # ends a child that waits for ever
    os._exit(0 if np.array_equal(numba_cpu.forward(x, kernel, geom), y) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@needs.numba
def test_one_thread_more_than_there_are_is_an_error() -> None:
    most = numba_cpu.max_threads()
    with numba_cpu.use_threads(most):
        pass
    with (
        pytest.raises(ValueError, match=f"^count is {most + 1}; need at most {most}, the threads"),
        numba_cpu.use_threads(most + 1),
    ):
        pytest.fail("the block must not start")


@needs.numba
def test_use_threads_holds_inside_its_block_only(monkeypatch: pytest.MonkeyPatch) -> None:
    geom = make_geometry((2, 8, 9, 11), 4, 3)
    x, kernel, _ = random_operands(geom, np.float32, 0)
    submitted: list[Any] = []

    def submit(function: Any, *arguments: Any) -> Any:
        submitted.append(function(*arguments))
        return SimpleNamespace(result=lambda: None)

    monkeypatch.setattr(numba_cpu, "MIN_PRODUCTS", 1)
    monkeypatch.setattr(numba_cpu, "max_threads", lambda: 3)
    monkeypatch.setattr(numba_cpu, "_pool", lambda: SimpleNamespace(submit=submit))
    counts = []
    for count in (1, 2, None):
        submitted.clear()
        with numba_cpu.use_threads(count) if count else nullcontext():
            numba_cpu.forward(x, kernel, geom)
        counts.append(1 + len(submitted))
    assert counts == [1, 2, 3]


@needs.numba
@needs.posix
def test_a_child_of_fork_starts_its_own_threads() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "NUMBA_NUM_THREADS": "2"},
    )
    assert done.stdout.strip() == "0", done.stderr
