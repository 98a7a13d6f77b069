"""The record of a benchmark as text for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from textwrap import fill

from ..verify.compare import absence_lines, agreement_lines, verdict_lines
from .derived import (
    TASKS,
    bandwidth,
    geometric_means,
    gflops,
    network_pairs,
    ratio,
    slow_end,
    targets,
    unfolded,
)
from .presets import OURS
from .record import Record, Row

MEMORY_STEP = 500_000  # bytes: what the ruler for memory cannot tell from none


def bench_text(record: Record) -> str:
    """Return errors, times beside the limits of the machine, growth, means and targets."""
    return "\n".join(_lines(record))


def _lines(record: Record) -> Iterator[str]:
    machine = record.machine
    versions = ", ".join(f"{name} {v}" for name, v in machine.versions.items() if v)
    yield fill(
        f"{machine.processor}, {machine.cores} cores, {machine.threads} threads, {machine.system}",
        80,
    )
    yield fill(f"Python {machine.python}, {versions}; {record.date}", 80)
    if record.others is not None:
        yield f"Other processes kept {record.others:.2f} cores busy meanwhile"
    yield ""
    if operators := [a for a in record.agreements if a.backend != OURS]:
        yield from agreement_lines(operators)
        yield ""
    yield from _times(record)
    yield from _networks(record)
    for axis, group in groupby(record.growths, lambda growth: growth.axis):
        yield f"Growth over {axis}: milliseconds of a forward pass, time ~ ({axis})^exponent"
        growths = list(group)
        head = "".join(f"{value:>8}" for value in growths[0].values)
        yield f"contender     {head}  exponent  theory"
        for g in growths:
            times = "".join(f"{milliseconds(t):>8}" for t in g.ms)
            power = "-" if g.exponent is None else f"{g.exponent:.2f}"
            yield f"{g.contender:13} {times} {power:>9} {g.theory:>7}"
        yield ""
    if means := geometric_means(record):
        yield "Geometric mean over the five shapes with eight images"
        for m in means:
            yield f"  {m.quick:8} over {m.slow:13}  {TASKS[m.task]:26} {m.times:7.1f} ×"
        yield ""
    if goals := targets(record):
        yield "Targets"
        for t in goals:
            at = f" on {t.where}" if t.where else ""
            yield fill(
                f"{'met' if t.met else 'MISSED'}: {t.what}: {t.measured:.1f} {t.unit}, "
                f"need {t.need:g} {t.unit}{at}",
                80,
                initial_indent="  ",
                subsequent_indent="    ",
            )
        yield ""
    yield from absence_lines(record.absent)
    if record.agreements:
        yield from verdict_lines(record.agreements)


def _times(record: Record) -> Iterator[str]:
    if not record.rows:
        return
    yield "Shortest times in float32, beside the limits of this machine in the same run"
    for limit in record.limits:
        unit = "GB/s, read and written" if limit.name == "copy" else "GFLOP/s"
        yield f"  {limit.name:12} {limit.value:7.1f} {unit}: {limit.way}"
    yield "GB/s counts x and kernel read once and y written once. Memory is what the call"
    yield f"needs beside operands and results; × is the time of {slow_end(record)} over this one."

    def place(row: Row) -> tuple[str, str]:
        return row.shape, row.task

    for (shape, task), group in groupby(sorted(record.rows, key=lambda r: order(record, r)), place):
        yield ""
        copied = megabytes(unfolded(record.shapes[shape]))
        yield f"{shape}: {TASKS[task]}; unfold makes {copied} MB"
        yield "contender           ms  GFLOP/s  of peak    GB/s  of copy       ×  memory MB"
        for row in group:
            yield _row(record, row)
    yield ""


def _networks(record: Record) -> Iterator[str]:
    """Yield how far a whole network is from PyTorch's, then both beside each other."""
    if not any(a.backend == OURS for a in record.agreements) and not record.networks:
        return
    yield "Whole networks, beside PyTorch with the unfold layer of involution's authors"
    for a in record.agreements:
        if a.backend == OURS:
            verdict = "ok" if a.agrees else "FAIL"
            yield f"  {a.dtype:8} {a.tensor:20} error {a.error:.0e}, allowed {a.tolerance:.0e}  {verdict}"
    yield ""
    eager = {id(mine): theirs for mine, theirs in network_pairs(record)}
    for network, group in groupby(record.networks, lambda row: row.network):
        yield f"{network}, float32; memory is beside weights and images"
        yield "task            images  contender             ms  PyTorch ÷ this  memory MB"
        for row in group:
            times = f"{eager[id(row)].ms / row.ms:.2f}" if id(row) in eager else "-"
            yield (
                f"{row.task:15} {row.images:>6}  {row.contender:15} {milliseconds(row.ms):>8} "
                f"{times:>15} {megabytes(row.memory):>10}"
            )
        yield ""


def _row(record: Record, row: Row) -> str:
    geom = record.shapes[row.shape]
    rate = gflops(row, geom)
    peak = 100 * rate / record.limit("multiply-add").value
    moved, share = "-", "-"
    if row.task == "forward":
        moved = f"{bandwidth(row, geom):.2f}"
        share = f"{100 * bandwidth(row, geom) / record.limit('copy').value:.1f} %"
    times = ratio(record, row.shape, slow_end(record), row.contender, row.task)
    return (
        f"{row.contender:13} {milliseconds(row.ms):>8} {rate:8.1f} {peak:6.1f} % {moved:>7} "
        f"{share:>8} {'-' if times is None else f'{times:.1f}':>7} {megabytes(row.memory):>10}"
    )


def order(record: Record, row: Row) -> tuple[int, int]:
    """Return a key that sorts rows by shape, then by task."""
    return list(record.shapes).index(row.shape), list(TASKS).index(row.task)


def milliseconds(ms: float) -> str:
    """Return a time with three digits.

    Examples
    --------
    >>> milliseconds(0.8), milliseconds(12.345), milliseconds(1234.5)
    ('0.800', '12.3', '1234')
    """
    return f"{ms:.{3 if ms < 1 else 2 if ms < 10 else 1 if ms < 100 else 0}f}"


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
