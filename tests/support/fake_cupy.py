"""The parts of CuPy that the library uses, without a GPU: a launch runs the source under g++."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace, TracebackType
from typing import Any, ClassVar, Self

import numpy as np

from involution_edu.backends.cuda import emulator
from involution_edu.backends.cuda.versions import Launch

DEFAULT_SHARED = 48 * 1024


class CUDARuntimeError(RuntimeError):
    pass


class CUDADriverError(RuntimeError):
    pass


class Device:
    """A GPU; ``with`` makes it the current one, as CuPy's does."""

    current = 0
    attributes = {"MaxSharedMemoryPerBlockOptin": 99 * 1024}  # noqa: RUF012 - as CuPy has it

    def __init__(self, id: int | None = None) -> None:
        self.id = Device.current if id is None else id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return self.id

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"

    def __enter__(self) -> Self:
        self.previous, Device.current = Device.current, self.id
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        Device.current = self.previous


class ndarray:
    """An array on a GPU, kept in the NumPy array ``host``, which the library must not see.

    As with CuPy, NumPy arrays and NumPy's functions do not mix with it, and every number that
    reaches the processor is a copy to the host: ``copies`` records them. ``allocated`` counts the
    numbers of all new arrays, without views, and ``launches`` the functions that make no view.
    """

    __array_ufunc__ = None  # np.maximum(a, 0) is a TypeError, though CuPy would allow it
    copies: ClassVar[list[str]] = []
    allocated: ClassVar[int] = 0
    launches: ClassVar[int] = 0

    def __init__(self, host: Any) -> None:
        self.host, self.gpu = np.asarray(host), Device.current
        if self.host.base is None:
            ndarray.allocated += self.host.size

    def __array_function__(self, function: Any, *_: Any) -> Any:
        raise TypeError(f"numpy.{function.__name__} got a CuPy array: use cupy.{function.__name__}")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __getattr__(self, name: str) -> Any:
        if name in ATTRIBUTES:
            return on_gpu(getattr(self.host, name))
        if name in METHODS:
            return wrapped(getattr(self.host, name))
        raise AttributeError(f"cupy.ndarray of the stand-in has no {name}")

    @property
    def device(self) -> Any:
        return Device(self.gpu)

    def __len__(self) -> int:
        return len(self.host)

    def __getitem__(self, index: Any) -> Any:
        return wrapped(self.host.__getitem__)(index)

    def __setitem__(self, index: Any, value: Any) -> None:
        wrapped(self.host.__setitem__)(index, value)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def get(self) -> Any:
        return self.copied("get")

    def copied(self, how: str) -> Any:
        ndarray.copies.append(how)
        return self.host.copy()


ndarray.__module__ = "cupy"


def on_gpu(result: Any) -> Any:
    """Return arrays and NumPy's scalars as arrays of the current GPU, anything else as it is."""
    return ndarray(result) if isinstance(result, np.ndarray | np.generic) else result


