"""The size rules against windows counted one by one, and the index rule against the equation."""

from __future__ import annotations

import dataclasses
from itertools import product
from math import ceil

import numpy as np
import pytest
from checks import check_size, pairs
from hypothesis import assume, given
from hypothesis import strategies as st

from involution_edu.arguments import MAX_INT, ArgumentError, Pair, as_int, as_number, quoted
from involution_edu.cases import AWKWARD
from involution_edu.geometry import Geometry, make_geometry, overlaps, resolve_padding

SIZES = {"size": st.integers(1, 30), "k": st.integers(1, 9)}
TWO_SIZES, TWO_STEPS = pairs(1, 9), pairs(1, 5)
STEPS = {"stride": st.integers(1, 12), "dilation": st.integers(1, 5)}


@given(**SIZES, **STEPS, padding=st.integers(0, 9))
def test_output_size_counts_the_windows_that_fit(
    size: int, k: int, stride: int, dilation: int, padding: int
) -> None:
    assume(dilation * (k - 1) + 1 <= size + 2 * padding)
    rows = make_geometry((1, 1, size, 5), 1, (k, 1), (stride, 1), (dilation, 1), (padding, 0))
    columns = make_geometry((1, 1, 5, size), 1, (1, k), (1, stride), (1, dilation), (0, padding))
    check_size(size, padding, k, stride, dilation, rows.H_out)
    check_size(size, padding, k, stride, dilation, columns.W_out)
    assert (rows.W_out, columns.H_out) == (5, 5)


@given(image=TWO_SIZES, halves=TWO_SIZES, stride=TWO_STEPS, dilation=TWO_STEPS)
def test_same_padding_keeps_the_size_rounded_up(
    image: Pair, halves: Pair, stride: Pair, dilation: Pair
) -> None:
    window = 2 * halves[0] - 1, 2 * halves[1] - 1
    geom = make_geometry((1, 1, *image), 1, window, stride, dilation)
    assert geom.H_out == ceil(image[0] / stride[0])
    assert geom.W_out == ceil(image[1] / stride[1])


@pytest.mark.parametrize("case", AWKWARD)
def test_pixels_under_a_tap_follow_the_equation(case: str) -> None:
    geom = AWKWARD[case]
    (s_h, s_w), (d_h, d_w) = geom.stride, geom.dilation
    H, W = geom.padded_size
    for u, v in geom.taps():
        rows, columns = geom.pixels_under(u, v)
        assert list(range(H))[rows] == [i * s_h + u * d_h for i in range(geom.H_out)]
        assert list(range(W))[columns] == [j * s_w + v * d_w for j in range(geom.W_out)]


@pytest.mark.parametrize("case", AWKWARD)
def test_crop_undoes_pad_and_the_padding_is_zero(case: str) -> None:
    geom = AWKWARD[case]
    x = np.random.default_rng(0).standard_normal(geom.x_shape)
    padded = geom.pad(x)
    assert padded.shape == (geom.N, geom.C, *geom.padded_size)
    np.testing.assert_array_equal(geom.crop(padded), x)
    assert np.count_nonzero(padded) == x.size


def test_groups_are_contiguous() -> None:
    geom = make_geometry((1, 6, 1, 1), 3, 1)
    channels = np.arange(6.0).reshape(1, 6, 1, 1)
    assert geom.by_group(channels)[0, :, :, 0, 0].tolist() == [[0, 1], [2, 3], [4, 5]]


