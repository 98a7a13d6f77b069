"""The checks of the exercises: right answers pass, common mistakes are named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import involution_edu as inv
from involution_edu import course
from involution_edu.course import EXERCISES, Exercise, judge

MISTAKES = [
    pytest.param(exercise, hint, id=f"{exercise.name}-{k}")
    for exercise in EXERCISES.values()
    for k, hint in enumerate(exercise.mistakes)
]


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_the_right_answer_passes(exercise: Exercise) -> None:
    assert judge(exercise, exercise.right, seed=3).ok


@pytest.mark.parametrize(("exercise", "hint"), MISTAKES)
def test_a_mistake_is_found_and_named(exercise: Exercise, hint: str) -> None:
    verdict = judge(exercise, exercise.mistakes[hint])
    assert not verdict.ok
    assert verdict.text.endswith(f"The likely mistake: {hint}")


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_a_slow_answer_is_called_few_times(exercise: Exercise) -> None:
    """Not again for each of the mistakes: loops over pixels are slow."""
    calls = []

    def answer(*arguments: Any) -> Any:
        calls.append(arguments)
        return np.float64(1e9) * np.ones_like(exercise.right(*arguments))

    verdict = judge(exercise, answer)
    assert not verdict.ok
    assert len(calls) == 1 + len(list(exercise.cases(np.random.default_rng(0))))


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_an_answer_that_is_not_written_yet(exercise: Exercise) -> None:
    verdict = judge(exercise, lambda *_: ...)
    assert not verdict.ok
    assert "it returned nothing yet" in verdict.text


def test_the_first_wrong_index_is_named() -> None:
    def involution(x: Any, kernel: Any) -> Any:
        y = inv.involution(x, kernel)
        y[0, 0, 1, 2] += 1
        return y

    text = course.check(involution).text
    assert text.startswith("Not yet: for involution(array(1, 1, 3, 4), array(1, 1, 3, 3, 3, 4))\n")
    assert "[0, 0, 1, 2] is " in text
    assert "more of" not in text


def test_what_else_can_go_wrong() -> None:
    wrong = {
        lambda C, G: 1 / 0: "it raised ZeroDivisionError: division by zero",
        lambda C, G: [0]: "its shape is (1,); need (4,)",
        lambda C, G: ["a"] * C: "; need numbers",
        lambda C, G: [[0], 1]: "it returned [[0], 1]; need [0, 0, 0, 0]",
        lambda C, G: np.full(C, np.nan): "[0] is nan; need 0, and 3 more of 4 are wrong",
    }
    for answer, message in wrong.items():
        assert message in judge(EXERCISES["groups"], answer).text

    def involution(x: Any, kernel: Any) -> Any:
        y = inv.involution(x, kernel)
        x[...] = 0
        return y

    assert "it changed its argument 0; work on a copy" in course.check(involution).text


@pytest.mark.parametrize(
    ("group_of", "h_of", "inside", "hint"),
    [
        (lambda c, C, G: c * G // C, lambda i, u, p: i + u, "above", "starts at the pixel"),
        (lambda c, C, G: c * G // C, lambda i, u, p: i + u - p, "above", "counts from the end"),
        (lambda c, C, G: c // G, lambda i, u, p: i + u - p, "both", "c // G"),
    ],
    ids=["corner", "negative index", "wrong division"],
)
def test_loops_as_a_learner_writes_them(group_of: Any, h_of: Any, inside: str, hint: str) -> None:
    """The last two raise IndexError in some cases; their results in the others identify them."""

    def involution(x: Any, kernel: Any) -> Any:
        (N, C, H, W), (G, K) = x.shape, kernel.shape[1:3]
        y = np.zeros_like(x)
        for n, c, i, j, u, v in np.ndindex(N, C, H, W, K, K):
            h, w = h_of(i, u, K // 2), h_of(j, v, K // 2)
            if h < H and w < W and (inside == "above" or (h >= 0 and w >= 0)):
                y[n, c, i, j] += kernel[n, group_of(c, C, G), u, v, i, j] * x[n, c, h, w]
        return y

    verdict = course.check(involution)
    assert not verdict.ok
    assert hint in verdict.text


def test_a_name_without_an_exercise() -> None:
    with pytest.raises(
        ValueError, match=r"^answer is named <lambda>; need one of apply, involution, "
    ):
        course.check(lambda x: x)
