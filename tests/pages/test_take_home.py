"""The page of the take-home helpers: every name, its example, the chapter that uses it."""

import re

import pytest
import take_home
import torch

import helpers

HELPERS = take_home.helpers()


def test_page_has_every_name_and_start_last():
    names = [helper.name for helper in HELPERS]
    assert sorted(names) == sorted(helpers.__all__)
    assert names[-1] == "start"


@pytest.mark.parametrize("helper", HELPERS, ids=lambda h: h.name)
def test_name_stands_on_the_page_with_example_and_chapter(book, helper):
    html = (book / "book/take_home.html").read_text("utf-8")
    sections = re.split(r"<h2>", html)
    (section,) = (s for s in sections if re.match(rf"<code.*>{helper.name}<", s))
    text = re.sub(r"<[^>]+>", "", section).replace("&quot;", '"').replace("&gt;", ">")
    assert helper.chapter.stem in section, f"{helper.name}: no link to its chapter"
    assert f"/{helper.source}" in section, f"{helper.name}: no link to its source"
    for line in helper.example.splitlines():
        assert line in text.replace("&#39;", "'").replace("&lt;", "<"), line


@pytest.mark.parametrize("helper", HELPERS, ids=lambda h: h.name)
def test_example_runs_as_it_stands_on_the_page(helper):
    value = getattr(helpers, helper.name)
    if isinstance(value, type) and issubclass(value, Exception):
        assert helper.example == ""
        return
    assert re.search(rf"from helpers import .*\b{helper.name}\b", helper.example)
    exec(helper.example, {"torch": torch, "nn": torch.nn})


def test_source_defines_the_name():
    for helper in HELPERS:
        text = (take_home.ROOT / helper.source).read_text("utf-8")
        assert re.search(rf"^(def|class) {helper.name}\b", text, re.M), helper


def test_docstring_becomes_markdown():
    line = "Return ``x`` of :func:`~helpers.losses.pos_weight`, a :class:`Split`."
    plain = "Return `x` of `pos_weight`, a `Split`."
    assert take_home._markdown(line) == plain


def test_name_that_no_module_defines_is_told():
    with pytest.raises(
        LookupError, match="TAKE_HOME names nobody, which helpers/losses"
    ):
        take_home._definition("losses", "nobody")


def test_name_that_no_chapter_uses_is_told():
    with pytest.raises(LookupError, match="nobody: no notebook imports it"):
        take_home._chapter("nobody", ("nobody",))
