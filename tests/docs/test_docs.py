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
from browser import chromium
from gallery import gif_of

from involution_edu.viz.animation.scenes import SCENES

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = ROOT / "docs" / "reference" / "api.md"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the documentation, with warnings as errors."""
    folder = tmp_path_factory.mktemp("site")
    options = ["-q", "-W", "--keep-going", "-n", "-d"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, folder / "doctrees", "docs", folder / "html"],
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "html"


@needs.docs
def test_the_documentation_is_built_without_a_warning(site: Path) -> None:
    def page(name: str) -> str:
        return (site / f"{name}.html").read_text(encoding="utf-8")

    assert "zeros outside the image" in page("reference/generated/involution_edu.involution")
    assert "--force" in page("howto/photo")  # no dash
    assert page("explanation/gradients").count("<math ") >= 10
    assert '<iframe src="explorer.html"' in page("explore")
    assert (site / "explorer.html").is_file()
    for name in SCENES:
        assert f'<iframe src="../steppers/{name}.html"' in page(f"gallery/{name}")
        assert 'id="canvas"' in page(f"steppers/{name}")
        poster = f"posters/{Path(gif_of(name)).stem}.png"
        assert f'src="{poster}"' in page("gallery")
        assert (site / poster).is_file()


@needs.docs
@needs.browser
@needs.axe
def test_pages_are_accessible_fit_a_phone_and_load_nothing(site: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    pages = "index", "explore", "gallery", "gallery/multiply", "gallery/atlas", "reference/api"
    others = "explanation/gradients", "reference/generated/involution_edu.nn.Involution2d"
    axe, found, addresses = Axe(), [], set()
    with chromium() as browser:
        for theme, width in (("light", 390), ("dark", 1280)):
            viewport = {"width": width, "height": 800}
            context = browser.new_context(viewport=viewport, color_scheme=theme)
            tab = context.new_page()
            tab.on("request", lambda request: addresses.add(request.url.partition(":")[0]))
            for name in (*pages, *others):
                tab.goto((site / f"{name}.html").as_uri())
                violations = axe.run(tab, options={"iframes": False}).response["violations"]
                found += [(theme, name, v["id"], v["nodes"][0]["html"][:200]) for v in violations]
                if tab.evaluate("document.documentElement.scrollWidth") > width:
                    found.append((theme, name, "wider than the screen", ""))
            context.close()
    assert not found, found
    assert addresses <= {"file", "data", "blob"}


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
