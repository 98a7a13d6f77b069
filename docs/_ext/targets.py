"""The speed and memory that this project wants to reach, against a record of the benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import geometric_mean

import numpy as np

from involution_edu.arguments import MAX_INT
from involution_edu.backends.cuda.fused import fusing_pays
from involution_edu.backends.cuda.versions import TASKS, VERSIONS
from involution_edu.bench.contenders import FUSED, ONE_LAUNCH, REDUCTION, TWO_LAUNCHES
from involution_edu.bench.derived import (
    bandwidth,
    find,
    geometric_means,
    share_of_copy,
    speedup,
    speedups,
    traffic,
)
from involution_edu.bench.devices import COPY_OF
from involution_edu.bench.presets import OURS, STAGES, THEIRS, TRAINING, label
from involution_edu.bench.record import Measurement, Record
from involution_edu.geometry import Geometry

FASTEST = "numba"  # of the rungs that run on a processor
BEST = f"cupy:{VERSIONS[-1].name}"
AUTHORS = f"cupy:{VERSIONS[0].name}"  # a thread for each result, as in the authors' CUDA kernels


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that a rung should reach; ``where`` is the shape, of several the weakest."""

    what: str
    need: float
    measured: float
    unit: str
    where: str = ""

    @property
    def reached(self) -> bool:
        """Whether it was reached."""
        return self.measured >= self.need


def targets(record: Record) -> list[Target]:
    """Return all targets for which there are measurements; PyTorch is needed for most."""
    means = {(m.slow, m.quick, m.task): m.times for m in geometric_means(record)}
    found = []

    def mean(what: str, need: float, slow: str, task: str) -> None:
        if (times := means.get((slow, FASTEST, task))) is not None:
            found.append(Target(what, need, times, "×"))

    def weakest(what: str, need: float, quick: str, shapes: Iterable[str]) -> None:
        if ratios := speedups(record, shapes, "torch eager", quick, "forward"):
            where = min(ratios, key=lambda shape: ratios[shape])
            found.append(Target(what, need, ratios[where], "×", where))

    over, gradients = f"{FASTEST} over PyTorch eager, forward", "forward and gradients"
    mean(f"{over}, geometric mean", 50, "torch eager", "forward")
    if means:
        weakest(f"{over}, on every shape", 20, FASTEST, record.shapes)
    mean(f"{FASTEST} over torch.compile, forward, geometric mean", 5, "torch.compile", "forward")
    autograd = f"{FASTEST} over PyTorch's autograd, {gradients}, geometric mean"
    mean(autograd, 40, "torch eager", "both")
    first = label(STAGES[0])
    if means and (m := find(record, first, FASTEST, "forward")):
        share = share_of_copy(record, m)
        found.append(Target(f"{FASTEST}, share of copy bandwidth, forward", 35, share, "%", first))
    weakest("shifts over PyTorch eager, forward, K = 7", 1.5, "shifts", map(label, STAGES))
    for mine in record.networks:
        theirs = find(record, mine.shape, THEIRS, mine.task)
        if mine.contender != OURS or theirs is None:
            continue
        where = f"{mine.shape}: {mine.task}"
        times = theirs.ms / mine.ms
        found.append(Target("a whole network over PyTorch eager", 2, times, "×", where))
        if mine.task == TRAINING and mine.memory and theirs.memory:
            times = theirs.memory / mine.memory
            what = "memory of PyTorch eager over a whole network's"
            found.append(Target(what, 2, times, "×", where))
    return found


def gpu_targets(record: Record) -> list[Target]:
    """Return the targets of the highest versions, where they were measured.

    Shares, and one launch over two, are the weakest of the stages; other ratios geometric means.
    """
    found = []

    def weakest(what: str, need: float, unit: str, measured: dict[str, float]) -> None:
        if measured:
            where = min(measured, key=lambda shape: measured[shape])
            found.append(Target(what, need, measured[where], unit, where))

    def mean(what: str, need: float, ratios: Sequence[float | None]) -> None:
        if present := [ratio for ratio in ratios if ratio]:
            found.append(Target(what, need, geometric_mean(present), "×"))

    def measured(contender: str, task: str, dtype: str = "float32") -> list[Measurement]:
        rows = (find(record, shape, contender, task, dtype) for shape in record.shapes)
        return [row for row in rows if row]

    for task, need in zip(TASKS, (80, 70, 70), strict=True):
        shares = {m.shape: share_of_its_copy(record, m) for m in measured(BEST, task)}
        weakest(f"{BEST}, {task}, share of a copy of its size", need, "%", shares)
    every = [m for task in TASKS for m in measured(BEST, task)]
    over = [speedup(record, m, AUTHORS) for m in every]
    mean(f"{BEST} over {AUTHORS}, which reads as the authors' kernels do", 3, over)
    halves = [(m, find(record, m.shape, BEST, m.task, "float16")) for m in every]
    compiled = {m.shape: speedup(record, m, "torch.compile") for m in measured(BEST, "forward")}
    known = {shape: times for shape, times in compiled.items() if times}
    weakest(f"{BEST} over torch.compile, forward, on every shape", 1, "×", known)
    mean(f"{BEST}, float16 over float32", 1.7, [m.ms / half.ms for m, half in halves if half])
    fused = {
        m.shape: times
        for m in measured(ONE_LAUNCH, FUSED)
        if _fuses(record.shapes[m.shape]) and (times := speedup(record, m, TWO_LAUNCHES))
    }
    weakest(f"{ONE_LAUNCH} over two launches, where a layer fuses", 1, "×", fused)
    return found


def share_of_its_copy(record: Record, m: Measurement) -> float:
    """Return the bandwidth in percent of that of a copy of as many bytes; NaN without one."""
    geom = record.shapes[m.shape]
    copied = COPY_OF.format(traffic(geom, dtype=m.dtype) / 1e6)
    return 100 * bandwidth(m, geom) / record.peak(copied)


def _fuses(geom: Geometry) -> bool:
    """Return whether a layer would fuse, in float32 on a GPU with room for any tile."""
    return fusing_pays(geom, geom.C // REDUCTION, np.dtype(np.float32), MAX_INT)
