"""One style sheet for all pages: the theme's and the book's, and the icons that are used.

The theme brings three icon fonts of 300 KB and a rule for each of their 2,000 icons. The
fonts are cut down to the icons that the pages show, and come inside the sheet.
"""

from __future__ import annotations

import base64
import io
import logging
import os
import re
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

# Jupyter Book would print its diary.
logging.getLogger("fontTools").setLevel(logging.WARNING)

SHEET = "styles/page.css"
FONT = re.compile(
    r'url\((\.\./vendor/fontawesome/\S+?)\.woff2\) format\("woff2"\),url\(\1\.ttf\)[^;}]*'
)
ICON = re.compile(r'(\.fa-[\w-]+:before(?:,\.fa-[\w-]+:before)*)\{content:"[^"]*"\}')
# An icon in the text of a rule, as a code or as the character itself.
CHARACTER = re.compile(r'"(?:\\(?P<code>[ef][0-9a-f]{3})|(?P<itself>[\ue000-\uf8ff]))"')
RELATIVE = re.compile(r"""url\((?!["']?(?:data:|#))["']?([^"')]+)["']?\)""")
IMPORT = re.compile(r'@import "([^"]+)";')


def joined(static: Path, names: list[str], classes: set[str]) -> str:
    """Return the text of the one sheet, which lies in ``static / SHEET``.

    Args:
        static: the folder of the built book that holds the sheets.
        names: the sheets below it, in the order in which a page names them.
        classes: the classes of the icons that any page shows, such as ``fa-bars``.
    """
    text = "\n".join(_moved(static, name) for name in names)
    text = text.replace(
        '@charset "UTF-8";', ""
    )  # it counts at the very beginning alone
    text = ICON.sub(lambda rule: rule[0] if _shown(rule[1], classes) else "", text)
    wanted = {
        int(found["code"], 16) if found["code"] else ord(found["itself"])
        for found in CHARACTER.finditer(text)
    }
    folder = (static / SHEET).parent
    text = FONT.sub(lambda font: _cut_font(folder / f"{font[1]}.ttf", wanted), text)
    return f'@charset "UTF-8";\n{text}'


def _shown(selectors: str, classes: set[str]) -> bool:
    return not classes.isdisjoint(re.findall(r"\.([\w-]+):", selectors))


def _moved(static: Path, name: str) -> str:
    """Return a sheet with what it imports, its addresses seen from the joined sheet."""
    sheet = static / name
    text = IMPORT.sub(
        lambda match: _moved(static, os.path.relpath(sheet.parent / match[1], static)),
        sheet.read_text(encoding="utf-8"),
    )
    if sheet.parent == (static / SHEET).parent:
        return text

    def address(match: re.Match) -> str:
        path = os.path.relpath(sheet.parent / match[1], (static / SHEET).parent)
        return f"url({Path(path).as_posix()})"

    return RELATIVE.sub(address, text)


def _cut_font(path: Path, code_points: set[int]) -> str:
    """Return the source of a font that holds these characters alone, as far as it has any."""
    # Without the time of today in it: two builds give the same bytes.
    font = TTFont(path, recalcTimestamp=False)
    cut = subset.Subsetter(subset.Options(drop_tables=["GSUB", "FFTM"], hinting=False))
    cut.populate(unicodes=code_points)
    cut.subset(font)
    font.flavor = "woff"
    data = io.BytesIO()
    font.save(data)
    encoded = base64.b64encode(data.getvalue()).decode()
    return f'url(data:font/woff;base64,{encoded}) format("woff")'
