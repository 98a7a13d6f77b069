"""The result of a command: what it prints, what ``--json`` prints, and its exit code."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Protocol


class Result(Protocol):
    """What the library returns for a command."""

    @property
    def ok(self) -> bool:
        """Whether all checks passed; the exit code is 1 if not."""

    def text(self) -> str:
        """Return the result for a terminal."""

    def data(self) -> dict[str, Any]:
        """Return the result as plain lists, dicts, numbers and strings."""


@dataclass(frozen=True, slots=True)
class Message:
    """A `Result` of a text and data at hand."""

    message: str
    values: dict[str, Any]
    ok: bool = True

    def text(self) -> str:
        """Return the message."""
        return self.message

    def data(self) -> dict[str, Any]:
        """Return the values."""
        return self.values


def as_json(result: Result) -> str:
    """Return the data and ``ok`` of a result as JSON; infinity and NaN, which it lacks, as null."""
    return json.dumps({"ok": result.ok, **_finite(result.data())}, indent=2)


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
