"""Progress of long work: a bar with the time that is left, in a terminal or a notebook."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with the steps done, the number of steps, and a word on the last one."""


def no_progress(done: int, total: int, what: str = "") -> None:
    """Show nothing."""


def progress_bar() -> Progress:
    """Return a `Progress` that draws a tqdm bar on stderr; only on a terminal or in a notebook."""
    from tqdm.auto import tqdm

    bar = tqdm(disable=None, leave=True)

    def show(done: int, total: int, what: str = "") -> None:
        bar.total = total
        bar.set_description_str(what, refresh=False)
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return show
