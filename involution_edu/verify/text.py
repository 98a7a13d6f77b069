"""The results of the checks as text for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from textwrap import fill

from ..backends import LADDER, kind_taken
from .compare import ROUNDS, Agreement, Comparison, Timing
from .differences import Check
from .doctor import Diagnosis
from .gradcheck import Report


def comparison_text(comparison: Comparison) -> str:
    """Return the errors of every backend, its times, and a line for each disagreement."""
    return "\n".join(_comparison_lines(comparison))


def agreement_lines(agreements: Sequence[Agreement]) -> Iterator[str]:
    """Yield a table of errors: a row for each backend, reference and dtype."""
    yield "Errors: max|a - reference| / max|reference|, the worst of all cases"
    yield ""
    yield "backend       against  dtype    cases         y       dx  dkernel  allowed"

    def row(a: Agreement) -> tuple[str, str, str, int, float]:
        return a.backend, a.reference, a.dtype, a.cases, a.tolerance

    for (backend, reference, dtype, cases, tolerance), group in groupby(agreements, row):
        tensors = {a.tensor: a for a in group}
        errors = " ".join(
            f"{_number(tensors[name].error) if name in tensors else '-':>8}"
            for name in ("y", "dx", "dkernel")
        )
        verdict = "ok" if all(a.agrees for a in tensors.values()) else "FAIL"
        yield (
            f"{backend:13} {reference:8} {dtype:8} {cases:>5}  {errors} "
            f"{_number(tolerance):>8}  {verdict}"
        )


def verdict_lines(agreements: Sequence[Agreement]) -> Iterator[str]:
    """Yield a line for each disagreement, or one that says there is none."""
    wrong = [a for a in agreements if not a.agrees]
    for a in wrong:
        yield fill(
            f"FAIL: {a.backend} differs from {a.reference} in {a.tensor} ({a.dtype}), case "
            f"{a.worst!r}: error {_number(a.error)}, allowed {_number(a.tolerance)}",
            80,
            subsequent_indent="  ",
        )
    if not wrong:
        yield "Every backend agrees with its reference."


def absence_lines(absent: Mapping[str, str]) -> Iterator[str]:
    """Yield what is absent, and why."""
    for name, reason in absent.items():
        yield fill(f"{name} is absent: {reason}", 80, subsequent_indent="  ")


def _comparison_lines(comparison: Comparison) -> Iterator[str]:
    yield from agreement_lines(comparison.agreements)
    yield ""
    yield f"Milliseconds in float32, the shortest of {ROUNDS}; backward is dx and dkernel"

    def case(t: Timing) -> str:
        return t.case

    for name, timings in groupby(comparison.timings, case):
        yield ""
        yield name
        yield "backend        forward   backward   speed-up over windows"
        for t in timings:
            yield f"{t.backend:11} {t.forward_ms:10.2f} {t.backward_ms:10.2f} {t.speedup:9.1f} x"
    yield ""
    yield from absence_lines(comparison.absent)
    yield from verdict_lines(comparison.agreements)


def gradcheck_text(reports: Sequence[Report]) -> str:
    """Return a row for every gradient of every backend, and its first failure."""
    return "\n".join(_gradcheck_lines(reports))


def _gradcheck_lines(reports: Sequence[Report]) -> Iterator[str]:
    def subject(r: Report) -> tuple[str, str, str]:
        return r.backend, r.subject, r.dtype

    for (backend, what, dtype), group in groupby(reports, subject):
        cases = list(group)
        yield f"{backend}: {what} in {dtype}, {len(cases)} cases"
        yield (
            f"{'tensor':17} {'held against':18} {'checked':>7} {'of':>6} {'kinks':>5} "
            f"{'error':>8} {'allowed':>7}"
        )
        rows: dict[tuple[str, str], list[Check]] = {}
        for report in cases:
            for check in report.checks:
                rows.setdefault((check.tensor, check.method), []).append(check)
        for (tensor, method), checks in rows.items():
            yield (
                f"{tensor:17} {method:18} {sum(c.checked for c in checks):>7} "
                f"{sum(c.entries for c in checks):>6} {sum(c.skipped for c in checks):>5} "
                f"{_number(max(c.error for c in checks)):>8} {_number(checks[0].tolerance):>7}  "
                f"{'FAIL' if any(c.wrong for c in checks) else 'ok'}"
            )
        for report in cases:
            if wrong := next((c for c in report.checks if c.wrong), None):
                yield fill(
                    f"First wrong, in case {report.case!r}: {wrong.wrong}; error "
                    f"{_number(wrong.error)}, allowed {_number(wrong.tolerance)}",
                    80,
                    subsequent_indent="  ",
                )
                break
        yield ""
    failed = sum(c.wrong is not None for r in reports for c in r.checks)
    total = sum(len(r.checks) for r in reports)
    yield f"{failed} of {total} checks failed." if failed else f"All {total} checks passed."


def diagnosis_text(diagnosis: Diagnosis) -> str:
    """Return what is installed, which backends run, and the problems with their fixes."""
    return "\n".join(_diagnosis_lines(diagnosis))


def _diagnosis_lines(diagnosis: Diagnosis) -> Iterator[str]:
    facts = {
        "system": diagnosis.system,
        "python": diagnosis.python,
        "cores": diagnosis.cores,
        "numba threads": diagnosis.numba_threads,
        "numba cache": diagnosis.numba_cache,
    }
    for name, value in (facts | diagnosis.versions).items():
        yield f"{name:15} {value or '-'}"
    yield ""
    for rung in LADDER:
        yield f"{rung.name:15} {rung.idea}"
        reason = diagnosis.backends[rung.name]
        runs = "runs" if kind_taken(rung) == rung.arrays else "runs in a simulator"
        verdict = f"cannot run here: {reason}" if reason else f"{runs} and agrees with the loops"
        yield fill(verdict, 80, initial_indent=" " * 16, subsequent_indent=" " * 16)
    yield ""
    for problem in diagnosis.problems:
        yield fill(f"Problem: {problem}", 80, subsequent_indent="  ", break_long_words=False)
    if not diagnosis.problems:
        yield "No problem found."


def _number(value: float) -> str:
    return f"{value:.1e}" if value else "0"
