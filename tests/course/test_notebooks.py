"""Every notebook runs as it is and with its exercises answered; its stored outputs are small."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import needs
import pytest

from involution_edu import course
from involution_edu.cli import main
from involution_edu.course import notebooks, simulated

PATHS = notebooks.paths()
ROOT = Path(__file__).parents[2]
# Sphinx and Jupyter both read these; the words of a section may differ.
SECTIONS = ("Predict", "Exercise", "Things to try", "Recap")
ANSWERED = {"tags": ["answered"]}
COLUMNS = 100  # more would be cut in a browser
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
    assert message.startswith("ModuleNotFoundError: involution_edu is not installed in ")
    assert "put !git clone and its address into a cell, or unpack its ZIP file" in message


def test_a_clone_beside_the_notebook_is_found(tmp_path: Path) -> None:
    """As on Colab, after !git clone."""
    clone = tmp_path / "involution-edu-main"
    clone.mkdir()
    shutil.copy(ROOT / "pyproject.toml", clone)
    (clone / "involution_edu").mkdir()
    (clone / "involution_edu" / "__init__.py").touch()
    done = find_package(tmp_path)
    assert done.stdout.strip() == str(clone / "involution_edu" / "__init__.py"), done.stderr


def with_answers_at_the_end(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook that runs as a learner finds it, then with its exercises answered.

    Of what follows an exercise only the cells that use its function run again.
    """
    cells, again, names = notebook["cells"], [], set[str]()
    for cell, answer in zip(cells, notebooks.solved(notebook)["cells"], strict=True):
        source = "".join(cell["source"])
        if cell["cell_type"] != "code":
            continue
        if "exercise" in cell["metadata"].get("tags", []):
            names |= set(re.findall(r"course\.check\((\w+)\)", source))
            again.append({**answer, "id": f"{cell['id']}-answered", "metadata": ANSWERED})
        elif any(re.search(rf"\b{name}\(", source.replace("inv.", "inv_")) for name in names):
            again.append({**cell, "id": f"{cell['id']}-again", "metadata": {}})
    return {**notebook, "cells": [*cells, *again]}


@needs.jupyter
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_it_runs_as_a_learner_finds_it_and_with_its_exercises_answered(path: Path) -> None:
    run = notebooks.execute(with_answers_at_the_end(read(path)), where=path.parent)
    answers, exercises = (tagged(run, tag) for tag in ("answered", "exercise"))
    assert len(answers) == len(exercises) == len(tagged(run, "solution")) >= 1
    for cell in exercises:
        assert text_of(cell).startswith("Not yet: for "), text_of(cell)
        assert re.search("it (returned|wrote) nothing yet$", text_of(cell)), text_of(cell)
    for cell in answers:
        assert text_of(cell).startswith("Right: "), text_of(cell)
    for cell in run["cells"]:
        if cell["cell_type"] == "code" and cell not in answers:
            assert "Right: " not in text_of(cell), "it is not asked for"


def test_an_answer_is_timed_only_once_it_is_right() -> None:
    run = read(next(path for path in PATHS if path.name.startswith("06")))
    assert "yours" not in "".join(text_of(c) for c in run["cells"] if c["cell_type"] == "code")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_solutions_and_predictions_are_folded(path: Path) -> None:
    """In Markdown, which every front end folds, and which runs nothing."""
    notebook = read(path)
    for tag, fence in (("solution", "```python\n"), ("answer", "")):
        for cell in tagged(notebook, tag):
            source = "".join(cell["source"])
            assert cell["cell_type"] == "markdown"
            assert re.fullmatch(
                rf"<details><summary>.+</summary>\n\n{fence}.+\n\n</details>", source, re.DOTALL
            )
    tags = [cell["metadata"].get("tags", []) for cell in notebook["cells"]]
    asked = [
        k for k, cell in enumerate(notebook["cells"])
        if re.search(r"^## .*Predict", "".join(cell["source"]), re.MULTILINE)
    ]  # fmt: skip
    for start, end in zip(asked, [*asked[1:], len(tags)], strict=True):
        assert any("answer" in tag for tag in tags[start:end]), "a prediction without its answer"


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
        for output in cell["outputs"]:
            text = output.get("text", "") or output.get("data", {}).get("text/plain", "")
            assert [line for line in "".join(text).splitlines() if len(line) > COLUMNS] == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_it_names_a_page_of_the_documentation_that_exists_by_its_title(path: Path) -> None:
    cells = [cell for cell in read(path)["cells"] if cell["cell_type"] == "markdown"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    named = re.findall(r"`(docs/[\w/-]+\.md)`", text)
    titled = re.findall(r"\*([^*]+)\* \(`(docs/[\w/-]+\.md)`\)", text)
    assert named
    assert [page for page in named if not (ROOT / page).is_file()] == []
    for title, page in titled:
        assert (ROOT / page).read_text(encoding="utf-8").startswith(f"# {title}\n")


def test_every_exercise_is_in_a_notebook() -> None:
    sources = "".join("".join(c["source"]) for p in PATHS for c in tagged(read(p), "exercise"))
    names = [*course.EXERCISES, *simulated.LAUNCHES]
    assert [name for name in names if f"course.check({name})" not in sources] == []


def test_the_command_lists_and_copies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["notebooks"]) == 0
    listed = capsys.readouterr().out
    assert all(notebooks.title(path) in listed for path in PATHS)
    target = tmp_path / "my course"
    assert main(["notebooks", "--copy", str(target)]) == 0
    assert f"jupyter lab '{target}'" in capsys.readouterr().out
    assert [path.name for path in sorted(target.iterdir())] == [path.name for path in PATHS]
    for path in target.iterdir():
        code = [cell for cell in read(path)["cells"] if cell["cell_type"] == "code"]
        assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    capsys.readouterr()
    assert main(["notebooks", "--copy", str(target)]) == 2
    assert "exists; pass --force to replace it" in capsys.readouterr().err
    assert main(["notebooks", "--copy", str(target), "--force"]) == 0
