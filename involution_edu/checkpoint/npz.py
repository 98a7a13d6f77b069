"""NumPy's ``.npz``: a zip file with one ``.npy`` file for each array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from numpy.lib import format as npy

from .tensors import ITEMSIZE, Fault, Numbers, RawTensor, Tensor, quoted

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
SUFFIX = ".npy"
# The others, bzip2 and LZMA, Python's zip files cannot unpack up to a size.
PACKINGS = ZIP_STORED, ZIP_DEFLATED


@dataclass(frozen=True)
class Member(Tensor):
    """One array of the zip file."""

    archive: ZipFile
    info: ZipInfo

    def array(self) -> Numbers:
        """Return the array, if its header and its bytes agree."""
        with self.archive.open(self.info) as packed:
            # By its size: read() without one unpacks all there is, however little is declared.
            unpacked = packed.read(self.info.file_size)
        file = BytesIO(unpacked)
        version = npy.read_magic(file)
        if version not in HEADERS:
            raise Fault(f"has version {version} of the npy format; need 1.0 or 2.0")
        shape, fortran, dtype = HEADERS[version](file)
        code = dtype.str[1:]
        if code not in ITEMSIZE:
            raise Fault(f"has dtype {dtype}; need one of numbers")
        order = ">" if dtype.str[0] == ">" else "<"
        raw = memoryview(unpacked)[file.tell() :]
        return RawTensor(raw, code, shape, fortran, order).array()


def read_npz(archive: ZipFile) -> dict[str, Tensor]:
    """Return the arrays by name."""
    members = archive.infolist()
    if any(info.compress_type not in PACKINGS for info in members):
        raise Fault("it has entries packed in a way that NumPy does not use")
    names = [info.filename for info in members]
    if len(set(names)) < len(names):
        raise Fault("it has two entries of one name")
    for name in names:
        if not name.endswith(SUFFIX):
            raise Fault(f"it has the entry {quoted(name)}; need names that end in {SUFFIX}")
    return {info.filename.removesuffix(SUFFIX): Member(archive, info) for info in members}


def write_npz(path: Path, state: Mapping[str, Numbers]) -> None:
    """Write ``state``; the same state gives the same bytes."""
    with ZipFile(path, "w") as archive:
        for name, array in state.items():
            # As large as need be: a number above 4 GiB takes room that is kept from the start.
            with archive.open(ZipInfo(name + SUFFIX), "w", force_zip64=True) as file:
                npy.write_array(file, array, allow_pickle=False)
