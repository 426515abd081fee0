"""Every page in a real browser, in dark colours."""

import pytest
from visit import NARROW, PAGES, too_wide_px, violations


@pytest.mark.parametrize("name", PAGES)
def test_dark_page_is_sound(visit, name):
    """No console error, no other host, nothing wider than the screen, no axe violation."""
    opened = visit(name, scheme="dark")
    assert opened.errors == []
    assert opened.page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert too_wide_px(opened.page) <= 0
    assert violations(opened.page) == []


@pytest.mark.parametrize("name", ["book/index.html", "notebooks/bce_and_logits.html"])
def test_dark_phone_has_contrast_too(visit, name):
    assert violations(visit(name, viewport=NARROW, scheme="dark").page) == []
