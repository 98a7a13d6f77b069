"""Formats without pickles: NumPy's ``.npz``, and ``.safetensors``.

An ``.npz`` is a zip file with one ``.npy`` file for each array. A ``.safetensors`` is the length
of a header, the header in JSON, then the bytes of all tensors without gap or overlap. The package
of this name is not used: it accepts two entries of one name, and its errors name no tensor.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from numpy.lib import format as npy

from ..arguments import quoted
from .pickles import Fault
from .tensors import ITEMSIZE, Numbers, Plan, Tensor, plan_of

# Bytes of the length of the header, and NumPy's parser, by version of the npy format.
NPY_HEADERS = {(1, 0): (2, npy.read_array_header_1_0), (2, 0): (4, npy.read_array_header_2_0)}
MAX_NPY_HEADER = 10_000  # bytes; NumPy's own limit, which it checks after reading
MAX_JSON_HEADER = 1 << 22  # bytes; that of RedNet-152 has 160,000
DTYPES = {"BF16": "bf16", "BOOL": "b1"}  # of safetensors
DTYPES |= {f"{code[0].upper()}{8 * n}": code for code, n in ITEMSIZE.items() if code[0] in "fiu"}


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
                raise Fault(
                    f"tensor {quoted(name)} has dtype {quoted(dtype)}; need {sorted(DTYPES)}"
                )
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
