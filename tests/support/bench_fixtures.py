"""A stand-in for CuPy on which the benchmark of a GPU runs in a second."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import fake_cupy
import numpy as np
import pytest

from involution_edu.backends import cupy_raw, numba_cuda, shifts
from involution_edu.backends.cuda.versions import TASKS, Version
from involution_edu.bench import devices, presets
from involution_edu.bench.contenders import generate
from involution_edu.bench.presets import square
from involution_edu.geometry import Geometry


class Memory:
    def copy_from_device_async(self, source: Any, size: int) -> None:
        pass


@pytest.fixture
def bench_cupy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A GPU with a cache of 10 kB, both rungs on it computed by the shifts, and two small shapes."""

    def launch(task: str, a: Any, b: Any, geom: Geometry, version: Version | None = None) -> Any:
        x, y = (operand.host.astype(np.float32) for operand in (a, b))
        return fake_cupy.asarray(getattr(shifts, task)(x, y, geom).astype(a.dtype))

    def fused(x: Any, features: Any, weight: Any, bias: Any, geom: Geometry) -> Any:
        f, w, b = (a.host.astype(np.float32) for a in (features, weight, bias))
        return launch("forward", x, fake_cupy.asarray(generate(f, w, b, geom=geom)), geom)

    fake = fake_cupy.make(tmp_path)
    fake.__version__ = "14.2.0"
    fake.multiply = lambda a, b, *, out: out
    attributes = {"L2CacheSize": 10_000, "MultiProcessorCount": 132}
    monkeypatch.setattr(fake_cupy.Device, "attributes", attributes)
    monkeypatch.setattr(fake_cupy.ndarray, "data", Memory(), raising=False)
    fake.cuda.runtime.getDeviceProperties = lambda device: {"name": b"A GPU"}
    fake.cuda.runtime.driverGetVersion = fake.cuda.runtime.runtimeGetVersion = lambda: 13000
    monkeypatch.setitem(sys.modules, "cupy", fake)
    monkeypatch.setitem(sys.modules, "torch", None)
    for rung in (cupy_raw, numba_cuda):
        monkeypatch.setattr(rung, "unavailable", lambda: None)
        monkeypatch.setattr(rung, "launch", launch)
        for task in TASKS:
            monkeypatch.setattr(rung, task, partial(launch, task))
    monkeypatch.setattr(cupy_raw, "generate_and_apply", fused)
    small = replace(presets.PRESETS["gpu"], shapes=(square(1, 32, 9, 3), square(2, 16, 5, 7)))
    monkeypatch.setitem(presets.PRESETS, "gpu", small)
    monkeypatch.setattr(devices, "COPIED", 1 << 10)
    return fake
