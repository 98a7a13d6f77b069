"""The diagnosis runs every piece of compiled code, and says what does not work."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import needs
import numpy as np
import pytest

from involution_edu.backends import numba_cpu, shifts, windows
from involution_edu.verify import doctor


@needs.numba
def test_every_compiled_function_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from involution_edu.backends.numba_cpu import channels, few_channels, pixels

    monkeypatch.setattr(numba_cpu, "_ready", ready := set[Any]())
    diagnosis = doctor.examine()
    assert diagnosis.ok, diagnosis.text()
    assert {function for function, _ in ready} == {
        channels.forward,
        channels.backward_input,
        pixels.backward_kernel,
        few_channels.add_products,
    }
    assert diagnosis.numba_cache == numba_cpu.cache_folder(channels.forward)
    assert f"numba cache     {diagnosis.numba_cache}\n" in diagnosis.text()


@needs.numba
def test_a_fault_of_larger_groups_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba_cpu, "FEW", 0)
    monkeypatch.setattr(numba_cpu, "_share", lambda *_: None)  # results stay as they were
    assert not doctor.examine().ok


@needs.numba
def test_no_folder_for_compiled_code_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba_cpu, "cache_folder", lambda _: None)
    diagnosis = doctor.examine()
    assert diagnosis.problems == (f"numba keeps no compiled code: {numba_cpu.NOT_KEPT}",)
    assert "numba cache     -\n" in diagnosis.text()


def test_a_result_of_the_wrong_shape_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "forward", lambda x, *_: x[:, :1])
    monkeypatch.setattr(shifts, "forward", lambda x, *_: np.full_like(x, np.nan))
    first, second = doctor.examine().problems
    assert first.startswith("windows: fails with a is float32 (1, 1, 5, 6); need float32 (1, 4,")
    assert second.startswith("shifts: gives wrong numbers, off by inf: ")


@pytest.mark.parametrize("threads", ["0", "many"])
def test_a_wrong_number_of_threads_is_a_problem(threads: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "involution_edu", "doctor"],
        check=False, capture_output=True, text=True,
        env={**os.environ, "NUMBA_NUM_THREADS": threads},
    )  # fmt: skip
    reason = f"NUMBA_NUM_THREADS is {threads!r}; need an int >= 1: change or unset it"
    assert done.returncode == 1
    assert done.stderr == f"the numba backend is not used: {reason}\n"
    assert f"Problem: numba: {reason}" in " ".join(done.stdout.split())
    assert "No problem" not in done.stdout
