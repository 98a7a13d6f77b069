"""The page ``docs/benchmarks-gpu.md``, made from a record of a GPU, or saying that there is none.

``python -m involution_edu.bench.gpu_page docs/benchmarks-gpu.json docs/benchmarks-gpu.md``
writes it; the page says "not yet run on a GPU" as long as that record does not exist.
"""

from __future__ import annotations

import math
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from ..arguments import MAX_INT
from ..backends.cuda.fused import fusing_pays
from ..backends.cuda.versions import TASKS, VERSIONS
from ..files import written_whole
from ..geometry import Geometry
from .derived import Target
from .gpu import REDUCTION
from .gpu_contenders import FUSED, ONE_LAUNCH, TWO_LAUNCHES
from .page import bullet, errors, markdown_table, targets_table
from .record import Record, Row, from_json
from .text import milliseconds

BEST = f"cupy {VERSIONS[-1].name}"
AUTHORS = f"cupy {VERSIONS[0].name}"  # a thread for each result, as in the authors' CUDA kernels
SLOW_END = {**dict.fromkeys(TASKS, AUTHORS), FUSED: TWO_LAUNCHES}
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
- **generate_and_apply** is a layer's way from the features to y. Fused, it is one launch, and no
  kernel is in memory; in two launches, a matrix product writes the kernel and `cupy` applies it.
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


def moved(task: str, geom: Geometry, dtype: str) -> int:
    """Return the bytes that a task must move.

    x or dx, kernel or dkernel, and y or dy: each is read once or written once. Without a kernel
    in memory, the features and the weight and bias that make one are read instead of it.
    """
    features, entries = geom.C // REDUCTION, geom.G * math.prod(geom.window)
    pixels = geom.N * geom.H_out * geom.W_out
    kernel = entries * pixels if task != FUSED else features * pixels + entries * (features + 1)
    numbers = math.prod(geom.x_shape) + kernel + math.prod(geom.y_shape)
    return np.dtype(dtype).itemsize * numbers


def share(record: Record, row: Row) -> float:
    """Return the minimal traffic a second of a row, in percent of the copy bandwidth."""
    size = moved(row.task, record.shapes[row.shape], dtype_of(row.shape))
    return 100 * size / row.ms / 1e6 / record.limit("copy").value


def gpu_targets(record: Record) -> list[Target]:
    """Return what the highest versions should reach, where it was measured.

    Shares, and one launch over two, are the weakest of the stages; other ratios geometric means.
    """
    rows = {(row.shape, row.contender, row.task): row for row in record.rows}
    full = [name for name in record.shapes if dtype_of(name) == "float32"]
    found = []

    def weakest(what: str, need: float, unit: str, measured: Mapping[str, float]) -> None:
        if measured:
            where = min(measured, key=lambda shape: measured[shape])
            found.append(Target(what, need, measured[where], unit, where))

    def ratio(slow: tuple[str, str, str], quick: tuple[str, str, str]) -> list[float]:
        return [rows[slow].ms / rows[quick].ms] if slow in rows and quick in rows else []

    def mean(what: str, need: float, ratios: Sequence[float]) -> None:
        if ratios:
            found.append(
                Target(what, need, math.exp(sum(map(math.log, ratios)) / len(ratios)), "×")
            )

    for task, need in zip(TASKS, (80, 70, 70), strict=True):
        keys = [(shape, BEST, task) for shape in full if (shape, BEST, task) in rows]
        shares = {key[0]: share(record, rows[key]) for key in keys}
        weakest(f"{BEST}, {task}, share of copy bandwidth", need, "%", shares)
    over = [ratio((shape, AUTHORS, t), (shape, BEST, t)) for shape in full for t in TASKS]
    mean(f"{BEST} over {AUTHORS}, which reads as the authors' kernels do", 3, [*chain(*over)])
    halves = [
        ratio((shape, BEST, t), (shape.replace("float32", "float16"), BEST, t))
        for shape in full
        for t in TASKS
    ]
    mean(f"{BEST}, float16 over float32", 1.7, [*chain(*halves)])
    fused = {
        shape: times
        for shape in full
        if _fuses(record.shapes[shape])
        for times in ratio((shape, TWO_LAUNCHES, FUSED), (shape, ONE_LAUNCH, FUSED))
    }
    weakest(f"{ONE_LAUNCH} over two launches, where a layer fuses", 1, "×", fused)
    return found


def _fuses(geom: Geometry) -> bool:
    """Return whether a layer would fuse, in float32 on a GPU with room for any tile."""
    return fusing_pays(geom, geom.C // REDUCTION, np.dtype(np.float32), MAX_INT)


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
    for task, slow in SLOW_END.items():
        yield f"## {task}\n"
        for shape, geom in record.shapes.items():
            rows = [
                _row(record, row, geom)
                for row in record.rows
                if (row.shape, row.task) == (shape, task)
            ]
            if rows:
                yield f"### {task}: {shape}\n"
                head = ["", "ms", "GB/s", "of copy", f"{slow} ÷ this"]
                yield from markdown_table(head, rows)
    yield from errors(record)


def _row(record: Record, row: Row, geom: Geometry) -> list[str]:
    first = next(
        (
            other.ms
            for other in record.rows
            if (other.shape, other.contender, other.task)
            == (row.shape, SLOW_END[row.task], row.task)
        ),
        None,
    )
    return [
        row.contender,
        milliseconds(row.ms),
        f"{moved(row.task, geom, dtype_of(row.shape)) / row.ms / 1e6:.0f}",
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
