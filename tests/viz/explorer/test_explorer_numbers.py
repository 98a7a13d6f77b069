"""The explorer page in a browser: every number against NumPy's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from browser import array, opened, saved, text
from explorer_cases import LAYERS, edge_model, edge_page, layer_of, x_of

import involution_edu as inv
from involution_edu.cases import scaled_error
from involution_edu.viz import Trace, measures, record
from involution_edu.viz.explorer import explorer, page

pytestmark = needs.browser
TOLERANCE = 1e-5


def check(tab: Any) -> dict[str, Any]:
    found = tab.evaluate("explorer.selfTest()")
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("name", LAYERS)
def test_every_pixel_is_what_numpy_recorded(name: str, browser: Any, folder: Path) -> None:
    trace = record(layer_of(name), x_of(name))
    geom = trace.geom
    with opened(browser, saved(folder, name, explorer(trace).html)) as tab:
        found = check(tab)
        assert found["ok"]
        assert found["outputs"] == trace.y[0].size
        assert found["error"] <= TOLERANCE
        assert tab.get_attribute("#checked", "data-ok") == "true"
        y = array(tab, "explorer.run.y", geom.y_shape[1:])
        kernels = array(tab, "explorer.run.kernels", (geom.H_out, geom.W_out, geom.G, *geom.window))
    assert scaled_error(y, trace.y[0].astype(float)) <= TOLERANCE
    recorded = trace.kernels[0].transpose(1, 2, 0, 3, 4).astype(float)
    assert scaled_error(kernels, recorded) <= TOLERANCE


FAULTS = {
    "u and v swapped": ("layer", "...at(k, K_w));", "...at(k, K_w).reverse());"),
    "rows counted as columns": (
        "layer",
        "x[(c * H + h) * W + w] : 0",
        "x[(c * H + w) * W + h] : 0",
    ),
    "interleaved groups": ("layer", "Math.floor(c / C_g)", "c % G"),
    "no padding": ("layer", "u * d_h - p_h", "u * d_h"),
    "dilation forgotten": ("layer", "u * d_h - p_h", "u - p_h"),
    "stride forgotten": ("layer", "[i * s_h + u", "[i + u"),
    "span transposed": ("layer", "o * hidden + m] * reduced", "m * K2 * G + o] * reduced"),
    "no bias": ("layer", "kernel[k] = recorded.span_bias[o];", "kernel[k] = 0;"),
    "no ReLU": ("layer", "Math.max(value, 0)", "value"),
    "no shift": ("layer", "* scale[m] + shift[m]", "* scale[m]"),
    "no mean over the cell": ("layer", "return total / count", "return total"),
    "kernel mirrored": ("layer", "entry * values[k]", "entry * values[K2 - 1 - k]"),
}


EDGE_FAULTS = {
    "convolution not dilated": ("layer", "h + u * dilation[0] - reach[0]", "h + u - reach[0]"),
    "convolution shifted": ("layer", "v * dilation[1] - reach[1]", "v * dilation[1]"),
    "no bias of the convolution": ("layer", "output.fill(bias[o],", "output.fill(0,"),
    "no ReLU of the convolution": ("layer", "Math.max(0, output[n])", "output[n]"),
    "no softmax": ("layer", "data.softmax ? softmax(kernel) : kernel", "kernel"),
    "a softmax of twice the numbers": ("layer", "Math.exp(value - most)", "Math.exp(2 * value)"),
}


def planted(monkeypatch: pytest.MonkeyPatch, module: str, right: str, wrong: str) -> None:
    """Replace a line of the page's script."""
    original = page.source
    assert original(f"{module}.js").count(right) == 1
    monkeypatch.setattr(
        page,
        "source",
        lambda name: (
            original(name).replace(right, wrong) if name == f"{module}.js" else original(name)
        ),
    )


@pytest.fixture(scope="module")
def awkward() -> Trace:
    layer = inv.nn.Involution2d(
        4, (3, 5), groups=2, stride=(2, 1), dilation=(2, 1), reduction=2, rng=0
    )
    rng, state = np.random.default_rng(1), layer.state_dict()
    for key in ("conv1.bn.weight", "conv1.bn.bias", "conv2.conv.bias"):
        state[key] = rng.uniform(0.5, 1, state[key].shape).astype(np.float32)
    layer.load_state_dict(state)
    x = rng.standard_normal((1, 4, 7, 10)).astype(np.float32)
    return record(layer.eval(), x)


