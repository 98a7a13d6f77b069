"""The memory that a call needs beside operands and results: the resident memory of a new process.

NumPy, Numba and PyTorch each have their own allocator; the maximum resident memory of the process
counts for all. A new process for each contender has no memory of another's.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..geometry import Geometry
from .contenders import contender

RESET = Path("/proc/self/clear_refs")  # writing 5 resets the maximum to the current value
CALL = """
import os, pickle, sys
out, _ = os.fdopen(os.dup(1), "wb"), os.dup2(2, 1)  # what else is printed is no result
function, *given = pickle.load(sys.stdin.buffer)
with out: out.write(pickle.dumps(function(*given)))
"""


def memory_unavailable() -> str | None:
    """Return None if memory can be measured here, else the reason."""
    if os.access(RESET, os.W_OK):
        return None
    return f"memory is measured with {RESET}, which this system lacks or does not let us write"


def in_new_process(function: Callable[..., Any], *given: Any, timeout: float | None = None) -> Any:
    """Return the result of a function in a new process; RuntimeError with the end of its stderr."""
    how: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    how["env"] = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}  # bytes: more is not kept
    with subprocess.Popen([sys.executable, "-c", CALL], start_new_session=True, **how) as process:
        try:
            out, err = process.communicate(pickle.dumps((function, *given)), timeout)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"it was ended after {timeout:.0f} s") from None
        finally:  # after Ctrl-C too
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode != 0:
        message = err.decode(errors="replace").strip()
        raise RuntimeError(message[-200:] or f"its process ended with {process.returncode}")
    return pickle.loads(out)


def memory_of(name: str, shapes: Sequence[Geometry]) -> list[dict[str, int]]:
    """Return the bytes that each task of a contender needs on every shape."""
    found = []
    for geom in shapes:
        operands = geom.x_shape, geom.kernel_shape, geom.y_shape
        # Random numbers need memory while they are made.
        x, kernel, dy = (np.full(shape, 0.5, np.float32) for shape in operands)
        sizes = {"forward": dy.nbytes, "both": dy.nbytes + x.nbytes + kernel.nbytes}
        job = contender(name).job((x, kernel, dy), geom)
        found.append({task: rise(call, sizes[task]) for task, call in job.items()})
    return found


def rise(call: Callable[[], Any], results: int) -> int:
    """Return how far the resident memory rises during a call above its results, in bytes."""
    call()  # compiles, starts threads
    before, highest = _during(call)
    return max(0, highest - before - results)


def steady_rise(call: Callable[[], Any]) -> int:
    """Return how far memory rises in a second call over that before the first: kept memory too."""
    before = _status("VmRSS")
    call()
    return max(0, _during(call)[1] - before)


def _during(call: Callable[[], Any]) -> tuple[int, int]:
    """Return the resident memory before the call, and the highest while it runs."""
    RESET.write_text("5")
    before = _status("VmRSS")
    call()
    return before, _status("VmHWM")


def _status(field: str) -> int:
    """Return a row of the process's status, which is in kB of 1024 bytes, as bytes."""
    rows = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(row.split()[1]) for row in rows if row.startswith(f"{field}:"))
