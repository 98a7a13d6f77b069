"""From the bytes of a file to arrays: sizes are checked before memory is allocated."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import arguments

MAX_BYTES = 1 << 30  # of a file, and of its arrays; RedNet-152 has 136 million
MAX_HEADER = 1 << 24  # bytes of a header of safetensors; that of RedNet-152 has 160,000
MAX_MESSAGE = 300  # letters of the message of another library, which may quote the whole file
# Bytes per number, by code; "bf16" is the upper half of a float32.
ITEMSIZE = {
    "bf16": 2,
    "b1": 1,
    **{f"f{size}": size for size in (2, 4, 8)},
    **{f"{sign}{size}": size for sign in "iu" for size in (1, 2, 4, 8)},
}

Numbers = NDArray[Any]
quoted = arguments.quoted


class Fault(Exception):
    """A defect of a file; `load_checkpoint` adds the name of the file."""


@dataclass(eq=False)
class Tensor:
    """A tensor of a file, not read yet.

    Attributes
    ----------
    array : function of no argument
        Returns its array, or raises if the file contradicts itself.
    """

    array: Callable[[], Numbers]


def array_of(
    raw: bytes | memoryview, code: str, shape: object, *, fortran: bool = False, order: str = "<"
) -> Numbers:
    """Return a contiguous array: writable, in the byte order of this machine.

    Parameters
    ----------
    raw : bytes or memoryview
    code : str
        A key of `ITEMSIZE`.
    shape : object
        A list or tuple of ints, unchecked.
    fortran : bool
        Whether the first axis varies fastest.
    order : {"<", ">"}
        Least or most significant byte first.

    Examples
    --------
    >>> array_of(bytes([0, 0, 128, 63]), "f4", (1, 1))
    array([[1.]], dtype=float32)
    >>> array_of(bytes([63, 128]), "bf16", (1,), order=">")
    array([1.], dtype=float32)
    """
    sizes = as_shape(shape)
    need = math.prod(sizes) * ITEMSIZE[code]
    if len(raw) != need:
        raise Fault(f"has {len(raw)} bytes; need {need} for {code} of shape {quoted(sizes)}")
    return numbers(raw, code, order).reshape(sizes, order="F" if fortran else "C")


def as_shape(shape: object) -> tuple[int, ...]:
    """Return ``shape`` as a tuple of ints >= 0."""
    if not isinstance(shape, list | tuple) or not all(
        type(size) is int and 0 <= size < 1 << 48 for size in shape
    ):
        raise Fault(f"has shape {quoted(shape)}; need whole numbers >= 0")
    return tuple(shape)


def numbers(raw: bytes | memoryview, code: str, order: str) -> Numbers:
    """Return ``raw`` as a new array of one axis; bfloat16 becomes float32."""
    if code == "bf16":
        upper = np.frombuffer(raw, f"{order}u2").astype(np.uint32)
        widened: Numbers = (upper << 16).view(np.float32)
        return widened
    if code == "b1":
        return np.frombuffer(raw, np.uint8).astype(np.bool_)
    return np.frombuffer(raw, order + code).astype(code)
