"""Numerical gradient checks: central differences and adjoint identities."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from ..cases import scaled_error
from ..nn import MaxPool2d, ReLU

STEP = 1e-5
# Larger than TOLERANCE: curvature adds an error of about h^2 = 1e-10 and rounding one of
# 1e-16 / h = 1e-11, each times numbers of the order of ten.
STEP_TOLERANCE = 1e-8


@dataclass(frozen=True, slots=True)
class Check:
    """The check of one gradient against the forward pass."""

    tensor: str  # "dkernel", "dx", or the name of a parameter
    method: str  # "central difference" or "adjoint identity"
    entries: int  # of the tensor; checked and skipped: compared, and left out because of a kink
    checked: int
    skipped: int
    error: float  # largest difference relative to the largest reference
    tolerance: float  # the largest error allowed
    wrong: str | None  # the first wrong entry with both values; None if there are no errors


@dataclass(frozen=True, slots=True)
class Differences:
    """Central differences of <dy, y()> by steps in one of the arrays that y reads."""

    y: Callable[[], Array]
    dy: Array
    kinked: Sequence[ReLU | MaxPool2d] = ()
    step: float = STEP
    tolerance: float = STEP_TOLERANCE

    def slope(self, a: Array, index: tuple[int, ...]) -> float | None:
        """Return the slope along ``a[index]``; None if the two steps have a kink between them."""
        kept = a[index]
        ends, ys, masks = [], [], []
        for end in (kept + self.step, kept - self.step):
            a[index] = end
            ends.append(float(a[index]))  # as rounded to the dtype of a
            ys.append(self.y().astype(np.float64))
            masks.append([mask for module in self.kinked for mask in module.active_masks()])
        a[index] = kept
        if not all(map(np.array_equal, *masks)):
            return None
        return dot(self.dy, ys[0] - ys[1]) / (ends[0] - ends[1])

    def check(self, tensor: str, gradient: Array, a: Array, entries: int, seed: int) -> Check:
        """Compare ``gradient`` with the slopes at up to ``entries`` random indices of ``a``."""
        method = "central difference"
        if wrong := _wrong_kind(tensor, gradient, a):
            return Check(tensor, method, a.size, 0, 0, math.inf, self.tolerance, wrong)
        rng = np.random.default_rng(seed)
        chosen = np.sort(rng.choice(a.size, min(entries, a.size), replace=False))
        indices = np.transpose(np.unravel_index(chosen, a.shape)).tolist()
        slopes = {index: self.slope(a, index) for index in map(tuple, indices)}
        kept = {index: slope for index, slope in slopes.items() if slope is not None}
        reference = np.array(list(kept.values()))
        found = np.array([gradient[index] for index in kept], dtype=np.float64)
        error = scaled_error(found, reference)
        if not kept and a.size:
            error, wrong = math.inf, f"no entry of {tensor} was checked: every step crossed a kink"
        elif error > self.tolerance:
            allowed = self.tolerance * np.abs(reference).max()
            first = int(np.argmax(~(np.abs(found - reference) <= allowed)))
            index = ", ".join(map(str, list(kept)[first]))
            wrong = (
                f"{tensor}[{index}] is {found[first]:.9g}; "
                f"need {reference[first]:.9g} ({method}, h = {self.step:g})"
            )
        skipped = len(slopes) - len(kept)
        return Check(tensor, method, a.size, len(kept), skipped, error, self.tolerance, wrong)


def adjoint_identity(
    tensor: str, gradient: Array, operand: Array, loss: float, tolerance: float
) -> Check:
    """Check <gradient, operand> = <dy, y> = ``loss``."""
    method, size = "adjoint identity", operand.size
    if wrong := _wrong_kind(tensor, gradient, operand):
        return Check(tensor, method, size, 0, 0, math.inf, tolerance, wrong)
    found = dot(gradient, operand)
    error = scaled_error(np.array(found), np.array(loss))
    if error > tolerance:
        name = tensor.removeprefix("d")
        wrong = f"<{tensor}, {name}> is {found:.9g}; need <dy, y> = {loss:.9g} ({method})"
    return Check(tensor, method, size, size, 0, error, tolerance, wrong)


def _wrong_kind(tensor: str, gradient: Array, a: Array) -> str | None:
    if (gradient.shape, gradient.dtype) == (a.shape, a.dtype):
        return None
    return f"{tensor} is {gradient.dtype} {gradient.shape}; need {a.dtype} {a.shape}"


def dot(a: Array, b: Array) -> float:
    """Return the inner product <a, b>, summed in float64."""
    return float(np.vdot(a.astype(np.float64), b.astype(np.float64)))
