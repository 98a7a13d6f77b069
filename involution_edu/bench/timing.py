"""Timing in turns, so that a busy moment of the machine affects all contenders alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

TURN = 0.04  # seconds: a quick contender is called as often as fits in
BUDGET = 2.0  # seconds on one shape, after which a slow contender gets no more turns
PAUSE = 0.02  # seconds before each turn: the threads of some libraries go on waiting for work

Call = Callable[[], Any]
# Runs calls that do the same work, each on memory of its own; returns the seconds of each.
Clock = Callable[[Sequence[Call]], list[float]]


@dataclass(slots=True)
class Stopwatch:
    """Calls, how often they were timed, the shortest time and the sum of all, in seconds."""

    work: Sequence[Call]
    clock: Clock
    calls: int = 0
    shortest: float = math.inf
    spent: float = 0.0


def take_turns(watches: Iterable[Stopwatch], budget: float = BUDGET) -> None:
    """Time once, by its clock, the calls of every stopwatch that has not spent its budget."""
    for watch in watches:
        if watch.spent < budget:
            times = watch.clock(watch.work)
            watch.calls += len(times)
            watch.spent += sum(times)
            watch.shortest = min(watch.shortest, *times)


def processor_clock(work: Sequence[Call]) -> list[float]:
    """Return the times of the first call, repeated as often as fits into one turn."""
    time.sleep(PAUSE)
    times: list[float] = []
    spent = 0.0
    while not times or spent + times[-1] <= TURN:
        start = time.perf_counter()
        work[0]()
        times.append(time.perf_counter() - start)
        spent += times[-1]
    return times


class GpuClock:
    """The mean time of the calls, from events that the GPU itself records before and after.

    Python takes longer to launch a small CUDA kernel than the GPU to run it. So the GPU is kept
    waiting while Python launches all calls, and then runs them one after the other.
    """

    CYCLES = 40_000_000  # about 20 ms
    SOURCE = r"""
    extern "C" __global__ void wait(long long cycles) {
      const long long start = clock64();
      while (clock64() - start < cycles) {}
    }
    """

    def __init__(self) -> None:
        import cupy

        self.cuda = cupy.cuda
        self.wait = cupy.RawKernel(self.SOURCE, "wait")

    def __call__(self, work: Sequence[Call]) -> list[float]:
        """Return the mean time for each call; their results stay until the last has ended."""
        start, end = self.cuda.Event(), self.cuda.Event()
        self.wait((1,), (1,), (np.int64(self.CYCLES),))
        start.record()
        results = [call() for call in work]
        end.record()
        end.synchronize()
        del results  # not before: else all would be written to the same memory
        mean = 1e-3 * float(self.cuda.get_elapsed_time(start, end)) / len(work)
        return [mean] * len(work)
