"""The compiled rung: bands, threads, processes, and code cached on disk."""

from __future__ import annotations

import importlib
import logging
import math
import multiprocessing
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from checks import run

import involution_edu as inv
from involution_edu.arrays import Array
from involution_edu.backends import numba_cpu
from involution_edu.cases import TOLERANCE, operator_options, random_operands, scaled_error
from involution_edu.geometry import Geometry, make_geometry

pytestmark = needs.numba
if numba_cpu.unavailable() is None:
    from involution_edu.backends.numba_cpu import vectors

# Whole vectors and remainders, in pixels and in channels; many bands and few.
WIDE = {
    "16 channels a group, whole vectors": make_geometry((1, 32, 9, 16), 2, 7),
    "3 channels a group, 19 columns": make_geometry((2, 6, 5, 19), 2, 5),
    "20 channels a group, 7 columns": make_geometry((1, 40, 7, 7), 2, 7),
    "17 channels in one group": make_geometry((1, 17, 6, 11), 1, 3),
    "stride 2, 33 columns": make_geometry((1, 16, 21, 33), 1, 5, stride=2),
    "stride 3, dilation 2": make_geometry((1, 16, 31, 29), 1, 5, stride=3, dilation=2),
    "stride 2, dilation 4, 3x9": make_geometry((1, 8, 17, 40), 2, (3, 9), stride=2, dilation=4),
    "a window far larger than the image": make_geometry((1, 8, 3, 13), 1, 21),
    "a tall image of many bands": make_geometry((1, 16, 300, 9), 1, 3),
    "a wide image": make_geometry((1, 16, 5, 500), 1, 7),
    "a channel a group, stride 2": make_geometry((1, 3, 30, 33), 3, (5, 7), stride=2),
    "2 channels a group, many bands": make_geometry((1, 2, 900, 40), 1, 3, stride=(1, 2)),
    "3 channels in one group, dilation 3": make_geometry((2, 3, 20, 21), 1, 5, dilation=3),
    "many small images": make_geometry((64, 4, 3, 5), 2, 3),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", WIDE)
def test_sizes_larger_than_a_vector(name: str, dtype: Any) -> None:
    operands, options = random_operands(WIDE[name], dtype, 0), operator_options(WIDE[name])
    want = run("windows", operands, options)  # the loops would take minutes
    for tensor, array in run("numba", operands, options).items():
        assert scaled_error(array, want[tensor]) <= TOLERANCE[np.dtype(dtype)], tensor


@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"padding": (1, 2)}, {"stride": (3, 1)}])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_one_tap(groups: int, options: dict[str, Any]) -> None:
    geom = make_geometry((2, 4, 5, 7), groups, 1, **options)
    operands = random_operands(geom, np.float64, 0)
    operands[0][0, 0, 0, 0], operands[1][0, 0, 0, 0, 0, 1] = np.nan, np.inf
    with np.errstate(invalid="ignore"):  # infinity times the padding
        want = run("loops", operands, operator_options(geom))
        got = run("numba", operands, operator_options(geom))
    for tensor, array in got.items():
        np.testing.assert_allclose(array, want[tensor], 1e-12, 1e-12, err_msg=tensor)
        base = array.base
        assert base is None or base.size == array.size, tensor


