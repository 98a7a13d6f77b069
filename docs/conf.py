"""Sphinx configuration: ``sphinx-build -W -n docs docs/_build/html``."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import involution_edu
from involution_edu.cli import COMMANDS, make_parser
from involution_edu.course import notebooks

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "involution_edu"
author = "The involution_edu authors"
project_copyright = f"2026, {author}"
version = release = involution_edu.__version__

extensions = [
    *("myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"),
    *("equations", "live"),
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
smartquotes = False  # options begin with two hyphens

html_theme = "pydata_sphinx_theme"
html_title = project
html_logo = html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files, html_js_files = ["site.css"], ["site.js"]
html_extra_path = ["explorer.html"]  # a page of its own: links to it open it as it is
html_show_sourcelink = False
html_math_renderer = "mathml"
html_context = {"default_mode": "auto"}
html_theme_options = {
    "logo": {"text": project},
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": [], "explore": [], "gallery": []},
}
# No navigation within a section where a section is one page.
_SINGLE = "explore training ablation generators/ablation generators-textures/ablation benchmarks benchmarks-gpu contributing changelog SECURITY"
html_sidebars: dict[str, list[str]] = {
    page: [] for page in (*_SINGLE.split(), "index", "gallery", "CODE_OF_CONDUCT")
}

myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]  # as a code host writes equations
nb_execution_mode = "off"  # the notebooks keep their outputs; the tests run them
myst_heading_anchors = 3
autosummary_generate = True
autodoc_preserve_defaults = True  # as they are written
autodoc_typehints = "none"  # types are in the docstrings
numpydoc_show_class_members = False


class Commands(SphinxDirective):
    """A section for every command: its description and its --help."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        return list(self._sections())

    def _sections(self) -> Iterator[nodes.section]:
        parsers: Any = make_parser()._subparsers
        for command in COMMANDS:
            section = nodes.section(ids=[command.name])
            section += nodes.title(text=command.name)
            section += nodes.paragraph(text=command.description)
            text = parsers._group_actions[0].choices[command.name].format_help()
            section += nodes.literal_block(text=text, language="text")
            yield section


def setup(app: Sphinx) -> None:
    """Add the directive, and the notebooks to what is read."""
    app.add_directive("commands", Commands)
    for path in notebooks.paths():
        shutil.copyfile(path, Path(__file__).parent / "tutorial" / path.name)
