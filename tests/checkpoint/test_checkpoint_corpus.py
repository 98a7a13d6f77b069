"""A corpus of hostile files, and mutations of sound ones, within limits of time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import needs
import pytest

SCRIPT = Path(__file__).parents[1] / "support" / "hostile_checkpoints.py"


@needs.linux
@pytest.mark.parametrize(
    ("arguments", "least"), [((), 500), (("--mutations", "300"), 2000)], ids=["corpus", "mutations"]
)
def test_hostile_files_run_nothing_and_take_little(arguments: tuple[str, ...], least: int) -> None:
    command = [sys.executable, str(SCRIPT), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    found = json.loads(done.stdout)
    assert not found["faults"], found["faults"][:5]
    assert not found["events"], found["events"][:5]
    assert found["files"] >= least
    assert done.returncode == 0
