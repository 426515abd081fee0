"""Formulas as MathML, written when the book is built: no page needs a script for them."""

from __future__ import annotations

import re

import latex2mathml.converter
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)

# TeX keeps a thin space between the name of a function and what is not its parenthesis;
# MathML gives such a name the room of a letter: "y ln p" would read "ylnp".
FUNCTION = r"<mi>[a-z]{2,}</mi>"
THIN = '<mspace width="0.167em"/>'
BEFORE = re.compile(rf"(</m[a-np-z]\w*>|&#x00029;</mo>)({FUNCTION})")
AFTER = re.compile(rf'({FUNCTION})(?!<mo stretchy="|</)')
# A minus after "=" or "+" is a sign, and infinity a number: neither has an operator's room.
SIGN = re.compile(r"(<mo>[^<]*</mo>)<mo>(&#x02212;</mo>)")
INFINITY = re.compile(r"<mo>(&#x0221E;)</mo>")


def mathml(formula: str, display: str = "inline") -> str:
    """Return a formula as a ``<math>`` element.

    Args:
        formula: LaTeX without its dollar signs.
        display: ``"inline"`` or ``"block"``.

    Raises:
        ValueError: if it holds a command that cannot be translated, or is not complete.
    """
    try:
        text = latex2mathml.converter.convert(formula, display=display)
    except Exception as error:  # the converter has a class of its own for each mistake
        raise ValueError(f"{formula!r}: {type(error).__name__}") from None
    if unknown := re.search(r"\\[a-zA-Z]+", text):
        raise ValueError(f"{formula!r}: {unknown[0]} is not known to latex2mathml")
    text = SIGN.sub(r'\1<mo form="prefix">\2', INFINITY.sub(r"<mi>\1</mi>", text))
    return AFTER.sub(rf"\1{THIN}", BEFORE.sub(rf"\1{THIN}\2", text))


def _visit(translator, node: nodes.Element) -> None:
    tag, display = (
        ("div", "block") if isinstance(node, nodes.math_block) else ("span", "inline")
    )
    try:
        math = mathml(node.astext(), display)
    except ValueError as error:
        logger.warning("formula %s. Write it with simpler commands.", error)
        math = ""
    start = translator.starttag(node, tag, "", CLASS="math notranslate nohighlight")
    # The word joiner keeps a comma that follows on the formula's line.
    translator.body.append(f"{start}{math}&#8288;</{tag}>")
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    app.add_html_math_renderer("mathml", (_visit, None), (_visit, None))
