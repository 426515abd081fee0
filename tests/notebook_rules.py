"""The rules of a chapter. Each takes a notebook and returns what breaks it, naming the cell.

A rule is any function of this module whose name begins with ``rule_``; its docstring
says what it asks for.
"""

from __future__ import annotations

import base64
import binascii
import importlib
import io
import json
import math
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import claims
import nbformat
from contents import notebooks
from nbformat import NotebookNode
from set_up import set_up_code

ROOT = Path(__file__).parents[1]
VIEW_MIME = "application/vnd.jupyter.widget-view+json"
STATE_MIME_PREFIX = "application/vnd.measured-pytorch"
WIDGETS_MIME = "application/vnd.jupyter.widget-state+json"
KNOWN_MIMES = {
    "text/plain",
    "text/html",
    "image/png",
    VIEW_MIME,
    "application/vnd.measured-pytorch.widget+json",
}
OPENING = ["The short answer", "See it"]
CLOSING = ["Traps", "Exercises", claims.HEADING, "Takeaways"]
INVITATION = "run this cell to interact"


@dataclass
class Chapter:
    """A notebook with what the rules ask of it again and again."""

    path: Path
    notebook: NotebookNode

    @classmethod
    def read(cls, path: Path) -> Chapter:
        # nbformat.read would check the file against a schema, as nbval does anyway.
        return cls(path, nbformat.v4.reads(path.read_text("utf-8")))

    @property
    def cells(self) -> list[tuple[int, NotebookNode]]:
        """All cells with their number, from 1."""
        return list(enumerate(self.notebook.cells, 1))

    @property
    def code(self) -> list[tuple[int, NotebookNode]]:
        return [(n, cell) for n, cell in self.cells if cell.cell_type == "code"]

    @property
    def prose(self) -> list[tuple[int, NotebookNode]]:
        return [(n, cell) for n, cell in self.cells if cell.cell_type == "markdown"]

    def tagged(self, tag: str) -> list[tuple[int, NotebookNode]]:
        return [(n, c) for n, c in self.code if tag in c.metadata.get("tags", [])]

    @property
    def headings(self) -> list[str]:
        """The second-level headings."""
        lines = (line for _, cell in self.prose for line in cell.source.splitlines())
        return [line[3:] for line in lines if line.startswith("## ")]

    @property
    def models(self) -> dict:
        stored = self.notebook.metadata.get("widgets", {}).get(WIDGETS_MIME, {})
        return stored.get("state", {})


def problems(chapter: Chapter) -> list[str]:
    """Return every breach of every rule."""
    found = []
    for name, rule in sorted(globals().items()):
        if name.startswith("rule_"):
            try:
                found += rule(chapter)
            except Exception as error:  # on a draft that lacks what the rule reads
                found.append(f"{name} cannot be applied yet: {error!r}")
    return found


# --- what nbval does not see ---------------------------------------------------------


def rule_executed(chapter: Chapter) -> Iterator[str]:
    """Every code cell ran, once, from top to bottom."""
    for count, (n, cell) in enumerate(chapter.code, 1):
        if cell.execution_count != count:
            yield f"cell {n}: execution count {cell.execution_count}, not {count}"


def rule_no_semicolon(chapter: Chapter) -> Iterator[str]:
    """No cell ends in a semicolon: nbval would not compare it."""
    for n, cell in chapter.code:
        if cell.source.rstrip().endswith(";"):
            yield f"cell {n}: ends in ';'"


def rule_outputs_are_compared(chapter: Chapter) -> Iterator[str]:
    """Only a timing is left out of the comparison."""
    for n, cell in chapter.code:
        tags = set(cell.metadata.get("tags", []))
        skipping = {t for t in tags if t.startswith("nbval-")} - {"nbval-ignore-output"}
        if skipping or cell.source.upper().find("NBVAL") >= 0:
            yield f"cell {n}: switches nbval off"
        if "nbval-ignore-output" in tags and "timing" not in tags:
            yield f"cell {n}: nbval-ignore-output without the tag 'timing'"