@pytest.mark.parametrize("fault", [None, *FAULTS])
def test_a_wrong_page_says_so(
    fault: str | None,
    awkward: Trace,
    browser: Any,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if fault is not None:
        planted(monkeypatch, *FAULTS[fault])
    with opened(browser, saved(folder, f"fault {fault}", explorer(awkward).html)) as tab:
        assert check(tab)["ok"] == (fault is None)
        assert text(tab, "#checked").startswith("Checked" if fault is None else "WRONG")


@pytest.mark.parametrize("fault", [None, *EDGE_FAULTS])
def test_a_wrong_page_of_features_says_so(
    fault: str | None, browser: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault is not None:
        planted(monkeypatch, *EDGE_FAULTS[fault])
    path, trace = edge_page(folder)
    with opened(browser, path) as tab:
        found = check(tab)
        assert found["ok"] == (fault is None)
        if fault is None:
            assert found["error"] <= TOLERANCE
            kernels = array(tab, "explorer.run.kernels", (18, 23, 1, 3, 5))
            recorded = trace.kernels[0].transpose(1, 2, 0, 3, 4).astype(float)
            assert scaled_error(kernels, recorded) <= TOLERANCE


def test_paint_reaches_a_kernel_through_the_features(browser: Any, folder: Path) -> None:
    path, trace = edge_page(folder)
    shape = 18, 23, 1, 3, 5
    with opened(browser, path, "#at=9,11&tab=paint") as tab:
        assert "The convolutions before see a neighbourhood" in text(tab, "#c-paint")
        before = array(tab, "explorer.run.kernels", shape)
        tab.click("#paint-neighbour")
        assert "15 of 15 numbers changed" in text(tab, "#paint-said")
        after = array(tab, "explorer.run.kernels", shape)
        x = array(tab, "explorer.run.x", trace.x.shape).astype(np.float32)
        y = array(tab, "explorer.run.y", trace.y.shape)
        tab.click("#paint-undo")
        tab.wait_for_function("explorer.painted.size === 0")
        np.testing.assert_array_equal(array(tab, "explorer.run.kernels", shape), before)
        tab.click("#t-made")
        assert "2 convolutions made the features from 19 × 19 pixels" in text(tab, "#c-made")
    rows, columns = np.nonzero((after != before).any(axis=(2, 3, 4)))
    reached = rows.min(), rows.max(), columns.min(), columns.max()
    assert reached == (9 - 9, 17, 12 - 9, 12 + 9)  # row 17 is the last
    assert scaled_error(y, record(edge_model(), x).y.astype(float)) <= TOLERANCE


def test_the_convolution_has_the_mean_kernel(group_page: Any, browser: Any) -> None:
    path, trace = group_page
    geom = trace.geom
    mean = trace.kernel[:1].mean(axis=(4, 5), keepdims=True)
    kernel = np.ascontiguousarray(np.broadcast_to(mean, (1, *geom.kernel_shape[1:])))
    y = inv.involution(trace.x[:1], kernel)[0]
    with opened(browser, path) as tab:
        got = array(tab, "explorer.convolved(explorer.run)", y.shape)
        assert scaled_error(got, y.astype(float)) <= TOLERANCE


def test_the_maps_are_those_of_the_stills(group_page: Any, browser: Any) -> None:
    path, trace = group_page
    kernels = trace.kernels[0, 1].astype(float)
    expression = """Object.fromEntries(
        explorer.MAPS.map((map) => [map.name, explorer.mapOf(explorer.run, 1, map.of)]),
    )"""
    with opened(browser, path) as tab:
        got = tab.evaluate(expression)
    for name in ("kernel_sum", "l1_norm", "entropy"):
        want = getattr(measures, name)(kernels)
        assert scaled_error(np.array(got[name]).reshape(want.shape), want) <= TOLERANCE
    angle, strength = measures.orientation(kernels)
    have = np.array([[o["degrees"], o["strength"]] for o in got["orientation"]]).T
    np.testing.assert_allclose(have[1].reshape(angle.shape), strength, atol=TOLERANCE)
    turned = (have[0].reshape(angle.shape) - angle + 90) % 180 - 90  # -90 and 90 are one line
    np.testing.assert_allclose(turned * strength, 0, atol=1e-3)


def test_the_scale_of_sums_has_1_in_its_middle(photo_page: Any, browser: Any) -> None:
    path, trace = photo_page
    sums = trace.kernels[0, 0].sum(axis=(2, 3))
    with opened(browser, path, "#tab=maps") as tab:
        low, middle, high = (
            float(re.sub(r"[≤≥ ]", "", words).replace("−", "-"))
            for words in tab.eval_on_selector_all(
                "#scale-kernel_sum span", "all => all.map(e => e.textContent)"
            )
        )
        assert middle == 1
        assert abs(low + high - 2) < 0.02
        shown = array(
            tab,
            """(() => {
                const { picture } = explorer.kept.get("map kernel_sum");
                return picture.getContext("2d").getImageData(0, 0, 13, 10).data;
            })()""",
            (10, 13, 4),
        )
    blue, orange = shown[..., 2] > shown[..., 0], shown[..., 0] > shown[..., 2]
    clear = np.abs(sums - 1) > 0.02 * (high - 1)
    np.testing.assert_array_equal(blue[clear], (sums < 1)[clear])
    np.testing.assert_array_equal(orange[clear], (sums > 1)[clear])


@pytest.mark.parametrize("name", [*LAYERS, "edge"])
def test_the_numpy_of_a_pixel_runs(name: str, browser: Any, folder: Path) -> None:
    if name == "edge":
        path, trace = edge_page(folder)
    else:
        trace = record(layer_of(name), x_of(name))
        path = saved(folder, f"numpy {name}", explorer(trace).html)
    with opened(browser, path, "#at=1,2&tab=numpy") as tab:
        for c in (0, trace.geom.C - 1):
            tab.evaluate(f"explorer.change({{c: {c}}})")
            code = text(tab, "#numpy")
            command = [sys.executable, "-c", code]
            printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            y = trace.y[0, c, 1, 2]
            assert abs(float(printed) - y) <= TOLERANCE * np.abs(trace.y[0]).max()
            assert abs(float(code.rpartition("#")[2]) - y) <= TOLERANCE * np.abs(trace.y[0]).max()
