"""The explorer page on screens: positions, touch targets, colours and the cost of a move."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from browser import at, hover, opened, saved, settle
from explorer_cases import layer_of

from involution_edu.viz import record
from involution_edu.viz.explorer import explorer

pytestmark = needs.browser
ONE_VIEW = "input", "kernel", "output", "window", "factor", "products", "equation", "tabs"
MAX_MOVE = 8.0  # milliseconds of script, style and layout; about 3 on two quiet cores


def boxes(frame: Any, *names: str) -> dict[str, dict[str, float]]:
    return {name: frame.locator(f"#{name}").bounding_box() for name in names}


def inside(box: dict[str, float], width: float, height: float) -> bool:
    right, bottom = box["x"] + box["width"], box["y"] + box["height"]
    return box["x"] >= 0 and box["y"] >= 0 and right <= width and bottom <= height


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 720), (900, 608)])
def test_all_of_it_is_in_one_view(
    size: tuple[int, int], scheme: str, photo_page: Any, browser: Any
) -> None:
    path, _ = photo_page
    viewport = {"width": size[0], "height": size[1]}
    with opened(browser, path, viewport=viewport, color_scheme=scheme) as tab:
        settle(tab)
        found = boxes(tab, *ONE_VIEW)
        for name, box in found.items():
            assert inside(box, *size), (name, box)
        assert found["kernel"]["width"] >= size[1] / 3, "the kernel is large"
        for row in ("header", "#bar"):
            assert tab.locator(row).bounding_box()["height"] <= 44, "one line"
        assert tab.evaluate("document.documentElement.scrollWidth") <= size[0]
        paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(20, 23, 29)") == (scheme == "dark")


def test_a_notebook_shows_all_of_it_in_its_frame(
    group_page: Any, browser: Any, folder: Path
) -> None:
    _, trace = group_page
    outer = f"<!doctype html><body style='margin: 0'>{explorer(trace)._repr_html_()}</body>"
    viewport = {"width": 900, "height": 700}
    with opened(browser, saved(folder, "frame", outer), viewport=viewport) as tab:
        frame = tab.frame_locator("iframe")
        frame.locator("#checked[data-ok=true]").wait_for()
        settle(tab)
        for name, box in boxes(frame, "input", "kernel", "output", "window", "products").items():
            assert inside(box, 900, 608), (name, box)


def test_a_phone_shows_the_kernel_under_the_input(photo_page: Any, browser: Any) -> None:
    path, _ = photo_page
    viewport = {"width": 390, "height": 844}
    with opened(browser, path, viewport=viewport, has_touch=True) as tab:
        settle(tab)
        found = boxes(tab, "input", "kernel", "output")
        for name, box in found.items():
            assert inside(box, 390, 844), (name, box)
        assert found["input"]["width"] >= 340
        assert found["kernel"]["y"] >= found["input"]["y"] + found["input"]["height"]
        unit = found["input"]["width"] / 13
        tab.touchscreen.tap(found["input"]["x"] + 2.5 * unit, found["input"]["y"] + 1.5 * unit)
        assert at(tab) == [1, 2]
        for name in ("sum", "made", "paint", "pins", "maps", "numpy"):
            tab.evaluate(f"explorer.change({{tab: '{name}'}})")
            settle(tab)
            assert tab.evaluate("document.documentElement.scrollWidth") <= 390, name
            small = tab.eval_on_selector_all(
                "button, select, .button, fieldset label, input[type=range], input[type=color]",
                """all => all.filter((e) => e.offsetParent && e.offsetHeight < 44)
                    .map((e) => e.id || e.outerHTML)""",
            )
            assert not small, name


def test_the_strip_stays_while_the_input_is_scrolled(photo_page: Any, browser: Any) -> None:
    path, _ = photo_page
    with opened(browser, path, viewport={"width": 390, "height": 600}) as tab:
        settle(tab)
        assert inside(tab.locator("#kernel").bounding_box(), 390, 600)
        assert inside(tab.locator("#output").bounding_box(), 390, 600)


def test_a_move_costs_little(photo_page: Any, browser: Any) -> None:
    path, _ = photo_page
    with opened(browser, path) as tab:
        session = tab.context.new_cdp_session(tab)
        session.send("Performance.enable")

        def spent() -> float:
            found = session.send("Performance.getMetrics")["metrics"]
            parts = {metric["name"]: metric["value"] for metric in found}
            names = "ScriptDuration", "RecalcStyleDuration", "LayoutDuration"
            return float(sum(parts[name] for name in names))

        costs = []
        for i in range(10):
            before = spent()
            for j in (1, 5, 9, 12):
                hover(tab, "input", (i, j), (10, 13))
                settle(tab)
            costs.append(1000 * (spent() - before) / 4)
        # The quickest row of pixels: other processes are measured too.
        assert min(costs) <= MAX_MOVE, costs


def test_high_contrast_keeps_colours_and_pressed_states(photo_page: Any, browser: Any) -> None:
    path, _ = photo_page
    colour = "e => getComputedStyle(e).backgroundColor"
    with opened(browser, path, "#pinned=1", forced_colors="active") as tab:
        settle(tab)
        pinned, other = (tab.eval_on_selector(name, colour) for name in ("#pin", "#explain"))
        assert pinned != other
        chosen, another = (tab.eval_on_selector(name, colour) for name in ("#t-sum", "#t-maps"))
        assert chosen != another
        swatch = tab.eval_on_selector("#from", colour)
        assert swatch == tab.eval_on_selector("#from", "e => e.style.backgroundColor")


def test_no_letter_is_cut_off(browser: Any, folder: Path) -> None:
    x = np.random.default_rng(0).standard_normal((1, 3, 60, 60)).astype(np.float32)
    path = saved(folder, "corners", explorer(record(layer_of("RGB, one group"), x)).html)
    for corner in ((0, 0), (59, 59)):
        address = f"#at=4,5&b={corner[0]},{corner[1]}"
        with opened(browser, path, address) as tab:
            settle(tab)
            centre = np.array(
                tab.evaluate("""() => {
                    const pens = CanvasRenderingContext2D.prototype;
                    const [original, found] = [pens.arc, []];
                    pens.arc = function (x, y, radius, ...rest) {
                        const { a, d } = this.getTransform();
                        const { width, height } = this.canvas;
                        found.push([x * a, y * d, radius * a, width, height]);
                        return original.call(this, x, y, radius, ...rest);
                    };
                    explorer.render();
                    pens.arc = original;
                    return found;
                }""")
            )
        assert len(centre) == 2
        for x, y, radius, width, height in centre:
            assert radius <= x <= width - radius
            assert radius <= y <= height - radius