def rule_errors_are_meant(chapter: Chapter) -> Iterator[str]:
    """A cell tagged raises-exception stores one error, told in one line."""
    for n, cell in chapter.code:
        errors = [o for o in cell.outputs if o.output_type == "error"]
        if len(errors) != ("raises-exception" in cell.metadata.get("tags", [])):
            yield f"cell {n}: {len(errors)} errors stored; is its tag right?"
        for error in errors:
            if error.traceback != [f"{error.ename}: {error.evalue}"]:
                yield f"cell {n}: traceback differs from '{error.ename}: {error.evalue}'"


def rule_pictures_are_whole(chapter: Chapter) -> Iterator[str]:
    """Every PNG decodes, checksums included."""
    from PIL import Image

    for n, output in _outputs(chapter):
        picture = output.get("data", {}).get("image/png")
        try:
            if picture:
                data = base64.b64decode(picture, validate=True)
                Image.open(io.BytesIO(data)).verify()
        except (OSError, SyntaxError, binascii.Error) as error:
            yield f"cell {n}: damaged PNG: {error}"


def rule_alt_text(chapter: Chapter) -> Iterator[str]:
    """Every figure has alt text, the same where JupyterLab and the book look for it."""
    for n, cell in chapter.code:
        pictures = [o for o in cell.outputs if "image/png" in o.get("data", {})]
        if len(pictures) > 1:
            yield f"cell {n}: {len(pictures)} figures; alt text is kept for one a cell"
        for output in pictures:
            alt = output.metadata.get("image/png", {}).get("alt", "")
            in_book = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
            told = output.data.get("text/plain", "").splitlines()[:1]
            if len(alt) < 20 or alt != in_book or [alt] != told:
                yield f"cell {n}: figure without alt text, or three that differ"


def rule_widgets_are_stored(chapter: Chapter) -> Iterator[str]:
    """Every widget has its view and its state, with today's code and the state it showed."""
    from helpers.widgets.base import STATE_MIME, shown_state, state_digest

    for n, output in _outputs(chapter):
        data = output.get("data", {})
        if STATE_MIME not in data and VIEW_MIME not in data:
            if INVITATION in data.get("text/plain", ""):
                yield f"cell {n}: the widget's view is gone"
            continue
        model = chapter.models.get(data.get(VIEW_MIME, {}).get("model_id"))
        if not model:
            yield f"cell {n}: the widget's view or its stored state is gone"
            continue
        state = model["state"]
        module, _, name = state["_anywidget_id"].rpartition(".")
        fresh = getattr(importlib.import_module(module), name)(**shown_state(state))
        for part in ("_esm", "_css", "_height_px"):
            if state[part] != getattr(fresh, part):
                yield f"cell {n}: stored {part} is not today's. Run `make run`."
        if data[STATE_MIME]["state"] != state_digest(state):
            yield f"cell {n}: the stored widget state is not the one that was shown"


def rule_only_shown_models(chapter: Chapter) -> Iterator[str]:
    """The stored state holds what the views need, and no more."""
    shown = json.dumps(chapter.notebook.cells)
    for model_id, model in chapter.models.items():
        inside = json.dumps([m for k, m in chapter.models.items() if k != model_id])
        if model_id not in shown and f"IPY_MODEL_{model_id}" not in inside:
            yield f"widget state: {model['model_name']} {model_id} belongs to no view"


def rule_repeatable_text(chapter: Chapter) -> Iterator[str]:
    """No output holds an address in memory, or a path of the machine that ran it."""
    machine = re.compile(r"0x[0-9a-f]{6,}|(?<![\w:/])/(home|root|tmp|work|Users)/")
    for n, output in _outputs(chapter):
        found = machine.search(_text(output))
        if found:
            yield f"cell {n}: output holds {found[0]!r}"
        unknown = set(output.get("data", {})) - KNOWN_MIMES
        if unknown:
            yield f"cell {n}: the book cannot show {sorted(unknown)}"


