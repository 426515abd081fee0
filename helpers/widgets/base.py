"""What every widget shares: one module text, one style sheet, a repr without an address."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from pathlib import Path

import anywidget
from traitlets import List, Unicode, default

from helpers.notebook import style

CORE = Path(__file__).with_name("core.py")

# In an output's data: what the widget shows, so that a test that compares stored
# outputs sees a changed widget. Front ends ignore a type they do not know.
STATE_MIME = "application/vnd.measured-pytorch.widget+json"


def fresh_list(make: Callable[[], list]) -> List:
    """Return a synced list trait whose default no two widgets share."""

    class FreshList(List):
        def make_dynamic_default(self) -> list:
            return make()

    return FreshList().tag(sync=True)


class BookWidget(anywidget.AnyWidget):
    """An anywidget whose front end is ``core.js`` followed by its own script.

    The script, and the style sheet if there is one, lie beside the subclass's module and
    are named like it. The subclass names itself in ``label``, and says in ``height_px``
    how much room a page must keep for it before it is drawn.
    """

    label = "Widget"
    height_px = (400, 600)  # in a column of 688 px, and of 368 px

    _height_px = Unicode().tag(sync=True)  # read by the page before any script runs

    _esm = Unicode().tag(sync=True)
    _css = Unicode().tag(sync=True)

    @default("_esm")
    def _module_text(self) -> str:
        return _read(CORE, ".js") + _read(self._module(), ".js")

    @default("_css")
    def _style_text(self) -> str:
        own = _read(self._module(), ".css", missing="")
        return style.css() + _read(CORE, ".css") + own

    @classmethod
    def _module(cls) -> Path:
        return Path(inspect.getfile(cls))

    def __init__(self, **traits) -> None:
        known = self.trait_names(sync=True)
        for name in traits:
            if name not in known or name.startswith("_"):
                shown = ", ".join(sorted(shown_state(dict.fromkeys(known))))
                raise TypeError(
                    f"{type(self).__name__}: no setting {name!r}. It has: {shown}."
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


def _read(module: Path, suffix: str, missing: str | None = None) -> str:
    """Return the text of the file beside a module that differs in its suffix."""
    path = module.with_suffix(suffix)
    if missing is not None and not path.exists():
        return missing
    return path.read_text(encoding="utf-8")
