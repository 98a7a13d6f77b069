"""The gradient check of the operator passes what is right, and names what is wrong."""

from __future__ import annotations

from collections.abc import Callable

import needs
import numpy as np
import pytest
from checks import RUNGS, RUNNABLE, first_wrong
from faults import WRONG_INDICES, mean_over_channels, misread, summed_across_channels

from involution_edu.arrays import Array
from involution_edu.backends import loops, select, shifts
from involution_edu.cases import AWKWARD, random_operands
from involution_edu.geometry import Geometry, make_geometry
from involution_edu.verify import gradcheck
from involution_edu.verify.gradcheck import check_all, check_operator
from involution_edu.verify.layer_cases import LAYERS


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", RUNGS)
def test_every_entry_of_a_right_operator_passes(name: str, dtype: str) -> None:
    geom = make_geometry((1, 4, 3, 5), 2, 3, stride=(1, 2))
    checks = check_operator(select(name), geom, dtype=dtype)
    assert [(c.tensor, c.checked, c.entries, c.error, c.wrong) for c in checks] == [
        ("dkernel", 162, 162, 0.0, None),  # whole numbers leave no rounding at all
        ("dkernel", 162, 162, 0.0, None),
        ("dx", 60, 60, 0.0, None),
        ("dx", 60, 60, 0.0, None),
    ]


def test_every_backend_and_layer_passes() -> None:
    names = [name for name in RUNNABLE if name != "loops"]  # which test_every_entry... covers
    reports = check_all(names).reports
    assert len(reports) == len(names) * (2 * len(AWKWARD) + len(LAYERS)) + 2
    assert [c for r in reports for c in r.checks if c.wrong] == []
    for report in reports:
        for check in report.checks:
            if check.method == "central difference":
                assert check.checked + check.skipped == min(16, check.entries)
                assert check.checked > 0 or report.case == "no images"


@needs.compiler
@pytest.mark.usefixtures("cupy")
def test_a_version_for_a_gpu_is_checked_without_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["plain 3x3", "stride (1, 2)", "no images"]
    monkeypatch.setattr(gradcheck, "AWKWARD", {name: AWKWARD[name] for name in names})
    steps: list[tuple[int, int]] = []
    report = check_all(["cupy:v4"], lambda done, total, _: steps.append((done, total)))
    assert report.ok
    assert [(r.subject, r.dtype, r.case) for r in report.reports if r.backend == "cupy:v4"] == [
        ("operator", dtype, case)
        for dtype in ("float32", "float64")
        for case in ("plain 3x3", "no images")  # v4 takes stride 1 only
    ]
    assert steps == [(done, 6) for done in range(1, 7)]
    assert report.text().endswith("checks passed.")


@pytest.mark.parametrize("fault", WRONG_INDICES)
@pytest.mark.parametrize("tensor", ["dx", "dkernel"])
def test_a_wrong_gradient_is_named_with_its_first_wrong_entry(
    tensor: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong, case = WRONG_INDICES[fault]
    geom = AWKWARD[case]
    x, kernel, dy = (np.rint(4 * a) for a in random_operands(geom, "float64", seed=0))
    name, arguments = {
        "dx": ("backward_input", (dy, kernel, geom)),
        "dkernel": ("backward_kernel", (dy, x, geom)),
    }[tensor]
    right: Array = getattr(loops, name)(*arguments)
    monkeypatch.setattr(shifts, name, misread(getattr(loops, name), wrong))
    found: Array = getattr(shifts, name)(*arguments)
    index = tuple(np.argwhere(found != right)[0].tolist())

    checks = check_operator(select("shifts"), geom, entries=10)  # few, yet the first is found
    assert {check.tensor for check in checks if check.wrong} == {tensor}
    assert first_wrong(checks).error > 0.01
    assert first_wrong(checks).wrong == (
        f"{tensor}[{', '.join(map(str, index))}] is {found[index]:.9g}; "
        f"need {right[index]:.9g} (central difference, h = 1)"
    )


def test_the_adjoint_identity_fails_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shifts, "backward_kernel", mean_over_channels)
    identity = check_operator(select("shifts"), AWKWARD["plain 3x3"])[1]
    assert identity.method == "adjoint identity"
    assert identity.error == pytest.approx(0.5)  # C_g = 2: half of every entry is missing
    assert str(identity.wrong).startswith("<dkernel, kernel> is ")


def transposed(dy: Array, x: Array, geom: Geometry) -> Array:
    return np.ascontiguousarray(loops.backward_kernel(dy, x, geom).swapaxes(-1, -2))


def as_float32(dy: Array, x: Array, geom: Geometry) -> Array:
    return loops.backward_kernel(dy, x, geom).astype(np.float32)


def one_nan(dy: Array, x: Array, geom: Geometry) -> Array:
    dkernel = loops.backward_kernel(dy, x, geom)
    dkernel[1, 0, 2, 1, 3, 4] = np.nan
    return dkernel


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (transposed, "dkernel is float64 (2, 2, 3, 3, 5, 6); need float64 (2, 2, 3, 3, 6, 5)"),
        (as_float32, "dkernel is float32 (2, 2, 3, 3, 6, 5); need float64 (2, 2, 3, 3, 6, 5)"),
        (one_nan, "dkernel[1, 0, 2, 1, 3, 4] is nan; need "),
    ],
)
def test_wrong_kinds_of_dkernel(
    fault: Callable[..., Array], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shifts, "backward_kernel", fault)
    checks = check_operator(select("shifts"), AWKWARD["plain 3x3"])
    wrong = first_wrong(checks)
    assert (wrong.tensor, wrong.error) == ("dkernel", np.inf)
    assert str(wrong.wrong).startswith(message)


def test_a_wrong_forward_disagrees_with_both_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shifts, "forward", summed_across_channels)
    checks = check_operator(select("shifts"), AWKWARD["one row"])
    assert [check.tensor for check in checks if check.wrong] == ["dkernel", "dkernel", "dx", "dx"]


def test_wrong_in_the_same_way_everywhere_goes_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients that agree with a wrong forward pass pass; `test_compare` finds the fault."""
    wrong, case = WRONG_INDICES["groups interleaved, c % G"]
    for name in ("forward", "backward_input", "backward_kernel"):
        monkeypatch.setattr(shifts, name, misread(getattr(loops, name), wrong))
    assert not any(
        check.wrong for check in check_operator(select("shifts"), AWKWARD[case], entries=20)
    )


# Faults of a layer: (class, method, its replacement, the case, the first wrong tensor).