# --- anatomy -------------------------------------------------------------------------


def rule_opening(chapter: Chapter) -> Iterator[str]:
    """H1, times and what you can do afterwards, a lead of 60 words, the set-up cell."""
    first, lead = (cell.source for cell in chapter.notebook.cells[:2])
    if not re.match(
        r"# .+\n\n\*\d+ minutes to read · \d+ minutes of exercises\*(\n|$)", first
    ):
        yield "cell 1: not '# title' and '*N minutes to read · N minutes of exercises*'"
    below = first.split("\n\n")[2:]
    if not re.fullmatch(r"After this chapter you can .*\.", "\n".join(below)):
        yield "cell 1: under the minutes one sentence 'After this chapter you can ...'"
    words = len(lead.split())
    if words > 60:
        yield f"cell 2: the lead has {words} words, more than 60"
    set_up = chapter.notebook.cells[2]
    if set_up.source != set_up_code():
        yield "cell 3: not the set-up cell of tools/set_up.py. Run `make run`"
    if not {"set-up", "hide-cell"} <= set(set_up.metadata.get("tags", [])):
        yield "cell 3: the set-up cell is not tagged set-up and hide-cell"


def rule_sections(chapter: Chapter) -> Iterator[str]:
    """The short answer, see it, two to four questions, then the closing sections."""
    headings = chapter.headings
    if headings[:2] != OPENING or headings[-4:] != CLOSING:
        yield f"sections: must begin {OPENING} and end {CLOSING}, are {headings}"
    questions = headings[2:-4]
    if not 2 <= len(questions) <= 4 or not all(q.endswith("?") for q in questions):
        yield f"sections: between them 2 to 4 questions, are {questions}"


def rule_short_answer(chapter: Chapter) -> Iterator[str]:
    """One cell tagged wrong, and the one tagged right straight after it."""
    pairs = [(n, "wrong") for n, _ in chapter.tagged("wrong")]
    pairs += [(n, "right") for n, _ in chapter.tagged("right")]
    if [tag for _, tag in pairs] != ["wrong", "right"] or pairs[1][0] != pairs[0][
        0
    ] + 1:
        yield f"the short answer: cells {pairs}, not one wrong and then one right"


def rule_recipe(chapter: Chapter) -> Iterator[str]:
    """A recipe of 12 lines, then wrong and right of 10 that say so."""
    order = [
        (n, tag)
        for n, cell in chapter.code
        for tag in ("given", "recipe", "wrong", "right")
        if tag in cell.metadata.get("tags", [])
    ]
    if [tag for _, tag in order] != ["given", "recipe", "wrong", "right"]:
        yield f"the short answer: {order}, not given, recipe, wrong, right"
        return
    (given, _), (recipe, _), (wrong, _), (right, _) = order
    cells = dict(chapter.cells)
    if "hide-cell" not in cells[given].metadata.tags or recipe != given + 1:
        yield f"cell {given}: not folded (hide-cell), straight above the recipe"
    if re.search(r"\bhelpers\b|\.double\(", cells[recipe].source):
        yield f"cell {recipe}: the recipe holds helpers or .double()"
    for n, most in ((recipe, 12), (wrong, 10), (right, 10)):
        if _lines(cells[n].source) > most:
            yield f"cell {n}: {_lines(cells[n].source)} lines, more than {most}"
    for n, sign in ((wrong, "# ✗ wrong: "), (right, "# ✓ right: ")):
        if not cells[n].source.startswith(sign):
            yield f"cell {n}: does not begin with {sign!r}"


