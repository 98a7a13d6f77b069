"""Run the benchmark: first hold every contender against a reference, then time the right ones."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext

import numpy as np

from ..arguments import ArgumentError, as_int
from ..backends import LADDER, on_numpy_arrays
from ..backends.numba_cpu import use_threads
from ..cases import random_operands
from ..geometry import Geometry
from . import networks
from .check import DEFINITION, DTYPE, check
from .contenders import PEERS, Prepare, contender, threads, torch_unavailable
from .limits import ways
from .machine import machine, seconds_of_others
from .memory import memory_unavailable, peaks
from .presets import PRESETS, THREADS, Preset, Sweep, label, sweeps
from .record import Growth, Limit, Record, Row
from .timing import Stopwatch, take_turns

Step = Callable[[str], None]
Memory = Mapping[tuple[str, str, str], int]  # of (shape, contender, task), in bytes


def run(
    preset: str = "rednet50",
    *,
    rounds: int | None = None,
    backends: Sequence[str] | None = None,
    date: str,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Record:
    """Check and time the contenders on the shapes of a preset, in float32.

    Parameters
    ----------
    preset : str
        A name in `presets.PRESETS`.
    rounds : int, optional
        Most turns that each contender gets on each shape; the default is the preset's.
    backends : sequence of str, optional
        The backends that take part beside the peers; by default all that can run here.
    date : str
        The day of the run, for the record.
    progress : function of (done, total, what), optional
        Called after every step, the last time with done = total.

    Raises
    ------
    ValueError
        If there is no such preset or backend, or ``rounds`` is below 1.
    BackendUnavailable
        If a backend that was asked for cannot run here.
    """
    if preset not in PRESETS:
        raise ArgumentError("preset", f"is {preset!r}", f"one of {', '.join(map(repr, PRESETS))}")
    plan = PRESETS[preset]
    rounds = as_int("rounds", plan.rounds if rounds is None else rounds)
    start, others = time.perf_counter(), seconds_of_others()
    contenders, absent = _contenders(plan, backends)
    if not plan.shapes and not plan.scaling:
        contenders, absent = {}, {}
    varied = sweeps(threads()) if plan.scaling else ()
    if (no_memory := memory_unavailable()) is not None:
        absent["memory"] = no_memory
    points = [geom for sweep in varied for _, geom in sweep.points]
    measured = [] if no_memory or not plan.shapes else list(contenders)
    total = len({*plan.shapes, *points}) + len(measured) + rounds * len(plan.shapes) + len(points)
    total += networks.steps(plan.networks, rounds) if plan.networks else 0
    done = 0

    def step(what: str) -> None:
        nonlocal done
        done += 1
        progress(done, total, what)

    agreements, failed = check(contenders, plan.shapes, points, step)
    absent |= failed
    refused = {a.backend for a in agreements if not a.agrees}
    right = {n: prepare for n, prepare in contenders.items() if n not in {*refused, *failed}}
    memory: dict[tuple[str, str, str], int] = {}
    for name in measured:
        if name in right:
            for geom, tasks in zip(plan.shapes, peaks(name, plan.shapes), strict=True):
                memory |= {(label(geom), name, task): size for task, size in tasks.items()}
        step(f"memory of {name}")
    rows, limits = _time(right, plan.shapes, rounds, memory, step)
    growths = tuple(g for sweep in varied for g in _vary(right, sweep, rounds, step))
    held, whole, missing = (
        networks.measure(plan.networks, rounds, step) if plan.networks else ([], [], {})
    )
    return Record(
        date=date,
        preset=preset,
        machine=machine(),
        limits=limits,
        shapes={label(geom): geom for geom in plan.shapes},
        agreements=(*agreements, *held),
        rows=rows,
        growths=growths,
        absent=absent | missing,
        networks=tuple(whole),
        seconds=round(time.perf_counter() - start, 1),
        others=_cores_of_others(others, start),
    )


def _cores_of_others(seconds: float | None, start: float) -> float | None:
    """Return how many cores others kept busy since ``start``, when they had used ``seconds``."""
    now = seconds_of_others()
    if seconds is None or now is None:
        return None
    return round(max(0.0, now - seconds) / (time.perf_counter() - start), 2)


def _contenders(
    plan: Preset, backends: Sequence[str] | None
) -> tuple[dict[str, Prepare], dict[str, str]]:
    """Return those that take part, and why the others do not."""
    absent = {
        DEFINITION: "takes minutes on these shapes; all rungs are held against it on small ones"
    }
    names = [rung.name for rung in LADDER if rung.name != DEFINITION]
    if backends is None:
        reasons = on_numpy_arrays()
        absent |= {name: reason for name in names if (reason := reasons[name]) is not None}
        backends = [name for name in names if name not in absent]
    for name in backends:
        if name not in names:
            raise ArgumentError(
                "backends", f"is {name!r}", f"some of {', '.join(map(repr, names))}"
            )
    peers = list(plan.peers)
    if peers and (reason := torch_unavailable()) is not None:
        absent |= dict.fromkeys(peers, reason)
        peers = []
    return {name: contender(name) for name in [*dict.fromkeys(backends), *peers]}, absent


def _time(
    contenders: Mapping[str, Prepare],
    shapes: Sequence[Geometry],
    rounds: int,
    memory: Memory,
    step: Step,
) -> tuple[tuple[Row, ...], tuple[Limit, ...]]:
    """Time all contenders and, in turn with them on every shape, the limits of the machine."""
    if not shapes:
        return (), ()
    yardsticks = ways(threads())
    best: dict[str, dict[str, float]] = {}
    rows = []
    for geom in shapes:
        shape = label(geom)
        operands = random_operands(geom, DTYPE, seed=0)
        watches: dict[tuple[str, str], Stopwatch] = {}
        for name, prepare in contenders.items():
            job = prepare(*operands, geom)
            watches[name, "forward"] = Stopwatch(job.forward)
            if job.both is not None:
                watches[name, "both"] = Stopwatch(job.both)
        limits = [Stopwatch(way.call) for way in yardsticks]
        for _ in range(rounds):
            take_turns([*watches.values(), *limits])
            step(f"timing {shape}")
        for way, watch in zip(yardsticks, limits, strict=True):
            found = best.setdefault(way.limit, {})
            found[way.name] = max(found.get(way.name, 0.0), way.amount / watch.shortest / 1e9)
        rows += [
            Row(shape, *key, 1e3 * watch.shortest, watch.calls, memory.get((shape, *key)))
            for key, watch in watches.items()
        ]
    return tuple(rows), tuple(Limit(name, found) for name, found in best.items())


def _vary(
    contenders: Mapping[str, Prepare], sweep: Sweep, rounds: int, step: Step
) -> Iterator[Growth]:
    """Time the backends' forward pass along a sweep; only one of them has threads to vary."""
    names = [n for n in contenders if n not in PEERS and (sweep.axis != THREADS or n == "numba")]
    ms: dict[str, list[float]] = {name: [] for name in names}
    for value, geom in sweep.points:
        operands = random_operands(geom, DTYPE, seed=0)
        watches = [Stopwatch(contenders[name](*operands, geom).forward) for name in names]
        with use_threads(value) if sweep.axis == THREADS and names else nullcontext():
            for _ in range(rounds):
                take_turns(watches)
        for name, watch in zip(names, watches, strict=True):
            ms[name].append(1e3 * watch.shortest)
        step(f"timing {sweep.axis} = {value}")
    values = tuple(value for value, _ in sweep.points)
    for name, times in ms.items():
        yield Growth(sweep.axis, name, values, tuple(times), exponent(values, times), sweep.theory)


def exponent(values: Sequence[float], times: Sequence[float]) -> float | None:
    """Return the power of ``values`` that ``times`` grow with; None for a single value.

    A straight line is laid through the logarithms, by least squares.

    Examples
    --------
    >>> round(exponent([1, 2, 4], [3.0, 12.0, 48.0]), 6)
    2.0
    """
    if len(values) < 2:
        return None
    x = [math.log(value) for value in values]
    slope, _ = np.polyfit(x, [math.log(t) for t in times], 1)
    return float(slope)
