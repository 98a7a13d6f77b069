"""Exercises, their tables of known mistakes, and the verdict of a check."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .figures import show
from .variants import Patched

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Function = Callable[..., Any]
Arguments = tuple[Any, ...]
Cases = Iterator[Arguments]
Index = tuple[int, ...]
Drawing = dict[str, Any]  # two-dimensional arrays by title; the first may have a window marked


class Mistake(NamedTuple):
    """A wrong answer that is known: its name, a function that gives it, and what to tell."""

    name: str
    answer: Function
    hint: str


def table(right: Function, *rows: tuple[str, str] | tuple[str, Any, str]) -> tuple[Mistake, ...]:
    """Return mistakes from rows: what is changed in the source of the right answer, and a hint.

    A change is written "old => new", several with " ; " between; each old piece occurs once in the
    source. A row may also be a name, a function and a hint; or a name, keyword arguments of
    ``right`` and a hint. Mistakes that change different pieces can be recognised together.
    """
    found = []
    for name, *how, hint in rows:
        answer: Any = how[0] if how else Patched(right, name)
        found.append(
            Mistake(name, partial(right, **answer) if isinstance(answer, dict) else answer, hint)
        )
    return tuple(found)


def both(one: Mistake, other: Mistake) -> Function | None:
    """Return the answer that makes two mistakes at once, or None if they cannot be combined."""
    a, b = one.answer, other.answer
    if isinstance(a, Patched) and isinstance(b, Patched):
        two = Patched(a.function, f"{a.changes} ; {b.changes}")
        return two if a.function is b.function and two.made() else None
    if not (isinstance(a, partial) and isinstance(b, partial) and a.func is b.func):
        return None
    return None if a.keywords.keys() & b.keywords else partial(a.func, **a.keywords, **b.keywords)


@dataclass(frozen=True, slots=True)
class Exercise:
    """A function for the learner to write.

    Attributes
    ----------
    name : str
    task : str
        The signature, and in one sentence what to return.
    right : callable
        The reference answer, written as a learner may; what is likely to go wrong is found by
        changing pieces of its source.
    cases : callable
        Called with a random generator; yields the arguments of each call: small integers first,
        then awkward sizes.
    mistakes : tuple of Mistake
    axes : tuple of str
        Names of the axes of the result; for a tuple of numbers, the name of each.
    sizes : callable, optional
        Sizes by name, of the arguments of a case; by default the arguments that are numbers.
    picture : callable, optional
        Arrays to draw, of the arguments and an index of the result.
    quick : tuple, optional
        Arguments of a large case, and the most lines of Python that may run for it.

    Examples
    --------
    >>> from involution_edu import course
    >>> exercise = course.EXERCISES["groups"]
    >>> for C, G in exercise.cases(np.random.default_rng(0)):
    ...     print(C, G, exercise.right(C, G))
    4 2 [0, 0, 1, 1]
    6 2 [0, 0, 0, 1, 1, 1]
    6 3 [0, 0, 1, 1, 2, 2]
    4 1 [0, 0, 0, 0]
    8 8 [0, 1, 2, 3, 4, 5, 6, 7]
    >>> for mistake in exercise.mistakes[:3]:
    ...     print(mistake.answer(6, 2), mistake.name)
    [0, 1, 0, 1, 0, 1] c // C_g => c % G
    [0, 0, 1, 1, 2, 2] c // C_g => c // G
    [1, 1, 1, 2, 2, 2] c // C_g => c // C_g + 1
    """

    name: str
    task: str
    right: Function
    cases: Callable[[np.random.Generator], Cases]
    mistakes: tuple[Mistake, ...]
    axes: tuple[str, ...] = ()
    sizes: Callable[..., dict[str, float]] | None = None
    picture: Callable[[Arguments, Index], Drawing] | None = None
    quick: tuple[Arguments, int] | None = None

    @property
    def parameters(self) -> list[str]:
        """The names of the arguments."""
        found = inspect.signature(self.right).parameters.values()
        return [p.name for p in found if p.kind is p.POSITIONAL_OR_KEYWORD]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a check; a notebook shows its text.

    Attributes
    ----------
    ok : bool
    text : str
    exercise : Exercise
    arguments : tuple
        Of the first case that went wrong; empty if none did.
    got, want : object
        The learner's result there, and the right one.
    index : tuple of int, optional
        The first wrong number of an array.

    Examples
    --------
    >>> from involution_edu import course
    >>> def groups(C, G):
    ...     return [c % G for c in range(C)]
    >>> verdict = course.check(groups)
    >>> verdict.ok, verdict.arguments, verdict.got, verdict.want
    (False, (4, 2), [0, 1, 0, 1], [0, 0, 1, 1])
    """

    ok: bool
    text: str
    exercise: Exercise
    arguments: Arguments = ()
    got: Any = None
    want: Any = None
    index: Index | None = None

    def __repr__(self) -> str:
        return self.text

    def show(self) -> Figure:
        """Return a figure of the first wrong number: what it is made of, yours and the right one.

        Examples
        --------
        >>> from involution_edu import course
        >>> def apply(kernel, window):
        ...     return (kernel * window).mean()
        >>> [axes.get_title() for axes in course.check(apply).show().axes]
        ['window (3 × 3)', 'kernel (3 × 3)', 'products (3 × 3)', 'yours (1 × 1)', 'right (1 × 1)', '']
        """
        drawing: Drawing = {}
        want = np.asarray(self.want, float)
        index = self.index or (0,) * want.ndim
        if self.exercise.picture is not None and self.arguments:
            drawing = self.exercise.picture(self.arguments, index)
        for name, result in (("yours", self.got), ("right", self.want)):
            if self.index is not None or name == "right":
                drawing[name] = _drawn(np.asarray(result, float), index)
        return show(**drawing)


def _drawn(result: np.ndarray, index: Index) -> np.ndarray:
    """Return one number of an array, or a whole list as a row; infinity has no colour, as NaN."""
    result = np.where(np.isfinite(result), result, np.nan)
    return result[index].reshape(1, 1) if result.ndim != 1 else result[None]