def rule_hero(chapter: Chapter) -> Iterator[str]:
    """One cell tagged widget shows one, 'Predict first' above it, the answers below."""
    heroes = chapter.tagged("widget")
    if len(heroes) != 1:
        yield f"see it: {len(heroes)} cells tagged widget, not 1"
        return
    n, cell = heroes[0]
    if not any(VIEW_MIME in output.get("data", {}) for output in cell.outputs):
        yield f"cell {n}: shows no widget"
    before, after = (chapter.notebook.cells[i].source for i in (n - 2, n))
    if "Predict first" not in before:
        yield f"cell {n - 1}: no 'Predict first' above the widget"
    if "What you saw" not in after:
        yield f"cell {n + 1}: no 'What you saw' below the widget"


def rule_exercises(chapter: Chapter) -> Iterator[str]:
    """Two or three stubs that answer 'not yet', each with a solution that is correct."""
    stubs = chapter.tagged("exercise")
    if not 2 <= len(stubs) <= 3:
        yield f"exercises: {len(stubs)}, not 2 or 3"
    for n, stub in stubs:
        solution = chapter.notebook.cells[n] if n < len(chapter.notebook.cells) else {}
        tags = set(solution.get("metadata", {}).get("tags", []))
        if not {"solution", "hide-cell"} <= tags:
            yield f"cell {n + 1}: not the solution of cell {n}, tagged solution, hide-cell"
            continue
        if "○ Not yet" not in "".join(map(_text, stub.outputs)):
            yield f"cell {n}: the stub does not answer 'not yet'"
        if "✓ Correct" not in "".join(map(_text, solution.outputs)):
            yield f"cell {n + 1}: the solution is not correct"
        if not solution.metadata.get("jupyter", {}).get("outputs_hidden"):
            yield f"cell {n + 1}: its output lies open in JupyterLab. Run `make run`"
        if not solution.source.startswith("# @title Solution\n"):
            yield f"cell {n + 1}: does not begin '# @title Solution'"


def rule_verdicts(chapter: Chapter) -> Iterator[str]:
    """Each claim of the notes has one of four verdicts, and evidence."""
    section = _section(chapter, claims.HEADING)
    if "| Claim | Verdict | Evidence |" not in section:
        yield "what the notes said: no table of Claim, Verdict, Evidence"
    for row in claims.rows(section, chapter.path.name):
        if len(row.evidence) < 20 or not re.search(r"\d|\]\(", row.evidence):
            yield f"what the notes said: {row.claim} has no number or link as evidence"


def rule_closing(chapter: Chapter) -> Iterator[str]:
    """Three takeaways, the symptom index, sources, the next notebook of _toc.yml."""
    section = _section(chapter, "Takeaways")
    if len(re.findall(r"^- ", section, re.M)) != 3:
        yield "takeaways: not three bullets"
    order = notebooks()
    at = order.index(chapter.path) if chapter.path in order else len(order)
    goal = order[at + 1].name if at + 1 < len(order) else "../book/index.md"
    if "**Sources.**" not in section or not re.search(
        rf"^\*\*Next\.\*\* \[[^]]+\]\({re.escape(goal)}\)$", section, re.M
    ):
        yield f"takeaways: must end with **Sources.** and **Next.** [title]({goal})"
    if "](../book/symptoms.md)" not in section:
        yield "takeaways: no link to ../book/symptoms.md for a reader in trouble"


# --- rhythm --------------------------------------------------------------------------


def rule_cell_length(chapter: Chapter) -> Iterator[str]:
    """No cell has more than 20 lines of code."""
    for n, cell in chapter.code:
        if _lines(cell.source) > 20:
            yield f"cell {n}: {_lines(cell.source)} lines of code, more than 20"


def rule_code_width(chapter: Chapter) -> Iterator[str]:
    """Code of 76 columns at most, 74 where it is folded: none is cut."""
    for n, cell in chapter.code:
        tags = set(cell.metadata.get("tags", []))
        most = 74 if {"hide-cell", "hide-input"} & tags else 76
        for line in cell.source.splitlines():
            if len(line) > most and "set-up" not in tags:  # that is the same everywhere
                yield f"cell {n}: {len(line)} columns, more than {most}: {line.strip()}"


