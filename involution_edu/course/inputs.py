"""Results that would be right for other arguments: a flipped image, H in place of W."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np

from ..arrays import Array
from .compare import same
from .exercise import Arguments, Exercise

Change = Callable[..., Any]


def _only(a: Array, k: int, index: int) -> Array:
    mark = np.zeros([n if axis == k else 1 for axis, n in enumerate(a.shape)])
    mark.flat[index] = 1
    return a * mark


WHOLE: dict[str, Change] = {
    "with the sign of {} changed": lambda a: -1 * a,
    "with {} twice as large": lambda a: 2 * a,
    "with the absolute value of {}": np.abs,
    "with the negative numbers of {} set to 0": lambda a: np.maximum(a, 0),
    "with ones for {}": np.ones_like,
    "without {}: as if it were 0": np.zeros_like,
    "with {} squared": np.square,
}
ALONG: dict[str, Change] = {  # of an array and an axis
    "with {} reversed along axis {}": np.flip,
    "with {} moved by one along axis {}": lambda a, k: np.roll(a, 1, k),
    "with {} moved back by one along axis {}": lambda a, k: np.roll(a, -1, k),
    "with number 0 of {} for all of axis {}": lambda a, k: 0 * a + a.take([0], k),
    "with the last of {} for all of axis {}": lambda a, k: 0 * a + a.take([-1], k),
    "with only number 0 of {} along axis {}": lambda a, k: _only(a, k, 0),
    "with only the last of {} along axis {}": lambda a, k: _only(a, k, -1),
    "with the mean of {} along axis {}": lambda a, k: 0 * a + a.mean(k, keepdims=True),
    "with the sum of {} along axis {} in its place": lambda a, k: 0 * a + a.sum(k, keepdims=True),
    "with {} divided by the size of its axis {}": lambda a, k: a / a.shape[k],
    "with {} divided by its length along axis {}": lambda a, k: a / np.sqrt((a * a).sum(k, keepdims=True)),
    "with {} divided by its sum along axis {}": lambda a, k: a / a.sum(k, keepdims=True),
}  # fmt: skip
NUMBER: dict[str, Change] = {
    "as if {} were 1": lambda v: 1,
    "as if {} were 0": lambda v: 0,
    "with {0} + 1 in place of {0}": lambda v: v + 1,
    "with {0} - 1 in place of {0}": lambda v: v - 1,
    "with {0}//2 in place of {0}": lambda v: v // 2,
}


def describe(exercise: Exercise, cases: list[tuple[Arguments, Any, Any]]) -> Iterator[str]:
    """Yield with which other arguments the right answer gives all these results."""
    cases = [case for case in cases if all(map(np.size, case[0]))]  # an empty one shows nothing
    for alike in zip(*(_changed(exercise, arguments) for arguments, _, _ in cases), strict=False):
        tried = zip(alike, cases, strict=True)
        if all(_gives(exercise, others, got) for (_, others), (_, got, _) in tried):
            yield f"That is the result {alike[0][0]}."
            return


def _gives(exercise: Exercise, arguments: Arguments, got: Any) -> bool:
    try:
        return same(got, exercise.right(*copy.deepcopy(arguments)))
    except Exception:  # noqa: BLE001 - sizes may no longer fit
        return False


def _changed(exercise: Exercise, arguments: Arguments) -> Iterator[tuple[str, Arguments]]:
    """Yield changes of one argument, in an order that is the same for all cases."""
    for k, (name, argument) in enumerate(zip(exercise.parameters, arguments, strict=True)):
        before, after = arguments[:k], arguments[k + 1 :]
        if isinstance(argument, np.ndarray):
            for text, change in WHOLE.items():
                yield text.format(name), (*before, change(argument), *after)
            for text, along in ALONG.items():
                for axis in range(argument.ndim):
                    yield text.format(name, axis), (*before, along(argument, axis), *after)
        else:
            for text, number in NUMBER.items():
                yield text.format(name), (*before, number(argument), *after)
    for k, m in combinations(range(len(arguments)), 2):
        if isinstance(arguments[k], np.ndarray) == isinstance(arguments[m], np.ndarray):
            exchanged = list(arguments)
            exchanged[k], exchanged[m] = arguments[m], arguments[k]
            pair = " and ".join((exercise.parameters[k], exercise.parameters[m]))
            yield f"with {pair} exchanged", tuple(exchanged)
