"""The lists that README and CONTRIBUTING take from elsewhere: the tips and the rules.

python tools/listings.py    # write them
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import claims
import contents
from whole_file import write_whole

ROOT = contents.ROOT


def tips() -> str:
    """Return the README's table: each tip with its notebook and its verdicts."""
    found = {path: claims.claims(path) for path in contents.notebooks()}
    total = [claim for rows in found.values() for claim in rows]
    lines = [
        f"{len(found)} tips, with {len(total)} claims checked: {claims.summary(total)}.",
        "",
        "| Tip | Notebook | The notes' claims |",
        "| --- | --- | --- |",
    ]
    for path, rows in found.items():
        title, _ = contents.title_and_times(path)
        notebook = f"[{path.stem}](notebooks/{path.name})"
        lines.append(f"| {title} | {notebook} | {claims.summary(rows)} |")
    return "\n".join(lines)


def rules() -> str:
    """Return the rules of a chapter: the first line of each one's docstring."""
    tree = ast.parse((ROOT / "tests/notebook_rules.py").read_text(encoding="utf-8"))
    return "\n".join(
        f"- {ast.get_docstring(node).splitlines()[0]} (`{node.name}`)"
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("rule_")
    )


LISTS = {"README.md": ("tips", tips), "CONTRIBUTING.md": ("rules", rules)}


def fresh(page: str) -> str:
    """Return a page's text with its list as it should be.

    Raises:
        ValueError: if the two marks around the list are not there.
    """
    name, make = LISTS[page]
    first = f"<!-- {name}: made by tools/listings.py -->"
    last = f"<!-- end of {name} -->"
    text = (ROOT / page).read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(first)}.*?{re.escape(last)}", re.S)
    if len(pattern.findall(text)) != 1:
        raise ValueError(
            f"{page}: the list needs one line {first!r} above it and one line {last!r} "
            "below it. Put them back."
        )
    return pattern.sub(lambda _: f"{first}\n\n{make()}\n\n{last}", text)


def write() -> None:
    """Write the lists of both pages."""
    for page in LISTS:
        write_whole(ROOT / page, fresh(page))


if __name__ == "__main__":
    try:
        write()
    except ValueError as error:  # such as a row of a chapter's table of claims
        sys.exit(str(error))
