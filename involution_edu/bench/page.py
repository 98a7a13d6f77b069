"""The page ``docs/benchmarks.md``, made from a record and nothing else.

``python -m involution_edu.bench.page docs/benchmarks.json docs/benchmarks.md`` writes it.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from textwrap import fill

from ..files import written_whole
from .derived import (
    TASKS,
    Target,
    bandwidth,
    geometric_means,
    gflops,
    network_pairs,
    ratio,
    slow_end,
    targets,
    unfolded,
)
from .record import Record, from_json
from .text import megabytes, milliseconds

INTRODUCTION = """\
# Benchmarks

Every backend beside PyTorch and beside the limits of one machine. This page and its picture are
made by commands, given [below](#repeat-it), from the numbers in
[benchmarks.json](benchmarks.json).

![Times of all backends on all shapes, and how near they come to the limits of the
machine](benchmarks.png)
"""

METHOD = """\
## How it was measured

- **Checked first.** Every backend is held against the seven loops on small twins of the shapes,
  and every contender against the first right one on the very shapes that are timed: y, dx and
  dkernel. A wrong one is named and not timed.
- **Then timed, in turns.** In one process, each contender gets a turn after the other, so that a
  busy moment of the machine hits all of them. The shortest time counts. Whatever compiles has
  compiled before. A slow contender gets fewer turns. PyTorch's threads wait for each other and
  so suffer most from other processes: what those took meanwhile is in the list above.
- **float32, C_g = 16, the same number of threads for all.** Shapes are N × C × H × W.
- **PyTorch eager** is the formula that the authors of involution published: unfold, multiply,
  sum, and autograd for the gradients. **torch.compile** is the same, compiled for each shape;
  forward only.
- **The limits** take turns with the contenders. The copy counts bytes read and written; several
  ways are tried and the fastest counts. A small shape can beat it, for it stays in the caches.
- **GFLOP/s** counts a multiply and an add for each product. **GB/s** counts what must move: x and
  kernel read once, y written once.
- **Memory** is how far the resident memory of a fresh process rises during a call above operands
  and results, by the same ruler for all; it cannot tell less than 0.5 MB from none. The last line
  of each table is what copying every window out takes: about K² times x.
"""

NETWORKS = """\
- **Whole networks** have the same weights as PyTorch's, which unfolds as the authors' layer does.
  First logits, loss, every gradient and the logits after a step of SGD are compared. A training
  step sets gradients to zero, goes forward and back (cross-entropy with smoothed labels) and
  lets SGD move the weights. Memory is the most that is resident in a second call above what was
  before the first, so all that is kept for the backward pass counts.
"""

REPEAT = """\
## Repeat it

```bash
pip install -e . torch
involution-edu bench --preset {preset} --json docs/benchmarks.json --plot docs/benchmarks.png --force
python -m involution_edu.bench.page docs/benchmarks.json docs/benchmarks.md
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
    if record.rows:
        yield "## Forward\n"
        yield from _tables(record, "forward")
        yield "## Forward and both gradients\n"
        yield from _tables(record, "both")
    if record.networks:
        yield from _networks(record)
    if record.growths:
        yield from _growths(record)
    yield from errors(record)
    yield METHOD.removesuffix("\n") if record.networks else METHOD
    if record.networks:
        yield NETWORKS
    yield REPEAT.format(preset=record.preset).rstrip("\n")
    yield ""


def _facts(record: Record) -> Iterator[str]:
    machine = record.machine
    versions = ", ".join(f"{name} {v}" for name, v in machine.versions.items() if v)
    others = "" if record.others is None else f"; others kept {record.others:.2f} cores busy"
    yield f"Machine: {machine.processor}, {machine.cores} cores, {machine.system}"
    yield f"Software: Python {machine.python}, {versions}"
    yield f"Run: {record.date}, {machine.threads} threads, {record.seconds:.0f} s{others}"
    for limit in record.limits:
        unit = "GB/s" if limit.name == "copy" else "GFLOP/s"
        tried = ", ".join(f"{way} {value:.1f}" for way, value in limit.ways.items())
        yield f"Limit of {limit.name}: **{limit.value:.1f} {unit}** ({tried})"


def bullet(text: str) -> str:
    """Return a line of a list, wrapped."""
    return fill(text, 100, initial_indent="- ", subsequent_indent="  ", break_long_words=False)


def _summary(record: Record) -> Iterator[str]:
    if means := geometric_means(record):
        yield "## In short\n"
        yield "Geometric means over the five shapes with eight images:\n"
        yield from markdown_table(
            ["", "over", *TASKS.values()],
            [
                [
                    quick,
                    slow,
                    *(f"{times.get(task, 0):.1f} ×" if task in times else "-" for task in TASKS),
                ]
                for (quick, slow), group in groupby(
                    sorted(means, key=lambda m: (m.slow, m.quick)), lambda m: (m.quick, m.slow)
                )
                for times in [{m.task: m.times for m in group}]
            ],
        )
    yield from targets_table(targets(record))


def targets_table(goals: Sequence[Target]) -> Iterator[str]:
    """Yield what should be reached beside what was; nothing without goals."""
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
                "met" if t.met else "**missed**",
            ]
            for t in goals
        ],
    )


def _tables(record: Record, task: str) -> Iterator[str]:
    slow = slow_end(record)
    copy, peak = record.limit("copy").value, record.limit("multiply-add").value
    for shape, geom in record.shapes.items():
        yield f"### {shape}\n"
        rows = []
        for row in (r for r in record.rows if (r.shape, r.task) == (shape, task)):
            rate = gflops(row, geom)
            times = ratio(record, shape, slow, row.contender, task)
            moved = []
            if task == "forward":
                speed = bandwidth(row, geom)
                moved = [f"{speed:.2f}", f"{100 * speed / copy:.1f} %"]
            rows.append(
                [
                    row.contender,
                    milliseconds(row.ms),
                    "-" if times is None else f"{times:.1f} ×",
                    f"{rate:.1f}",
                    f"{100 * rate / peak:.1f} %",
                    *moved,
                    megabytes(row.memory),
                ]
            )
        head = ["", "ms", f"{slow} ÷ this", "GFLOP/s", "of peak"]
        head += ["GB/s", "of copy"] if task == "forward" else []
        all_windows = [
            "*all windows copied out*",
            *[""] * (len(head) - 1),
            megabytes(unfolded(geom)),
        ]
        yield from markdown_table([*head, "memory, MB"], [*rows, all_windows])


def _networks(record: Record) -> Iterator[str]:
    yield "## Whole networks\n"
    eager = {id(mine): theirs for mine, theirs in network_pairs(record)}
    for network, group in groupby(record.networks, lambda row: row.network):
        yield f"### {network}\n"
        yield from markdown_table(
            ["task", "images", "", "ms", "torch eager ÷ this", "memory, MB"],
            [
                [
                    row.task,
                    str(row.images),
                    row.contender,
                    milliseconds(row.ms),
                    f"{eager[id(row)].ms / row.ms:.2f} ×" if id(row) in eager else "-",
                    megabytes(row.memory),
                ]
                for row in group
            ],
        )


def _growths(record: Record) -> Iterator[str]:
    yield "## How time grows\n"
    yield "Milliseconds of a forward pass, and the exponent e of the best fit of time = a · size^e.\n"
    for axis, group in groupby(record.growths, lambda growth: growth.axis):
        growths = list(group)
        yield from markdown_table(
            [axis, *map(str, growths[0].values), "exponent", "theory"],
            [
                [
                    g.contender,
                    *map(milliseconds, g.ms),
                    "-" if g.exponent is None else f"{g.exponent:.2f}",
                    str(g.theory),
                ]
                for g in growths
            ],
        )


def errors(record: Record) -> Iterator[str]:
    """Yield how far each contender is from its reference, and who is absent and why."""
    yield "## Errors\n"
    yield "max|a - reference| / max|reference|, the worst of all shapes.\n"
    yield from markdown_table(
        ["", "against", "tensor", "shapes", "error", "allowed", ""],
        [
            [
                a.backend,
                a.reference,
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
        yield "Not there:\n"
        yield from (bullet(f"{name}: {reason}") for name, reason in record.absent.items())
        yield ""


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a Markdown table, its first column to the left, the others to the right."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join(['---', *['---:'] * (len(head) - 1)])}|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def main(argv: Sequence[str] | None = None) -> None:
    """Read a record and write its page."""
    parser = ArgumentParser(description="Make the page of benchmarks from a record of bench.")
    parser.add_argument("record", type=Path, help="what involution-edu bench --json wrote")
    parser.add_argument("page", type=Path, help="the Markdown file to write or replace")
    args = parser.parse_args(argv)
    text = page(from_json(args.record.read_text(encoding="utf-8")))
    with written_whole(args.page, force=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
