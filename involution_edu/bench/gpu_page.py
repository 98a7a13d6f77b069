"""The page ``docs/benchmarks-gpu.md``, made from a record of a GPU, or saying that there is none.

``python -m involution_edu.bench.gpu_page docs/benchmarks-gpu.json docs/benchmarks-gpu.md``
writes it; the page says "not yet run on a GPU" as long as that record does not exist.
"""

from __future__ import annotations

import math
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..backends.cuda_versions import TASKS, VERSIONS
from ..files import written_whole
from ..geometry import Geometry
from .derived import Target
from .page import bullet, errors, markdown_table, targets_table
from .record import Record, Row, from_json
from .text import milliseconds

BEST = f"cupy {VERSIONS[-1].name}"
AUTHORS = f"cupy {VERSIONS[0].name}"  # a thread for each result, as in the authors' CUDA kernels
NOT_RUN = """\
# Benchmarks on a GPU

**Not yet run on a GPU.** Nothing on this page has been measured. What is known
without one is on other pages: [the ladder](explanation/ladder.md) counts what each version reads and
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

- **Checked first.** Every contender is held against the `numba` rung on the processor, on the very
  numbers that are timed. A wrong one is named and not timed.
- **Then timed, in turns**, by events that the GPU records. The GPU waits until all calls of a turn
  have been launched, so that Python's own time is not counted; the shortest turn counts.
- **Memory is cold.** Each call of a turn has operands and a result of its own, together more than
  twice the second-level cache.
- **The shapes** are the involutions of RedNet-50's four stages, for 64 images: N × C × H × W.
- **GB/s** counts what must move: both operands read once, the result written once. The limit is
  the faster of two ways to copy, counting bytes read and written.
- **cupy v1** reads as the authors' own CUDA kernels do, a thread for each result.
- **PyTorch eager** is the formula they published for PyTorch: unfold, multiply, sum, and autograd;
  **torch.compile** is the same, compiled for each shape, forward only.
"""
REPEAT = """\
## Repeat it

On a machine with an NVIDIA GPU of 24 GB or more:

```bash
pip install -e '.[cuda13]' torch
involution-edu bench --preset gpu --json docs/benchmarks-gpu.json --force
python -m involution_edu.bench.gpu_page docs/benchmarks-gpu.json docs/benchmarks-gpu.md
```

Without torch the rest is measured. `python -m pytest -m gpu -n 0` holds both rungs against the
processor on more shapes.
"""


def dtype_of(shape: str) -> str:
    """Return the dtype at the end of a shape's name.

    Examples
    --------
    >>> dtype_of("64 × 64 × 56 × 56, K = 7, float16")
    'float16'
    """
    return shape.rpartition(", ")[2]


def moved(geom: Geometry, dtype: str) -> int:
    """Return the bytes that any of the three tasks must move.

    x or dx, kernel or dkernel, and y or dy: each is read once or written once.
    """
    shapes = geom.x_shape, geom.kernel_shape, geom.y_shape
    return np.dtype(dtype).itemsize * sum(map(math.prod, shapes))


def share(record: Record, row: Row) -> float:
    """Return the minimal traffic a second of a row, in percent of the copy bandwidth."""
    size = moved(record.shapes[row.shape], dtype_of(row.shape))
    return 100 * size / row.ms / 1e6 / record.limit("copy").value


def gpu_targets(record: Record) -> list[Target]:
    """Return what the highest version should reach, where it was measured.

    Shares are the weakest of the four stages in float32, ratios geometric means.
    """
    ms = {(row.shape, row.contender, row.task): row.ms for row in record.rows}
    full = [name for name in record.shapes if dtype_of(name) == "float32"]
    found = []
    for task, need in zip(TASKS, (80, 70, 70), strict=True):
        shares = {
            row.shape: share(record, row)
            for row in record.rows
            if (row.contender, row.task) == (BEST, task) and row.shape in full
        }
        if shares:
            weakest = min(shares, key=lambda name: shares[name])
            what = f"{BEST}, {task}, share of copy bandwidth"
            found.append(Target(what, need, shares[weakest], "%", weakest))
    over = [
        ms[name, AUTHORS, task] / ms[name, BEST, task]
        for name in full
        for task in TASKS
        if (name, AUTHORS, task) in ms and (name, BEST, task) in ms
    ]
    if over:
        what = f"{BEST} over {AUTHORS}, which reads as the authors' kernels do"
        found.append(Target(what, 3, _mean(over), "×"))
    halves = [
        ms[name, BEST, task] / ms[half, BEST, task]
        for name in full
        for task in TASKS
        if (name, BEST, task) in ms
        and ((half := name.replace("float32", "float16")), BEST, task) in ms
    ]
    if halves:
        found.append(Target(f"{BEST}, float16 over float32", 1.7, _mean(halves), "×"))
    return found


def _mean(ratios: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def gpu_page(record: Record | None) -> str:
    """Return the page as Markdown; without a record, that there is none."""
    if record is None:
        return f"{NOT_RUN}\n{METHOD}\n{REPEAT}"
    return "\n".join([RUN, *_results(record), METHOD, REPEAT])


def gpu_text(record: Record) -> str:
    """Return the numbers alone, for a terminal."""
    return "\n".join(_results(record))


def _results(record: Record) -> Iterator[str]:
    machine, limit = record.machine, record.limit("copy")
    versions = ", ".join(f"{name} {v}" for name, v in machine.versions.items() if v)
    tried = ", ".join(f"{way} {value:.0f}" for way, value in limit.ways.items())
    yield bullet(f"GPU: {machine.processor}, {machine.cores} multiprocessors")
    yield bullet(f"Software: {machine.system}, Python {machine.python}, {versions}")
    yield bullet(f"Run: {record.date}, {record.seconds:.0f} s")
    yield bullet(f"Limit of copy: **{limit.value:.0f} GB/s** ({tried})")
    yield ""
    yield from targets_table(gpu_targets(record))
    for task in TASKS:
        yield f"## {task}\n"
        for shape, geom in record.shapes.items():
            rows = [
                _row(record, row, geom)
                for row in record.rows
                if (row.shape, row.task) == (shape, task)
            ]
            if rows:
                yield f"### {task}: {shape}\n"
                head = ["", "ms", "GB/s", "of copy", f"{AUTHORS} ÷ this"]
                yield from markdown_table(head, rows)
    yield from errors(record)


def _row(record: Record, row: Row, geom: Geometry) -> list[str]:
    first = next(
        (
            other.ms
            for other in record.rows
            if (other.shape, other.contender, other.task) == (row.shape, AUTHORS, row.task)
        ),
        None,
    )
    return [
        row.contender,
        milliseconds(row.ms),
        f"{moved(geom, dtype_of(row.shape)) / row.ms / 1e6:.0f}",
        f"{share(record, row):.1f} %",
        "-" if first is None else f"{first / row.ms:.1f} ×",
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Write the page of a record, or of none if that file does not exist."""
    parser = ArgumentParser(description="Make the page of a GPU's benchmark from its record.")
    parser.add_argument("record", type=Path, help="what bench --preset gpu --json wrote, if it did")
    parser.add_argument("page", type=Path, help="the Markdown file to write or replace")
    args = parser.parse_args(argv)
    found = from_json(args.record.read_text(encoding="utf-8")) if args.record.exists() else None
    with written_whole(args.page, force=True) as temporary:
        temporary.write_text(gpu_page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
