"""The one palette: Matplotlib and every style sheet of the book take it from here.

The same quantity has the same colour in every chapter: what is right is blue, the
pitfall is vermilion, a reference is grey. Both columns are legible at 4.5:1 or more
on their own page colour, and the pairs stay apart for the common colour blindnesses.
"""

from helpers._arguments import require_choice

# role: (on a light page, on a dark page)
PALETTE = {
    "correct": ("#0067a5", "#5ab0ea"),
    "pitfall": ("#b84300", "#ff9a5c"),
    "reference": ("#5f6673", "#9aa4b2"),
    "extra": ("#6b4fa0", "#c0a5f0"),
    "ink": ("#1f2328", "#e6eaf0"),
    "soft": ("#57606a", "#a4afbd"),
    "line": ("#d5dae1", "#39424e"),
    "control": ("#7a828d", "#77818f"),
    "plate": ("#f6f8fa", "#1d232b"),
    "page": ("#ffffff", "#14181e"),
    "correct-wash": ("#e6f1f8", "#16293a"),
    "pitfall-wash": ("#fbeee6", "#38241a"),
}

# Colour is never the only sign: each role has its own line style too.
LINE_STYLES = {"correct": "-", "pitfall": "--", "reference": ":", "extra": "-."}

# How the places that show a widget say "dark": the book, JupyterLab, Colab, VS Code.
DARK_SELECTORS = (
    'html[data-theme="dark"]',
    'body[data-jp-theme-light="false"]',
    'html[theme="dark"]',
    "body.vscode-dark",
)


def color(role: str, dark: bool = False) -> str:
    """Return the hex colour of a role.

    Args:
        role: a key of ``PALETTE``, such as ``"correct"`` or ``"pitfall"``.
        dark: whether it stands on a dark page.

    Returns:
        ``"#rrggbb"``.

    Raises:
        ValueError: if the palette has no such role.

    Example:
        >>> color("correct")
        '#0067a5'
    """
    require_choice("color", "role", role, PALETTE)
    return PALETTE[role][bool(dark)]


def css() -> str:
    """Return the palette as CSS custom properties ``--mp-<role>``, light and dark.

    What is printed is light.

    Returns:
        The text of a style sheet.

    Example:
        >>> css().splitlines()[0][:34]
        ':root { --mp-correct: #0067a5; --m'
    """
    light, dark = (
        " ".join(f"--mp-{role}: {pair[i]};" for role, pair in PALETTE.items())
        for i in (0, 1)
    )
    selectors = ", ".join(DARK_SELECTORS)
    return f":root {{ {light} }}\n@media screen {{ {selectors} {{ {dark} }} }}\n"


def use() -> None:
    """Set Matplotlib's defaults to the book's style: size, resolution, colours."""
    import matplotlib as mpl

    ink, soft = color("ink"), color("soft")
    mpl.rcParams.update(
        {
            "figure.figsize": (7.0, 2.9),
            "figure.dpi": 100,
            "savefig.dpi": 200,
            "figure.facecolor": color("page"),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": soft,
            "axes.labelcolor": ink,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "axes.prop_cycle": mpl.cycler(
                color=[color(role) for role in LINE_STYLES],
                linestyle=list(LINE_STYLES.values()),
            ),
            "font.size": 10,
            "legend.frameon": False,
            "lines.linewidth": 2,
            "text.color": ink,
            "xtick.color": soft,
            "ytick.color": soft,
        }
    )
