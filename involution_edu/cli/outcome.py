"""What a command found, as text and as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command found: to be read, to be processed, and whether all is well."""

    text: str
    data: dict[str, Any]
    ok: bool = True

    def json(self) -> str:
        """Return the data as JSON, which says as well whether all is well."""
        return json.dumps({"ok": self.ok, **_finite(self.data)}, indent=2)


def _finite(data: Any) -> Any:
    """Return ``data`` with None for infinity and NaN, which JSON lacks."""
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
