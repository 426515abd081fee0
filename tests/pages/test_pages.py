"""The pages that speak of the chapters: nothing in them that a chapter does not show."""

import re
from itertools import pairwise

import claims
import listings
import pytest
from notebook_rules import Chapter, _outputs, _text, anchors
from repository import ROOT

SYMPTOMS = (ROOT / "book/symptoms.md").read_text("utf-8")
ROWS = [
    line for line in SYMPTOMS.splitlines() if line.startswith("| ") and "](" in line
]


def stored_text(path):
    return "\n".join(_text(output) for _, output in _outputs(Chapter.read(path)))


def leads_to(row):
    """Return the notebook's path and the heading that a row of symptoms leads to."""
    found = re.search(r"\(\.\./(notebooks/\w+\.ipynb)#([\w-]+)\) \|$", row)
    assert found, (
        f"book/symptoms.md: {row}\nThe last column must be a link such as "
        "[Softmax: Traps](../notebooks/softmax_dim.ipynb#traps)."
    )
    return ROOT / found[1], found[2]


def row_id(row):
    """Name the notebook first, so that ``pytest -k`` finds the rows of one tip."""
    place = re.search(r"notebooks/(\w+)", row)
    return f"{place and place[1]}{re.sub(r'[^a-zA-Z0-9_]+', '-', row)[1:40]}"


@pytest.mark.parametrize("row", ROWS, ids=row_id)
def test_symptom_is_shown_where_it_leads(row):
    seen, cause, _ = row.strip("| ").split(" | ")
    (path, anchor), place = leads_to(row), f"book/symptoms.md: {row}\n"
    outputs = stored_text(path)
    quoted = re.findall(r"`([^`]+)`", seen)
    assert quoted, f"{place}Quote in `backquotes` a text or a number of an output."
    lost = [text for text in quoted if text not in outputs]
    assert not lost, (
        f"{place}No output of {path.name} holds {lost}. Copy it from there."
    )
    known = anchors(path)
    assert anchor in known, f"{place}{path.name} has no heading #{anchor}, but {known}."
    assert len(cause) >= 10, f"{place}Write the likely cause, in ten letters or more."


@pytest.mark.parametrize("path", claims.notebooks(), ids=lambda p: p.stem)
def test_every_chapter_is_in_the_symptom_index(path):
    count = sum(f"{path.name}#" in row for row in ROWS)
    assert count >= 3, (
        f"book/symptoms.md: {count} rows lead to {path.name}, and 3 are needed. Add "
        f"{3 - count}: what a reader sees, the likely cause, a link to a heading."
    )


def test_symptoms_are_sorted_as_a_person_in_trouble_looks():
    headings = re.findall(r"^## (.+)$", SYMPTOMS, re.M)
    assert headings == [
        "An error or a warning",
        "A number that gives it away",
        "A curve",
    ]
    errors = SYMPTOMS.partition(f"## {headings[0]}")[2].partition("\n## ")[0]
    texts = [t.lower().lstrip('"') for t in re.findall(r"^\| `([^`]+)`", errors, re.M)]
    for first, second in pairwise(texts):
        assert first <= second, (
            f"book/symptoms.md: {second!r} comes after {first!r}. Errors are sorted by the "
            "alphabet, capital letters like small ones: move its row up."
        )


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
        assert plain in text.replace("&amp;", "&"), (
            f"fact_check.html lacks the claim {plain!r}: see FactCheck in "
            "tools/book_extension.py."
        )
    assert f"{len(found)} claims measured: {claims.summary(found)}." in text


def test_verdict_stands_once():
    """Neither page repeats a verdict by hand."""
    text = (ROOT / "book/fact_check.md").read_text("utf-8")
    repeated = [v for v in claims.VERDICTS if f"**{v}**" in text]
    assert not repeated, (
        f"book/fact_check.md: {repeated} stands there by hand. Verdicts stand in the "
        "chapters' tables alone; the page is made from them."
    )


def test_all_claims_of_the_notes_are_there():
    """None is dropped on the way."""
    measured = [row for path in claims.notebooks() for row in claims.claims(path)]
    assert len(measured) >= 47, (
        f"the notes make 47 claims, and the chapters' tables hold {len(measured)}. "
        "Put the lost one back."
    )


@pytest.mark.parametrize("page", listings.LISTS)
def test_made_list_is_fresh(page):
    """The README's tips and CONTRIBUTING's rules are those of the book and of the tests."""
    stands = (ROOT / page).read_text("utf-8")
    new = set(listings.fresh(page).splitlines()) - set(stands.splitlines())
    assert listings.fresh(page) == stands, (
        f"{page}: its list is not up to date. Run `python tools/listings.py`. "
        f"These lines are new: {sorted(new)}"
    )


NUMBERS = "three four five six seven eight nine ten eleven twelve thirteen fourteen"
NUMBERS += " fifteen sixteen seventeen eighteen nineteen twenty"
COUNT = rf"\b([3-9]|\d\d+|{NUMBERS.replace(' ', '|')}) (tips|chapters|notebooks)\b"


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "book/index.md", "book/how_to.md"]
)
def test_number_of_tips_is_not_written_by_hand(page):
    text = (ROOT / page).read_text("utf-8")
    text = re.sub(r"<!-- tips: .*<!-- end of tips -->", "", text, flags=re.S)
    found = [match[0] for match in re.finditer(COUNT, text, re.I)]
    assert not found, f"{page}: {found} goes out of date. Leave the number out."


def test_bad_row_of_claims_is_named():
    table = "| Claim | Verdict | Evidence |\n| --- | --- | --- |\n| a | maybe | b |\n"
    with pytest.raises(ValueError, match=r"x.ipynb: 'a \| maybe \| b' is not 'claim"):
        claims.rows(table, "x.ipynb")
