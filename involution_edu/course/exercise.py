"""What an exercise is, and how an answer is held against it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Function = Callable[..., Any]
ROUNDING = 1e-9  # sums of float64 in any order agree much better


@dataclass(frozen=True, slots=True)
class Mistake:
    """An answer that is often given, and what to say about it: "you summed over channels".

    Attributes
    ----------
    answer : callable
        The function, with that mistake in it.
    sentence : str
        What to say to who wrote it.

    Examples
    --------
    >>> from involution_edu import course
    >>> mistake = course.EXERCISES["groups"].mistakes[0]
    >>> mistake.answer(6, 2), mistake.sentence.partition(";")[0]
    ([0, 1, 0, 1, 0, 1], 'that is the order of the Keras example')
    """

    answer: Function
    sentence: str


@dataclass(frozen=True, slots=True)
class Exercise:
    """A function for the learner to write.

    Attributes
    ----------
    name : str
    task : str
        The signature, and in one sentence what it has to return.
    right : callable
        What it is held against.
    cases : callable
        Called with a random generator; yields the arguments of one call after another, awkward
        ones among them.
    mistakes : tuple of Mistake

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
    """

    name: str
    task: str
    right: Function
    cases: Callable[[np.random.Generator], Iterator[tuple[Any, ...]]]
    mistakes: tuple[Mistake, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `check` found; a notebook shows its text.

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
    """Call ``answer`` on every case; stop at the first that is wrong and say what is wrong.

    The message has the arguments' shapes, the index of the first number that is wrong with both
    values, and, if the answer is one that is often given, the likely mistake.

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
    The likely mistake: divide by the channels of a group, C // G, not by the number of groups.
    """
    cases = list(exercise.cases(np.random.default_rng(seed)))
    for arguments in cases:
        given = copy.deepcopy(arguments)
        try:
            got = answer(*given)
        except Exception as error:  # noqa: BLE001 - the learner's code may raise anything
            return _not_yet(exercise, arguments, f"it raised {type(error).__name__}: {error}")
        if problem := _difference(got, exercise.right(*copy.deepcopy(arguments))):
            return _not_yet(exercise, arguments, problem + _hint(exercise, answer, cases))
        for k, (after, before) in enumerate(zip(given, arguments, strict=True)):
            if _difference(after, before):
                problem = f"it changed its argument {k}; work on a copy"
                return _not_yet(exercise, arguments, problem)
    text = f"Right: {exercise.name} gives the right answer in all {len(cases)} cases."
    return Verdict(True, text)


def _not_yet(exercise: Exercise, arguments: tuple[Any, ...], problem: str) -> Verdict:
    call = ", ".join(_short(argument) for argument in arguments)
    return Verdict(False, f"Not yet: for {exercise.name}({call})\n{problem}")


def _short(argument: Any) -> str:
    return f"array{argument.shape}" if isinstance(argument, np.ndarray) else repr(argument)


def _hint(exercise: Exercise, answer: Function, cases: list[tuple[Any, ...]]) -> str:
    """Name the mistake that gives what ``answer`` gives, in every case that it survives."""
    for mistake in exercise.mistakes:
        if all(_same(answer, mistake.answer, arguments) for arguments in cases):
            return f"\nThe likely mistake: {mistake.sentence}"
    return ""


def _same(answer: Function, other: Function, arguments: tuple[Any, ...]) -> bool:
    try:
        got = answer(*copy.deepcopy(arguments))
    except Exception:  # noqa: BLE001 - as in judge
        return True  # says nothing about which mistake it is
    return _difference(got, other(*copy.deepcopy(arguments))) is None


def _difference(got: Any, want: Any) -> str | None:
    """Return what is wrong with ``got``, or None; numbers may differ by a rounding."""
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
