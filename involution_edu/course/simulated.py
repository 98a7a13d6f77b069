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
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array
from .figures import show
from .judge import Outcome, hints
from .mechanisms import where
from .operators import INVOLUTION

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SECONDS = 60  # the simulator takes about 2 s
CHANNELS, H, W, K = 16, 9, 11, 3  # one group; the last tiles are not full
TILE = 4, 8  # rows and columns of a block
# By exercise: its block of threads, its grid of blocks, and the version of ours beside it.
TILES = -(-W // TILE[1]), -(-H // TILE[0])
LAUNCHES: dict[str, tuple[Any, Any, str]] = {
    "forward_v1": (128, -(-CHANNELS * H * W // 128), "v1"),  # more threads than outputs
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
        slow = "a loop in it does not end, or does far more than is needed"
        return Score(False, f"{begin}it was stopped after {SECONDS} s: {slow}")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["the simulator ended without a message"]
        place = lines[-1].replace("ctaid=", "blockIdx ").replace("tid=", "threadIdx ")
        return Score(False, begin + place)
    found = json.loads(done.stdout.splitlines()[-1])
    if found["wrong"]:
        with np.errstate(all="ignore"):
            more = _hints(np.array(found["y"])[None], np.array(found["writes"]))
            return Score(False, begin + "\n".join([found["wrong"], *more]), found["reads"])
    lines = [f"Right: {name} gives the right answer. Numbers per output:", ""]
    heads = ("global read", "written", "in all", "shared read", "written")
    lines.append(" " * 10 + "".join(f"{head:>13}" for head in heads))
    for label, row in (("yours", found["yours"]), (f"ours, {LAUNCHES[name][2]}", found["ours"])):
        numbers = (*row[:2], row[0] + row[1], *row[2:])
        lines.append(f"{label:10}" + "".join(f"{number:13.2f}" for number in numbers))
    lines.append(f"{'least':10}{LEAST - 1:13.2f}{1:13.2f}{LEAST:13.2f}")
    return Score(True, "\n".join(lines), found["reads"])


def _operands() -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    shapes = (CHANNELS, H, W), (K, K, H, W)
    x, kernel = (rng.integers(-4, 5, shape).astype(np.float32) for shape in shapes)
    return x, kernel


def _hints(y: Array, writes: Array) -> Iterator[str]:
    """Yield what is likely to be wrong with numbers that were written."""
    x, kernel = _operands()
    arguments = x[None, :2].astype(float), kernel[None, None].astype(float)  # two channels: soon
    got = np.where(writes[None, :2] > 0, y[:, :2], 0)
    case = Outcome(arguments, INVOLUTION.right(*arguments), got)
    if not writes.any():
        return
    if not writes.all():
        yield from where(INVOLUTION, [(case.arguments, case.got, case.want)])
        yield "Does each output have its thread? blockIdx.x and threadIdx.x are columns, .y rows."
    elif np.isnan(y).any():
        yield "The likely mistake: shared memory was read before it was written: wait at a barrier,"
        yield "cuda.syncthreads(). A tile has more places than threads: is each of them written, zeros"
        yield "outside the image too? And y itself: add up in a variable that starts with 0."
    elif not case.right:
        yield from hints(INVOLUTION, [case])


def _wasted(x: float, kernel: float, shared: float) -> str:
    """Return what right numbers were read in vain, from the reads in units of our own."""
    if not shared:
        return "the numbers are right, but nothing reads the tile: the sum takes tile, not x"
    for name, times, mend in (
        ("x", x, "one thread copies each number of a tile: thread t the places t, t + 32, ..."),
        ("kernel", kernel, "read an entry once, outside the loop over the channels, and keep it"),
    ):
        if times > 1:
            return f"the numbers are right, but {name} is read {times:.3g} times as often as needed:\n{mend}"
    return ""


def _launch(
    function: Any, grid: Any, block: Any, arrays: list[Memory], *more: Any
) -> tuple[list[float], bool]:
    """Run a CUDA kernel.

    Return its global reads and writes, shared reads and writes, per output; and whether all threads
    of each block waited at the same barriers.
    """
    from numba.cuda.simulator import kernelapi

    tiles: list[Memory] = []
    waits: dict[Any, Counter[int]] = {}
    ours, wait = kernelapi.FakeCUDAShared.array, kernelapi.FakeCUDAModule.syncthreads

    def counted(self: Any) -> None:
        thread: Any = threading.current_thread()
        with LOCK:
            waits.setdefault(str(thread.blockIdx), Counter())[thread.thread_id] += 1
        wait(self)

    def shared(self: Any, shape: Any, dtype: Any) -> Memory:
        line = sys._getframe(1).f_lineno  # one array for all threads of a block
        with LOCK:
            if line not in self._allocations:  # what nobody has written is not a number
                array = np.full(shape or BYTES // 4, np.nan, np.float32)
                self._allocations[line] = Memory("the shared array", array)
                tiles.append(self._allocations[line])
            memory: Memory = self._allocations[line]
        return memory

    kernelapi.FakeCUDAShared.array, kernelapi.FakeCUDAModule.syncthreads = shared, counted
    try:
        function[grid, block, 0, BYTES](*arrays, *more)
    finally:
        kernelapi.FakeCUDAShared.array, kernelapi.FakeCUDAModule.syncthreads = ours, wait
    outputs, threads = arrays[2].array.size, int(np.prod(block))
    even = all(len(c) == threads and len({*c.values()}) == 1 for c in waits.values())
    return [
        sum(int(getattr(memory, kind).sum()) for memory in memories) / outputs
        for memories in (arrays, tiles)
        for kind in ("reads", "writes")
    ], even


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
    x, kernel = _operands()
    want = loops.forward(x[None], kernel[None, None], make_geometry((1, *x.shape), 1, K))[0]
    names: dict[str, Any] = {"cuda": cuda, "np": np, "float32": float32, "K": K, "TILE": TILE}
    names |= {"CHANNELS": CHANNELS}
    exec(compile(task["source"], "your answer", "exec"), names)  # noqa: S102 - the learner's own
    arrays = _arrays(x, kernel)
    yours, even = _launch(cuda.jit(names[task["name"]]), grid, block, arrays)
    y, writes = arrays[2].array, arrays[2].writes
    bad = np.argwhere(~np.isclose(y, want))
    wrong = ""
    if not writes.any():
        begun = "cuda" in names[task["name"]].__code__.co_names
        wrong = "it wrote nothing to y: y[c, i, j] = ..." if begun else "it wrote nothing yet"
    elif (writes == 0).any():
        wrong = f"{(writes == 0).sum()} of {y.size} numbers of y were never written"
    elif len(bad):
        c, i, j = map(int, bad[0])
        wrong = f"y[{c}, {i}, {j}] is {y[c, i, j]:.6g}; need {want[c, i, j]:.6g}, and "
        wrong += f"{len(bad) - 1} more of {y.size} are wrong"
    elif not even:
        wrong = (
            "some threads of a block miss a barrier that the others wait at, which no GPU allows:\n"
        )
        wrong += "cuda.syncthreads() must not be inside an if, or after a return"
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
        score, _ = _launch(made, grid, block, reference, (1, 1), (K // 2, K // 2), (1, 1))
        times = [a.reads.sum() / b.reads.sum() for a, b in zip(arrays[:2], reference, strict=False)]
        wrong = _wasted(times[0], times[1], yours[2]) if version != "v1" else ""
    found = {"wrong": wrong, "yours": yours, "ours": score, "reads": arrays[0].reads[0].tolist()}
    sys.stdout.write("\n" + json.dumps(found | {"y": y.tolist(), "writes": writes.tolist()}))


if __name__ == "__main__":
    main()
