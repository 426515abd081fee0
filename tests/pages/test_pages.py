"""The pages that speak of the chapters: nothing in them that a chapter does not show."""

import re

import claims
import pytest
from conftest import ROOT
from notebook_rules import Chapter, _outputs, _text, anchors

SYMPTOMS = (ROOT / "book/symptoms.md").read_text("utf-8")
ROWS = [
    line for line in SYMPTOMS.splitlines() if line.startswith("| ") and "](" in line
]


def stored_text(path):
    return "\n".join(_text(output) for _, output in _outputs(Chapter.read(path)))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: re.sub(r"\W+", "-", row)[1:40])
def test_symptom_is_shown_where_it_leads(row):
    seen, cause, place = row.strip("| ").split(" | ")
    name, anchor = re.search(
        r"\(\.\./(notebooks/\w+\.ipynb)#([\w-]+)\)", place
    ).groups()
    outputs = stored_text(ROOT / name)
    quoted = re.findall(r"`([^`]+)`", seen)
    assert quoted, "a symptom quotes a text or a number"
    assert [text for text in quoted if text not in outputs] == []
    assert anchor in anchors(ROOT / name)
    assert len(cause) >= 10


@pytest.mark.parametrize("path", claims.notebooks(), ids=lambda p: p.stem)
def test_every_chapter_is_in_the_symptom_index(path):
    assert sum(f"{path.name}#" in row for row in ROWS) >= 3


def test_symptoms_are_sorted_as_a_person_in_trouble_looks():
    headings = re.findall(r"^## (.+)$", SYMPTOMS, re.M)
    assert headings == [
        "An error or a warning",
        "A number that gives it away",
        "A curve",
    ]
    errors = SYMPTOMS.partition(f"## {headings[0]}")[2].partition("\n## ")[0]
    texts = [t.lower().lstrip('"') for t in re.findall(r"^\| `([^`]+)`", errors, re.M)]
    assert texts == sorted(texts)


@pytest.mark.parametrize(
    ("words", "anchor"),
    [
        ("7.25", "softmax_dim.ipynb#what-does-it-cost-a-real-model"),
        ("stuck at `1.461`", "nll.ipynb#why-can-the-loss-not-fall-below-1461"),
        ("Predictions change with the batch", "#what-has-my-neighbour-to-do-with-it"),
        ("inf from log(softmax)", "nll.ipynb#are-the-two-right-pairs-the-same"),
    ],
)
def test_symptom_leads_to_its_explanation_in_one_click(words, anchor):
    (row,) = [row for row in ROWS if words in row]
    assert anchor in row


def test_every_measured_claim_is_on_the_fact_check_page(book):
    html = (book / "book/fact_check.html").read_text("utf-8")
    text = re.sub(r"<[^>]+>", "", html).replace("’", "'")
    found = [row for path in claims.notebooks() for row in claims.claims(path)]
    for row in found:
        plain = re.sub(r"[`*]|\]\([^)]*\)|\[", "", row.claim)
        assert plain in text.replace("&amp;", "&"), plain
    assert f"{len(found)} claims measured: {claims.summary(found)}." in text


def test_verdict_stands_once():
    """Neither page repeats a verdict by hand."""
    text = (ROOT / "book/fact_check.md").read_text("utf-8")
    assert not [v for v in claims.VERDICTS if f"**{v}**" in text]


def test_all_claims_of_the_notes_are_there():
    """Measured or waiting, none is dropped on the way."""
    waiting = re.findall(r"^- ", (ROOT / "book/fact_check.md").read_text("utf-8"), re.M)
    measured = [row for path in claims.notebooks() for row in claims.claims(path)]
    assert len(waiting) + len(measured) >= 47


@pytest.mark.parametrize("path", claims.notebooks(), ids=lambda p: p.stem)
def test_readme_s_table_is_the_book_s(path):
    title, _ = claims.title_and_times(path)
    row = f"| {title} | [{path.stem}](notebooks/{path.name}) | "
    assert row + claims.summary(claims.claims(path)) + " |" in (
        ROOT / "README.md"
    ).read_text("utf-8")


def test_bad_row_of_claims_is_named():
    table = "| Claim | Verdict | Evidence |\n| --- | --- | --- |\n| a | maybe | b |\n"
    with pytest.raises(ValueError, match=r"x.ipynb: 'a \| maybe \| b' is not 'claim"):
        claims.rows(table, "x.ipynb")
