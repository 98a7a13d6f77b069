"""Maker of the page ``docs/benchmarks-gpu.md`` from a record of a GPU, or without one.

``python docs/_ext/benchmarks_gpu.py docs/benchmarks-gpu.json docs/benchmarks-gpu.md`` writes it;
the page says "not yet run on a GPU" as long as that record does not exist.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import bullet, errors, measurement_table, peak_facts, targets_table
from targets import gpu_targets

from involution_edu.bench.contenders import GPU_TASKS
from involution_edu.bench.record import Record, from_json
from involution_edu.bench.text import software
from involution_edu.files import written_whole

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

- **Checked first.** Every contender is compared with the `numba` rung on the processor, on the
  numbers that are timed. A wrong one is named and not timed.
- **Then timed, in turns**, by events that the GPU records. The GPU waits until all calls of a turn
  have been launched, so that Python's own time is not counted; the shortest turn counts.
- **Memory is cold.** Each call of a turn has operands and a result of its own, together more than
  twice the second-level cache.
- **The shapes** are the involutions of RedNet-50's four stages, for 64 images: N × C × H × W.
- **GB/s** counts the least traffic: both operands read once, the result written once. The peak rate
  is the faster of two methods to copy, counting bytes read and written.
- **cupy:v1** reads as the authors' own CUDA kernels do, a thread for each result.
- **generate_and_apply** computes y from a layer's features. Fused, it is one launch, and no kernel
  is in memory; unfused, a matrix product writes the kernel and `cupy` applies it.
  CuPy's product of float16 goes through float32: there, unfused is no measure of half precision.
- **torch eager** is the formula they published for PyTorch: unfold, multiply, sum, and autograd;
  **torch.compile** is the same, compiled for each shape, forward only.
"""
REPEAT = """\
## Repeat it

On a machine with an NVIDIA GPU of 24 GB or more:

```bash
pip install -e '.[cuda13]' torch
involution-edu bench --preset gpu --out docs/benchmarks-gpu.json --force
python docs/_ext/benchmarks_gpu.py docs/benchmarks-gpu.json docs/benchmarks-gpu.md
```

Without torch the rest is measured. `python -m pytest -m gpu -n 0` compares both rungs with the
processor on more shapes.
"""


def gpu_page(record: Record | None) -> str:
    """Return the page as Markdown; without a record, it says so."""
    if record is None:
        return f"{NOT_RUN}\n{METHOD}\n{REPEAT}"
    return "\n".join([RUN, *_results(record), METHOD, REPEAT])


def _results(record: Record) -> Iterator[str]:
    machine = record.machine
    yield bullet(f"GPU: {machine.processor}, {machine.cores} multiprocessors")
    yield bullet(f"Software: {machine.system}, {software(record)}")
    yield bullet(f"Run: {record.date}, {record.seconds:.0f} s")
    yield from map(bullet, peak_facts(record))
    yield ""
    yield from targets_table(gpu_targets(record))
    for task in GPU_TASKS:
        yield f"## {task}\n"
        for shape in record.shapes:
            for dtype in dict.fromkeys(m.dtype for m in record.measurements):
                columns = "ms", "GB/s", "of copy", "÷ this"
                table = list(measurement_table(record, shape, task, columns, dtype))
                if table:
                    yield from [f"### {task}: {shape}, {dtype}\n", *table]
    yield from errors(record)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the page of a record, or the page without one if that file does not exist."""
    parser = ArgumentParser(description="Make the page of a GPU's benchmark from its record.")
    parser.add_argument(
        "record", type=Path, help="the file written by bench --preset gpu --out, if any"
    )
    parser.add_argument("page", type=Path, help="the Markdown file to write or replace")
    args = parser.parse_args(argv)
    found = from_json(args.record.read_text(encoding="utf-8")) if args.record.exists() else None
    with written_whole(args.page, force=True) as temporary:
        temporary.write_text(gpu_page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
