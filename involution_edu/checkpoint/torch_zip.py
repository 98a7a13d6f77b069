"""PyTorch's ``.pth`` and ``.pt``: a zip file of one pickle and the bytes of each storage.

A storage is a flat array of numbers. A tensor is a view of it, given by offset, shape and strides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
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
    """The flat array behind one or several tensors, read at first use."""

    archive: ZipFile
    entry: str
    code: str
    count: int
    order: str
    _numbers: Numbers | None = field(default=None, repr=False)

    def numbers(self) -> Numbers:
        """Return the array, shared by all tensors of this storage."""
        if self._numbers is None:
            raw = self.archive.read(self.entry)
            if len(raw) != self.count * ITEMSIZE[self.code]:
                raise Fault(f"has a storage of {len(raw)} bytes; need {self.count} {self.code}")
            self._numbers = numbers(raw, self.code, self.order)
        return self._numbers


def tensor(storage: object, *view: object) -> Tensor:
    """Stand in for torch._utils._rebuild_tensor_v2; gradients and hooks are ignored."""
    if not isinstance(storage, Storage):
        raise Fault(f"its pickle makes a tensor of a {type(storage).__name__}")
    return Tensor(partial(_strided, storage, *view[:3]))


def _strided(storage: Storage, offset: object, shape: object, strides: object) -> Numbers:
    """Return a view, which has no more numbers than its storage."""
    size, stride = as_shape(shape), as_shape(strides)
    (start,) = as_shape([offset])
    flat = storage.numbers()
    last = start + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    count: int = math.prod(size)
    if count > flat.size or (count and last >= flat.size):
        raise Fault(
            f"has offset {start}, shape {quoted(size)} and strides {quoted(stride)}; "
            f"need a view of its storage of {flat.size} numbers"
        )
    if not count:
        return np.empty(size, flat.dtype)
    steps = [step * flat.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(flat[start:], size, steps)


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
    """Return the argument of `torch.save`, with a `Tensor` for each tensor."""
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
    """Return whether this is the entry of the pickle in a file of PyTorch."""
    return entry.count("/") == 1 and entry.endswith("/data.pkl")
