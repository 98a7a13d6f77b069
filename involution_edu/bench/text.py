"""The record of a benchmark as text for a terminal, and its tables, which the pages show too."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from textwrap import fill
from typing import Any

from ..verify.compare import absence_lines, agreement_lines, verdict_lines
from . import derived
from .derived import TASKS, bandwidth, baseline, gflops, share_of_copy, speedup, unfolded
from .presets import THEIRS
from .record import Measurement, Peak, Record

COLUMNS = "ms", "GFLOP/s", "of peak", "GB/s", "of copy", "÷ this", "MB"
OF_NETWORKS = "ms", "÷ this", "MB"

Table = tuple[list[str], list[list[str]]]  # the head and the rows


@dataclass(frozen=True, slots=True)
class Report:
    """The result of the command ``bench``: a record as text and as plain data."""

    record: Record

    @property
    def ok(self) -> bool:
        """Whether every contender gave the right numbers."""
        return self.record.ok

    def text(self) -> str:
        """Return the record for a terminal of 80 columns."""
        return "\n".join(_lines(self.record))

    def data(self) -> dict[str, Any]:
        """Return the record with its geometric means; `record.from_json` reads it back."""
        means = [asdict(mean) for mean in derived.geometric_means(self.record)]
        return {**asdict(self.record), "geometric_means": means}


def _lines(record: Record) -> Iterator[str]:
    """Yield errors, times beside the peak rates of the machine, scaling and means."""
    machine = record.machine
    cores = f"{machine.cores} cores, {machine.threads} threads"
    yield fill(f"{machine.processor}, {cores}, {machine.system}", 80)
    yield fill(f"{software(record)}; {record.date}", 80)
    if record.background_load is not None:
        yield f"Background load: {record.background_load:.2f} cores"
    yield ""
    of_networks = [a for a in record.agreements if a.reference == THEIRS]
    if operators := [a for a in record.agreements if a.reference != THEIRS]:
        yield from agreement_lines(operators)
        yield ""
    if record.measurements:
        yield "Shortest times, beside the peak rates of this machine in the same run"
        for peak in record.peaks:
            yield f"  {peak.name:12} {peak.value:7.1f} {unit(peak)}: {peak.method}"
        yield "GB/s counts every operand and result once; a copy is read and written. MB is"
        yield "memory beside operands and results.\n"
    yield from _times(record, record.measurements, COLUMNS)
    if of_networks or record.networks:
        yield "Whole networks, beside PyTorch with the unfold layer of involution's authors,"
        yield "and that network compiled by others."
        yield "MB is memory beside weights and images."
        for a in of_networks:
            verdict = "ok" if a.agrees else "FAIL"
            what = f"{a.backend:15}{a.dtype} {a.tensor}"
            yield f"  {what:44} error {a.error:.0e}, allowed {a.tolerance:.0e}  {verdict}"
        yield ""
    yield from _times(record, record.networks, OF_NETWORKS)
    for table in scaling_tables(record):
        yield "Milliseconds of a forward pass, time ~ size^exponent"
        yield from _aligned(table)
    if (means := means_table(record))[1]:
        yield "Geometric mean over the five shapes with eight images"
        yield from _aligned(means)
    yield from absence_lines(record.absent)
    if record.agreements:
        yield from verdict_lines(record.agreements)


def _times(record: Record, rows: Iterable[Measurement], columns: Sequence[str]) -> Iterator[str]:
    for shape, dtype, task in dict.fromkeys((m.shape, m.dtype, m.task) for m in rows):
        yield f"{shape}, {dtype}: {TASKS.get(task, task)}"
        copied = ""
        if shape in record.shapes:
            copied = f"; unfold makes {megabytes(unfolded(record.shapes[shape]))} MB in float32"
        yield f"÷: the time of {baseline(record, task)}{copied}"
        yield from _aligned(times_table(record, shape, task, columns, dtype))


def _aligned(table: Table) -> Iterator[str]:
    """Yield a table, its first column left-aligned, all other columns right-aligned."""
    lines = [table[0], *table[1]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for first, *rest in lines:
        cells = map(str.rjust, rest, widths[1:])
        yield f"{first:{widths[0]}}  {'  '.join(cells)}"
    yield ""


def times_table(
    record: Record, shape: str, task: str, columns: Sequence[str], dtype: str = "float32"
) -> Table:
    """Return a table of the contenders on one shape, with some of `COLUMNS`."""
    rows, geom, peak = [], record.shapes.get(shape), record.peak("multiply-add")
    for m in derived.every(record):
        if (m.shape, m.task, m.dtype) == (shape, task, dtype):
            times = speedup(record, m)
            cells = {"ms": three_digits(m.ms), "MB": megabytes(m.memory)}
            cells["÷ this"] = "-" if times is None else f"{times:.1f} ×"
            if geom is not None:
                cells["GFLOP/s"] = f"{gflops(m, geom):.1f}"
                cells["of peak"] = percent(100 * gflops(m, geom) / peak)
                cells["GB/s"] = three_digits(bandwidth(m, geom))
                cells["of copy"] = percent(share_of_copy(record, m))
            rows.append([m.contender, *(cells[name] for name in columns)])
    return ["contender", *columns], rows


def scaling_tables(record: Record) -> Iterator[Table]:
    """Yield a table of the times along each axis."""
    for axis, group in groupby(record.scaling, lambda s: s.axis):
        rows = []
        for s in group:
            head = [axis, *map(str, s.values), "exponent", "theory"]
            power = "-" if s.exponent is None else f"{s.exponent:.2f}"
            rows.append([s.contender, *map(three_digits, s.ms), power, str(s.theory)])
        yield head, rows


def means_table(record: Record) -> Table:
    """Return how much faster each backend is than each peer, in the mean over five shapes."""
    found = {(m.slow, m.quick, m.task): f"{m.times:.1f} ×" for m in derived.geometric_means(record)}
    return ["", "over", *TASKS.values()], [
        [quick, slow, *(found.get((slow, quick, task), "-") for task in TASKS)]
        for slow, quick in sorted({(slow, quick) for slow, quick, _ in found})
    ]


def software(record: Record) -> str:
    """Return the versions of Python and of the packages."""
    versions = ", ".join(f"{name} {v}" for name, v in record.machine.versions.items() if v)
    return f"Python {record.machine.python}, {versions}"


def unit(peak: Peak) -> str:
    """Return the unit of a peak rate."""
    return "GB/s" if peak.name == "copy" else "GFLOP/s"


def three_digits(number: float) -> str:
    """Return a time or a rate with three digits, "-" for NaN."""
    digits = sum(number < limit for limit in (1, 10, 100))
    return "-" if math.isnan(number) else f"{number:.{digits}f}"


def percent(number: float) -> str:
    """Return a share with its sign, "-" for NaN."""
    return "-" if math.isnan(number) else f"{number:.1f} %"


def megabytes(size: int | None) -> str:
    """Return bytes as 10⁶ bytes, at the resolution of the measured memory."""
    if size is None:
        return "-"
    return "< 0.5" if size < 500_000 else f"{size / 1e6:.1f}"
