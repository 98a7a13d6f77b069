"""Comparison of every contender with a reference, on the shapes that are to be timed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from ..arrays import Array
from ..backends.cuda.versions import TASKS
from ..cases import scaled_error, tolerance
from ..geometry import Geometry, make_geometry
from ..verify.compare import Agreement
from .contenders import (
    BOTH,
    DEFINITION,
    FUSED,
    TENSORS,
    Contender,
    Job,
    contender,
    make_operands,
    one_line,
)
from .devices import Processor
from .presets import Case, label


@dataclass(frozen=True, slots=True)
class Check:
    """The errors by shape, for each contender, reference, dtype, tensor and tolerance.

    ``absent`` has the reasons of the contenders that failed.
    """

    errors: dict[tuple[Any, ...], dict[str, float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def add(self, *key: Any, shape: str, error: float) -> None:
        """Add an error under a key of ``errors``."""
        by_shape = self.errors.setdefault(key, {})
        by_shape[shape] = max(error, by_shape.get(shape, 0.0))

    def compare(
        self, contenders: Iterable[Contender], reference: Contender, case: Case, device: Processor
    ) -> None:
        """Add the errors on one shape; the reference computes in float32 on the processor."""
        geom, dtype = case
        operands = make_operands(geom, dtype)
        (on_device,) = device.copies(operands, 1)
        exact = reference.prepare([a.astype(np.float32, copy=False) for a in operands], geom)
        expected: Callable[[str], Array] = cache(lambda task: exact[task]())
        for rival in contenders:
            if rival.name in {reference.name, *self.absent}:
                continue
            try:
                found = list(_results(rival.job(on_device, geom)))
            except Exception as error:
                if not rival.may_fail:
                    raise
                self.absent[rival.name] = f"fails on {label(geom)}, {dtype} with {one_line(error)}"
                continue
            for task, a in found:
                key = rival.name, reference.name, str(dtype), TENSORS[task]
                allowed, off = (
                    _tolerance(rival, task, dtype, geom),
                    _error(a, expected(task), dtype),
                )
                self.add(*key, allowed, shape=label(geom), error=off)

    def agreements(self) -> list[Agreement]:
        """Return the worst error of each contender in each tensor."""
        return [
            Agreement(*key, len(errors), worst, errors[worst], allowed)  # type: ignore[call-arg]
            for (*key, allowed), errors in self.errors.items()
            for worst in [max(errors, key=lambda shape: errors[shape])]
        ]

    def refused(self) -> set[str]:
        """Return the names of the contenders that failed, or are wrong by too much."""
        return {a.backend for a in self.agreements() if not a.agrees} | self.absent.keys()


def check_all(
    contenders: Mapping[str, Contender],
    rungs: Mapping[str, Contender],
    cases: Iterable[Case],
    varied: Iterable[Case],
    device: Processor,
    step: Callable[[str], None],
) -> Check:
    """Compare all contenders on ``cases``, and the rungs also on those that are ``varied``.

    The loops would take minutes here. So on the processor every rung is compared with them on small
    shapes of the same windows and channels per group; the first correct rung is then the reference.
    """
    check = Check()
    present = {**dict.fromkeys(varied, rungs), **dict.fromkeys(cases, contenders)}
    if device.reference is None:
        loops = contender(DEFINITION)
        for case in dict.fromkeys((_small(geom), dtype) for geom, dtype in present):
            check.compare(rungs.values(), loops, case, device)
        refused = check.refused()
        reference = next((rung for name, rung in rungs.items() if name not in refused), None)
    else:
        reference = contender(device.reference)
    if reference is None:
        reason = "no backend is correct here, so there is no reference"
        check.absent.update({name: reason for name in contenders if name not in rungs})
    for case, on_case in present.items():
        if reference is not None:
            check.compare(on_case.values(), reference, case, device)
        step(f"checking {label(case[0])}")
    return check


def _small(geom: Geometry) -> Geometry:
    """Return a small geometry with two groups like those of ``geom``."""
    return make_geometry((1, 2 * geom.C_g, 6, 5), 2, geom.window)


def _results(job: Job) -> Iterator[tuple[str, Array]]:
    for task, call in job.items():
        found = zip(TASKS, call(), strict=True) if task == BOTH else [(task, call())]
        yield from ((part, _on_host(a)) for part, a in found)


def _on_host(a: Any) -> Array:
    """Return a NumPy array of what may be one of CuPy or a tensor of PyTorch."""
    if hasattr(a, "detach"):
        a = a.detach().cpu().numpy()
    found: Array = a if isinstance(a, np.ndarray) else a.get()
    return found


def _tolerance(contender: Contender, task: str, dtype: np.dtype[Any], geom: Geometry) -> float:
    if dtype == np.float16:
        return contender.half_tolerance
    terms = max(geom.C_g, math.prod(geom.window))
    return (2 if task == FUSED else 1) * tolerance(dtype, terms)  # two sums, one after the other


def _error(a: Array, expected: Array, dtype: np.dtype[Any]) -> float:
    right = (a.shape, a.dtype) == (expected.shape, dtype)
    return scaled_error(a.astype(np.float32), expected) if right else math.inf
