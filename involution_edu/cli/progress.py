"""How far a long command has come, on the terminal's last line; nothing if there is none."""

from __future__ import annotations

import sys


def show(text: str) -> None:
    """Show ``text`` in place of the one before; "" clears the line."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text:79.79}\r")
        sys.stderr.flush()


def bar(done: int, total: int, what: str) -> None:
    """Show a bar of ``done`` steps out of ``total``; the full bar stays on the screen."""
    show(f"[{'#' * (24 * done // total):24}] {done}/{total} {what}")
    if done == total and sys.stderr.isatty():
        sys.stderr.write("\n")
