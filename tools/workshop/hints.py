"""What each check says to which wrong answer, read from its code: no PyTorch is needed."""

from __future__ import annotations

import ast
import re
from pathlib import Path

Said = tuple[str, str]  # a wrong answer, "" if it cannot be told in short; the hint
WORD = re.compile(r"[^\W\d_]{2,}")
ADDED = re.compile(r"(?<=[.?!])\s*…$")  # another sentence, known when the check runs


def hints(check: Path, exercise: str) -> list[Said]:
    """Return the hints of one exercise, in the order in which they are tried.

    Args:
        check: a chapter's ``check.py``.
        exercise: the name of a check in it.

    Raises:
        ValueError: if the file has no check of this name, or it gives no hint.
    """
    names = _definitions(ast.parse(check.read_text(encoding="utf-8")))
    if exercise not in names:
        raise ValueError(f"{check}: no check is named {exercise!r}.")
    found: dict[Said, None] = {}
    for node in _reached(names, exercise):
        told = [(answer, ADDED.sub("", text)) for answer, text in _said(node)]
        found |= dict.fromkeys(s for s in told if _says_something(s[1]))
    if not found:
        raise ValueError(f"{check}: {exercise} gives no hint to any wrong answer.")
    return list(found)


def _says_something(text: str) -> bool:
    """Return whether a hint is a sentence without what the check fills in."""
    words = len(WORD.findall(text))
    return text.endswith((".", "?", "!")) and words >= max(3, 2 * text.count("…"))


def _definitions(tree: ast.Module) -> dict[str, ast.AST]:
    """Return what a module defines at its top, by name."""
    names: dict[str, ast.AST] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[node.name] = node
        elif isinstance(node, ast.Assign):
            names |= {t.id: node for t in node.targets if isinstance(t, ast.Name)}
    return names


def _reached(names: dict[str, ast.AST], start: str) -> list[ast.AST]:
    """Return a definition and those that it uses, directly or by others."""
    order = [start]
    for name in order:
        own = _own_names(names[name])
        used = [n.id for n in ast.walk(names[name]) if isinstance(n, ast.Name)]
        used = [n for n in used if n not in own]
        order += [n for n in dict.fromkeys(used) if n in names and n not in order]
    return [names[name] for name in order]


def _own_names(node: ast.AST) -> set[str]:
    """Return the arguments and variables of a definition: they hide what is outside."""
    names = {
        n.id
        for n in ast.walk(node)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    return names | {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}


def _said(node: ast.AST) -> list[Said]:
    """Return the hints that one definition gives."""
    found = _constants(node.value) if isinstance(node, ast.Assign) else []
    for part in ast.walk(node):
        if isinstance(part, ast.If):
            found += _if_equal(part)
        elif isinstance(part, ast.Call):
            found += _called(part)
    # One that is named with its answer is not listed a second time without it.
    told = {text for answer, text in found if answer}
    return [(answer, text) for answer, text in found if answer or text not in told]


def _constants(value: ast.AST) -> list[Said]:
    """Return the sentences of a list, or a dict such as ``{"K": ("B", "think of it.")}``."""
    if isinstance(value, ast.Dict):
        pairs = list(zip(value.keys, value.values, strict=True))
    else:
        pairs = [(None, each) for each in getattr(value, "elts", [])]
    return [(_label(key), text) for key, each in pairs for text in _sentences(each)]


def _called(call: ast.Call) -> list[Said]:
    """Return the hint of ``hint(text)`` or ``Hint(low, high, text)``, or a table's hints."""
    name = getattr(call.func, "id", "")
    if name == "hint":
        return [("", text) for text in _sentences(call.args[0])]
    if name == "Hint":
        low, high, text = call.args
        ends = dict.fromkeys([_number(low), _number(high)])
        return [(" to ".join(ends), _text(text))]
    if name == "TableCheck":
        (table,) = (k.value for k in call.keywords if k.arg == "hints")
        return [("", _text(value)) for value in table.values]
    return []


def _number(node: ast.AST) -> str:
    """Return a number as people write it: 7e6 as 7,000,000; an expression as it stands."""
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)
    return f"{int(value):,}" if value == int(value) else ast.unparse(node)


def _if_equal(test: ast.If) -> list[Said]:
    """Return the hint below ``if answer == <literal>``."""
    compared = test.test
    if not (isinstance(compared, ast.Compare) and isinstance(compared.ops[0], ast.Eq)):
        return []
    try:
        answer = ast.literal_eval(compared.comparators[0])
    except ValueError:
        return []
    returned = test.body[-1]
    if isinstance(returned, ast.Return) and isinstance(returned.value, ast.Call):
        return [(repr(answer), text) for _, text in _called(returned.value)]
    return []


def _label(key: ast.AST | None) -> str:
    """Return a dict's key if it is a word."""
    word = isinstance(key, ast.Constant) and isinstance(key.value, str)
    return key.value if word else ""


def _sentences(node: ast.AST) -> list[str]:
    """Return the sentences in an expression; a choice between two gives both."""
    if isinstance(node, ast.IfExp):
        return _sentences(node.body) + _sentences(node.orelse)
    if isinstance(node, ast.Tuple | ast.List):
        return [text for element in node.elts for text in _sentences(element)]
    text = _text(node)
    return [text] if " " in text else []


def _text(node: ast.AST) -> str:
    """Return a text; what is only known when it runs becomes dots."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    return "…"
