"""The explorer page in a browser: mouse, keyboard, paint and address."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from browser import array, at, calls, drawn, hover, opened, saved, settle, text
from explorer_cases import layer_of, x_of

from involution_edu.cases import scaled_error
from involution_edu.images import MEAN, STD
from involution_edu.viz import record
from involution_edu.viz.explorer import explorer

pytestmark = needs.browser
TOLERANCE = 1e-5


def test_hovering_shows_the_numbers_of_the_pixel(photo_page: Any, browser: Any) -> None:
    path, trace = photo_page
    with opened(browser, path) as tab:
        for name, pixel in (("input", (0, 2)), ("output", (7, 12))):
            hover(tab, name, pixel, (10, 13))
            assert at(tab) == list(pixel)
            for box, a in (
                ("window", trace.patches[0, 0, 0][pixel]),
                ("kernel", trace.kernels[0, 0][pixel]),
                ("factor", trace.kernels[0, 0][pixel]),
                ("products", trace.products(*pixel)[0, 0, 0]),
            ):
                np.testing.assert_allclose(drawn(tab, box), a, rtol=0, atol=0.00501)
            y = trace.y[0, 0][pixel]
            shown = text(tab, "#equation")
            assert shown.startswith(f"y[red, {pixel[0]}, {pixel[1]}] = Σ of 25 products = ")
            assert abs(float(shown.split(" = ")[-1].replace("−", "-")) - y) <= 0.000501
        # Outside the picture is marked, not only white.
        hover(tab, "input", (0, 0), (10, 13))
        assert len(calls(tab, "stroke", "window")) == 25 - 9
        assert "outside" in text(tab, "#c-window")


def test_a_pinned_pixel_stays_until_it_is_clicked_again(photo_page: Any, browser: Any) -> None:
    path, _ = photo_page
    with opened(browser, path) as tab:
        hover(tab, "input", (4, 5), (10, 13))
        tab.mouse.down()
        tab.mouse.up()
        hover(tab, "input", (8, 1), (10, 13))
        assert at(tab) == [4, 5]
        assert text(tab, "#pin") == "pinned: click to release"
        tab.click("#pin")
        hover(tab, "input", (8, 2), (10, 13))
        assert at(tab) == [8, 2]


def test_the_keyboard_does_all_that_the_mouse_does(photo_page: Any, browser: Any) -> None:
    path, trace = photo_page
    with opened(browser, path, "#at=4,5&b=0,0") as tab:
        tab.focus("#input")
        for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowUp", "ArrowUp"):
            tab.keyboard.press(key)
        assert at(tab) == [3, 7]
        tab.keyboard.press("Shift+ArrowLeft")
        assert at(tab) == [3, 2]
        for _ in range(4):
            tab.keyboard.press("ArrowUp")
        assert at(tab) == [0, 2], "the border stops it"
        tab.keyboard.press("b")
        settle(tab)
        assert tab.evaluate("explorer.state.other") == [0, 2]
        tab.keyboard.press("Escape")
        assert text(tab, "#pin") == "pin this pixel"
        tab.keyboard.press("Enter")
        assert text(tab, "#pin") == "pinned: click to release"
        tab.keyboard.press("p")
        tab.click("#t-paint")
        assert "25 numbers changed" in text(tab, "#paint-said")

        for key in ("ArrowLeft", "ArrowLeft"):
            tab.keyboard.press(key)
        assert tab.evaluate("document.activeElement.id") == "t-sum"
        tab.focus("#kernel")
        for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
            tab.keyboard.press(key)
        settle(tab)
        assert tab.evaluate("explorer.state.tap") == 6
        for grid in ("kernel", "factor", "window", "products"):
            assert len(calls(tab, "strokeRect", grid)) == 1, grid
        assert "Row 1, column 1 of the window" in text(tab, "#detail")
        tab.locator("#live", has_text="Row 1, column 1 of the window").wait_for()
        assert trace.geom.window == (5, 5)


def test_stepping_over_the_window_adds_up(photo_page: Any, browser: Any) -> None:
    path, trace = photo_page
    with opened(browser, path, "#at=4,5") as tab:
        tab.select_option("#walk", "taps")
        partial = trace.products(4, 5)[0, 0, 0].ravel().cumsum()
        for n in range(3):
            tab.click("#forth")
            shown = text(tab, "#equation")
            assert f"after {n + 1} of 25 products" in shown
            assert abs(float(shown.split(" = ")[-1].replace("−", "-")) - partial[n]) <= 0.000501
        tab.click("#back")
        assert "after 2 of 25" in text(tab, "#equation")
        tab.fill("#scrub", "24")
        assert "after 25 of 25" in text(tab, "#equation")


def test_playing_and_scrubbing_move_through_the_picture(photo_page: Any, browser: Any) -> None:
    path, _ = photo_page
    with opened(browser, path, "#at=0,11") as tab:
        tab.click("#forth")
        tab.click("#forth")
        assert at(tab) == [1, 0]
        tab.fill("#scrub", "129")
        assert at(tab) == [9, 12]
        tab.click("#forth")
        assert at(tab) == [0, 0], "after the last comes the first"
        tab.click("#play")
        for _ in range(500):
            if at(tab) >= [0, 4]:
                break
            tab.wait_for_timeout(20)
        assert at(tab) >= [0, 4]
        assert text(tab, "#play") == "Pause"
        tab.click("#play")
        stopped = at(tab)
        tab.wait_for_timeout(100)
        assert at(tab) == stopped


def test_groups_and_channels_choose_the_kernel(group_page: Any, browser: Any) -> None:
    path, trace = group_page
    with opened(browser, path, "#at=2,3") as tab:
        for c in (1, 5):
            tab.click(f"label[for=channels-{c}]")
            g, r = divmod(c, trace.geom.C_g)
            kernel, window = trace.kernels[0, g, 2, 3], trace.patches[0, g, r, 2, 3]
            np.testing.assert_allclose(drawn(tab, "kernel"), kernel, rtol=0, atol=0.00501)
            np.testing.assert_allclose(drawn(tab, "window"), window, rtol=0, atol=0.00501)
        tab.get_by_role("button", name="group 0").click()
        settle(tab)
        assert tab.evaluate("explorer.state.c") == 2, "the same place in the other group"
        assert "channels 0 to 2" in text(tab, "#c-kernel")


def test_many_channels_are_chosen_from_a_list(browser: Any, folder: Path) -> None:
    trace = record(layer_of("sixteen channels"), x_of("sixteen channels"))
    with opened(browser, saved(folder, "many", explorer(trace).html), "#at=2,3&c=13") as tab:
        channel = tab.get_by_role("combobox", name="channel")
        for c in (13, 6):
            settle(tab)
            assert channel.input_value() == str(c)
            g, r = divmod(c, trace.geom.C_g)
            window = trace.patches[0, g, r, 2, 3]
            np.testing.assert_allclose(drawn(tab, "window"), window, rtol=0, atol=0.00501)
            channel.select_option("6")
        tab.get_by_role("button", name="group 3").click()
        settle(tab)
        assert channel.input_value() == "14"


def test_paint_changes_the_kernel_of_its_own_pixel_alone(photo_page: Any, browser: Any) -> None:
    path, trace = photo_page
    (i, j), shape = (4, 5), (10, 13, 1, 5, 5)
    layer = layer_of("RGB, one group")
    with opened(browser, path, f"#at={i},{j}&tab=paint") as tab:
        before = array(tab, "explorer.run.kernels", shape)
        y = array(tab, "explorer.run.y", trace.y[0].shape)

        tab.click("#paint-neighbour")
        said = text(tab, "#paint-said")
        after = array(tab, "explorer.run.kernels", shape)
        np.testing.assert_array_equal(after[i, j], before[i, j])
        assert "Its kernel: not one of 25 numbers changed." in said
        assert re.search(r"Its output went from \S+ to \S+\.", said)
        changed = (after != before).any(axis=(2, 3, 4))
        assert np.argwhere(changed).tolist() == [[i, j + 1]]

        tab.fill("#brush", "#ff8000")
        tab.click("#paint-own")
        assert "Its kernel: 25 of 25 numbers changed" in text(tab, "#paint-said")
        # All of it is what the layer itself makes of the painted picture.
        painted = trace.x.copy()
        for pixel, colour in (((i, j + 1), (192, 96, 42)), ((i, j), (255, 128, 0))):
            painted[0, :, *pixel] = (np.array(colour) - MEAN) / STD
        again = record(layer, painted)
        got = array(tab, "explorer.run.y", trace.y[0].shape)
        assert scaled_error(got, again.y[0].astype(float)) <= 1e-4  # four digits of paint
        reached = (got != y).any(axis=0)
        rows, columns = np.nonzero(reached)
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 6, 3, 8)
        np.testing.assert_allclose(
            drawn(tab, "kernel"), again.kernels[0, 0, i, j], rtol=0, atol=0.0052
        )

        tab.click("#paint-undo")
        settle(tab)
        np.testing.assert_array_equal(array(tab, "explorer.run.kernels", shape), before)
        np.testing.assert_array_equal(array(tab, "explorer.run.y", y.shape), y)
        assert tab.is_disabled("#paint-undo")


def test_paint_reaches_what_it_should_at_a_stride(browser: Any, folder: Path) -> None:
    name = "stride 2, odd sizes"
    trace = record(layer_of(name), x_of(name))
    with opened(
        browser, saved(folder, "paint", explorer(trace).html), "#at=1,2&c=3&tab=paint"
    ) as tab:
        tab.click("#paint-own")
        settle(tab)
        painted = array(tab, "explorer.run.x", trace.x[0].shape)
        y = array(tab, "explorer.run.y", trace.y[0].shape)
    changed = np.argwhere(painted != trace.x[0])
    assert changed.tolist() == [[3, 2, 4]]
    x = trace.x.copy()
    x[0] = painted
    assert scaled_error(y, record(layer_of(name), x).y[0].astype(float)) <= TOLERANCE


def test_labels_of_a_narrow_output_are_not_over_each_other(photo_page: Any, browser: Any) -> None:
    for width, in_a_row in ((390, False), (1280, True)):
        with opened(browser, photo_page[0], viewport={"width": width, "height": 844}) as tab:
            left, right = (y for words, _, y in calls(tab, "fillText", "output") if len(words) > 9)
        assert (left == right) is in_a_row


def test_painting_with_the_mouse(photo_page: Any, browser: Any) -> None:
    path, _ = photo_page
    with opened(browser, path, "#at=4,5&pinned=1") as tab:
        tab.click("#paint-mode")
        hover(tab, "input", (2, 3), (10, 13))
        tab.mouse.down()
        hover(tab, "input", (2, 6), (10, 13))
        tab.mouse.up()
        settle(tab)
        assert at(tab) == [4, 5]
        stroke = {f"2,{w},{c}" for w in range(3, 7) for c in range(3)}  # without gaps
        assert set(tab.evaluate("[...explorer.painted.keys()]")) == stroke


def test_the_address_brings_everything_back(photo_page: Any, browser: Any) -> None:
    path, trace = photo_page
    with opened(browser, path) as tab:
        hover(tab, "input", (6, 9), (10, 13))
        tab.mouse.down()
        tab.mouse.up()
        tab.click("label[for=channels-2]")
        tab.click("label[for=views-channel]")
        tab.click("#t-pins")
        tab.click("#keep")
        tab.click("#t-paint")
        tab.click("#paint-own")
        tab.fill("#density", "7")
        tab.focus("#input")
        tab.keyboard.press("ArrowLeft")
        tab.wait_for_url("**at=6,8**paint=*")
        address = "#" + tab.url.partition("#")[2]
        state = tab.evaluate("explorer.state")
        y = array(tab, "explorer.run.y", trace.y[0].shape)
    assert state["at"] == [6, 8]
    with opened(browser, path, address) as tab:
        settle(tab)
        assert tab.evaluate("explorer.state") == state
        np.testing.assert_array_equal(array(tab, "explorer.run.y", y.shape), y)
        assert tab.is_visible("#p-paint")
        tab.click("#t-sum")
        assert tab.is_checked("#views-channel")


@pytest.mark.parametrize(
    "address",
    [
        "#at=99,0&c=-1&tap=25&b=x,y&view=<script>",
        "#at=1,2,3&c=1e0&tap=&paint=1,2,9,0;a,b,c,d;1,2,0,Infinity;;1,2,0,1,1",
        "#at=__proto__&paint=0,0,0,%22%3E%3Cimg%20src=x%3E",
        "#%",
    ],
)
def test_an_address_that_makes_no_sense_is_passed_over(
    address: str, photo_page: Any, browser: Any
) -> None:
    path, _ = photo_page
    with opened(browser, path) as tab:
        plain = tab.evaluate("explorer.state")
    with opened(browser, path, address) as tab:
        settle(tab)
        assert tab.evaluate("explorer.state") == plain
        assert tab.evaluate("explorer.painted.size") == 0


def test_a_minute_of_explanation_visits_every_panel(photo_page: Any, browser: Any) -> None:
    path, trace = photo_page
    with opened(browser, path, "#at=4,5&b=8,1") as tab:
        assert tab.is_hidden("#tour")
        tab.click("#explain")
        assert "row 4, column 5" in text(tab, "#tour-text")
        toured = []
        for _ in range(6):
            settle(tab)
            below = tab.get_attribute(".toured", "id") == "below"
            toured.append(
                tab.get_attribute(
                    "[role=tab][aria-selected=true]" if below else ".toured",
                    "id" if below else "class",
                )
            )
            tab.keyboard.press("Enter")  # the next one has the focus
        panels = [f"panel {name} toured" for name in ("input", "kernel", "output")]
        assert toured == [panels[0], "t-made", "t-sum", panels[1], "t-sum", panels[2]]
        assert at(tab) == [8, 1]
        np.testing.assert_allclose(
            drawn(tab, "kernel"), trace.kernels[0, 0, 8, 1], rtol=0, atol=0.00501
        )
        tab.keyboard.press("Enter")
        assert at(tab) == [4, 5]
        assert text(tab, "#tour-next") == "Done"
        tab.keyboard.press("Enter")
        assert tab.is_hidden("#tour")
        assert tab.evaluate("document.activeElement.id") == "explain"
        assert tab.locator(".toured").count() == 0
        tab.click("#explain")
        tab.keyboard.press("Escape")
        assert tab.is_hidden("#tour")


def test_two_pixels_and_their_difference(photo_page: Any, browser: Any) -> None:
    path, trace = photo_page
    with opened(browser, path, "#at=4,5&b=8,1&tab=pins") as tab:
        a, b = trace.kernels[0, 0, 4, 5], trace.kernels[0, 0, 8, 1]
        said = text(tab, "#pins-said")
        assert f"differ by up to {np.abs(a - b).max():.3f}" in said
        cosine = (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())
        assert f"{cosine:z.2f}".replace("-", "−") in said
        tab.click("#swap")
        assert at(tab) == [8, 1]
        assert text(tab, "#n-b") == "B: (4, 5)"
