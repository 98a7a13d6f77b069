"""The CUDA source compiled by g++ and run on NumPy arrays: the same source, without a GPU.

For the backend ``cuda_host``, for tests and for counting traffic, not for speed. ``cuda_host.h``
replaces CUDA: threads are fibers, so that barriers work and the order of the threads can be
chosen, and shared memory starts as NaN.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ....arrays import Array
from ....geometry import Geometry
from ..versions import Launch, cuda_source, result_shape

HERE = Path(__file__).parent
ORDERS = ("forward", "reverse", "shuffled")
FAILURES = {
    1: "some threads of a block reached a barrier that others did not",
    2: "a block wrote beyond its shared memory",
}
# The C function that launches the CUDA kernel of a given name.
ENTRY = """
extern "C" int launch_{index}(
    unsigned first, unsigned blocks, unsigned wide, unsigned tall, unsigned bytes, unsigned order,
    unsigned seed, void* const* arrays) {{
  using T = {storage};
  return host::launch(
      first, blocks, dim3{{wide, tall}}, bytes, static_cast<host::Order>(order), seed, {name},
      {operands}, static_cast<T*>(arrays[{count}]), *static_cast<const Sizes*>(arrays[{count} + 1]));
}}
"""


def _entry(index: int, name: str) -> str:
    count = 4 if name.startswith("generate_and_apply") else 2
    operands = ", ".join(f"static_cast<const T*>(arrays[{n}])" for n in range(count))
    storage = name.partition("<")[2].partition(",")[0]
    return ENTRY.format(index=index, name=name, storage=storage, operands=operands, count=count)


@cache
def unavailable() -> str | None:
    """Return None, or why nothing can be compiled here."""
    if shutil.which("g++") is None:
        return "g++ is not installed: install GCC 12 or newer"
    if errors := _compile("-fsyntax-only", HERE / "cuda_host.h"):
        first = next((line for line in errors.splitlines() if "error" in line), "no reason")
        return f"g++ cannot compile for this machine ({first}): install GCC 12 or newer"
    return None


def _compile(*options: str | Path) -> str:
    """Run g++; return what it says if it fails."""
    command = ["g++", "-std=c++17", *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return (done.stderr or "no reason") if done.returncode else ""


class Program:
    """A source compiled for C++ names such as ``"forward_v1<float, 7>"``, in a folder."""

    def __init__(
        self, names: Sequence[str], folder: Path, *, source: str | None = None,
        options: Sequence[str] = (), prelude: str = "",
    ) -> None:  # fmt: skip
        if reason := unavailable():
            raise RuntimeError(reason)
        entries = (_entry(index, name) for index, name in enumerate(names))
        code = "\n".join(['#include "cuda_host.h"', prelude, source or cuda_source(), *entries])
        path, library = folder / "involution_host.cpp", folder / "involution_host.so"
        path.write_text(code, encoding="utf-8")
        flags = ("-O1", "-fno-strict-aliasing", "-fPIC", "-shared", *options)
        if errors := _compile(*flags, "-I", HERE, path, "-o", library):
            raise RuntimeError(f"g++ refuses the source: {errors}")
        self.library = ctypes.CDLL(str(library))
        self.names, self.bounds = list(names), _launch_bounds(code)

    def run(
        self, launch: Launch, *arrays: Any, order: str = "forward", seed: int = 0, first: int = 0
    ) -> None:
        """Run the blocks from ``first`` on, on contiguous operands, the result and the sizes."""
        function = getattr(self.library, f"launch_{self.names.index(launch.name)}")
        wide, tall = launch.block
        if wide * tall > (most := self.bounds[launch.name.partition("<")[0]]):
            raise RuntimeError(f"{launch.name} on {launch}: its launch bounds are {most} threads")
        pointers = (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
        sizes = (first, launch.grid, wide, tall, launch.shared, ORDERS.index(order), seed)
        if outcome := function(*map(ctypes.c_uint, sizes), pointers):
            raise RuntimeError(f"{launch.name} on {launch}: {FAILURES[outcome]}")


def _launch_bounds(code: str) -> dict[str, int]:
    """Return the most threads of a block for which each CUDA kernel is compiled."""
    constants = dict(re.findall(r"constexpr int (\w+) = (\d+);", code))
    bounds = re.findall(r"__launch_bounds__\((\w+),[^()]*\)\s+(\w+)\(", code)
    return {kernel: int(constants[most]) for most, kernel in bounds}


def empty_result(task: str, geom: Geometry, dtype: np.dtype[np.floating]) -> Array:
    """Return an array for the result of ``task``, filled with NaN."""
    return np.full(result_shape(task, geom), np.nan, dtype)
