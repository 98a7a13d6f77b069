"""Every notebook runs as it is and with its exercises answered; its stored outputs are small."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import needs
import pytest

from involution_edu import course
from involution_edu.cli import main
from involution_edu.course import notebooks

PATHS = notebooks.paths()
ROOT = Path(__file__).parents[2]
# Sphinx and Jupyter both read these; the words of a section may differ.
SECTIONS = ("Predict", "Exercise", "Things to try", "Recap")
ANSWERED = {"tags": ["answered"]}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Jupyter's own


def read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def tagged(notebook: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if tag in cell["metadata"].get("tags", [])]


def text_of(cell: dict[str, Any]) -> str:
    return "".join(
        "".join(output.get("text", "") or output.get("data", {}).get("text/plain", ""))
        for output in cell["outputs"]
    )


def first_lines(path: Path) -> str:
    """Return the code of a notebook that finds the package."""
    first = next(cell for cell in read(path)["cells"] if cell["cell_type"] == "code")
    lines, magic, _ = "".join(first["source"]).partition("%matplotlib inline\n")
    assert magic
    return lines


def find_package(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run these lines in ``folder``, without installed packages."""
    code = f"{first_lines(PATHS[0])}\nprint(find_spec('involution_edu').origin)"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_all_find_the_package_in_the_same_way() -> None:
    assert len({first_lines(path) for path in PATHS}) == 1


def test_the_package_of_a_clone_is_found() -> None:
    done = find_package(ROOT / "notebooks")
    assert done.stdout.strip() == str(ROOT / "involution_edu" / "__init__.py"), done.stderr


def test_a_missing_package_is_reported_with_the_way_to_install_it(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "another"\n')
    done = find_package(tmp_path)
    assert done.returncode == 1
    message = done.stderr.splitlines()[-1]
    assert message.startswith("ModuleNotFoundError: involution_edu is not installed, and this ")
    assert 'pip install "involution-edu[train]"' in message
    assert 'clone the repository and run: pip install ".[train]" in its folder' in message


def answered_before_asked(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook with the solved cell before each exercise, so that one run shows both."""
    cells: list[dict[str, Any]] = []
    solved = notebooks.solved(notebook)
    for cell, answer in zip(notebook["cells"], solved["cells"], strict=True):
        if "exercise" in cell["metadata"].get("tags", []):
            cells.append({**answer, "id": f"{cell['id']}-answered", "metadata": ANSWERED})
        cells.append(cell)
    return {**notebook, "cells": cells}


@needs.jupyter
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_it_runs_with_its_exercises_answered_and_as_a_learner_finds_it(path: Path) -> None:
    notebook = answered_before_asked(read(path))
    run = notebooks.execute(notebook, where=path.parent)
    answers, exercises, solutions = (
        tagged(run, tag) for tag in ("answered", "exercise", "solution")
    )
    assert len(answers) == len(exercises) == len(solutions) >= 1
    for cell in exercises:
        assert text_of(cell).startswith("Not yet: for "), text_of(cell)
    for cell in [*answers, *solutions]:
        assert text_of(cell).startswith("Right: "), text_of(cell)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_what_is_kept(path: Path) -> None:
    notebook = read(path)
    assert path.stat().st_size <= 600_000
    cells = notebook["cells"]
    text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    assert "base64" not in text
    assert [s for s in SECTIONS if not re.search(f"^## .*{s}", text, re.MULTILINE)] == []
    for words in ("**You will**", "**You learn**", "**You need**"):
        assert words in "".join(cells[0]["source"])
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [c["execution_count"] for c in code] == list(range(1, len(code) + 1)), "run it in order"
    for cell in code:
        assert not [o for o in cell["outputs"] if o["output_type"] == "error"]
        assert "/root" not in text_of(cell)
        assert "/home" not in text_of(cell)
    for cell in tagged(notebook, "solution"):
        assert cell["metadata"]["jupyter"] == {"source_hidden": True}


def test_every_exercise_is_in_a_notebook() -> None:
    sources = "".join("".join(c["source"]) for p in PATHS for c in tagged(read(p), "exercise"))
    assert [name for name in course.EXERCISES if f"course.check({name})" not in sources] == []


def test_the_command_lists_and_copies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["notebooks"]) == 0
    listed = capsys.readouterr().out
    assert all(notebooks.title(path) in listed for path in PATHS)
    target = tmp_path / "mine"
    assert main(["notebooks", "--copy", str(target)]) == 0
    assert [path.name for path in sorted(target.iterdir())] == [path.name for path in PATHS]
    capsys.readouterr()
    assert main(["notebooks", "--copy", str(target)]) == 2
    assert "exists; pass --force to replace it" in capsys.readouterr().err
    assert main(["notebooks", "--copy", str(target), "--force"]) == 0
