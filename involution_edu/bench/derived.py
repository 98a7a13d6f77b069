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
from .presets import FIVE, OURS, label
from .record import Measurement, NetworkMeasurement, Record

TASKS = {"forward": "forward", BOTH: "forward and both gradients"}
# The contender whose time is divided by each time: the first of these that was measured. v1
# reads as the authors' CUDA kernels do, a thread for each result.
BASELINES = ("cupy:v1", "torch eager", "windows")


def flops(geom: Geometry, task: str = "forward") -> int:
    """Return the operations of a task: a multiply and an add for every product.

    Each gradient has as many products as the forward pass.
    """
    return 2 * math.prod(geom.y_shape) * math.prod(geom.window) * (3 if task == BOTH else 1)


def traffic(geom: Geometry, task: str = "forward", dtype: Any = np.float32) -> int:
    """Return the bytes that a task must move.

    x or dx, kernel or dkernel, and y or dy: each is read once or written once. Without a kernel
    in memory, the features, weight and bias that generate one are read instead of it.
    """
    features, entries = geom.C // REDUCTION, geom.G * math.prod(geom.window)
    pixels = geom.N * geom.H_out * geom.W_out
    kernel = features * pixels + entries * (features + 1) if task == FUSED else entries * pixels
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
    return TWO_LAUNCHES if task == FUSED else next((n for n in BASELINES if n in names), "windows")


def find(
    record: Record, shape: str, contender: str, task: str, dtype: str = "float32"
) -> Measurement | None:
    """Return the measurement of a contender on a shape, or None."""
    key = shape, contender, task, dtype
    return next(
        (m for m in record.measurements if (m.shape, m.contender, m.task, m.dtype) == key), None
    )


def speedup(record: Record, m: Measurement, slow: str | None = None) -> float | None:
    """Return the time of ``slow``, by default the baseline, over that of ``m``; None without."""
    other = find(record, m.shape, slow or baseline(record, m.task), m.task, m.dtype)
    return other.ms / m.ms if other else None


def speedups(
    record: Record, shapes: Iterable[str], slow: str, quick: str, task: str
) -> dict[str, float]:
    """Return the time of ``slow`` over that of ``quick`` by shape; empty if one is missing."""
    shapes = list(shapes)
    found = {
        shape: times
        for shape in shapes
        if (m := find(record, shape, quick, task)) and (times := speedup(record, m, slow))
    }
    return found if len(found) == len(shapes) else {}


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
    backends = [name for name in names if not name.startswith("torch")]
    return [
        Mean(slow, quick, task, geometric_mean(ratios.values()))
        for slow in names
        if slow not in backends
        for task in TASKS
        for quick in backends
        if (ratios := speedups(record, map(label, FIVE), slow, quick, task))
    ]


def network_pairs(record: Record) -> list[tuple[NetworkMeasurement, NetworkMeasurement]]:
    """Return the measurements of this package's networks, each with PyTorch's on the same task."""
    return [
        (mine, theirs)
        for mine in record.networks
        for theirs in record.networks
        if mine.contender == OURS != theirs.contender
        and (mine.network, mine.images, mine.task) == (theirs.network, theirs.images, theirs.task)
    ]
