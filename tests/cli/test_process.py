"""The command line as a process: signals, streams that cannot be written, and its environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import needs
import pytest
from PIL import Image

import involution_edu as inv


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """Let new processes be interrupted: a shell starts what runs in its background without that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a photo."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (9, 12), "teal").save("photo.png")
    return tmp_path


def command(*argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "involution_edu", *argv],
        check=False,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        **options,
    )


def test_version_without_heavy_imports() -> None:
    code = (
        "import sys; from involution_edu.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit as end: code = end.code\n"
        "print(code, [m for m in ('numba', 'matplotlib', 'PIL', 'cupy', 'tqdm') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout == f"involution-edu {inv.__version__}\n0 []\n"


def test_a_process_answers_a_mistake(tmp_path: Path) -> None:
    done = command("demo", "missing.png", cwd=tmp_path, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "involution-edu: error: image is missing.png; there is no such file\n"


def test_a_process_with_ascii_output(folder: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = command("demo", "photo.png", stdout=subprocess.PIPE, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Involution on photo.png, 12 x 9 pixels" in done.stdout


@pytest.fixture
def closed_pipe() -> Iterator[int]:
    """Yield the write end of a pipe whose read end is closed."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


def test_a_closed_pipe_prints_no_error(closed_pipe: int) -> None:
    done = command("doctor", stdout=closed_pipe)
    assert (done.returncode, done.stderr) == (141, "")
    done = command("--help", stdout=closed_pipe)  # printed by argparse, which may hide the error
    assert done.returncode in (0, 141)
    assert done.stderr == ""


def test_output_that_cannot_be_written_is_one_line() -> None:
    commands = [
        f"exec {sys.executable} -m involution_edu doctor {end}" for end in (">&-", ">/dev/full")
    ]
    for command in commands:
        if command.endswith("/dev/full") and not Path("/dev/full").exists():
            continue
        done = subprocess.run(
            ["sh", "-c", command], check=False, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 2, command
        assert done.stderr.count("\n") == 1
        assert "error: the output cannot be written: " in done.stderr


FULL = needs.mark("/dev/full", not Path("/dev/full").exists(), "run it on Linux")


@needs.posix
@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("demo missing.png 2>&-", 2),
        pytest.param("demo missing.png 2>/dev/full", 2, marks=FULL),
        ("dmeo 2>&-", 2),
        ("gradcheck --backends shifts 2>&-", 0),  # long enough for a progress bar
        pytest.param("--help >/dev/full", 2, marks=FULL),
        pytest.param("demo --help >/dev/full", 2, marks=FULL),
        pytest.param("--version >/dev/full", 2, marks=FULL),
        ("--help >&-", 2),
    ],
)
def test_the_exit_code_needs_no_stream(typed: str, code: int) -> None:
    line = f"exec {sys.executable} -m involution_edu {typed}"
    done = subprocess.run(["sh", "-c", line], check=False, capture_output=True, text=True)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "backend", ["module://matplotlib_inline.backend_inline", "module://nowhere", "nonsense"]
)
def test_no_window_is_needed(folder: Path, backend: str) -> None:
    for typed in ("demo", "animate groups --format html"):
        environment = {**os.environ, "MPLBACKEND": backend}
        done = command(*typed.split(), stdout=subprocess.PIPE, env=environment)
        assert (done.returncode, done.stderr) == (0, "")


@needs.ffmpeg
def test_a_folder_with_the_name_of_an_option(folder: Path) -> None:
    Path("-x").mkdir()
    typed = ("animate", "groups", "--format", "mp4", "--out=-x")
    assert command(*typed, stdout=subprocess.PIPE).returncode == 0
    assert sorted(path.name for path in Path("-x").iterdir()) == ["groups.mp4", "groups.png"]


def test_a_package_in_a_zip_file_says_what_to_do(tmp_path: Path) -> None:
    package = Path(inv.__file__).parent
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for path in package.rglob("*.py"):
            archive.write(path, path.relative_to(package.parent))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "packed.zip")}
    done = command("doctor", stdout=subprocess.PIPE, env=environment, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "packed.zip; unpack that first\n" in done.stderr


# The script that pip installs; it is interrupted while it imports the package.
SCRIPT = """
import sys, os, signal
sys.argv = ["bin/involution-edu", "doctor"]
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from involution_edu.cli import main
sys.exit(main())
"""


@needs.posix
def test_an_interrupt_of_the_imports_prints_no_traceback() -> None:
    for script, shown in ((SCRIPT, False), (SCRIPT.replace("involution-edu", "mine"), True)):
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == -signal.SIGINT  # 130 for a shell
        assert ("KeyboardInterrupt" in done.stderr) is shown  # in a program of the user


@needs.posix
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_a_signal_leaves_no_temporary_file(folder: Path, name: str, code: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "involution_edu", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 60
    while not any(path.name.startswith(".") for path in folder.iterdir()):
        assert process.poll() is None, "it ended before the signal"
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(getattr(signal, name))
    err = process.communicate(timeout=60)[1]
    assert process.returncode == code
    assert err == ("involution-edu: interrupted\n" if name == "SIGINT" else "")
    assert [path.name for path in folder.iterdir()] == ["photo.png"]
