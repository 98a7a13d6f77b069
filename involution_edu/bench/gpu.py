"""The benchmark of the rungs for a GPU: first check, then time by the GPU's own clock.

`run_gpu` makes a `record.Record`, as `run.run` does on a processor; ``gpu_page`` shows it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any

import numpy as np

from ..arguments import as_int
from ..arrays import Array
from ..backends import select
from ..cases import HALF_TOLERANCE, TOLERANCE, random_operands, scaled_error
from ..geometry import Geometry
from ..verify.compare import Agreement
from .gpu_contenders import FUSED, TWO_LAUNCHES, Call, Prepare, generate, gpu_contenders
from .machine import machine
from .presets import STAGES, label
from .record import Limit, Machine, Record, Row

IMAGES = 64
SHAPES = tuple(replace(geom, N=IMAGES) for geom in STAGES)
DTYPES = (np.dtype(np.float32), np.dtype(np.float16))
TENSORS = {"forward": "y", "backward_input": "dx", "backward_kernel": "dkernel", FUSED: "fused y"}
REDUCTION = 4  # channels of x for one of the features, as in RedNet
REFERENCE = "numba"  # on the processor, on the very numbers that the GPU gets
ROUNDS = 12
COPIED = 1 << 29  # bytes of the array whose copying is the limit
FEWEST = 4  # calls between two looks at the clock, each on memory of its own
# PyTorch rounds every product to float16 before it sums them, two launches every entry of the
# kernel: each of 49 by up to 2^-11.
ROUNDING = ("torch eager", "torch.compile", TWO_LAUNCHES)
ROUNDING_TOLERANCE = 4e-3

Clock = Callable[[Sequence[Call]], float]


class GpuClock:
    """Milliseconds of a call, from events that the GPU itself records between the calls.

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

    def __call__(self, calls: Sequence[Call]) -> float:
        """Return the mean time of the calls, whose results stay until the last has ended."""
        start, end = self.cuda.Event(), self.cuda.Event()
        self.wait((1,), (1,), (np.int64(self.CYCLES),))
        start.record()
        results = [call() for call in calls]
        end.record()
        end.synchronize()
        del results  # not before: else all would be written to the same memory
        return float(self.cuda.get_elapsed_time(start, end)) / len(calls)


def run_gpu(
    *,
    rounds: int | None = None,
    date: str,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
    clock: Clock | None = None,
) -> Record:
    """Check and time every version of both rungs beside PyTorch, on CuPy's current GPU.

    Parameters
    ----------
    rounds : int, optional
        Turns that each contender gets; 12 by default.
    date : str
        The day of the run, for the record.
    progress : function of (done, total, what), optional
        Called after every step, the last time with done = total.
    clock : function of a list of calls, optional
        Returns the milliseconds of one; `GpuClock` by default.

    Raises
    ------
    ValueError
        If ``rounds`` is below 1.
    BackendUnavailable
        If there is no GPU, or nothing that compiles for it; the message says why.
    """
    rounds = as_int("rounds", ROUNDS if rounds is None else rounds)
    contenders, absent = gpu_contenders()
    start, done = time.perf_counter(), 0
    clock = clock or GpuClock()

    def step(what: str) -> None:
        nonlocal done
        done += 1
        progress(done, len(SHAPES) * len(DTYPES) * (1 + rounds), what)

    shapes = {f"{label(geom)}, {dtype}": (geom, dtype) for geom in SHAPES for dtype in DTYPES}
    agreements: list[Agreement] = []
    for shape, (geom, dtype) in shapes.items():
        present = {name: make for name, make in contenders.items() if name not in absent}
        found, failed = _check(present, geom, dtype, shape)
        agreements += found
        absent |= failed
        step(f"checking {shape}")
    refused = {*absent, *(a.backend for a in agreements if not a.agrees)}
    right = {name: make for name, make in contenders.items() if name not in refused}
    rows: list[Row] = []
    for shape, (geom, dtype) in shapes.items():
        timed = partial(step, f"timing {shape}")
        found_rows, failed = _time(right, geom, dtype, shape, clock, rounds, timed)
        rows += found_rows
        absent |= {f"{name} on {shape}": reason for name, reason in failed.items()}
    return Record(
        date=date,
        preset="gpu",
        machine=_machine(),
        limits=(_copy(clock, rounds),),
        shapes={shape: geom for shape, (geom, _) in shapes.items()},
        agreements=tuple(_worst(agreements)),
        rows=tuple(rows),
        growths=(),
        absent=absent,
        seconds=round(time.perf_counter() - start, 1),
        others=None,
    )


def _check(
    contenders: Mapping[str, Prepare], geom: Geometry, dtype: np.dtype[Any], shape: str
) -> tuple[list[Agreement], dict[str, str]]:
    """Hold every contender against the processor; return how far each is off, and who failed."""
    import cupy

    agreements, failed = [], {}
    operands = _operands(geom, dtype)
    on_gpu = [cupy.asarray(a) for a in operands]
    x, kernel, dy, features, weight, bias = (a.astype(np.float32) for a in operands)
    reference = select(REFERENCE)
    expected = {
        "forward": reference.forward(x, kernel, geom),
        "backward_input": reference.backward_input(dy, kernel, geom),
        "backward_kernel": reference.backward_kernel(dy, x, geom),
        FUSED: reference.forward(x, generate(features, weight, bias, geom), geom),
    }
    for name, prepare in contenders.items():
        try:
            found = {task: _on_host(call()) for task, call in prepare(on_gpu, geom).items()}
        except Exception as error:  # noqa: BLE001 - a compiler or a GPU may fail in any way
            failed[name] = f"fails on {shape} with {_one_line(error)}"
            continue
        for task, a in found.items():
            off = scaled_error(a.astype(np.float32), expected[task])
            if a.dtype != dtype:
                off = math.inf
            allowed = _tolerance(name, task, dtype)
            agreements.append(
                Agreement(name, REFERENCE, str(dtype), TENSORS[task], 1, shape, off, allowed)
            )
    return agreements, failed


