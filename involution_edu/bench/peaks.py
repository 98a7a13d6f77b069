"""The peak rates of the processor, in copying memory and in multiply-adds, by several methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ..backends import numba_cpu
from .contenders import threads
from .timing import Call

COPIED = 1 << 27  # bytes of the array, read and written: more than most caches hold
PRODUCT = 768  # rows and columns of the matrices that are multiplied
CHAINS = 12  # independent chains of multiply-adds
LENGTH = 1_000_000


class PeakMethod(NamedTuple):
    """A method to measure a peak rate."""

    peak: str
    name: str
    amount: float  # bytes or operations of each call
    work: Sequence[Call]


def processor_peaks() -> list[PeakMethod]:
    """Return all methods, their memory touched and their code compiled."""
    count = threads()
    pool = ThreadPoolExecutor(count, thread_name_prefix="peaks")
    source, target = np.ones(COPIED // 4, np.float32), np.zeros(COPIED // 4, np.float32)
    cut = np.array_split(target, count), np.array_split(source, count)
    square = np.random.default_rng(0).standard_normal((PRODUCT, PRODUCT), dtype=np.float32)
    found: list[tuple[str, str, float, Call]] = [
        ("copy", "np.copyto on one thread", 2 * COPIED, lambda: np.copyto(target, source)),
        ("copy", f"np.copyto on {count} threads", 2 * COPIED, lambda: [*pool.map(np.copyto, *cut)]),
        ("multiply-add", "a product of matrices (BLAS)", 2 * PRODUCT**3, lambda: square @ square),
    ]
    if numba_cpu.unavailable() is None:
        chains = _compiled_chains()
        numbers = np.linspace(0.1, 0.9, 16 * (CHAINS + 2), dtype=np.float32)
        width = chains(numbers, 1)
        name = f"chains of {4 * width}-byte vectors on {count} threads"
        call: Call = lambda: list(pool.map(lambda _: chains(numbers, LENGTH), range(count)))
        found.append(("multiply-add", name, 2 * CHAINS * width * LENGTH * count, call))
    return [PeakMethod(peak, name, amount, [call]) for peak, name, amount, call in found]


@cache
def _compiled_chains() -> Callable[[Any, int], int]:
    """Return f(numbers, length), 12 * ``length`` times acc = acc * b + c, in the widest vectors."""
    from llvmlite.binding import get_host_cpu_features
    from numba import njit

    from ..backends.numba_cpu.vectors import fma, lanes, load_as, pair_of_zeros, store, zeros

    zero, times = (pair_of_zeros, 2) if get_host_cpu_features().get("avx512f") else (zeros, 1)

    @njit(nogil=True)  # type: ignore[untyped-decorator]
    def chains(x: Any, length: int) -> int:
        n, z = times * lanes(x), zero(x)
        b, c = load_as(z, x, 0), load_as(z, x, n)
        # Different starts, or the compiler would merge all chains.
        a0, a1, a2 = load_as(z, x, 2 * n), load_as(z, x, 3 * n), load_as(z, x, 4 * n)
        a3, a4, a5 = load_as(z, x, 5 * n), load_as(z, x, 6 * n), load_as(z, x, 7 * n)
        a6, a7, a8 = load_as(z, x, 8 * n), load_as(z, x, 9 * n), load_as(z, x, 10 * n)
        a9, a10, a11 = load_as(z, x, 11 * n), load_as(z, x, 12 * n), load_as(z, x, 13 * n)
        for _ in range(length):
            a0, a1, a2 = fma(a0, b, c), fma(a1, b, c), fma(a2, b, c)
            a3, a4, a5 = fma(a3, b, c), fma(a4, b, c), fma(a5, b, c)
            a6, a7, a8 = fma(a6, b, c), fma(a7, b, c), fma(a8, b, c)
            a9, a10, a11 = fma(a9, b, c), fma(a10, b, c), fma(a11, b, c)
        for k, a in enumerate((a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11)):
            store(a, x, (k + 2) * n)  # or the compiler would drop the loop
        return n  # type: ignore[no-any-return]

    return chains  # type: ignore[no-any-return]
