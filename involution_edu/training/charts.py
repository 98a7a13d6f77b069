"""Charts of trainings and ablations, and the page of an ablation."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, stdev
from textwrap import fill
from typing import Any

import numpy as np

from ..files import written_whole
from ..viz.palette import INK, MUTED, PAPER, diverging
from .results import CENTRE, Ablation, Results
from .tasks import TASKS

DESIGN = (
    f"One factor is varied at a time around K = {CENTRE.k}, {CENTRE.group_channels} channels per "
    f"kernel, r = {CENTRE.reduction} and kernels made by the pixel."
)
FACTORS = {
    "generator": "what makes the kernel",
    "k": "K, rows and columns of the window",
    "group_channels": "channels that share a kernel",
    "reduction": "reduction r of the generator",
}
FIRST, SECOND = (tuple((diverging(x, 1.0) / 255).tolist()) for x in (-1.0, 0.7))  # colours
LINES: tuple[dict[str, Any], ...] = (
    {"color": FIRST, "linestyle": "-"},
    {"color": SECOND, "linestyle": "--"},
    {"color": np.divide(MUTED, 255), "linestyle": ":"},
)


def save_curves(results: Results, path: Path) -> None:
    """Draw the loss and the test score after each epoch, a line for each run."""
    from matplotlib.figure import Figure

    unit = TASKS[results.task].unit
    figure = Figure(figsize=(10, 4), layout="constrained")
    loss, score = figure.subplots(1, 2)
    for network, line in zip(results.networks, LINES, strict=False):
        style: dict[str, Any] = {**line, "label": network}
        for run in results.of(network):
            numbers = [epoch.epoch for epoch in run.epochs]
            loss.plot(numbers, [epoch.loss for epoch in run.epochs], **style)
            score.plot(numbers, [unit.factor * e.test_score for e in run.epochs], **style)
            style["label"] = None
    loss.set_yscale("log")
    for ax, title in ((loss, "training loss"), (score, f"test {unit.name}, {unit.symbol}")):
        ax.set_title(title, loc="left")
        ax.set_xlabel("epoch")
        ax.grid(alpha=0.4)
        ax.legend(frameon=False)
    with written_whole(path, force=True) as temporary:
        figure.savefig(temporary, dpi=110)


def save_ablation(ablation: Ablation, path: Path) -> None:
    """Draw the score with its spread, and the cost, against each factor with several values."""
    from matplotlib.figure import Figure

    paper, ink, muted = ((r / 255, g / 255, b / 255) for r, g, b in (PAPER, INK, MUTED))
    unit = TASKS[ablation.task].unit
    tried = {factor: groups for factor in FACTORS if (groups := ablation.by_value(factor))}
    varied = {factor: groups for factor, groups in tried.items() if len(groups) > 1} or tried
    base = ablation.by_setting().get(CENTRE, ablation.rows)[0]
    figure = Figure(figsize=(4.2 * len(varied) + 1, 6.4), layout="constrained", facecolor=paper)
    grid = figure.subplots(2, len(varied), squeeze=False, sharey="row", sharex="col")
    for (factor, groups), (above, below) in zip(varied.items(), grid.T, strict=True):
        line = "none" if factor == "generator" else "-"  # no order, so no slope
        places = range(len(groups))  # evenly spaced: values are not
        scores = [[row.test_score * unit.factor for row in rows] for rows in groups.values()]
        means = [fmean(points) for points in scores]
        deviations = [stdev(points) if len(points) > 1 else 0.0 for points in scores]
        above.errorbar(places, means, deviations, color=FIRST, marker="D", capsize=4, ls=line)
        for place, points in zip(places, scores, strict=True):
            above.plot([place] * len(points), points, ".", color=muted, markersize=4, zorder=3)
        for label, colour, mark in (("parameters", SECOND, "o"), ("MACs", ink, "s")):
            cost = label.lower()
            relative = [getattr(r[0], cost) / getattr(base, cost) for r in groups.values()]
            below.plot(places, relative, color=colour, marker=mark, label=label, ls=line)
        below.set_xticks(places, [str(value) for value in groups])
        below.set_xlabel(FACTORS[factor])
        for ax in (above, below):
            ax.set_facecolor(paper)
            ax.grid(alpha=0.4)
    grid[0, 0].set_ylabel(f"test {unit.name}, {unit.symbol}")
    grid[1, 0].set_ylabel(f"cost, relative to {base.generator}, K = {base.k}")
    grid[1, 0].legend(frameon=False)
    letters = round(13 * figure.get_figwidth())  # that fit into a line at this font size
    figure.suptitle(fill(f"{ablation.task}: {DESIGN} {ablation.note}", letters), fontsize=10)
    with written_whole(path, force=True) as temporary:
        figure.savefig(temporary, dpi=110)


def ablation_page(ablation: Ablation, command: str, picture: str) -> str:
    """Return the page of an ablation in Markdown: design, command, chart and table."""
    head, *rows = ablation.table()
    made = len({row.generator for row in ablation.rows}) > 1
    varied = "what makes the kernel" if made else "window, groups and reduction"
    design = (
        f"{DESIGN} {ablation.rows[0].epochs} epochs for every network. Parameters and MACs "
        "(for one picture) are of the whole network. A difference within the spread of the seeds "
        "may be chance. These are small networks on small pictures, not the ablation of the paper."
    )
    lines = [
        f"# Ablation of {varied} on {ablation.task}",
        "",
        fill(design, 100),
        "",
        "```bash",
        command,
        "```",
        "",
        f"![Accuracy and cost against each factor]({picture})",
        "",
        f"| {' | '.join(head)} |",
        f"|{'---:|' * len(head)}",
        *(f"| {' | '.join(cells)} |" for cells in rows),
        "",
        ablation.note,
    ]
    return "\n".join(lines) + "\n"
