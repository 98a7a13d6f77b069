"""Maker of the page ``docs/benchmarks.md`` from a record.

``python docs/_ext/benchmarks.py docs/benchmarks.json docs/benchmarks.md`` writes it.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import fill

from targets import Target, targets

from involution_edu.bench.derived import baseline, unfolded
from involution_edu.bench.record import Record, from_json
from involution_edu.bench.text import (
    OF_NETWORKS,
    means_table,
    megabytes,
    scaling_tables,
    software,
    three_digits,
    times_table,
    unit,
)
from involution_edu.files import written_whole

INTRODUCTION = """\
# Benchmarks

Every backend beside its peers, such as PyTorch, and beside the peak rates of one machine. This page
and its picture are made by commands, given [below](#repeat-it), from the numbers in
[benchmarks.json](benchmarks.json).

![Times of all backends on all shapes, and a roofline with the peak rates of the
machine](benchmarks.png)
"""

METHOD = """\
## How it was measured

- **Checked first.** Every backend is compared with the seven loops on small shapes of the same
  windows, and every contender with the first correct backend on the shapes that are timed: y, dx
  and dkernel. A wrong one is named and not timed.
- **Then timed, in turns.** In one process, each contender gets a turn after the other, so that a
  busy moment of the machine affects all of them. The shortest time counts. Compilation is over
  before. A slow contender gets fewer turns. PyTorch's threads wait for each other and so suffer
  most from other processes: the background load during the run is in the list above.
- **float32, C_g = 16, the same number of threads for all.** Shapes are N × C × H × W.
- **PyTorch eager** is the formula that the authors of involution published: unfold, multiply,
  sum, and autograd for the gradients. **torch.compile** is the same, compiled for each shape;
  forward only.
- **jax jit**, where it was measured, is a sum over shifted images that XLA compiles for each shape;
  `jax.vjp` makes the gradients. **The best peer** is the fastest of all, shape by shape.
- **The peak rates** are measured in turns with the contenders, each by several methods, of which
  the fastest counts. The copy counts bytes read and written. A small shape can exceed it, because
  it stays in the caches.
- **GFLOP/s** counts a multiply and an add for each product. **GB/s** counts the least traffic: x
  and kernel read once, y written once.
- **Memory** is how far the resident memory of a new process rises during a call above operands
  and results; its resolution is 0.5 MB. The last line of each table is the size of all windows
  copied out: about K² times x.
"""

NETWORKS = """\
- **Whole networks** have the same weights as PyTorch's, which unfolds as the authors' layer does,
  and which torch.compile, ONNX Runtime and OpenVINO compile for each shape, where they were
  measured. For inference, batch norms are folded into convolutions (`nn.fold_batch_norm`), as
  those compilers do.
  First logits, loss, every gradient and the logits after a step of SGD are compared. A training
  step sets gradients to zero, runs forward and backward (cross-entropy with smoothed labels) and
  updates the weights by SGD. Memory is the maximum resident in a second call above the value
  before the first, so everything kept for the backward pass counts.
"""

REPEAT = """\
## Repeat it

```bash
pip install -e . torch
involution-edu bench --preset {preset} --out docs/benchmarks.json --plot docs/benchmarks.png --force
python docs/_ext/benchmarks.py docs/benchmarks.json docs/benchmarks.md
```

Without torch the rest is measured. The same operator under pytest-benchmark, to compare two
versions of the code:

```bash
pip install -e '.[test,bench]'
python -m pytest tests/benchmarks/bench_operator.py -n 0 --benchmark-autosave
```
"""


def page(record: Record) -> str:
    """Return the page as Markdown."""
    return "\n".join(_lines(record))


def _lines(record: Record) -> Iterator[str]:
    yield INTRODUCTION
    yield from map(bullet, _facts(record))
    yield ""
    yield from _summary(record)
    if record.measurements:
        yield "## Forward\n"
        yield from _tables(record, "forward", "GB/s", "of copy")
        yield "## Forward and both gradients\n"
        yield from _tables(record, "both")
    if record.networks:
        yield from _networks(record)
    if record.scaling:
        yield from _scaling(record)
    yield from errors(record)
    yield METHOD.removesuffix("\n") if record.networks else METHOD
    if record.networks:
        yield NETWORKS
    yield REPEAT.format(preset=record.preset).rstrip("\n")
    yield ""


def _facts(record: Record) -> Iterator[str]:
    machine, load = record.machine, record.background_load
    background = "" if load is None else f"; background load {load:.2f} cores"
    yield f"Machine: {machine.processor}, {machine.cores} cores, {machine.system}"
    yield f"Software: {software(record)}"
    yield f"Run: {record.date}, {machine.threads} threads, {record.seconds:.0f} s{background}"
    yield from peak_facts(record)


def peak_facts(record: Record) -> Iterator[str]:
    """Yield each peak rate with all its methods."""
    for peak in record.peaks:
        tried = ", ".join(f"{method} {three_digits(v)}" for method, v in peak.methods.items())
        yield f"Peak rate of {peak.name}: **{three_digits(peak.value)} {unit(peak)}** ({tried})"


def bullet(text: str) -> str:
    """Return a line of a list, wrapped."""
    return fill(text, 100, initial_indent="- ", subsequent_indent="  ", break_long_words=False)


def _summary(record: Record) -> Iterator[str]:
    if (means := means_table(record))[1]:
        yield "## In short\n"
        yield "Geometric means over the five shapes with eight images:\n"
        yield from markdown_table(*means)
    yield from targets_table(targets(record))


def targets_table(goals: Sequence[Target]) -> Iterator[str]:
    """Yield the targets beside the measured figures; nothing without targets."""
    if not goals:
        return
    yield "## Targets\n"
    yield from markdown_table(
        ["target", "need", "measured", ""],
        [
            [
                t.what + (f" (here {t.where})" if t.where else ""),
                f"{t.need:g} {t.unit}",
                f"{t.measured:.1f} {t.unit}",
                "reached" if t.reached else "**missed**",
            ]
            for t in goals
        ],
    )


def _tables(record: Record, task: str, *columns: str) -> Iterator[str]:
    head = ["ms", "÷ this", "GFLOP/s", "of peak", *columns, "MB"]
    for shape, geom in record.shapes.items():
        yield f"### {shape}\n"
        last = ["*all windows copied out*", *[""] * (len(head) - 1), megabytes(unfolded(geom))]
        yield from measurement_table(record, shape, task, head, last=last)


def measurement_table(
    record: Record,
    shape: str,
    task: str,
    columns: Sequence[str],
    dtype: str = "float32",
    last: Sequence[str] | None = None,
) -> Iterator[str]:
    """Yield a table of the contenders on one shape; nothing if there is none."""
    _, rows = times_table(record, shape, task, columns, dtype)
    names = {"÷ this": f"{baseline(record, task)} ÷ this", "MB": "memory, MB"}
    if rows:
        head = ["", *(names.get(name, name) for name in columns)]
        yield from markdown_table(head, [*rows, last] if last else rows)


def _networks(record: Record) -> Iterator[str]:
    yield "## Whole networks\n"
    for shape, task in dict.fromkeys((m.shape, m.task) for m in record.networks):
        yield f"### {shape}: {task}\n"
        yield from measurement_table(record, shape, task, OF_NETWORKS)


def _scaling(record: Record) -> Iterator[str]:
    yield "## Scaling\n"
    yield "Milliseconds of a forward pass, and the exponent e of the best fit of time = a · size^e.\n"
    for table in scaling_tables(record):
        yield from markdown_table(*table)


def errors(record: Record) -> Iterator[str]:
    """Yield the error of each contender against its reference, and the reasons of absence."""
    yield "## Errors\n"
    yield "max|a - reference| / max|reference|, the worst of all shapes.\n"
    yield from markdown_table(
        ["", "reference", "dtype", "tensor", "shapes", "error", "allowed", ""],
        [
            [
                a.backend,
                a.reference,
                a.dtype,
                a.tensor,
                str(a.cases),
                f"{a.error:.1e}",
                f"{a.tolerance:.0e}",
                "ok" if a.agrees else "**wrong**",
            ]
            for a in record.agreements
        ],
    )
    if record.absent:
        yield "Absent:\n"
        yield from (bullet(f"{name}: {reason}") for name, reason in record.absent.items())
        yield ""


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a Markdown table, its first column left-aligned, all other columns right-aligned."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join(['---', *['---:'] * (len(head) - 1)])}|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def main(argv: Sequence[str] | None = None) -> None:
    """Read a record and write its page."""
    parser = ArgumentParser(description="Make the page of benchmarks from a record of bench.")
    parser.add_argument("record", type=Path, help="the file written by involution-edu bench --out")
    parser.add_argument("page", type=Path, help="the Markdown file to write or replace")
    args = parser.parse_args(argv)
    text = page(from_json(args.record.read_text(encoding="utf-8")))
    with written_whole(args.page, force=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
