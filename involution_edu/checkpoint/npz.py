"""NumPy's ``.npz``: a zip file with one ``.npy`` file for each array."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from numpy.lib import format as npy

from .tensors import ITEMSIZE, Fault, Numbers, Plan, Tensor, plan_of, quoted

# Bytes of the length of the header, and NumPy's parser, by version of the npy format.
HEADERS = {(1, 0): (2, npy.read_array_header_1_0), (2, 0): (4, npy.read_array_header_2_0)}
MAX_HEADER = 10_000  # bytes; NumPy's own limit, which it checks after reading
SUFFIX = ".npy"
# Python's zipfile cannot limit the size that the others, bzip2 and LZMA, unpack to.
COMPRESSIONS = ZIP_STORED, ZIP_DEFLATED


def read_npz(archive: ZipFile) -> dict[str, Tensor]:
    """Return the arrays by name."""
    members = archive.infolist()
    if any(info.compress_type not in COMPRESSIONS for info in members):
        raise Fault("it has entries packed in a way that NumPy does not use")
    names = [info.filename for info in members]
    if len(set(names)) < len(names):
        raise Fault("it has two entries of one name")
    for name in names:
        if not name.endswith(SUFFIX):
            raise Fault(f"it has the entry {quoted(name)}; need names that end in {SUFFIX}")
    return {
        info.filename.removesuffix(SUFFIX): Tensor(partial(_plan, archive, info))
        for info in members
    }


def _plan(archive: ZipFile, info: ZipInfo) -> Plan:
    with archive.open(info) as packed:
        version = npy.read_magic(packed)
        if version not in HEADERS:
            raise Fault(f"has version {version} of the npy format; need 1.0 or 2.0")
        width, parse = HEADERS[version]
        prefix = packed.read(width)
        if (length := int.from_bytes(prefix, "little")) > MAX_HEADER:
            raise Fault(f"has a header of {length} bytes; need at most {MAX_HEADER}")
        shape, fortran, dtype = parse(BytesIO(prefix + packed.read(length)))
        start = packed.tell()
    code = dtype.str[1:]
    if code not in ITEMSIZE:
        raise Fault(f"has dtype {dtype}; need one of numbers")

    def get() -> bytes:
        with archive.open(info) as packed:
            packed.read(start)
            # With a size: read() unpacks everything, even beyond the declared size.
            return packed.read(info.file_size - start)

    order = ">" if dtype.str[0] == ">" else "<"
    return plan_of(info.file_size - start, get, code, shape, fortran=fortran, order=order)


def write_npz(path: Path, state: Mapping[str, Numbers]) -> None:
    """Write ``state``; the same state gives the same bytes."""
    with ZipFile(path, "w") as archive:
        for name, array in state.items():
            # The header reserves room for a size above 4 GiB.
            with archive.open(ZipInfo(name + SUFFIX), "w", force_zip64=True) as file:
                npy.write_array(file, array, allow_pickle=False)
