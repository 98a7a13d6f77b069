"""Maker of the page ``docs/benchmarks-gpu.md`` from the record of ``bench.gpu_check``, or without.

``python docs/_ext/benchmarks_gpu.py docs/benchmarks-gpu.json docs/benchmarks-gpu.md`` writes it;
the page says "not yet run on a GPU" as long as that record does not exist.
"""

from __future__ import annotations

import csv
import json
import re
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import fill
from typing import Any

from benchmarks import bullet, errors, markdown_table, targets_table
from targets import gpu_targets, share_of_its_copy

from involution_edu.backends.cuda.versions import VERSIONS
from involution_edu.bench.contenders import GPU_TASKS
from involution_edu.bench.derived import bandwidth, baseline, share_of_copy, speedup
from involution_edu.bench.presets import GPU_SHAPES
from involution_edu.bench.record import Peak, Record, from_json
from involution_edu.bench.text import percent, software, three_digits
from involution_edu.files import written_whole
from involution_edu.verify.compare import Agreement

Rows = dict[str, dict[str, Any]]  # the record of gpu_check: a row for each step
PREDICTIONS = Path(__file__).parents[1] / "gpu-predictions.json"
NOT_RUN = """\
# Benchmarks on a GPU

**Not yet run on a GPU.** Nothing on this page has been measured. Other pages tell what is known
without a GPU: [the ladder](explanation/ladder.md) counts what each version reads and
writes. With an NVIDIA GPU, the commands [below](#repeat-it) fill this page.
"""
RUN = """\
# Benchmarks on a GPU

Every version of both rungs for a GPU, beside PyTorch and beside the speed at which the GPU copies
its memory. This page is made by commands, given [below](#repeat-it), from the numbers in
[benchmarks-gpu.json](benchmarks-gpu.json).
"""
METHOD = """\
## How it is measured

- **Checked first.** Nothing is measured before every version compiles, the tests marked gpu pass
  with none skipped, and NVIDIA's sanitizer, where it is installed, finds nothing. Then every
  contender is compared with the `numba` rung on the processor, on the numbers that are timed. A
  wrong one is named and not timed.
- **Then timed, in turns**, by events that the GPU records. The GPU waits until all calls of a turn
  have been launched, so that Python's own time is not counted; the shortest turn counts.
- **Memory is cold.** Each call of a turn has operands and a result of its own, together more than
  twice the second-level cache.
- **The shapes** are the involutions of RedNet-50's four stages, for 64 images: N × C × H × W.
- **GB/s** counts the least traffic: both operands read once, the result written once.
- **of copy** is the share of the rate at which the GPU copies a large array, and **of equal copy**
  of that at which it copies as many bytes as the operator moves; counted are bytes read and
  written, by the faster of two methods, in turns with the versions.
- **cupy:v1** reads as the authors' own CUDA kernels do, a thread for each result.
- **generate_and_apply** computes y from a layer's features. Fused, it is one launch, and no kernel
  is in memory; unfused, a matrix product writes the kernel and `cupy` applies it.
  CuPy's product of float16 goes through float32: there, unfused is no measure of half precision.
- **torch eager** is the formula they published for PyTorch: unfold, multiply, sum, and autograd;
  **torch.compile** is the same, compiled for each shape, forward only.
"""
REPEAT = """\
## Repeat it

In a clone of the repository, on a machine with an NVIDIA GPU of 24 GB or more; it takes ten minutes at most:

```bash
pip install -e '.[cuda13,test]' torch
python -m involution_edu.bench.gpu_check
python docs/_ext/benchmarks_gpu.py docs/benchmarks-gpu.json docs/benchmarks-gpu.md
```

A step that fails says why; the same command again repeats it and keeps the rest. Without torch, compute-sanitizer or
ncu the rest is done.
"""


def gpu_page(rows: Rows | None) -> str:
    """Return the page as Markdown; without a record, it says so."""
    if rows is None:
        return "\n".join([NOT_RUN, *_predictions(), METHOD, REPEAT])
    return "\n".join([RUN, *_results(rows), METHOD, REPEAT])


