"""PyTorch's ``.pth`` and ``.pt``.

Its tensors are views of storages, flat arrays of numbers, by offset, shape and strides. Since 1.6
a zip file holds the pickle and the bytes of each storage; before, three short pickles about the
writer, the pickle, one of the keys of the storages, and for each its count and bytes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import numpy as np

from ..arguments import quoted
from .pickles import OrderedDict, Unknown, first, plain_tuple, read_pickle
from .tensors import ITEMSIZE, RESULT_SIZE, Fault, Numbers, Plan, Read, Tensor, as_shape, numbers

OLD_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")  # in the first pickle before 1.6
OLD_VERSION = 1001  # the second
STORAGES = "BFloat16", "Half", "Float", "Double", "Bool", "Byte", "Char", "Short", "Int", "Long"
CODES = "bf16", "f2", "f4", "f8", "b1", "u1", "i1", "i2", "i4", "i8"  # of these


@dataclass(eq=False)
class Storage:
    """The flat array behind one or several tensors, read at first use."""

    code: str
    count: int
    order: str
    nbytes: int  # in the file
    read: Read
    arrays: dict[str, Numbers] = field(default_factory=dict, repr=False)

    def numbers(self, code: str) -> Numbers:
        """Return the array, shared by all tensors of this storage."""
        if code not in self.arrays:
            raw = self.read()
            if len(raw) != self.nbytes:  # views rely on it
                raise Fault(f"has a storage of {len(raw)} bytes; need {self.nbytes}")
            self.arrays[code] = numbers(raw, code, self.order)
        return self.arrays[code]


@dataclass
class Part:
    """A range of a storage."""

    storage: Storage
    start: int
    count: int


def tensor(part: object, *arguments: Any, typed: bool = False) -> object:
    """Stand in for _rebuild_tensor, its second version, or the third if ``typed`` by a dtype."""
    if isinstance(part, Unknown):
        return part
    if not isinstance(part, Part):
        raise Fault(f"its pickle makes a tensor of a {type(part).__name__}")
    code = arguments[5] if typed else part.storage.code
    bits = arguments[6:7] if typed else arguments[5:6]  # after gradients and hooks
    return Tensor(partial(_plan, part, code, *arguments[:3], *bits))


def _plan(
    part: Part, code: Any, offset: object, shape: object, strides: object, bits: Any = None
) -> Plan:
    """Return the plan of a view inside its part of the storage; ``bits`` may ask for -x."""
    storage = part.storage
    if not isinstance(code, str) or code not in ITEMSIZE:
        raise Fault(f"has dtype {quoted(getattr(code, 'name', code))}; need one of numbers")
    if storage.nbytes != storage.count * ITEMSIZE[storage.code]:
        raise Fault(f"has a storage of {storage.nbytes} bytes; need {storage.count} {storage.code}")
    size, stride, (start,) = as_shape(shape), as_shape(strides), as_shape([offset])
    scale = ITEMSIZE[code] // ITEMSIZE[storage.code]  # above 1 for bytes
    begin, stop = part.start // scale, (part.start + part.count) // scale
    last = begin + start + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    count = math.prod(size)
    if count and last >= stop:
        got = f"has offset {start}, shape {quoted(size)} and strides {quoted(stride)}"
        raise Fault(f"{got}; need a view of its storage of {stop - begin} numbers")

    def read() -> Numbers:
        if not count:
            return numbers(b"", code, "<").reshape(size)
        flat = storage.numbers(code)[begin + start :]
        steps = [step * flat.itemsize for step in stride]
        view = np.lib.stride_tricks.as_strided(flat, size, steps)
        if isinstance(bits, dict) and bits.get("neg"):
            return -view
        # One number at several places: as a view, changing one would change the others.
        repeats = any(n > 1 and step == 0 for n, step in zip(size, stride, strict=True))
        return view.copy() if repeats else view

    return Plan(size, code, read, (storage, code), storage.count // scale * RESULT_SIZE[code])


TORCH = {
    "collections OrderedDict": OrderedDict,
    "torch Size": plain_tuple,
    "torch._utils _rebuild_parameter": first,
    "torch._utils _rebuild_parameter_with_state": first,
    "torch._utils _rebuild_tensor": tensor,
    "torch._utils _rebuild_tensor_v2": tensor,
    "torch._utils _rebuild_tensor_v3": partial(tensor, typed=True),
    "torch.storage UntypedStorage": "u1",  # bytes, of a dtype that each tensor gives
    **{f"torch uint{8 * size}": f"u{size}" for size in (2, 4, 8)},
    **{f"torch {name}Storage": code for name, code in zip(STORAGES, CODES, strict=True)},
}


def _stored(
    made: dict[str, Storage], order: str, find: Callable[[str], tuple[int, Read]], identity: Any
) -> object:
    """Return the storage of a persistent id, or a part; ``find`` gives its size and bytes."""
    match identity:
        case ("storage" | "module", Unknown() as unknown, *_):
            return unknown
        case ("storage", str(code), str(key), str(), int(count), *view) if code in ITEMSIZE:
            kept = made[key] = made.get(key) or Storage(code, count, order, *find(key))
            if (kept.code, kept.count) != (code, count):  # PyTorch refuses to write this
                both = f"both as {kept.count} {kept.code} and as {count} {code}"
                raise Fault(f"it has storage {quoted(key)} {both}")
            _, start, length = view[0] if view and view[0] is not None else (None, 0, count)
            if sum(as_shape([start, length])) <= count:
                return Part(kept, start, length)
    raise Fault(f"its pickle asks for {quoted(identity)}; need a storage")


def read_torch(archive: ZipFile, pickle: str) -> object:
    """Return the argument of `torch.save`, with a `Tensor` for each tensor."""
    entries = {info.filename: info for info in archive.infolist()}
    folder = pickle.removesuffix("data.pkl")
    if f"{folder}constants.pkl" in entries:
        raise Fault("it is a TorchScript archive; torch.jit.load it, torch.save its state_dict()")
    for info in entries.values():
        if info.compress_type != ZIP_STORED:
            raise Fault("it has compressed entries, which PyTorch never writes")
        if not info.CRC:  # zero with torch.serialization.set_crc32_options(False)
            del info.CRC  # zipfile checks none then

    def find(key: str) -> tuple[int, Read]:
        entry = f"{folder}data/{key}"
        if entry not in entries:
            raise Fault(f"it lacks {quoted(entry)}")
        return entries[entry].file_size, partial(archive.read, entries[entry])

    big = f"{folder}byteorder" in entries and archive.read(f"{folder}byteorder") == b"big"
    load = partial(_stored, {}, ">" if big else "<", find)
    return read_pickle(archive.read(pickle), TORCH, load)[0]


def read_old_torch(data: bytes) -> object:
    """Return the argument of `torch.save` from a file of the format before 1.6."""
    _, at = read_pickle(data, {})
    version, at = read_pickle(data, {}, at=at)
    if version != OLD_VERSION:
        raise Fault(f"it is of version {quoted(version)} of PyTorch's format; need {OLD_VERSION}")
    _, at = read_pickle(data, {}, at=at)  # sizes of C's types where it was written
    made: dict[str, Storage] = {}
    parts: dict[str, memoryview] = {}
    load = partial(_stored, made, "<", lambda key: (0, lambda: parts[key]))
    content, at = read_pickle(data, TORCH, load, at)
    keys, at = read_pickle(data, {}, at=at)
    for key in keys:
        storage = made[key if isinstance(key, str) else ""]  # to hash tuples may take forever
        (count,), at = struct.unpack_from("<q", data, at), at + 8
        storage.nbytes = count * ITEMSIZE[storage.code]
        raw = parts[key] = memoryview(data)[at : at + storage.nbytes]
        if count != storage.count or len(raw) < storage.nbytes:
            got = f"{len(raw)} bytes of {quoted(count)} numbers"
            raise Fault(f"its storage {quoted(key)} has {got}; need {storage.count} {storage.code}")
        at += storage.nbytes
    return content
