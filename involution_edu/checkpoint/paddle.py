"""Paddle's ``.pdparams``: one pickled dict of NumPy arrays.

Paddle calls a batch norm's statistics ``_mean`` and ``_variance``, and keeps the weight of a
linear layer as (in, out).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .pickles import Settable, ordered_dict, plain_tuple, read_pickle
from .tensors import ITEMSIZE, Fault, Numbers, RawTensor, Tensor, quoted

RENAMED = {"_mean": "running_mean", "_variance": "running_var"}


class PickledDtype(Settable):
    """A NumPy dtype, as far as its kind, size and byte order."""

    def __init__(self, code: object) -> None:
        if not isinstance(code, str) or code not in ITEMSIZE:
            raise Fault(f"its pickle has the dtype {quoted(code)}; need one of numbers")
        # What Paddle hands to NumPy as uint16 is bfloat16, which NumPy lacks.
        self.code = "bf16" if code == "u2" else code
        self.byteorder = "<"

    def set_state(self, state: Any) -> None:
        """Take the byte order, the second of a NumPy dtype's state."""
        if not isinstance(state, tuple) or state[1] not in ("<", ">", "|"):
            raise Fault(f"its pickle has a dtype of state {quoted(state)}")
        self.byteorder = ">" if state[1] == ">" else "<"


class PickledArray(Tensor, Settable):
    """A NumPy array: made empty, then given its shape and bytes."""

    state: Any = None

    def set_state(self, state: Any) -> None:
        """Take (version, shape, dtype, whether the first axis varies fastest, bytes)."""
        self.state = state

    def array(self) -> Numbers:
        """Return the array."""
        match self.state:
            case (1, shape, PickledDtype() as dtype, bool() | int() as fortran, bytes() | str()):
                raw = self.state[4]
                if isinstance(raw, str):
                    raw = raw.encode("latin1")
                code, order = dtype.code, dtype.byteorder
                return RawTensor(raw, code, shape, bool(fortran), order).array()
        raise Fault("has no bytes; need those of an array")


def array(*_: object) -> PickledArray:
    """Stand in for numpy's _reconstruct, which makes an empty array to be filled."""
    return PickledArray()


def dtype(code: object, *_: object) -> PickledDtype:
    """Stand in for numpy.dtype."""
    return PickledDtype(code)


def encode(text: object, *_: object) -> object:
    """Stand in for _codecs.encode, with which old pickles turn text into bytes, one for one.

    The text stays as it is until an array is made of it: many copies could fill the memory.
    """
    return text


KNOWN = {
    "__builtin__ tuple": plain_tuple,
    "_codecs encode": encode,
    "builtins tuple": plain_tuple,
    "collections OrderedDict": ordered_dict,
    "numpy dtype": dtype,
    "numpy ndarray": "ndarray",
    "numpy._core.multiarray _reconstruct": array,
    "numpy.core.multiarray _reconstruct": array,
}


@dataclass(frozen=True)
class LinearWeight(Tensor):
    """A weight with its two axes exchanged, if it has two: as PyTorch keeps it."""

    tensor: Tensor

    def array(self) -> Numbers:
        """Return (out, in)."""
        array = self.tensor.array()
        return array.T if array.ndim == 2 else array


def read_paddle(data: bytes) -> object:
    """Return what `paddle.save` was given, with a `PickledArray` for each tensor."""
    return read_pickle(data, KNOWN)


def as_torch(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return ``state`` under PyTorch's names and in its layout."""
    renamed = {}
    for key, tensor in state.items():
        prefix, dot, name = key.rpartition(".")
        renamed[prefix + dot + RENAMED.get(name, name)] = (
            LinearWeight(tensor) if name == "weight" else tensor
        )
    return renamed
