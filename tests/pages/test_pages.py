"""The pages that speak of the chapters: nothing in them that a chapter does not show."""

import re

import claims
import contents
import glossary
import listings
import moved
import pytest
from repository import ROOT


def test_every_measured_claim_is_on_the_fact_check_page(book):
    html = (book / "book/fact_check.html").read_text("utf-8")
    text = re.sub(r"<[^>]+>", "", html).replace("’", "'")
    found = [row for path in contents.notebooks() for row in claims.claims(path)]
    for row in found:
        plain = re.sub(r"[`*]|\]\([^)]*\)|\[", "", row.claim)
        assert plain in text.replace("&amp;", "&"), (
            f"fact_check.html lacks the claim {plain!r}: see FactCheck in "
            "tools/fact_check.py."
        )
    assert f"{len(found)} claims checked: {claims.summary(found)}." in text


def test_fact_check_shows_one_verdict_at_a_time(visit):
    page = visit("book/fact_check.html").page
    found = [
        row.verdict for path in contents.notebooks() for row in claims.claims(path)
    ]
    rows = page.locator("tbody tr:visible")
    assert rows.count() == len(found)
    page.get_by_label("wrong").check()
    assert rows.count() == found.count("wrong")
    assert page.locator("tbody tr:visible .verdict-wrong").count() == rows.count()
    page.get_by_label("all").check()
    assert rows.count() == len(found)


def test_recipes_are_the_chapters_own_cells(visit):
    page = visit("book/recipes.html").page
    expected = [
        cell["source"]
        for path in contents.notebooks()
        for cell in contents.cells(path)
        if "recipe" in cell["metadata"].get("tags", [])
    ]
    assert expected
    blocks = page.locator("#recipes .highlight pre").all_inner_texts()
    imports, *shown = [text.rstrip("\n") for text in blocks]
    assert shown == expected
    assert page.locator("#recipes .copybtn").count() == len(blocks)
    names = {}
    exec(imports, names)
    assert {"torch", "nn", "F", "DataLoader", "tqdm"} <= set(names)


def test_terms_lead_to_the_chapters_that_use_them_most():
    texts = {
        "a": "A logit; logits, and a logits' sum.",
        "b": "logit",
        "c": "analogital",
    }
    assert glossary.uses("logit", texts) == ["a", "b"]
    assert glossary.uses("hook", texts) == []


def test_most_terms_of_the_glossary_lead_to_a_chapter(visit):
    page = visit("book/glossary.html").page
    terms = page.locator("#glossary > section")
    linked = terms.filter(has=page.locator(".used-in a"))
    assert linked.count() >= 0.85 * terms.count() > 30


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
    measured = [row for path in contents.notebooks() for row in claims.claims(path)]
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


@pytest.mark.parametrize("page", moved.load())
def test_renamed_heading_keeps_its_old_anchor(book, page):
    html = (book / f"{page}.html").read_text("utf-8")
    lost = [old for old in moved.load()[page] if html.count(f'id="{old}"') != 1]
    assert not lost, f"{page}.html: no anchor {lost}. See tools/moved.py."


def test_each_link_says_where_it_leads():
    """A screen reader lists links without the sentence around them."""
    empty = re.compile(r"\[(more|here|this|there|go|start|click here)\]\(", re.I)
    pages = [*ROOT.glob("book/*.md"), *ROOT.glob("notebooks/*.ipynb")]
    assert len(pages) > 20
    found = {p.name: empty.findall(p.read_text("utf-8")) for p in pages}
    assert {name: texts for name, texts in found.items() if texts} == {}
