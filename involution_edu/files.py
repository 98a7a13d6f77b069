"""Files: written whole or not at all, read within limits, and their names on a terminal."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .arguments import ArgumentError


def check_writable(*paths: Path, force: bool = False, choice: str = "another file") -> None:
    """Raise `OSError` if a path cannot be written; called before long work starts.

    A file that exists, a dangling symlink included, may be replaced with ``force``. The messages
    suggest ``choice`` as an alternative.
    """
    for path in paths:
        folder = path.parent
        if not folder.is_dir():
            raise NotADirectoryError(f"{folder} is not a folder; make it first or choose {choice}")
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder; choose {choice}")
        if os.path.lexists(path) and not force:
            raise FileExistsError(f"{path} exists; pass --force to replace it or choose {choice}")
        if path.exists() and not path.is_file():  # replacing a device would break the machine
            raise OSError(f"{path} is a pipe or a device; choose {choice}")
        temporary = _beside(path)
        try:  # permissions do not tell: root ignores them, and /proc has none
            temporary.touch(exist_ok=False)
        except OSError as error:
            raise OSError(f"{path} cannot be made ({error.strerror}); choose {choice}") from error
        finally:  # also if a signal arrives
            with suppress(OSError):
                temporary.unlink()


@contextmanager
def written_whole(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, renamed to it when the block ends without error.

    An `OSError` of writing has ``path`` as its ``filename``.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with written_whole(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("all of it")
    >>> (folder / "a.txt").read_text()
    'all of it'
    """
    with all_written(path, force=force) as (temporary,):
        yield temporary


@contextmanager
def all_written(*paths: Path, force: bool = False) -> Iterator[tuple[Path, ...]]:
    """Yield a temporary path for each of ``paths``; no file is renamed before all are complete.

    As `written_whole` otherwise. The temporary files are removed by any exception, so that a
    program which ends by a signal has to turn it into one, such as `SystemExit`.
    """
    check_writable(*paths, force=force)
    temporaries = tuple(map(_beside, paths))
    try:
        yield temporaries
        for temporary in temporaries:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())  # or a crash may leave the new name with an empty file
        for temporary, path in zip(temporaries, paths, strict=True):
            temporary.replace(path)
    except OSError as error:
        named = dict(zip(map(str, temporaries), paths, strict=True))
        if error.filename is not None and str(error.filename) not in named:
            raise  # an error of another file
        path = named.get(str(error.filename), paths[-1])
        code, reason = error.errno or errno.EIO, error.strerror or str(error)
        raise OSError(code, reason, str(path)) from error
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """Return a hidden path in the folder of ``path``, of a random name that no other writer has."""
    return path.with_name(f".{path.stem[:40]}-{secrets.token_hex(8)}{path.suffix}")


def read_text_bounded(path: Path, name: str, max_bytes: int, max_lines: int) -> str:
    """Return the UTF-8 text of a regular file of limited size; ``name`` is the argument's.

    Raises
    ------
    OSError
        If it cannot be read.
    ArgumentError
        If it is a pipe or a device, too large, or not text.
    """
    if path.exists() and not path.is_file() and not path.is_dir():  # a pipe would be waited for
        raise ArgumentError(name, f"is {path}, a pipe or a device", "a file of its own")
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    larger = ArgumentError(
        name, f"is {path}, which is larger", f"at most {max_bytes:,} bytes and {max_lines:,} lines"
    )
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
    r"""Return ``text`` for a terminal: control characters escaped, the middle left out if long.

    Examples
    --------
    >>> print(shown("two\nlines"), shown("0123456789", 5))
    two\nlines 01…89
    """
    half = most // 2
    text = text if len(text) <= most else f"{text[:half]}…{text[-half:]}"
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
