"""The book's widgets: all their arithmetic runs in the browser, so they need no kernel.

``from helpers.widgets import BceExplorer`` loads ``bce_explorer.py`` and no other.
"""

import importlib
import re


def __getattr__(name: str):
    stem = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    try:
        module = importlib.import_module(f"{__name__}.{stem}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{stem}":
            raise  # a package that the widget needs, such as anywidget
        raise AttributeError(f"helpers.widgets has no widget {name!r}") from None
    return getattr(module, name)
