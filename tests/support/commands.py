"""Run the command line as a user does."""

from __future__ import annotations

import io

from involution_edu.cli import main


def code_of(argv: list[str]) -> int | str | None:
    """Run the command line; return its exit code, however it ends."""
    try:
        return main(argv)
    except SystemExit as end:
        return end.code


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True
