"""The command line: its output, its exit codes, and its one-line answers to mistakes."""

from __future__ import annotations

import io
import json
import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import needs
import numpy as np
import pytest
from commands import Screen, code_of
from PIL import Image

import involution_edu as inv
from involution_edu import cli
from involution_edu.apps import demo
from involution_edu.arguments import ArgumentError, WrongTypeError
from involution_edu.arrays import Array
from involution_edu.backends import BackendUnavailable, numba_cpu, shifts
from involution_edu.cli import COMMANDS, main
from involution_edu.cli.command import Message
from involution_edu.geometry import Geometry
from involution_edu.progress import clear_progress, progress_bar
from involution_edu.training import runs
from involution_edu.verify import doctor, gradcheck
from involution_edu.viz.animation.scenes import SEED


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a photo and some files that are not one."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("photo.png")
    Image.fromarray(pixels[:1, :1]).save("dot.png")
    whole = Path("photo.png").read_bytes()
    Path("cut.png").write_bytes(whole[: len(whole) // 2])
    Path("text.png").write_text("not an image")
    Path("empty.png").touch()
    Path("folder").mkdir()
    for kept in ("has-png/kernels.png", "has-gif/demo.gif"):
        Path(kept).parent.mkdir()
        Path(kept).write_text("precious")
    Path("has-folder/kernels.png").mkdir(parents=True)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes | None]:
    paths = sorted(folder.rglob("*"))
    return {str(path): path.read_bytes() if path.is_file() else None for path in paths}


# The arguments, and what the one-line answer must contain.
MISTAKES = [
    ("dmeo", "command is 'dmeo'; need one of"),
    ("dmeo", "did you mean 'demo'?"),
    ("train digit", "did you mean 'digits'?"),
    ("animate genrate", "did you mean 'generate'?"),
    ("complexity RedNet5", "did you mean 'rednet50'?"),
    ("complexity rednet50 --against resnt50", "--against is 'resnt50'; need one of 'rednet26'"),
    ("gradcheck --backends nubma", "did you mean 'numba'?"),
    (
        "demo --sed 3",
        "unrecognized arguments: --sed; did you mean --seed? (try: involution-edu demo",
    ),
    ("--vrsion", "did you mean --version?"),
    ("explore --pixel 3", "unrecognized arguments: --pixel (try: involution-edu explore"),
    ("demo --out picture.gif", "'picture.gif' is the name of a file; need that of a folder"),
    ("explore --out page.png", "--out is page.png; need a name that ends in .html"),
    ("stages --model rednet26 --weights missing.npz", "--weights is missing.npz; there is no"),
    ("classify photo.png --model rednet26 --weights text.png", "--weights is text.png, which"),
    ("--quiet doctor", "--quiet"),
    ("compare fast", "unrecognized arguments: fast"),
    ("doctor --force", "--force"),
    ("gradcheck --backends", "--backends: expected at least one argument"),
    ("gradcheck --backends cuda", "backends is 'cuda'; need one of 'loops', 'windows', 'shifts'"),
    ("gradcheck --backends NUMBA", "backends is 'NUMBA'; need"),
    ("gradcheck --backends auto", "backends is 'auto'; need"),
    ("gradcheck --backends numba:v1", "backends is 'numba:v1'; need one of 'numba'"),
    ("compare --backends", "--backends: expected at least one argument"),
    ("compare --backends shifts cupy:v9", "backends is 'cupy:v9'; need one of 'cupy', 'cupy:v1'"),
    ("gradcheck --back loops", "--back"),
    ("demo photo.png photo.png", "unrecognized arguments: photo.png"),
    ("demo photo.png --pixel 1", "--pixel: expected 2 arguments"),
    ("demo photo.png --pixel 1 2 3", "unrecognized arguments: 3"),
    ("demo photo.png --pixel one 2", "--pixel: invalid int value: 'one'"),
    ("demo photo.png --pixel 1.5 2", "--pixel: invalid int value: '1.5'"),
    ("demo photo.png --pixel -1 2", "pixel[0] is -1; need"),
    ("demo photo.png --pixel 12 2", "pixel is (12, 2); need a row of 0 to 11"),
    ("demo photo.png --pixel 2 9", "pixel is (2, 9); need"),
    ("demo photo.png --seed -1", "--seed: '-1' is not a whole number >= 0"),
    ("demo photo.png --seed 1e3", "--seed: '1e3' is not a whole number >= 0"),
    ("demo photo.png --seed ²", "--seed: '²' is not a whole number >= 0"),
    ("complexity rednet26 --size 1000000", "size is 1000000; need an int <= 10000"),
    ("ablate --k 3 100001", "k[1] is 100001; need an int <= 99"),
    ("ablate --k 1001", "k[0] is 1001; need an int <= 99"),
    ("ablate --reduction 1000000", "reduction is 1000000; need an int <= 16"),
    ("ablate --k 3,5", "--k: invalid int value: '3,5'"),
    ("ablate --k 3 --seeds 5000000000", "--seeds is 5000000000; need an int <= 2147483647"),
    ("ablate --k 3 --jobs 99999", "jobs is 99999; need an int <= 256"),
    ("demo missing\x1b[2J\u202e.png", r"image is missing\x1b[2J\u202e.png; there is"),
    (f"demo {'m' * 5000}.png", "…"),
    ("demo missing.png", "image is missing.png; there is no such file"),
    ("demo folder", "image is folder, a folder; need a file"),
    ("demo text.png", "image is text.png, which cannot be read"),
    ("demo empty.png", "image is empty.png, which cannot be read"),
    ("demo cut.png", "image is cut.png, which cannot be read"),
    ("demo photo.png --out text.png", "text.png is not a folder"),
    ("demo photo.png --out text.png/inside", "text.png is not a folder"),
    ("demo photo.png --out has-png", "has-png/kernels.png exists; pass --force"),
    ("demo photo.png --out has-gif", "has-gif/demo.gif exists; pass --force"),
    ("demo photo.png --out has-folder --force", "has-folder/kernels.png is a folder"),
    pytest.param(
        "demo photo.png --out /proc",
        "/proc",
        marks=needs.linux,  # for /proc
    ),
]


@pytest.mark.parametrize(("typed", "named"), MISTAKES)
def test_a_mistake_is_answered_in_one_line(
    typed: str, named: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(folder)
    assert code_of(typed.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("involution-edu: error: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert named.replace("/", os.sep) in err or named in err
    assert contents(folder) == before


@pytest.mark.parametrize("columns", ["80", "50"])
def test_without_arguments_the_commands_are_shown_by_groups(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert main([]) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: involution-edu COMMAND ...\n")
    assert max(map(len, text.splitlines())) <= int(columns)
    words = text.split()
    for command in COMMANDS:
        assert command.name in words
    assert "see how it works:\n  demo " in text
    assert "Try first: involution-edu demo." in " ".join(words)
    assert code_of(["--help"]) == 0
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("columns", ["200", "40"])
def test_an_error_is_broken_between_words_at_the_width_of_a_terminal(
    columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("NO_COLOR", "1")
    assert code_of(["train", "digit"]) == 2
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= int(columns)
    assert (len(lines) == 1) is (columns == "200")
    said = " ".join(" ".join(lines).split())
    assert "; did you mean 'digits'? (try: involution-edu train" in said


@pytest.mark.parametrize(
    ("stream", "settings", "coloured"),
    [
        (Screen, {}, True),
        (Screen, {"NO_COLOR": "1"}, False),
        (Screen, {"TERM": "dumb"}, False),
        (io.StringIO, {}, False),
    ],
    ids=["terminal", "NO_COLOR", "dumb", "pipe"],
)
def test_verdicts_are_in_colour_on_a_terminal(
    stream: type[io.StringIO],
    settings: dict[str, str],
    coloured: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    text = "a  ok\nFAIL: b\nbook  \x1b[31mok.png"
    monkeypatch.setattr(doctor, "examine", lambda: Message(text, {"text": text}))
    monkeypatch.setattr(sys, "stdout", screen := stream())
    assert main(["doctor"]) == 0
    good, bad = ("\x1b[32m  ok\x1b[0m", "\x1b[31mFAIL\x1b[0m") if coloured else ("  ok", "FAIL")
    assert screen.getvalue() == f"a{good}\n{bad}: b\nbook  \\x1b[31mok.png\n"
    screen.truncate(screen.seek(0))
    assert main(["doctor", "--json"]) == 0
    assert json.loads(screen.getvalue())["text"] == text


def test_an_interrupted_training_says_how_to_continue(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*args: Any, **options: Any) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "run_task", interrupted)
    assert main(["train", "digits", "--force", "--out", "my runs"]) == 130
    assert capsys.readouterr().err == (
        "involution-edu: interrupted; to continue:\n"
        "involution-edu train digits --out 'my runs' --resume\n"
    )


def test_a_shell_that_asks_for_completions_gets_the_parser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def autocomplete(parser: ArgumentParser) -> NoReturn:
        assert parser.parse_args(["doctor"]).command == "doctor"
        sys.exit(0)

    monkeypatch.setitem(sys.modules, "argcomplete", SimpleNamespace(autocomplete=autocomplete))
    assert code_of(["dmeo"]) == 2
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    assert code_of(["dmeo"]) == 0


def test_an_absent_backend_is_a_mistake_of_the_user(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(numba_cpu, "unavailable", lambda: "numba cannot be imported: install it")
    assert main(["gradcheck", "--backends", "numba"]) == 2
    assert capsys.readouterr().err == (
        "involution-edu: error: backend 'numba' cannot run here: numba cannot be imported: install it\n"
    )


@pytest.mark.parametrize(
    "error",
    [
        ValueError("operands could not be broadcast together"),
        TypeError("run() got an unexpected keyword argument 'pixel'"),
        ValueError("pixel is (3,); need a pair"),  # not an ArgumentError, whatever its words
        ArgumentError("kernel", "has shape (3,)", "6 axes"),  # no argument of the command
        ArgumentError("pixels[0]", "is -1", "an int >= 0"),
        WrongTypeError("x", "is a list", "a NumPy array"),
        ZeroDivisionError("division by zero"),
    ],
)
def test_a_fault_of_the_program_keeps_its_traceback(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **options: Any) -> NoReturn:
        raise error

    monkeypatch.setattr(demo, "run", broken)
    with pytest.raises(type(error)) as caught:
        main(["demo"])
    assert caught.value is error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MemoryError("unable to allocate 9 GiB"), "not enough memory (unable to allocate 9 GiB)"),
        (OSError(28, "No space\nleft", "big.gif"), "big.gif: No space left"),
        (ArgumentError("pixel[1]", "is -1", "an int\n>= 0"), "--pixel[1] is -1; need an int >= 0"),
        (WrongTypeError("seed", "is 1.5", "an int"), "--seed is 1.5; need an int"),
        (BackendUnavailable("numba is not installed"), "numba is not installed"),
    ],
)
def test_a_mistake_of_the_user_is_recognised_by_type_and_reported_in_one_line(
    error: Exception,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*args: Any, **options: Any) -> NoReturn:
        raise error

    monkeypatch.setattr(demo, "run", broken)
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == f"involution-edu: error: {line}\n"


def test_demo_writes_where_it_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["demo", "photo.png", "--out", "new/folder", "--seed", "7"]
    assert main(argv) == 0
    assert "photo.png, 12 x 9 pixels" in capsys.readouterr().out
    assert sorted(path.name for path in Path("new/folder").iterdir()) == [
        "before-after.png",
        "demo.gif",
        "explorer.html",
        "kernels.png",
    ]
    assert main([*argv, "--json"]) == 0  # its own files are replaced
    data = json.loads(capsys.readouterr().out)
    assert (data["ok"], data["size"], data["seed"]) == (True, [12, 9], 7)


def test_demo_explains_a_pixel(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(folder)
    assert main(["demo", "photo.png", "--pixel", "3", "4", "--seed", "7"]) == 0
    text = capsys.readouterr().out
    assert "The pixel in row 3, column 4" in text
    assert "seed 7" in text
    assert main(["demo", "photo.png", "--numbers", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["kernel"]) == 5
    assert contents(folder) == before


def test_demo_opens_its_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert main(["demo", "photo.png", "--out", "folder"]) == 0
    assert not opened
    assert main(["demo", "photo.png", "--out", "folder", "--open"]) == 0
    assert opened == [(folder / "folder" / "explorer.html").resolve().as_uri()]


def test_demo_prints_on_an_ascii_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("photo.png").rename("Fjörð×2→.png")
    screen = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(screen, encoding="ascii"))
    assert main(["demo", "Fjörð×2→.png"]) == 0
    assert b"  Fj?r?x2->.png, 12 x 9 pixels" in screen.getvalue()


def test_gradcheck_of_one_backend(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gradcheck", "--backends", "shifts"]) == 0
    text = capsys.readouterr().out
    assert text.endswith("checks passed.\n")
    assert "shifts: layer in float64" in text
    assert "loops" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_gradcheck_fails_on_a_wrong_gradient(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shifts, "backward_input", lambda dy, kernel, geom: np.zeros(geom.x_shape))
    monkeypatch.setattr(gradcheck, "LAYERS", {})
    assert main(["gradcheck", "--backends", "shifts"]) == 1
    text = capsys.readouterr().out
    assert "First wrong, in case 'plain 3x3': dx[0, 0, 0, 0] is 0; need " in text
    assert max(map(len, text.splitlines())) <= 80
    assert main(["gradcheck", "--backends", "shifts", "--json"]) == 1
    data = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert data["ok"] is False
    assert data["reports"][0]["checks"][2]["tensor"] == "dx"


def test_progress_is_for_terminals_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gradcheck, "LAYERS", {})
    assert main(["gradcheck", "--backends", "shifts"]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    assert main(["gradcheck", "--backends", "shifts"]) == 0
    assert " any backend: network, evaluation mode" in screen.getvalue()


def last_lines(screen: Screen) -> list[str]:
    """Return the lines that a terminal shows: a carriage return begins the line again."""
    shown = []
    for line in screen.getvalue().split("\n"):
        letters: list[str] = []
        for text in line.split("\r"):
            letters[: len(text)] = text
        shown.append("".join(letters).rstrip())
    return shown


def test_a_full_progress_bar_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    show = progress_bar()
    assert screen.getvalue() == ""  # nothing before the first step
    for done in range(4):
        show(done, 3, f"epoch {done}")
    clear_progress()
    (bar, end) = last_lines(screen)
    assert bar.startswith("100%")
    assert bar.endswith("] epoch 3")
    assert end == ""


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "involution-edu: interrupted"),
        (ArgumentError("pixel", "is 5"), 2, "involution-edu: error: --pixel is 5"),
    ],
    ids=["interrupted", "mistake"],
)
def test_an_error_clears_the_progress_bar(
    error: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*args: Any, **options: Any) -> NoReturn:
        progress_bar()(1, 3, "drawing")
        raise error

    monkeypatch.setattr(demo, "run", stopped)
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["demo"]) == code
    assert "drawing" in screen.getvalue()
    assert last_lines(screen) == [line, ""]


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "examine", interrupted)
    assert main(["doctor"]) == 130
    assert capsys.readouterr() == ("", "involution-edu: interrupted\n")


def test_doctor_finds_nothing_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert text.endswith("No problem found.\n")
    assert f"numpy           {np.__version__}\n" in text
    assert main(["doctor", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["versions"]["involution_edu"] == inv.__version__
    assert data["cores"] >= 1
    assert data["numba_threads"] >= 1
    assert Path(data["numba_cache"]).is_dir()
    assert data["backends"].keys() == inv.available_backends().keys()


def broken(x: Array, kernel: Array, geom: Geometry) -> NoReturn:
    raise RuntimeError("cannot cache function\n'forward'")


def crashing(x: Array, kernel: Array, geom: Geometry) -> NoReturn:
    raise IndexError("index 5 is out of bounds")


@pytest.mark.parametrize(
    ("target", "name", "value", "problem"),
    [
        (numba_cpu, "unavailable", lambda: "no numba: install it", "numba: no numba: install it"),
        (numba_cpu, "forward", broken, "numba: set the environment variable NUMBA_CACHE_DIR"),
        (shifts, "forward", crashing, "shifts: fails with index 5 is out of bounds"),
        (shifts, "forward", lambda x, *_: 0 * x, "shifts: gives wrong numbers, off by 1.0e+00"),
        (doctor, "REQUIRED", ("nimpy",), "nimpy is not installed: pip install nimpy"),
        (doctor, "_numba", lambda: (1, "/dev/null/x"), "numba recompiles in every process"),
    ],
)
def test_doctor_names_the_problem(
    target: Any,
    name: str,
    value: Any,
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(target, name, value)
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert f"Problem: {problem}" in " ".join(text.split())
    assert "No problem found" not in text


def test_doctor_does_not_mind_a_missing_gpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reasons = {**inv.available_backends(), "cupy": "no CUDA driver: install one"}
    monkeypatch.setattr(doctor, "available_backends", lambda: reasons)
    assert main(["doctor"]) == 0
    assert "cannot run here: no CUDA driver: install one" in capsys.readouterr().out


@pytest.mark.parametrize("command", [None, *(command.name for command in COMMANDS)])
def test_help_fits_a_small_plain_terminal(
    command: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert code_of([command, "--help"] if command else ["--help"]) == 0
    text = capsys.readouterr().out
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 80
    assert f"{'example' if command else 'Try first'}: involution-edu" in " ".join(text.split())


def test_every_example_is_understood() -> None:
    for command in COMMANDS:
        argv = command.example.partition(" >")[0].split()
        assert cli.make_parser().parse_args(argv).run is command.run


def test_the_default_seed_of_animate_is_the_library_s() -> None:
    assert cli.make_parser().parse_args(["animate", "groups"]).seed == SEED
