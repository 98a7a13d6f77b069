"""The memory traffic of each version of the CUDA source, counted on the processor.

``python -m involution_edu.bench.cuda_traffic`` prints the table that explains the versions. The
source runs under g++ with a storage type that counts (emulator/counted.h): a number that is read or
written is in global memory, in the block's shared memory, or in a register, where it is not counted.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ..backends.cuda import emulator, fused, versions
from ..backends.cuda.versions import TASKS, VERSIONS, plan, result_shape
from ..cases import random_operands
from ..geometry import Geometry, make_geometry

# The involution of RedNet-50's first stage, on one group of 16 channels.
STAGE = make_geometry((1, 16, 56, 56), 1, 7)
FEATURES = 16  # C_r: the channels from which kernels are generated
DTYPE = np.dtype(np.float32)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Numbers read and written for each number of the result."""

    task: str
    version: str
    global_reads: float
    global_writes: float
    shared_reads: float
    shared_writes: float
    least: float  # for global memory: all operands read and the result written once
    conflicts: float  # time of the reads of shared memory over that without bank conflicts

    @property
    def excess(self) -> float:
        """Global reads and writes over the minimum."""
        return (self.global_reads + self.global_writes) / self.least


def measure(geom: Geometry = STAGE) -> list[Traffic]:
    """Count the traffic of every version of every task, in float32; RuntimeError without g++."""
    x, kernel, dy = random_operands(geom, DTYPE, seed=0)
    weight = np.ones((geom.G * prod(geom.window), FEATURES), DTYPE)
    features = np.ones((geom.N, FEATURES, geom.H_out, geom.W_out), DTYPE)
    operands = {
        "forward": (x, kernel),
        "backward_input": (dy, kernel),
        "backward_kernel": (dy, x),
        fused.TASK: (x, features, weight, weight[:, 0].copy()),
    }
    plans = {(task, v.name): plan(task, v, geom, DTYPE) for task in TASKS for v in VERSIONS}
    for v in fused.VERSIONS:
        plans[fused.TASK, v.name] = plan(fused.TASK, v, geom, DTYPE, FEATURES)
    for key, p in plans.items():
        plans[key] = replace(p, name=p.name.replace("<float", "<Counted"))
    names = [p.name for p in plans.values()]
    source = f'{versions.cuda_source()}\n#include "counted_vectors.h"'
    found, sizes = [], versions.struct_of_sizes(geom, FEATURES)
    with TemporaryDirectory() as folder:
        program = emulator.Program(
            names, Path(folder), source=source, prelude='#include "counted.h"'
        )
        for (task, version), launch in plans.items():
            result = np.empty(result_shape(task, geom), DTYPE)
            program.run(launch, *operands[task], result, sizes)
            counts = (ctypes.c_ulonglong * 6)()
            program.library.take_counts(counts)
            least = (sum(a.size for a in operands[task]) + result.size) / result.size
            read, written, shared_read, shared_written = (n / result.size for n in counts[:4])
            moved = read, written, shared_read, shared_written
            found.append(Traffic(task, version, *moved, least, counts[4] / max(counts[5], 1)))
    return found


def table(found: list[Traffic]) -> Iterator[str]:
    """Yield the lines of a table for a terminal of 80 columns."""
    yield "Numbers read and written for each number of the result:"
    yield ""
    yield f"{'':22}{'global memory':>20}{'least':>10}{'shared memory':>18}{'bank':>10}"
    yield f"{'':22}{'read':>10}{'written':>10}{'':10}{'read':>9}{'written':>9}{'conflicts':>10}"
    for t in found:
        in_global = f"{t.global_reads:10.2f}{t.global_writes:10.2f}{t.least:10.2f}"
        in_shared = f"{t.shared_reads:9.2f}{t.shared_writes:9.2f}{f'{t.conflicts:.2f} x' if t.conflicts else '-':>10}"
        yield f"{t.task + ' ' + t.version:22}{in_global}{in_shared}"


def main() -> int:
    """Print the table, or the reason why there is none."""
    try:
        found = measure()
    except RuntimeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.writelines(f"{line}\n" for line in table(found))
    sys.stdout.write("\nv1 to v3 of numba_cuda move the same numbers: its tests count them.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
