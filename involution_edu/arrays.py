"""The checks of single arrays: their kind, their dtype and where they lie."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .arguments import ArgumentError, WrongTypeError

Array = NDArray[np.floating[Any]]

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
GPU_DTYPES = (np.dtype(np.float16), *DTYPES)


def kind_of_array(a: object) -> str | None:
    """Return "numpy", "cupy", or None for anything else; CuPy is not imported to tell."""
    if (type(a).__module__, type(a).__qualname__) == ("cupy", "ndarray"):
        return "cupy"
    return "numpy" if isinstance(a, np.ndarray) else None


def array_module(a: object) -> Any:
    """Return cupy for a CuPy array, else numpy: the module whose functions take ``a``.

    Examples
    --------
    >>> array_module(np.ones(3)) is np
    True
    """
    return sys.modules["cupy"] if kind_of_array(a) == "cupy" else np


def as_numpy(a: object) -> Any:
    """Return a CuPy array as a NumPy array, anything else as it is."""
    return sys.modules["cupy"].asnumpy(a) if kind_of_array(a) == "cupy" else a


def as_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return ``dtype`` as float32 or float64; raise `WrongTypeError` for any other."""
    try:
        return DTYPES[DTYPES.index(np.dtype(dtype))]
    except (TypeError, ValueError):
        raise WrongTypeError("dtype", f"is {dtype!r}", "float32 or float64") from None


def check_array(
    name: str, a: object, dtype: np.dtype[Any] | None = None, *, gpu: bool = False
) -> Array:
    """Return ``a`` as a contiguous native-endian array; raise `TypeError` unless it is floats.

    With ``gpu``, it may also be a CuPy array, which stays on its device and may be of float16.
    """
    if kind_of_array(a) not in ("numpy", "cupy" if gpu else "numpy"):
        kind = f"{type(a).__module__}.{type(a).__qualname__}".removeprefix("builtins.")
        raise WrongTypeError(name, f"is a {kind}", f"a NumPy {'or CuPy ' if gpu else ''}array")
    if kind_of_array(a) == "cupy":
        return _check_cupy(name, a, dtype)
    assert isinstance(a, np.ndarray)
    native = a.dtype.newbyteorder("=")
    if isinstance(a, np.ma.MaskedArray):
        raise WrongTypeError(name, "is a masked array", "one without a mask, such as a.filled(0)")
    if native not in DTYPES:
        raise WrongTypeError(name, f"has dtype {a.dtype}", "float32 or float64")
    _check_dtype(name, native, dtype)
    return np.asarray(a, dtype=native, order="C")


def _check_cupy(name: str, a: Any, dtype: np.dtype[Any] | None) -> Array:
    if a.dtype not in GPU_DTYPES:
        raise WrongTypeError(name, f"has dtype {a.dtype}", "float16, float32 or float64")
    _check_dtype(name, a.dtype, dtype)
    with a.device:
        contiguous: Array = sys.modules["cupy"].ascontiguousarray(a)
    return contiguous


def _check_dtype(name: str, found: np.dtype[Any], dtype: np.dtype[Any] | None) -> None:
    if dtype is not None and found != dtype:
        raise WrongTypeError(name, f"has dtype {found}", f"{dtype}, the dtype of x")


def check_place(name: str, a: Array, like: Array, owner: str = "x", fix: str = "") -> None:
    """Raise unless ``a`` lies where ``like`` does: both in NumPy, or on the same GPU in CuPy.

    The message calls ``like`` by the name of its ``owner``; ``fix`` is another way out.
    """
    kind = kind_of_array(like)
    if kind_of_array(a) != kind:
        found, need, move = {
            "numpy": ("CuPy", "NumPy", "cupy.asnumpy"),
            "cupy": ("NumPy", "CuPy", "cupy.asarray"),
        }[str(kind)]
        raise WrongTypeError(
            name,
            f"is a {found} array",
            f"a {need} array, as {owner} is, such as {move}({name}){fix}",
        )
    if kind == "cupy" and a.device != like.device:
        raise ArgumentError(name, f"is on {a.device}", f"{like.device}, where {owner} is")


def check_current(name: str, a: Any) -> None:
    """Raise if ``a`` is on a GPU that is not the current one, where CuPy would compute."""
    if kind_of_array(a) == "cupy":
        current = sys.modules["cupy"].cuda.Device()
        if a.device != current:
            raise ArgumentError(
                name,
                f"is on {a.device}",
                f"{current}, the current one: use it inside `with {name}.device:`",
            )
