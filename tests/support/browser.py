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
    """Start a browser; no page of it may have an error or ask for anything but itself."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium's own sandbox does not run as root, as in most containers.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, path: Path, address: str = "", **options: Any) -> Iterator[Any]:
    """Open a file and wait until its scripts have run; fail on an error or a request."""
    options.setdefault("viewport", {"width": 1280, "height": 900})
    context = browser.new_context(**options)
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
    page.on("request", lambda request: troubles.append(f"request: {request.url}"))
    page.goto(path.as_uri() + address)
    try:
        yield page
        settle(page)
    finally:
        context.close()
    assert troubles[0] == f"request: {path.as_uri()}", troubles
    assert not troubles[1:], troubles


def settle(page: Any) -> None:
    """Wait until the page has drawn what was last asked of it."""
    page.evaluate("() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")


def saved(folder: Path, name: str, html: str) -> Path:
    """Write a page to a file of the name, less what file names may lack."""
    path = folder / (re.sub(r"\W+", "-", name) + ".html")
    path.write_text(html, encoding="utf-8")
    return path


def array(tab: Any, expression: str, shape: tuple[int, ...]) -> Array:
    """Return what an expression is in the page."""
    return np.array(tab.evaluate(f"Array.from({expression})")).reshape(shape)


def text(tab: Any, selector: str) -> str:
    """Return the text of an element."""
    settle(tab)
    return str(tab.text_content(selector))


def at(tab: Any) -> list[int]:
    """Return the pixel that the page looks at."""
    settle(tab)
    return list(tab.evaluate("explorer.state.at"))


def hover(tab: Any, name: str, pixel: tuple[int, int], size: tuple[int, int]) -> None:
    """Move the mouse over a pixel of a picture of a size."""
    settle(tab)
    box = tab.locator(f"#{name}").bounding_box()
    (i, j), (rows, columns) = pixel, size
    place = {"x": (j + 0.5) * box["width"] / columns, "y": (i + 0.5) * box["height"] / rows}
    tab.hover(f"#{name}", position=place)
