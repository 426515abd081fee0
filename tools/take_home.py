"""What the take-home helpers say of themselves, read from their source without import."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
import contents

ROOT = contents.ROOT


class Helper(NamedTuple):
    """One name that a reader may import from ``helpers``.

    Attributes:
        name: such as ``pos_weight``.
        summary: the first line of its docstring, in Markdown.
        example: the code of its example, with what it prints as comments; may be empty.
        source: the file that defines it, from the repository's root.
        chapter: the notebook that uses it.
    """

    name: str
    summary: str
    example: str
    source: str
    chapter: Path


def helpers() -> list[Helper]:
    """Return every name of ``helpers.__all__``, by module, and ``start`` last.

    Raises:
        LookupError: if a name is not defined where ``TAKE_HOME`` says, has no docstring,
            or is used by no chapter.
    """
    modules = {**_take_home(), "__init__": ("start",)}
    known = {name for names in modules.values() for name in names}
    found = []
    for module, names in modules.items():
        for name in names:
            source, node = _definition(module, name)
            text = ast.get_docstring(node)
            if not text:
                raise LookupError(f"{source}: {name} has no docstring. Write one.")
            summary, example = _markdown(text.splitlines()[0]), _example(text, known)
            found.append(Helper(name, summary, example, source, _chapter(name, names)))
    return found


def _take_home() -> dict[str, tuple[str, ...]]:
    """Return ``helpers.TAKE_HOME``."""
    for node in _tree(ROOT / "helpers/__init__.py").body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TAKE_HOME":
            return ast.literal_eval(node.value)
    raise LookupError("helpers/__init__.py: TAKE_HOME = {...} is not there.")


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _definition(module: str, name: str) -> tuple[str, ast.FunctionDef | ast.ClassDef]:
    """Return the file and the node of a name, of a module or in a package."""
    place = ROOT / "helpers" / module
    files = sorted(place.glob("*.py")) if place.is_dir() else [Path(f"{place}.py")]
    for path in files:
        for node in _tree(path).body:
            defines = isinstance(node, (ast.FunctionDef, ast.ClassDef))
            if defines and node.name == name:
                return path.relative_to(ROOT).as_posix(), node
    raise LookupError(
        f"helpers/__init__.py: TAKE_HOME names {name}, which helpers/{module} does not "
        "define. Correct one of them."
    )


def _markdown(text: str) -> str:
    """Return a line of a docstring with its code as Markdown writes it."""
    return re.sub(r"``([^`]+)``|:\w+:`~?(?:\w+\.)*(\w+)`", r"`\1\2`", text)


def _example(text: str, known: set[str]) -> str:
    """Return the docstring's example as code to copy, what it prints as comments."""
    found = re.search(r"^Example:\n((?:    .*\n|\n)+)", text + "\n", re.M)
    if not found:
        return ""
    code = "\n".join(
        line[4:] if line.startswith((">>> ", "... ")) else f"# {line}"
        for line in dedent(found[1]).strip().splitlines()
    )
    if "from helpers import" in code:
        return code
    used = {n.id for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Name)} & known
    return f"from helpers import {', '.join(sorted(used))}\n\n{code}"


def _chapter(name: str, mates: tuple[str, ...]) -> Path:
    """Return the chapter that imports a name, or names it, or does so for its module."""
    for pattern in _patterns(name, mates):
        for path, text in _texts().items():
            if re.search(pattern, text):
                return path
    raise LookupError(
        f"{name}: no notebook imports it from helpers, nor names it. Use it in one."
    )


@cache
def _texts() -> dict[Path, str]:
    """Return what the cells of each notebook say, read once for all names."""
    sources = {
        p: [c["source"] for c in contents.cells(p)] for p in contents.notebooks()
    }
    return {path: "\n\n".join(texts) for path, texts in sources.items()}


def _patterns(name: str, mates: tuple[str, ...]) -> Iterator[str]:
    imported = r"from helpers import [^\n]*\b{}\b"
    yield imported.format(name)
    yield rf"\bhelpers\.{name}\b"
    for mate in mates:
        yield imported.format(mate)
