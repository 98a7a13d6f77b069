"""A file of weights, read in parts: what stands first tells which of them are needed."""

from __future__ import annotations

from io import SEEK_END, BufferedReader, FileIO
from zipfile import BadZipFile, ZipFile

from .tensors import MAX_BYTES, Fault

MAX_ENTRIES = 20_000  # of a zip file
MAX_DIRECTORY = 1 << 22  # bytes of the list of them, which `zipfile` reads whole


class Source(BufferedReader):
    """A file that is read in parts; no read takes memory for more than the file has."""

    def __init__(self, raw: FileIO) -> None:
        super().__init__(raw)
        self.size = self.limit = raw.seek(0, SEEK_END)  # bytes of the file, and of one read

    def read(self, size: int | None = -1) -> bytes:
        """Return at most ``size`` bytes from here on; raise if they are more than the limit."""
        left = max(0, self.size - self.tell())
        count = left if size is None or size < 0 else min(size, left)
        if count > self.limit:
            raise Fault(f"it has {count} bytes to read at once; need at most {self.limit}")
        return super().read(count)

    def part(self, start: int, size: int = -1) -> bytes:
        """Return ``size`` bytes from ``start`` on, fewer at the end of the file, or all."""
        self.seek(start)
        return self.read(size)


def open_zip(file: Source) -> ZipFile:
    """Return a zip file, of which only the directory has been read."""
    file.limit = MAX_DIRECTORY
    try:
        archive = ZipFile(file)
    except BadZipFile as error:
        raise Fault(f"it is a zip file cut short or damaged ({error})") from error
    file.limit = file.size
    if (count := len(archive.infolist())) > MAX_ENTRIES:
        raise Fault(f"it is a zip file of {count} entries; need at most {MAX_ENTRIES}")
    if (total := sum(info.file_size for info in archive.infolist())) > MAX_BYTES:  # may overlap
        raise Fault(f"it unpacks to {total} bytes; need at most {MAX_BYTES}")
    return archive
