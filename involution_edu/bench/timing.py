"""Timing in turns, so that a busy moment of the machine hits all contenders."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

TURN = 0.04  # seconds: a quick contender is called as often as fits in
BUDGET = 2.0  # seconds on one shape, after which a slow contender sits out
PAUSE = 0.02  # seconds before each turn: the threads of some libraries go on waiting for work


@dataclass(slots=True)
class Stopwatch:
    """A call, how often it was timed, its shortest time and all its time, in seconds."""

    call: Callable[[], Any]
    calls: int = 0
    shortest: float = math.inf
    spent: float = 0.0

    def turn(self) -> None:
        """Time the call as often as fits into one turn, at least once."""
        stop = self.spent + TURN
        while True:
            start = time.perf_counter()
            self.call()
            seconds = time.perf_counter() - start
            self.calls += 1
            self.spent += seconds
            self.shortest = min(self.shortest, seconds)
            if self.spent + seconds > stop:
                return


def take_turns(watches: Iterable[Stopwatch]) -> None:
    """Give a turn to every call that has not spent its budget."""
    for watch in watches:
        if watch.spent < BUDGET:
            time.sleep(PAUSE)
            watch.turn()
