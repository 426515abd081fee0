"""The rules of the house: who may import whom, one stem for one tip, few raising lines."""

import ast
import io
import tokenize

import pytest
from contents import notebooks
from repository import ROOT

HELPERS = ROOT / "helpers"
MODULES = sorted(HELPERS.rglob("*.py"))


def imports(path):
    """Return every module name that a file imports, at whatever depth it does so."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
    return found


def room(path):
    return path.relative_to(HELPERS).parts[:-1]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(HELPERS)))
def test_nothing_imports_upward(path):
    """Chapters use everything below them, never one another; nothing uses a chapter."""
    chapters = {m for m in imports(path) if m.startswith("helpers.chapters.")}
    own = "helpers." + ".".join(room(path)[:2])  # of a chapter: helpers.chapters.<tip>
    foreign = {m for m in chapters if m != own and not m.startswith(f"{own}.")}
    assert not foreign, (
        f"{path.relative_to(ROOT)} imports {sorted(foreign)}. What two chapters use "
        "belongs into helpers/notebook/; what a reader takes home, to the top."
    )


TAKE_HOME = [p for p in MODULES if room(p) in ((), ("checkpoints",))]


@pytest.mark.parametrize("path", TAKE_HOME, ids=lambda p: str(p.relative_to(HELPERS)))
def test_take_home_modules_use_nothing_of_the_book(path):
    rooms = ("notebook", "exercises", "widgets", "chapters")
    used = {
        m for m in imports(path) if m.startswith(tuple(f"helpers.{r}" for r in rooms))
    }
    if path == HELPERS / "__init__.py":  # start() sets the figure style
        used -= {"helpers.notebook", "helpers.notebook.style"}
    assert not used, f"{path.relative_to(ROOT)} imports {sorted(used)}"


# Where another library's internals may be used: one module for each library.
INTERNALS = {
    "_torch_internals.py": "PyTorch",
    "flops.py": "thop, and the operators that PyTorch runs",
    "state_dicts.py": "the metadata and loading methods of state dicts",
    "chapters/progress_bars/stage.py": "tqdm's monitor",
}


def internals(path):
    """Return the private names that a file takes from modules and objects not its own."""
    tree = ast.parse(path.read_text("utf-8"))
    own = {n.name for n in ast.walk(tree) if hasattr(n, "name")}
    own |= {"_replace", "_asdict", "_fields"}  # public, of named tuples
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith(
            ("helpers", "__future__")
        ):
            parts = [*node.module.split("."), *(a.name for a in node.names)]
            found |= {f"{node.module}: {p}" for p in parts if p.startswith("_")}
        elif isinstance(node, ast.Attribute):
            private = node.attr.startswith("_") and not node.attr.endswith("__")
            base = getattr(node.value, "id", "")
            if private and base not in ("self", "cls") and node.attr not in own:
                found.add(f"{ast.unparse(node.value)}.{node.attr}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(HELPERS)))
def test_internals_of_other_libraries_stay_in_one_module_each(path):
    name = str(path.relative_to(HELPERS))
    found = sorted(internals(path))
    assert bool(found) == (name in INTERNALS), (
        f"helpers/{name} uses the internals {found}. PyTorch's belong into "
        "helpers/_torch_internals.py; another library's into one module, named in INTERNALS."
    )


def test_every_public_module_at_the_top_is_in_the_door():
    import helpers

    modules = {p.stem for p in HELPERS.glob("[a-z]*.py")}
    assert modules | {"checkpoints"} == set(helpers.TAKE_HOME)


def test_one_stem_for_one_tip():
    """A notebook, its chapter's folder and its test are named alike."""
    stems = {path.stem for path in notebooks()}
    folders = {p.parent.name for p in HELPERS.glob("chapters/*/__init__.py")}
    assert folders == stems
    for stem in sorted(stems):
        assert (ROOT / f"tests/chapters/test_{stem}.py").exists(), (
            f"tests/chapters/test_{stem}.py is missing: each tip has a test of its name."
        )
        assert (HELPERS / "chapters" / stem / "check.py").exists()


BLANK = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def lines_of(nodes):
    return {
        i for first, last in nodes for i in range(first.lineno, last.end_lineno + 1)
    }


def code_lines(source, tree):
    """Return the numbers of all lines that hold code: no comment, blank or docstring."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    spans = [(t.start[0], t.end[0]) for t in tokens if t.type not in BLANK]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = [n for n in ast.walk(tree) if isinstance(n, documented)]
    texts = [n.body[0] for n in nodes if ast.get_docstring(n) is not None]
    lines = {i for first, last in spans for i in range(first, last + 1)}
    return lines - lines_of((text, text) for text in texts)


def raising_lines(tree):
    """Return the lines that raise, with the conditions of it, or call ``require...()``."""
    found = []
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        guarded = isinstance(node, (ast.If, ast.ExceptHandler))
        if guarded and isinstance(body[-1], ast.Raise):
            found.append((node, body[-1]))
        elif isinstance(node, ast.Raise):
            found.append((node, node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = node.value.func
            name = getattr(called, "id", getattr(called, "attr", ""))
            found += [(node, node)] * ("require" in name)
    return lines_of(found)


def test_at_most_12_per_cent_of_the_code_raises():
    """Else checks of arguments crowd out what a helper is for."""
    code, raising = {}, {}
    for path in MODULES:
        if room(path)[:1] != ("checkpoints",):
            source = path.read_text("utf-8")
            tree = ast.parse(source)
            code[path] = len(lines := code_lines(source, tree))
            raising[path] = len(lines & raising_lines(tree))
    share = sum(raising.values()) / sum(code.values())
    most = sorted(code, key=raising.get, reverse=True)[:5]
    names = [f"{p.relative_to(ROOT)} ({raising[p]} of {code[p]})" for p in most]
    assert share <= 0.12, (
        f"{share:.1%} of the lines of code raise. Make a check one call of "
        f"helpers/_arguments.py, or leave it out. Most have: {', '.join(names)}."
    )
