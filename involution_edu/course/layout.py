"""Results whose numbers are right, in another shape or order, or added up or repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, permutations, product
from typing import Any

import numpy as np

from ..arrays import Array
from .compare import same

ALONG: dict[str, Callable[..., Any]] = {  # of the right numbers and the missing axes
    "everything is added up along it": np.sum,
    "there is only the mean along it": np.mean,
    "there is only number 0 of it": lambda y, k: y[_at(y, k, 0)],
    "there is only the last of it": lambda y, k: y[_at(y, k, -1)],
}


def _listed(names: tuple[str, ...], axes: tuple[int, ...]) -> str:
    return " and ".join(names[k] for k in axes)


def _at(y: Array, axes: tuple[int, ...], index: Any) -> Any:
    return tuple(index if k in axes else slice(None) for k in range(y.ndim))


def other_shape(names: tuple[str, ...], got: Array, want: Array) -> Iterator[str]:
    """Yield how numbers of another shape are related to the right ones."""
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
        margin = [*np.subtract(got.shape, want.shape)[-2:]]
        if min(margin) > 1 and same(_inner(got, want), want):
            yield "A margin is left around the result: cut it off, with [p : p + H]."
        if max(margin) < -1 and same(got, _inner(want, got)):
            yield "Windows that extend beyond the image are left out: pad, so that all pixels have one."


def parts(want: Array, shape: tuple[int, ...]) -> Iterator[Array]:
    """Yield all pieces of an array of a given shape."""
    for start in product(
        *(range(max(0, n - m + 1)) for n, m in zip(want.shape, shape, strict=True))
    ):
        yield want[tuple(slice(a, a + m) for a, m in zip(start, shape, strict=True))]


def _inner(large: Array, small: Array) -> Array:
    """Return the middle rows and columns of an array."""
    before = [(a - b) // 2 for a, b in zip(large.shape, small.shape, strict=True)]
    return large[tuple(slice(m, m + n) for m, n in zip(before, small.shape, strict=True))]


def other_order(names: tuple[str, ...], got: Array, want: Array) -> Iterator[str]:
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


def repeated(names: tuple[str, ...], got: Array, want: Array) -> Iterator[str]:
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
