"""Measures of a kernel, counted by hand and in every kind of number; colours and words of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from involution_edu import nn
from involution_edu.viz import measures
from involution_edu.viz.animation.canvas import number
from involution_edu.viz.animation.scenes.scene import bracketed
from involution_edu.viz.figures.common import hex_of
from involution_edu.viz.figures.diagrams import weights
from involution_edu.viz.html import Page, csp_source, script_data
from involution_edu.viz.palette import diverging, limit_of, luminance

SHARPEN = np.array([[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0], [0.0, -1.0, 0.0]])


def test_measures_counted_by_hand() -> None:
    assert measures.kernel_sum(SHARPEN) == 1
    assert measures.l1_norm(SHARPEN) == 9
    one = np.zeros((3, 3))
    one[0, 2] = -4
    assert measures.entropy(one) == 0
    assert_allclose(measures.entropy(np.ones((3, 3))), 1)
    left = np.array([[0.0, 0.0, 0.0], [3.0, -1.0, 0.0], [0.0, 0.0, 0.0]])
    assert measures.centroid(left).tolist() == [0.0, -0.75]
    assert_allclose(measures.orientation(np.eye(3)), [-45, 1])  # falls from the top left
    a = np.arange(9.0).reshape(3, 3)
    assert measures.distance(np.stack([a, -a, 3 * a]), a).tolist() == [0, 1, 0.5]


@pytest.mark.parametrize("angle", [0, 20, 45, 90, 160])
def test_the_structure_of_a_straight_edge(angle: float) -> None:
    rows, columns = np.mgrid[:31, :40]
    # The photo rises by 3 for each pixel across the edge, in two of three channels.
    across = -np.sin(np.radians(angle)) * columns - np.cos(np.radians(angle)) * rows
    direction, coherence, energy = measures.structure(
        np.stack([3 * across, -3 * across, 0 * across])
    )
    assert_allclose((direction[15, 20] - angle + 90) % 180, 90, atol=1e-6)
    assert_allclose(coherence[15, 20], 1)
    assert_allclose(energy[15, 20], 18)
    assert not any(found.any() for found in measures.structure(np.ones((3, 9, 8)))[1:])


def test_the_entropy_of_float32_kernels_is_computed_in_float64() -> None:
    kernels = np.random.default_rng(0).standard_normal((4, 3, 5)).astype(np.float32)
    sizes = np.abs(kernels.astype(float))
    share = sizes / sizes.sum(axis=(1, 2), keepdims=True)
    expected = -(share * np.log(share)).sum(axis=(1, 2)) / np.log(15)
    assert_allclose(measures.entropy(kernels), expected, rtol=1e-12)


def all_measures(kernels: Any) -> dict[str, Any]:
    angle, strength = measures.orientation(kernels)
    return {
        "kernel_sum": measures.kernel_sum(kernels),
        "l1_norm": measures.l1_norm(kernels),
        "entropy": measures.entropy(kernels),
        "centroid": measures.centroid(kernels),
        "angle": angle,
        "strength": strength,
        "distance": measures.distance(kernels, kernels[0]),
    }


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "i4", "i8", "f2", "f4", "f8"])
def test_measures_of_every_kind_of_number(dtype: str) -> None:
    """Sizes, squares and differences of small integers overflow if they are not floats first."""
    low = 0 if dtype == "u1" else -128
    values = np.random.default_rng(0).integers(low, 128, (5, 3, 5))
    values[0, 0, :2], values[1, 0, :2] = (127, low), (low, 127)
    found, expected = all_measures(values.astype(dtype)), all_measures(values.astype(float))
    for name in found:
        # Shares of a kernel are computed in float64 whatever the kernel is.
        exact = name in ("entropy", "centroid", "angle", "strength")
        assert_allclose(found[name], expected[name], rtol=1e-12 if exact else 1e-6, err_msg=name)


def test_the_colour_of_a_number() -> None:
    assert limit_of(np.array([0.0, -3.14159])) == 3.1
    assert limit_of(np.zeros(3)) == 0.01
    colours = diverging(np.array([-9.0, -1.0, 0.0, 7.0, np.inf]), limit=1.0)
    blue, orange = (18, 68, 132), (166, 70, 0)
    assert_array_equal(colours, [blue, blue, (255, 255, 255), orange, orange])
    assert luminance((255, 255, 255)) == 1
    assert luminance((0, 0, 0)) == 0
    assert round(luminance(blue), 2) == 0.06
    assert hex_of((208, 0, 111)) == "#d0006f"


def test_numbers_in_words() -> None:
    assert [number(value, 2) for value in (-0.501, -0.001, 12.0)] == ["−0.50", "0.00", "12.00"]
    assert [bracketed(value) for value in (1.0, -2.0)] == ["1.00", "(−2.00)"]
    assert weights(nn.Conv2d(3, 8, 3)) == "224 weights"


def test_text_of_a_page_cannot_leave_its_place() -> None:
    hostile = "</script><!--<script>alert('1')\"&.png\udce9"
    data = script_data({"name": hostile})
    assert "<" not in data
    assert data.isascii()
    shown = Page("<p>&", hostile[:-1], height=80)._repr_html_()
    assert shown.count("<") == shown.count(">") == 2
    assert "&lt;/script&gt;&lt;!--&lt;script&gt;alert(&#x27;1&#x27;)&quot;&amp;.png" in shown
    assert csp_source("") == "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
