"""Paddle's ``.pdparams``: one pickled dict of NumPy arrays.

Paddle calls the statistics of batch normalisation ``_mean`` and ``_variance``, and stores the
weight of a linear layer as (in, out).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from .pickles import Settable, ordered_dict, plain_tuple, read_pickle
from .tensors import ITEMSIZE, Fault, Numbers, Tensor, array_of, quoted

RENAMED = {"_mean": "running_mean", "_variance": "running_var"}


class PickledDtype(Settable):
    """A NumPy dtype: kind, size and byte order."""

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or code not in ITEMSIZE:
            raise Fault(f"its pickle has the dtype {quoted(code)}; need one of numbers")
        # Paddle stores bfloat16, which NumPy does not have, as uint16.
        self.code, self.order = "bf16" if code == "u2" else code, "<"

    def set_state(self, state: Any) -> None:
        """Set the byte order, the second item of the state of a NumPy dtype."""
        if not isinstance(state, tuple) or state[1] not in ("<", ">", "|"):
            raise Fault(f"its pickle has a dtype of state {quoted(state)}")
        self.order = ">" if state[1] == ">" else "<"


class PickledArray(Tensor, Settable):
    """A NumPy array: created empty, then given its shape and bytes."""

    def __init__(self, *_: object) -> None:
        super().__init__(self._read)
        self.state: Any = None

    def set_state(self, state: Any) -> None:
        """Set (version, shape, dtype, whether the first axis varies fastest, bytes)."""
        self.state = state

    def _read(self) -> Numbers:
        match self.state:
            case (1, shape, PickledDtype() as dtype, bool() | int() as fortran, bytes() | str()):
                raw = self.state[4]
                if isinstance(raw, str):
                    raw = raw.encode("latin1")
                return array_of(raw, dtype.code, shape, fortran=bool(fortran), order=dtype.order)
        raise Fault("has no bytes; need those of an array")


def encode(text: object, *_: object) -> object:
    """Stand in for _codecs.encode, with which old pickles turn text into bytes, one for one.

    The text is not converted until an array needs it: many copies could fill the memory.
    """
    return text


KNOWN = {
    "__builtin__ tuple": plain_tuple,
    "_codecs encode": encode,
    "builtins tuple": plain_tuple,
    "collections OrderedDict": ordered_dict,
    "numpy dtype": PickledDtype,
    "numpy ndarray": "ndarray",
    "numpy._core.multiarray _reconstruct": PickledArray,
    "numpy.core.multiarray _reconstruct": PickledArray,
}


def read_paddle(data: bytes) -> object:
    """Return the argument of `paddle.save`, with a `PickledArray` for each tensor."""
    return read_pickle(data, KNOWN)


def as_torch(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return ``state`` under PyTorch's names and in its layout."""
    renamed = {}
    for key, tensor in state.items():
        prefix, dot, name = key.rpartition(".")
        if name == "weight":
            tensor = Tensor(partial(_linear_weight, tensor))
        renamed[prefix + dot + RENAMED.get(name, name)] = tensor
    return renamed


def _linear_weight(tensor: Tensor) -> Numbers:
    """Return (out, in) of a weight (in, out); of a weight with other axes, the weight."""
    array = tensor.array()
    return array.T if array.ndim == 2 else array
