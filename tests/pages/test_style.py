"""One palette, legible, and no colour anywhere else."""

import re

import pytest
from repository import ROOT

from helpers.notebook import style

HEX = re.compile(r"#[0-9a-fA-F]{6}\b|#[0-9a-fA-F]{3}\b(?![\w-])")
# The palette, and pictures that cannot read it.
ALLOWED = {"helpers/notebook/style.py", "book/assets/favicon.svg"}


def luminance(color: str) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    channels = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def assert_contrast(role: str, ground: str, dark: bool, least: float) -> None:
    got = contrast(style.color(role, dark), style.color(ground, dark))
    assert got >= least, (
        f"{role} on {ground} in {'dark' if dark else 'light'} colours has a contrast of "
        f"{got:.2f}, less than {least}. Change one of them in helpers/notebook/style.py."
    )


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    "role", ["correct", "pitfall", "reference", "extra", "ink", "soft"]
)
@pytest.mark.parametrize("ground", ["page", "plate"])
def test_text_colours_are_legible(role, ground, dark):
    assert_contrast(role, ground, dark, 4.5)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("ground", ["page", "plate"])
def test_control_borders_are_visible(ground, dark):
    assert_contrast("control", ground, dark, 3)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("wash", ["correct-wash", "pitfall-wash"])
def test_text_on_callouts_is_legible(wash, dark):
    assert_contrast("ink", wash, dark, 7)


def test_every_curve_role_has_its_own_line_style():
    assert len(set(style.LINE_STYLES.values())) == len(style.LINE_STYLES)
    assert set(style.LINE_STYLES) <= set(style.PALETTE)


def test_css_holds_every_colour_of_both_columns():
    for role, pair in style.PALETTE.items():
        assert all(f"--mp-{role}: {color};" in style.css() for color in pair)


def test_unknown_role_is_named():
    with pytest.raises(ValueError, match="role must be one of correct, .* got 'blue'"):
        style.color("blue")


def test_no_colour_stands_elsewhere():
    found = []
    for folder in ("helpers", "book", "tools", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*")):
            name = path.relative_to(ROOT).as_posix()
            if path.suffix not in {".py", ".js", ".css", ".svg", ".md"}:
                continue
            if name not in ALLOWED and "reveal" not in path.parts:  # not ours
                found += [f"{name}: {h}" for h in HEX.findall(path.read_text("utf-8"))]
    assert not found, (
        f"{found}: colours stand in helpers/notebook/style.py alone. Write the role: "
        "var(--mp-correct) in CSS and JavaScript, style.color('correct') in Python."
    )


def test_the_icon_uses_the_palette():
    icon = (ROOT / "book/assets/favicon.svg").read_text()
    assert set(HEX.findall(icon)) <= {
        c for pair in style.PALETTE.values() for c in pair
    }
