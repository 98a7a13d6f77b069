"""Every backend on the same numbers: first whether they agree, then how long each takes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter

from ..arrays import Array
from ..backends import Backend, on_numpy_arrays, select
from ..cases import AWKWARD, TOLERANCE, random_operands, scaled_error
from ..geometry import Geometry, make_geometry

# The involutions of RedNet-50 in its first and last stage, for one image of 224 x 224. The loops
# would take minutes: here the windows, which were just held against them, are the reference.
REALISTIC = {
    "1 x 64 x 56 x 56, G = 4, 7x7 (RedNet-50, first stage)": make_geometry((1, 64, 56, 56), 4, 7),
    "1 x 512 x 7 x 7, G = 32, 7x7 (RedNet-50, last stage)": make_geometry((1, 512, 7, 7), 32, 7),
}
ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a backend is from the reference in one tensor, at its worst.

    Attributes
    ----------
    backend, reference, dtype : str
    tensor : str
        "y", "dx" or "dkernel"; of a whole network "logits", "loss" or "gradients".
    cases : int
        How many geometries, or tensors of a network, were compared.
    worst : str
        The one with the largest error.
    error, tolerance : float
        max|a - reference| / max|reference| in that case, and how much is allowed.
    """

    backend: str
    reference: str
    dtype: str
    tensor: str
    cases: int
    worst: str
    error: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.error <= self.tolerance


@dataclass(frozen=True, slots=True)
class Timing:
    """The shortest of several times in milliseconds, in float32.

    ``backward_ms`` is for dx and dkernel together; ``speedup`` is over the windows, forward and
    backward added.
    """

    backend: str
    case: str
    forward_ms: float
    backward_ms: float
    speedup: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` found; ``absent`` says why a backend could not take part."""

    agreements: tuple[Agreement, ...]
    timings: tuple[Timing, ...]
    absent: dict[str, str]

    @property
    def agrees(self) -> bool:
        """Whether every backend is within the tolerance in every tensor."""
        return all(agreement.agrees for agreement in self.agreements)


def compare() -> Comparison:
    """Run every backend on the awkward cases and on two realistic sizes.

    On the awkward cases, in float32 and float64, ``loops`` is the reference. On the realistic
    sizes it is ``windows``, and the others are timed in float32: in turns, so that a busy moment
    of the machine hits all of them, after one round to warm up.

    Examples
    --------
    It takes a while, and the times are those of the machine:

    >>> found = compare()  # doctest: +SKIP
    >>> max(found.agreements, key=lambda a: a.error / a.tolerance)  # doctest: +SKIP

    What an agreement says:

    >>> Agreement("numba", "loops", "float32", "dx", 19, "stride 2", 2e-7, 1e-5).agrees
    True
    """
    reasons = on_numpy_arrays()
    backends = {name: select(name) for name, reason in reasons.items() if reason is None}
    fast = {name: backend for name, backend in backends.items() if name != "loops"}
    timings = [timing for case, geom in REALISTIC.items() for timing in _times(fast, case, geom)]
    return Comparison(
        agreements=(
            *_agreements(backends, "loops", AWKWARD),
            *_agreements(fast, "windows", REALISTIC),
        ),
        timings=tuple(timings),
        absent={name: reason for name, reason in reasons.items() if reason is not None},
    )


def _agreements(
    backends: Mapping[str, Backend], reference: str, cases: Mapping[str, Geometry]
) -> Iterator[Agreement]:
    """Hold all backends against the one called ``reference``, in every case."""
    for dtype, tolerance in TOLERANCE.items():
        errors: dict[tuple[str, str], list[tuple[float, str]]] = {}
        for case, geom in cases.items():
            operands = random_operands(geom, dtype, seed=0)
            expected = _results(backends[reference], *operands, geom)
            for name, backend in backends.items():
                if name != reference:
                    for tensor, a in _results(backend, *operands, geom).items():
                        error = _error(a, expected[tensor])
                        errors.setdefault((name, tensor), []).append((error, case))
        for (name, tensor), found in errors.items():
            error, worst = max(found, key=itemgetter(0))
            yield Agreement(
                name, reference, str(dtype), tensor, len(found), worst, error, tolerance
            )


def _results(
    backend: Backend, x: Array, kernel: Array, dy: Array, geom: Geometry
) -> dict[str, Array]:
    return {
        "y": backend.forward(x, kernel, geom),
        "dx": backend.backward_input(dy, kernel, geom),
        "dkernel": backend.backward_kernel(dy, x, geom),
    }


def _error(a: Array, reference: Array) -> float:
    if (a.shape, a.dtype) != (reference.shape, reference.dtype):
        return math.inf
    return scaled_error(a, reference)


def _times(backends: Mapping[str, Backend], case: str, geom: Geometry) -> Iterator[Timing]:
    """Time the forward and the backward pass of all backends, in turns."""
    x, kernel, dy = random_operands(geom, "float32", seed=0)
    forward = dict.fromkeys(backends, math.inf)
    backward = dict.fromkeys(backends, math.inf)
    for round_ in range(1 + ROUNDS):
        for name, backend in backends.items():
            start = time.perf_counter()
            backend.forward(x, kernel, geom)
            middle = time.perf_counter()
            backend.backward_input(dy, kernel, geom)
            backend.backward_kernel(dy, x, geom)
            end = time.perf_counter()
            if round_ > 0:
                forward[name] = min(forward[name], 1e3 * (middle - start))
                backward[name] = min(backward[name], 1e3 * (end - middle))
    slow = forward["windows"] + backward["windows"]
    for name in backends:
        speedup = slow / (forward[name] + backward[name])
        yield Timing(name, case, forward[name], backward[name], speedup)
