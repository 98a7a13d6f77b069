"""Formatting shared by the results of the checks, for a terminal of 80 columns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict
from textwrap import fill
from typing import Any


class Lines(ABC):
    """A dataclass that prints as lines."""

    __slots__ = ()

    @abstractmethod
    def lines(self) -> Iterator[str]:
        """Yield the lines of the text."""

    def text(self) -> str:
        """Return the lines as one text."""
        return "\n".join(self.lines())

    def data(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]


def number(value: float) -> str:
    """Return an error in two digits, such as 1.2e-07."""
    return f"{value:.1e}" if value else "0"


def wrapped(text: str) -> str:
    """Return a paragraph, indented after its first line."""
    return fill(text, 80, subsequent_indent="  ", break_long_words=False)