def _operands(geom: Geometry, dtype: np.dtype[Any]) -> list[Array]:
    """Return random x, kernel and dy, and the features, weight and bias that make a kernel."""
    rng, features = np.random.default_rng(1), geom.C // REDUCTION
    entries = geom.G * math.prod(geom.window)
    generator = (
        rng.standard_normal((geom.N, features, geom.H_out, geom.W_out), np.float32),
        rng.standard_normal((entries, features), np.float32) / features**0.5,
        rng.standard_normal(entries, np.float32),
    )
    return [*random_operands(geom, dtype, seed=0), *(a.astype(dtype) for a in generator)]


def _tolerance(name: str, task: str, dtype: np.dtype[Any]) -> float:
    if dtype == np.float16 and name in ROUNDING:
        return ROUNDING_TOLERANCE
    tolerance = TOLERANCE.get(dtype, HALF_TOLERANCE)
    return 2 * tolerance if task == FUSED else tolerance  # two sums, one after the other


def _worst(agreements: Sequence[Agreement]) -> Iterator[Agreement]:
    """Yield, for each contender, dtype and tensor, the agreement on its worst shape."""

    def who(a: Agreement) -> tuple[str, str, str]:
        return a.backend, a.dtype, a.tensor

    for _, group in groupby(sorted(agreements, key=who), key=who):
        found = list(group)
        yield replace(max(found, key=attrgetter("error")), cases=len(found))


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _on_host(a: Any) -> Array:
    import cupy

    found: Array = cupy.asnumpy(a) if isinstance(a, cupy.ndarray) else a.cpu().numpy()
    return found


def _time(
    contenders: Mapping[str, Prepare],
    geom: Geometry,
    dtype: np.dtype[Any],
    shape: str,
    clock: Clock,
    rounds: int,
    step: Call,
) -> tuple[list[Row], dict[str, str]]:
    """Time the contenders in turns, on operands that take turns too, lest the cache hold them.

    Return the times, and why a contender has none: some need much more memory than others.
    """
    import cupy

    operands = _operands(geom, dtype)
    cache = cupy.cuda.Device().attributes["L2CacheSize"]
    x, _, dy, *_ = operands  # every task moves as much as these two, or more
    sets = max(FEWEST, -(-2 * cache // (x.nbytes + dy.nbytes)))
    buffers = [[cupy.asarray(a) for a in operands] for _ in range(sets)]
    calls: dict[tuple[str, str], list[Call]] = {}
    best: dict[tuple[str, str], float] = {}
    failed = {}
    for name, prepare in contenders.items():
        try:
            jobs = [prepare(on_gpu, geom) for on_gpu in buffers]
            ready = {(name, task): [job[task] for job in jobs] for task in jobs[0]}
            best |= {key: clock(turn) for key, turn in ready.items()}  # the warm-up
            calls |= ready
        except Exception as error:  # noqa: BLE001 - PyTorch and CuPy each have their own
            failed[name] = _one_line(error)
    for _ in range(rounds):
        for key, turn in calls.items():
            best[key] = min(best[key], clock(turn))
        step()
    rows = [Row(shape, *key, best[key], (1 + rounds) * sets, None) for key in calls]
    return rows, failed


def _copy(clock: Clock, rounds: int) -> Limit:
    """Return how fast the GPU copies its memory, in two ways."""
    import cupy

    source = cupy.ones(COPIED // 4, np.float32)
    targets = [cupy.empty(source.shape, np.float32) for _ in range(FEWEST)]
    ways: dict[str, list[Call]] = {
        "cudaMemcpyAsync": [
            partial(target.data.copy_from_device_async, source.data, source.nbytes)
            for target in targets
        ],
        "an elementwise CUDA kernel of CuPy": [
            partial(cupy.multiply, source, 1, out=target) for target in targets
        ],
    }
    moved = 2 * source.nbytes  # read and written
    return Limit(
        "copy",
        {
            way: moved / min(clock(calls) for _ in range(rounds)) / 1e6
            for way, calls in ways.items()
        },
    )


def _machine() -> Machine:
    """Return what is known about the GPU and the packages; `Machine.cores` is multiprocessors."""
    import cupy

    device = cupy.cuda.Device()
    name = cupy.cuda.runtime.getDeviceProperties(device.id)["name"].decode()
    driver, runtime = (
        f"{number // 1000}.{number % 1000 // 10}"
        for number in (cupy.cuda.runtime.driverGetVersion(), cupy.cuda.runtime.runtimeGetVersion())
    )
    host = machine()
    versions = {"cupy": cupy.__version__, "CUDA": runtime, "the driver's CUDA": driver}
    cores = device.attributes["MultiProcessorCount"]
    return replace(host, processor=name, cores=cores, versions={**host.versions, **versions})
