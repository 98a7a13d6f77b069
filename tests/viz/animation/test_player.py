"""The page that steps through a scene, in a browser: controls in view, keys, pause, dark, small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import needs
import pytest
from browser import opened, saved

from involution_edu.viz.animation.animate import stepper
from involution_edu.viz.animation.scenes import SCENES, Subject
from involution_edu.viz.html import Page


@pytest.mark.parametrize("name", sorted({*SCENES} - {"hero"}))
def test_a_stepper_is_small_and_needs_no_network(name: str) -> None:
    page = stepper(name)
    assert page.title == SCENES[name].title
    assert len(page._repr_html_().encode()) <= 700_000
    assert "http" not in page.html.replace("http-equiv", "")


@pytest.fixture(scope="module")
def page() -> Page:
    return stepper("groups")


def step_of(tab: Any) -> int:
    return int(tab.locator("#count").text_content().split(" / ")[0])


@needs.browser
@pytest.mark.parametrize("size", [(1280, 720), (1280, 500), (390, 844)], ids=str)
def test_everything_is_in_view_without_scrolling(
    size: tuple[int, int], page: Page, browser: Any, folder: Path
) -> None:
    viewport = {"width": size[0], "height": size[1]}
    path = saved(folder, "player", page.html)
    with opened(browser, path, viewport=viewport, reduced_motion="reduce") as tab:
        tab.locator("#count", has_text="1 / ").wait_for()
        for part in ("#canvas", "#caption", "#back", "#play", "#forward", "#scrub"):
            box = tab.locator(part).bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= size[0]
            assert box["y"] + box["height"] <= size[1]
        wide, high = (tab.locator("#canvas").bounding_box()[side] for side in ("width", "height"))
        assert wide / high == pytest.approx(960 / 640, rel=0.01)  # scaled, not squeezed


@needs.browser
def test_keys_step_and_the_space_bar_plays(page: Page, browser: Any, folder: Path) -> None:
    with opened(browser, saved(folder, "keys", page.html), reduced_motion="reduce") as tab:
        tab.locator("#count", has_text="1 / ").wait_for()
        tab.wait_for_timeout(300)
        assert step_of(tab) == 1  # nothing moves by itself for those who asked for that
        for key, step in (("ArrowRight", 2), ("ArrowRight", 3), ("ArrowLeft", 2)):
            tab.keyboard.press(key)
            tab.locator("#count", has_text=f"{step} / ").wait_for()
        tab.locator("#forward").click()
        tab.keyboard.press("ArrowRight")  # also while a button has the focus
        tab.locator("#count", has_text="4 / ").wait_for()
        tab.locator("#canvas").click()
        tab.keyboard.press(" ")
        assert tab.locator("#play").text_content() == "pause"
        tab.keyboard.press(" ")
        assert tab.locator("#play").text_content() == "play"


@needs.browser
def test_it_plays_once_and_stops_at_the_end(page: Page, browser: Any, folder: Path) -> None:
    last = len(SCENES["groups"](Subject.of(None)).animation().frames)
    with opened(browser, saved(folder, "once", page.html)) as tab:
        tab.locator("#play", has_text="pause").wait_for()
        tab.locator("#scrub").fill(str(last - 2))
        assert tab.locator("#play").text_content() == "play"  # whoever scrubs looks at a frame
        tab.locator("#play").click()
        tab.locator("#count", has_text=f"{last} / ").wait_for()
        tab.locator("#play", has_text="play").wait_for()


@needs.browser
def test_a_dark_page_for_those_who_ask_for_one(page: Page, browser: Any, folder: Path) -> None:
    path, colours = saved(folder, "dark", page.html), []
    for scheme in ("light", "dark"):
        with opened(browser, path, color_scheme=scheme, reduced_motion="reduce") as tab:
            style = "e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color]"
            colours.append(tab.locator("body").evaluate(style))
    assert colours == [
        ["rgb(252, 251, 248)", "rgb(31, 36, 48)"],
        ["rgb(25, 28, 35)", "rgb(232, 230, 225)"],
    ]


@needs.browser
def test_a_stepper_steps_in_a_notebook(browser: Any, folder: Path) -> None:
    frames = SCENES["stages"](Subject.of(None)).animation().frames
    outer = f"<!doctype html><body>{stepper('stages')._repr_html_()}"
    path = saved(folder, "stepper", outer)
    with opened(browser, path, reduced_motion="reduce") as tab:
        frame = tab.frame_locator("iframe")
        pictures = []
        for act, n in (
            (lambda: None, 0),
            (lambda: frame.locator("#forward").click(), 1),
            (lambda: frame.locator("#scrub").fill(str(len(frames) - 1)), len(frames) - 1),
            (lambda: frame.locator("#back").click(), len(frames) - 2),
        ):
            act()
            frame.locator("#count", has_text=f"{n + 1} / {len(frames)}").wait_for()
            assert frame.locator("#caption").text_content() == frames[n].caption
            pictures.append(frame.locator("#canvas").evaluate("canvas => canvas.toDataURL()"))
        assert len(set(pictures)) == len(pictures)


def test_a_stepper_needs_a_scene_that_there_is() -> None:
    with pytest.raises(ValueError, match="scene is 'soup'; need one of"):
        stepper("soup")
