"""The run of a benchmark: compare every contender with a reference, then time the correct ones."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext

import numpy as np

from ..arguments import as_choice, as_int
from ..backends.numba_cpu import use_threads
from ..progress import Progress, no_progress
from . import networks
from .check import check_all
from .contenders import Contender, contenders, make_operands, threads
from .devices import BackgroundLoad, Gpu, Processor, one_line
from .memory import in_new_process, memory_of, memory_unavailable
from .presets import PRESETS, THREADS, Case, Sweep, label, sweeps
from .record import Measurement, Peak, Record, Scaling
from .timing import Stopwatch, take_turns

SINGLE = np.dtype(np.float32)
Step = Callable[[str], None]
Memory = Mapping[tuple[str, str, str], int]  # of (shape, contender, task), in bytes


def run_benchmark(
    preset: str = "rednet50",
    *,
    rounds: int | None = None,
    backends: Sequence[str] | None = None,
    date: str,
    progress: Progress = no_progress,
    device: Processor | None = None,
) -> Record:
    """Check and time the contenders on the shapes of a preset.

    Parameters
    ----------
    preset : str
        A name in `presets.PRESETS`.
    rounds : int, optional
        Maximum number of turns of each contender on each shape; the default is the preset's.
    backends : sequence of str, optional
        NAME or NAME:VERSION of each backend to be timed beside the peers; by default all that
        can run here, on a GPU in every version.
    date : str
        The day of the run, for the record.
    progress : Progress, optional
        Called after every step, the last time with done = total.
    device : Processor or Gpu, optional
        By default the processor, or CuPy's current GPU if the preset is for a GPU.

    Raises
    ------
    ValueError
        If there is no such preset or backend, or ``rounds`` is below 1.
    BackendUnavailable
        If a backend that was asked for cannot run here, or there is no GPU for that preset.
    """
    plan = PRESETS[as_choice("preset", preset, PRESETS)]
    rounds = as_int("rounds", plan.rounds if rounds is None else rounds)
    start, load = time.perf_counter(), BackgroundLoad()
    found, absent = contenders("cupy" if plan.on_gpu else "numpy", backends, plan.peers)
    if not plan.shapes and not plan.scaling:
        found, absent = [], {}
    device = device or (Gpu() if plan.on_gpu else Processor())
    everyone = {contender.name: contender for contender in found}
    rungs = {name: c for name, c in everyone.items() if name not in plan.peers}
    varied = sweeps(threads()) if plan.scaling else ()
    points = [(geom, SINGLE) for sweep in varied for _, geom in sweep.points]
    measured = [] if plan.on_gpu or not plan.shapes else list(everyone)
    if not plan.on_gpu and (no_memory := memory_unavailable()) is not None:
        absent["memory"], measured = no_memory, []
    total = len({*plan.cases, *points}) + len(measured) + rounds * len(plan.cases) + len(points)
    total += networks.steps(plan.networks, rounds) if plan.networks else 0
    done = 0

    def step(what: str) -> None:
        nonlocal done
        done += 1
        progress(done, total, what)

    check = check_all(everyone, rungs, plan.cases, points, device, step)
    refused = check.wrong() | check.absent.keys()
    correct = {name: c for name, c in everyone.items() if name not in refused}
    memory: dict[tuple[str, str, str], int] = {}
    for name in measured:
        if name in correct:
            sizes = in_new_process(memory_of, name, plan.shapes)
            for geom, tasks in zip(plan.shapes, sizes, strict=True):
                memory |= {(label(geom), name, task): size for task, size in tasks.items()}
        step(f"memory of {name}")
    measurements, peaks, failed = _time(correct.values(), plan.cases, rounds, device, memory, step)
    scaling = [s for sweep in varied for s in _scaling(correct, rungs, sweep, rounds, device, step)]
    compared, whole, missing = (
        networks.measure(plan.networks, rounds, step) if plan.networks else ([], [], {})
    )
    return Record(
        date=date,
        preset=preset,
        seconds=round(time.perf_counter() - start, 1),
        background_load=load.cores(),
        machine=device.machine(),
        peaks=tuple(peaks),
        shapes={label(geom): geom for geom in plan.shapes},
        agreements=(*check.agreements(), *compared),
        measurements=tuple(measurements),
        scaling=tuple(scaling),
        absent=absent | check.absent | failed | missing,
        networks=tuple(whole),
    )


def _time(
    contenders: Iterable[Contender],
    cases: Sequence[Case],
    rounds: int,
    device: Processor,
    memory: Memory,
    step: Step,
) -> tuple[list[Measurement], list[Peak], dict[str, str]]:
    """Time all contenders and, in turn with them, the peak rates of the machine.

    Return as well why a contender has no time on a shape: some need much more memory than others.
    """
    methods = device.peak_methods() if cases else []
    best: dict[str, dict[str, float]] = {}
    measurements: list[Measurement] = []
    failed = {}
    for geom, dtype in cases:
        shape = label(geom)
        copies = device.copies(make_operands(geom, dtype))
        watches: dict[tuple[str, str], Stopwatch] = {}
        for contender in contenders:
            try:
                jobs = [contender.job(operands, geom) for operands in copies]
                own = {
                    (contender.name, task): Stopwatch([job[task] for job in jobs], device.clock)
                    for task in jobs[0]
                }
                take_turns(own.values())
            except Exception as error:
                if not contender.may_fail:
                    raise
                failed[f"{contender.name} on {shape}, {dtype}"] = one_line(error)
            else:
                watches |= own
        peaks = [Stopwatch(method.work, device.clock) for method in methods]
        for number in range(rounds):
            take_turns([*(watches.values() if number else ()), *peaks])
            step(f"timing {shape}")
        for method, watch in zip(methods, peaks, strict=True):
            rates = best.setdefault(method.peak, {})
            rate = method.amount / watch.shortest / 1e9
            rates[method.name] = max(rates.get(method.name, 0.0), rate)
        measurements += [
            Measurement(
                shape, str(dtype), *key, 1e3 * w.shortest, w.calls, memory.get((shape, *key))
            )
            for key, w in watches.items()
        ]
    return measurements, [Peak(name, rates) for name, rates in best.items()], failed


def _scaling(
    correct: Mapping[str, Contender],
    rungs: Iterable[str],
    sweep: Sweep,
    rounds: int,
    device: Processor,
    step: Step,
) -> Iterator[Scaling]:
    """Time the rungs' forward pass along a sweep; only one of them has threads to vary."""
    names = [n for n in rungs if n in correct and (sweep.axis != THREADS or n == "numba")]
    ms: dict[str, list[float]] = {name: [] for name in names}
    for value, geom in sweep.points:
        operands = make_operands(geom, SINGLE)
        jobs = [correct[name].job(operands, geom) for name in names]
        watches = [Stopwatch([job["forward"]], device.clock) for job in jobs]
        with use_threads(value) if sweep.axis == THREADS and names else nullcontext():
            for _ in range(rounds):
                take_turns(watches)
        for name, watch in zip(names, watches, strict=True):
            ms[name].append(1e3 * watch.shortest)
        step(f"timing {sweep.axis} = {value}")
    values = tuple(value for value, _ in sweep.points)
    for name, times in ms.items():
        yield Scaling(sweep.axis, name, values, tuple(times), exponent(values, times), sweep.theory)


def exponent(values: Sequence[float], times: Sequence[float]) -> float | None:
    """Return the power of ``values`` with which ``times`` scale; None for a single value.

    It is the slope of the least-squares line through the logarithms.

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
