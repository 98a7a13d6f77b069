"""Training: it learns, a kill loses one epoch at most, and resuming is bit-identical."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import training_cases as cases

from involution_edu import checkpoint, nn
from involution_edu.arrays import Array
from involution_edu.training import loop as train
from involution_edu.training.tasks import shifted

LONG = "x" * 100_000
Run = tuple[dict[str, Array], list[train.Epoch]]


def without_time(epochs: list[train.Epoch]) -> list[train.Epoch]:
    return [replace(epoch, seconds=0.0) for epoch in epochs]


def assert_same(one: Run, other: Run) -> None:
    """Compare weights, buffers and every number of the log, bit by bit."""
    assert one[0].keys() == other[0].keys()
    for name, array in one[0].items():
        np.testing.assert_array_equal(array, other[0][name], strict=True, err_msg=name)
    assert without_time(one[1]) == without_time(other[1])


@pytest.fixture(scope="module")
def whole() -> Run:
    return cases.run(None)


def test_it_learns(whole: Run) -> None:
    epochs = whole[1]
    assert [epoch.epoch for epoch in epochs] == list(range(1, 7))
    assert epochs[-1].loss < epochs[0].loss
    assert epochs[-1].test_score > 0.9
    assert all(epoch.seconds > 0 for epoch in epochs)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_it_equals_a_loop_written_by_hand(optimizer: str) -> None:
    """Batches of two sizes, two epochs of warm-up, and clipping that takes effect."""
    recipe = replace(cases.RECIPE, epochs=4, warmup_epochs=2, optimizer=optimizer, max_norm=0.3)
    recipe = replace(recipe, weight_decay=0.05, lr={"sgd": 0.1, "adam": 0.01}[optimizer])
    data, model, expected, norms = cases.stripes(), cases.network(cases.stripes(), 3), [], []
    weights = model.parameters()
    sgd = nn.SGD(weights, 0.1, momentum=0.9, nesterov=True, weight_decay=0.05)
    chosen = sgd if optimizer == "sgd" else nn.Adam(weights, 0.01, weight_decay=0.05)
    for epoch in range(1, 5):
        rng, loss, right = np.random.default_rng([3, epoch]), 0.0, 0
        order = rng.permutation(100)
        for number, batch in enumerate(np.array_split(order, 7)):  # of 15 and 14 pictures
            step = 7 * (epoch - 1) + number
            chosen.lr = recipe.lr * (
                (step + 1) / 14 if step < 14 else (1 + np.cos(np.pi * (step - 14) / 14)) / 2
            )
            x, labels = shifted(data.x_train[batch], data.y_train[batch], rng, pixels=1)
            model.train()
            logits, criterion = model(x), nn.CrossEntropy(0.1)
            loss += len(batch) * criterion(logits, labels)
            right += int((logits.argmax(axis=1) == labels).sum())
            model.zero_grad()
            model.backward(criterion.backward())
            norms.append(nn.clip_grad_norm(weights, 0.3))
            chosen.step()
        tested = float((model.eval()(data.x_test).argmax(axis=1) == data.y_test).mean())
        expected.append((epoch, loss / 100, right / 100, tested))
    assert min(norms) < 0.3 < max(norms)
    state, epochs = cases.run(None, recipe)
    for name, array in model.state_dict().items():
        np.testing.assert_allclose(state[name], array, rtol=1e-6, atol=1e-7, err_msg=name)
    for found, want in zip(epochs, expected, strict=True):
        assert astuple(found)[:4] == pytest.approx(want, rel=1e-6)


def test_the_seed_determines_the_result(whole: Run) -> None:
    assert_same(cases.run(None), whole)
    other = cases.run(None, seed=4)
    assert not np.array_equal(other[0]["0.weight"], whole[0]["0.weight"])


def test_the_score_is_that_of_the_last_weights() -> None:
    data = cases.stripes()
    model = cases.network(data, 3)
    recipe = replace(cases.RECIPE, epochs=3)
    epochs = train.fit(model, cases.STRIPES, data, recipe, seed=3)
    labels = model(data.x_test).argmax(axis=1)  # fit leaves it in evaluation mode
    assert epochs[-1].test_score == (labels == data.y_test).mean()


def test_the_score_is_that_of_the_whole_test_set() -> None:
    """One picture more than are computed at a time, and only its label is right."""
    model = nn.Sequential(nn.GlobalAvgPool2d(), nn.Linear(1, 2))
    model.load_state_dict({"1.weight": np.zeros((2, 1)), "1.bias": np.array([0.0, 1.0])})
    x, labels = np.zeros((train.TEST_BATCH + 1, 1, 2, 3), np.float32), np.zeros(251, int)
    labels[-1] = 1
    data = replace(cases.stripes(), x_test=x, y_test=labels)
    assert train.evaluate(model, cases.STRIPES, data) == 1 / 251


def test_the_test_set_is_not_used_for_training(whole: Run) -> None:
    data = cases.stripes()
    blind = replace(data, x_test=data.x_test[::-1] * 3, y_test=1 - data.y_test)
    model = cases.network(data, 3)
    train.fit(model, cases.STRIPES, blind, cases.RECIPE, seed=3)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, whole[0][name])


@pytest.mark.parametrize("recipe", [cases.RECIPE, cases.ADAM], ids=["sgd", "adam"])
@pytest.mark.parametrize("stop", [(1, 0), (2, 3), (5, 5)], ids=str)
def test_an_interrupted_run_ends_at_the_same_weights(
    recipe: Any, stop: tuple[int, int], tmp_path: Path
) -> None:
    """Interrupted in batch ``stop[1]`` of the epoch after ``stop[0]`` whole ones."""
    expected = cases.run(None, recipe)
    file, data = tmp_path / "run.npz", cases.stripes()

    def interrupt(done: int, total: int, text: str) -> None:
        if done == 7 * stop[0] + stop[1] + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.fit(
            cases.network(data, 3),
            cases.STRIPES,
            data,
            recipe,
            seed=3,
            path=file,
            progress=interrupt,
        )
    assert epochs_in(file) == stop[0]
    assert_same(cases.run(file, recipe, resume=True), expected)


def test_a_killed_process_loses_one_epoch_at_most(tmp_path: Path) -> None:
    """Kill two child processes at any instruction; the third ends with the same weights."""
    file = tmp_path / "run.npz"
    command = [sys.executable, cases.__file__, str(file)]
    done = 0
    for more in (1, 5):
        child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            wait_for_epochs(file, done + more, child)
        finally:
            child.kill()
            assert child.wait() == -9
        done = epochs_in(file)
    assert 6 <= done < cases.LONG.epochs
    logged = len(file.with_suffix(".csv").read_text(encoding="utf-8").splitlines()) - 1
    assert done - 1 <= logged <= done  # written after the checkpoint
    assert_same(cases.run(file, cases.LONG, resume=True), cases.run(None, cases.LONG))


def epochs_in(file: Path) -> int:
    with np.load(file, allow_pickle=False) as kept:
        return len(kept["epochs"])


def wait_for_epochs(file: Path, count: int, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert child.poll() is None, "the child ended before it was killed"
        if file.exists() and epochs_in(file) >= count:
            return
        time.sleep(0.01)
    pytest.fail("the child made no progress in a minute")


def test_a_finished_run_is_not_trained_again(whole: Run, tmp_path: Path) -> None:
    file = tmp_path / "run.npz"
    first = cases.run(file)
    kept = file.read_bytes()
    again = cases.run(file, resume=True)
    assert again[1] == first[1]  # times included
    assert_same(again, whole)
    assert file.read_bytes() == kept


def test_the_log_has_a_line_for_each_epoch(tmp_path: Path) -> None:
    _, epochs = cases.run(tmp_path / "run.npz")
    with (tmp_path / "run.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [{name: float(text) for name, text in row.items()} for row in rows] == [
        asdict(epoch) for epoch in epochs
    ]


def test_a_checkpoint_that_cannot_be_written_keeps_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, write_npz = tmp_path / "run.npz", checkpoint.WRITERS[".npz"]

    def full_disk(temporary: Path, state: Mapping[str, Array]) -> None:
        write_npz(temporary, state)
        if len(state["epochs"]) == 3:
            with temporary.open("r+b") as stream:
                stream.truncate(1000)
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setitem(checkpoint.WRITERS, ".npz", full_disk)
        with pytest.raises(OSError, match="No space left"):
            cases.run(path)
    assert epochs_in(path) == 2
    assert sorted(found.name for found in tmp_path.iterdir()) == ["run.csv", "run.npz"]
    assert_same(cases.run(path, resume=True), cases.run(None))


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    short = replace(cases.RECIPE, epochs=2)
    good, bad = tmp_path / "good.npz", tmp_path / "bad.npz"
    cases.run(good, short)
    with np.load(good) as kept:
        arrays = dict(kept)

    def without(name: str) -> None:
        np.savez(bad, **{n: a for n, a in arrays.items() if n != name})

    def changed(**other: Array) -> None:
        np.savez(bad, **{**arrays, **other})

    def with_run(run: bytes) -> None:
        changed(run=np.frombuffer(run, np.uint8))

    def with_more(name: str, value: object) -> None:
        run = {**json.loads(arrays["run"].tobytes()), name: value}
        with_run(json.dumps(run).encode())

    spoiled: tuple[tuple[str, Callable[[], object]], ...] = (
        ("cannot be loaded", lambda: bad.write_bytes(good.read_bytes()[:-300])),
        ("cannot be loaded", lambda: bad.write_bytes(b"no zip")),
        ("no checkpoint of a training", lambda: with_run(b"{")),
        ("no checkpoint of a training", lambda: with_run(b"[1]")),
        ("no checkpoint of a training", lambda: with_run(bytes([255]))),
        ("no checkpoint of a training", lambda: with_run(b"[" * 100_000)),
        ("no checkpoint of a training", lambda: changed(epochs=np.zeros((2, 0)))),
        ("no checkpoint of a training", lambda: changed(epochs=np.full((2, 5), np.inf))),
        ("its epochs are not 1, 2, ...", lambda: changed(epochs=np.ones((2, 5)))),
        ("its epochs are not 1, 2, ...", lambda: changed(epochs=np.ones((100_000, 5)))),
        (
            r"training with x{30,50}\.\.\.x* = 'X{30,50}\.\.\.",
            lambda: with_more(LONG, LONG.upper()),
        ),
        (r"training with a\\x1bb = 1; need None", lambda: with_more("a\x1bb", 1)),
        ("'epochs'", lambda: without("epochs")),
        (r"lacks 0\.weight", lambda: without("network.0.weight")),
        (r"velocity\.0", lambda: without("optimizer.velocity.0")),
    )
    for message, spoil in spoiled:
        spoil()
        with pytest.raises(checkpoint.CheckpointError, match=message) as caught:
            cases.run(bad, short, resume=True)
        assert str(caught.value).startswith(f"path is {bad}")
    others: tuple[tuple[dict[str, Any], str], ...] = (
        ({"recipe": short, "seed": 4}, "seed = 3; need 4"),
        ({"recipe": replace(short, optimizer="adam")}, "optimizer = 'sgd'; need 'adam'"),
        ({"recipe": cases.RECIPE}, "epochs = 2; need 6"),
    )
    for other, message in others:
        with pytest.raises(checkpoint.CheckpointError, match=f"of a training with {message}"):
            cases.run(good, resume=True, **other)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_an_error(loss: float) -> None:
    class Diverging(nn.CrossEntropy):
        def __call__(self, logits: Array, labels: Any) -> float:
            super().__call__(logits, labels)
            return loss

    data, task = cases.stripes(), replace(cases.STRIPES, criterion=lambda recipe, _: Diverging())
    with pytest.raises(FloatingPointError, match=f"the loss is {loss} in epoch 1, batch 0"):
        train.fit(cases.network(data, 0), task, data, cases.RECIPE, seed=0)


def test_progress_counts_every_batch() -> None:
    seen: list[tuple[int, int, str]] = []
    data = cases.stripes()
    recipe = replace(cases.RECIPE, epochs=2)
    train.fit(
        cases.network(data, 0),
        cases.STRIPES,
        data,
        recipe,
        seed=0,
        progress=lambda *step: seen.append(step),
    )
    assert [step[:2] for step in seen] == [(n, 14) for n in range(1, 15)]
    assert seen[0][2].startswith("epoch 1: loss ")
    assert " test " not in seen[5][2]
    assert seen[6][2].startswith("epoch 1: test ")  # after the last batch
    after = seen[6][2].partition(",")[0].replace("epoch 1", "epoch 2")
    assert seen[7][2].startswith(f"{after} after 1, loss ")


def test_an_unknown_optimizer_is_refused() -> None:
    recipe = replace(cases.RECIPE, optimizer="lion")
    with pytest.raises(ValueError, match=r"optimizer is 'lion'; need one of 'sgd', 'adam'"):
        cases.run(None, recipe)
