"""From the bytes of a file to arrays, and the formats that need no more: npz and safetensors.

Sizes are checked before memory is allocated. An ``.npz`` is a zip file of ``.npy`` files; a
``.safetensors`` is the length of a header, the header in JSON, and the bytes of all tensors. Its
package is not used: it accepts two entries of one name, and its errors name no tensor.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Literal
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from .. import arguments

MAX_BYTES = 1 << 30  # of a file, and of its arrays; RedNet-152 has 136 million
MAX_AXES = 64  # NumPy has arrays of no more
MAX_MESSAGE = 300  # letters of the message of another library, which may quote the whole file
# Bytes per number of the file, by code; "bf16" is the upper half of a float32, which it becomes.
ITEMSIZE = {"bf16": 2, "b1": 1, "f2": 2, "f4": 4, "f8": 8}
ITEMSIZE |= {f"{sign}{size}": size for sign in "iu" for size in (1, 2, 4, 8)}
RESULT_SIZE = {**ITEMSIZE, "bf16": 4}  # of the array
# Bytes of the length of the header, and NumPy's parser, by version of the npy format.
NPY_HEADERS = {(1, 0): (2, npy.read_array_header_1_0), (2, 0): (4, npy.read_array_header_2_0)}
MAX_NPY_HEADER = 10_000  # bytes; NumPy's own limit, which it checks after reading
MAX_JSON_HEADER = 1 << 22  # bytes; that of RedNet-152 has 160,000
DTYPES = {"BF16": "bf16", "BOOL": "b1"}  # of safetensors
DTYPES |= {f"{code[0].upper()}{8 * n}": code for code, n in ITEMSIZE.items() if code[0] in "fiu"}

Numbers = NDArray[Any]
Read = Callable[[], bytes | memoryview]
quoted = arguments.quoted


class Fault(Exception):
    """A defect of a file; `load_checkpoint` adds the name of the file."""


def shortened(error: Exception | str) -> str:
    """Return a message on one line, escaped; with the type of an exception that is no `Fault`."""
    text = f"{error}" if isinstance(error, Fault | str) else f"{type(error).__name__}: {error}"
    text = " ".join(text[: 2 * MAX_MESSAGE].split())
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}..."


@dataclass
class Plan:
    """An array to be made, of checked size; several may belong to one ``source`` of memory."""

    shape: tuple[int, ...]
    code: str
    read: Callable[[], Numbers]
    source: Hashable = None
    source_bytes: int = 0


@dataclass(eq=False)
class Tensor:
    """A tensor of a file; ``plan`` checks its sizes, or raises if the file contradicts itself."""

    plan: Callable[[], Plan]


def named(name: str, make: Callable[[], Any]) -> Any:
    """Return ``make()``; an error names the tensor."""
    try:
        return make()
    except Exception as error:
        raise Fault(f"tensor {quoted(name)} {shortened(error)}") from error


def arrays_of(state: Mapping[str, Tensor]) -> dict[str, Numbers]:
    """Return the arrays by name; none is made before the sizes of all have been added up."""
    plans: dict[str, Plan] = {}
    sources: set[Hashable] = set()
    arrays = stored = 0  # bytes
    for name, tensor in state.items():
        plan = plans[name] = named(name, tensor.plan)
        arrays += math.prod(plan.shape) * RESULT_SIZE[plan.code]
        stored += 0 if plan.source in sources else plan.source_bytes
        sources.add(plan.source)
        if max(arrays, stored) > MAX_BYTES:
            raise Fault(f"it unpacks to more than {MAX_BYTES} bytes; need no more")
    return {name: named(name, plan.read) for name, plan in plans.items()}


def plan_of(
    size: int, get: Read, code: str, shape: object, *, fortran: bool = False, order: str = "<"
) -> Plan:
    """Return the plan of a contiguous array, of ``size`` bytes that ``get`` returns."""
    sizes = as_shape(shape)
    need = math.prod(sizes) * ITEMSIZE[code]
    if size != need:
        raise Fault(f"has {size} bytes; need {need} for {code} of shape {quoted(sizes)}")
    axes: Literal["F", "C"] = "F" if fortran else "C"
    return Plan(sizes, code, lambda: numbers(get(), code, order).reshape(sizes, order=axes))


def as_shape(shape: object) -> tuple[int, ...]:
    """Return ``shape`` as a tuple of ints >= 0, few enough to multiply."""
    if isinstance(shape, list | tuple):
        if len(shape) > MAX_AXES:
            raise Fault(f"has {len(shape)} axes; need at most {MAX_AXES}")
        if all(type(size) is int and 0 <= size < 1 << 48 for size in shape):
            return tuple(shape)
    raise Fault(f"has shape {quoted(shape)}; need whole numbers >= 0")


def numbers(raw: bytes | memoryview, code: str, order: str) -> Numbers:
    """Return bytes of order "<" or ">" as a new array of one axis, in this machine's order."""
    if code == "bf16":
        bits: Numbers = np.left_shift(np.frombuffer(raw, f"{order}u2"), 16, dtype=np.uint32)
        return bits.view(np.float32)
    return np.frombuffer(raw, "u1" if code == "b1" else order + code).astype(code)


