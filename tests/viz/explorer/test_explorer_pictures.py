"""The explorer page in a browser: kernels over the photo, the divider, a picture of the reader's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from browser import array, at, hover, opened, saved, settle, text
from explorer_cases import data_of, edge_model, edge_page, layer_of, x_of
from PIL import Image

import involution_edu as inv
from involution_edu.arrays import Array
from involution_edu.cases import scaled_error
from involution_edu.images import photo_to_x, x_to_photo
from involution_edu.viz import record
from involution_edu.viz.explorer import explorer

pytestmark = needs.browser
TOLERANCE = 1e-5


def test_kernels_are_drawn_over_the_photo(photo_page: Any, browser: Any) -> None:
    path, trace = photo_page
    picture = "document.querySelector('#input').toDataURL()"
    with opened(browser, path, "#at=4,5&kernels=0") as tab:
        settle(tab)
        plain = tab.evaluate(picture)
        tab.fill("#density", "6")
        settle(tab)
        assert tab.evaluate(picture) != plain
        # Of 10 x 13 pixels, 5 x 6 are chosen; each 5 x 5 kernel has one pixel of space around it.
        alpha = array(
            tab,
            """(() => {
                const { picture } = explorer.kept.get("field");
                const pen = picture.getContext("2d");
                const { data } = pen.getImageData(0, 0, picture.width, picture.height);
                return data.filter((_, n) => n % 4 === 3);
            })()""",
            (5, 7, 6, 7),
        )
        tab.fill("#density", "0")
        settle(tab)
        assert tab.evaluate(picture) == plain
    limit = data_of(path.read_text(encoding="utf-8"))["limits"]["kernel"]
    for r in range(5):
        for c in range(6):
            i, j = int((r + 0.5) / 5 * 10), int((c + 0.5) / 6 * 13)
            size = np.abs(trace.kernels[0, 0, i, j])
            np.testing.assert_allclose(
                alpha[r, 1:6, c, 1:6], 255 * (size / limit).clip(max=1), atol=1
            )
    assert not alpha[:, [0, 6]].any()
    assert not alpha[..., [0, 6]].any()


def output_of(tab: Any, size: tuple[int, int]) -> Array:
    """Return the colours in the middle of each pixel of the output (rows, columns, 3)."""
    settle(tab)
    rows, columns = size
    found = tab.evaluate(
        """([rows, columns]) => {
            const shown = document.querySelector("#output");
            const canvas = new OffscreenCanvas(shown.width, shown.height);
            const pen = canvas.getContext("2d");
            pen.drawImage(shown, 0, 0);
            const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
            const found = [];
            for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) {
                const y = Math.floor((i + 0.5) * canvas.height / rows);
                const x = Math.floor((j + 0.5) * canvas.width / columns);
                const n = 4 * (y * canvas.width + x);
                found.push(...data.slice(n, n + 3));
            }
            return found;
        }""",
        [rows, columns],
    )
    return np.array(found).reshape(rows, columns, 3)


def test_the_divider_is_between_convolution_and_involution(photo_page: Any, browser: Any) -> None:
    path, trace = photo_page
    mean = trace.kernel.mean(axis=(4, 5), keepdims=True)
    kernel = np.ascontiguousarray(np.broadcast_to(mean, trace.kernel.shape))
    convolution, involution = (x_to_photo(y) for y in (inv.involution(trace.x, kernel), trace.y))
    rows = slice(3, 10)  # below the words on the picture
    with opened(browser, path, "#at=0,0&b=0,1&split=0") as tab:
        np.testing.assert_allclose(output_of(tab, (10, 13))[rows], involution[rows], atol=1)
        tab.fill("#split", "100")
        np.testing.assert_allclose(
            output_of(tab, (10, 13))[rows, :12], convolution[rows, :12], atol=1
        )
        tab.focus("#split")
        tab.keyboard.press("ArrowLeft")
        assert tab.evaluate("explorer.state.split") == 0.99
        box = tab.locator("#output").bounding_box()
        tab.mouse.move(box["x"] + 0.99 * box["width"], box["y"] + box["height"] / 2)
        tab.mouse.down()
        tab.mouse.move(box["x"] + 0.54 * box["width"], box["y"] + box["height"] / 2, steps=4)
        tab.mouse.up()
        assert abs(tab.evaluate("explorer.state.split") - 0.54) <= 0.02
        now = output_of(tab, (10, 13))[rows]
        np.testing.assert_allclose(now[:, :5], convolution[rows, :5], atol=1)
        np.testing.assert_allclose(now[:3, 9:], involution[rows, 9:][:3], atol=1)
    assert np.abs(convolution.astype(int) - involution).max() > 20


def chosen(tab: Any, file: Path) -> str:
    tab.set_input_files("#choose", file)
    tab.locator("#about", has_text=file.name).wait_for()
    return text(tab, "#about")


def test_a_picture_of_the_readers_is_run_through_the_layer(
    browser: Any, folder: Path, tmp_path: Path
) -> None:
    layer = layer_of("RGB, one group")
    first = photo_to_x(np.random.default_rng(0).integers(0, 256, (10, 13, 3), np.uint8))
    page = saved(folder, "reader", explorer(record(layer, first), photo=True).html)
    photo = np.random.default_rng(1).integers(0, 256, (30, 17, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "mine.png")
    with opened(browser, page, "#at=4,5") as tab:
        said = chosen(tab, tmp_path / "mine.png")
        assert "30 × 17 pixels; it stays on this device" in said
        x = array(tab, "explorer.run.x", (1, 3, 30, 17)).astype(np.float32)
        y = array(tab, "explorer.run.y", (1, 3, 30, 17))
        assert tab.is_hidden("#working")
        assert at(tab) == [15, 8]
        hover(tab, "input", (2, 3), (30, 17))
        assert at(tab) == [2, 3]
        tab.click("#t-paint")
        tab.click("#paint-own")
        assert "25 numbers changed" in text(tab, "#paint-said")
        tab.click("#paint-undo")
        settle(tab)
        np.testing.assert_array_equal(array(tab, "explorer.run.y", (1, 3, 30, 17)), y)
        assert "paint" not in tab.url
    np.testing.assert_array_equal(x_to_photo(x), photo)
    assert scaled_error(y, record(layer, x).y.astype(float)) <= TOLERANCE


def test_control_characters_of_a_file_name_are_escaped(
    browser: Any, folder: Path, tmp_path: Path
) -> None:
    page, _ = edge_page(folder)
    Image.fromarray(np.zeros((9, 8, 3), np.uint8)).save(tmp_path / "mine.png")
    picture = (tmp_path / "mine.png").read_bytes()
    with opened(browser, page) as tab:
        for content, expected in (picture, "9 × 8 pixels"), (b"", "cannot be read as a picture"):
            name = "é \u202egnp.\x9bexe\u2066.png"
            tab.set_input_files("#choose", {"name": name, "mimeType": "", "buffer": content})
            tab.locator("#about", has_text=expected).wait_for()
            assert r"é \u202egnp.\u009bexe\u2066.png" in text(tab, "#about")
            assert not set("\u202e\x9b\u2066") & set(tab.content())


def test_its_features_are_computed_while_the_page_goes_on(
    browser: Any, folder: Path, tmp_path: Path
) -> None:
    page, _ = edge_page(folder)
    photo = np.random.default_rng(1).integers(0, 256, (96, 70, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "mine.png")
    with opened(browser, page) as tab:
        tab.evaluate("""() => {
            window.said = [];
            const about = document.querySelector("#about");
            new MutationObserver(() => said.push(about.textContent)).observe(about, { childList: true });
        }""")
        tab.set_input_files("#choose", tmp_path / "mine.png")
        tab.locator("#about", has_text="Your picture mine.png").wait_for()
        said = tab.evaluate("said")
        x = array(tab, "explorer.run.x", (1, 3, 96, 70)).astype(np.float32)
        y = array(tab, "explorer.run.y", (1, 3, 96, 70))
    shares = [int(words.split()[-2]) for words in said if words.endswith("%")]
    assert len(shares) >= 3
    assert shares == sorted(shares)
    assert scaled_error(y, record(edge_model(), x).y.astype(float)) <= TOLERANCE


@pytest.mark.parametrize("noise", [{"gaussian": 25.0}, {"salt_and_pepper": 0.1}])
def test_the_noise_of_the_training_is_added(
    noise: dict[str, float], browser: Any, folder: Path, tmp_path: Path
) -> None:
    trace = record(layer_of("RGB, one group"), x_of("RGB, one group")[:1])
    page = saved(folder, f"noise {noise}", explorer(trace, photo=True, noise=noise).html)
    Image.new("RGB", (400, 200), (120, 120, 120)).save(tmp_path / "grey.png")
    with opened(browser, page) as tab:
        assert "grey.png, 48 × 96 pixels, with noise" in chosen(tab, tmp_path / "grey.png")
        x = array(tab, "explorer.run.x", (3, 48, 96))
    data = data_of(page.read_text(encoding="utf-8"))
    std, mean = (np.array(data["colour"][name]).reshape(3, 1, 1) for name in ("std", "mean"))
    bytes_ = x * std + mean
    if "gaussian" in noise:
        assert abs(bytes_.std() - 25) < 1
        assert abs(bytes_.mean() - 120) < 1
    else:
        assert np.unique(bytes_.round()).tolist() == [0, 120, 255]
        assert abs((bytes_.round() != 120).mean() - 0.1) < 0.02


def test_a_file_that_is_no_picture_is_named(photo_page: Any, browser: Any, tmp_path: Path) -> None:
    path, trace = photo_page
    (tmp_path / "a<b>.png").write_text("no picture")
    with opened(browser, path) as tab:
        assert chosen(tab, tmp_path / "a<b>.png") == "a<b>.png cannot be read as a picture."
        assert (
            scaled_error(array(tab, "explorer.run.y", trace.y[0].shape), trace.y[0].astype(float))
            <= TOLERANCE
        )


def test_the_source_of_a_layer_in_a_network_is_shown(browser: Any, folder: Path) -> None:
    trace = record(layer_of("two groups"), x_of("two groups"))
    source = np.random.default_rng(0).integers(0, 256, (14, 22, 3), np.uint8)
    html = explorer(trace, source=source).html
    with opened(browser, saved(folder, "source", html)) as tab:
        settle(tab)
        assert tab.is_visible("#source")
        assert tab.is_hidden("#choose-label")
        got = array(
            tab,
            """(() => {
                const { picture } = explorer.kept.get("source");
                return picture.getContext("2d").getImageData(0, 0, 22, 14).data;
            })()""",
            (14, 22, 4),
        )
    np.testing.assert_array_equal(got[..., :3], source)


def test_escape_stops_everything(photo_page: Any, browser: Any) -> None:
    path, _ = photo_page
    with opened(browser, path, "#at=4,5&pinned=1&tap=3") as tab:
        tab.click("#paint-mode")
        assert text(tab, "#paint-mode") == "painting: on"
        tab.click("#play")
        tab.click("#explain")
        tab.keyboard.press("Escape")
        settle(tab)
        state = tab.evaluate("explorer.state")
        assert not state["pinned"]
        assert not state["painting"]
        assert state["tap"] is None
        assert text(tab, "#play") == "Play"
        assert tab.is_hidden("#tour")
        assert text(tab, "#paint-mode") == "painting: off"
