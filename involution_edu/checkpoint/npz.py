"""NumPy's ``.npz``: a zip file of ``.npy`` files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from numpy.lib import format as npy

from ..arguments import quoted
from .tensors import ITEMSIZE, Fault, Numbers, Plan, Tensor, plan_of

# Bytes of the length of the header, and NumPy's parser, by version of the npy format.
NPY_HEADERS = {(1, 0): (2, npy.read_array_header_1_0), (2, 0): (4, npy.read_array_header_2_0)}
MAX_NPY_HEADER = 10_000  # bytes; NumPy's own limit, which it checks after reading


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
