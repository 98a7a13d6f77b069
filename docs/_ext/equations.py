"""Sphinx extension: equations as MathML, which browsers draw without a script or a font."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(_mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    # It scrolls where it is too wide, so the keyboard has to reach it.
    equation = _mathml(node.astext(), "block")
    translator.body.append(f'<div class="equation" tabindex="0">{equation}</div>\n')
    raise nodes.SkipNode


def _mathml(latex: str, display: str) -> str:
    from latex2mathml.converter import convert

    return str(convert(latex, display=display))


def setup(app: Sphinx) -> None:
    """Add the renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
