"""Results that would be right for other arguments: a flipped image, H in place of W."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .compare import same
from .exercise import Arguments, Exercise

Change = Callable[..., Any]
WHOLE: dict[str, Change] = {
    "with the sign of {} changed": lambda a: -1 * a,
    "with {} twice as large": lambda a: 2 * a,
    "with the absolute value of {}": np.abs,
    "with the negative numbers of {} set to 0": lambda a: np.maximum(a, 0),
    "with ones for {}": np.ones_like,
    "without {}: as if it were 0": np.zeros_like,
    "with {} squared": np.square,
}
ALONG: dict[str, Change] = {
    "with {} reversed along axis {}": lambda a, k: np.flip(a, k),
    "with {} moved by one along axis {}": lambda a, k: np.roll(a, 1, k),
    "with {} moved back by one along axis {}": lambda a, k: np.roll(a, -1, k),
    "with number 0 of {} for all of axis {}": lambda a, k: np.broadcast_to(a.take([0], k), a.shape),
    "with the last of {} for all of axis {}": lambda a, k: np.broadcast_to(
        a.take([-1], k), a.shape
    ),
    "with the mean of {} along axis {}": lambda a, k: np.broadcast_to(
        a.mean(k, keepdims=True), a.shape
    ),
    "with {} divided by its length along axis {}": lambda a, k: (
        a / np.linalg.norm(a, axis=k, keepdims=True)
    ),
    "with {} divided by its sum along axis {}": lambda a, k: a / a.sum(k, keepdims=True),
}
NUMBER: dict[str, Change] = {
    "as if {} were 1": lambda v: 1,
    "as if {} were 0": lambda v: 0,
    "with {0} + 1 in place of {0}": lambda v: v + 1,
    "with {0} - 1 in place of {0}": lambda v: v - 1,
    "with 2*{0} in place of {0}": lambda v: 2 * v,
    "with {0}//2 in place of {0}": lambda v: v // 2,
    "with {0}*{0} in place of {0}": lambda v: v * v,
}


def describe(exercise: Exercise, cases: list[tuple[Arguments, Any, Any]]) -> str | None:
    """Return with which other arguments the right answer gives all these results, or None."""
    changes = (_changed(exercise, arguments) for arguments, _, _ in cases)
    for alike in zip(*changes, strict=False):
        texts = {text for text, _ in alike}
        if len(texts) == 1 and all(
            _gives(exercise, others, got)
            for (_, others), (_, got, _) in zip(alike, cases, strict=True)
        ):
            return f"That is the result {texts.pop()}."
    return None


def _gives(exercise: Exercise, arguments: Arguments, got: Any) -> bool:
    try:
        return same(got, exercise.right(*copy.deepcopy(arguments)))
    except Exception:  # noqa: BLE001 - sizes may no longer fit
        return False


def _changed(exercise: Exercise, arguments: Arguments) -> Iterator[tuple[str, Arguments]]:
    """Yield changes of one argument, in an order that is the same for all cases."""
    names = exercise.parameters

    def put(k: int, text: str, value: Any) -> tuple[str, Arguments]:
        return text, (*arguments[:k], value, *arguments[k + 1 :])

    for k, (name, argument) in enumerate(zip(names, arguments, strict=True)):
        if isinstance(argument, np.ndarray):
            for text, change in WHOLE.items():
                yield put(k, text.format(name), change(argument))
            for text, along in ALONG.items():
                for axis in range(argument.ndim):
                    yield put(k, text.format(name, axis), along(argument, axis))
        else:
            for text, number in NUMBER.items():
                yield put(k, text.format(name), number(argument))
            for other, value in zip(names, arguments, strict=True):
                if other != name and np.ndim(value) == 0:
                    yield put(k, f"with {other} in place of {name}", value)