def on_host(a: Any) -> Any:
    """Return the host's copy of ``a``; refuse NumPy arrays and arrays of another GPU, as CuPy does."""
    if isinstance(a, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    if isinstance(a, tuple | list):
        return type(a)(map(on_host, a))
    if not isinstance(a, ndarray):
        return a
    if a.gpu != Device.current:
        raise ValueError(f"the array is on device {a.gpu}, the current one is {Device.current}")
    return a.host


def wrapped(function: Any) -> Any:
    """Return a function of NumPy as one of arrays on the current GPU."""

    def run(*arguments: Any, **options: Any) -> Any:
        ndarray.launches += function.__name__ not in VIEWS
        options = {name: on_host(option) for name, option in options.items()}
        return on_gpu(function(*map(on_host, arguments), **options))

    return run


def operator(name: str) -> Any:
    def run(self: ndarray, *others: Any) -> Any:
        if name in COPYING:
            return getattr(self.copied(name), name)()
        result = wrapped(getattr(on_host(self), name))(*others)
        return self if name in IN_PLACE else result

    return run


NAMES = ("add", "sub", "mul", "truediv", "pow", "matmul", "and", "or", "xor")
IN_PLACE = [f"__i{name}__" for name in NAMES]
COPYING = ("__bool__", "__float__", "__int__", "__index__")
for dunder in (
    *(f"__{name}__" for name in (*NAMES, "neg", "invert", "eq", "ne", "lt", "le", "gt", "ge")),
    *(f"__r{name}__" for name in NAMES),
    *IN_PLACE,
    *COPYING,
):
    setattr(ndarray, dunder, operator(dunder))
ndarray.__hash__ = None  # type: ignore[assignment]

ATTRIBUTES = ("T", "dtype", "flags", "itemsize", "nbytes", "ndim", "shape", "size", "strides")
METHODS = (
    "astype", "clip", "copy", "max", "mean", "min", "reshape", "sum", "swapaxes", "take", "transpose",
)  # fmt: skip
VIEWS = ("__getitem__", "moveaxis", "reshape", "swapaxes", "transpose")
# Functions of NumPy that CuPy has too, by the same name.
FUNCTIONS = (
    "arange", "broadcast_to", "einsum", "empty_like", "exp", "full", "full_like", "isnan", "log",
    "matmul", "maximum", "moveaxis", "ones", "pad", "sqrt", "stack", "where", "zeros", "zeros_like",
)  # fmt: skip


def asarray(a: Any, dtype: Any = None, gpu: int | None = None) -> Any:
    with Device(gpu):
        return a if isinstance(a, ndarray) else ndarray(np.array(a, dtype, order="C"))


def asnumpy(a: Any) -> Any:
    return a.get()


def empty(shape: Any, dtype: Any) -> Any:
    return ndarray(np.full(shape, np.nan, dtype))


def ascontiguousarray(a: ndarray) -> Any:
    return a if a.flags.c_contiguous else wrapped(np.ascontiguousarray)(a)


class Function:
    """One CUDA kernel, with the checks of a GPU."""

    def __init__(self, program: emulator.Program, name: str) -> None:
        self.program, self.name = program, name
        self.max_dynamic_shared_size_bytes = DEFAULT_SHARED

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, int], args: Any, *, shared_mem: int
    ) -> None:
        if shared_mem > self.max_dynamic_shared_size_bytes or block[0] * block[1] > 1024:
            raise CUDADriverError("CUDA_ERROR_INVALID_VALUE: invalid argument")
        *arrays, sizes = args
        assert type(sizes) is np.ndarray
        for array in arrays:
            assert type(array) is ndarray
            assert array.flags.c_contiguous
            assert array.gpu == Device.current
        (blocks,) = grid
        launch = Launch(self.name, blocks, block, shared_mem)
        self.program.run(launch, *(array.host for array in arrays), sizes)


def make(folder: Path) -> Any:
    """Return the module; ``compiled`` lists every C++ name that was compiled."""
    compiled: list[str] = []

    class RawModule:
        def __init__(
            self, *, code: str, options: tuple[str, ...], name_expressions: tuple[str, ...] = ()
        ) -> None:
            if not name_expressions:  # the probe of `cupy_raw.unavailable`
                cupy.compile_probe(code)
                return
            own = folder / str(len(compiled))
            own.mkdir()
            compiled.extend(name_expressions)
            self.program = emulator.Program(name_expressions, own, source=code, options=options)

        def get_function(self, name: str) -> Function | None:
            return Function(self.program, name) if hasattr(self, "program") else None

    cupy: Any = ModuleType("cupy")
    cupy.compiled, cupy.RawModule, cupy.ndarray = compiled, RawModule, ndarray
    cupy.compile_probe = lambda code: None
    cupy.asnumpy, cupy.asarray, cupy.empty = asnumpy, asarray, empty
    cupy.ascontiguousarray, cupy.inf = ascontiguousarray, np.inf
    for name in FUNCTIONS:
        setattr(cupy, name, wrapped(getattr(np, name)))
    cupy.cuda = SimpleNamespace(
        Device=Device,
        runtime=SimpleNamespace(getDeviceCount=lambda: 2, CUDARuntimeError=CUDARuntimeError),
    )
    return cupy
