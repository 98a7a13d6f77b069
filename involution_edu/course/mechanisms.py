"""Ways in which a result may differ from the right one that no table of mistakes has to list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, combinations_with_replacement, permutations, product
from math import isclose, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array
from .compare import numbers, same, wrong_numbers
from .exercise import Arguments, Exercise
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
ALONG: dict[str, Callable[..., Any]] = {  # of the right numbers and the missing axes
    "everything is added up along it": np.sum,
    "there is only the mean along it": np.mean,
    "there is only number 0 of it": lambda y, k: y[_at(y, k, 0)],
    "there is only the last of it": lambda y, k: y[_at(y, k, -1)],
}
Case = tuple[Arguments, Any, Any]  # the arguments, the learner's result and the right one
Say = Callable[[Exercise, Arguments, Array, Array], Iterator[str]]


def _listed(names: tuple[str, ...], axes: tuple[int, ...]) -> str:
    return " and ".join(names[k] for k in axes)


def _at(y: Array, axes: tuple[int, ...], index: Any) -> Any:
    return tuple(index if k in axes else slice(None) for k in range(y.ndim))


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
        for k, name in enumerate(exercise.axes):  # of a tuple of numbers
            if want.shape == (len(exercise.axes),) and same(got, np.delete(want, k)):
                yield f"{name} is missing: return ({', '.join(exercise.axes)})."
        yield from _other_shape(names, got, want)
        yield from _other_order(names, got, want)
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
    yield from _other_order(names, got, want)
    yield from _repeated(names, got, want)


def _other_shape(names: tuple[str, ...], got: Array, want: Array) -> Iterator[str]:
    if not got.size:
        yield "It is empty, as [p : -p] is where p is 0: write [p : p + H]."
        return
    if got.size == want.size and same(got.ravel(), want.ravel()):
        yield "The numbers are right, only the shape is not: reshape."
    axes: tuple[int, ...]
    if (less := want.ndim - got.ndim) > 0 and want.ndim > 1:
        for axes in combinations(range(want.ndim), less):
            for text, function in ALONG.items():
                if same(got, function(want, axes)):
                    which = (
                        f"{names[axes[0]]} axis is"
                        if less == 1
                        else f"{_listed(names, axes)} axes are"
                    )
                    yield f"The {which} missing: {text}."
    for axes in (*combinations(range(got.ndim), 1), *combinations(range(got.ndim), 2)):
        if got.size > want.size and same(got.sum(axes).ravel(), want.ravel()):
            yield f"The last step is missing: add up along the axes {axes} of your result."
    if got.ndim == want.ndim:
        for k, (n, need) in enumerate(zip(got.shape, want.shape, strict=True)):
            if n > need and n % need == 0:
                parts = got.reshape(*got.shape[:k], need, n // need, *got.shape[k + 1 :])
                if same(parts.sum(k + 1), want):
                    yield f"Along {names[k]}, {n} numbers should be added up in {need} groups."
            for text, blocks in _blocks(want, k) if want.ndim > 1 else ():
                if 0 < n < need and same(
                    got, blocks[_at(blocks, (k,), slice(None, None, need // n))]
                ):
                    yield f"Along {names[k]}, there is only the {text} of each group of adjacent ones."
        if same(got[tuple(slice(n) for n in want.shape)], want):
            yield "There are numbers too many at the end: a slice or range ends before its stop."
        if any(same(got, part) for part in _parts(want, got.shape)):
            yield "Rows or columns are missing: is a slice cut off at the edge (pad first), or a range too short?"
        margin = [*np.subtract(got.shape, want.shape)[-2:]]
        if min(margin) > 1 and same(_inner(got, want), want):
            yield "A margin is left around the result: cut it off, with [p : p + H]."
        if max(margin) < -1 and same(got, _inner(want, got)):
            yield "Windows that extend beyond the image are left out: pad, so that all pixels have one."


def _parts(want: Array, shape: tuple[int, ...]) -> Iterator[Array]:
    """Yield all pieces of an array of a given shape."""
    for start in product(
        *(range(max(0, n - m + 1)) for n, m in zip(want.shape, shape, strict=True))
    ):
        yield want[tuple(slice(a, a + m) for a, m in zip(start, shape, strict=True))]


def _inner(large: Array, small: Array) -> Array:
    """Return the middle rows and columns of an array."""
    before = [(a - b) // 2 for a, b in zip(large.shape, small.shape, strict=True)]
    return large[tuple(slice(m, m + n) for m, n in zip(before, small.shape, strict=True))]


def _other_order(names: tuple[str, ...], got: Array, want: Array) -> Iterator[str]:
    """Yield axes that are exchanged, laid out in another order, flipped or shifted."""
    n = want.ndim
    orders = permutations(range(n)) if n <= 4 else _moves(n)
    for order in orders if n > 1 and got.size == want.size else ():
        turned = want.transpose(order)
        if order == tuple(range(n)) or same(turned, want):
            continue
        shown = ", ".join(names[k] for k in order)
        if same(got, turned):
            yield f"The numbers are right, but the axes are ordered as ({shown}): transpose."
        elif same(got, turned.reshape(got.shape)):
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

    for by in range(1 - max(want.shape), max(want.shape)) if n > 1 else ():
        rolled = np.roll(want, (by, by), (-2, -1)) if by and min(want.shape[-2:]) > 2 else want
        if not same(rolled, want) and same(got, rolled):
            yield f"It is rolled along {names[-2]} and {names[-1]}: an index below 0 counts from the end."


def _moves(n: int) -> Iterator[tuple[int, ...]]:
    """Yield the orders of n axes in which two are exchanged, or a block is moved."""
    for i, j in combinations(range(n), 2):
        order = list(range(n))
        order[i], order[j] = j, i
        yield tuple(order)
    for i, j, k in combinations(range(n + 1), 3):
        order = list(range(n))
        yield (*order[:i], *order[j:k], *order[i:j], *order[k:])


def _blocks(want: Array, axis: int) -> Iterator[tuple[str, Array]]:
    """Yield each block of adjacent numbers along an axis replaced by one number of it."""
    size = want.shape[axis]
    for length in (d for d in range(2, size + 1) if size % d == 0):
        parts = want.reshape(*want.shape[:axis], -1, length, *want.shape[axis + 1 :])
        for text, one in (("sum", np.sum), ("mean", np.mean)):
            number = one(parts, axis=axis + 1, keepdims=True)
            yield text, np.broadcast_to(number, parts.shape).reshape(want.shape)


def _repeated(names: tuple[str, ...], got: Array, want: Array) -> Iterator[str]:
    """Yield sums that go on, and an axis along which one result is repeated."""
    for axis, name in enumerate(names if want.ndim else ()):
        if want.shape[axis] > 1:
            if same(got, np.cumsum(want, axis)):
                yield f"The sum goes on along {name}: set it back to 0 for each."
            for text, one in (
                ("result of the first one", want.take([0], axis)),
                ("result of the last one", want.take([-1], axis)),
                ("mean over all of them", want.mean(axis, keepdims=True)),
                ("sum over all of them", want.sum(axis, keepdims=True)),
            ):
                if same(got, np.broadcast_to(one, want.shape)):
                    yield f"Every {name} has the {text}."
            for text, blocks in _blocks(want, axis):
                if same(got, blocks):
                    yield f"Every {name} has the {text} over its group of adjacent ones."
        rest = want.reshape(*want.shape[:axis], -1)
        if rest.shape[-1] > 1 and same(got.reshape(rest.shape), np.cumsum(rest, -1)):
            yield "The sum goes on from one number to the next: set it back to 0 for each."
    for axes in (*combinations(range(want.ndim), 1), *combinations(range(want.ndim), 2)):
        for text, other in (
            ("divided by its sum", want / want.sum(axes, keepdims=True)),
            ("without its mean", want - want.mean(axes, keepdims=True)),
            (
                "divided by its sum of exp (a softmax)",
                np.exp(want) / np.exp(want).sum(axes, keepdims=True),
            ),
        ):
            if same(got, other):
                yield f"It is right but {text} along {_listed(names, axes)}."


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
        yield f"It is {factor:.6g} times what it should be."
    offset = float(np.median(got - b))
    if np.allclose(got - b, offset, rtol=1e-9, atol=1e-9 * np.abs(b).max(initial=1)):
        for text, value in terms:
            if value > 0 and isclose(abs(offset), value):
                yield f"It is too {'large' if offset > 0 else 'small'} by {text}."
        yield f"It is too {'large' if offset > 0 else 'small'} by {abs(offset):.6g}."


def _terms(sizes: dict[str, float]) -> Iterator[tuple[str, float]]:
    """Yield products of sizes and a small number, simple ones first; not 1."""
    for length in range(5):
        for top in combinations_with_replacement(sizes, length):
            for bottom in ("", *(b for b in sizes if length and b not in top and sizes[b])):
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
    if found := _shared(exercise, wrong, _shapes):
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
        terms = list(_terms(sizes_of(exercise, arguments)))
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
