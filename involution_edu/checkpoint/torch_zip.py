"""PyTorch's ``.pth`` and ``.pt``: a zip file of one pickle and the bytes of each storage.

A storage is a flat run of numbers. A tensor is a view of it: where it starts, its shape, and how
many numbers to go for one step along each axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import numpy as np

from .pickles import ordered_dict, plain_tuple, read_pickle
from .tensors import ITEMSIZE, Fault, Numbers, Tensor, as_shape, numbers, quoted

STORAGES = {
    "BFloat16": "bf16",
    "Bool": "b1",
    "Byte": "u1",
    "Char": "i1",
    "Double": "f8",
    "Float": "f4",
    "Half": "f2",
    "Int": "i4",
    "Long": "i8",
    "Short": "i2",
}


@dataclass
class Storage:
    """The flat numbers behind one tensor or several, read when first needed."""

    archive: ZipFile
    entry: str
    code: str
    count: int
    byteorder: str
    _numbers: Numbers | None = field(default=None, repr=False)

    def numbers(self) -> Numbers:
        """Return them, shared by every tensor of this storage."""
        if self._numbers is None:
            raw = self.archive.read(self.entry)
            if len(raw) != self.count * ITEMSIZE[self.code]:
                raise Fault(f"has a storage of {len(raw)} bytes; need {self.count} {self.code}")
            self._numbers = numbers(raw, self.code, self.byteorder)
        return self._numbers


@dataclass(frozen=True)
class StridedTensor(Tensor):
    """A view of a storage."""

    storage: Storage
    offset: object
    size: object
    stride: object

    def array(self) -> Numbers:
        """Return the view, which has no more numbers than its storage."""
        size, stride = as_shape(self.size), as_shape(self.stride)
        (offset,) = as_shape([self.offset])
        flat = self.storage.numbers()
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        count: int = math.prod(size)
        if count > flat.size or (count and last >= flat.size):
            raise Fault(
                f"has offset {offset}, shape {quoted(size)} and strides {quoted(stride)}; "
                f"need a view of its storage of {flat.size} numbers"
            )
        if not count:
            return np.empty(size, flat.dtype)
        steps = [step * flat.itemsize for step in stride]
        return np.lib.stride_tricks.as_strided(flat[offset:], size, steps)


def tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> object:
    """Stand in for torch._utils._rebuild_tensor_v2; gradients and hooks are not kept."""
    if not isinstance(storage, Storage):
        raise Fault(f"its pickle makes a tensor of a {type(storage).__name__}")
    return StridedTensor(storage, offset, size, stride)


def parameter(data: object, *_: object) -> object:
    """Stand in for torch._utils._rebuild_parameter."""
    return data


KNOWN = {
    "collections OrderedDict": ordered_dict,
    "torch Size": plain_tuple,
    "torch._utils _rebuild_parameter": parameter,
    "torch._utils _rebuild_tensor_v2": tensor,
    **{f"torch {name}Storage": code for name, code in STORAGES.items()},
}


def read_torch(archive: ZipFile) -> object:
    """Return what `torch.save` was given, with a `StridedTensor` for each tensor."""
    entries = {info.filename: info for info in archive.infolist()}
    if any(info.compress_type != ZIP_STORED for info in entries.values()):
        raise Fault("it has compressed entries, which PyTorch never writes")
    pickle, *others = [name for name in entries if is_pickle(name)]
    if others:
        raise Fault("it has more than one data.pkl")
    folder = pickle.removesuffix("data.pkl")
    big = f"{folder}byteorder" in entries and archive.read(f"{folder}byteorder") == b"big"
    storages: dict[str, Storage] = {}

    def load(identity: Any) -> Storage:
        match identity:
            case ("storage", str(code), str(key), str(), int(count)) if code in ITEMSIZE:
                entry = f"{folder}data/{key}"
                if entry not in entries:
                    raise Fault(f"it lacks {quoted(entry)}")
                made = Storage(archive, entry, code, count, ">" if big else "<")
                kept = storages.setdefault(key, made)
                if kept.code != code:  # PyTorch refuses to write this; it could fill the memory
                    raise Fault(f"it has {quoted(entry)} both as {kept.code} and as {code}")
                return kept
        raise Fault(f"its pickle asks for {quoted(identity)}; need a storage")

    return read_pickle(archive.read(pickle), KNOWN, load)


def is_pickle(entry: str) -> bool:
    """Return whether this is the entry that holds the pickle of a file of PyTorch."""
    return entry.count("/") == 1 and entry.endswith("/data.pkl")
