"""What every widget shares: core.js before its own script, and a digest of its state."""

from __future__ import annotations

import hashlib
import inspect
import json
from pathlib import Path

import anywidget
from traitlets import Unicode, default

from helpers.notebook import style

CORE = Path(__file__).with_name("core")

# In an output's data: what the widget shows, so that a test that compares stored
# outputs sees a changed widget. Front ends ignore a type they do not know.
STATE_MIME = "application/vnd.measured-pytorch.widget+json"


class BookWidget(anywidget.AnyWidget):
    """An anywidget whose front end is ``core.js`` followed by its own script.

    The script, and the style sheet if there is one, lie beside the subclass's module and
    are named like it; those of a subclass's subclass follow. The subclass names itself in
    ``label``, and says in ``height_px`` how much room a page must keep for it before it
    is drawn.
    """

    label = "Widget"
    height_px = (400, 600)  # in a column of 688 px, and of 368 px

    _height_px = Unicode().tag(sync=True)  # read by the page before any script runs

    _esm = Unicode().tag(sync=True)
    _css = Unicode().tag(sync=True)

    @default("_esm")
    def _script(self) -> str:
        return "".join(path.read_text(encoding="utf-8") for path in self._files(".js"))

    @default("_css")
    def _style(self) -> str:
        sheets = [path for path in self._files(".css") if path.exists()]
        texts = [path.read_text(encoding="utf-8") for path in sheets]
        return style.css() + "".join(texts)

    @classmethod
    def _files(cls, suffix: str) -> list[Path]:
        """Return core's file, then the one beside the module of each class, base first."""
        own = [
            c for c in cls.__mro__ if issubclass(c, BookWidget) and c is not BookWidget
        ]
        modules = [Path(inspect.getfile(c)) for c in reversed(own)]
        return [path.with_suffix(suffix) for path in (CORE, *modules)]

    def __init__(self, **traits) -> None:
        known = shown_state(dict.fromkeys(self.trait_names(sync=True)))
        for name in traits:
            if name not in known:
                raise TypeError(
                    f"{type(self).__name__}: no setting {name!r}. It has: "
                    f"{', '.join(sorted(known))}."
                )
        super().__init__(**traits)
        self._height_px = "{} {}".format(*self.room_px())

    def room_px(self) -> tuple[int, int]:
        """Return the heights to keep, for a widget whose height depends on its content."""
        return self.height_px

    def __repr__(self) -> str:
        return f"{self.label}: run this cell to interact"

    def _repr_mimebundle_(self, **kwargs):
        data, *rest = super()._repr_mimebundle_(**kwargs)
        data["text/plain"] = repr(self)
        data[STATE_MIME] = {
            "widget": type(self).__name__,
            "state": state_digest(self.get_state()),
        }
        return data, *rest


def shown_state(state: dict) -> dict:
    """Return the part of a widget's state that a reader sees and may set."""
    # ipywidgets' own settings, the same for every widget of the book
    own = {"layout", "tabbable", "tooltip"}
    return {k: v for k, v in state.items() if not k.startswith("_") and k not in own}


def state_digest(state: dict) -> str:
    """Return 16 hex digits that change with anything a reader sees of a widget.

    Args:
        state: a widget's ``get_state()``, or the same from a stored notebook.
    """
    text = json.dumps(shown_state(state), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