def rule_minutes(chapter: Chapter) -> Iterator[str]:
    """The title's minutes are those measured, 12 at most to read."""
    told = [
        int(m) for m in re.findall(r"(\d+) minutes", chapter.notebook.cells[0].source)
    ]
    if told[0] != minutes_to_read(chapter) or told[0] > 12:
        yield f"cell 1: it takes {minutes_to_read(chapter)} minutes to read, 12 at most"
    exercises = re.findall(r"\*\* \((\d+) minutes\)", _section(chapter, "Exercises"))
    if len(exercises) != len(chapter.tagged("exercise")):
        yield "exercises: each begins '**1. Title** (N minutes)'"
    elif sum(map(int, exercises)) != told[1]:
        yield f"cell 1: the exercises take {sum(map(int, exercises))} minutes"


def minutes_to_read(chapter: Chapter) -> int:
    """Return the minutes at 200 words and 20 lines of code each, rounded up.

    Traps, exercises, the notes and all that is folded are apart.
    """
    words = lines = 0
    for section, _, text, cell in _pieces(chapter):
        if section in CLOSING[:-1]:
            continue
        if cell is None:
            open_text = re.sub(r"<details>.*?</details>", "", text, flags=re.S)
            words += len(_plain(open_text).split())
        elif not {"hide-cell", "hide-input"} & set(cell.metadata.get("tags", [])):
            lines += _lines(text)
    return math.ceil(words / 200 + lines / 20)


def rule_traps(chapter: Chapter) -> Iterator[str]:
    """Each trap has its heading, at most 80 words, and one cell."""
    traps: dict[str, list[list]] = {}
    for section, trap, text, cell in _pieces(chapter):
        if section == "Traps" and trap:
            words, cells = traps.setdefault(trap, [[], []])
            if cell is None:
                words += _plain(text.partition("\n")[2]).split()
            else:
                cells.append(cell)
    for trap, (words, cells) in traps.items():
        if len(words) > 80 or len(cells) != 1:
            yield f"trap {trap!r}: {len(words)} words, {len(cells)} cells, not 80 and 1"
    if len(traps) < 3:
        yield f"traps: {len(traps)} headings '### ...', not 3 or more"


def rule_plain_markdown(chapter: Chapter) -> Iterator[str]:
    """CommonMark, tables, math, <details> and images: what every reader's tool shows."""
    foreign = re.compile(
        r"^\s*:::|^```\{|(?<!\w)\{[a-z-]+\}`|^> \[!|<(?!/?(details|summary)\b)[a-z/]",
        re.M,
    )
    for n, cell in chapter.prose:
        found = foreign.search(re.sub(r"`[^`]*`", "", cell.source))
        if found:
            yield f"cell {n}: {found[0]!r} is not shown well everywhere"