def merged(rows: Rows) -> Record | None:
    """Return the records of all steps that measured a shape as one; None if there is none."""
    found = [
        from_json(json.dumps(row["data"]))
        for row in rows.values()
        if isinstance(row["data"], dict) and "measurements" in row["data"]
    ]
    if not found:
        return None
    peaks: dict[str, dict[str, float]] = {}
    agreements: dict[tuple[str, ...], Agreement] = {}
    for record in found:
        for peak in record.peaks:
            methods = peaks.setdefault(peak.name, {})
            for method, rate in peak.methods.items():
                methods[method] = max(rate, methods.get(method, 0.0))
        for a in record.agreements:
            key = a.backend, a.reference, a.dtype, a.tensor
            other = agreements.get(key, replace(a, cases=0))
            worst = max(a, other, key=lambda one: one.error)
            agreements[key] = replace(worst, cases=a.cases + other.cases)
    return replace(
        found[0],
        seconds=sum(row["seconds"] for row in rows.values()),
        peaks=tuple(Peak(name, methods) for name, methods in peaks.items()),
        shapes={shape: geom for record in found for shape, geom in record.shapes.items()},
        agreements=tuple(agreements.values()),
        measurements=tuple(m for record in found for m in record.measurements),
        absent={name: why for record in found for name, why in record.absent.items()},
    )


def _results(rows: Rows) -> Iterator[str]:
    record = merged(rows)
    if record is None:
        yield "**Nothing was measured**: the table of the steps says why.\n"
    else:
        machine = record.machine
        yield bullet(f"GPU: {machine.processor}, {machine.cores} multiprocessors")
        yield bullet(f"Software: {machine.system}, {software(record)}")
        yield bullet(f"Run: {record.date}, {record.seconds:.0f} s")
        yield ""
        yield from targets_table(gpu_targets(record))
        yield from _predictions(record)
        for task in GPU_TASKS:
            yield f"## {task}\n"
            for shape in record.shapes:
                for dtype in dict.fromkeys(m.dtype for m in record.measurements):
                    yield from _table(record, task, shape, dtype)
        yield "## Copies\n"
        yield "GB/s, read and written.\n"
        methods = list(record.peaks[0].methods)
        cells = [[three_digits(peak.methods[m]) for m in methods] for peak in record.peaks]
        named = [[p.name, *c] for p, c in zip(record.peaks, cells, strict=True)]
        yield from markdown_table(["", *methods], named)
    yield from _layers(_printed(rows))
    yield from _counters([line for line in _lines(rows, "counters") if line.startswith('"')])
    yield "## Steps\n"
    yield from markdown_table(
        ["step", "", "s", "remark"],
        [[_cell(n), r["status"], f"{r['seconds']:.1f}", _cell(r["why"])] for n, r in rows.items()],
    )
    if record is not None:
        yield from errors(record)


def _table(record: Record, task: str, shape: str, dtype: str) -> Iterator[str]:
    """Yield a table of the contenders on one shape; nothing if there is none."""
    table = []
    for m in record.measurements:
        if (m.shape, m.task, m.dtype) == (shape, task, dtype):
            times = speedup(record, m)
            shares = share_of_copy(record, m), share_of_its_copy(record, m)
            cells = [three_digits(m.ms), three_digits(bandwidth(m, record.shapes[shape]))]
            cells += [*map(percent, shares), "-" if times is None else f"{times:.1f} ×"]
            table.append([m.contender, *cells])
    if table:
        yield f"### {task}: {shape}, {dtype}\n"
        columns = "ms", "GB/s", "of copy", "of equal copy", f"{baseline(record, task)} ÷ this"
        yield from markdown_table(["", *columns], table)


