"""From the bytes of a file to arrays: sizes are checked before memory is allocated."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from io import BufferedReader
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import arguments

MAX_BYTES = 1 << 30  # of a file, and of its arrays; RedNet-152 has 136 million
MAX_AXES = 64  # NumPy has arrays of no more
MAX_MESSAGE = 300  # letters of the message of another library, which may quote the whole file
# Bytes per number of the file, by code; "bf16" is the upper half of a float32, which it becomes.
ITEMSIZE = {"bf16": 2, "b1": 1, "f2": 2, "f4": 4, "f8": 8}
ITEMSIZE |= {f"{sign}{size}": size for sign in "iu" for size in (1, 2, 4, 8)}
RESULT_SIZE = {**ITEMSIZE, "bf16": 4}  # of the array

Numbers = NDArray[Any]
Read = Callable[[], bytes | memoryview]
quoted = arguments.quoted


class Fault(Exception):
    """A defect of a file; `load_checkpoint` adds the name of the file."""


class Source(BufferedReader):
    """A file that is read in parts; no read takes memory for more than the file has."""

    limit = MAX_BYTES  # of one read

    def read(self, size: int | None = -1) -> bytes:
        """Return at most ``size`` bytes from here on, and at most `limit`."""
        left = min(self.limit, max(0, os.fstat(self.fileno()).st_size - self.tell()))
        return super().read(left if size is None or size < 0 else min(size, left))

    def part(self, start: int, size: int = -1) -> bytes:
        """Return ``size`` bytes from ``start`` on, fewer at the end of the file, or all."""
        self.seek(start)
        return self.read(size)


def shortened(error: Exception | str) -> str:
    """Return a message on one line, escaped; with the type of an exception that is no `Fault`."""
    text = f"{error}" if isinstance(error, Fault | str) else f"{type(error).__name__}: {error}"
    text = " ".join(text[: 2 * MAX_MESSAGE].split())
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}..."


@dataclass
class Plan:
    """An array to be made, of checked size; several may belong to one ``source`` of memory."""

    shape: tuple[int, ...]
    code: str
    read: Callable[[], Numbers]
    source: Hashable = None
    source_bytes: int = 0


@dataclass(eq=False)
class Tensor:
    """A tensor of a file; ``plan`` checks its sizes, or raises if the file contradicts itself."""

    plan: Callable[[], Plan]


def named(name: str, make: Callable[[], Any]) -> Any:
    """Return ``make()``; an error names the tensor."""
    try:
        return make()
    except Exception as error:
        raise Fault(f"tensor {quoted(name)} {shortened(error)}") from error


def arrays_of(state: Mapping[str, Tensor]) -> dict[str, Numbers]:
    """Return the arrays by name; none is made before the sizes of all have been added up."""
    plans: dict[str, Plan] = {}
    sources: set[Hashable] = set()
    arrays = stored = 0  # bytes
    for name, tensor in state.items():
        plan = plans[name] = named(name, tensor.plan)
        arrays += math.prod(plan.shape) * RESULT_SIZE[plan.code]
        stored += 0 if plan.source in sources else plan.source_bytes
        sources.add(plan.source)
        if max(arrays, stored) > MAX_BYTES:
            raise Fault(f"it unpacks to more than {MAX_BYTES} bytes; need no more")
    return {name: named(name, plan.read) for name, plan in plans.items()}


def plan_of(
    size: int, get: Read, code: str, shape: object, *, fortran: bool = False, order: str = "<"
) -> Plan:
    """Return the plan of a contiguous array, of ``size`` bytes that ``get`` returns."""
    sizes = as_shape(shape)
    need = math.prod(sizes) * ITEMSIZE[code]
    if size != need:
        raise Fault(f"has {size} bytes; need {need} for {code} of shape {quoted(sizes)}")
    axes: Literal["F", "C"] = "F" if fortran else "C"
    return Plan(sizes, code, lambda: numbers(get(), code, order).reshape(sizes, order=axes))


def as_shape(shape: object) -> tuple[int, ...]:
    """Return ``shape`` as a tuple of ints >= 0, few enough to multiply."""
    if isinstance(shape, list | tuple):
        if len(shape) > MAX_AXES:
            raise Fault(f"has {len(shape)} axes; need at most {MAX_AXES}")
        if all(type(size) is int and 0 <= size < 1 << 48 for size in shape):
            return tuple(shape)
    raise Fault(f"has shape {quoted(shape)}; need whole numbers >= 0")


def numbers(raw: bytes | memoryview, code: str, order: str) -> Numbers:
    """Return bytes of order "<" or ">" as a new array of one axis, in this machine's order."""
    if code == "bf16":
        bits: Numbers = np.left_shift(np.frombuffer(raw, f"{order}u2"), 16, dtype=np.uint32)
        return bits.view(np.float32)
    return np.frombuffer(raw, "u1" if code == "b1" else order + code).astype(code)
