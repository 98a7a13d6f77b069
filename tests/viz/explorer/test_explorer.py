"""The explorer page as a file: its data, its content security policy, and writing it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from explorer_cases import HOSTILE, LAYERS, data_of, element, layer_of, numbers, x_of
from PIL import Image

from involution_edu import nn
from involution_edu.apps import explore
from involution_edu.cli import main
from involution_edu.viz import record
from involution_edu.viz.explorer import explorer
from involution_edu.viz.palette import limit_of


@pytest.mark.parametrize("name", LAYERS)
def test_the_page_holds_the_recorded_numbers(name: str) -> None:
    trace = record(layer_of(name), x_of(name))
    data = data_of(explorer(trace).html)
    for key, a in {
        "x": trace.x[0],
        "y": trace.y[0],
        "reduce_weight": trace.reduce_weight,
        "span_weight": trace.span_weight,
        "span_bias": trace.span_bias,
        **trace.statistics,
    }.items():
        np.testing.assert_array_equal(numbers(data, key), a.ravel())
    assert data["limits"]["kernel"] == limit_of(trace.kernel[0])
    assert data["stages"] == list(trace.stages)


def test_only_the_style_and_the_script_of_the_page_are_let_in() -> None:
    page = explorer(record(layer_of("two groups"), x_of("two groups"))).html
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    for name, text in (
        ("script-src", element(page, 'script type="module"')),
        ("style-src", element(page, "style")),
    ):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"
    assert rules["img-src"] == "data:"
    assert '<link rel="icon" href="data:image/png;base64,' in page
    assert "http://" not in page
    assert "https://" not in page
    assert "{{" not in page.replace("${", "")


@pytest.mark.parametrize(("channels", "groups"), [(3, 1), (6, 2)])
def test_the_largest_pages_are_small_enough(channels: int, groups: int) -> None:
    layer = nn.Involution2d(channels, 7, groups=groups, reduction=1, rng=0).eval()
    x = np.random.default_rng(0).standard_normal((1, channels, 64, 64)).astype(np.float32)
    assert len(explorer(record(layer, x)).html.encode()) < 1_500_000


def test_a_hostile_text_stays_text() -> None:
    page = explorer(record(layer_of("two groups"), x_of("two groups")), about=HOSTILE).html
    assert page.count("</script>") == 2
    assert "onerror" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert data_of(page)["about"] == HOSTILE


def test_a_name_that_is_no_text_can_be_written(tmp_path: Path) -> None:
    page = explorer(record(layer_of("two groups"), x_of("two groups")), about="a\udce9\n\0b")
    page.save(tmp_path / "page.html")
    saved = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert data_of(saved)["about"] == "a\udce9\n\0b"


def test_kernels_of_another_x_are_refused() -> None:
    whole = record(layer_of("two groups"), x_of("two groups"))
    projected = nn.Involution2d(4, 3, groups=2, out_channels=6, rng=0).eval()
    x = np.random.default_rng(0).standard_normal((1, 4, 5, 6)).astype(np.float32)
    for trace in (record(projected, x), whole.part(slice(1, 3), slice(0, 4))):
        with pytest.raises(
            ValueError, match=r"^trace has kernels that are not generated from its x"
        ):
            explorer(trace)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2)])
def test_a_tiny_input_has_a_page(size: tuple[int, int]) -> None:
    data = data_of(explorer(record(layer_of("two groups"), x_of("two groups", size))).html)
    assert data["geometry"]["H_out"] == size[0]
    assert all(0 <= at < count for at, count in zip(data["start"], size, strict=True))


def test_a_page_that_exists_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("mine")
    page = explorer(record(layer_of("two groups"), x_of("two groups")))
    with pytest.raises(FileExistsError, match=r"page\.html exists"):
        page.save(path)
    assert path.read_text() == "mine"
    page.save(path, force=True)
    assert path.read_text(encoding="utf-8") == page.html


def test_the_command_writes_a_page_of_the_photo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 20, 3), np.uint8)
    photo, out = tmp_path / "a<b>&.png", tmp_path / "out.html"
    Image.fromarray(noise).save(photo)
    argv = ["explore", str(photo), "--out", str(out), "--size", "12", "--seed", "3"]
    assert main([*argv, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {
        "ok": True,
        "file": str(out),
        "bytes": out.stat().st_size,
        "size": [12, 8],
        "model": "edge",
        "layer": None,
        "weights": "shipped",
    }
    data = data_of(out.read_text(encoding="utf-8"))
    assert data["about"].startswith("The photo is a<b>&.png, 12 × 8 pixels, with Gaussian")
    assert "seed 3" in data["about"]
    assert data["channels"] == ["red", "green", "blue"]
    assert main(argv) == 2
    assert "exists; pass --force" in capsys.readouterr().err
    assert main([*argv, "--force"]) == 0


@pytest.mark.parametrize("size", [7, 129])
def test_a_size_out_of_reach_is_refused(size: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"^size is {size}; need"):
        explore.run(size=size, out=tmp_path / "a.html")
    assert not list(tmp_path.iterdir())


def without_data(page: str) -> str:
    return re.sub(r'(id="data">).*?<', r"\1<", page, flags=re.DOTALL)


def test_the_page_in_the_documentation_is_this_one(tmp_path: Path) -> None:
    kept = Path(__file__).parents[3] / "docs" / "explorer.html"
    assert kept.stat().st_size <= 1_000_000
    shown = kept.read_text(encoding="utf-8")
    ours = explore.run(out=tmp_path / "page.html").file.read_text(encoding="utf-8")
    assert without_data(shown) == without_data(ours)
    then, now = data_of(shown), data_of(ours)
    assert then["about"] == now["about"]
    for name in now["arrays"]:  # the photo is scaled, and sums are rounded, by other libraries
        np.testing.assert_allclose(numbers(then, name), numbers(now, name), atol=0.05)


def test_the_seed_chooses_the_noisy_pixels(tmp_path: Path) -> None:
    pages = [explore.run(out=tmp_path / f"{seed}.html", size=8, seed=seed) for seed in (0, 1)]
    first, second = (data_of(page.file.read_text(encoding="utf-8")) for page in pages)
    assert not np.array_equal(numbers(first, "x"), numbers(second, "x"))
    np.testing.assert_array_equal(numbers(first, "span_weight"), numbers(second, "span_weight"))