def read_npz(archive: ZipFile) -> dict[str, Tensor]:
    """Return the arrays by name."""
    tensors: dict[str, Tensor] = {}
    for info in archive.infolist():
        # Python's zipfile cannot limit the size that the others, bzip2 and LZMA, unpack to.
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise Fault("it has entries packed in a way that NumPy does not use")
        name = info.filename.removesuffix(".npy")
        if name == info.filename:
            raise Fault(f"it has the entry {quoted(name)}; need names that end in .npy")
        if name in tensors:
            raise Fault("it has two entries of one name")
        tensors[name] = Tensor(partial(_npy_plan, archive, info))
    return tensors


def _npy_plan(archive: ZipFile, info: ZipInfo) -> Plan:
    with archive.open(info) as packed:
        version = npy.read_magic(packed)
        if version not in NPY_HEADERS:
            raise Fault(f"has version {version} of the npy format; need 1.0 or 2.0")
        width, parse = NPY_HEADERS[version]
        prefix = packed.read(width)
        if (length := int.from_bytes(prefix, "little")) > MAX_NPY_HEADER:
            raise Fault(f"has a header of {length} bytes; need at most {MAX_NPY_HEADER}")
        shape, fortran, dtype = parse(BytesIO(prefix + packed.read(length)))
        start = packed.tell()
    order, code = dtype.str[0], dtype.str[1:]
    if code not in ITEMSIZE:
        raise Fault(f"has dtype {dtype}; need one of numbers")
    size = info.file_size - start

    def get() -> bytes:
        with archive.open(info) as packed:
            packed.read(start)
            return packed.read(size)  # read() unpacks everything, even beyond the declared size

    return plan_of(size, get, code, shape, fortran=fortran, order=order.replace("|", "<"))


def write_npz(path: Path, state: Mapping[str, Numbers]) -> None:
    """Write ``state``; the same state gives the same bytes."""
    with ZipFile(path, "w") as archive:
        for name, array in state.items():
            # The header reserves room for a size above 4 GiB.
            with archive.open(ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
                npy.write_array(file, array, allow_pickle=False)


def read_safetensors(data: bytes) -> dict[str, Tensor]:
    """Return the tensors by name."""
    (length,) = struct.unpack_from("<Q", data)
    if length > min(MAX_JSON_HEADER, len(data) - 8):
        limits = f"{MAX_JSON_HEADER}, and not more than the {len(data) - 8} that follow"
        raise Fault(f"its header claims {length} bytes; need at most {limits}")
    header = json.loads(str(data[8 : 8 + length], "utf-8"), object_pairs_hook=_unique)
    if not isinstance(header, dict):
        raise Fault(f"its header is a {type(header).__name__}; need an object")
    header.pop("__metadata__", None)
    numbers = memoryview(data)[8 + length :]
    tensors: dict[str, Tensor] = {}
    end = 0
    entries = [_entry(name, entry) for name, entry in header.items()]
    for start, stop, name, code, shape in sorted(entries, key=lambda entry: entry[:2]):
        if start != end:
            raise Fault(f"tensor {quoted(name)} begins at byte {start}; need {end}, the next")
        raw = numbers[start:stop]
        tensors[name] = Tensor(partial(plan_of, len(raw), raw.tobytes, code, shape))
        end = stop
    if end != len(numbers):
        raise Fault(f"its tensors end at byte {end}; need {len(numbers)}, the end of the file")
    return tensors


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    items = dict(pairs)
    if len(items) < len(pairs):
        raise Fault("its header has two entries of one name")
    return items


def _entry(name: str, entry: Any) -> tuple[int, int, str, str, Any]:
    match entry:
        case {"dtype": str(dtype), "shape": shape, "data_offsets": [int(start), int(stop)]}:
            if dtype not in DTYPES:
                need = f"need one of {', '.join(sorted(DTYPES))}"
                raise Fault(f"tensor {quoted(name)} has dtype {quoted(dtype)}; {need}")
            if 0 <= start <= stop:
                return start, stop, name, DTYPES[dtype], shape
    raise Fault(f"tensor {quoted(name)} is {quoted(entry)}; need dtype, shape and two data_offsets")


def write_safetensors(path: Path, state: Mapping[str, Numbers]) -> None:
    """Write ``state``, the tensors in the order of ``state``."""
    names = {code: name for name, code in DTYPES.items()}
    little = {name: array.astype(array.dtype.newbyteorder("<")) for name, array in state.items()}
    header: dict[str, Any] = {}
    end = 0
    for name, array in little.items():
        offsets = [end, end := end + array.nbytes]
        code = names[array.dtype.str[1:]]
        header[name] = {"dtype": code, "shape": array.shape, "data_offsets": offsets}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # aligns the numbers
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in little.values():
            file.write(array.tobytes())
