"""As much of CuPy as ``cupy_raw`` uses, on NumPy arrays: a launch runs the source under g++."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace, TracebackType
from typing import Any, Self

import numpy as np

from involution_edu.backends import cuda_host
from involution_edu.backends.cuda_versions import Launch

PLAIN_SHARED = 48 * 1024


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


class ndarray(np.ndarray[Any, np.dtype[Any]]):
    gpu = 0

    @property
    def device(self) -> Any:
        return Device(self.gpu)


ndarray.__module__ = "cupy"


def asarray(a: Any, gpu: int = 0) -> Any:
    array = np.array(a, order="C").view(ndarray)
    array.gpu = gpu
    return array


def asnumpy(a: Any) -> Any:
    return np.asarray(a).view(np.ndarray)


def empty(shape: tuple[int, ...], dtype: Any) -> Any:
    array = np.full(shape, np.nan, dtype).view(ndarray)
    array.gpu = Device.current
    return array


def ascontiguousarray(a: Any) -> Any:
    return a if a.flags.c_contiguous else asarray(np.ascontiguousarray(a), a.gpu)


class Function:
    """One CUDA kernel: it insists on what a GPU insists on."""

    def __init__(self, program: cuda_host.Program, name: str) -> None:
        self.program, self.name = program, name
        self.max_dynamic_shared_size_bytes = PLAIN_SHARED

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, int], args: Any, *, shared_mem: int
    ) -> None:
        if shared_mem > self.max_dynamic_shared_size_bytes or block[0] * block[1] > 1024:
            raise CUDADriverError("CUDA_ERROR_INVALID_VALUE: invalid argument")
        a, b, result, sizes = args
        assert type(sizes) is np.ndarray
        for array in (a, b, result):
            assert type(array) is ndarray
            assert array.flags.c_contiguous
            assert array.gpu == Device.current
        (blocks,) = grid
        self.program.run(Launch(self.name, blocks, block, shared_mem), a, b, result, sizes)


def make(folder: Path) -> Any:
    """Return the module; ``compiled`` lists every C++ name it was asked to compile."""
    compiled: list[str] = []

    class RawModule:
        def __init__(
            self, *, code: str, options: tuple[str, ...], name_expressions: tuple[str, ...]
        ) -> None:
            own = folder / str(len(compiled))
            own.mkdir()
            compiled.extend(name_expressions)
            self.program = cuda_host.Program(name_expressions, own, source=code, options=options)

        def get_function(self, name: str) -> Function:
            return Function(self.program, name)

    cupy: Any = ModuleType("cupy")
    cupy.compiled, cupy.RawModule, cupy.ndarray = compiled, RawModule, ndarray
    cupy.asnumpy, cupy.asarray, cupy.empty, cupy.ascontiguousarray = (
        asnumpy,
        asarray,
        empty,
        ascontiguousarray,
    )
    cupy.cuda = SimpleNamespace(
        Device=Device,
        runtime=SimpleNamespace(getDeviceCount=lambda: 2, CUDARuntimeError=CUDARuntimeError),
        nvrtc=SimpleNamespace(getVersion=lambda: (13, 0)),
    )
    return cupy
