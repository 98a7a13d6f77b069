"""The temporary file of a whole write, and when an existing file is kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from involution_edu.files import written_whole

NAME = """
import sys
from pathlib import Path
from involution_edu.files import written_whole
with written_whole(Path(sys.argv[1])) as temporary:
    print(temporary)
    temporary.touch()
"""


def test_the_temporary_file_has_the_folder_and_ending_of_the_file(tmp_path: Path) -> None:
    """Writers such as Pillow's choose the format by the ending."""
    with written_whole(tmp_path / "a.png") as temporary:
        temporary.touch()
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".png"
        assert temporary.name.startswith(".")


def test_two_processes_have_two_temporary_files(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with written_whole(path) as temporary:
        temporary.write_text("mine")
        command = [sys.executable, "-c", NAME, str(path)]
        other = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        assert Path(other).parent == tmp_path
        assert other != str(temporary)
        assert temporary.read_text() == "mine"


def test_an_existing_file_is_kept_without_force(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("kept")
    with pytest.raises(FileExistsError, match=r"a\.txt exists"), written_whole(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "kept"
    with written_whole(path, force=True) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "kept"
    assert path.read_text() == "new"
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]
