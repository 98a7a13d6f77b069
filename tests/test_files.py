"""Files are written whole or not at all, and errors name the requested file."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from pathlib import Path

import needs
import pytest

from involution_edu.files import check_writable, read_text_bounded, shown, written_whole


def test_a_check_leaves_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "a.txt", tmp_path / "b.txt")
    assert not list(tmp_path.iterdir())


def test_unwritable_paths_are_named_with_an_alternative(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for name, error, message in (
        ("kept.txt", FileExistsError, "kept.txt exists; pass --force to replace it or choose soup"),
        ("kept.txt/no/a.txt", NotADirectoryError, "kept.txt is not a folder; choose soup"),
        ("link/a.txt", NotADirectoryError, "link is not a folder; choose soup"),
        ("no/" + 256 * "m", OSError, "cannot be made \\(File name too long\\); choose soup"),
        ("../.", IsADirectoryError, "is a folder; choose soup"),
    ):
        with pytest.raises(error, match=message):
            check_writable(tmp_path / name, choice="soup")
    check_writable(tmp_path / "kept.txt", force=True)


@pytest.mark.parametrize("link", [False, True])
def test_the_input_is_never_replaced(tmp_path: Path, link: bool) -> None:
    photo, out = tmp_path / "photo.png", tmp_path / "photo.png"
    photo.touch()
    if link:
        (out := tmp_path / "link.png").symlink_to(photo)
    with pytest.raises(FileExistsError, match=r"\.png is the input; choose another file$"):
        check_writable(out, force=True, source=photo)
    check_writable(tmp_path / "other.png", source=photo)


def test_missing_folders_are_made_when_the_file_is_written(tmp_path: Path) -> None:
    path = tmp_path / "no" / "such" / "a.txt"
    check_writable(path)
    assert not list(tmp_path.iterdir())
    with written_whole(path) as temporary:
        temporary.write_text("all of it")
    assert path.read_text() == "all of it"


@needs.linux  # for /proc
def test_a_folder_without_files_is_found_early() -> None:
    with pytest.raises(OSError, match=r"^/proc/a\.txt cannot be made \(.+\); choose another file$"):
        check_writable(Path("/proc/a.txt"))


def test_a_dangling_symlink_exists(tmp_path: Path) -> None:
    link = tmp_path / "a.txt"
    link.symlink_to("nowhere")
    with pytest.raises(FileExistsError, match=r"a\.txt exists"):
        check_writable(link)
    with written_whole(link, force=True) as temporary:
        temporary.write_text("all of it")
    assert not link.is_symlink()
    assert link.read_text() == "all of it"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("encoder error -2 when writing image file"), "encoder error -2"),
    ],
)
def test_an_error_names_the_requested_file(tmp_path: Path, error: OSError, reason: str) -> None:
    def write() -> None:
        with written_whole(tmp_path / "a.txt"), written_whole(tmp_path / "b.txt") as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(OSError, match=reason) as caught:
        write()
    assert caught.value.filename == str(tmp_path / "b.txt")
    assert not list(tmp_path.iterdir())


def test_an_error_with_the_temporary_name_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, written_whole(tmp_path / "a.txt"):
        pass  # nothing is written, so nothing can be renamed
    assert caught.value.filename == str(tmp_path / "a.txt")


def test_an_error_of_another_file_is_unchanged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"other\.txt"), written_whole(tmp_path / "a.txt"):
        (tmp_path / "other.txt").read_text()


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    both = threading.Barrier(2)

    def write(letter: str) -> None:
        with written_whole(path, force=True) as temporary, temporary.open("w") as file:
            for _ in range(100):
                both.wait(timeout=60)
                file.write(letter)
                file.flush()

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "AB"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in (100 * "A", 100 * "B")
    assert list(tmp_path.iterdir()) == [path]


def test_all_files_or_none(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.txt", "b.txt", "c.txt")]

    def write(error: BaseException | None = None, most: int = 3) -> None:
        with ExitStack() as stack:
            temporaries = [stack.enter_context(written_whole(path, force=True)) for path in paths]
            for temporary in temporaries[:most]:
                temporary.write_text("new")
            if error:
                raise error

    for error in (ValueError("wrong"), KeyboardInterrupt(), SystemExit(143)):
        with pytest.raises(type(error)):
            write(error)
        assert not list(tmp_path.iterdir())
    write()
    assert [path.read_text() for path in paths] == 3 * ["new"]
    with pytest.raises(FileNotFoundError) as caught:
        write(most=1)
    assert caught.value.filename == str(paths[2])  # which is completed first
    assert [path.read_text() for path in paths] == 3 * ["new"]
    assert sorted(tmp_path.iterdir()) == paths


def test_the_disk_has_a_file_before_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, there = tmp_path / "a.txt", []
    monkeypatch.setattr(os, "fsync", lambda number: there.append((os.fstat(number), path.exists())))
    with written_whole(path) as temporary:
        temporary.write_text("all of it")
    ((status, renamed),) = there
    assert (status.st_size, renamed) == (9, False)


def test_a_long_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / f"{'n' * 251}.txt"
    with written_whole(path) as temporary:
        temporary.write_text("all of it")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x" * 41, "which is larger; need at most 40 bytes and 3 lines"),
        (b"a\nb\nc\nd", "which is larger; need at most 40 bytes and 3 lines"),
        (b"a\x0cb\x0cc\x0cd", "which is larger; need at most 40 bytes and 3 lines"),
        (b"\xff", "which is not text"),
    ],
)
def test_a_text_is_read_within_limits(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(b"a\nb\nc\n")
    assert read_text_bounded(path, "labels", 40, 3) == "a\nb\nc\n"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_text_bounded(path, "labels", 40, 3)
    assert str(caught.value).startswith(f"labels is {path}, ")


@needs.posix
def test_a_text_is_not_read_from_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ValueError, match="a pipe or a device; need a file"):
            read_text_bounded(path, "labels", 40, 3)


def test_names_are_shown_escaped_and_short() -> None:
    assert shown("Fjörð 中文") == "Fjörð 中文"
    assert shown("\x1b[2J\u202e\udcff") == r"\x1b[2J\u202e\udcff"
    assert shown("two\nlines") == r"two\nlines"
    assert shown("0123456789", 5) == "01…89"
    assert len(shown("long" * 999)) == 81
