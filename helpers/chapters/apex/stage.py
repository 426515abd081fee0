"""Stand-ins for packages: what an import meets, whatever this machine has installed."""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
from pathlib import Path, PurePosixPath
from types import ModuleType


@contextmanager
def stand_in(name: str, **attributes: object) -> Iterator[ModuleType]:
    """Put a module made in memory where an import of ``name`` finds it.

    Args:
        name: the module's name, without dots.
        **attributes: what the module has; anything else cannot be imported from it.

    Its ``__file__`` is the path that an installed package shows, shortened.

    Example:
        >>> with stand_in("apex", optimizers=None):
        ...     from apex import amp
        Traceback (most recent call last):
        ...
        ImportError: cannot import name 'amp' from 'apex' (site-packages/apex/__init__.py)
    """
    _require_name("stand_in", name)
    with _modules_given_back(name):
        module = ModuleType(name)
        module.__file__ = f"site-packages/{name}/__init__.py"
        vars(module).update(attributes)
        sys.modules[name] = module
        yield module


@contextmanager
def absent(name: str) -> Iterator[None]:
    """Make an import of ``name`` fail as it does where the package is not installed.

    Args:
        name: the module's name, without dots.

    Example:
        >>> with absent("apex"):
        ...     import apex
        Traceback (most recent call last):
        ...
        ModuleNotFoundError: No module named 'apex'
    """
    _require_name("absent", name)

    class Nothing:
        @staticmethod
        def find_spec(wanted, path=None, target=None):
            if wanted == name:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    with _modules_given_back(name):
        sys.meta_path.insert(0, Nothing)
        try:
            yield
        finally:
            sys.meta_path.remove(Nothing)


@contextmanager
def only_on_path(files: Iterable[str]) -> Iterator[Path]:
    """Make a folder of empty files the only place from which packages are imported.

    Args:
        files: their paths in the folder, such as ``"apex/__init__.py"``.

    Raises:
        ValueError: for a path that leaves the folder.

    Example:
        >>> with only_on_path(["apex/__init__.py"]):
        ...     importlib.util.find_spec("apex").name
        'apex'
    """
    paths = [PurePosixPath(file) for file in files]
    for path in paths:
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(
                f"only_on_path: files must lie in the folder, got '{path}'. "
                "Write a path such as 'apex/__init__.py'."
            )
    # Names that a stand-in file of the first level could give to a module.
    names = {path.parts[0].partition(".")[0] for path in paths} | {"apex"}
    before = sys.path[:], sys.meta_path[:]
    with tempfile.TemporaryDirectory() as folder, _modules_given_back(*names):
        for path in paths:
            (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / path).touch()
        sys.path[:] = [folder]
        # Editable installs bring finders of their own, which do not look at the path.
        sys.meta_path[:] = [BuiltinImporter, FrozenImporter, PathFinder]
        importlib.invalidate_caches()
        try:
            yield Path(folder)
        finally:
            sys.path[:], sys.meta_path[:] = before
            importlib.invalidate_caches()


@contextmanager
def _modules_given_back(*names: str) -> Iterator[None]:
    """Take modules and their submodules out, and put them back afterwards."""

    def theirs() -> dict[str, ModuleType]:
        return {k: m for k, m in sys.modules.items() if k.partition(".")[0] in names}

    before = theirs()
    for name in before:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in theirs():
            del sys.modules[name]
        sys.modules.update(before)


def _require_name(caller: str, name: object) -> None:
    """Raise an error unless a name is that of a top-level module."""
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(
            f"{caller}: name must be a module's name without dots, got {name!r}. "
            "Try 'apex'."
        )
