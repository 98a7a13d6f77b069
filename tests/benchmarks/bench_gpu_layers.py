"""Layers on a GPU, timed: batch normalisation, a training step, one launch against two.

Steps of ``python -m involution_edu.bench.gpu_check``, which keeps the lines of JSON.
"""

from __future__ import annotations

import json
from functools import partial
from itertools import product
from math import isfinite
from typing import Any

import needs
import numpy as np
import pytest

from involution_edu import models, nn
from involution_edu.backends import cupy_raw
from involution_edu.backends.cuda.versions import TASKS, VERSIONS
from involution_edu.bench.contenders import generate
from involution_edu.bench.devices import Gpu
from involution_edu.bench.presets import GPU_SHAPES, label
from involution_edu.bench.timing import Call, Stopwatch, take_turns
from involution_edu.cases import random_operands

needs.skip_file_without_gpu()
pytestmark = [pytest.mark.gpu, needs.gpu_for("cupy")]
ROUNDS = 5
IMAGES = 32, 3, 224, 224  # of a training step
RATIOS = 1, 2, 4, 8  # C_r / C_g: the work of generating a kernel over that of applying it


def milliseconds(gpu: Gpu, *calls: Call) -> float:
    """Return the shortest mean time of the calls."""
    watch = Stopwatch(calls, gpu.clock)
    for _ in range(ROUNDS):
        take_turns([watch])
    return 1e3 * watch.shortest


def write(what: str, **numbers: Any) -> None:
    print(f"\n{json.dumps({'what': what, **numbers})}")


def random(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


@pytest.mark.parametrize("number", [0, len(GPU_SHAPES) - 1])
def test_versions_to_be_counted(number: int) -> None:
    """Launch every version once: NVIDIA's Nsight Compute counts the bytes that they move."""
    geom = GPU_SHAPES[number]
    ((x, kernel, dy),) = Gpu().copies(random_operands(geom, "float32", seed=0), 1)
    pairs = zip(TASKS, ((x, kernel), (dy, kernel), (dy, x)), strict=True)
    for (task, (a, b)), version in product(pairs, VERSIONS):
        assert cupy_raw.launch(task, a, b, geom, version).size


def test_batch_norm() -> None:
    gpu, shape = Gpu(), GPU_SHAPES[0].x_shape
    ((x,),) = gpu.copies([random(*shape)], 1)
    layer = nn.BatchNorm2d(shape[1]).to("cupy")
    ms = milliseconds(gpu, lambda: layer.backward(layer(x)))
    write("batch norm", shape=" × ".join(map(str, shape)), ms=ms)


def test_a_training_step() -> None:
    gpu, losses = Gpu(), list[float]()
    batch: list[Any] = [random(*IMAGES), np.arange(IMAGES[0])]
    ((x, labels),) = gpu.copies(batch, 1)
    model = models.rednet26(rng=0).to("cupy")
    setting = model, nn.SGD(model.parameters(), 1e-3, momentum=0.9), nn.CrossEntropy(0.1)
    ms = milliseconds(gpu, lambda: losses.append(nn.train_step(*setting, x, labels)[0]))
    assert all(map(isfinite, losses))
    write("RedNet-26", images=IMAGES[0], ms=ms, losses=losses)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("number", range(len(GPU_SHAPES)))
def test_one_launch_or_two(number: int, ratio: int, dtype: str) -> None:
    gpu, geom = Gpu(), GPU_SHAPES[number]
    features, entries = ratio * geom.C_g, geom.G * geom.window[0] * geom.window[1]
    shapes = geom.x_shape, (geom.N, features, geom.H_out, geom.W_out), (entries, features)
    arrays = [random(*shape).astype(dtype) for shape in (*shapes, (entries,))]
    once, twice = list[Call](), list[Call]()
    for x, made_of, weight, bias in gpu.copies(arrays, 4):  # together, more than the cache
        operands = x, made_of, weight / features**0.5, bias
        once.append(partial(cupy_raw.generate_and_apply, *operands, geom))
        two: Any = lambda x, *rest: cupy_raw.forward(x, generate(*rest, geom=geom), geom)
        twice.append(partial(two, *operands))
    one, both = (milliseconds(gpu, *calls) for calls in (once, twice))
    write("one or two", shape=label(geom), dtype=dtype, ratio=ratio, fused=one, unfused=both)
