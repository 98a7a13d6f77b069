"""Paddle's ``.pdparams``: a pickled dict of NumPy arrays, with linear weights as (in, out)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from ..arguments import quoted
from .pickles import OrderedDict, Settable, Text, first, plain_tuple
from .tensors import ITEMSIZE, Fault, Plan, Tensor, as_shape, plan_of

RENAMED = {"_mean": "running_mean", "_variance": "running_var"}  # by Paddle


class PickledDtype(Settable):
    """A NumPy dtype, checked when an array is read; its state begins (version, byte order)."""

    state: Any = (3, "<")

    def __init__(self, code: object, *_: object) -> None:
        self.code = code


class PickledArray(Tensor, Settable):
    """A NumPy array; its state is (1, shape, dtype, whether the first axis varies fastest, bytes)."""

    def __init__(self, *_: object, state: Any = None) -> None:
        super().__init__(self._plan)
        self.state = state

    def _plan(self) -> Plan:
        match self.state:
            case (1, shape, PickledDtype(code=code, state=state), int(fortran), raw):
                if not isinstance(code, str) or code not in ITEMSIZE:
                    raise Fault(f"has the dtype {quoted(code)}; need one of numbers")
                if not isinstance(state, tuple) or state[1] not in ("<", ">", "|"):
                    raise Fault(f"has a dtype of state {quoted(state)}")
                code = "bf16" if code == "u2" else code  # as Paddle stores what NumPy lacks
                order = state[1].replace("|", "<")
                if isinstance(raw, str):
                    raw = raw.encode("latin1")
                if isinstance(raw, bytes | Text | memoryview):
                    get = partial(bytes, raw)
                    return plan_of(len(raw), get, code, shape, fortran=bool(fortran), order=order)
        raise Fault("has no bytes; need those of an array")


def from_buffer(raw: object, dtype: object, shape: Any, order: object, axes: Any = None) -> Tensor:
    """Stand in for NumPy's _frombuffer, of pickles of protocol 5."""
    array = PickledArray(state=(1, shape, dtype, order == "F", raw))
    return Tensor(partial(_turned, array, axes)) if order == "K" else array


PADDLE: dict[str, object] = {
    "__builtin__ bytes": lambda: "",  # which old pickles call for b""
    "__builtin__ tuple": plain_tuple,
    "_codecs encode": first,  # of text to bytes, which `PickledArray` does
    "builtins tuple": plain_tuple,
    "collections OrderedDict": OrderedDict,
    "numpy dtype": PickledDtype,
    "numpy ndarray": "ndarray",
}
for core in ("core", "_core"):  # before and since NumPy 2
    PADDLE[f"numpy.{core}.multiarray _reconstruct"] = PickledArray
    PADDLE[f"numpy.{core}.numeric _frombuffer"] = from_buffer


def turned(state: Mapping[str, Tensor], linear: Collection[str] | None) -> dict[str, Tensor]:
    """Return weights of linear layers, those named or all but embeddings, as (out, in)."""
    if linear is None:
        linear = [name for name in state if name.rpartition(".")[2] == "weight"]
        linear = [name for name in linear if "emb" not in name.lower()]
    weights = {name: Tensor(partial(_turned, state[name])) for name in linear if name in state}
    return {**state, **weights}


def _turned(tensor: Tensor, axes: tuple[int, ...] = (1, 0)) -> Plan:
    """Return the plan of an array with its axes in another order, if it has so many."""
    plan = tensor.plan()
    if len(plan.shape) != len(axes):
        return plan
    if sorted(as_shape(axes)) != list(range(len(axes))):
        raise Fault(f"has its axes in the order {quoted(axes)}")
    shape = tuple(plan.shape[axis] for axis in axes)
    return Plan(shape, plan.code, lambda: plan.read().transpose(axes))
