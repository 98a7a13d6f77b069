"""Ways in which a result may differ from the right one that no table of mistakes has to list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations_with_replacement
from math import isclose, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array
from .compare import fits, numbers, same, wrong_numbers
from .exercise import Arguments, Exercise
from .layout import other_order, other_shape, parts, repeated
from .variants import begun

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "a square": np.square,
    "np.log": np.log,
    "np.exp": np.exp,
    "a square root": np.sqrt,
    "1 / ...": np.reciprocal,
    "1 - ...": lambda y: 1 - y,
    "negative numbers, which became 0 by a ReLU": lambda y: np.maximum(y, 0),
    "the sign: an absolute value": np.abs,
}
NOTICED = 0.01  # a smaller relative difference is one of rounding
Case = tuple[Arguments, Any, Any]  # the arguments, the learner's result and the right one
Say = Callable[[Exercise, Arguments, Array, Array], Iterator[str]]


def describe(exercise: Exercise, cases: list[Case]) -> Iterator[str]:
    """Yield how results differ from the right ones, in the same way in all cases."""
    wrong = [case for case in cases if not same(*case[1:])]
    got = wrong[0][1]
    if any(numbers(result) is None for _, result, _ in wrong):
        if isinstance(got, tuple):
            yield f"It returned {len(got)} things; return one."
        elif isinstance(got, str) or (isinstance(got, list) and got and isinstance(got[0], str)):
            yield "That is text, not a number."
        elif hasattr(got, "__next__"):
            yield "That is a generator, which has computed nothing yet: put list(...) around it."
    elif np.asarray(got).dtype.kind == "b" and np.asarray(wrong[0][2]).dtype.kind == "i":
        yield "These are True and False; return the indices, np.flatnonzero(...)."
    elif not np.size(got):
        yield "A slice is empty: [p:-p] has no numbers if p is 0, nor has a start below 0."
    else:
        yield from _shared(exercise, cases, _quantities) or _shared(exercise, wrong, _sentences)


def _shared(exercise: Exercise, cases: list[Case], say: Say) -> list[str]:
    """Return the first sentence that holds in every case."""
    shared: list[str] | None = None
    for arguments, got, want in cases:
        if np.size(got) == 0 != np.size(want) or np.isnan(want).all():
            continue  # nothing is left of a small image without its border
        found = list(say(exercise, arguments, np.asarray(got).astype(float), np.asarray(want)))
        shared = found if shared is None else [s for s in shared if s in found]
    return (shared or [])[:1]


def sizes_of(exercise: Exercise, arguments: Arguments) -> dict[str, float]:
    """Return the sizes of a case by name: those that the right answer begins with, or its numbers."""
    if exercise.sizes is not None:
        return exercise.sizes(*arguments)
    names = dict(zip(exercise.parameters, arguments, strict=True))
    names |= begun(exercise.right, names)
    return {k: v for k, v in names.items() if isinstance(v, int) and k not in ("_", "p")}


def _names(exercise: Exercise, want: Array) -> tuple[str, ...]:
    """Return the names of the axes of a result."""
    if len(exercise.axes) == want.ndim:
        return exercise.axes
    return tuple(f"axis {k}" for k in range(want.ndim))


def _sentences(exercise: Exercise, arguments: Arguments, got: Array, want: Array) -> Iterator[str]:
    names = _names(exercise, want)
    if got.shape != want.shape:
        for name, argument in zip(exercise.parameters, arguments, strict=True):
            if np.shape(argument) == got.shape and got.ndim == want.ndim > 1:
                yield f"It has the shape of {name}; need the axes ({', '.join(names)})."
        yield from other_shape(names, got, want)
        yield from other_order(names, got, want)
        return
    largest = float(np.abs(want).max(initial=0))
    for near, text in (
        (1e-5, "to about 7 digits: somewhere numbers become float32, or something tiny is added."),
        (1e-2, "but for a small error: numbers are rounded, or something small is added."),
    ):
        if want.dtype.kind == "f" and np.allclose(got, want, rtol=near, atol=near * largest):
            yield f"It is right {text}"
    for text, function in FUNCTIONS.items():
        if (
            got.any()
            and same(got, function(want.astype(float)))
            and (want.ndim == 0 or (got != want).sum() > 1)
        ):
            yield f"It is right but for {text}, which should not be there."
    if not np.isfinite(got).all():
        yield "The result has NaN or infinity: something divides by zero or grows beyond all limits."
        return
    if not got.any():
        yield "The result is 0 everywhere: what you compute is not stored, or never added."
        return
    if any(same(got, cut(want)) for cut in (np.rint, np.trunc, np.floor, np.ceil)):
        yield "It is right but for the digits after the point: // or an array of integers drops them."
    for name, argument in zip(exercise.parameters, arguments, strict=True):
        if np.shape(argument) == want.shape and want.ndim:
            if same(got, argument):
                yield f"That is {name} itself: nothing is computed."
            for verb, other in (("added", want + argument), ("multiplied", want * argument)):
                if same(got, other):
                    yield f"It is right but for {name}, which is {verb} once too often."
    yield from other_order(names, got, want)
    yield from repeated(names, got, want)


def _quantities(exercise: Exercise, arguments: Arguments, got: Array, want: Array) -> Iterator[str]:
    """Yield a factor or a number between the result and the right one, from the sizes by name."""
    if got.shape != want.shape or not np.isfinite(got).all() or not got.any():
        return
    terms, b = list(_terms(sizes_of(exercise, arguments))), want.astype(float)
    filled = b != 0
    if filled.any() and same(got, b * (factor := float(np.median(got[filled] / b[filled])))):
        for text, value in terms:
            if isclose(factor, value):
                yield f"It is {text} times what it should be."
            if isclose(factor * value, 1):
                yield f"It has to be multiplied by {text}."
        if abs(factor - 1) > NOTICED:
            yield f"It is {factor:.6g} times what it should be."
    offset = float(np.median(got - b))
    if np.allclose(got - b, offset, rtol=1e-9, atol=1e-9 * np.abs(b).max(initial=1)):
        for text, value in terms:
            if value > 0 and isclose(abs(offset), value):
                yield f"It is too {'large' if offset > 0 else 'small'} by {text}."
        if abs(offset) > NOTICED * np.abs(b).max(initial=0):
            yield f"It is too {'large' if offset > 0 else 'small'} by {abs(offset):.6g}."


def _terms(sizes: dict[str, float]) -> Iterator[tuple[str, float]]:
    """Yield products of sizes and a small number, simple ones first; not 1."""
    for length in range(5):
        for bottom in ("", *(b for b in sizes if length and sizes[b])):
            for top in combinations_with_replacement([a for a in sizes if a != bottom], length):
                text = "*".join(top) + (f"/{bottom}" if bottom else "")
                value = prod(sizes[a] for a in top) / (sizes[bottom] if bottom else 1)
                for by in (1, -1, 2, 4, 8, 0.5, -2, 1000, 1024, 1000**2, 1024**2):
                    yield (
                        (text or "1") if by == 1 else f"{by:,}{'*' * bool(text)}{text}",
                        by * value,
                    )


def where(exercise: Exercise, cases: list[Case]) -> Iterator[str]:
    """Yield what the wrong numbers have in common, in all cases, right ones included."""
    wrong = [case for case in cases if not same(*case[1:])]
    if any(numbers(got) is None for _, got, _ in wrong):
        return
    other = [case for case in wrong if not fits(*case[1:])]
    if found := _shared(exercise, other or wrong, _shapes):
        yield from found
        return
    seen: dict[str, list[bool]] = {}
    for arguments, got, want in wrong:
        a = numbers(got)
        if a is None or a.shape != np.shape(want):
            return
        for sentence, holds in _places(exercise, arguments, wrong_numbers(a, np.asarray(want))):
            seen.setdefault(sentence, []).append(holds)
    if found := [sentence for sentence, holds in seen.items() if all(holds)]:
        yield found[0]
        return
    for name in sizes_of(exercise, cases[0][0]):
        values: dict[bool, set[float]] = {True: set(), False: set()}
        for arguments, got, want in cases:
            values[same(got, want)].add(sizes_of(exercise, arguments)[name])
        if values[True] in ({0}, {1}) and not values[True] & values[False]:
            yield f"It is right only if {name} is {values[True].pop()}: look at where you use {name}."
            return


def _shapes(exercise: Exercise, arguments: Arguments, got: Array, want: Array) -> Iterator[str]:
    """Yield which axis has another length, and that the order is wrong."""
    names = _names(exercise, want)
    if got.ndim > want.ndim:
        for k in range(got.ndim):
            if got.shape[:k] + got.shape[k + 1 :] == want.shape:
                yield f"Axis {k} of your result is one too many: add up along it earlier, or choose one of it."
    if got.ndim == 0 < want.ndim:
        yield f"It returned one number; need one for each {' and '.join(names)}."
    elif got.ndim != want.ndim:
        for k, name in enumerate(names):
            if want.shape[:k] + want.shape[k + 1 :] == got.shape:
                yield f"There is no axis for the {name}: need ({', '.join(names)})."
        yield (
            f"The result needs the axes ({', '.join(names)})."
            if want.ndim
            else ("The result has to be one number, not an array.")
        )
    elif got.shape != want.shape:
        pairs = zip(names, got.shape, want.shape, strict=True)
        if want.ndim > 1 and any(same(got, part) for part in parts(want, got.shape)):
            yield "Rows or columns are missing: is a slice cut off at the edge (pad first), or a range too short?"
        terms = [t for t in _terms(sizes_of(exercise, arguments)) if not t[0][-1].isdigit()]
        for name, n, need in zip(names, got.shape, want.shape, strict=True):
            if n != need:
                yield from (
                    f"Along {name} there are {text} numbers." for text, value in terms if n == value
                )
        wrong = [(name, "few" if a < b else "many") for name, a, b in pairs if a != b]
        yield f"There are too {wrong[0][1]} numbers along {' and '.join(name for name, _ in wrong)}."
    elif want.size > 1 and same(np.sort(got, None), np.sort(want, None)):
        shown = f": return ({', '.join(exercise.axes)})" if want.size == len(exercise.axes) else ""
        yield f"These are the right numbers in another order{shown}."


def _places(
    exercise: Exercise, arguments: Arguments, wrong: NDArray[np.bool_]
) -> Iterator[tuple[str, bool]]:
    """Yield sentences on where wrong numbers are, and whether they hold in this case."""
    if wrong.ndim == 1 and wrong.size == len(exercise.axes):
        for name, bad in zip(exercise.axes, wrong, strict=True):
            yield f"Only {name} is wrong.", bool(bad and wrong.sum() == 1)
    if wrong.ndim != len(exercise.axes) or wrong.ndim < 2:
        return
    for axis, name in enumerate(exercise.axes):
        bad = np.atleast_1d(wrong.any(tuple(k for k in range(wrong.ndim) if k != axis)))
        for which, (end, *rest) in (("first", bad), ("last", bad[::-1])):
            if rest:
                yield f"Only the {which} {name} is wrong.", bool(end and not any(rest))
                yield f"Only the {which} {name} is right.", bool(not end and all(rest))
    if exercise.axes[-2:] == ("row", "column"):
        p = int(sizes_of(exercise, arguments).get("K", 3)) // 2
        inner = wrong[..., p : wrong.shape[-2] - p, p : wrong.shape[-1] - p]
        if inner.size:
            yield "Only pixels at the border are wrong: look at what is outside.", not inner.any()