@pytest.mark.parametrize("budget", [1, 3000, 1 << 30])
def test_any_cut_into_bands_gives_the_same_bits(
    budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    geom = WIDE["stride 3, dilation 2"]
    operands = random_operands(geom, np.float32, 0)
    want = run("numba", operands, operator_options(geom))
    monkeypatch.setattr(numba_cpu, "BAND_BYTES", budget)
    monkeypatch.setattr(numba_cpu, "MIN_PRODUCTS", 1)
    with numba_cpu.use_threads(1):
        got = run("numba", operands, operator_options(geom))
    for name, array in got.items():
        assert np.array_equal(array, want[name]), name


@pytest.mark.parametrize("name", WIDE)
def test_as_many_threads_as_there_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small as these are, one thread would do."""
    operands, options = random_operands(WIDE[name], np.float32, 0), operator_options(WIDE[name])
    want = run("numba", operands, options)
    monkeypatch.setattr(numba_cpu, "MIN_PRODUCTS", 1)
    for tensor, array in run("numba", operands, options).items():
        assert np.array_equal(array, want[tensor]), tensor


@pytest.mark.parametrize("count", [0, -1, 10_000])
def test_more_threads_than_there_are_is_an_error(count: int) -> None:
    with pytest.raises(ValueError, match=f"^count is {count}; need"), numba_cpu.use_threads(count):
        pytest.fail("the block must not start")


def _sum_of_gradients(geom: Geometry, seed: int) -> float:
    x, kernel, dy = random_operands(geom, np.float32, seed)
    options = operator_options(geom)
    dx, dkernel = inv.involution_backward(dy, x, kernel, **options, backend="numba")
    return float(dx.sum() + dkernel.sum())


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_worker_processes(method: str) -> None:
    """Like a data loader's: the parent has used its threads, then the workers compute."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"needs processes by {method}: run it on a system that has them")
    geom = make_geometry((2, 32, 56, 57), 2, 7)
    assert math.prod(geom.y_shape) * 49 > 2 * numba_cpu.MIN_PRODUCTS  # enough for two threads
    want = [_sum_of_gradients(geom, seed) for seed in range(4)]
    with multiprocessing.get_context(method).Pool(2) as pool:
        got = pool.starmap_async(_sum_of_gradients, [(geom, seed) for seed in range(4)])
        assert got.get(timeout=120) == want


def test_threads_of_python_on_top_of_its_own() -> None:
    geom = make_geometry((2, 32, 56, 57), 2, 7)
    want = [_sum_of_gradients(geom, seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(3):
            assert list(pool.map(partial(_sum_of_gradients, geom), range(6))) == want


def installed_copy(folder: Path) -> Path:
    """Copy the package to a folder of its own and forbid writing there."""
    source = Path(inv.__file__).parent
    target = folder / "site" / "involution_edu"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def first_call(site: Path, cache: str, home: Path) -> tuple[bool, str]:
    """Return whether the first forward pass of a new process came from the cache, and its stderr."""
    code = """
    import numpy as np, involution_edu as inv
    from involution_edu.backends import numba_cpu
    from involution_edu.backends.numba_cpu import channels
    assert numba_cpu.unavailable() is None
    numba_cpu.NOTICE = 0.0  # a fast processor compiles in less than a second
    x, kernel = np.ones((1, 16, 8, 9), "f"), np.ones((1, 1, 3, 3, 8, 9), "f")
    y = inv.involution(x, kernel, backend="numba")
    print(sum(channels.forward.stats.cache_hits.values()), int(y[0, 0, 4, 4]))
    """
    environment = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
    environment.pop("NUMBA_CACHE_DIR", None)
    if cache:
        environment["NUMBA_CACHE_DIR"] = cache
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=site, env=environment, check=True, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    hits, value = done.stdout.split()
    assert value == "9"
    return hits == "1", done.stderr


def test_compiled_code_is_cached_elsewhere_if_the_package_cannot_be_written(tmp_path: Path) -> None:
    package = installed_copy(tmp_path)
    (package / "backends" / "numba_cpu" / "__pycache__").write_text(
        "a file where Numba would put its folder"
    )
    home = tmp_path / "home"
    home.mkdir()
    found, notice = first_call(package.parent, "", home)
    assert not found
    (kept,) = {file.parent for file in home.rglob("*.nbc")}
    assert (
        "preparing the numba backend's forward for float32: it is compiled once and kept in "
        f"{kept}\n" in notice
    )
    found, _ = first_call(package.parent, "", home)
    assert found


def test_no_folder_to_cache_compiled_code_is_no_error(tmp_path: Path) -> None:
    package = installed_copy(tmp_path)
    (package / "backends" / "numba_cpu" / "__pycache__").write_text(
        "a file where Numba would put its folder"
    )
    home = tmp_path / "home"
    home.write_text("a file where Numba would put its folder")
    found, notice = first_call(package.parent, "", home)
    assert not found
    assert f"the numba backend's forward for float32: {numba_cpu.NOT_KEPT}\n" in notice
    assert "is kept" not in notice


def test_a_damaged_file_of_compiled_code_is_replaced(tmp_path: Path) -> None:
    package = installed_copy(tmp_path)
    first_call(package.parent, str(tmp_path / "cache"), tmp_path)
    for file in (tmp_path / "cache").rglob("*.nb?"):
        file.write_bytes(b"")
    found, notice = first_call(package.parent, str(tmp_path / "cache"), tmp_path)
    assert not found
    assert notice.count("is damaged (EOFError: Ran out of input): compiling again") == 1
    found, notice = first_call(package.parent, str(tmp_path / "cache"), tmp_path)
    assert found
    assert "is damaged" not in notice


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "half": lambda whole: whole[: len(whole) // 2],
    "random": lambda whole: np.random.default_rng(1).bytes(len(whole)),
    "one bit": lambda whole: bytes([*whole[:-200], whole[-200] ^ 1, *whole[-199:]]),
}


def doubled(folder: Path, hits: int) -> None:
    """Run a small compiled function as in a new process; it must come from the cache, or not."""
    source = folder / "small.py"
    if not source.exists():
        source.write_text("def double(a):\n    a[0] *= 2\n")
    sys.path.insert(0, str(folder))
    sys.modules.pop("small", None)
    function: Any = vectors.compiled(importlib.import_module("small").double)
    sys.path.remove(str(folder))
    for dtype in ("f4", "f8"):
        a = np.array([4.0], dtype)
        function(a)
        assert a[0] == 8
    assert sum(function.stats.cache_hits.values()) == hits


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (name, damage)
        for name, damage in product(["*.nbi", "*.1.nbc", "*.2.nbc"], DAMAGES)
        if (name, damage) != ("*.nbi", "one bit")  # which loses an entry without an error
    ],
)
def test_damaged_code_is_compiled_again_and_said_once(
    name: str, damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    doubled(tmp_path, hits=0)
    doubled(tmp_path, hits=2)
    (file,) = tmp_path.rglob(name)
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    doubled(tmp_path, hits={"*.nbi": 0, "*.1.nbc": 0, "*.2.nbc": 1}[name])
    (message,) = caplog.messages
    assert message.startswith(f"compiled code in {file.parent} is damaged (")
    doubled(tmp_path, hits=2 if name != "*.2.nbc" else 1)
    doubled(tmp_path, hits=2)
    assert len(caplog.messages) == 1


def test_code_for_another_dtype_is_not_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two processes that compile at once may take the same name for two files."""
    doubled(tmp_path, hits=0)
    (file,), (other,) = tmp_path.rglob("*.1.nbc"), tmp_path.rglob("*.2.nbc")
    file.write_bytes(other.read_bytes())
    doubled(tmp_path, hits=0)
    assert "is damaged (it is for" in caplog.text


def test_code_that_cannot_be_kept_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    doubled(tmp_path, hits=0)
    for file in tmp_path.rglob("*.nb?"):
        file.unlink()
        file.mkdir()
    doubled(tmp_path, hits=0)
    assert "compiled code cannot be kept in" in caplog.text


@pytest.mark.parametrize("threads", ["0", "-3", "1.5", "many", ""])
def test_a_wrong_number_of_threads_is_one_line(threads: str) -> None:
    code = """
    import numpy as np, involution_edu as inv
    x = np.ones((1, 1, 2, 2))
    inv.involution(x, np.ones((1, 1, 3, 3, 2, 2)))
    try:
        inv.involution(x, np.ones((1, 1, 3, 3, 2, 2)), backend="numba")
    except inv.BackendUnavailable as error:
        print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True,
        env={**os.environ, "NUMBA_NUM_THREADS": threads},
    )  # fmt: skip
    reason = f"NUMBA_NUM_THREADS is {threads!r}; need an int >= 1: change or unset it\n"
    assert done.stdout == f"backend 'numba' cannot run here: {reason}"
    assert done.stderr == f"the numba backend is not used: {reason}"


def test_a_quick_compilation_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def quick(x: Array, *rest: Any) -> None:
        assert len(rest) == 2

    with caplog.at_level(logging.WARNING):
        numba_cpu._compile(quick, (np.zeros(1),))
        time.sleep(1.1)
    assert not caplog.records


def test_a_change_of_the_vectors_compiles_again(tmp_path: Path) -> None:
    package = installed_copy(tmp_path)
    vectors = package / "backends" / "numba_cpu" / "vectors.py"
    first_call(package.parent, "", tmp_path)
    vectors.write_text(vectors.read_text().replace("builder.fmul(", "builder.fsub("))
    with pytest.raises(AssertionError):  # it subtracts now
        first_call(package.parent, "", tmp_path)


def test_arrays_that_cannot_be_written_are_not_compiled_for_again() -> None:
    from involution_edu.backends.numba_cpu import channels

    geom = make_geometry((1, 16, 5, 6), 1, 3)
    operands = random_operands(geom, np.float32, 0)
    want = run("numba", operands, operator_options(geom))
    before = len(getattr(channels.forward, "signatures"))  # noqa: B009 - a dispatcher
    for array in operands:
        array.setflags(write=False)
    got = run("numba", operands, operator_options(geom))
    assert len(getattr(channels.forward, "signatures")) == before  # noqa: B009
    assert all(np.array_equal(got[name], want[name]) for name in want)


def test_why_numba_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    numba_cpu.unavailable.cache_clear()
    try:
        assert inv.available_backends()["numba"] == "NUMBA_DISABLE_JIT is set: unset it"
        assert inv.backends.select("auto") is inv.backends.load(inv.backends.LADDER[2])
    finally:
        numba_cpu.unavailable.cache_clear()


def test_a_package_in_a_zip_file_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = Path("packed.zip", *Path(numba_cpu.__file__).parts[-4:])
    monkeypatch.setattr(numba_cpu, "__file__", str(inside))
    why = getattr(numba_cpu.unavailable, "__wrapped__")()  # noqa: B009 - of the cache
    assert why == "the package is imported from inside a zip file: unpack that first"
