"""NumPy's ``.npz``: a zip file with one ``.npy`` file for each array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from numpy.lib import format as npy

from .tensors import ITEMSIZE, MOST_BYTES, Fault, Numbers, RawTensor, Tensor, quoted

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
SUFFIX = ".npy"


@dataclass(frozen=True)
class Member(Tensor):
    """One array of the zip file."""

    archive: ZipFile
    info: ZipInfo

    def array(self) -> Numbers:
        """Return the array, if its header and its bytes agree."""
        with self.archive.open(self.info) as file:
            version = npy.read_magic(file)
            if version not in HEADERS:
                raise Fault(f"has version {version} of the npy format; need 1.0 or 2.0")
            shape, fortran, dtype = HEADERS[version](file)
            code = dtype.str[1:]
            if code not in ITEMSIZE:
                raise Fault(f"has dtype {dtype}; need one of numbers")
            order = ">" if dtype.str[0] == ">" else "<"
            return RawTensor(file.read(), code, shape, fortran, order).array()


def read_npz(archive: ZipFile) -> dict[str, Tensor]:
    """Return the arrays by name."""
    members = archive.infolist()
    total = sum(info.file_size for info in members)
    if total > MOST_BYTES:
        raise Fault(f"it unpacks to {total} bytes; need at most {MOST_BYTES}")
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
