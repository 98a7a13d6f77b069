"""Vectors for compiled code: eight float32 or four float64 held in one register.

A compiler turns a loop into vector instructions only if it can prove that this is safe. Each of
these functions becomes one or a few instructions, on any processor that LLVM supports, as in
``acc = fma(splat(kernel, k), load(x, i), acc)``. Indices are never checked.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

from .kept import KeptCode

BYTES = 32  # of one vector: the widest that every x86-64 since 2013 has
I32 = ir.IntType(32)
F = TypeVar("F", bound=Callable[..., Any])
# Python's lock is released; a product and a sum are fused, as in `fma`, also outside vectors.
OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


def compiled(function: F) -> F:
    """Compile ``function`` when it is first called, and keep the result on disk if possible."""
    dispatcher = njit(**OPTIONS)(function)
    with suppress(RuntimeError):  # no folder for it: every process compiles again
        dispatcher._cache = KeptCode(function, __file__)
    return cast(F, dispatcher)


def inlined(function: F) -> F:
    """Compile ``function`` as a part of the compiled functions that call it."""
    return cast(F, njit(**OPTIONS)(function))


class Vector(types.Type):
    """The Numba type of a vector of ``dtype``, or of a pair of them."""

    def __init__(self, dtype: Any, pair: bool = False) -> None:
        self.dtype, self.count = dtype, lanes_of(dtype) * (2 if pair else 1)
        super().__init__(name=f"Vector({dtype}, {self.count})")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    """Its representation in LLVM: a first-class vector."""

    def __init__(self, manager: Any, vector: Vector) -> None:
        element = manager.lookup(vector.dtype).get_value_type()
        super().__init__(manager, vector, ir.VectorType(element, vector.count))


def lanes_of(dtype: Any) -> int:
    """Return how many numbers of a Numba float type fit into one vector."""
    return 8 * BYTES // int(dtype.bitwidth)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


def _read(context: Any, builder: Any, vector: Any, array_type: Any, *place: Any) -> Any:
    """Return the vector that begins at ``place``, an array and an index."""
    kind = context.get_value_type(vector).as_pointer()
    pointer = builder.bitcast(_pointer(context, builder, array_type, *place), kind)
    return builder.load(pointer, align=array_type.dtype.bitwidth // 8)


def _write(context: Any, builder: Any, value: Any, array_type: Any, *place: Any) -> None:
    pointer = _pointer(context, builder, array_type, *place)
    pointer = builder.bitcast(pointer, value.type.as_pointer())
    builder.store(value, pointer, align=array_type.dtype.bitwidth // 8)


@intrinsic
def no_inlining(typing: Any) -> Any:
    """Prevent inlining of the calling function, so that it has all registers to itself."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def lanes(typing: Any, array: Any) -> Any:
    """Return how many elements of ``array`` fit into one vector; known when compiling."""
    count = lanes_of(array.dtype)
    return types.intp(array), lambda context, *_: context.get_constant(types.intp, count)


@intrinsic
def zeros(typing: Any, array: Any) -> Any:
    """Return a vector of zeros, of the dtype of ``array``."""
    vector, values = Vector(array.dtype), [0.0] * lanes_of(array.dtype)
    return vector(array), lambda context, *_: ir.Constant(context.get_value_type(vector), values)


@intrinsic
def load(typing: Any, array: Any, index: Any) -> Any:
    """Return array[index], array[index + 1], ... as a vector."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _read(context, builder, signature.return_type, signature.args[0], *args)

    return Vector(array.dtype)(array, types.intp), codegen


@intrinsic
def pair_of_zeros(typing: Any, array: Any) -> Any:
    """Return two vectors of zeros as one: one register of AVX-512, two of any other processor."""
    vector, values = Vector(array.dtype, pair=True), [0.0] * 2 * lanes_of(array.dtype)
    return vector(array), lambda context, *_: ir.Constant(context.get_value_type(vector), values)


@intrinsic
def load_as(typing: Any, vector: Any, array: Any, index: Any) -> Any:
    """Return array[index], array[index + 1], ... as a vector or a pair, as ``vector`` is."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _read(context, builder, vector, signature.args[1], *args[1:])

    return vector(vector, array, types.intp), codegen


@intrinsic
def store(typing: Any, value: Any, array: Any, index: Any) -> Any:
    """Write the vector ``value`` to array[index], array[index + 1], ..."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _write(context, builder, args[0], signature.args[1], *args[1:])
        return context.get_dummy_value()

    return types.void(value, array, types.intp), codegen


@intrinsic
def splat(typing: Any, array: Any, index: Any) -> Any:
    """Return a vector with array[index] in every lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = context.get_value_type(signature.return_type)
        scalar = builder.load(_pointer(context, builder, signature.args[0], *args))
        first = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, I32(0))
        lane_0 = ir.Constant(ir.VectorType(I32, kind.count), [0] * kind.count)
        return builder.shuffle_vector(first, first, lane_0)

    return Vector(array.dtype)(array, types.intp), codegen


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c, fused into one instruction where the processor has it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        fused = ("contract",)
        return builder.fadd(builder.fmul(*args[:2], flags=fused), args[2], flags=fused)

    return a(a, a, a), codegen


@intrinsic
def prefetch(typing: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of array[index], which need not be inside the array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], *args)
        pointer = builder.bitcast(pointer, ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, I32, I32, I32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        read, keep, data = I32(0), I32(3), I32(1)
        builder.call(function, [pointer, read, keep, data])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@intrinsic
def opaque(typing: Any, index: Any) -> Any:
    """Return ``index``; the compiler, which cannot see that, computes addresses from it anew."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = args[0].type
        return builder.asm(ir.FunctionType(kind, [kind]), "", "=r,0", args, side_effect=False)

    return types.intp(types.intp), codegen


@intrinsic
def transpose(
    typing: Any, source: Any, start: Any, pitch: Any, target: Any, to: Any, to_pitch: Any
) -> Any:
    """Copy a square block with rows and columns exchanged.

    target[to + c*to_pitch + r] = source[start + r*pitch + c] for r and c below `lanes`. After
    the step that pairs rows 2^k apart, bit k of every row and column number has been exchanged.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source_t, _, _, target_t, _, _ = signature.args
        array, index, pitch_, out, out_index, out_pitch = args
        count = lanes_of(source.dtype)
        rows = []
        for r in range(count):
            at = builder.add(index, builder.mul(pitch_, pitch_.type(r)))
            rows.append(_read(context, builder, Vector(source.dtype), source_t, array, at))
        step = 1
        while step < count:
            low, high = (
                ir.Constant(
                    ir.VectorType(I32, count),
                    [(c & ~step | bit) + (count if c & step else 0) for c in range(count)],
                )
                for bit in (0, step)
            )
            for r in range(count):
                if not r & step:
                    a, b = rows[r], rows[r + step]
                    rows[r] = builder.shuffle_vector(a, b, low)
                    rows[r + step] = builder.shuffle_vector(a, b, high)
            step *= 2
        for r, row in enumerate(rows):
            at = builder.add(out_index, builder.mul(out_pitch, out_pitch.type(r)))
            _write(context, builder, row, target_t, out, at)
        return context.get_dummy_value()

    i = types.intp
    return types.void(source, i, i, target, i, i), codegen
