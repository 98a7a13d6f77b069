"""The operator's rungs under pytest-benchmark, to compare two versions of the code.

Not a part of the test suite: docs/benchmarks.md says how to run it.
"""

from __future__ import annotations

from typing import Any

import needs
import pytest

from involution_edu.backends import LADDER, available_backends, select
from involution_edu.bench.presets import REDNET50, label
from involution_edu.cases import random_operands
from involution_edu.geometry import Geometry

REASONS = available_backends()
# The loops would take minutes; a rung that cannot run here is skipped with its reason.
RUNGS = [
    pytest.param(
        rung.name,
        marks=needs.mark(rung.name, REASONS[rung.name], REASONS[rung.name]),
    )
    for rung in LADDER[1:]
]


def ascii_label(geom: Geometry) -> str:
    return label(geom).replace("×", "x").replace(" ", "")


@pytest.mark.parametrize("geom", REDNET50, ids=ascii_label)
@pytest.mark.parametrize("rung", RUNGS)
class TestOperator:
    def test_forward(self, benchmark: Any, rung: str, geom: Geometry) -> None:
        x, kernel, _ = random_operands(geom, "float32", seed=0)
        benchmark.group = f"forward, {label(geom)}"
        y = benchmark(select(rung).forward, x, kernel, geom)
        assert y.shape == geom.y_shape

    def test_gradients(self, benchmark: Any, rung: str, geom: Geometry) -> None:
        x, kernel, dy = random_operands(geom, "float32", seed=0)
        backend = select(rung)
        benchmark.group = f"both gradients, {label(geom)}"

        def gradients() -> tuple[Any, Any]:
            return backend.backward_input(dy, kernel, geom), backend.backward_kernel(dy, x, geom)

        dx, dkernel = benchmark(gradients)
        assert (dx.shape, dkernel.shape) == (geom.x_shape, geom.kernel_shape)
