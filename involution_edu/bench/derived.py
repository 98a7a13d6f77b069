"""What follows from a record: rates, ratios, means, and which targets are met."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ..geometry import Geometry
from .presets import FIVE, OURS, STAGES, TRAINING, label
from .record import NetworkRow, Record, Row

ITEM = 4  # bytes of a float32
FASTEST = "numba"  # of the rungs that run on a processor
TASKS = {"forward": "forward", "both": "forward and both gradients"}


def flops(geom: Geometry) -> int:
    """Return the operations of a forward pass: a multiply and an add for every product."""
    return 2 * math.prod(geom.y_shape) * math.prod(geom.window)


def traffic(geom: Geometry) -> int:
    """Return the bytes that a forward pass must move: x and kernel read once, y written once."""
    return ITEM * sum(map(math.prod, (geom.x_shape, geom.kernel_shape, geom.y_shape)))


def unfolded(geom: Geometry) -> int:
    """Return the bytes of all windows copied out, which ``unfold`` makes: about K² times x."""
    return ITEM * math.prod(geom.y_shape) * math.prod(geom.window)


def gflops(row: Row, geom: Geometry) -> float:
    """Return 10⁹ operations a second; each gradient has as many as the forward pass."""
    return flops(geom) * (3 if row.task == "both" else 1) / row.ms / 1e6


def bandwidth(row: Row, geom: Geometry) -> float:
    """Return 10⁹ bytes of minimal traffic a second, for a forward pass."""
    return traffic(geom) / row.ms / 1e6


def find(record: Record, shape: str, contender: str, task: str) -> Row | None:
    """Return the row of a contender on a shape, or None."""
    key = shape, contender, task
    return next((r for r in record.rows if (r.shape, r.contender, r.task) == key), None)


def slow_end(record: Record) -> str:
    """Return whom the others are compared with: PyTorch's eager mode, or else the windows."""
    return next(
        (name for name in ("torch eager", "windows") if name in {r.contender for r in record.rows}),
        record.rows[0].contender if record.rows else "windows",
    )


def ratio(record: Record, shape: str, slow: str, quick: str, task: str) -> float | None:
    """Return how many times longer ``slow`` takes than ``quick``; None if one is not there."""
    a, b = (find(record, shape, name, task) for name in (slow, quick))
    return a.ms / b.ms if a and b else None


@dataclass(frozen=True, slots=True)
class Mean:
    """Geometric mean, over the five shapes with eight images, of ``slow`` over ``quick``."""

    slow: str
    quick: str
    task: str
    times: float


def geometric_means(record: Record) -> list[Mean]:
    """Return how much faster every backend is than each peer, where all five shapes are there."""
    names = dict.fromkeys(row.contender for row in record.rows)
    backends = [name for name in names if not name.startswith("torch")]
    return [
        Mean(slow, quick, task, math.exp(sum(map(math.log, ratios)) / len(ratios)))
        for slow in names
        if slow not in backends
        for task in TASKS
        for quick in backends
        if (ratios := _ratios(record, map(label, FIVE), slow, quick, task))
    ]


def _ratios(
    record: Record, shapes: Iterable[str], slow: str, quick: str, task: str
) -> list[float] | None:
    """Return a ratio for every shape, or None if one is missing."""
    found = [ratio(record, shape, slow, quick, task) for shape in shapes]
    present = [r for r in found if r is not None]
    return present if present and len(present) == len(found) else None


@dataclass(frozen=True, slots=True)
class Target:
    """Something a rung should reach; ``where`` is the shape, of several the weakest."""

    what: str
    need: float
    measured: float
    unit: str
    where: str = ""

    @property
    def met(self) -> bool:
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
        names = list(shapes)
        if ratios := _ratios(record, names, "torch eager", quick, "forward"):
            lowest = min(ratios)
            where = names[ratios.index(lowest)]
            found.append(Target(what, need, lowest, "×", where))

    mean(f"{FASTEST} over PyTorch eager, forward, geometric mean", 50, "torch eager", "forward")
    if means:
        weakest(
            f"{FASTEST} over PyTorch eager, forward, on every shape", 20, FASTEST, record.shapes
        )
    mean(f"{FASTEST} over torch.compile, forward, geometric mean", 5, "torch.compile", "forward")
    mean(
        f"{FASTEST} over PyTorch's autograd, forward and gradients, geometric mean",
        40,
        "torch eager",
        "both",
    )
    first = label(STAGES[0])
    if means and (row := find(record, first, FASTEST, "forward")):
        share = 100 * bandwidth(row, record.shapes[first]) / record.limit("copy").value
        found.append(Target(f"{FASTEST}, share of copy bandwidth, forward", 35, share, "%", first))
    weakest("shifts over PyTorch eager, forward, K = 7", 1.5, "shifts", map(label, STAGES))
    return [*found, *_network_targets(record)]


def network_pairs(record: Record) -> list[tuple[NetworkRow, NetworkRow]]:
    """Return the rows of this package's networks, each with PyTorch's on the same task."""
    return [
        (mine, theirs)
        for mine in record.networks
        for theirs in record.networks
        if mine.contender == OURS != theirs.contender
        and (mine.network, mine.images, mine.task) == (theirs.network, theirs.images, theirs.task)
    ]


def _network_targets(record: Record) -> Iterator[Target]:
    for mine, theirs in network_pairs(record):
        where = f"{mine.network}, {mine.images} × {mine.task}"
        yield Target("a whole network over PyTorch eager", 2, theirs.ms / mine.ms, "×", where)
        if mine.task == TRAINING and mine.memory and theirs.memory:
            times = theirs.memory / mine.memory
            yield Target("memory of PyTorch eager over a whole network's", 2, times, "×", where)


def data_of(record: Record) -> dict[str, Any]:
    """Return the record as JSON wants it, with what follows from it for other programs to read."""
    return {
        **asdict(record),
        "geometric_means": [asdict(mean) for mean in geometric_means(record)],
        "targets": [asdict(t) | {"met": t.met} for t in targets(record)],
    }
