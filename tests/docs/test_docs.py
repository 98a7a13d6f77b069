"""The documentation is built with warnings as errors, its links resolve, and examples exist."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import needs
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = ROOT / "docs" / "reference" / "api.md"


@needs.docs
def test_the_documentation_is_built_without_a_warning(tmp_path: Path) -> None:
    options = ["-q", "-W", "--keep-going", "-n", "-d"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, tmp_path / "doctrees", "docs", tmp_path / "html"],
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    page = (
        tmp_path / "html" / "reference" / "generated" / "involution_edu.involution.html"
    ).read_text()
    assert "zeros outside the image" in page
    assert 'href="explorer.html"' in (tmp_path / "html" / "index.html").read_text()
    assert (tmp_path / "html" / "explorer.html").is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    local = [link for link in links if not re.match(r"https?://", link)]
    for link in local:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings]


def found(name: str) -> Any:
    """Return the object with a dotted name inside the package."""
    module, _, last = f"involution_edu.{name}".rpartition(".")
    return getattr(import_module(module), last)


def public_names() -> list[str]:
    """Return the functions and classes in the ``__all__`` of every package, and the reference's."""
    listed = re.findall(r"^   ([\w.]+)$", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)
    packages = "", ".nn", ".models", ".viz", ".course", ".checkpoint"
    owned = [
        f"{package}.{name}".lstrip(".")
        for package in packages
        for name in import_module(f"involution_edu{package}").__all__
    ]
    return sorted(name for name in {*listed, *owned} if callable(found(name)))


def missing(thing: Any) -> list[str]:
    """Return the missing parts of the docstring of a function or class."""
    text = inspect.cleandoc(thing.__doc__ or "")
    raised = inspect.isclass(thing) and issubclass(thing, Exception)
    parameters = () if raised else inspect.signature(thing).parameters
    sections = re.findall(r"^(\w+)\n-+$", text, re.MULTILINE)
    _, _, examples = text.partition("\nExamples\n")
    needs = {
        "a docstring": text,
        "Parameters or Attributes": not parameters or {"Parameters", "Attributes"} & {*sections},
        "Examples that run": re.search(r"^>>> (?!.*\+SKIP)", examples, re.MULTILINE),
    }
    return [need for need, there in needs.items() if not there]


@pytest.mark.parametrize("name", public_names())
def test_every_public_name_is_documented_with_an_example(name: str) -> None:
    assert not missing(found(name)), name


def test_an_incomplete_docstring_is_found() -> None:
    def silent(x: int) -> None: ...

    def shown(x: int) -> None:
        """Do it.

        Examples
        --------
        >>> shown(1)  # doctest: +SKIP
        """

    class Wrong(ValueError):
        """It is wrong."""

    assert missing(silent) == ["a docstring", "Parameters or Attributes", "Examples that run"]
    assert missing(shown) == ["Parameters or Attributes", "Examples that run"]
    assert missing(Wrong) == ["Examples that run"]
