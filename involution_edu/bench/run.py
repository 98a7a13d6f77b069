"""The run of a benchmark: compare every contender with a reference, then time the correct ones."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..arguments import as_choice, as_int
from ..backends.numba_cpu import use_threads
from ..progress import Progress, no_progress
from . import networks
from .check import check_all
from .contenders import Contender, contenders, make_operands, one_line, threads
from .devices import Gpu, Processor, background_load
from .memory import in_new_process, memory_of, memory_unavailable
from .peaks import PeakMethod
from .presets import PRESETS, SINGLE, THREADS, Case, Preset, Sweep, label, sweeps
from .record import Measurement, Peak, Record, Scaling
from .timing import BUDGET, Stopwatch, take_turns

Memory = Mapping[tuple[str, str, str], int]  # of (shape, contender, task), in bytes
Measure = Callable[[str, Sequence[Any]], list[dict[str, int]]]  # of a contender, by size and task


def run_benchmark(
    preset: str = "rednet50",
    *,
    rounds: int | None = None,
    backends: Sequence[str] | None = None,
    date: str,
    progress: Progress = no_progress,
    device: Processor | None = None,
    plan: Preset | None = None,
) -> Record:
    """Check and time the contenders on the shapes of a preset, or of ``plan``, in ``rounds`` turns.

    ``backends``, each NAME or NAME:VERSION, are by default all that can run here. ArgumentError
    names one that does not take such arrays, BackendUnavailable one that cannot run.
    """
    plan = plan or PRESETS[as_choice("preset", preset, PRESETS)]
    rounds = as_int("rounds", plan.rounds if rounds is None else rounds)
    start, load = time.perf_counter(), background_load()
    arrays, of_operators = "cupy" if plan.on_gpu else "numpy", plan.shapes or plan.scaling
    found, absent = contenders(arrays, backends, plan.peers) if of_operators else ([], {})
    everyone = {contender.name: contender for contender in found}
    rungs = {name: c for name, c in everyone.items() if name not in plan.peers}
    varied = sweeps(threads()) if plan.scaling else ()
    points = [(geom, SINGLE) for sweep in varied for _, geom in sweep.points]
    no_memory = None if plan.on_gpu else memory_unavailable()
    if no_memory is not None:
        absent["memory"] = no_memory
    measured = [] if plan.on_gpu or no_memory or not plan.shapes else list(everyone)
    whole = [] if no_memory or not plan.batches else [*networks.CONTENDERS, *networks.PEERS]
    turns = min(rounds, networks.MAX_TURNS)
    total = len({*plan.cases, *points}) + rounds * len([*plan.cases, *points]) + len(measured)
    total += bool(plan.batches) + len(whole) + turns * len(plan.batches)
    session = Session(device or (Gpu() if plan.on_gpu else Processor()), progress, total, absent)

    check = check_all(everyone, rungs, plan.cases, points, session.device, session.step)
    absent |= check.absent
    correct = {name: c for name, c in everyone.items() if name not in check.refused()}
    memory = session.memory(memory_of, measured, correct, plan.shapes)
    methods = session.device.peak_methods() if plan.cases else []
    measurements, peaks = session.times(correct.values(), plan.cases, rounds, memory, methods)
    scaling = [s for sweep in varied for s in session.scaling(correct, rungs, sweep, rounds)]
    agreements, of_networks = check.agreements(), list[Measurement]()
    if plan.batches:
        names, compared, missing = networks.compare(plan.batches[0])
        absent |= missing
        agreements += compared
        session.step(f"checking {label(plan.batches[0])}")
        memory = session.memory(networks.network_memory, whole, names, plan.batches)
        made = [networks.contender(name, plan.batches[0].depth) for name in names]
        cases = [(batch, SINGLE) for batch in plan.batches]
        of_networks, _ = session.times(made, cases, turns, memory, budget=math.inf)
    return Record(
        date=date,
        preset=preset,
        seconds=round(time.perf_counter() - start, 1),
        background_load=load(),
        machine=session.device.machine(),
        peaks=tuple(peaks),
        shapes={label(geom): geom for geom in plan.shapes},
        agreements=tuple(agreements),
        measurements=tuple(measurements),
        scaling=tuple(scaling),
        absent=absent,
        networks=tuple(of_networks),
    )


@dataclass(slots=True)
class Session:
    """A run on one device; ``absent`` gets a reason for everything that fails."""

    device: Processor
    progress: Progress = no_progress
    total: int = 0
    absent: dict[str, str] = field(default_factory=dict)
    done: int = 0

    def step(self, what: str) -> None:
        """Report that one of the ``total`` steps is done."""
        self.done += 1
        self.progress(self.done, self.total, what)

    def memory(
        self, measure: Measure, names: Iterable[str], correct: Collection[str], sizes: Sequence[Any]
    ) -> Memory:
        """Measure those of the contenders that are correct, each in a new process."""
        found: dict[tuple[str, str, str], int] = {}
        for name in names:
            try:
                tasks = in_new_process(measure, name, sizes) if name in correct else []
            except RuntimeError as error:
                tasks, self.absent[f"memory of {name}"] = [], one_line(error)
            for size, needs in zip(sizes, tasks, strict=False):
                found |= {(label(size), name, task): need for task, need in needs.items()}
            self.step(f"memory of {name}")
        return found

    def times(
        self,
        contenders: Iterable[Contender],
        cases: Sequence[Case],
        rounds: int,
        memory: Memory,
        methods: Sequence[PeakMethod] = (),
        budget: float = BUDGET,
    ) -> tuple[list[Measurement], list[Peak]]:
        """Time all contenders and, in turn with them, the peak rates of the machine."""
        clock, best = self.device.clock, dict[str, dict[str, float]]()
        measurements: list[Measurement] = []
        for size, dtype in cases:
            shape = label(size)
            watches: dict[tuple[str, str], Stopwatch] = {}
            try:
                copies = self.device.copies(make_operands(size, dtype))
            except MemoryError as error:  # CuPy's is one too
                self.absent[f"all on {shape}, {dtype}"] = one_line(error)
                for _ in range(rounds):
                    self.step(f"leaving out {shape}")
                continue
            for contender in contenders:
                try:
                    jobs = [contender.job(operands, size) for operands in copies]
                    calls = {(contender.name, task): [j[task] for j in jobs] for task in jobs[0]}
                    own = {key: Stopwatch(work, clock) for key, work in calls.items()}
                    take_turns(own.values(), budget)
                except Exception as error:  # such as too little memory for this one
                    if not contender.may_fail:
                        raise
                    self.absent[f"{contender.name} on {shape}, {dtype}"] = one_line(error)
                else:
                    watches |= own
            peaks = [Stopwatch(method.work, clock) for method in methods]
            for number in range(rounds):
                for key, watch in list(watches.items()) if number else ():
                    try:
                        take_turns([watch], budget)
                    except MemoryError as error:  # its turns so far count
                        self.absent[f"more of {', '.join(key)} on {shape}, {dtype}"] = one_line(
                            error
                        )
                        watch.spent = math.inf
                take_turns(peaks, budget)
                self.step(f"timing {shape}")
            for method, watch in zip(methods, peaks, strict=True):
                rates = best.setdefault(method.peak, {})
                rate = method.amount / watch.shortest / 1e9
                rates[method.name] = max(rates.get(method.name, 0.0), rate)
            for (name, task), watch in watches.items():
                timed = 1e3 * watch.shortest, watch.calls, memory.get((shape, name, task))
                measurements.append(Measurement(shape, str(dtype), name, task, *timed))
        return measurements, [Peak(name, rates) for name, rates in best.items()]

    def scaling(
        self, correct: Mapping[str, Contender], rungs: Iterable[str], sweep: Sweep, rounds: int
    ) -> Iterator[Scaling]:
        """Time the rungs' forward pass along a sweep; only one of them has threads to vary."""
        names = [n for n in rungs if n in correct and (sweep.axis != THREADS or n == "numba")]
        forward = [replace(correct[name], tasks=("forward",)) for name in names]
        ms: dict[str, list[float]] = {name: [] for name in names}
        for value, geom in sweep.points:
            with use_threads(value) if sweep.axis == THREADS and names else nullcontext():
                rows, _ = self.times(forward, [(geom, SINGLE)], rounds, {})
            for row in rows:
                ms[row.contender].append(row.ms)
        values = tuple(value for value, _ in sweep.points)
        for name, t in ms.items():
            yield Scaling(sweep.axis, name, values, tuple(t), exponent(values, t), sweep.theory)


def exponent(values: Sequence[float], times: Sequence[float]) -> float | None:
    """Return the slope of the least-squares line through the logarithms; None for one value."""
    return float(np.polyfit(np.log(values), np.log(times), 1)[0]) if len(values) > 1 else None
