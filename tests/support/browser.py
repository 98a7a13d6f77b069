"""A headless Chromium for the tests of the pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from needs import CHROMIUM

from involution_edu.arrays import Array


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium's own sandbox does not run as root, as in most containers.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, path: Path, address: str = "", **options: Any) -> Iterator[Any]:
    """Open a file and wait until its scripts have run; fail on any error or network request."""
    options.setdefault("viewport", {"width": 1280, "height": 900})
    context = browser.new_context(**options)
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("request", lambda request: problems.append(f"request: {request.url}"))
    page.goto(path.as_uri() + address)
    try:
        yield page
        settle(page)
    finally:
        context.close()
    assert problems[0] == f"request: {path.as_uri()}", problems
    assert not problems[1:], problems


def settle(page: Any) -> None:
    """Wait until the page has drawn its latest state."""
    page.evaluate("() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")


def saved(folder: Path, name: str, html: str) -> Path:
    """Write a page to a file whose name has only letters, digits and hyphens."""
    path = folder / (re.sub(r"\W+", "-", name) + ".html")
    path.write_text(html, encoding="utf-8")
    return path


def array(tab: Any, expression: str, shape: tuple[int, ...]) -> Array:
    """Evaluate an expression in the page; return it as an array."""
    return np.array(tab.evaluate(f"Array.from({expression})")).reshape(shape)


def text(tab: Any, selector: str) -> str:
    """Return the text of an element."""
    settle(tab)
    return str(tab.text_content(selector))


def at(tab: Any) -> list[int]:
    """Return the selected pixel."""
    settle(tab)
    return list(tab.evaluate("explorer.state.at"))


def calls(tab: Any, method: str, name: str) -> list[list[Any]]:
    """Draw the explorer again; return the arguments of each call of a method of a canvas's pen."""
    settle(tab)
    found = tab.evaluate(
        """([method, name]) => {
            const pens = CanvasRenderingContext2D.prototype;
            const [original, found] = [pens[method], []];
            pens[method] = function (...given) {
                if (this.canvas.id === name) found.push(given);
                return original.apply(this, given);
            };
            explorer.render();
            pens[method] = original;
            return found;
        }""",
        [method, name],
    )
    assert isinstance(found, list)
    return found


def drawn(tab: Any, name: str) -> Array:
    """Return the numbers written in the cells of a grid (rows, columns)."""
    rows: dict[float, list[float]] = {}
    for words, _, y in calls(tab, "fillText", name):
        rows.setdefault(y, []).append(float(words.replace("−", "-")))
    return np.array(list(rows.values()))


def hover(tab: Any, name: str, pixel: tuple[int, int], size: tuple[int, int]) -> None:
    """Move the mouse over a pixel of a picture of ``size`` (rows, columns)."""
    settle(tab)
    box = tab.locator(f"#{name}").bounding_box()
    (i, j), (rows, columns) = pixel, size
    position = {"x": (j + 0.5) * box["width"] / columns, "y": (i + 0.5) * box["height"] / rows}
    tab.hover(f"#{name}", position=position)
