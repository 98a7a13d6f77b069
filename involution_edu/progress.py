"""Progress of long work: a bar with the remaining time, in a terminal or a notebook."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

Progress = Callable[[int, int, str], None]
"""Called with the steps done, the number of steps (0: unknown) and a word on the last one."""

# The text comes last: a narrow terminal cuts it, not the remaining time.
FORMAT = "{percentage:3.0f}%|{bar:8}| [{elapsed}<{remaining}] {desc}"

_bars: list[Any] = []  # those that may be on the screen


def no_progress(done: int, total: int, what: str = "") -> None:
    """Show nothing."""


def progress_bar() -> Progress:
    """Return a `Progress` that draws a tqdm bar on stderr, only on a terminal or in a notebook."""
    bar: Any = None

    def show(done: int, total: int, what: str = "") -> None:
        nonlocal bar
        if bar is None:
            from tqdm.auto import tqdm

            off = None if sys.stderr else True  # closed; None: if it is no terminal
            how: dict[str, Any] = {"miniters": 1, "dynamic_ncols": True, "bar_format": FORMAT}
            bar = tqdm(desc=what, total=total or None, disable=off, **how)
            _bars.append(bar)
        bar.set_description_str(what, refresh=False)
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return show


def clear_progress() -> None:
    """Remove bars that are not full, so that what is printed next starts its own line."""
    while _bars:
        bar = _bars.pop()
        bar.leave = False
        bar.close()
