"""Exercises, and the check of an answer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

Arguments = tuple[Any, ...]
Cases = Iterator[Arguments]
Function = Callable[..., Any]
ROUNDING = 1e-9  # relative; float64 sums in another order agree much better


@dataclass(frozen=True, slots=True)
class Exercise:
    """A function for the learner to write.

    Attributes
    ----------
    name : str
    task : str
        The signature, and in one sentence what to return.
    right : callable
        The reference answer.
    cases : callable
        Called with a random generator; yields the arguments of each call, awkward ones included.
    mistakes : dict of str to callable
        Common wrong answers, by the hint for each.

    Examples
    --------
    >>> from involution_edu import course
    >>> exercise = course.EXERCISES["groups"]
    >>> for C, G in exercise.cases(np.random.default_rng(0)):
    ...     print(C, G, exercise.right(C, G))
    4 1 [0, 0, 0, 0]
    6 2 [0, 0, 0, 1, 1, 1]
    6 3 [0, 0, 1, 1, 2, 2]
    8 8 [0, 1, 2, 3, 4, 5, 6, 7]
    >>> for hint, answer in exercise.mistakes.items():
    ...     print(answer(6, 2), hint.partition(";")[0])
    [0, 1, 0, 1, 0, 1] this is the order of the Keras example
    [0, 0, 1, 1, 2, 2] divide by the channels in a group, C // G, not by the number of groups.
    [1, 1, 1, 2, 2, 2] groups are counted from 0.
    """

    name: str
    task: str
    right: Function
    cases: Callable[[np.random.Generator], Cases]
    mistakes: dict[str, Function]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a check; a notebook shows its text.

    Attributes
    ----------
    ok : bool
    text : str

    Examples
    --------
    >>> from involution_edu import course
    >>> def groups(C, G):
    ...     return None
    >>> verdict = course.check(groups)
    >>> verdict.ok
    False
    >>> verdict
    Not yet: for groups(4, 1)
    it returned nothing yet
    """

    ok: bool
    text: str

    def __repr__(self) -> str:
        return self.text


def judge(exercise: Exercise, answer: Function, *, seed: int = 0) -> Verdict:
    """Call ``answer`` on every case; stop at the first wrong result and explain it.

    The text gives the arguments (arrays by their shapes), the index of the first wrong number with
    both values and, if the answer equals a common mistake, the hint for it.

    Parameters
    ----------
    exercise : Exercise
    answer : callable
        Of any name, with the arguments of the exercise.
    seed : int
        Of the cases.

    Returns
    -------
    verdict : Verdict

    Examples
    --------
    >>> from involution_edu import course
    >>> judge(course.EXERCISES["groups"], lambda C, G: [c // G for c in range(C)])
    Not yet: for groups(4, 1)
    [1] is 1; need 0, and 2 more of 4 are wrong
    The likely mistake: divide by the channels in a group, C // G, not by the number of groups.
    """
    cases = list(exercise.cases(np.random.default_rng(seed)))
    for arguments in cases:
        if problem := _problem(exercise, answer, arguments, cases):
            call = ", ".join(map(_short, arguments))
            return Verdict(False, f"Not yet: for {exercise.name}({call})\n{problem}")
    text = f"Right: {exercise.name} gives the right answer in all {len(cases)} cases."
    return Verdict(True, text)


def _problem(
    exercise: Exercise, answer: Function, arguments: Arguments, cases: list[Arguments]
) -> str | None:
    """Return what is wrong with ``answer`` on one case, or None."""
    given = copy.deepcopy(arguments)
    try:
        got = answer(*given)
    except Exception as error:  # noqa: BLE001 - the learner's code may raise anything
        return f"it raised {type(error).__name__}: {error}"
    if problem := _difference(got, exercise.right(*copy.deepcopy(arguments))):
        return problem + _hint(exercise, answer, cases)
    for k, (after, before) in enumerate(zip(given, arguments, strict=True)):
        if _difference(after, before):
            return f"it changed its argument {k}; work on a copy"
    return None


def _short(argument: Any) -> str:
    return f"array{argument.shape}" if isinstance(argument, np.ndarray) else repr(argument)


def _hint(exercise: Exercise, answer: Function, cases: list[Arguments]) -> str:
    """Return the hint for the mistake that equals ``answer`` on every case where it returns."""
    found = []
    for arguments in cases:
        with suppress(Exception):  # no evidence against a mistake
            found.append((arguments, answer(*copy.deepcopy(arguments))))
    for hint, mistake in exercise.mistakes.items():
        if all(_difference(got, mistake(*copy.deepcopy(given))) is None for given, got in found):
            return f"\nThe likely mistake: {hint}"
    return ""


def _difference(got: Any, want: Any) -> str | None:
    """Return what is wrong with ``got``, or None if it equals ``want`` up to rounding."""
    if got is None or got is Ellipsis:
        return "it returned nothing yet"
    try:
        a, b = np.asarray(got), np.asarray(want)
    except ValueError:
        return f"it returned {got!r}; need {want!r}"
    if a.shape != b.shape:
        return f"its shape is {a.shape}; need {b.shape}"
    if a.dtype.kind not in "biuf":
        return f"it returned {got!r}; need numbers"
    wrong = ~np.isclose(a, b, rtol=ROUNDING, atol=ROUNDING * float(np.abs(b).max(initial=0)))
    if not wrong.any():
        return None
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    at = f"[{', '.join(map(str, index))}]" if index else "the result"
    many = f", and {wrong.sum() - 1} more of {wrong.size} are wrong" if wrong.sum() > 1 else ""
    return f"{at} is {a[index]:.6g}; need {b[index]:.6g}{many}"
