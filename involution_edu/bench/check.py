"""Hold every contender against a reference, on the very shapes that are to be timed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter

import numpy as np

from ..arrays import Array
from ..backends import LADDER
from ..cases import TOLERANCE, random_operands, scaled_error
from ..geometry import Geometry, make_geometry
from ..verify.compare import Agreement
from .contenders import PEERS, Job, Prepare, contender
from .presets import label

DTYPE = np.dtype(np.float32)
DEFINITION = LADDER[0].name


def check(
    contenders: Mapping[str, Prepare],
    shapes: Iterable[Geometry],
    varied: Iterable[Geometry],
    step: Callable[[str], None],
) -> tuple[list[Agreement], dict[str, str]]:
    """Return how far each contender is from its reference, and which peers cannot run, with why.

    The peers take part on ``shapes``, but not on those that are ``varied``.

    The loops would take minutes on these shapes. So every backend is held against them on small
    twins, of the same windows and channels per group; then the first rung that is right there is
    the reference on the shapes themselves.
    """
    errors: dict[tuple[str, str, str], list[tuple[float, str]]] = {}
    absent: dict[str, str] = {}

    def hold(
        name: str, job: Job, reference: str, expected: dict[str, Array], geom: Geometry
    ) -> None:
        for tensor, a in _results(job).items():
            error = _error(a, expected[tensor])
            errors.setdefault((name, reference, tensor), []).append((error, label(geom)))

    backends = {name: prepare for name, prepare in contenders.items() if name not in PEERS}
    on = {**dict.fromkeys(varied, backends), **dict.fromkeys(shapes, contenders)}
    for geom in dict.fromkeys(map(_twin, on)):
        x, kernel, dy = random_operands(geom, DTYPE, seed=0)
        expected = _results(contender(DEFINITION)(x, kernel, dy, geom))
        for name, prepare in backends.items():
            hold(name, prepare(x, kernel, dy, geom), DEFINITION, expected, geom)
    wrong = {name for (name, *_), found in errors.items() if max(found)[0] > TOLERANCE[DTYPE]}
    reference = next((name for name in backends if name not in wrong), None)
    if reference is None:
        nothing = "no backend is right here, so there is nothing to hold it against"
        absent |= {name: nothing for name in contenders if name in PEERS}
    for geom, present in on.items():
        if reference is not None:
            x, kernel, dy = random_operands(geom, DTYPE, seed=0)
            expected = _results(backends[reference](x, kernel, dy, geom))
            for name, prepare in present.items():
                if name not in {reference, *absent}:
                    try:
                        job = prepare(x, kernel, dy, geom)
                    except Exception as error:  # a compiler may fail in any way
                        if name not in PEERS:
                            raise
                        absent[name] = (
                            f"fails with {type(error).__name__}: {' '.join(str(error).split())[:200]}"
                        )
                    else:
                        hold(name, job, reference, expected, geom)
        step(f"checking {label(geom)}")
    return [_agreement(*key, found) for key, found in errors.items()], absent


def _twin(geom: Geometry) -> Geometry:
    """Return a small geometry with two groups like those of ``geom``."""
    return make_geometry((1, 2 * geom.C_g, 6, 5), 2, geom.window)


def _results(job: Job) -> dict[str, Array]:
    results = {"y": np.asarray(job.forward())}
    if job.both is not None:
        _, dx, dkernel = job.both()
        results |= {"dx": np.asarray(dx), "dkernel": np.asarray(dkernel)}
    return results


def _error(a: Array, reference: Array) -> float:
    if (a.shape, a.dtype) != (reference.shape, reference.dtype):
        return math.inf
    return scaled_error(a, reference)


def _agreement(name: str, reference: str, tensor: str, found: list[tuple[float, str]]) -> Agreement:
    error, worst = max(found, key=itemgetter(0))
    return Agreement(
        name, reference, str(DTYPE), tensor, len(found), worst, error, TOLERANCE[DTYPE]
    )
