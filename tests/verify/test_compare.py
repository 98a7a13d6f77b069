"""The comparison passes right backends, and finds faults that a gradient check cannot."""

from __future__ import annotations

import json
from collections.abc import Callable

import needs
import numpy as np
import pytest
from checks import RUNNABLE
from faults import WRONG_INDICES, misread, rounded_to_half

from involution_edu.arrays import Array
from involution_edu.backends import BackendUnavailable, loops, numba_cpu, shifts
from involution_edu.cases import AWKWARD
from involution_edu.geometry import Geometry, make_geometry
from involution_edu.verify import compare as module
from involution_edu.verify.compare import Comparison, compare

TENSORS = ["y", "dx", "dkernel"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a few awkward cases, and one larger one that takes no time."""
    names = ["plain 3x3", "stride (1, 2)", "stride 2, odd sizes", "dilation 2", "no images"]
    monkeypatch.setattr(module, "AWKWARD", {name: AWKWARD[name] for name in names})
    monkeypatch.setattr(module, "REALISTIC", {"larger": make_geometry((1, 8, 9, 8), 2, 3)})


def wrong(comparison: Comparison) -> set[tuple[str, str, str]]:
    return {(a.backend, a.reference, a.tensor) for a in comparison.agreements if not a.agrees}


def test_every_backend_agrees() -> None:
    comparison = compare()
    assert comparison.ok
    rows = [(a.backend, a.reference, a.dtype, a.tensor, a.cases) for a in comparison.agreements]
    assert sorted(rows) == sorted(
        [
            (name, reference, dtype, tensor, len(cases))
            for reference, cases in (("loops", AWKWARD), ("windows", module.REALISTIC))
            for name in RUNNABLE
            if name != reference and (reference, name) != ("windows", "loops")
            for dtype in ("float32", "float64")
            for tensor in TENSORS
        ]
    )
    # Rungs that sum in different orders cannot agree to the last bit everywhere: they really ran.
    assert max(a.error for a in comparison.agreements) > 0
    timed = [(t.case, t.backend) for t in comparison.timings]
    assert timed == [(case, name) for case in module.REALISTIC for name in RUNNABLE[1:]]
    for t in comparison.timings:
        assert 0 < t.forward_ms < np.inf
        assert 0 < t.backward_ms < np.inf
        windows = next(w for w in comparison.timings if (w.case, w.backend) == (t.case, "windows"))
        assert t.speedup == pytest.approx(
            (windows.forward_ms + windows.backward_ms) / (t.forward_ms + t.backward_ms)
        )
    text = comparison.text()
    assert text.endswith("Every backend agrees with its reference.")
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("fault", WRONG_INDICES)
def test_wrong_in_the_same_way_everywhere_is_seen(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    misreading, case = WRONG_INDICES[fault]
    monkeypatch.setattr(module, "REALISTIC", {})
    for name in ("forward", "backward_input", "backward_kernel"):
        monkeypatch.setattr(shifts, name, misread(getattr(loops, name), misreading))
    cases = {name: AWKWARD[name] for name in ("no images", case)}
    monkeypatch.setattr(module, "AWKWARD", cases)
    comparison = compare()
    assert wrong(comparison) == {("shifts", "loops", tensor) for tensor in TENSORS}
    assert {a.worst for a in comparison.agreements if not a.agrees} == {case}
    assert not comparison.ok


def transposed(dy: Array, x: Array, geom: Geometry) -> Array:
    return loops.backward_kernel(dy, x, geom).swapaxes(-1, -2)


def as_float64(dy: Array, x: Array, geom: Geometry) -> Array:
    return loops.backward_kernel(dy, x, geom).astype(np.float64)


def nan(dy: Array, x: Array, geom: Geometry) -> Array:
    return np.full(geom.kernel_shape, np.nan, dy.dtype)


@pytest.mark.parametrize("fault", [transposed, as_float64, nan])
@pytest.mark.usefixtures("small")
def test_a_wrong_kind_of_array_is_infinitely_wrong(
    fault: Callable[..., Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shifts, "backward_kernel", fault)
    comparison = compare()
    assert wrong(comparison) == {("shifts", "loops", "dkernel"), ("shifts", "windows", "dkernel")}
    assert {a.error for a in comparison.agreements if not a.agrees} == {np.inf}
    text = comparison.text()
    assert "FAIL: shifts differs from loops in dkernel (float32), case 'plain 3x3'" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.usefixtures("small")
def test_lost_precision_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shifts, "forward", rounded_to_half)
    comparison = compare()
    assert wrong(comparison) == {("shifts", "loops", "y"), ("shifts", "windows", "y")}
    assert all(1e-5 < a.error < 1e-2 for a in comparison.agreements if not a.agrees)


@pytest.mark.usefixtures("small")
def test_a_fault_of_the_second_reference_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from involution_edu.backends import windows

    monkeypatch.setattr(windows, "forward", rounded_to_half)
    found = wrong(compare())
    assert ("windows", "loops", "y") in found
    assert {reference for _, reference, _ in found} == {"loops", "windows"}


@pytest.mark.usefixtures("small")
def test_an_absent_backend_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba_cpu, "unavailable", lambda: "numba cannot be imported: mend it")
    comparison = compare()
    assert comparison.absent["numba"] == "numba cannot be imported: mend it"
    assert comparison.ok
    assert not [row for row in comparison.agreements if row.backend == "numba"]
    assert "numba is absent: numba cannot be imported: mend it" in comparison.text()


@pytest.mark.usefixtures("small")
def test_only_the_backends_named_are_compared() -> None:
    comparison = compare(["shifts"])
    assert {(a.backend, a.reference) for a in comparison.agreements} == {
        ("windows", "loops"),
        ("shifts", "loops"),
        ("shifts", "windows"),
    }
    assert [t.backend for t in comparison.timings] == ["windows", "shifts"]
    assert comparison.ok
    assert not comparison.absent


@needs.compiler
@pytest.mark.usefixtures("small", "cupy")
def test_a_version_is_compared_in_the_cases_that_it_takes() -> None:
    comparison = compare(["cupy:v3", "cupy:v4"])
    assert comparison.ok
    cases = {
        (a.backend, a.reference): a.cases for a in comparison.agreements if a.backend != "windows"
    }
    assert cases == {
        ("cupy:v3", "loops"): 5,
        ("cupy:v4", "loops"): 2,  # stride 1 without dilation
        ("cupy:v3", "windows"): 1,
        ("cupy:v4", "windows"): 1,
    }


def test_a_backend_that_is_named_runs_or_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba_cpu, "unavailable", lambda: "numba cannot be imported: mend it")
    with pytest.raises(BackendUnavailable, match=r"^backend 'numba' cannot run here: numba can"):
        compare(["numba"])


@pytest.mark.usefixtures("small")
def test_the_command_prints_it_and_its_exit_code_tells(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from involution_edu.cli import main

    assert main(["compare"]) == 0
    assert "Every backend agrees" in capsys.readouterr().out
    monkeypatch.setattr(shifts, "backward_kernel", nan)
    assert main(["compare"]) == 1
    assert "FAIL: shifts differs" in capsys.readouterr().out
    assert main(["compare", "--json"]) == 1
    data = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert data["ok"] is False
    assert [row["error"] for row in data["agreements"] if row["tensor"] == "dkernel"].count(
        None
    ) == 4
