"""Files: written whole or not at all, read within limits, and their names on a terminal."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .arguments import ArgumentError


def check_writable(
    *paths: Path, force: bool = False, choice: str = "another file", source: Path | None = None
) -> None:
    """Raise `OSError`, suggesting ``choice``, if a path cannot be written; before long work.

    A file is not replaced by what is made of it, the ``source``, not even with ``force``.
    """
    for path in paths:
        if source is not None and source.exists() and path.exists() and path.samefile(source):
            raise FileExistsError(f"{path} is the input; choose {choice}")
        folder = path.parent
        while not os.path.lexists(folder):
            folder = folder.parent  # `written_whole` makes those that are missing
        if not folder.is_dir():
            raise NotADirectoryError(f"{folder} is not a folder; choose {choice}")
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder; choose {choice}")
        if os.path.lexists(path) and not force:  # a dangling symlink too
            raise FileExistsError(f"{path} exists; pass --force to replace it or choose {choice}")
        if path.exists() and not path.is_file():  # replacing a device would break the machine
            raise OSError(f"{path} is a pipe or a device; choose {choice}")
        temporary = _beside(folder / path.name)
        try:  # permissions do not tell: root ignores them, and /proc has none
            with suppress(FileNotFoundError):
                (folder / path.name).lstat()  # refuses names that are too long
            temporary.touch(exist_ok=False)
        except OSError as error:
            raise OSError(f"{path} cannot be made ({error.strerror}); choose {choice}") from error
        finally:  # also if a signal arrives
            with suppress(OSError):
                temporary.unlink()


def holds(path: Path, mark: str) -> bool:
    """Return whether ``path`` is a file with ``mark`` near its beginning, where metadata is."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return mark.encode() in file.read(4096)


@contextmanager
def written_whole(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, renamed to it when the block ends without error.

    Missing folders are made.
    """
    check_writable(path, force=force)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # or a crash may leave the new name with an empty file
        temporary.replace(path)
    except OSError as error:
        if error.filename is not None and str(error.filename) != str(temporary):
            raise  # an error of another file
        code, reason = error.errno or errno.EIO, error.strerror or str(error)
        raise OSError(code, reason, str(path)) from error
    finally:  # any exception; a program that a signal ends has to raise one, such as `SystemExit`
        temporary.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """Return a hidden path in the folder of ``path``, of a random name that no other writer has."""
    return path.with_name(f".{path.stem[:40]}-{secrets.token_hex(8)}{path.suffix}")


def read_text_bounded(path: Path, name: str, max_bytes: int, max_lines: int) -> str:
    """Return the UTF-8 text of a regular file of limited size; ``name`` is the argument's."""
    if not path.exists():
        raise FileNotFoundError(f"{name} is {path}; there is no such file")
    if not path.is_file() and not path.is_dir():  # a pipe would be waited for
        raise ArgumentError(name, f"is {path}, a pipe or a device", "a file of its own")
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    need = f"at most {max_bytes:,} bytes and {max_lines:,} lines"
    larger = ArgumentError(name, f"is {path}, which is larger", need)
    if len(content) > max_bytes:
        raise larger
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArgumentError(name, f"is {path}, which is not text ({error})", "UTF-8") from error
    if len(text.splitlines()) > max_lines:
        raise larger
    return text


def shown(text: str, most: int = 80) -> str:
    """Return ``text`` for a terminal: control characters escaped, the middle left out if long."""
    half = most // 2
    text = text if len(text) <= most else f"{text[:half]}…{text[-half:]}"
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
