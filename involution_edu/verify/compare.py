"""Comparison of backends on the same numbers: agreement first, then time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter, itemgetter

from ..backends import Backend, on_numpy_arrays
from ..cases import AWKWARD, TOLERANCE, random_operands, scaled_error
from ..geometry import Geometry, make_geometry
from .on_numpy import on_numpy, results, simulated, takes
from .text import Lines, number, wrapped

# The involutions of RedNet-50 in its first and last stage, for one image of 224 x 224. The loops
# would take minutes: here the windows, just compared with them, are the reference.
REALISTIC = {
    "1 x 64 x 56 x 56, G = 4, 7x7 (RedNet-50, first stage)": make_geometry((1, 64, 56, 56), 4, 7),
    "1 x 512 x 7 x 7, G = 32, 7x7 (RedNet-50, last stage)": make_geometry((1, 512, 7, 7), 32, 7),
}
ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Agreement:
    """The largest difference of a backend from the reference in one tensor."""

    backend: str
    reference: str
    dtype: str
    tensor: str  # "y", "dx" or "dkernel"; of a whole network "logits", "loss" or "gradients"
    cases: int  # geometries, or tensors of a network, that were compared
    worst: str  # the one with the largest error
    error: float  # max|a - reference| / max|reference| there
    tolerance: float  # the largest error allowed

    @property
    def agrees(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.error <= self.tolerance


@dataclass(frozen=True, slots=True)
class Timing:
    """The shortest of several times in milliseconds, in float32."""

    backend: str
    case: str
    forward_ms: float
    backward_ms: float  # of dx and dkernel together
    speedup: float  # over the windows, forward and backward added


@dataclass(frozen=True, slots=True)
class Comparison(Lines):
    """The result of `compare`; ``absent`` has the reason for each backend that cannot run."""

    agreements: tuple[Agreement, ...]
    timings: tuple[Timing, ...]
    absent: dict[str, str]

    @property
    def ok(self) -> bool:
        """Whether every backend is within the tolerance in every tensor."""
        return all(agreement.agrees for agreement in self.agreements)

    def lines(self) -> Iterator[str]:
        """Yield the errors of every backend, its times, and a line for each disagreement."""
        yield from agreement_lines(self.agreements)
        yield f"\nMilliseconds in float32, the shortest of {ROUNDS}; backward is dx and dkernel"
        for case, timings in groupby(self.timings, attrgetter("case")):
            yield f"\n{case}\nbackend        forward   backward   speed-up over windows"
            for t in timings:
                yield f"{t.backend:13} {t.forward_ms:8.2f} {t.backward_ms:10.2f} {t.speedup:9.1f} x"
        yield ""
        yield from absence_lines(self.absent)
        yield from verdict_lines(self.agreements)


def compare(backends: Iterable[str] | None = None) -> Comparison:
    """Run backends on the awkward cases and on two realistic sizes.

    On the awkward cases, in float32 and float64, ``loops`` is the reference. On the realistic
    sizes it is ``windows``, and the others are timed in float32: in turns, so that a moment of
    load on the machine affects all of them, after one round to warm up.

    Parameters
    ----------
    backends : iterable of str, optional
        ``NAME`` or ``NAME:VERSION`` of those to compare with the references; all that run here on
        NumPy arrays if not given. The times on a GPU include the copies to it and back.

    Raises
    ------
    ArgumentError, BackendUnavailable
        If there is no such backend or it cannot run here.

    Examples
    --------
    It takes a while, and the times are those of the machine:

    >>> found = compare(["numba"])  # doctest: +SKIP
    >>> max(found.agreements, key=lambda a: a.error / a.tolerance)  # doctest: +SKIP

    One row of the agreements:

    >>> Agreement("numba", "loops", "float32", "dx", 19, "stride 2", 2e-7, 1e-5).agrees
    True
    """
    reasons = on_numpy_arrays() if backends is None else {}
    if backends is None:
        backends = [name for name, reason in reasons.items() if reason is None]
    compared = {name: on_numpy(name) for name in ("loops", "windows", *backends)}
    fast = {name: b for name, b in compared.items() if name != "loops" and not simulated(name)}
    timings = [timing for case, geom in REALISTIC.items() for timing in _times(fast, case, geom)]
    found = (*_agreements(compared, "loops", AWKWARD), *_agreements(fast, "windows", REALISTIC))
    absent = {name: reason for name, reason in reasons.items() if reason is not None}
    return Comparison(found, tuple(timings), absent)


def _agreements(
    backends: Mapping[str, Backend], reference: str, cases: Mapping[str, Geometry]
) -> Iterator[Agreement]:
    """Compare all backends with the one called ``reference``, in every case that they take."""
    for dtype, tolerance in TOLERANCE.items():
        errors: dict[tuple[str, str], list[tuple[float, str]]] = {}
        for case, geom in cases.items():
            operands = random_operands(geom, dtype, seed=0)
            expected = results(backends[reference], operands, geom)
            for name, backend in backends.items():
                if name != reference and takes(backend, geom, dtype):
                    for tensor, a in results(backend, operands, geom).items():
                        b = expected[tensor]
                        same = (a.shape, a.dtype) == (b.shape, b.dtype)
                        error = scaled_error(a, b) if same else math.inf
                        errors.setdefault((name, tensor), []).append((error, case))
        for (name, tensor), found in errors.items():
            error, worst = max(found, key=itemgetter(0))
            counts = len(found), worst, error, tolerance
            yield Agreement(name, reference, str(dtype), tensor, *counts)


def _times(backends: Mapping[str, Backend], case: str, geom: Geometry) -> Iterator[Timing]:
    """Time the forward and the backward pass of all backends, in turns."""
    x, kernel, dy = random_operands(geom, "float32", seed=0)
    timed = {name: backend for name, backend in backends.items() if takes(backend, geom, x.dtype)}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in timed}
    for _ in range(1 + ROUNDS):
        for name, backend in timed.items():
            start = time.perf_counter()
            backend.forward(x, kernel, geom)
            middle = time.perf_counter()
            backend.backward_input(dy, kernel, geom)
            backend.backward_kernel(dy, x, geom)
            times[name].append((middle - start, time.perf_counter() - middle))
    best = {n: [1e3 * min(part) for part in zip(*t[1:], strict=True)] for n, t in times.items()}
    for name, (forward, backward) in best.items():
        yield Timing(name, case, forward, backward, sum(best["windows"]) / (forward + backward))


def agreement_lines(agreements: Sequence[Agreement]) -> Iterator[str]:
    """Yield a table of errors: a row for each backend, reference and dtype."""
    yield "Errors: max|a - reference| / max|reference|, the worst of all cases\n"
    yield "backend       against  dtype    cases         y       dx  dkernel  allowed"
    columns = attrgetter("backend", "reference", "dtype", "cases", "tolerance")
    for (backend, reference, dtype, cases, tolerance), group in groupby(agreements, columns):
        tensors = {a.tensor: a for a in group}
        errors = " ".join(
            f"{number(tensors[name].error) if name in tensors else '-':>8}"
            for name in ("y", "dx", "dkernel")
        )
        verdict = "ok" if all(a.agrees for a in tensors.values()) else "FAIL"
        row = f"{backend:13} {reference:8} {dtype:8} {cases:>5}  {errors}"
        yield f"{row} {number(tolerance):>8}  {verdict}"


def verdict_lines(agreements: Sequence[Agreement]) -> Iterator[str]:
    """Yield a line for each disagreement, or one that says that there are none."""
    wrong = [a for a in agreements if not a.agrees]
    for a in wrong:
        yield wrapped(
            f"FAIL: {a.backend} differs from {a.reference} in {a.tensor} ({a.dtype}), case "
            f"{a.worst!r}: error {number(a.error)}, allowed {number(a.tolerance)}"
        )
    if not wrong:
        yield "Every backend agrees with its reference."


def absence_lines(absent: Mapping[str, str]) -> Iterator[str]:
    """Return a line for each backend that is absent, with the reason."""
    return (wrapped(f"{name} is absent: {reason}") for name, reason in absent.items())
