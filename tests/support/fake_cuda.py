"""The parts of ``numba.cuda`` that rung 4 uses, run thread by thread in a chosen order.

Numba's own simulator runs the threads in any order, in memory full of zeros. Here shared
memory and registers start as NaN, one thread at a time runs from barrier to barrier, every
access is counted and checked against the bounds of its array, and no number may be written twice.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import fake_cupy
import numba
import numpy as np
import pytest

from involution_edu.arrays import Array
from involution_edu.backends import numba_cuda
from involution_edu.backends.cuda import versions

SOURCE = Path(numba_cuda.__file__).with_name("kernels.py")
# Blocks are small, so that small images have several tiles, not all of them full.
VERSIONS = tuple(replace(version, threads=(3, 4)) for version in numba_cuda.VERSIONS)
ORDERS = ("forward", "reverse", "shuffled")


class Memory:
    """An array that counts its reads and writes, and refuses indices out of bounds.

    If ``once`` is set, it also refuses to be written twice at the same index.
    """

    def __init__(
        self, array: Array, counts: Counter[str], kind: str, *, once: bool = False
    ) -> None:
        self.array, self.shape = array, array.shape
        self.counts, self.read, self.write = counts, f"{kind} read", f"{kind} written"
        self.written = np.zeros(array.shape, bool) if once else None

    def __getitem__(self, index: Any) -> Any:
        self.check(index)
        self.counts[self.read] += 1
        return self.array[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.check(index)
        self.counts[self.write] += 1
        if self.written is not None:
            assert not self.written[index], f"{index} of the result is written twice"
            self.written[index] = True
        self.array[index] = value

    def check(self, index: Any) -> None:
        """Refuse negative indices; NumPy refuses those beyond the end."""
        if (index if type(index) is int else min(index)) < 0:
            raise IndexError(f"{index} is outside an array of {self.shape}")


@dataclass
class Thread:
    """One thread of a block, which runs only in its turn."""

    x: int
    y: int
    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    ended: bool = False
    error: BaseException | None = None


@dataclass
class Cuda:
    """The module ``cuda`` of the CUDA kernels, and counts of their reads and writes."""

    order: str = "forward"
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.shared = SimpleNamespace(array=lambda shape, T: self.tile)
        self.local = SimpleNamespace(array=lambda shape, S: np.full(shape, np.nan, S))
        self.back = threading.Semaphore(0)
        self.rng = np.random.default_rng(1)
        self.tile: Memory
        self.blockDim: Any
        self.blockIdx: Any
        self.threadIdx: Thread

    def jit(self, function: Any = None, *, device: bool = False) -> Any:
        if device:
            return lambda inner: inner
        if isinstance(function, str):  # a signature: compiled at once
            return partial(CudaKernel, self)
        return CudaKernel(self, function)

    def grid(self, axes: int) -> int:
        assert (axes, self.blockDim.y) == (1, 1)
        return int(self.blockIdx.x * self.blockDim.x + self.threadIdx.x)

    def syncthreads(self) -> None:
        thread = self.threadIdx
        self.back.release()
        thread.turn.acquire()

    def run_block(self, function: Callable[[], None]) -> None:
        """Run every thread to the next barrier before any continues, until all have ended."""
        threads = [Thread(x, y) for y, x in product(range(self.blockDim.y), range(self.blockDim.x))]
        if self.order == "reverse":
            threads.reverse()
        if not self.tile.array.size:  # nothing is shared, so there is nothing to wait for
            for self.threadIdx in threads:
                function()
            return

        def run(thread: Thread) -> None:
            thread.turn.acquire()
            try:
                function()
            except BaseException as error:  # noqa: BLE001 - raised below, where it is seen
                thread.error = error
            thread.ended = True
            self.back.release()

        for thread in threads:
            threading.Thread(target=run, args=(thread,), daemon=True).start()
        while not any(thread.ended for thread in threads):
            if self.order == "shuffled":
                self.rng.shuffle(threads)
            for thread in threads:
                self.threadIdx = thread
                thread.turn.release()
                self.back.acquire()
                if thread.error is not None:
                    raise thread.error
        assert all(thread.ended for thread in threads), "some threads missed a barrier"


@dataclass
class CudaKernel:
    """The result of ``cuda.jit``: launched[grid, block, stream, bytes](...) runs it."""

    cuda: Cuda
    function: Callable[..., None]

    def __getitem__(self, configuration: tuple[int, tuple[int, int], Any, int]) -> Any:
        return lambda *arguments: self.launch(configuration, *arguments)

    def launch(self, configuration: Any, a: Any, b: Any, result: Any, *sizes: Any) -> None:
        grid, (x, y), _, shared = configuration
        assert x * y <= 1024
        cuda, dtype = self.cuda, result.dtype
        cuda.blockDim = SimpleNamespace(x=x, y=y)
        operands = (Memory(array, cuda.counts, "global") for array in (a, b))
        arrays = (*operands, Memory(result, cuda.counts, "global", once=True))

        def run() -> None:
            with np.errstate(invalid="ignore"):  # 0 * Inf is meant
                self.function(*arrays, *sizes)

        for block in range(grid):
            cuda.blockIdx = SimpleNamespace(x=block)
            tile = np.full(shared // dtype.itemsize, np.nan, dtype)
            cuda.tile = Memory(tile, cuda.counts, "shared")
            cuda.run_block(run)


class CudaOnGpu(Cuda):
    """As `Cuda`, for the arrays of ``fake_cupy``, with the checks of a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.gpus = Gpus()
        self.streams: list[int] = []

    def is_available(self) -> bool:
        return True

    def external_stream(self, pointer: int) -> int:
        self.streams.append(pointer)
        return pointer

    def as_cuda_array(self, array: Any, *, sync: bool) -> Any:
        assert not sync, "the processor would wait for the GPU"
        assert type(array) is fake_cupy.ndarray
        assert array.flags.c_contiguous
        assert array.gpu == fake_cupy.Device.current == self.gpus.current
        return array.host


class Gpus:
    """Numba's list of GPUs; ``with`` makes one the current one."""

    current: int | None = None

    @contextmanager
    def __getitem__(self, number: int) -> Iterator[None]:
        self.current = number
        yield
        self.current = None


@contextmanager
def installed(cuda: Any, source: str | None = None) -> Iterator[None]:
    """Let rung 4 use ``cuda``, and the CUDA kernels of ``source`` if it is given."""
    kernels: Any = ModuleType("involution_edu.backends.numba_cuda.kernels")
    kernels.__package__ = numba_cuda.__name__
    code = SOURCE.read_text(encoding="utf-8") if source is None else source
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba, "cuda", cuda, raising=False)  # it may not be imported yet
        exec(compile(code, SOURCE, "exec"), kernels.__dict__)  # noqa: S102
        patch.setitem(sys.modules, kernels.__name__, kernels)
        patch.setattr(versions, "THREADS", 32)
        patch.setattr(numba_cuda, "simulated", lambda: type(cuda) is Cuda)
        yield
