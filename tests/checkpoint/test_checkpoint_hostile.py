"""Hostile files: pickles that call functions, and small files that would fill the memory."""

from __future__ import annotations

import os
import pickle
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkpoint_files as files
import numpy as np
import pytest
from checkpoint_files import (
    Call,
    Code,
    Filled,
    Name,
    assert_refused,
    npy_file,
    npy_header,
    npz_file,
    npz_of,
    numpy_array,
    paddle_of,
    pickled,
    torch_file,
    torch_of,
    torch_tensor,
)

import involution_edu as inv
from involution_edu import nn


class Evil:
    """An object that makes Python's unpickler call a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def asked(function: Callable[..., Any], *arguments: Any, protocol: int = 2) -> bytes:
    return pickle.dumps({"fc.weight": Evil(function, *arguments)}, protocol)


def nested(begin: bytes, end: bytes, times: int = 50_000) -> Code:
    return Code(begin * times + end * times)


# A tuple of two, both the same, 60 deep: looking at all of it would never end.
ENDLESS = b")q\0" + b"h\0h\0\x86q\0" * 60
TOUCH = "touch RAN"

# Pickles that want to run code, and what the answer names. As a Paddle file and in PyTorch's.
HOSTILE = {
    "os.system": (asked(os.system, TOUCH), f"asks for '{os.name} system'"),
    "os.system, newer": (asked(os.system, TOUCH, protocol=4), f"asks for '{os.name} system'"),
    "eval": (
        asked(eval, "__import__('pathlib').Path('RAN').touch()"),
        "asks for '__builtin__ eval'",
    ),
    "exec": (
        asked(exec, "__import__('pathlib').Path('RAN').touch()", protocol=4),
        "asks for 'builtins exec'",
    ),
    "open": (asked(open, "RAN", "w"), "asks for 'io open'"),
    "getattr": (
        pickled(Call(Call(Name("builtins getattr"), (Name("os "), "system")), (TOUCH,))),
        "asks for 'builtins getattr'",
    ),
    "an attribute of what is allowed": (
        pickled(
            Call(
                Code(
                    files.program("collections")
                    + files.program("OrderedDict.__class__.mro")
                    + b"\x93"
                ),
                (),
            )
        ),
        "asks for 'collections OrderedDict.__class__.mro'",
    ),
    "another name of NumPy": (pickled(Call(Name("numpy fromfile"), ("x",))), "'numpy fromfile'"),
    "numpy.load": (pickled(Call(Name("numpy load"), ("x", None, True))), "'numpy load'"),
    "another name of PyTorch": (pickled(Call(Name("torch load"), ("x",))), "'torch load'"),
    "another name of its internals": (
        pickled(Call(Name("torch._utils _import_dotted_name"), ("os.system",))),
        "'torch._utils _import_dotted_name'",
    ),
    "collections": (pickled(Call(Name("collections Counter"), ("ab",))), "'collections Counter'"),
    "a module alone": (pickled(Name("os ")), "'os '"),
    "INST": (b"\x80\x02(X\x09\0\0\0touch RANios\nsystem\n.", "instruction INST"),
    "OBJ": (b"\x80\x02(cos\nsystem\nX\x09\0\0\0touch RANo.", "asks for 'os system'"),
    "NEWOBJ": (b"\x80\x02cos\nsystem\n(X\x09\0\0\0touch RANt\x81.", "asks for 'os system'"),
    "EXT1": (b"\x80\x02\x82\x01.", "instruction EXT1"),
    "PERSID": (b"\x80\x02Pos.system\n.", "instruction PERSID"),
    "a call of text": (pickled(Call("os.system", (TOUCH,))), "calls a str"),
    "a call without a tuple": (
        pickled(Call(Name("collections OrderedDict"), [TOUCH])),
        "calls with a list",
    ),
    "a call with too much": (pickled(Call(Name("collections OrderedDict"), (1,))), "TypeError"),
    "the state of a function": (
        pickled(Filled(Name("collections OrderedDict"), {"__class__": 1})),
        "fills a type",
    ),
    "the state of a list": (pickled(Filled([], {"__class__": 1})), "fills a list"),
    "items of a tuple": (b"\x80\x02)X\x01\0\0\0aNs.", "fills a tuple"),
    "a key that is a tuple": (pickled({(): 1}), "has a tuple as a key"),
    "a key nested deeply": (
        pickled(Code(b"}" + nested(b"(", b"t").raw + b"Ns")),
        "has a tuple as a key",
    ),
    "a key without end": (pickled(Code(ENDLESS + b"}h\0Ns")), "has a tuple as a key"),
    "a name without end": (pickled(Code(ENDLESS + b"h\0h\0\x93")), "TypeError"),
    "lists nested deeply": (pickled(nested(b"](", b"e")), "holds a list; need a dict"),
    "nothing": (b"\x80\x02.", "IndexError"),
    "no end": (b"\x80\x02N", "no instruction at byte 3; it is damaged or cut short"),
    "no such instruction": (b"\x80\x02\xff.", "no instruction at byte 2"),
    "a mark that is not there": (b"\x80\x02t.", "IndexError"),
    "a memory that is not there": (b"\x80\x02h\x07.", "KeyError: 7"),
    "an empty stack": (b"\x80\x02\x87.", "takes from an empty stack"),
    "half a pair": (b"\x80\x02}(X\x01\0\0\0au.", "ValueError"),
}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # where RAN would be
    return Path("weights.pth")


@pytest.mark.parametrize("within", ["pickle", "PyTorch's zip file"])
@pytest.mark.parametrize("wrong", HOSTILE)
def test_hostile_pickles_run_nothing(wrong: str, within: str, path: Path) -> None:
    data, named = HOSTILE[wrong]
    path.write_bytes(data if within == "pickle" else torch_file(data))
    assert_refused(path, named)


def test_the_hostile_pickles_do_run_in_pythons_unpickler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for wrong in ("os.system", "os.system, newer", "eval", "exec"):
        pickle.loads(HOSTILE[wrong][0])
        Path("RAN").unlink()


def declared_less(compression: int) -> bytes:
    """Return an .npz whose one entry unpacks to 100 MB, and declares 64 kB."""
    header = npy_header(shape="(16000,)")
    raw = bytearray(npz_file({"a.npy": npy_file(header, bytes(100_000_000))}, compression))
    place = raw.rindex(b"PK\1\2") + 24  # of the size in the directory, which is what is believed
    raw[place : place + 4] = struct.pack("<I", len(npy_file(header, bytes(64_000))))
    return bytes(raw)


def nested_storages(count: int, size: int) -> bytes:
    """Return a file of PyTorch with ``count`` storages, each of which holds all the next ones."""
    entries: list[tuple[str, int, int]] = []  # name, bytes, CRC
    body = bytes(size)
    for i in range(count):
        name = f"archive/data/{i}"
        entries.insert(0, (name, len(body), zlib.crc32(body)))
        body = local_header(*entries[0]) + body
    tensors = {
        name: torch_tensor(name.rpartition("/")[2], (1,), (1,), storage="ByteStorage", count=length)
        for name, length, _ in entries
    }
    content = pickled(tensors)
    first = "archive/data.pkl", len(content), zlib.crc32(content)
    raw, directory = local_header(*first) + content + body, b""
    offset = 0
    for name, length, checksum in (first, *entries):
        header = local_header(name, length, checksum)
        fixed, text = header[4:30], header[30:]
        directory += b"PK\1\2\x14\0" + fixed + struct.pack("<3HLL", 0, 0, 0, 0, offset) + text
        offset += len(header) + (length if name == first[0] else 0)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *[count + 1] * 2, len(directory), len(raw), 0)
    return raw + directory + end


def local_header(name: str, size: int, checksum: int) -> bytes:
    fixed = struct.pack(
        "<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0x21, checksum, size, size, len(name), 0
    )
    return fixed + name.encode()


# Small files that would fill the memory, and what the answer names; None if they may be loaded.
BOMBS = {
    "declared text": (b"\x80\x02\x8d" + struct.pack("<Q", 1 << 40) + b"ab.", "is cut short"),
    "declared bytes": (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"ab.", "is cut short"),
    "a large place in the memory": (b"\x80\x02Nr\xff\xff\xff\x7f.", "holds a NoneType"),
    "many copies of a tuple": (
        pickled(
            Code(
                b"(" + b"N" * 200_000 + b"t\x85q\0"
                + files.program(Name("builtins tuple")) + b"q\1"
                + b"h\1h\0R" * 2_000
            )
        ),
        "holds a tuple",
    ),
    "many copies of bytes": (
        pickled(
            Code(
                files.program(("a" * 200_000, "latin1")) + b"q\0"
                + files.program(Name("_codecs encode")) + b"q\1"
                + b"h\1h\0R" * 2_000
            )
        ),
        "holds a Text",
    ),
    "one number for a huge tensor": (torch_of(size=(1 << 40,), stride=(0,)), "unpacks to more than"),
    "a huge shape": (paddle_of(shape=(1 << 20, 1 << 20)), "has 24 bytes; need 4398046511104"),
    "a huge shape of npy": (npz_of(npy_header(shape="(1048576, 1048576)")), "has 24 bytes; need"),
    "many times one array": (
        pickled(
            Code(
                files.program(numpy_array(np.zeros(1 << 18)))
                + b"q\0}("
                + b"".join(files.program(f"{i}") + b"h\0" for i in range(60))
                + b"u"
            )
        ),
        "unpacks to more than 16777216 bytes",
    ),
    "zeros": (
        npz_file({"a.npy": npy_file(npy_header(shape="(10000000,)"), bytes(40_000_000))}),
        "unpacks to 400000",
    ),
    "more zeros than declared": (declared_less(zipfile.ZIP_DEFLATED), "Bad CRC-32"),
    "more zeros, packed by bzip2": (
        declared_less(zipfile.ZIP_BZIP2), "entries packed in a way that NumPy does not use",
    ),
    "more zeros, packed by LZMA": (
        declared_less(zipfile.ZIP_LZMA), "entries packed in a way that NumPy does not use",
    ),
    "entries that lie in each other": (nested_storages(20, 1_000_000), "unpacks to 20"),
    "one storage as four types": (
        torch_file({
            storage: torch_tensor(storage=storage, count=count, size=(1,), stride=(1,))
            for storage, count in (
                ("FloatStorage", 2_000_000), ("IntStorage", 2_000_000),
                ("DoubleStorage", 1_000_000), ("LongStorage", 1_000_000),
            )
        }, {"0": bytes(8_000_000)}),
        "has storage '0' both as 2000000 f4 and as 2000000 i4",
    ),
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_small_files_take_little_memory(
    bomb: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("involution_edu.checkpoint.tensors.MAX_BYTES", 1 << 24)
    data, named = BOMBS[bomb]
    path.write_bytes(data)
    tracemalloc.start()
    try:
        assert_refused(path, named)
        assert tracemalloc.get_traced_memory()[1] < 1 << 26
    finally:
        tracemalloc.stop()


LARGE = bytes(1 << 25)
PARTS: dict[str, Callable[[], bytes]] = {
    "torch": lambda: torch_file(
        {
            "fc.weight": torch_tensor(),
            "optimizer": torch_tensor("1", (1 << 23,), (1,), count=1 << 23),
        },
        {"0": files.SIX.tobytes(), "1": LARGE},
    ),
    "npz": lambda: npz_file(
        {
            "fc.weight.npy": npy_file(npy_header()),
            "optimizer.npy": npy_file(npy_header(shape=f"({len(LARGE) // 4},)"), LARGE),
        },
        zipfile.ZIP_STORED,
    ),
    "safetensors": lambda: files.safetensors_file(
        {
            "fc.weight": files.F32,
            "optimizer": {"dtype": "U8", "shape": [1 << 25], "data_offsets": [24, 24 + (1 << 25)]},
        },
        files.SIX.tobytes() + LARGE,
    ),
}


@pytest.mark.parametrize("format", PARTS)
def test_what_is_not_asked_for_is_not_read(format: str, path: Path) -> None:
    path.write_bytes(PARTS[format]())
    model = nn.Sequential(fc=nn.Linear(3, 2))
    tracemalloc.start()
    try:
        assert inv.load_weights(model, path, strict=False).surplus == ("optimizer",)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(model.state_dict()["fc.weight"], files.SIX.reshape(2, 3))
    assert inv.load_checkpoint(path)["optimizer"].nbytes == len(LARGE)


def test_the_directory_of_a_zip_file_is_limited(path: Path) -> None:
    """Of one entry, with 32 MiB after it."""
    archive = npz_file()
    start = archive.index(b"PK\5\6")
    end = bytearray(archive[start:])
    begin = archive.index(b"PK\1\2")
    struct.pack_into("<2L", end, 12, start - begin + len(LARGE), begin)
    path.write_bytes(archive[:start] + LARGE + end)
    tracemalloc.start()
    try:
        assert_refused(path, "it is a zip file cut short or damaged")
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


def shared(levels: int) -> Any:
    """Return a dict in wrappers, each of which holds the one inside it twice."""
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {"model": inner, "net": inner}
    return inner


TWINS = Code(b")" + b"q\0h\0\x86" * 60)  # a tuple of two, both the same, 60 deep
BUFFER = files.SIX.tobytes(), Call(Name("numpy dtype"), ("f4",)), (2, 3), "K", (TWINS, TWINS)

# Small files that would take forever where all of what they hold is looked at.
ENDLESS_FILES = {
    "wrappers": (pickle.dumps(shared(60), 4), "holds no tensor"),
    "keys of storages": (files.old_torch_file(keys=[TWINS]), "KeyError"),
    "axes": (
        pickled({"a": Call(Name("numpy.core.numeric _frombuffer"), BUFFER)}),
        "tensor 'a' has shape",
    ),
}


@pytest.mark.parametrize("wrong", ENDLESS_FILES)
def test_small_files_take_little_time(wrong: str, path: Path) -> None:
    data, named = ENDLESS_FILES[wrong]
    path.write_bytes(data)
    assert_refused(path, named)
