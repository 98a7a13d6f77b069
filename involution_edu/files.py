"""Writing files whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check_writable(*paths: Path, force: bool = False) -> None:
    """Raise before long work starts if a path cannot be written when it ends.

    Raises
    ------
    FileExistsError
        If a path exists and ``force`` is not set.
    NotADirectoryError, PermissionError, IsADirectoryError
        If its folder is missing or not writable, or the path is a folder.
    """
    for path in paths:
        folder = path.parent
        if not folder.is_dir():
            raise NotADirectoryError(f"{folder} is not a folder; make it first")
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder; need the name of a file")
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"{folder} is not writable; choose another folder")
        if path.exists() and not force:
            raise FileExistsError(f"{path} exists; pass --force to replace it, or choose another")


@contextmanager
def written_whole(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, renamed to it when the block ends without error.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with written_whole(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("all of it")
    >>> (folder / "a.txt").read_text()
    'all of it'
    """
    check_writable(path, force=force)
    temporary = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
