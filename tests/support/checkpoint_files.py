"""Checkpoint files built byte by byte, so that each can have exactly one fault."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import involution_edu as inv
from involution_edu import nn
from involution_edu.arrays import Array


@dataclass(frozen=True)
class Name:
    """A function or class that a pickle asks for: "module name"."""

    text: str


@dataclass(frozen=True)
class Call:
    """A call of such a function."""

    function: Any
    arguments: Any


@dataclass(frozen=True)
class Filled:
    """An object and the state that it is given afterwards."""

    made: Any
    state: Any


@dataclass(frozen=True)
class Stored:
    """The object that a persistent id refers to."""

    identity: Any


@dataclass(frozen=True)
class Code:
    """Raw instructions."""

    raw: bytes


def program(value: Any) -> bytes:
    """Return the instructions that put ``value`` on the stack."""
    match value:
        case Code(raw):
            return raw
        case Name(text):
            return b"c" + text.replace(" ", "\n").encode() + b"\n"
        case Call(function, arguments):
            return program(function) + program(arguments) + b"R"
        case Filled(made, state):
            return program(made) + program(state) + b"b"
        case Stored(identity):
            return program(identity) + b"Q"
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            return b"\x8a" + bytes([len(raw)]) + raw
        case str():
            raw = value.encode("utf-8", "surrogatepass")
            return b"X" + struct.pack("<I", len(raw)) + raw
        case bytes():
            return b"B" + struct.pack("<I", len(value)) + value
        case tuple():
            return b"(" + b"".join(map(program, value)) + b"t"
        case list():
            return b"](" + b"".join(map(program, value)) + b"e"
        case dict():
            items = [program(item) for pair in value.items() for item in pair]
            return b"}(" + b"".join(items) + b"u"
    raise TypeError(f"no instructions for {value!r}")


def pickled(value: Any) -> bytes:
    return b"\x80\x02" + program(value) + b"."


# PyTorch


def torch_tensor(
    key: str = "0",
    size: Any = (2, 3),
    stride: Any = (3, 1),
    offset: Any = 0,
    *,
    storage: Any = "FloatStorage",
    count: Any = 6,
) -> Call:
    identity = ("storage", Name(f"torch {storage}"), key, "cpu", count)
    arguments = (Stored(identity), offset, size, stride, False, None)
    return Call(Name("torch._utils _rebuild_tensor_v2"), arguments)


SIX = np.arange(6, dtype=np.float32)


def torch_file(
    content: Any = None,
    storages: Mapping[str, bytes] | None = None,
    *,
    folder: str = "archive",
    compression: int = zipfile.ZIP_STORED,
    **entries: Any,
) -> bytes:
    """Return the file; by default of one tensor "fc.weight" (2, 3) that holds 0 to 5."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        content = {"fc.weight": torch_tensor()} if content is None else content
        raw = content if isinstance(content, bytes) else pickled(content)
        archive.writestr(f"{folder}/data.pkl", raw)
        for name, entry in entries.items():
            archive.writestr(f"{folder}/{name}", entry)
        for key, data in ({"0": SIX.tobytes()} if storages is None else storages).items():
            archive.writestr(f"{folder}/data/{key}", data)
        archive.writestr(f"{folder}/version", b"3\n")
    return buffer.getvalue()


def old_torch_file(
    content: Any = None, *, count: int = 6, keys: Any = ("0",), body: bytes = SIX.tobytes()
) -> bytes:
    """Return a file of the format before 1.6, by default of the same tensor."""
    content = {"fc.weight": torch_tensor(count=count)} if content is None else content
    raw = content if isinstance(content, bytes) else pickled(content)
    start = pickled(0x1950A86A20F9469CFC6C) + pickled(1001) + pickled({"little_endian": True})
    return start + raw + pickled(list(keys)) + struct.pack("<q", count) + body


# Paddle


def as_bytes(raw: bytes) -> Call:
    """Return bytes as pickles of protocol 2 have them."""
    return Call(Name("_codecs encode"), (raw.decode("latin1"), "latin1"))


def numpy_array(
    array: Array,
    *,
    shape: Any = None,
    code: Any = None,
    order: Any = "<",
    raw: Any = None,
    fortran: Any = False,
) -> Filled:
    dtype = Call(Name("numpy dtype"), (array.dtype.str[1:] if code is None else code, 0, 1))
    made = Call(
        Name("numpy.core.multiarray _reconstruct"), (Name("numpy ndarray"), (0,), as_bytes(b"b"))
    )
    state = (
        1,
        array.shape if shape is None else shape,
        Filled(dtype, (3, order, None, None, None, -1, -1, 0)),
        fortran,
        as_bytes(array.tobytes()) if raw is None else raw,
    )
    return Filled(made, state)


def paddle_file(state: Mapping[str, Array]) -> bytes:
    """Return what `paddle.save` makes of a layer's state dict."""
    arrays: dict[str, Any] = {name: numpy_array(array) for name, array in state.items()}
    table = {name: f"parameter_{i}" for i, name in enumerate(state)}
    return pickled({**arrays, "StructuredToParameterName@@": table})


# safetensors and NumPy

F32 = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


def safetensors_file(header: Any = None, body: bytes = SIX.tobytes(), length: Any = None) -> bytes:
    """Return the file; by default of one tensor "fc.weight" (2, 3) that holds 0 to 5."""
    header = {"fc.weight": F32} if header is None else header
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def npy_file(header: str, body: bytes = SIX.tobytes(), version: bytes = b"\x01\x00") -> bytes:
    text = header.encode("latin1")
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + body


def npy_header(descr: str = "'<f4'", fortran: str = "False", shape: str = "(2, 3)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


def npz_file(
    members: Mapping[str, bytes] | None = None, compression: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """Return the file; by default of one array "fc.weight" (2, 3) that holds 0 to 5."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        members = {"fc.weight.npy": npy_file(npy_header())} if members is None else members
        for name, raw in members.items():
            archive.writestr(name, raw)
    return buffer.getvalue()


# One tensor with one thing wrong.


def safetensors_of(**changes: Any) -> bytes:
    return safetensors_file({"fc.weight": {**F32, **changes}})


def torch_of(**changes: Any) -> bytes:
    return torch_file({"fc.weight": torch_tensor(**changes)})


def paddle_of(**changes: Any) -> bytes:
    return pickled({"fc.weight": numpy_array(SIX.reshape(3, 2), **changes)})


def npz_of(header: str, body: bytes = SIX.tobytes(), version: bytes = b"\1\0") -> bytes:
    return npz_file({"fc.weight.npy": npy_file(header, body, version)})


def small_model() -> nn.Module:
    return nn.Sequential(fc=nn.Conv2d(3, 2, rng=0), bn=nn.BatchNorm2d(2))


def assert_refused(path: Path, named: str) -> None:
    """Fail unless the file is refused in one line, and nothing has happened."""
    before, ours = sorted(path.parent.iterdir()), small_model()
    state = ours.state_dict()
    with pytest.raises(inv.CheckpointError) as caught:
        inv.load_weights(ours, path)
    message = str(caught.value)
    assert message.startswith(f"path is {path}, ")
    assert named in message
    assert "\n" not in message
    assert len(message) < len(str(path)) + 400
    assert sorted(path.parent.iterdir()) == before
    for name, array in ours.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
