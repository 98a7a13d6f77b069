"""The notebooks of the course: list, copy and run them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ..files import check_writable, written_whole
from ..progress import Progress

INSTALLED = Path(__file__).parent / "files"  # in a wheel
IN_REPOSITORY = Path(__file__).parents[2] / "notebooks"
TIMEOUT = 300  # seconds per cell


def folder() -> Path:
    """Return the folder of the notebooks."""
    return INSTALLED if INSTALLED.is_dir() else IN_REPOSITORY


def paths() -> list[Path]:
    """Return the paths of the notebooks in order."""
    return sorted(folder().glob("[0-9]*.ipynb"))


def title(path: Path) -> str:
    """Return the heading of a notebook."""
    first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]
    return "".join(first).splitlines()[0].removeprefix("# ")


def copy(target: Path, *, force: bool = False) -> list[Path]:
    """Copy all notebooks to the folder ``target``, created if needed; return their paths.

    The copies have no outputs: they would answer what the learner is to predict. OSError if one exists there and ``force`` is not set, or the folder cannot be written: nothing
    is copied then.
    """
    copies = [target / path.name for path in paths()]
    check_writable(*copies, force=force, choice="another folder")
    for path, to in zip(paths(), copies, strict=True):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell |= {"outputs": [], "execution_count": None}
        _write(notebook, to, force=force)
    return copies


def _write(notebook: dict[str, Any], path: Path, *, force: bool) -> None:
    with written_whole(path, force=force) as temporary:
        text = json.dumps(notebook, indent=1, ensure_ascii=False)
        temporary.write_text(f"{text}\n", encoding="utf-8")


def solved(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook with its exercises answered.

    A cell tagged "exercise" gets the code of the next cell tagged "solution", which is Markdown,
    and keeps its last lines, the check.
    """
    answered: dict[str, Any] = json.loads(json.dumps(notebook))
    waiting: dict[str, Any] | None = None
    for cell in answered["cells"]:
        tags, source = cell["metadata"].get("tags", []), "".join(cell["source"])
        if "exercise" in tags:
            waiting = cell
        elif "solution" in tags and waiting is not None:
            check = "".join(waiting["source"]).partition("course.check(")
            code = re.findall("```python\n(.*?)```", source, re.DOTALL)[0]
            waiting["source"] = f"{code}\n\n{check[1]}{check[2]}"
            waiting = None
    return answered


def execute(notebook: dict[str, Any], *, where: Path) -> dict[str, Any]:
    """Run a notebook in the folder ``where`` and return it with its outputs."""
    import nbformat
    from nbclient import NotebookClient

    node = nbformat.reads(json.dumps(notebook), as_version=4)
    options: dict[str, Any] = {"resources": {"metadata": {"path": str(where)}}}
    options |= {"timeout": TIMEOUT, "kernel_name": "python3", "record_timing": False}
    NotebookClient(node, **options).execute()
    node["metadata"]["language_info"] = {"name": "python"}
    for cell in node["cells"]:  # logged messages, such as that code is compiled, are not results
        if cell["cell_type"] == "code":
            cell["outputs"] = [o for o in cell["outputs"] if o.get("name") != "stderr"]
    run: dict[str, Any] = json.loads(nbformat.writes(node))
    return run


def refresh(progress: Progress) -> list[Path]:
    """Run every notebook and write it back with its new outputs; return their paths."""
    found = paths()
    for done, path in enumerate(found):
        progress(done, len(found), path.name)
        notebook = execute(json.loads(path.read_text(encoding="utf-8")), where=path.parent)
        _write(notebook, path, force=True)
    progress(len(found), len(found), "notebooks run")
    return found
