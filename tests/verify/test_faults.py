"""Planted faults: mistakes that implementations really make, each of which the checks must catch.

A fault replaces functions of the rung "shifts"; the very checks that the rungs pass must fail on
it, at the tensor named in the table. Without the fault they pass, in `test_operator`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from checks import check_adjoint, check_nonfinite, check_rung, check_size, small_integers
from faults import (
    WRONG_INDICES,
    Function,
    mean_over_channels,
    misread,
    rounded_to_half,
    summed_across_channels,
)

from involution_edu.arrays import Array
from involution_edu.backends import loops, shifts
from involution_edu.cases import AWKWARD, TOLERANCE, random_operands
from involution_edu.geometry import Geometry


@pytest.mark.parametrize("fault", WRONG_INDICES)
def test_wrong_indices_are_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, case = WRONG_INDICES[fault]
    for name in ("forward", "backward_input", "backward_kernel"):
        monkeypatch.setattr(shifts, name, misread(getattr(loops, name), wrong))
    must_fail(case, "y")


@pytest.mark.parametrize("fault", WRONG_INDICES)
@pytest.mark.parametrize("name", ["backward_input", "backward_kernel"])
def test_wrong_indices_in_one_gradient_are_caught(
    name: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong, case = WRONG_INDICES[fault]
    monkeypatch.setattr(shifts, name, misread(getattr(loops, name), wrong))
    tensor = {"backward_input": "dx", "backward_kernel": "dkernel"}[name]
    must_fail(case, tensor)
    adjoint_must_fail(case, tensor)


def must_fail(case: str, tensor: str) -> None:
    """Fail unless `check_rung` finds ``tensor`` of the damaged rung wrong, in both dtypes."""
    geom = AWKWARD[case]
    for dtype, tolerance in TOLERANCE.items():
        with pytest.raises(AssertionError, match=f"^{tensor} of shifts is wrong by"):
            check_rung("shifts", geom, random_operands(geom, dtype, seed=1), tolerance)
        with pytest.raises(AssertionError, match=f"^{tensor} of shifts is wrong by"):
            check_rung("shifts", geom, small_integers(geom, dtype, seed=1), 0.0)


def adjoint_must_fail(case: str, tensor: str) -> None:
    with pytest.raises(AssertionError, match=f"^{tensor} of shifts gives"):
        check_adjoint("shifts", AWKWARD[case], small_integers(AWKWARD[case], np.float64, seed=1))


# Other mistakes, one function each.


def middle_tap_only(dy: Array, kernel: Array, geom: Geometry) -> Array:
    """Let an input pixel collect from the output above it, and drop all the others."""
    kernel = np.zeros_like(kernel) + kernel * middle_of_window(geom)
    return loops.backward_input(dy, kernel, geom)


def middle_of_window(geom: Geometry) -> Array:
    """Return 1 at the middle tap and 0 elsewhere, (K_h, K_w, 1, 1)."""
    mask = np.zeros((*geom.window, 1, 1))
    mask[geom.window[0] // 2, geom.window[1] // 2] = 1
    return mask


def last_window_wins(dy: Array, kernel: Array, geom: Geometry) -> Array:
    """Assign where windows overlap instead of adding."""
    dx = np.zeros((geom.N, geom.C, *geom.padded_size), dy.dtype)
    for n, c, g, i, j, u, v, h, w in loops.products(geom):
        dx[n, c, h, w] = kernel[n, g, u, v, i, j] * dy[n, c, i, j]
    return geom.crop(dx).copy()


def shifted_instead_of_cropped(dy: Array, kernel: Array, geom: Geometry) -> Array:
    no_crop = replace(geom, H=geom.padded_size[0], W=geom.padded_size[1], padding=(0, 0))
    return loops.backward_input(dy, kernel, no_crop)[:, :, : geom.H, : geom.W].copy()


def first_channel_only(dy: Array, x: Array, geom: Geometry) -> Array:
    """Forget that the C_g channels of a group share a kernel."""
    dy = dy.copy()
    geom.by_group(dy)[:, :, 1:] = 0
    return loops.backward_kernel(dy, x, geom)


def dy_taken_as_ones(dy: Array, x: Array, geom: Geometry) -> Array:
    return loops.backward_kernel(np.ones_like(dy), x, geom)


def no_gradient(dy: Array, x: Array, geom: Geometry) -> Array:
    return np.zeros(geom.kernel_shape, dy.dtype)


def padding_skipped(x: Array, kernel: Array, geom: Geometry) -> Array:
    """Leave out the products with the padding: right, but for 0 * Inf = NaN."""
    padded, y = geom.pad(x), np.zeros(geom.y_shape, x.dtype)
    inside = geom.pad(np.ones(geom.x_shape))
    for n, c, g, i, j, u, v, h, w in loops.products(geom):
        if inside[n, c, h, w]:
            y[n, c, i, j] += kernel[n, g, u, v, i, j] * padded[n, c, h, w]
    return y


@pytest.mark.parametrize("fault", [summed_across_channels, rounded_to_half])
def test_wrong_forward_is_caught(fault: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shifts, "forward", fault)
    geom = AWKWARD["plain 3x3"]
    for dtype, tolerance in TOLERANCE.items():
        with pytest.raises(AssertionError, match=r"^y of shifts is wrong by"):
            check_rung("shifts", geom, random_operands(geom, dtype, seed=1), tolerance)


@pytest.mark.parametrize("fault", [middle_tap_only, last_window_wins, shifted_instead_of_cropped])
def test_wrong_dx_is_caught(fault: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shifts, "backward_input", fault)
    must_fail("plain 3x3", "dx")
    adjoint_must_fail("plain 3x3", "dx")


@pytest.mark.parametrize(
    "fault", [first_channel_only, mean_over_channels, dy_taken_as_ones, no_gradient]
)
def test_wrong_dkernel_is_caught(fault: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shifts, "backward_kernel", fault)
    must_fail("plain 3x3", "dkernel")
    adjoint_must_fail("plain 3x3", "dkernel")


def test_skipping_the_padding_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    geom = AWKWARD["plain 3x3"]
    x, kernel, dy = random_operands(geom, np.float64, seed=1)
    kernel[0, 0, 0, 0, 0, 0] = np.inf  # the corner's first tap, over the padding
    monkeypatch.setattr(shifts, "forward", padding_skipped)
    check_rung("shifts", geom, random_operands(geom, np.float64, seed=1), 1e-12)
    with pytest.raises(AssertionError, match="y of shifts"):
        check_nonfinite("shifts", geom, (x, kernel, dy))


# Windows of 3 rows, dilation 2 (they span 5), stride 2, padding 2. On 10 rows 5 windows fit, on
# 11 rows 6: (10 + 4 - 5) // 2 + 1 and (11 + 4 - 5) // 2 + 1.
WRONG_SIZES = {
    "padding counted once": (10, (10 + 2 - 5) // 2 + 1),
    "dilation forgotten": (10, (10 + 4 - 3) // 2 + 1),
    "last, partial step counted": (10, -(-(10 + 4 - 5) // 2) + 1),
    "floor instead of ceil at stride 2": (11, 11 // 2),
}


@pytest.mark.parametrize("fault", WRONG_SIZES)
def test_wrong_size_rule_is_caught(fault: str) -> None:
    size, wrong = WRONG_SIZES[fault]
    with pytest.raises(AssertionError, match=f"^{wrong} windows counted; {size - 5} fit"):
        check_size(size, padding=2, k=3, stride=2, dilation=2, out=wrong)
