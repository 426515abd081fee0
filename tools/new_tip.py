"""Write the files of a new tip: a little chapter that keeps every rule from the start.

    python tools/new_tip.py argmax_dim                          # into the last part
    python tools/new_tip.py argmax_dim "Data and evaluation"    # into another one

The templates lie in ``tools/new_tip/``. The chapter is run before a file is written, and
if anything fails, no file is.
"""

from __future__ import annotations

import contextlib
import keyword
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

sys.path.insert(0, str(Path(__file__).parent))
import contents
import listings
from set_up import set_up_code
from whole_file import write_whole

ROOT = contents.ROOT
TEMPLATES = Path(__file__).parent / "new_tip"
# A cell of chapter.md: a fenced block with its tags, or the Markdown between two of them.
FENCE = re.compile(r"^```python(.*)\n((?:.*\n)*?)```\n|^---\n", re.M)
NEXT = re.compile(r"^\*\*Next\.\*\* .*$", re.M)
SYMPTOMS = "book/data/symptoms.yml"
NAMES_END, ROWS_END = "\n\nkinds:\n", "\n\nquestions:\n"


def require_new(tip: str, part: str | None) -> str:
    """Return the part of the book that a tip will stand in.

    Raises:
        ValueError: if the name cannot be used, or is used already, or there is no such part.
    """
    if not re.fullmatch(r"[a-z]+(_[a-z]+)*", tip) or keyword.iskeyword(tip):
        raise ValueError(
            f"new_tip: TIP must be small letters and single underscores, got {tip!r}. "
            "Name the topic, such as `make new TIP=argmax_dim`."
        )
    taken = [path for path in places(tip).values() if (ROOT / path).exists()]
    if taken:
        raise ValueError(
            f"new_tip: TIP must be a new name, got {tip!r}, and {taken[0]} exists. "
            "Choose another name, or delete what is left of the old tip."
        )
    captions = [caption for caption, _ in contents.parts()]
    if part and part not in captions:
        raise ValueError(
            f"new_tip: PART must be one of {', '.join(captions)}, got {part!r}. For a "
            "new part, first move an existing chapter into it in _toc.yml."
        )
    return part or captions[-1]


def places(tip: str) -> dict[str, str]:
    """Return where each template goes: its name, and the path of the new file."""
    found = {
        "chapter.md": f"notebooks/{tip}.ipynb",
        "test.py": f"tests/chapters/test_{tip}.py",
    }
    for path in sorted((TEMPLATES / "folder").glob("*.*")):
        found[f"folder/{path.name}"] = f"helpers/chapters/{tip}/{path.name}"
    return found


def filled(template: str, tip: str) -> str:
    """Return a template's text with the name of the tip in it."""
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    text = text.replace("NewTip", tip.title().replace("_", ""))
    text = text.replace("New tip", tip.replace("_", " ").capitalize())
    return text.replace("new_tip", tip)


def notebook(text: str, set_up: str) -> NotebookNode:
    """Return the notebook that a template describes, not yet run."""
    cells, end = [], 0
    for match in [*FENCE.finditer(text + "---\n")]:
        if prose := text[end : match.start()].strip():
            cells.append(new_markdown_cell(prose))
        if match[2]:
            tags = match[1].split()
            source = set_up if "set-up" in tags else match[2].rstrip("\n")
            cells.append(new_code_cell(source, metadata={"tags": tags} if tags else {}))
        end = match.end()
    for number, cell in enumerate(cells, 1):
        cell.id = f"cell-{number:02}"
    return new_notebook(cells=cells)


def insert_after(path: Path, link: str) -> tuple[str, str]:
    """Return a notebook's text with another **Next.**, and the one that it had."""
    cells = nbformat.read(path, as_version=4)
    last = cells.cells[-1]
    old = NEXT.search(last.source)
    if not old:
        raise ValueError(
            f"{path.name}: the last cell must hold a line '**Next.** ...'."
        )
    last.source = NEXT.sub(lambda _: link, last.source)
    return nbformat.writes(cells, version=4) + "\n", old[0]


