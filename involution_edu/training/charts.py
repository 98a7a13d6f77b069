"""An ablation as text, as a page of the documentation and as charts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import fill

from .ablation import CENTRE, Ablation, Setting
from .scores import spread
from .tasks import TASKS

FACTORS = {
    "k": "K, rows and columns of the window",
    "group_channels": "channels that share a kernel",
    "reduction": "reduction r of the generator",
}
HEAD = ("K", "channels/kernel", "r", "parameters", "MACs")


def ablation_text(ablation: Ablation) -> str:
    """Return a table of all settings for a terminal of 80 columns."""
    lines = [f"{'K':>3}{'channels/kernel':>17}{'r':>4}{'parameters':>12}{'MACs':>12}{'test':>24}"]
    lines += [
        f"{k:>3}{shared:>17}{r:>4}{parameters:>12}{macs:>12}{test:>24}"
        for k, shared, r, parameters, macs, test in _cells(ablation)
    ]
    return "\n".join([*lines, _what(ablation)])


def page(ablation: Ablation, command: str, picture: str) -> str:
    """Return the page: what was done, by which command, and what came out."""
    epochs = ablation.rows[0].epochs
    lines = [
        f"# What K, the groups and the reduction are worth on {ablation.task}",
        "",
        "This is our own ablation, of small RedNets on small pictures. The paper's is another one.",
        "",
        f"Each factor is varied alone around K = {CENTRE.k}, {CENTRE.group_channels} channels to a",
        f"kernel and r = {CENTRE.reduction}, with {epochs} epochs for every network. Parameters and",
        "MACs (for one picture) are of the whole network. A difference that is not larger than",
        "the spread of the seeds may be chance.",
        "",
        "```bash",
        command,
        "```",
        "",
        f"![Accuracy and cost against each factor]({picture})",
        "",
        f"| {' | '.join(HEAD)} | test {TASKS[ablation.task].unit.name} |",
        f"|{'---:|' * (len(HEAD) + 1)}",
        *(f"| {' | '.join(cells)} |" for cells in _cells(ablation)),
        "",
        _what(ablation),
    ]
    return "\n".join(lines) + "\n"


def _what(ablation: Ablation) -> str:
    seeds = len({row.seed for row in ablation.rows})
    of = "of one seed" if seeds == 1 else f"mean ± standard deviation of {seeds} seeds"
    return f"{TASKS[ablation.task].unit.name} after the last epoch; {of}.".capitalize()


def _cells(ablation: Ablation) -> Iterator[tuple[str, ...]]:
    unit = TASKS[ablation.task].unit
    for setting in dict.fromkeys(row.setting for row in ablation.rows):
        rows = ablation.of(setting)
        yield (
            str(setting.k),
            str(setting.group_channels),
            str(setting.reduction),
            f"{rows[0].parameters:,}",
            f"{rows[0].macs:,}",
            unit.with_spread([row.test_score for row in rows]),
        )


def save_plot(ablation: Ablation, path: Path) -> None:
    """Draw the score with its spread, and below it the cost, against each factor that varies.

    If none does, each factor that was chosen has its one point.
    """
    from matplotlib.figure import Figure

    from ..viz.palette import INK, MUTED, PAPER, diverging

    ink, muted, paper = ((r / 255, g / 255, b / 255) for r, g, b in (INK, MUTED, PAPER))
    blue, orange = (diverging(value, 1.0) / 255 for value in (-1.0, 0.7))
    unit = TASKS[ablation.task].unit
    tried = {factor: values for factor in FACTORS if (values := ablation.values(factor))}
    varied = {factor: values for factor, values in tried.items() if len(values) > 1} or tried
    base = (ablation.of(CENTRE) or ablation.rows)[0]
    figure = Figure(figsize=(4.2 * len(varied) + 1, 6.4), layout="constrained", facecolor=paper)
    grid = figure.subplots(2, len(varied), squeeze=False, sharey="row", sharex="col")
    for (factor, values), (above, below) in zip(varied.items(), grid.T, strict=True):
        rows = [ablation.of(_varied(factor, value)) for value in values]
        places = range(len(values))  # even steps: the values double or grow by two
        tests = [spread([row.test_score * unit.factor for row in of_value]) for of_value in rows]
        means, deviations = zip(*tests, strict=True)
        above.errorbar(places, means, deviations, color=blue, marker="D", capsize=4)
        for place, of_value in zip(places, rows, strict=True):
            scores = [row.test_score * unit.factor for row in of_value]
            above.plot([place] * len(scores), scores, ".", color=muted, markersize=4, zorder=3)
        for label, colour, mark in (("parameters", orange, "o"), ("MACs", ink, "s")):
            cost = label.lower()
            relative = [getattr(of_value[0], cost) / getattr(base, cost) for of_value in rows]
            below.plot(places, relative, color=colour, marker=mark, label=label)
        below.set_xticks(places, [str(value) for value in values])
        below.set_xlabel(FACTORS[factor])
        for ax in (above, below):
            ax.set_facecolor(paper)
            ax.grid(alpha=0.4)
    grid[0, 0].set_ylabel(f"test {unit.name}, {unit.symbol}")
    grid[1, 0].set_ylabel(f"cost, times that of K = {base.k}")
    grid[1, 0].legend(frameon=False)
    title = (
        f"{ablation.task}: each factor varied alone around K = {CENTRE.k}, {CENTRE.group_channels} "
        f"channels to a kernel, r = {CENTRE.reduction}. {_what(ablation)}"
    )
    letters = round(13 * figure.get_figwidth())  # of this size that fit into a line
    figure.suptitle(fill(title, letters), fontsize=10)
    figure.savefig(path, dpi=110)


def _varied(factor: str, value: int) -> Setting:
    return Setting(**{factor: value})
