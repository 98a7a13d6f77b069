"""The checks of the exercises: right answers pass, wrong ones are named."""

from __future__ import annotations

import inspect
from itertools import combinations
from typing import Any

import numpy as np
import pytest

import involution_edu as inv
from involution_edu import course
from involution_edu.course import EXERCISES, Exercise, Mistake, judge
from involution_edu.course.exercise import both
from involution_edu.nn import Conv2d, Involution2d

MISTAKES = [
    pytest.param(exercise, mistake, id=f"{exercise.name}-{mistake.name}")
    for exercise in EXERCISES.values()
    for mistake in exercise.mistakes
    if exercise.quick is None  # its table is that of another exercise
]
ALL = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)


@ALL
def test_the_right_answer_passes(exercise: Exercise) -> None:
    assert judge(exercise, exercise.right, seed=3).ok


def test_right_answers_are_those_of_the_package() -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        for name, answer in {
            "involution": inv.involution,
            "backward_input": lambda dy, x, kernel: inv.involution_backward(dy, x, kernel)[0],
            "backward_kernel": lambda dy, x, kernel: inv.involution_backward(dy, x, kernel)[1],
        }.items():
            for arguments in EXERCISES[name].cases(rng):
                np.testing.assert_allclose(
                    EXERCISES[name].right(*arguments), answer(*arguments), atol=1e-12
                )
    for x, weight in EXERCISES["convolve"].cases(rng):
        out_channels, in_channels, K, _ = weight.shape
        conv = Conv2d(in_channels, out_channels, K, padding="same", bias=False, dtype=float)
        conv.weight.data[...] = weight
        np.testing.assert_allclose(EXERCISES["convolve"].right(x, weight), conv(x[None])[0])
    for C, K, C_g, r in EXERCISES["layer_parameters"].cases(rng):
        layer = Involution2d(C, K, group_channels=C_g, reduction=r, rng=0)
        counted = sum(parameter.data.size for parameter in layer.parameters())
        assert EXERCISES["layer_parameters"].right(C, K, C_g, r) == counted


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_a_mistake_is_found_and_named(exercise: Exercise, mistake: Mistake) -> None:
    verdict = judge(exercise, mistake.answer)
    assert not verdict.ok
    title = next(line for line in verdict.text.splitlines() if line.startswith("The likely mistake"))
    assert mistake.hint in verdict.text.partition(title)[0] + verdict.text[len("Not yet") :]
    assert verdict.text.count(mistake.hint) >= 1


@ALL
def test_two_mistakes_at_once_are_named_or_said_to_be_two(exercise: Exercise) -> None:
    pairs = [(a, b, both(a, b)) for a, b in combinations(exercise.mistakes, 2)]
    rng = np.random.default_rng(0)
    possible = [pair for pair in pairs if pair[2] is not None]
    if not possible:
        pytest.skip("its mistakes exclude one another")
    for k in rng.choice(len(possible), min(8, len(possible)), replace=False):
        one, other, answer = possible[k]
        assert answer is not None
        verdict = judge(exercise, answer)
        assert verdict.ok or "mistake" in verdict.text or "It " in verdict.text, (one, other)