def connections(tip: str, part: str) -> tuple[dict[str, str], str]:
    """Return the files that lead to the new chapter, changed, and its own **Next.**"""
    previous = dict(contents.parts())[part][-1]
    title = filled("chapter.md", tip).splitlines()[0].removeprefix("# ")
    changed, onward = insert_after(previous, f"**Next.** [{title}]({tip}.ipynb)")
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    line = f"      - file: notebooks/{previous.stem}\n"
    symptoms = (ROOT / SYMPTOMS).read_text(encoding="utf-8")
    for name, text, mark in (
        ("_toc.yml", toc, line),
        (SYMPTOMS, symptoms, NAMES_END),
        (SYMPTOMS, symptoms, ROWS_END),
    ):
        if text.count(mark) != 1:
            raise ValueError(
                f"{name}: {mark!r} must stand there once. Write it so again."
            )
    name = tip.replace("_", " ").capitalize()
    rows = "\n\n" + filled("symptoms.yml", tip).rstrip("\n") + ROWS_END
    return {
        f"notebooks/{previous.name}": changed,
        "_toc.yml": toc.replace(line, line + line.replace(previous.stem, tip)),
        SYMPTOMS: symptoms.replace(NAMES_END, f"\n  {tip}: {name}{NAMES_END}").replace(
            ROWS_END, rows
        ),
    }, onward


def run_aside(texts: dict[str, str], tip: str) -> dict[str, str]:
    """Format and run the new files in a copy of the package, and return their texts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "helpers", folder / "helpers")
        shutil.copy(ROOT / "pyproject.toml", folder)
        for path, text in texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        new = [p for p in texts if p.endswith((".py", ".ipynb"))]
        ruff = [sys.executable, "-m", "ruff"]
        run = [sys.executable, ROOT / "tools/run.py", folder / f"notebooks/{tip}.ipynb"]
        for command in (
            [*ruff, "check", "--fix", "--quiet", *new],
            [*ruff, "format", "--quiet", *new],
            run,
        ):
            environment = os.environ | {"PYTHONPATH": name}
            subprocess.run(command, cwd=folder, env=environment, check=True)
        return {path: (folder / path).read_text(encoding="utf-8") for path in texts}


def write_all(texts: dict[str, str]) -> None:
    """Write every file; if one cannot be written, put back what stood there before."""
    before = {
        path: path.read_text(encoding="utf-8") if path.exists() else None
        for path in (ROOT / name for name in [*texts, *listings.LISTS])
    }
    try:
        for name, text in texts.items():
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(ROOT / name, text)
        listings.write()
    except BaseException:
        for path, text in before.items():
            if text is None:
                path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # not empty: it was there before
                    path.parent.rmdir()
            else:
                write_whole(path, text)
        raise


def make(tip: str, part: str | None = None) -> list[str]:
    """Write a new tip, and return the paths of its files.

    Raises:
        ValueError: for a name or a part that cannot be used.
        subprocess.CalledProcessError: if the chapter cannot be formatted or run.
    """
    part = require_new(tip, part)
    connected, onward = connections(tip, part)
    texts = {path: filled(template, tip) for template, path in places(tip).items()}
    path = f"notebooks/{tip}.ipynb"
    chapter = notebook(NEXT.sub(lambda _: onward, texts[path]), set_up_code())
    texts[path] = nbformat.writes(chapter, version=4)
    texts = run_aside(texts, tip)
    write_all(texts | connected)
    return [*texts, *connected]


def main(arguments: list[str]) -> int:
    tip, part, *_ = [*arguments, "", ""]
    try:
        written = make(tip, part or None)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"new_tip: {error}. Nothing was written.", file=sys.stderr)
        return 1
    print("\n".join(f"wrote {path}" for path in [*written, "README.md"]))
    print(f"Replace its parts one by one; prove each with `make check TIP={tip}`.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
