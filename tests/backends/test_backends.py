"""Choosing a rung: by name, by context, by thread."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from checks import RUNGS, RUNNABLE, definition, run
from fake_cuda import Cuda, installed

import involution_edu as inv
from involution_edu import backends
from involution_edu.arguments import ArgumentError
from involution_edu.backends import numba_cuda
from involution_edu.backends.cuda.versions import TASKS, Version
from involution_edu.backends.numba_cuda import VERSIONS
from involution_edu.cases import AWKWARD, operator_options, random_operands, scaled_error


def chosen() -> str:
    """Return the name of the rung that "auto" picks now."""
    module = backends.select("auto")
    return next(rung.name for rung in backends.LADDER if backends.load(rung) is module)


def test_auto_is_the_highest_rung_that_runs() -> None:
    assert chosen() == RUNNABLE[-1]


def test_use_backend_nests_and_ends() -> None:
    with inv.use_backend("windows"):
        assert chosen() == "windows"
        with inv.use_backend("loops"):
            assert chosen() == "loops"
            with inv.use_backend("auto"):
                assert chosen() == RUNNABLE[-1]
            assert chosen() == "loops"
        assert chosen() == "windows"
    assert chosen() == RUNNABLE[-1]


def test_use_backend_ends_with_an_error() -> None:
    with pytest.raises(ZeroDivisionError), inv.use_backend("loops"):
        _ = 1 // 0
    assert chosen() == RUNNABLE[-1]


def test_a_named_backend_is_stronger_than_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    x, kernel = np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1, 2, 2))
    monkeypatch.setattr(backends.load(backends.LADDER[0]), "forward", lambda *_: "loops ran")
    with inv.use_backend("shifts"):
        assert str(inv.involution(x, kernel, backend="loops")) == "loops ran"
        assert isinstance(inv.involution(x, kernel), np.ndarray)


def test_use_backend_belongs_to_its_thread() -> None:
    inside, finished = threading.Event(), threading.Event()

    def other() -> str:
        inside.wait()
        name = chosen()
        finished.set()
        return name

    with ThreadPoolExecutor(1) as pool:
        elsewhere = pool.submit(other)
        with inv.use_backend("loops"):
            inside.set()
            assert finished.wait(timeout=60)
            assert chosen() == "loops"
        assert elsewhere.result() == RUNNABLE[-1]


def test_use_backend_belongs_to_its_task() -> None:
    async def task(name: str) -> list[str]:
        with inv.use_backend(name):
            before = chosen()
            await asyncio.sleep(0)
            return [before, chosen()]

    async def both() -> tuple[list[str], list[str]]:
        first, second = await asyncio.gather(task("loops"), task("shifts"))
        return first, second

    assert asyncio.run(both()) == (["loops", "loops"], ["shifts", "shifts"])


def test_a_backend_that_cannot_run_raises_and_never_falls_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backends.load(backends.LADDER[2]), "unavailable", lambda: "no such luck")
    x, kernel = np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1, 2, 2))
    message = r"^backend 'shifts' cannot run here: no such luck$"
    with pytest.raises(inv.BackendUnavailable, match=message):
        inv.involution(x, kernel, backend="shifts")
    with pytest.raises(inv.BackendUnavailable, match=message):
        inv.involution_backward(x, x, kernel, backend="shifts")
    with pytest.raises(inv.BackendUnavailable, match=message), inv.use_backend("shifts"):
        pytest.fail("the block must not start")
    assert inv.available_backends()["shifts"] == "no such luck"


def test_resolve_returns_the_module_of_a_name() -> None:
    for rung in backends.LADDER:
        if rung.name in RUNNABLE:
            assert backends.resolve(rung.name) is backends.load(rung)


@pytest.mark.parametrize(
    ("spec", "need"),
    [
        ("cuda", "one of 'loops', 'windows', 'shifts', 'numba', 'numba_cuda', 'cupy', 'cuda_host'"),
        ("auto", "one of 'loops', .*"),
        ("", "one of 'loops', .*"),
        (":v1", "one of 'loops', .*"),
        ("numba:v1", "one of 'numba'"),
        ("cupy:v9", "one of 'cupy', 'cupy:v1', 'cupy:v2', 'cupy:v3', 'cupy:v4', 'cupy:v5'"),
        ("cupy:", "one of 'cupy', .*"),
        ("cupy:v1:v2", "one of 'cupy', .*"),
        ("numba_cuda:v4", "one of 'numba_cuda', 'numba_cuda:v1', 'numba_cuda:v2', 'numba_cuda:v3'"),
    ],
)
def test_resolve_refuses_unknown_names_and_versions(spec: str, need: str) -> None:
    with pytest.raises(
        ArgumentError, match=f"^backends is {spec!r}; need {need}(; did you mean .*)?$"
    ):
        backends.resolve(spec)


def test_resolve_refuses_a_version_that_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba_cuda, "unavailable", lambda: "no GPU: buy one")
    message = r"^backend 'numba_cuda:v2' cannot run here: no GPU: buy one$"
    with pytest.raises(inv.BackendUnavailable, match=message):
        backends.resolve("numba_cuda:v2")


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_named_version_is_the_one_that_runs(version: Version) -> None:
    """Its numbers are right, and the CUDA kernels launched are its own and no others."""
    geom = AWKWARD["stride 2, odd sizes"]
    operands = random_operands(geom, np.float64, seed=1)
    spec = f"numba_cuda:{version.name}"
    with installed(Cuda()), pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba_cuda, "unavailable", lambda: None)
        launched = []
        kernel_of = numba_cuda._cuda_kernel

        def record(task: str, version: Version, *rest: Any) -> Any:
            launched.append((task, version.name))
            return kernel_of(task, version, *rest)

        patch.setattr(numba_cuda, "_cuda_kernel", record)
        got = run(spec, operands, operator_options(geom))
        with inv.use_backend(spec):
            again = run("auto", operands, operator_options(geom))
    assert launched == 2 * [(task, version.name) for task in TASKS]
    for name, want in definition(operands, geom).items():
        assert scaled_error(got[name], want) <= 1e-12
        np.testing.assert_array_equal(again[name], got[name])


@pytest.mark.parametrize("backend", RUNGS)
def test_threads_calling_at_once(backend: str) -> None:
    cases = [geom for geom in AWKWARD.values() if geom.N][:8]
    operands = [random_operands(geom, np.float32, seed=1) for geom in cases]
    together = threading.Barrier(len(cases))

    def work(index: int) -> float:
        geom, want = cases[index], definition(operands[index], cases[index])
        together.wait(timeout=60)
        for _ in range(5):
            got = run(backend, operands[index], operator_options(geom))
        return max(scaled_error(got[name], want[name]) for name in want)

    with ThreadPoolExecutor(len(cases)) as pool:
        assert max(pool.map(work, range(len(cases)))) < 1e-6


@needs.posix
@pytest.mark.parametrize("backend", RUNGS)
def test_a_forked_process_computes_too(backend: str) -> None:
    """A child of fork inherits a pool of threads but none of its threads; it must not wait."""
    code = f"""
import os, signal, sys, warnings
warnings.simplefilter("ignore")  # Python's own, of forking with threads
sys.path.insert(0, {str(Path(__file__).parents[1] / "support")!r})
from checks import check_rung, small_integers
from involution_edu.geometry import make_geometry
geom = make_geometry((2, 8, 9, 11), 4, 3)
operands = small_integers(geom, "f4", seed=1)
check_rung({backend!r}, geom, operands, 0.0)
child = os.fork()
if child == 0:
    signal.alarm(60)  # ends a child that waits for ever
check_rung({backend!r}, geom, operands, 0.0)
if child != 0:
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "0", done.stderr
