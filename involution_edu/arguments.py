"""Argument checks, and an error with the name, the value and the need of an argument."""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Iterable
from sys import float_info
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pair = tuple[int, int]
IntOrPair = int | tuple[int, int]
Rng = np.random.Generator | int | None

MAX_INT = 2**31 - 1  # compiled backends count pixels in C ints

_SHORT = reprlib.Repr()
_SHORT.maxstring, _SHORT.maxother, _SHORT.maxlevel = 80, 80, 2


def quoted(value: object) -> str:
    """Return ``repr(value)`` on one line, shortened; `files.shown` is for text without quotes."""
    return " ".join(_SHORT.repr(value).split())


class ArgumentError(ValueError):
    """An argument that cannot be used: its name, what it got, and the accepted values, if known.

    >>> print(ArgumentError("stride[1]", "is 0", "an int >= 1"))
    stride[1] is 0; need an int >= 1
    """

    def __init__(self, name: str, got: str, need: str = "") -> None:
        super().__init__(name, got, need)
        self.name, self.got, self.need = name, got, need

    def __str__(self) -> str:
        return f"{self.name} {self.got}" + (f"; need {self.need}" if self.need else "")


class WrongTypeError(ArgumentError, TypeError):
    """An `ArgumentError` about a type or dtype; also a `TypeError`."""


def as_int(name: str, value: object, minimum: int = 1, maximum: int = MAX_INT) -> int:
    """Return ``value`` as an int from ``minimum`` to ``maximum``; a float or bool is refused."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise WrongTypeError(name, f"is {quoted(value)}", f"an int >= {minimum}") from None
    if not minimum <= number <= maximum:
        need = f">= {minimum}" if number < minimum else f"<= {maximum}"
        raise ArgumentError(name, f"is {quoted(value)}", f"an int {need}")
    return number


def as_pair(name: str, value: object, minimum: int = 1) -> Pair:
    """Return ``value`` as a (rows, columns) pair of ints from ``minimum``; one int counts twice."""
    if not isinstance(value, tuple | list):
        number = as_int(name, value, minimum)
        return number, number
    if len(value) != 2:
        raise ArgumentError(name, f"is {quoted(value)}", "one int or a pair (rows, columns)")
    return as_int(f"{name}[0]", value[0], minimum), as_int(f"{name}[1]", value[1], minimum)


def as_number(name: str, value: object, maximum: float | None = None) -> float:
    """Return ``value`` as a finite float of at least 0, and at most ``maximum``."""
    limit = float_info.max if maximum is None else maximum
    if isinstance(value, int | float | np.floating) and 0 <= value <= limit:
        return float(value)
    need = "of at least 0" if maximum is None else f"from 0 to {maximum}"
    raise ArgumentError(name, f"is {quoted(value)}", f"a number {need}")


def as_choice(name: str, value: str, choices: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``choices``."""
    choices = list(choices)
    if value not in choices:
        raise ArgumentError(name, f"is {quoted(value)}", one_of(value, choices))
    return value


def one_of(value: object, choices: list[str]) -> str:
    """Return the need for one of ``choices``, with the one that ``value`` is close to, if any."""
    from difflib import get_close_matches  # 2 ms, for errors alone

    close = get_close_matches(str(value).lower(), choices, 1)
    hint = "".join(f"; did you mean {match!r}?" for match in close)
    return f"one of {', '.join(map(repr, choices))}{hint}"


def as_generator(rng: Rng) -> np.random.Generator:
    """Return ``rng`` itself, or a new generator seeded with it."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError):
        need = "a Generator, an int >= 0 or None"
        raise ArgumentError("rng", f"is {quoted(rng)}", need) from None


def check_shape(name: str, a: NDArray[Any], shape: tuple[int, ...], axes: str) -> None:
    """Raise `ArgumentError` unless ``a`` has ``shape``, whose axes are spelled in ``axes``."""
    if a.shape != shape:
        raise ArgumentError(name, f"has shape {a.shape}", f"{axes} = {shape}")
