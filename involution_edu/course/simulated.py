"""CUDA kernels that learners write, run by Numba's simulator and scored by what they move.

The simulator must be chosen before Numba is imported, so it runs in a process of its own, which is
also ended when it takes too long.
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array
from .figures import show

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SECONDS = 60  # the simulator takes about 1 s
CHANNELS, H, W, K = 16, 6, 10, 3  # one group; the last tiles are not full
TILE = 4, 8  # rows and columns of a block
# By exercise: its block of threads, its grid of blocks, and the version of ours beside it.
TILES = -(-W // TILE[1]), -(-H // TILE[0])
LAUNCHES: dict[str, tuple[Any, Any, str]] = {
    "forward_v1": (64, -(-CHANNELS * H * W // 64), "v1"),
    "forward_tile": (TILE[::-1], (*TILES, CHANNELS), "v2"),
    "forward_channels": (TILE[::-1], TILES, "v3"),
}
BYTES = 4 * CHANNELS * (TILE[0] + K - 1) * (TILE[1] + K - 1)  # of a tile of all channels
LOCK = threading.Lock()  # a simulated thread is one of the processor's
LEAST = 1 + K * K / CHANNELS + 1  # of x and of kernel, each read once; and y written


class Memory:
    """An array that counts its reads and writes, and refuses indices that are out of bounds."""

    def __init__(self, name: str, array: Array) -> None:
        self.name, self.array, self.shape = name, array, array.shape
        self.reads, self.writes = np.zeros(array.shape, int), np.zeros(array.shape, int)

    def __getitem__(self, index: Any) -> Any:
        with LOCK:
            self.reads[self._checked(index)] += 1
        return self.array[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        with LOCK:
            self.writes[self._checked(index)] += 1
        self.array[index] = value

    def _checked(self, index: Any) -> Any:
        at = index if isinstance(index, tuple) else (index,)
        if len(at) != len(self.shape) or not all(
            0 <= k < n for k, n in zip(at, self.shape, strict=True)
        ):
            inside = ", ".join(map(str, self.shape))
            raise IndexError(f"{self.name}[{', '.join(map(str, at))}] is outside of ({inside})")
        return index


@dataclass(frozen=True, slots=True)
class Score:
    """The result of a simulated launch; a notebook shows its text.

    Attributes
    ----------
    ok : bool
    text : str
        What is wrong, or the numbers read and written per output.
    reads : list of list of int
        (H, W) How often each number of the first channel of x was read.
    """

    ok: bool
    text: str
    reads: Any = None

    def __repr__(self) -> str:
        return self.text

    def show(self) -> Figure:
        """Return a picture of how often each number of the first channel of x was read."""
        drawing: dict[str, Any] = {"reads of each x[0, h, w]": np.asarray(self.reads, float)}
        return show(**drawing)


def check(answer: Callable[..., Any]) -> Score:
    """Run a CUDA kernel of the learner in the simulator; return whether it is right, and its score."""
    name = answer.__name__
    task = {"name": name, "source": dedent(inspect.getsource(answer))}
    begin = f"Not yet: for {name}(x {CHANNELS, H, W}, kernel {K, K, H, W}, y {CHANNELS, H, W})\n"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "involution_edu.course.simulated"],
            input=json.dumps(task),
            env={
                **os.environ,
                "NUMBA_ENABLE_CUDASIM": "1",
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Score(
            False,
            f"{begin}it was stopped after {SECONDS} s: a loop in it does not end",
        )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["the simulator ended without a message"]
        return Score(False, begin + lines[-1])
    found = json.loads(done.stdout.splitlines()[-1])
    if found["wrong"]:
        return Score(False, begin + found["wrong"], found["reads"])
    lines = [f"Right: {name} gives the right answer. Numbers per output:", ""]
    heads = ("global read", "written", "in all", "shared read", "written")
    lines.append(" " * 10 + "".join(f"{head:>13}" for head in heads))
    for label, row in (("yours", found["yours"]), (f"ours, {LAUNCHES[name][2]}", found["ours"])):
        numbers = (*row[:2], row[0] + row[1], *row[2:])
        lines.append(f"{label:10}" + "".join(f"{number:13.2f}" for number in numbers))
    lines.append(f"{'least':10}{LEAST - 1:13.2f}{1:13.2f}{LEAST:13.2f}")
    return Score(True, "\n".join(lines), found["reads"])


def _launch(function: Any, grid: Any, block: Any, arrays: list[Memory], *more: Any) -> list[float]:
    """Run a CUDA kernel; return its global reads and writes, shared reads and writes, per output."""
    from numba.cuda.simulator import kernelapi

    tiles: list[Memory] = []
    ours = kernelapi.FakeCUDAShared.array

    def shared(self: Any, shape: Any, dtype: Any) -> Memory:
        line = sys._getframe(1).f_lineno  # one array for all threads of a block
        with LOCK:
            if line not in self._allocations:  # what nobody has written is not a number
                array = np.full(shape or BYTES // 4, np.nan, np.float32)
                self._allocations[line] = Memory("the shared array", array)
                tiles.append(self._allocations[line])
            memory: Memory = self._allocations[line]
        return memory

    kernelapi.FakeCUDAShared.array = shared
    try:
        function[grid, block, 0, BYTES](*arrays, *more)
    finally:
        kernelapi.FakeCUDAShared.array = ours
    outputs = arrays[2].array.size
    return [
        sum(int(getattr(memory, kind).sum()) for memory in memories) / outputs
        for memories in (arrays, tiles)
        for kind in ("reads", "writes")
    ]


def _arrays(x: Array, kernel: Array) -> list[Memory]:
    y = np.full(x.shape, np.nan, np.float32)
    return [Memory("x", x), Memory("kernel", kernel), Memory("y", y)]


def main() -> None:
    """Run the kernel that stands in standard input, and write its score to standard output."""
    from numba import cuda, float32

    from ..backends import loops
    from ..backends.numba_cuda import kernels
    from ..geometry import make_geometry

    task = json.load(sys.stdin)
    block, grid, version = LAUNCHES[task["name"]]
    rng = np.random.default_rng(0)
    x = rng.integers(-4, 5, (CHANNELS, H, W)).astype(np.float32)
    kernel = rng.integers(-4, 5, (K, K, H, W)).astype(np.float32)
    want = loops.forward(x[None], kernel[None, None], make_geometry((1, *x.shape), 1, K))[0]
    names: dict[str, Any] = {"cuda": cuda, "np": np, "float32": float32, "K": K, "TILE": TILE}
    names |= {"CHANNELS": CHANNELS}
    exec(compile(task["source"], "your answer", "exec"), names)  # noqa: S102 - the learner's own
    arrays = _arrays(x, kernel)
    yours = _launch(cuda.jit(names[task["name"]]), grid, block, arrays)
    y, writes = arrays[2].array, arrays[2].writes
    bad = np.argwhere(~np.isclose(y, want))
    wrong = ""
    if not writes.any():
        wrong = "it wrote nothing yet"
    elif (writes == 0).any():
        wrong = f"{(writes == 0).sum()} of {y.size} numbers of y were never written"
    elif len(bad):
        c, i, j = map(int, bad[0])
        wrong = f"y[{c}, {i}, {j}] is {y[c, i, j]:.6g}; need {want[c, i, j]:.6g}, and "
        wrong += f"{len(bad) - 1} more of {y.size} are wrong"
        if np.isnan(y[c, i, j]):
            wrong += "\nThe likely mistake: shared memory was read before another thread had "
            wrong += "written it: wait\nat a barrier, cuda.syncthreads()."
    elif (writes > 1).any():
        wrong = f"{(writes > 1).sum()} numbers of y were written more than once"
    score: list[float] = []
    if not wrong:
        made: Any = {
            "v1": lambda: kernels.forward_direct(np.float32),
            "v2": lambda: kernels.forward_tiled(float32, np.float32, 1),
            "v3": lambda: kernels.forward_tiled(float32, np.float32, CHANNELS),
        }[version]()
        grid = grid if version == "v1" else TILES[0] * TILES[1]
        reference = _arrays(x[None], kernel[None, None])
        score = _launch(made, grid, block, reference, (1, 1), (K // 2, K // 2), (1, 1))
    reads = arrays[0].reads[0].tolist()
    sys.stdout.write(
        "\n" + json.dumps({"wrong": wrong, "yours": yours, "ours": score, "reads": reads})
    )


if __name__ == "__main__":
    main()
