"""Every page in a real browser, in dark colours."""

import pytest
from visit import (
    ACCESSIBLE,
    NARROW,
    NARROWER,
    PAGES,
    SOUND,
    report,
    too_wide,
    violations,
)


@pytest.mark.parametrize("name", PAGES)
def test_dark_page_is_sound(visit, name):
    """No console error, no other host, nothing wider than the screen, no axe violation."""
    opened = visit(name, scheme="dark")
    assert not opened.errors, report(name, opened.errors, SOUND)
    assert opened.page.evaluate("document.documentElement.dataset.theme") == "dark"
    wide = too_wide(opened.page)
    assert not wide, report(name, wide, NARROWER)
    found = violations(opened.page)
    assert not found, report(name, found, ACCESSIBLE)


@pytest.mark.parametrize("name", ["book/index.html", "notebooks/bce_and_logits.html"])
def test_dark_phone_has_contrast_too(visit, name):
    found = violations(visit(name, viewport=NARROW, scheme="dark").page)
    assert not found, report(name, found, ACCESSIBLE)
