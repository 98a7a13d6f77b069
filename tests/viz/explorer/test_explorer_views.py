"""The explorer page on screens and in notebooks, its accessibility and its security policy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import needs
import numpy as np
from browser import opened, saved, settle, text
from explorer_cases import HOSTILE

from involution_edu.viz.explorer import explorer

pytestmark = needs.browser


def test_copying_gives_the_text(photo_page: Any, browser: Any) -> None:
    path, _ = photo_page
    permissions = ["clipboard-read", "clipboard-write"]
    with opened(browser, path, "#tab=numpy", permissions=permissions) as tab:
        tab.click("#copy")
        tab.locator("#copied", has_text="Copied.").wait_for()
        assert tab.evaluate("navigator.clipboard.readText()") == text(tab, "#numpy")


def test_a_hostile_name_is_shown_and_nothing_more(photo_page: Any, browser: Any) -> None:
    path, _ = photo_page
    with opened(browser, path) as tab:
        assert text(tab, "#about") == HOSTILE
        assert tab.evaluate("window.hacked") is None
        assert tab.locator("img").count() == 0


def test_the_policy_stops_what_is_not_the_page(photo_page: Any, browser: Any) -> None:
    path, _ = photo_page
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(path.as_uri())
    blocked = tab.evaluate("""() => new Promise((resolve) => {
        const found = [];
        document.addEventListener("securitypolicyviolation", (event) => {
            found.push(event.effectiveDirective);
            if (found.length === 3) resolve(found.sort());
        });
        const script = document.createElement("script");
        script.textContent = "window.hacked = 1";
        document.body.append(script);
        fetch("https://example.org/").catch(() => {});
        document.body.append(Object.assign(new Image(), {src: "https://example.org/a.png"}));
    })""")
    assert blocked == ["connect-src", "img-src", "script-src-elem"]
    assert tab.evaluate("window.hacked") is None
    context.close()


def test_the_page_of_the_documentation_links_to_it(photo_page: Any, browser: Any) -> None:
    path, _ = photo_page
    with opened(browser, path) as tab:
        settle(tab)
        assert tab.is_hidden("#docs")
    context = browser.new_context()
    tab = context.new_page()
    body = path.read_text(encoding="utf-8")
    tab.route("**/*", lambda route: route.fulfill(body=body, content_type="text/html"))
    tab.goto("http://docs.invalid/explorer.html")
    assert tab.is_visible("#docs")
    tab.click("#docs")
    assert tab.url == "http://docs.invalid/index.html"
    context.close()


def test_nothing_moves_by_itself_where_motion_is_reduced(photo_page: Any, browser: Any) -> None:
    path, _ = photo_page
    duration = "parseFloat(getComputedStyle(document.querySelector('button')).transitionDuration)"
    for motion, still in (("reduce", True), ("no-preference", False)):
        with opened(browser, path, reduced_motion=motion) as tab:
            settle(tab)
            assert (tab.evaluate(duration) == 0) == still


def test_everything_to_be_used_has_a_name(group_page: Any, browser: Any) -> None:
    path, _ = group_page
    with opened(browser, path) as tab:
        settle(tab)
        for role in ("button", "slider", "combobox", "radio", "application", "img", "group"):
            found = tab.get_by_role(role)
            assert found.count() > 0, role
            assert tab.get_by_role(role, name=re.compile(r"\w|[◀▶]")).count() == found.count(), role
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.id") == "explain"


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2, from "rgb(1, 2, 3)"."""
    part = np.array(re.findall(r"\d+", colour)[:3], float) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def test_every_number_can_be_read_on_its_colour(photo_page: Any, browser: Any) -> None:
    path, _ = photo_page
    colours = """() => Array.from({length: 201}, (_, n) => {
        const { ink, css } = explorer.shadeOf(n / 100 - 1);
        return [ink, css];
    })"""
    with opened(browser, path) as tab:
        shades = tab.evaluate(colours)
    for ink, paper in shades:
        dark, light = sorted(
            (luminance({"#000": "0 0 0", "#fff": "255 255 255"}[ink]), luminance(paper))
        )
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, paper)
    assert len({paper for _, paper in shades}) > 150


def test_a_notebook_shows_it_without_a_kernel(group_page: Any, browser: Any, folder: Path) -> None:
    _, trace = group_page
    outer = f"<!doctype html><title>n</title><body>{explorer(trace)._repr_html_()}</body>"
    with opened(browser, saved(folder, "notebook", outer)) as tab:
        frame = tab.frame_locator("iframe")
        frame.locator("#checked[data-ok=true]").wait_for()
        before = frame.locator("#equation").text_content()
        frame.locator("#input").press("ArrowRight")
        tab.wait_for_timeout(50)
        assert frame.locator("#equation").text_content() != before
        frame.locator("#t-numpy").click()
        frame.locator("#copy").click()
        frame.locator("#copied:not(:empty)").wait_for()


def test_a_converted_notebook_shows_it(group_page: Any, browser: Any, folder: Path) -> None:
    nbformat = needs.package("nbformat")
    nbconvert = needs.package("nbconvert")
    _, trace = group_page
    data = {"text/html": explorer(trace)._repr_html_(), "text/plain": "Explorer"}
    output = nbformat.v4.new_output("display_data", data=data)
    cell = nbformat.v4.new_code_cell("page", outputs=[output])
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbformat.validate(notebook)
    converted, _ = nbconvert.HTMLExporter(template_name="basic").from_notebook_node(notebook)
    with opened(browser, saved(folder, "converted", converted)) as tab:
        tab.frame_locator("iframe").locator("#checked[data-ok=true]").wait_for()
