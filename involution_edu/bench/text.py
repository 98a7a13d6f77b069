"""The record of a benchmark as text for a terminal of 80 columns."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby
from textwrap import fill

from ..verify.compare import absence_lines, agreement_lines, verdict_lines
from .contenders import BOTH, TENSORS
from .derived import (
    TASKS,
    bandwidth,
    baseline,
    geometric_means,
    gflops,
    network_pairs,
    share_of_copy,
    speedup,
    unfolded,
)
from .presets import OURS
from .record import Measurement, Peak, Record

MEMORY_STEP = 500_000  # bytes: the resolution of the measured memory
COLUMNS = {"ms": 7, "GFLOP/s": 8, "of peak": 8, "GB/s": 6, "of copy": 8, "÷ this": 7, "MB": 7}


def record_text(record: Record) -> str:
    """Return errors, times beside the peak rates of the machine, scaling and means."""
    return "\n".join(_lines(record))


def _lines(record: Record) -> Iterator[str]:
    machine = record.machine
    yield fill(
        f"{machine.processor}, {machine.cores} cores, {machine.threads} threads, {machine.system}",
        80,
    )
    yield fill(f"{software(record)}; {record.date}", 80)
    if record.background_load is not None:
        yield f"Background load: {record.background_load:.2f} cores"
    yield ""
    if operators := [a for a in record.agreements if a.backend != OURS]:
        yield from agreement_lines(operators)
        yield ""
    yield from _times(record)
    yield from _networks(record)
    for axis, group in groupby(record.scaling, lambda s: s.axis):
        yield f"Scaling with {axis}: milliseconds of a forward pass, time ~ ({axis})^exponent"
        rows = list(group)
        head = "".join(f"{value:>8}" for value in rows[0].values)
        yield f"contender     {head}  exponent  theory"
        for s in rows:
            times = "".join(f"{three_digits(t):>8}" for t in s.ms)
            power = "-" if s.exponent is None else f"{s.exponent:.2f}"
            yield f"{s.contender:13} {times} {power:>9} {s.theory:>7}"
        yield ""
    if means := geometric_means(record):
        yield "Geometric mean over the five shapes with eight images"
        for m in means:
            yield f"  {m.quick:8} over {m.slow:13}  {TASKS[m.task]:26} {m.times:7.1f} ×"
        yield ""
    yield from absence_lines(record.absent)
    if record.agreements:
        yield from verdict_lines(record.agreements)


def software(record: Record) -> str:
    """Return the versions of Python and of the packages."""
    versions = ", ".join(f"{name} {v}" for name, v in record.machine.versions.items() if v)
    return f"Python {record.machine.python}, {versions}"


def unit(peak: Peak) -> str:
    """Return the unit of a peak rate."""
    return "GB/s" if peak.name == "copy" else "GFLOP/s"


def _times(record: Record) -> Iterator[str]:
    if not record.measurements:
        return
    yield "Shortest times, beside the peak rates of this machine in the same run"
    for peak in record.peaks:
        yield f"  {peak.name:12} {peak.value:7.1f} {unit(peak)}: {peak.method}"
    yield "GB/s counts every operand and result once; a copy is read and written. MB is"
    yield "memory beside operands and results."

    def where(m: Measurement) -> tuple[int, str, str]:
        return list(record.shapes).index(m.shape), m.dtype, m.task

    tasks = [*TENSORS, BOTH]
    ordered = sorted(record.measurements, key=lambda m: (*where(m)[:2], tasks.index(m.task)))
    for (_, dtype, task), group in groupby(ordered, where):
        rows = list(group)
        copied = megabytes(unfolded(record.shapes[rows[0].shape]))
        yield ""
        yield f"{rows[0].shape}, {dtype}: {TASKS.get(task, task)}"
        yield f"÷: the time of {baseline(record, task)}; unfold makes {copied} MB in float32"
        yield f"{'contender':13}" + "".join(f" {name:>{width}}" for name, width in COLUMNS.items())
        for m in rows:
            values = zip(cells(record, m).values(), COLUMNS.values(), strict=True)
            yield f"{m.contender:13}" + "".join(f" {cell:>{width}}" for cell, width in values)
    yield ""


def cells(record: Record, m: Measurement) -> dict[str, str]:
    """Return the cells of a measurement's row in a table, by the names of `COLUMNS`."""
    geom = record.shapes[m.shape]
    rate, times = gflops(m, geom), speedup(record, m)
    found = [
        three_digits(m.ms),
        f"{rate:.1f}",
        percent(100 * rate / record.peak("multiply-add")),
        three_digits(bandwidth(m, geom)),
        percent(share_of_copy(record, m)),
        "-" if times is None else f"{times:.1f} ×",
        megabytes(m.memory),
    ]
    return dict(zip(COLUMNS, found, strict=True))


def _networks(record: Record) -> Iterator[str]:
    """Yield the errors of a whole network against PyTorch's, then the times of both."""
    if not any(a.backend == OURS for a in record.agreements) and not record.networks:
        return
    yield "Whole networks, beside PyTorch with the unfold layer of involution's authors"
    for a in record.agreements:
        if a.backend == OURS:
            verdict = "ok" if a.agrees else "FAIL"
            yield f"  {a.dtype:8} {a.tensor:20} error {a.error:.0e}, allowed {a.tolerance:.0e}  {verdict}"
    yield ""
    eager = {id(mine): theirs for mine, theirs in network_pairs(record)}
    for network, group in groupby(record.networks, lambda m: m.network):
        yield f"{network}, float32; memory is beside weights and images"
        yield "task            images  contender             ms  PyTorch ÷ this  memory MB"
        for m in group:
            times = f"{eager[id(m)].ms / m.ms:.2f}" if id(m) in eager else "-"
            yield (
                f"{m.task:15} {m.images:>6}  {m.contender:15} {three_digits(m.ms):>8} "
                f"{times:>15} {megabytes(m.memory):>10}"
            )
        yield ""


def three_digits(number: float) -> str:
    """Return a time or a rate with three digits.

    Examples
    --------
    >>> three_digits(0.8), three_digits(12.345), three_digits(1234.5), three_digits(math.nan)
    ('0.800', '12.3', '1234', '-')
    """
    if math.isnan(number):
        return "-"
    return f"{number:.{3 if number < 1 else 2 if number < 10 else 1 if number < 100 else 0}f}"


def percent(number: float) -> str:
    """Return a share with its sign, "-" for NaN."""
    return "-" if math.isnan(number) else f"{number:.1f} %"


def megabytes(size: int | None) -> str:
    """Return bytes as 10⁶ bytes.

    Examples
    --------
    >>> megabytes(7_654_321), megabytes(20_000), megabytes(None)
    ('7.7', '< 0.5', '-')
    """
    if size is None:
        return "-"
    return "< 0.5" if size < MEMORY_STEP else f"{size / 1e6:.1f}"
