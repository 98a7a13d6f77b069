"""Quantities derived from a record: rates, ratios and means."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import geometric_mean
from typing import Any

import numpy as np

from ..geometry import Geometry
from .contenders import BOTH, FUSED, REDUCTION, TWO_LAUNCHES
from .networks import PEERS
from .presets import ALL_PEERS, FIVE, INFERENCE, THEIRS, TRAINING, label
from .record import Measurement, Record

TASKS = {"forward": "forward", BOTH: "forward and both gradients"}
# The first that was measured counts; v1 reads as the authors' CUDA kernels do.
BASELINES = ("cupy:v1", THEIRS, "windows")
BEST_PEER = "the best peer"  # the fastest of those that were measured, shape by shape
FIXED_BASELINES = {FUSED: TWO_LAUNCHES, INFERENCE: THEIRS, TRAINING: THEIRS}


def flops(geom: Geometry, task: str = "forward") -> int:
    """Return the operations: a multiply and an add for each product, as many in each gradient."""
    return 2 * math.prod(geom.y_shape) * math.prod(geom.window) * (3 if task == BOTH else 1)


def traffic(geom: Geometry, task: str = "forward", dtype: Any = np.float32) -> int:
    """Return the bytes that a task must move: each operand and result is read or written once."""
    features, entries = geom.C // REDUCTION, geom.G * math.prod(geom.window)
    pixels = geom.N * geom.H_out * geom.W_out
    kernel = entries * pixels
    if task == FUSED:  # features, weight and bias are read instead
        kernel = features * pixels + entries * (features + 1)
    numbers = math.prod(geom.x_shape) + kernel + math.prod(geom.y_shape)
    return int(np.dtype(dtype).itemsize) * numbers


def unfolded(geom: Geometry) -> int:
    """Return the bytes of all windows copied out in float32, about K² times x."""
    return 4 * math.prod(geom.y_shape) * math.prod(geom.window)


def gflops(m: Measurement, geom: Geometry) -> float:
    """Return 10⁹ operations a second."""
    return flops(geom, m.task) / m.ms / 1e6


def bandwidth(m: Measurement, geom: Geometry) -> float:
    """Return 10⁹ bytes of minimal traffic a second; NaN for several tasks in one."""
    return math.nan if m.task == BOTH else traffic(geom, m.task, m.dtype) / m.ms / 1e6


def share_of_copy(record: Record, m: Measurement) -> float:
    """Return the bandwidth of a measurement in percent of the peak of copying."""
    return 100 * bandwidth(m, record.shapes[m.shape]) / record.peak("copy")


def baseline(record: Record, task: str) -> str:
    """Return the contender with which the rest are compared."""
    names = {m.contender for m in record.measurements}
    return FIXED_BASELINES.get(task) or next((n for n in BASELINES if n in names), "windows")


def find(
    record: Record, shape: str, contender: str, task: str, dtype: str = "float32"
) -> Measurement | None:
    """Return the measurement of a contender on a shape, or None."""
    key = shape, task, dtype
    rows = [m for m in every(record) if (m.shape, m.task, m.dtype) == key]
    if contender == BEST_PEER:
        return min((m for m in rows if is_peer(m.contender)), key=lambda m: m.ms, default=None)
    return next((m for m in rows if m.contender == contender), None)


def every(record: Record) -> tuple[Measurement, ...]:
    """Return the measurements of operators and of networks."""
    return *record.measurements, *record.networks


def is_peer(contender: str) -> bool:
    """Return whether a contender is no part of this package."""
    return contender in (*ALL_PEERS, *PEERS)


def speedup(record: Record, m: Measurement, slow: str | None = None) -> float | None:
    """Return the time of ``slow``, by default the baseline, over that of ``m``; None without."""
    other = find(record, m.shape, slow or baseline(record, m.task), m.task, m.dtype)
    return other.ms / m.ms if other else None


def speedups(
    record: Record, shapes: Iterable[str], slow: str, quick: str, task: str
) -> dict[str, float]:
    """Return the time of ``slow`` over that of ``quick`` by shape; empty if one is missing."""
    rows = {shape: find(record, shape, quick, task) for shape in shapes}
    found = {s: speedup(record, m, slow) if m else None for s, m in rows.items()}
    return {s: times for s, times in found.items() if times} if all(found.values()) else {}


@dataclass(frozen=True, slots=True)
class Mean:
    """Geometric mean, over the five shapes with eight images, of ``slow`` over ``quick``."""

    slow: str
    quick: str
    task: str
    times: float


def geometric_means(record: Record) -> list[Mean]:
    """Return how much faster every backend is than each peer, where all five shapes are there."""
    names = dict.fromkeys(m.contender for m in record.measurements)
    return [
        Mean(slow, quick, task, geometric_mean(ratios.values()))
        for slow in (*filter(is_peer, names), BEST_PEER)
        for task in TASKS
        for quick in names
        if not is_peer(quick)
        if (ratios := speedups(record, map(label, FIVE), slow, quick, task))
    ]