def _predictions(record: Record | None = None) -> Iterator[str]:
    """Yield the table of predictions, of versions that exist, beside what was measured."""
    known = json.loads(PREDICTIONS.read_text(encoding="utf-8"))
    names, table = {version.name for version in VERSIONS}, []
    for row in known["rows"]:
        head = [row["gpu"], f"cupy:{row['version']}", row["task"], row["dtype"]]
        if row["version"] in names:
            table.append([*head, *(f"{share} %" for share in row["share"])])
    if table:
        yield "## Predicted\n"
        what = "the share that a version reaches of the rate at which the GPU copies a large array"
        yield fill(f"**Predictions, not measurements**: {what}. {known['how']}", 100) + "\n"
        sizes = [f"{geom.H} × {geom.W}" for geom in GPU_SHAPES]
        yield from markdown_table(["GPU", "version", "task", "dtype", *sizes], table)


def _lines(rows: Rows, step: str) -> list[str]:
    return list(rows.get(step, {}).get("data") or ())


def _printed(rows: Rows) -> list[dict[str, Any]]:
    """Return what tests/benchmarks/bench_gpu_layers.py has printed in any step."""
    lines = [line for row in rows.values() if isinstance(row["data"], list) for line in row["data"]]
    return [json.loads(line) for line in lines if line.startswith("{")]


def _layers(printed: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the times of batch normalisation, of a training step, and of one launch or two."""
    facts = []
    for found in printed:
        if found["what"] == "batch norm":
            facts.append(
                f"Batch norm, forward and backward, {found['shape']}: {found['ms']:.2f} ms"
            )
        if found["what"] == "RedNet-26":
            rate = 1e3 * found["images"] / found["ms"]
            step = f"A training step of RedNet-26, {found['images']} images: {found['ms']:.0f} ms"
            facts.append(f"{step}, {rate:.0f} images a second")
    if facts:
        yield "## Layers\n"
        yield from map(bullet, facts)
        yield ""
    table = [
        [f["shape"], f["dtype"], str(f["ratio"]), *(three_digits(f[k]) for k in ("fused", "unfused")),
         f"{f['unfused'] / f['fused']:.2f} ×"]
        for f in printed if f["what"] == "one or two"
    ]  # fmt: skip
    if table:
        yield "## One launch or two\n"
        yield "Milliseconds of generation and application, for C_r / C_g as given.\n"
        head = ["shape", "dtype", "C_r / C_g", "one launch", "two", "two ÷ one"]
        yield from markdown_table(head, table)


def _counters(lines: Sequence[str]) -> Iterator[str]:
    """Yield what Nsight Compute counted, a row for each launch of this package."""
    launches: dict[tuple[str, str], dict[str, str]] = {}
    for row in csv.DictReader(lines):
        name = row["Kernel Name"]
        if re.search(r"\b(forward|backward_\w+|generate_and_apply)_v\d", name):
            number = f"{row['Metric Value']} {row['Metric Unit']}"
            launches.setdefault((row["ID"], name), {})[row["Metric Name"]] = number
    if launches:
        yield "## Counted by Nsight Compute\n"
        metrics = list(dict.fromkeys(name for found in launches.values() for name in found))
        table = [[_cell(n), *(f.get(m, "-") for m in metrics)] for (_, n), f in launches.items()]
        yield from markdown_table(["launch", *metrics], table)


def _cell(text: str) -> str:
    """Return text for a cell of a table, shortened, its markup escaped."""
    return " ".join(text.split())[:200].replace("|", "\\|").replace("<", "&lt;")


def main(argv: Sequence[str] | None = None) -> None:
    """Write the page of a record, or the page without one if that file does not exist."""
    parser = ArgumentParser(description="Make the page of a GPU's benchmark from its record.")
    parser.add_argument("record", type=Path, help="the file written by gpu_check, if any")
    parser.add_argument("page", type=Path, help="the Markdown file to write or replace")
    args = parser.parse_args(argv)
    exists = args.record.exists()
    found = json.loads(args.record.read_text(encoding="utf-8")) if exists else None
    with written_whole(args.page, force=True) as temporary:
        temporary.write_text(gpu_page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
