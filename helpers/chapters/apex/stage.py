"""Stand-ins for packages: what an import finds, whatever this machine has installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from unittest import mock


@contextmanager
def stand_in(name: str, **attributes: object) -> Iterator[None]:
    """Let an import of ``name`` find a module that is made in memory.

    Its ``__file__`` is the path that an installed package shows, shortened.

    Args:
        name: the module's name, without dots.
        **attributes: what the module has; anything else cannot be imported from it.

    Example:
        >>> with stand_in("apex", optimizers=None):
        ...     from apex import amp
        Traceback (most recent call last):
        ...
        ImportError: cannot import name 'amp' from 'apex' (site-packages/apex/__init__.py)
    """
    module = ModuleType(name)
    module.__file__ = f"site-packages/{name}/__init__.py"
    vars(module).update(attributes)
    with mock.patch.dict(sys.modules, {name: module}):
        yield


@contextmanager
def absent(name: str) -> Iterator[None]:
    """Make an import of ``name`` fail as it does where the package is not installed.

    ``sys.modules[name] = None`` would be shorter, and say "import of apex halted".

    Args:
        name: the module's name, without dots.

    Example:
        >>> with absent("apex"):
        ...     import apex
        Traceback (most recent call last):
        ...
        ModuleNotFoundError: No module named 'apex'
    """

    class Nothing:
        @staticmethod
        def find_spec(wanted, path=None, target=None):
            if wanted == name:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    finders = mock.patch.object(sys, "meta_path", [Nothing, *sys.meta_path])
    with mock.patch.dict(sys.modules), finders:
        sys.modules.pop(name, None)
        yield
