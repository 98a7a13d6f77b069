"""Ways in which a result may differ from the right one that no table of mistakes has to list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, permutations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array
from .compare import numbers, same, wrong_numbers
from .exercise import Arguments, Exercise

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "a square": np.square,
    "np.log": np.log,
    "np.exp": np.exp,
    "a square root": np.sqrt,
    "1 / ...": np.reciprocal,
    "1 - ...": lambda y: 1 - y,
}
Case = tuple[Arguments, Any, Any]  # the arguments, the learner's result and the right one


def describe(exercise: Exercise, cases: list[Case]) -> str | None:
    """Return how results differ from the right ones, in the same way in all cases, or None."""
    wrong = [case for case in cases if not same(*case[1:])]
    if any(numbers(got) is None for _, got, _ in wrong):
        return "That is text, not a number." if isinstance(wrong[0][1], str) else None
    return _shared(exercise, cases, _quantities) or _shared(exercise, wrong, _sentences)


def _shared(exercise: Exercise, cases: list[Case], say: Callable[..., Iterator[str]]) -> str | None:
    """Return the first sentence that holds in every case."""
    shared: list[str] | None = None
    for arguments, got, want in cases:
        a, b = np.asarray(got).astype(float), np.asarray(want)
        if a.size:  # nothing is left of a small image without its border
            found = list(say(exercise, arguments, a, b))
            shared = found if shared is None else [s for s in shared if s in found]
    return next(iter(shared or ()), None)


def sizes_of(exercise: Exercise, arguments: Arguments) -> dict[str, float]:
    """Return the sizes of a case by name."""
    if exercise.sizes is not None:
        return exercise.sizes(*arguments)
    named = zip(exercise.parameters, arguments, strict=True)
    return {name: value for name, value in named if np.ndim(value) == 0}


def _sentences(exercise: Exercise, arguments: Arguments, got: Array, want: Array) -> Iterator[str]:
    names = (
        exercise.axes
        if len(exercise.axes) == want.ndim
        else tuple(f"axis {k}" for k in range(want.ndim))
    )
    if got.shape != want.shape:
        yield from _other_shape(names, got, want)
        if want.ndim > 1 and got.size == want.size:
            yield from _other_order(names, got, want)
        if want.ndim > 1:
            yield f"The result needs the axes ({', '.join(names)})."
        return
    for name, function in FUNCTIONS.items():
        if np.isfinite(got).any() and same(got, function(want)):
            yield f"It is right but for {name}, which should not be there."
    if not np.isfinite(got).all():
        yield "The result has NaN or infinity: something divides by zero or grows beyond all limits."
        return
    if not got.any():
        yield "The result is 0 everywhere: what you compute is not stored, or never added."
        return
    if want.dtype.kind == "f":
        if np.allclose(got, want, rtol=1e-5, atol=1e-5 * float(np.abs(want).max(initial=0))):
            yield "It is right to about 7 digits: somewhere numbers become float32. Keep x.dtype."
        if np.allclose(got, want, rtol=1e-2, atol=1e-2 * float(np.abs(want).max(initial=0))):
            yield "It is nearly right: numbers are rounded, or something small is added."
    if any(same(got, f(want)) for f in (np.rint, np.trunc, np.floor, np.ceil)):
        yield "It is right but for the digits after the point: // or an array of integers drops them."
    for name, argument in zip(exercise.parameters, arguments, strict=True):
        if np.shape(argument) == want.shape and want.ndim:
            if same(got, argument):
                yield f"That is {name} itself: nothing is computed."
            for verb, other in (("added", want + argument), ("multiplied", want * argument)):
                if same(got, other):
                    yield f"It is right but for {name}, which is {verb} once too often."
    if same(got, np.maximum(want, 0)):
        yield "It is right but for negative numbers, which became 0: nothing here calls for a ReLU."
    if same(got, np.abs(want)):
        yield "It is right but for the sign: nothing here calls for an absolute value."
    yield from _other_order(names, got, want)
    yield from _repeated(names, got, want)


def _other_shape(names: tuple[str, ...], got: Array, want: Array) -> Iterator[str]:
    for k, name in enumerate(names if got.ndim == want.ndim - 1 else ()):
        if same(got, want.sum(k)):
            yield f"It is added up along the {name} axis, which should stay."
        if want.shape[k] > 0 and same(got, want.take(0, k)):
            yield f"The {name} axis is missing: there is only number 0 of it."
    if got.size == want.size and same(got.ravel(), want.ravel()):
        yield "The numbers are right, only the shape is not: reshape."
    for axes in (*combinations(range(got.ndim), 1), *combinations(range(got.ndim), 2)):
        if got.size > want.size and same(got.sum(axes).ravel(), want.ravel()):
            yield f"The last step is missing: add up along the axes {axes} of your result."
    if want.ndim == 1 and got.ndim == 1:
        yield f"There are too {'few' if got.size < want.size else 'many'} numbers."
    if got.ndim == want.ndim >= 2 and got.shape[:-2] == want.shape[:-2]:
        top, left = margin = np.subtract(got.shape, want.shape)[-2:] // 2
        inner = tuple(
            slice(abs(m), n - abs(m)) for m, n in zip(margin, want.shape[-2:], strict=True)
        )
        if (margin > 0).all() and same(got[..., top:-top, left:-left], want):
            yield "A margin is left around the result: cut it off, with [p : p + H]."
        if (margin < 0).all() and same(got, want[..., inner[0], inner[1]]):
            yield "Windows that extend beyond the image are left out: pad, so that all pixels have one."
        if same(got, want[tuple(slice(n) for n in got.shape)]):
            yield "The last rows or columns are missing: does each range go to the end?"


def _other_order(names: tuple[str, ...], got: Array, want: Array) -> Iterator[str]:
    """Yield axes that are exchanged, laid out in another order, flipped or shifted."""
    n = want.ndim
    orders = permutations(range(n)) if n <= 4 else _moves(n)
    for order in orders if n > 1 else ():
        turned = want.transpose(order)
        if order == tuple(range(n)) or same(turned, want):
            continue
        shown = ", ".join(names[k] for k in order)
        if same(got, turned):
            yield f"The numbers are right, but the axes are ordered as ({shown}): transpose."
        elif got.size == turned.size and same(got, turned.reshape(got.shape)):
            yield (
                f"The numbers are right but lie in the order ({shown}), and a reshape does not move "
                "them: transpose first."
            )
    if got.shape != want.shape:
        return
    for axes in (*combinations(range(n), 1), *combinations(range(n), 2)):
        flipped = np.flip(want, axes)
        if not same(want, flipped) and same(got, flipped):
            yield f"It is right but reversed along: {', '.join(names[k] for k in axes)}."
    for axis in range(n):
        a, b, size = np.moveaxis(got, axis, 0), np.moveaxis(want, axis, 0), want.shape[axis]
        for by in range(1, min(4, size - 1)):
            for forth, (x, y) in (("later", (a[by:], b[:-by])), ("earlier", (a[:-by], b[by:]))):
                if np.unique(y).size > 1 and same(x, y):
                    yield f"Each number stands {by} too {forth} along {names[axis]}."
    if n and want.size > 1 and same(np.sort(got, None), np.sort(want, None)):
        yield "These are the right numbers in another order."


def _moves(n: int) -> Iterator[tuple[int, ...]]:
    """Yield the orders of n axes in which two are exchanged, or a block is moved."""
    for i, j in combinations(range(n), 2):
        order = list(range(n))
        order[i], order[j] = j, i
        yield tuple(order)
    for i, j, k in combinations(range(n + 1), 3):
        order = list(range(n))
        yield (*order[:i], *order[j:k], *order[i:j], *order[k:])


def _repeated(names: tuple[str, ...], got: Array, want: Array) -> Iterator[str]:
    """Yield sums that go on, and an axis along which one result is repeated."""
    for axis, name in enumerate(names):
        if want.shape[axis] > 1:
            if same(got, np.cumsum(want, axis)):
                yield f"The sum goes on along {name}: set it back to 0 for each."
            for k in (0, -1):
                if same(got, np.broadcast_to(want.take([k], axis), want.shape)):
                    yield f"Every {name} has the result of the {'last' if k else 'first'} one."
            if same(got, np.broadcast_to(want.mean(axis, keepdims=True), want.shape)):
                yield f"Every {name} has the mean over all of them."
            if same(got, np.broadcast_to(want.sum(axis, keepdims=True), want.shape)):
                yield f"Every {name} has the sum over all of them."
    if want.size > 1 and same(got.ravel(), np.cumsum(want)):
        yield "The sum goes on from one number to the next: set it back to 0 for each."


def _quantities(exercise: Exercise, arguments: Arguments, got: Array, want: Array) -> Iterator[str]:
    """Yield a factor or a number between the result and the right one, from the sizes by name."""
    if got.shape != want.shape or not np.isfinite(got).all() or not got.any():
        return
    sizes = sizes_of(exercise, arguments)
    a, b = got, want.astype(float)
    filled = b != 0
    if filled.any() and same(a, b * (factor := float(np.median(a[filled] / b[filled])))):
        for text, value in _terms(sizes):
            if np.isclose(factor, value, rtol=1e-9):
                yield f"It is {text} times what it should be."
            if np.isclose(factor * value, 1, rtol=1e-9):
                yield f"It has to be multiplied by {text}."
        if filled.sum() > 1:
            yield "It is right but for one factor."
    offset = float(np.median(a - b))
    if np.allclose(a - b, offset, rtol=1e-9, atol=1e-9 * np.abs(b).max(initial=1)):
        for text, value in _terms(sizes):
            if np.isclose(abs(offset), abs(value), rtol=1e-9) and value:
                yield f"It is too {'large' if offset > 0 else 'small'} by {text.lstrip('-')}."


def _terms(sizes: dict[str, float]) -> Iterator[tuple[str, float]]:
    """Yield products of at most two sizes and a small number, simple ones first."""
    powers = [
        *[("", 1.0)],
        *[(f"{a}{'*' + a if e > 1 else ''}", v**e) for e in (1, 2) for a, v in sizes.items()],
        *[(f"{a}*{b}", sizes[a] * sizes[b]) for a, b in combinations(sizes, 2)],
        *[(f"{a}*{a}*{b}", sizes[a] ** 2 * sizes[b]) for a, b in permutations(sizes, 2)],
        *[(f"{a}/{b}", sizes[a] / sizes[b]) for a, b in permutations(sizes, 2) if sizes[b]],
        *[
            (f"{a}*{a}/{b}", sizes[a] ** 2 / sizes[b])
            for a, b in permutations(sizes, 2)
            if sizes[b]
        ],
        *[
            (f"{a}*{a}*{b}/{c}", sizes[a] ** 2 * sizes[b] / sizes[c])
            for a, b, c in (permutations(sizes, 3) if len(sizes) < 6 else ())
            if sizes[c]
        ],
    ]
    for (text, value), by in product(powers, (1, -1, 2, 4, 8, 0.5, -2, 1000, 1024)):
        if text or by != 1:
            yield (text if by == 1 else f"{by:g}*{text}" if text else f"{by:g}"), by * value
    yield "1", 1.0


def where(exercise: Exercise, cases: list[Case]) -> str | None:
    """Return what the wrong numbers have in common, in all cases, right ones included, or None."""
    seen: dict[str, list[bool]] = {}
    for arguments, got, want in cases:
        a, b = numbers(got), np.asarray(want)
        if a is None or a.shape != b.shape:
            return None
        if (wrong := wrong_numbers(a, b)).any():
            for sentence, holds in _places(exercise, arguments, wrong):
                seen.setdefault(sentence, []).append(holds)
    if found := [sentence for sentence, holds in seen.items() if all(holds)]:
        return found[0]
    for name in sizes_of(exercise, cases[0][0]):
        values: dict[bool, set[float]] = {True: set(), False: set()}
        for arguments, got, want in cases:
            values[same(got, want)].add(sizes_of(exercise, arguments)[name])
        if values[True] in ({0}, {1}) and not values[True] & values[False]:
            return (
                f"It is right only if {name} is {values[True].pop()}: look at where you use {name}."
            )
    return None


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
        if bad.size > 1:
            yield f"Only the first {name} is wrong.", bool(bad[0] and not bad[1:].any())
            yield f"Only the first {name} is right.", bool(not bad[0] and bad[1:].all())
            yield f"Only the last {name} is wrong.", bool(bad[-1] and not bad[:-1].any())
            yield f"Only the last {name} is right.", bool(not bad[-1] and bad[:-1].all())
    if exercise.axes[-2:] == ("row", "column"):
        p = int(sizes_of(exercise, arguments).get("K", 3)) // 2
        inner = wrong[..., p : wrong.shape[-2] - p, p : wrong.shape[-1] - p]
        if inner.size:
            yield "Only pixels at the border are wrong: look at what is outside.", not inner.any()
