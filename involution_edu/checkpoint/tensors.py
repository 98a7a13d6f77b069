"""From a file's bytes to arrays: sizes are checked before anything is made of them."""

from __future__ import annotations

import math
import reprlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_BYTES = 1 << 30  # of a file, and of what it unpacks to; RedNet-152 has 136 million
# Bytes per number of what is read, by its letter and size; "bf16" is a float32 cut in half.
ITEMSIZE = {
    "bf16": 2,
    "b1": 1,
    **{f"f{size}": size for size in (2, 4, 8)},
    **{f"{sign}{size}": size for sign in "iu" for size in (1, 2, 4, 8)},
}

Numbers = NDArray[Any]
_SHORT = reprlib.Repr()
_SHORT.maxstring, _SHORT.maxother, _SHORT.maxlevel = 80, 80, 2


def quoted(value: object) -> str:
    """Return ``value`` as code, shortened: a hostile name may be a million letters long."""
    return _SHORT.repr(value)


class Fault(Exception):
    """What is wrong with a file; `load_checkpoint` adds the file's name."""


class Tensor(ABC):
    """A tensor of a file, not read yet."""

    @abstractmethod
    def array(self) -> Numbers:
        """Return its numbers, or raise if the file contradicts itself."""


@dataclass(frozen=True)
class RawTensor(Tensor):
    """Numbers that lie one after the other.

    Parameters
    ----------
    raw : bytes or memoryview
    code : str
        A key of `ITEMSIZE`.
    shape : object
        Checked when the array is made.
    fortran : bool
        Whether the first axis varies fastest.
    byteorder : {"<", ">"}
        The least or the most significant byte first.
    """

    raw: bytes | memoryview
    code: str
    shape: object
    fortran: bool = False
    byteorder: str = "<"

    def array(self) -> Numbers:
        """Return the array, writable, in the byte order of this machine.

        Examples
        --------
        >>> RawTensor(bytes([0, 0, 128, 63]), "f4", (1, 1)).array()
        array([[1.]], dtype=float32)
        >>> RawTensor(bytes([63, 128]), "bf16", (1,), byteorder=">").array()
        array([1.], dtype=float32)
        """
        shape = as_shape(self.shape)
        need = math.prod(shape) * ITEMSIZE[self.code]
        if len(self.raw) != need:
            raise Fault(
                f"has {len(self.raw)} bytes; need {need} for {self.code} of shape {quoted(shape)}"
            )
        flat = numbers(self.raw, self.code, self.byteorder)
        return flat.reshape(shape, order="F" if self.fortran else "C")


def as_shape(shape: object) -> tuple[int, ...]:
    """Return ``shape`` as a tuple of ints >= 0."""
    if not isinstance(shape, list | tuple) or not all(
        type(size) is int and 0 <= size < 1 << 48 for size in shape
    ):
        raise Fault(f"has shape {quoted(shape)}; need whole numbers >= 0")
    return tuple(shape)


def numbers(raw: bytes | memoryview, code: str, byteorder: str) -> Numbers:
    """Return ``raw`` as a new array of one axis; bfloat16 becomes float32, which holds it."""
    if code == "bf16":
        upper = np.frombuffer(raw, f"{byteorder}u2").astype(np.uint32)
        widened: Numbers = (upper << 16).view(np.float32)
        return widened
    if code == "b1":
        return np.frombuffer(raw, np.uint8).astype(np.bool_)
    return np.frombuffer(raw, byteorder + code).astype(code)
