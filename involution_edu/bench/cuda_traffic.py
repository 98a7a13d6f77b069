"""The memory traffic of each version of the CUDA source, counted on the processor.

``python -m involution_edu.bench.cuda_traffic`` prints the table that explains the versions. The
source runs under g++ with a storage type that counts: every number that is read or written is in
global memory, in the block's shared memory, or in a register, where it is not counted.
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
COUNTED = """
// A float that counts where it is read and written. On the GPU, the stack of a fiber is registers.
inline unsigned long long reads[2], writes[2];  // of global memory, of shared memory

struct Counted {
  float value;
  Counted() = default;
  explicit Counted(float v) : value(v) {}
  Counted(const Counted& other) : value(static_cast<float>(other)) { count(writes); }
  explicit operator float() const { return count(reads), value; }
  Counted& operator=(const Counted& other) {
    value = static_cast<float>(other);
    count(writes);
    return *this;
  }
  void count(unsigned long long* counts) const {
    const char* here = reinterpret_cast<const char*>(this);
    const char* memory = reinterpret_cast<const char*>(shared);
    const std::vector<char>& stack = host::running->stack;
    if (memory <= here && here < memory + sizeof(shared)) {
      ++counts[1];
    } else if (here < stack.data() || stack.data() + stack.size() <= here) {
      ++counts[0];
    }
  }
};
"""
AFTER = """
template <> struct Sum<Counted> { using type = float; };

extern "C" void take_counts(unsigned long long* taken) {
  for (int memory : {0, 1}) {
    taken[2 * memory] = reads[memory];
    taken[2 * memory + 1] = writes[memory];
    reads[memory] = writes[memory] = 0;
  }
}
"""


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
    names, source = [p.name for p in plans.values()], versions.cuda_source() + AFTER
    found, sizes = [], versions.struct_of_sizes(geom, FEATURES)
    with TemporaryDirectory() as folder:
        program = emulator.Program(names, Path(folder), source=source, prelude=COUNTED)
        for (task, version), launch in plans.items():
            result = np.empty(result_shape(task, geom), DTYPE)
            program.run(launch, *operands[task], result, sizes)
            counts = (ctypes.c_ulonglong * 4)()
            program.library.take_counts(counts)
            least = (sum(a.size for a in operands[task]) + result.size) / result.size
            read, written, shared_read, shared_written = (n / result.size for n in counts)
            found.append(Traffic(task, version, read, written, shared_read, shared_written, least))
    return found


def table(found: list[Traffic]) -> Iterator[str]:
    """Yield the lines of a table for a terminal of 80 columns."""
    yield "Numbers read and written for each number of the result:"
    yield ""
    yield f"{'':22}{'global memory':>24}{'least':>10}{'shared memory':>24}"
    yield f"{'':22}{'read':>12}{'written':>12}{'':10}{'read':>12}{'written':>12}"
    for t in found:
        in_global = f"{t.global_reads:12.2f}{t.global_writes:12.2f}{t.least:10.2f}"
        in_shared = f"{t.shared_reads:12.2f}{t.shared_writes:12.2f}"
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