def rule_links(chapter: Chapter) -> Iterator[str]:
    """Links lead to a file and heading that exist; each term is linked once."""
    seen = set()
    for n, cell in chapter.prose:
        for target in re.findall(r"\]\(([^)\s]+)\)", cell.source):
            if target.startswith("https://"):
                continue
            name, _, anchor = target.partition("#")
            path = (chapter.path.parent / name) if name else chapter.path
            if ":" in target or not path.exists():
                yield f"cell {n}: link to {target}, which does not exist"
            elif anchor and anchor not in anchors(path):
                yield f"cell {n}: {path.name} has no heading #{anchor}"
            if "glossary.md" in name and target in seen:
                yield f"cell {n}: {target} is linked a second time"
            seen.add(target)


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's or notebook's headings, as GitHub makes them."""
    if path.suffix == ".ipynb":
        text = "\n".join(cell.source for _, cell in Chapter.read(path).prose)
    else:
        text = path.read_text(encoding="utf-8")
    titles = re.findall(r"^#{1,3} (.+)$", text, re.M)
    return {
        re.sub(r"[^\w\- ]", "", t.lower()).strip().replace(" ", "-") for t in titles
    }


# --- prose numbers -------------------------------------------------------------------

NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")


def rule_prose_numbers(chapter: Chapter) -> Iterator[str]:
    """A decimal, a percentage or a count of three digits in prose comes from a cell."""
    produced = set()
    for n, cell in chapter.code:
        if n > 3:  # not the address in the set-up cell
            produced |= _numbers(_without_comments(cell.source))
    for _, output in _outputs(chapter):
        produced |= _numbers(_text(output))
    for n, cell in chapter.prose:
        if n == 1:
            continue  # the title and the minutes
        # "Sources" cites sections and years of other people's work.
        source = cell.source.partition("**Sources.**")[0]
        for text, value in _prose_numbers(source):
            if not _produced(text, value, produced):
                yield f"cell {n}: {text} is printed by no cell"


def _prose_numbers(source: str) -> Iterator[tuple[str, float]]:
    text = re.sub(r"```.*?```|`[^`]*`|“[^”]*”|\]\([^)]*\)", " ", source, flags=re.S)
    # A year in brackets after a name is a citation.
    text = re.sub(r"\((19|20)\d\d\)", " ", text)
    for match in NUMBER.finditer(text):
        digits = match[0].rstrip(",").replace(",", "")
        percent = (
            text[match.end() : match.end() + 9].lstrip().startswith(("%", "per cent"))
        )
        if "." in digits or "e" in digits or percent or len(digits) >= 3:
            yield match[0].rstrip(","), float(digits)


def _produced(text: str, value: float, produced: set[float]) -> bool:
    """Whether a cell prints the number, or one that rounds to it as written.

    A number of one or two digits must stand there as it is: too many round to it.
    """
    significant = re.sub(r"[^\d]", "", text.partition("e")[0]).lstrip("0")
    if len(significant) < 3 or "e" in text:
        return value in produced
    decimals = len(text.partition(".")[2])
    return any(round(number, decimals) == value for number in produced)


def _without_comments(source: str) -> str:
    """Return code without its comments: what a comment says, nobody measured."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):  # a line that only IPython can read
        return re.sub(r"#.*", "", source)
    return " ".join(token.string for token in tokens if token.type != tokenize.COMMENT)


def _numbers(text: str) -> set[float]:
    return {float(m[0].rstrip(",").replace(",", "")) for m in NUMBER.finditer(text)}


# --- reading -------------------------------------------------------------------------


def _outputs(chapter: Chapter) -> Iterator[tuple[int, NotebookNode]]:
    for n, cell in chapter.code:
        for output in cell.outputs:
            yield n, output


def _text(output: NotebookNode) -> str:
    """Return what a reader reads of an output."""
    if output.output_type == "stream":
        return output.text
    if output.output_type == "error":
        return f"{output.ename}: {output.evalue}"
    return output.data.get("text/html", "") + output.data.get("text/plain", "")


def _section(chapter: Chapter, heading: str) -> str:
    """Return the text under a second-level heading."""
    text = "\n\n".join(cell.source for _, cell in chapter.prose)
    return text.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def _pieces(
    chapter: Chapter,
) -> Iterator[tuple[str, str, str, NotebookNode | None]]:
    """Return section, heading below it, text, and cell if it is code: prose is cut at headings."""
    section = below = ""
    for _, cell in chapter.cells:
        if cell.cell_type == "code":
            yield section, below, cell.source, cell
            continue
        for text in re.split(r"^(?=##+ )", cell.source, flags=re.M):
            head = re.match(r"(##+) (.+)", text)
            if head:
                section, below = (
                    (head[2], "") if head[1] == "##" else (section, head[2])
                )
            yield section, below, text, None


def _lines(source: str) -> int:
    return sum(1 for line in source.splitlines() if line.strip())


def _plain(source: str) -> str:
    """Return prose without code, link targets, table rules and markup."""
    source = re.sub(r"\]\([^)]*\)|<[^>]+>|^\|[-| ]+\|$", " ", source, flags=re.M)
    return re.sub(r"[*`#>|\[\]]", " ", source)
