"""Comparison of every contender with a reference, on the shapes that are to be timed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from ..arrays import Array
from ..backends.cuda.versions import TASKS
from ..cases import scaled_error, tolerance
from ..geometry import make_geometry
from ..verify.compare import Agreement
from .contenders import BOTH, DEFINITION, FUSED, TENSORS, Contender, make_operands, one_line
from .contenders import contender as named
from .devices import Processor
from .presets import Case, label


@dataclass(frozen=True, slots=True)
class Check:
    """Errors by shape of each contender, reference, dtype, tensor, tolerance; why some failed."""

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
                found: list[tuple[str, Array]] = []
                for task, call in rival.job(on_device, geom).items():
                    parts = zip(TASKS, call(), strict=True) if task == BOTH else [(task, call())]
                    found += [(part, _on_host(a)) for part, a in parts]
            except Exception as error:
                if not rival.may_fail:
                    raise
                self.absent[rival.name] = f"fails on {label(geom)}, {dtype} with {one_line(error)}"
                continue
            for task, a in found:
                allowed, wanted = rival.half_tolerance, expected(task)
                if dtype != np.float16:  # FUSED: two sums, one after the other
                    terms = max(geom.C_g, math.prod(geom.window))
                    allowed = (2 if task == FUSED else 1) * tolerance(dtype, terms)
                right = (a.shape, a.dtype) == (wanted.shape, dtype)
                off = scaled_error(a.astype(np.float32), wanted) if right else math.inf
                key = rival.name, reference.name, str(dtype), TENSORS[task], allowed
                self.add(*key, shape=label(geom), error=off)

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
    """Compare all contenders on ``cases``, and the rungs also on those that are ``varied``."""
    check = Check()
    present = {**dict.fromkeys(varied, rungs), **dict.fromkeys(cases, contenders)}
    if device.reference is None:
        # The loops would take minutes on these shapes. On small ones of the same windows and
        # channels per group they check every rung; the first correct rung is the reference here.
        loops = named(DEFINITION)
        small = (((1, 2 * geom.C_g, 6, 5), geom.window, dtype) for geom, dtype in present)
        for shape, window, dtype in dict.fromkeys(small):
            check.compare(rungs.values(), loops, (make_geometry(shape, 2, window), dtype), device)
        refused = check.refused()
        reference = next((rung for name, rung in rungs.items() if name not in refused), None)
    else:
        reference = named(device.reference)
    if reference is None:
        reason = "no backend is correct here, so there is no reference"
        check.absent.update({name: reason for name in contenders if name not in rungs})
    for case, on_case in present.items():
        if reference is not None:
            check.compare(on_case.values(), reference, case, device)
        step(f"checking {label(case[0])}")
    return check


def _on_host(a: Any) -> Array:
    """Return a NumPy array of what may be one of CuPy or JAX or a tensor of PyTorch."""
    if hasattr(a, "detach"):
        a = a.detach().cpu()
    found: Array = a.get() if hasattr(a, "get") else np.asarray(a)
    return found
