"""``docs/training.md`` and the cards of the weights that ship, made from results and nothing else.

``python docs/_ext/training.py docs/training docs/training.md`` writes them: the first
names the folder with a ``TASK.json`` for every task, what ``involution-edu train`` wrote as
``results.json``.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from textwrap import fill

from benchmarks import markdown_table

from involution_edu.files import written_whole
from involution_edu.models.pretrained import FOLDER
from involution_edu.training.runs import Results, results_from_json
from involution_edu.training.tasks import TASKS

INTRODUCTION = """\
# Training

What `involution-edu train` came to, for every task: a RedNet beside the ResNet of its plan, which
differs in the spatial layer of its blocks alone, and networks that filter photos. This page is
made [by a command](#repeat-it) from the results in the folder `docs/training`.

All pictures ship inside Python packages; nothing is downloaded. Every figure is of the test set
after the last epoch, not the best one; ± is the standard deviation of the seeds. The settings were
chosen while looking at test scores of single runs, for there is no third set: take small
differences for what they are. MACs are the multiplications of one forward pass for one picture.
Seconds are of a whole training, on a machine that did other work besides: compare them roughly.
"""

REPEAT = """\
## Repeat it

```bash
pip install '.[train]'
{commands}
python docs/_ext/training.py docs/training docs/training.md
```

An interrupted training goes on with `--resume` and ends at the same weights, to the last bit.
"""

PHOTOS = (
    "Photos that ship in scikit-image. To train on: astronaut (NASA) and rocket (SpaceX), both in "
    "the public domain; coffee (Rachel Michetti){textures}, CC0. To test: camera (Lav Varshney) "
    "and chelsea (Stéfan van der Walt), CC0; coins (Brooklyn Museum), no known restrictions"
)


@dataclass(frozen=True, slots=True)
class Card:
    """What the results cannot say about weights that ship, which are those of the first run."""

    name: str
    about: str
    data: str
    limits: str


CARDS = (
    Card(
        "salt-and-pepper",
        "An involution layer of three channels that removes black and white specks from a colour "
        "photo: the layer of the demo",
        PHOTOS.format(textures=""),
        "It sees one pixel: what is truly black or white is blurred, and a neighbour that is a "
        "speck shines through. Some seeds end in a worse solution: "
        "seed 0 is the best of the three",
    ),
    Card(
        "denoise",
        "A network that makes a kernel for every pixel and takes normal noise of standard "
        "deviation 25 (of 255) off a grey photo",
        PHOTOS.format(textures="; brick, grass and gravel"),
        "Other amounts or kinds of noise were not trained",
    ),
    Card(
        "digits",
        "A small RedNet that reads handwritten digits of 8 x 8 pixels, from 0 (paper) to 1 (ink)",
        "Optical Recognition of Handwritten Digits (E. Alpaydin and C. Kaynak, UCI, CC BY 4.0), "
        "as it ships in scikit-learn",
        "Writers of the training digits wrote test digits too",
    ),
)


def page(results: Mapping[str, Results]) -> str:
    """Return the page as Markdown."""
    return "\n".join(_lines(results))


def _lines(results: Mapping[str, Results]) -> Iterator[str]:
    yield INTRODUCTION
    for name, found in results.items():
        task, recipe = TASKS[name], TASKS[name].recipe
        yield f"## {name}: {task.about}\n"
        yield _wrapped(
            f"{found.train_size:,} pictures to train on, {found.test_size:,} to test. "
            f"{len(found.runs[0].epochs)} epochs, batches of {recipe.batch_size}, "
            f"{recipe.optimizer} with a learning rate of {recipe.lr:g} that warms up and falls along "
            f"a cosine, weight decay {recipe.weight_decay:g}, label smoothing "
            f"{recipe.label_smoothing:g}."
        )
        yield ""
        yield from markdown_table(
            ["", "seeds", "parameters", "MACs", "training", f"test {task.unit.name}", "seconds"],
            [*_network_rows(found), *_baseline_rows(found)],
        )
        yield f"![Loss and test {task.unit.name} after each epoch](training/{name}.png)\n"
    yield "## Weights that ship\n"
    yield _wrapped(
        "`inv.models.pretrained(NAME)` loads them; the cards, in the folder "
        "`involution_edu/weights`, say where they come from."
    )
    yield ""
    yield from markdown_table(
        ["name", "what it is", "bytes"],
        [
            [f"`{card.name}`", card.about, f"{(FOLDER / f'{card.name}.npz').stat().st_size:,}"]
            for card in CARDS
        ],
    )
    yield REPEAT.format(commands="\n".join(map(_commands, results.values()))).rstrip("\n")
    yield ""


def _network_rows(results: Results) -> Iterator[list[str]]:
    unit = TASKS[results.task].unit
    for network in results.networks:
        runs = results.of(network)
        yield [
            network,
            str(len(runs)),
            f"{runs[0].parameters:,}",
            f"{runs[0].macs:,}",
            unit.of(fmean(run.epochs[-1].train_score for run in runs)),
            unit.with_spread([run.epochs[-1].test_score for run in runs]),
            f"{fmean(run.seconds for run in runs):.0f}",
        ]


def _baseline_rows(results: Results) -> Iterator[list[str]]:
    unit = TASKS[results.task].unit
    for name, score in results.baselines.items():
        yield [name, *[""] * 4, unit.of(score), ""]


def _command(results: Results) -> str:
    seeds = " ".join(str(run.seed) for run in results.of(results.networks[0]))
    return f"involution-edu train {results.task} --seeds {seeds} --out {results.task}"


def _commands(results: Results) -> str:
    task = results.task
    copies = (
        f"cp {task}/results.json docs/training/{task}.json",
        f"cp {task}/curves.png docs/training/{task}.png",
    )
    return "\n".join((_command(results), *copies))


def card_text(card: Card, results: Results) -> str:
    """Return the card of the weights of the first run of ``results``, as Markdown."""
    run, unit = results.runs[0], TASKS[results.task].unit
    same = [other.epochs[-1].test_score for other in results.of(run.network)]
    beside = [f"{name} {unit.of(score)}" for name, score in results.baselines.items()]
    if len(same) > 1:
        beside.append(f"{len(same)} seeds {unit.with_spread(same)}")
    lines = [
        f"# {card.name}\n",
        _wrapped(f"{card.about}. `inv.models.pretrained({card.name!r})` loads it.") + "\n",
        _item(f"Size: {run.parameters:,} parameters, {run.macs:,} MACs for a test picture"),
        _item(f"Data: {card.data}"),
        _item("Licence of the weights: MIT, as the package"),
        _item(f"Command: `{_command(results)}`"),
        _item(f"Seed: {run.seed}, after the last of {len(run.epochs)} epochs"),
        _item(f"Test {unit.name}: {unit.of(run.epochs[-1].test_score)}"),
        *([_item(f"Beside it: {', '.join(beside)}")] if beside else []),
        _item(f"Limits: {card.limits}"),
    ]
    return "\n".join(lines) + "\n"


def _wrapped(text: str) -> str:
    return fill(text, 100, break_long_words=False, break_on_hyphens=False)


def _item(text: str) -> str:
    return fill(
        text,
        100,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def read_results(folder: Path) -> dict[str, Results]:
    """Return the results in ``folder`` by task, in the order of the tasks."""
    files = {name: folder / f"{name}.json" for name in TASKS}
    return {
        name: results_from_json(file.read_text(encoding="utf-8"))
        for name, file in files.items()
        if file.exists()
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Read results and write their page, and the cards of the weights."""
    parser = ArgumentParser(description="Make the page of trainings and the cards of weights.")
    parser.add_argument("results", type=Path, help="a folder with TASK.json for every task")
    parser.add_argument("page", type=Path, help="the Markdown file to write or replace")
    args = parser.parse_args(argv)
    results = read_results(args.results)
    texts = {args.page: page(results)}
    for card in CARDS:
        texts[FOLDER / f"{card.name}.md"] = card_text(card, results[card.name])
    for path, text in texts.items():
        with written_whole(path, force=True) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