def test_the_cases_are_awkward() -> None:
    """Each property that `AWKWARD` should cover is there, so that no edit loses one."""
    cases = list(AWKWARD.values())
    assert all(geom.H != geom.W or geom.x_shape[2:] == (1, 1) for geom in cases)
    assert any(geom.window[0] > geom.H and geom.window[1] > geom.W for geom in cases)
    assert {1, 2, 3} <= {s for geom in cases for s in geom.stride}
    assert {1, 2, 3} <= {d for geom in cases for d in geom.dilation}
    assert any(geom.window[0] != geom.window[1] for geom in cases)
    assert any(geom.window[0] % 2 == 0 for geom in cases)
    assert any(geom.stride == (2, 2) and geom.H % 2 == 1 for geom in cases)
    assert any(geom.G == 1 < geom.C for geom in cases)
    assert any(geom.G == geom.C > 1 for geom in cases)
    assert any(1 < geom.G < geom.C and geom.C_g % 4 for geom in cases)
    assert {0, 1, 2} <= {geom.N for geom in cases}


def test_geometry_is_immutable_and_a_key() -> None:
    geom = AWKWARD["plain 3x3"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        geom.H = 3  # type: ignore[misc]
    same = Geometry(2, 4, 6, 5, 2, (3, 3), (1, 1), (1, 1), (1, 1))
    assert {geom: "found"}[same] == "found"


def test_overlaps_are_those_of_a_count_one_by_one() -> None:
    """Also with padding and taps far beyond a small image, where a tap reads no pixel at all."""
    for size, k, s, p, d in product((1, 2, 3, 5), (1, 3, 4, 9), (1, 2, 3), (0, 1, 4), (1, 2, 3)):
        if (span := size + 2 * p - d * (k - 1) - 1) < 0:
            continue
        outputs = span // s + 1
        found = overlaps((size, 1), (outputs, 1), (k, 1), (s, 1), (p, 0), (d, 1))
        for u, ((rows, _), (pixels, _)) in enumerate(found):
            read = [(i, i * s + u * d - p) for i in range(outputs) if 0 <= i * s + u * d - p < size]
            here = list(range(outputs)[rows]), list(range(size)[pixels])
            assert list(zip(*here, strict=True)) == read, (size, k, s, p, d, u)
            assert rows.start >= 0 <= pixels.start


@pytest.mark.parametrize("window", [(3, 4), (4, 3), (2, 2)])
def test_same_needs_odd_windows(window: Pair) -> None:
    with pytest.raises(ArgumentError, match=f'"same" with a window of {window[0]} x {window[1]}'):
        resolve_padding("same", window, (1, 1))


def test_sizes_fit_a_c_int() -> None:
    assert as_int("size", 2**31 - 1) == MAX_INT
    for size in (2**31, 2**32 - 1, 2**32):
        with pytest.raises(ArgumentError, match=f"size is {size}; need an int <= 2147483647"):
            as_int("size", size)
        with pytest.raises(ArgumentError, match=f"C is {size}; need an int <="):
            make_geometry((1, size, 5, 6), 1, 3)


def test_the_limit_on_elements_counts_images() -> None:
    make_geometry((2**20, 2**10, 2**9, 2**9), 1, 1)
    with pytest.raises(ArgumentError, match=f"x would have {2**49} numbers"):
        make_geometry((2**21, 2**10, 2**9, 2**9), 1, 1)


def test_values_in_messages_are_one_short_line() -> None:
    for value in ("x" * 1_000_000, np.zeros((9, 9)), "\x1b[2J\n", [["a"] * 999] * 999):
        assert len(quoted(value)) < 1000
        assert quoted(value).isprintable()
        for check in (as_int, as_number):
            with pytest.raises(ArgumentError, match=r"^size is .+; need") as caught:
                check("size", value)
            assert str(caught.value).isprintable()
    with pytest.raises(ArgumentError, match="need a number of at least 0"):
        as_number("lr", 10**400)


def test_the_same_sizes_are_checked_once() -> None:
    """And sizes that only look the same are not taken for them."""
    geom = make_geometry((1, 4, 5, 6), 2, 3)
    assert make_geometry((1, 4, 5, 6), 2, (3, 3), 1, 1, 1) is geom
    for size in (1.0, True):
        with pytest.raises(TypeError, match=r"^N is "):
            make_geometry((size, 4, 5, 6), 2, 3)  # type: ignore[arg-type]
