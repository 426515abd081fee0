"""Sphinx extension: every claim of the notes with its verdict, one verdict at a time."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))
import claims
import contents
from book_extension import FromNotebooks


class FactCheck(FromNotebooks):
    """``:::{fact-check}``: every claim with its verdict, as the chapters give them."""

    def markdown(self) -> list[str]:
        text = []
        for path in contents.notebooks():
            title, _ = contents.title_and_times(path)
            notebook = f"../notebooks/{path.name}"
            text += [f"## [{title}]({notebook})", ""]
            text += ["| Claim | Verdict | Evidence |", "| --- | --- | --- |"]
            for row in claims.claims(path):
                evidence = row.evidence.replace("](#", f"]({notebook}#")
                evidence = re.sub(r"\]\((\w+\.ipynb)", r"](../notebooks/\1", evidence)
                text.append(f"| {row.claim} | {_verdict(row.verdict)} | {evidence} |")
            text.append("")
        return text


def _verdict(verdict: str) -> str:
    sign = claims.VERDICTS[verdict]
    return f'<span class="verdict verdict-{_role(verdict)}">{sign} {verdict}</span>'


def _role(verdict: str) -> str:
    return verdict.split()[-1]


class VerdictFilter(FromNotebooks):
    """``:::{verdict-filter}``: the counts; the style sheet hides rows of other verdicts."""

    def markdown(self) -> list[str]:
        found = [row for path in contents.notebooks() for row in claims.claims(path)]
        options = [("any", "all", " checked")]
        options += [
            (_role(v), f"{sign} {v}", "") for v, sign in claims.VERDICTS.items()
        ]
        buttons = "".join(
            f'<label><input type="radio" name="verdict" id="only-{role}"{checked}> '
            f"{name}</label>"
            for role, name, checked in options
        )
        return [
            f"**{len(found)} claims checked: {claims.summary(found)}.**",
            "",
            f'<fieldset class="verdict-filter"><legend>Show</legend>{buttons}</fieldset>',
        ]


def setup(app: Sphinx) -> dict:
    app.add_directive("fact-check", FactCheck)
    app.add_directive("verdict-filter", VerdictFilter)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
