"""Checks of arrays: NumPy or CuPy, dtype and device."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .arguments import ArgumentError, WrongTypeError, quoted

Array = NDArray[np.floating[Any]]

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
GPU_DTYPES = (np.dtype(np.float16), *DTYPES)


def kind_of_array(a: object) -> str | None:
    """Return "numpy", "cupy", or None for anything else, without importing CuPy."""
    if (type(a).__module__, type(a).__qualname__) == ("cupy", "ndarray"):
        return "cupy"
    return "numpy" if isinstance(a, np.ndarray) else None


def array_module(a: object) -> Any:
    """Return cupy for a CuPy array, else numpy: the module whose functions take ``a``."""
    return sys.modules["cupy"] if kind_of_array(a) == "cupy" else np


def as_numpy(a: object) -> Any:
    """Return a CuPy array as a NumPy array, anything else as it is."""
    return sys.modules["cupy"].asnumpy(a) if kind_of_array(a) == "cupy" else a


def as_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return ``dtype`` as float32 or float64; raise `WrongTypeError` for any other."""
    try:
        return DTYPES[DTYPES.index(np.dtype(dtype))]
    except (TypeError, ValueError):
        raise WrongTypeError("dtype", f"is {quoted(dtype)}", "float32 or float64") from None


def check_array(
    name: str,
    a: object,
    *,
    gpu: bool = False,
    like: Array | None = None,
    owner: str = "x",
    fix: str = "",
) -> Array:
    """Return ``a`` contiguous, in native order; raise unless it is of floats, and as ``like``."""
    kind = kind_of_array(a)
    if kind not in ("numpy", "cupy" if gpu else "numpy"):
        wrong = f"{type(a).__module__}.{type(a).__qualname__}".removeprefix("builtins.")
        need = f"a NumPy {'or CuPy ' if gpu else ''}array{_from_torch(name, a)}"
        raise WrongTypeError(name, f"is a {wrong}", need)
    array: Any = a
    if isinstance(array, np.ma.MaskedArray):
        raise WrongTypeError(name, "is a masked array", "one without a mask, such as a.filled(0)")
    dtype = array.dtype.newbyteorder("=")
    if dtype not in (DTYPES if kind == "numpy" else GPU_DTYPES):
        need = "float32 or float64" if kind == "numpy" else "float16, float32 or float64"
        raise WrongTypeError(name, f"has dtype {array.dtype}", need)
    if like is not None:
        check_device(name, array, like, owner, fix)
        if dtype != like.dtype:
            need = f"{like.dtype}, the dtype of {owner}"
            raise WrongTypeError(name, f"has dtype {array.dtype}", need)
    if kind == "numpy":
        return np.asarray(array, dtype=dtype, order="C")
    with array.device:
        contiguous: Array = sys.modules["cupy"].ascontiguousarray(array)
    return contiguous


def _from_torch(name: str, a: Any) -> str:
    """Return how to make a PyTorch tensor an array; nothing for anything else."""
    if not type(a).__module__.startswith("torch"):
        return ""
    detach = ".detach()" if getattr(a, "requires_grad", False) else ""
    cpu = "" if str(getattr(a, "device", "cpu")) == "cpu" else ".cpu()"
    return f", such as {name}{detach}{cpu}.numpy()"


def check_device(name: str, a: Any, like: Array, owner: str = "x", fix: str = "") -> None:
    """Raise unless ``a`` is on the device of ``like``, of ``owner``; ``fix`` is another way out."""
    kind, need = kind_of_array(a), str(kind_of_array(like))
    names = {"numpy": "NumPy", "cupy": "CuPy"}
    if kind != need:
        found = names[kind] + " array" if kind else type(a).__name__
        move = "cupy.asnumpy" if need == "numpy" else "cupy.asarray"
        how = f", such as {move}({name}){fix}" if kind else ""
        raise WrongTypeError(name, f"is a {found}", f"a {names[need]} array, as {owner} is{how}")
    if kind == "cupy" and a.device != like.device:
        raise ArgumentError(name, f"is on {a.device}", f"{like.device}, where {owner} is")


def check_current(name: str, a: Any) -> None:
    """Raise if ``a`` is on a GPU other than the current one, on which CuPy computes."""
    if kind_of_array(a) == "cupy":
        current = sys.modules["cupy"].cuda.Device()
        if a.device != current:
            need = f"{current}, the current one: use it inside `with {name}.device:`"
            raise ArgumentError(name, f"is on {a.device}", need)
