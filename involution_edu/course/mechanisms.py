"""Ways in which a result may differ from the right one that no table of mistakes has to list."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations, product
from typing import Any

import numpy as np

from ..arrays import Array
from .compare import numbers, same, wrong_numbers
from .exercise import Arguments, Exercise

Case = tuple[Arguments, Any, Any]  # the arguments, the learner's result and the right one


def describe(exercise: Exercise, wrong: list[Case]) -> str | None:
    """Return how the results differ from the right ones, in the same way in all cases, or None."""
    shared: list[str] | None = None
    for arguments, got, want in wrong:
        a, b = numbers(got), np.asarray(want)
        if a is None:
            return None
        found = list(_sentences(exercise, arguments, a, b))
        shared = found if shared is None else [s for s in shared if s in found]
    return next(iter(shared or ()), None)


def _sentences(exercise: Exercise, arguments: Arguments, got: Array, want: Array) -> Iterator[str]:
    names = exercise.axes if len(exercise.axes) == want.ndim else tuple(map(str, range(want.ndim)))
    if got.shape != want.shape:
        yield from _other_shape(names, got, want)
        if want.ndim > 1 and got.size == want.size:
            yield from _other_order(names, got, want)
        return
    if not np.isfinite(got).all():
        yield "The result has NaN or infinity: something divides by zero or grows beyond all limits."
        return
    if not got.any():
        yield "The result is 0 everywhere: what you compute is not stored, or never added."
        return
    if want.dtype.kind == "f" and got.dtype.kind == "f":
        if np.allclose(got, want, rtol=1e-5, atol=1e-5 * float(np.abs(want).max(initial=0))):
            yield "It is right to about 7 digits: somewhere numbers become float32. Keep x.dtype."
        if np.allclose(got, want, rtol=1e-2, atol=1e-2 * float(np.abs(want).max(initial=0))):
            yield "It is nearly right: numbers are rounded, or something small is added."
    if any(same(got, f(want)) for f in (np.rint, np.trunc, np.floor, np.ceil)):
        yield "It is right but for the digits after the point: // or an array of integers drops them."
    if same(got, np.maximum(want, 0)):
        yield "It is right but for negative numbers, which became 0: nothing here calls for a ReLU."
    if same(got, np.abs(want)):
        yield "It is right but for the sign: nothing here calls for an absolute value."
    yield from _factor_or_offset(exercise, arguments, got, want)
    yield from _other_order(names, got, want)
    yield from _repeated(names, got, want)


def _other_shape(names: tuple[str, ...], got: Array, want: Array) -> Iterator[str]:
    for k, name in enumerate(names if got.ndim == want.ndim - 1 else ()):
        if same(got, want.sum(k)):
            yield f"It is added up along the {name} axis, which should stay."
        if want.shape[k] > 0 and same(got, want.take(0, k)):
            yield f"The {name} axis is missing: there is only number 0 of it."
    for axes in (*combinations(range(got.ndim), 1), *combinations(range(got.ndim), 2)):
        if got.ndim > want.ndim or want.size == 1:
            total = got.sum(axes)
            if same(total.ravel(), want.ravel()):
                yield f"The last step is missing: add up along the axes {axes} of your result."
    if got.size == want.size and same(got.ravel(), want.ravel()):
        yield "The numbers are right, only the shape is not: reshape."
    if got.ndim == want.ndim >= 2 and all(np.subtract(want.shape, got.shape)[-2:] > 0):
        margin = (np.array(want.shape) - got.shape)[-2:]
        if not margin[0] % 2 and not margin[1] % 2 and got.shape[:-2] == want.shape[:-2]:
            (top, left), (rows, columns) = margin // 2, got.shape[-2:]
            if same(got, want[..., top : top + rows, left : left + columns]):
                yield (
                    "Only windows that lie inside the image are computed ('valid'): pad with zeros, "
                    "so that every pixel has an output."
                )
        if same(got, want[tuple(slice(n) for n in got.shape)]):
            yield "The last rows and columns are missing: does each range go to the end?"


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


def _factor_or_offset(
    exercise: Exercise, arguments: Arguments, got: Array, want: Array
) -> Iterator[str]:
    """Yield a factor or a number between the result and the right one, from the sizes by name."""
    if exercise.sizes is not None:
        sizes = exercise.sizes(*arguments)
    else:
        sizes = dict(zip(exercise.parameters, arguments, strict=True))
    a, b = got.astype(float), want.astype(float)
    filled = b != 0
    if filled.any() and same(a, b * (factor := float(np.median(a[filled] / b[filled])))):
        for text, value in _terms(sizes):
            if np.isclose(factor, value, rtol=1e-9):
                yield f"It is {text} times what it should be."
            elif np.isclose(factor * value, 1, rtol=1e-9):
                yield f"It has to be multiplied by {text}."
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
    ]
    for (text, value), by in product(powers, (1, -1, 2, 4, 8, 0.5, -2)):
        if text or by != 1:
            yield (text if by == 1 else f"{by:g}*{text}" if text else f"{by:g}"), by * value
    yield "1", 1.0


def where(exercise: Exercise, got: Any, want: Any) -> str | None:
    """Return what the wrong numbers of one result have in common, or None."""
    a, b = numbers(got), np.asarray(want)
    if a is None or a.shape != b.shape or not b.ndim or b.ndim != len(exercise.axes) > 1:
        return None if b.ndim != 1 or a is None or a.shape != b.shape else _parts(exercise, a, b)
    wrong = wrong_numbers(a, b)
    names = exercise.axes
    for axis, name in enumerate(names):
        size = b.shape[axis]
        seen = set(np.nonzero(wrong.any(tuple(k for k in range(b.ndim) if k != axis)))[0].tolist())
        if name not in ("row", "column") and len(seen) < size:
            return f"Only some are wrong along {name}: {_list(seen)} of {size}."
    if names[-2:] == ("row", "column"):
        inner = wrong[..., 1:-1, 1:-1]
        if inner.size and not inner.any():
            return "Only pixels at the border of the image are wrong: look at what is outside it."
        rows, columns = (np.nonzero(wrong.any((*range(b.ndim - 2), k)))[0] for k in (-1, -2))
        if len(rows) < b.shape[-2] or len(columns) < b.shape[-1]:
            return f"Only rows {_list(rows)} and columns {_list(columns)} are wrong."
    return None


def _parts(exercise: Exercise, a: Array, b: Array) -> str | None:
    """Name the wrong parts of a tuple of numbers."""
    wrong = np.nonzero(wrong_numbers(a, b))[0]
    if len(exercise.axes) != b.size or len(wrong) == b.size:
        return None
    return f"Only {' and '.join(exercise.axes[k] for k in wrong)} can be wrong here."


def _list(indices: Any) -> str:
    return ", ".join(str(int(k)) for k in sorted(indices))
