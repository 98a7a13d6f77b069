"""Paddle's ``.pdparams``: one pickled dict of NumPy arrays.

Paddle calls the statistics of batch normalisation ``_mean`` and ``_variance``, and stores the
weight of a linear layer as (in, out).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from .pickles import OrderedDict, Settable, Text, plain_tuple, read_pickle
from .tensors import ITEMSIZE, Fault, Plan, Tensor, plan_of, quoted

RENAMED = {"_mean": "running_mean", "_variance": "running_var"}


class PickledDtype(Settable):
    """A NumPy dtype: kind, size and byte order, checked when an array is read."""

    def __init__(self, code: object, *_: object) -> None:
        self.code = code
        self.state: Any = (3, "<")

    def set_state(self, state: Any) -> None:
        """Set the state of a NumPy dtype; its second item is the byte order."""
        self.state = state

    def code_and_order(self) -> tuple[str, str]:
        """Return a key of `ITEMSIZE`, and which byte comes first."""
        if not isinstance(self.code, str) or self.code not in ITEMSIZE:
            raise Fault(f"has the dtype {quoted(self.code)}; need one of numbers")
        if not isinstance(self.state, tuple) or self.state[1] not in ("<", ">", "|"):
            raise Fault(f"has a dtype of state {quoted(self.state)}")
        # Paddle stores bfloat16, which NumPy does not have, as uint16.
        return "bf16" if self.code == "u2" else self.code, self.state[1].replace("|", "<")


class PickledArray(Tensor, Settable):
    """A NumPy array: created empty, then filled."""

    def __init__(self, *_: object, state: Any = None) -> None:
        super().__init__(self._plan)
        self.state = state

    def set_state(self, state: Any) -> None:
        """Set (version, shape, dtype, whether the first axis varies fastest, bytes)."""
        self.state = state

    def _plan(self) -> Plan:
        match self.state:
            case (1, shape, PickledDtype() as dtype, bool() | int() as fortran, raw):
                code, order = dtype.code_and_order()
                if isinstance(raw, str | Text | memoryview):
                    get = (
                        partial(raw.encode, "latin1")
                        if not isinstance(raw, memoryview)
                        else raw.tobytes
                    )
                    return plan_of(len(raw), get, code, shape, fortran=bool(fortran), order=order)
        raise Fault("has no bytes; need those of an array")


def from_buffer(raw: object, dtype: object, shape: Any, order: object, axes: Any = None) -> Tensor:
    """Stand in for NumPy's _frombuffer, of pickles of protocol 5."""
    array = PickledArray(state=(1, shape, dtype, order == "F", raw))
    return Tensor(partial(_turned, array, axes)) if order == "K" else array


def encode(text: object, *_: object) -> object:
    """Stand in for _codecs.encode, of text to bytes; `PickledArray` does it, as copies add up."""
    return text


def no_bytes() -> object:
    """Stand in for bytes, which old pickles call for b""."""
    return ""


MODULES = "numpy.core", "numpy._core"  # before and since NumPy 2
KNOWN = {
    "__builtin__ bytes": no_bytes,
    "__builtin__ tuple": plain_tuple,
    "_codecs encode": encode,
    "builtins tuple": plain_tuple,
    "collections OrderedDict": OrderedDict,
    "numpy dtype": PickledDtype,
    "numpy ndarray": "ndarray",
    **{f"{module}.multiarray _reconstruct": PickledArray for module in MODULES},
    **{f"{module}.numeric _frombuffer": from_buffer for module in MODULES},
}


def read_paddle(data: bytes) -> object:
    """Return the argument of `paddle.save`, with a `PickledArray` for each tensor."""
    return read_pickle(data, KNOWN)[0]


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return ``state`` under PyTorch's names."""
    parts = ((*key.rpartition("."), tensor) for key, tensor in state.items())
    return {prefix + dot + RENAMED.get(name, name): tensor for prefix, dot, name, tensor in parts}


def turned(state: Mapping[str, Tensor], is_linear: Callable[[str], bool]) -> dict[str, Tensor]:
    """Return ``state`` with the weights of linear layers as (out, in)."""
    return {
        name: Tensor(partial(_turned, tensor)) if is_linear(name) else tensor
        for name, tensor in state.items()
    }


def _turned(tensor: Tensor, axes: tuple[int, ...] = (1, 0)) -> Plan:
    """Return the plan of an array with its axes in another order, if it has so many."""
    plan = tensor.plan()
    if len(plan.shape) != len(axes):
        return plan
    if sorted(axes) != list(range(len(axes))):
        raise Fault(f"has its axes in the order {quoted(axes)}")
    shape = tuple(plan.shape[axis] for axis in axes)
    return Plan(shape, plan.code, lambda: plan.read().transpose(axes))
