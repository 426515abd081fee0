"""Figures with alt text: drawn small in a chapter, told in words beside the picture."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from helpers._arguments import (
    require,
    require_choice,
    require_shape,
    require_some,
    require_type,
)
from helpers.notebook.style import LINE_STYLES, color

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def panels(titles: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """Make a figure with one panel per title, side by side.

    Args:
        titles: strings; four at most stay legible.

    Returns:
        The figure and its axes, left to right.

    Raises:
        TypeError: if ``titles`` is not a list or tuple.

    Example:
        >>> figure, axes = panels(["loss", "gradient"])
        >>> [ax.get_title(loc="left") for ax in axes]
        ['loss', 'gradient']
    """
    require_type("panels", "titles", titles, (list, tuple), "Write panels([title]).")
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    if len(titles) == 1:  # narrow, so that a phone shows its letters large enough
        figure.set_figwidth(5)
    axes = figure.subplots(1, len(titles), squeeze=False)[0]
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title, loc="left")
    return figure, list(axes)


def line(ax: Axes, x, y, label: str, role: str = "correct") -> None:
    """Draw one labelled curve in the colour and line style of its role.

    Args:
        ax: Matplotlib axes.
        x: numbers ``(N,)``: tensor, array or list.
        y: numbers ``(N,)``.
        label: the legend's text.
        role: ``"correct"``, ``"pitfall"``, ``"reference"`` or ``"extra"``.

    Raises:
        ValueError: if ``x`` or ``y`` are not numbers ``(N,)``, are empty or differ in
            length, or the role has no line style.

    Example:
        >>> figure, (ax,) = panels(["loss"])
        >>> line(ax, [0, 1], [0.7, 0.2], "training loss")
        >>> ax.lines[0].get_label()
        'training loss'
    """
    require_choice("line", "role", role, LINE_STYLES)
    x, y = _numbers("x", x), _numbers("y", y)
    ax.plot(x, y, color=color(role), linestyle=LINE_STYLES[role], label=label)


def _numbers(name: str, values: object):
    """Return a NumPy array ``(N,)`` of four digits, from a tensor with a gradient too.

    Later digits are a processor's own, and with them some pixels would be.
    """
    import numpy as np

    if hasattr(values, "detach"):  # bfloat16 has no NumPy type of its own
        values = values.detach().cpu().double()
    array = np.asarray(values, dtype=float)
    curve, must = array.ndim == 1 and array.size, "(N,) with at least one number"
    require_shape("line", name, array, curve, must, "Pass one curve at a time.")
    return np.array([float(f"{number:.4g}") for number in array])


def describe(figure: Figure) -> str:
    """Return what a figure's curves show, in words and three significant digits.

    Stored beside the picture, so a screen reader has the numbers, and a test that
    compares stored text notices a curve that changed.

    Args:
        figure: a Matplotlib figure of curves.

    Returns:
        One line per curve: label, number of points, first, last, lowest, highest.

    Example:
        >>> figure, (ax,) = panels(["loss"])
        >>> line(ax, [0, 1], [0.71234, 0.2], "training")
        >>> describe(figure)
        'loss | training: 2 points, first 0.712, last 0.2, lowest 0.2, highest 0.712'
    """
    rows = []
    for ax in figure.axes:
        for name, ys in _series(ax):
            rows.append(
                f"{ax.get_title(loc='left')} | {name}: {len(ys)} points, "
                f"first {ys[0]:.3g}, last {ys[-1]:.3g}, "
                f"lowest {min(ys):.3g}, highest {max(ys):.3g}"
            )
    return "\n".join(rows)


def _series(ax: Axes) -> Iterator[tuple[str, list[float]]]:
    """Name everything drawn on axes, with its heights: curves, bars, dots, pictures."""
    drawn = [(curve.get_label(), curve.get_ydata()) for curve in ax.lines]
    for bars in ax.containers:
        if hasattr(bars, "patches"):
            drawn.append((bars.get_label(), [bar.get_height() for bar in bars.patches]))
    for dots in ax.collections:
        if hasattr(dots, "get_offsets"):
            drawn.append((dots.get_label(), [y for _, y in dots.get_offsets()]))
    drawn += [("picture", picture.get_array().ravel()) for picture in ax.images]
    for name, ys in drawn:
        hidden = str(name).startswith("_")  # Matplotlib's mark for "no legend"
        if len(ys) and not (hidden and len(drawn) > 1):
            yield ("values" if hidden else name), [float(y) for y in ys]


def show(figure: Figure, alt: str) -> None:
    """Display a figure with its alt text, as a PNG that is sharp on any screen.

    Args:
        figure: the figure.
        alt: what it shows, in one or two sentences of at least 20 characters.

    Raises:
        ValueError: if ``alt`` says too little, or the figure shows no numbers.
    """
    sentence = isinstance(alt, str) and len(alt.strip()) >= 20
    must = "alt must say in a sentence what the figure shows"
    advice = "Write what a reader who cannot see it needs to know."
    require(sentence, ValueError, "show", must, repr(alt), advice)
    drawn, advice = describe(figure), "Draw it before you show it."
    require_some("show", "figure", drawn, "curve, bar, dot or picture", advice)
    from IPython.display import display

    for ax in figure.axes:
        if ax.get_legend_handles_labels()[1] and not ax.get_legend():
            ax.legend(loc="best")
    width_px, _ = figure.get_size_inches() * 100
    display(
        {"image/png": _png(figure), "text/plain": f"{alt}\n{describe(figure)}"},
        metadata={"image/png": {"alt": alt, "width": round(width_px)}},
        raw=True,
    )


def _png(figure: Figure) -> bytes:
    """Draw a figure as a PNG of 64 colours: a third of the weight, no visible loss."""
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    Image.open(drawn).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(
        small, format="png", optimize=True
    )
    return small.getvalue()
