"""A build of the pages: warnings are errors, and only what changed is built again."""

import filecmp
import shutil

import build
import nbformat
import pytest
from nbformat import v4
from repository import ROOT, build_book

SMALL_BOOK = {
    "_toc.yml": "format: jb-book\nroot: book/index\nparts:\n- caption: All\n  chapters:\n"
    "  - file: book/more\n  - file: notebooks/tiny\n",
    "book/index.md": "# A book\n\n[More](more.md)\n\n:::{note}\nSmall.\n:::\n",
    "book/more.md": "# More\n\nText.\n",
}


def tiny(radius):
    """A notebook that shows one figure."""
    circle = f'<circle r="{radius}"/>'
    figure = f'<svg xmlns="http://www.w3.org/2000/svg" width="9">{circle}</svg>'
    shown = v4.new_output("display_data", {"image/svg+xml": figure})
    cells = [
        v4.new_markdown_cell("# Tiny\n\n*1 minute*", id="a"),
        v4.new_code_cell("show()", outputs=[shown], id="b"),
    ]
    language = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    return v4.new_notebook(cells=cells, metadata=language)


@pytest.fixture
def source(tmp_path):
    """A book of three pages, with the tools that build it."""
    folder = tmp_path / "source"
    for each in ("book/assets", "book/data", "tools", "helpers"):
        shutil.copytree(ROOT / each, folder / each)
    for name in ("_config.yml", "constraints.txt", "requirements-pages.txt"):
        shutil.copy(ROOT / name, folder)
    for name, text in SMALL_BOOK.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "notebooks").mkdir()
    nbformat.write(tiny(4), folder / "notebooks/tiny.ipynb")
    return folder


@pytest.mark.parametrize(
    "breakages",
    [
        [
            ("book/index.md", "more.md", "mohr.md"),  # a broken link
            ("book/index.md", "{note}", "{nohte}"),  # no such directive
        ],
        [("_toc.yml", "book/more", "book/moore")],  # a lost file
    ],
    ids=["link and directive", "file"],
)
def test_build_fails_on_a_warning(source, tmp_path, breakages):
    for name, old, new in breakages:
        assert old in SMALL_BOOK[name]
        text = (source / name).read_text("utf-8").replace(old, new)
        (source / name).write_text(text, encoding="utf-8")
    result = build_book(source, tmp_path)
    assert result.returncode != 0
    for *_, new in breakages:
        assert new.strip("{}").removeprefix("book/") in result.stdout + result.stderr
    assert not (tmp_path / "_build/ready").exists()


def test_whatever_a_page_is_made_from_builds_the_book_anew():
    """A row of book/data/ once changed, and the page stayed as it was."""
    known = set(build.files(build.PAGES + build.SHARED))
    needed = {*ROOT.glob("book/**/*.*"), *ROOT.glob("notebooks/*.ipynb")}
    assert ROOT / "book/index.md" in needed
    assert needed <= known, f"add to SHARED in tools/build.py: {needed - known}"


def built(source, output):
    """Return when each page was last written."""
    result = build_book(source, output)
    assert result.returncode == 0, result.stdout + result.stderr
    pages = output.glob("_build/html/[bn]*/*.html")
    return {page.stem: page.stat().st_mtime_ns for page in pages}


def unlike(one, other):
    """The files that two folders do not have alike."""
    names = {
        p.relative_to(f) for f in (one, other) for p in f.rglob("*") if p.is_file()
    }
    _, different, missing = filecmp.cmpfiles(one, other, names, shallow=False)
    return different + missing


def test_changed_page_alone_is_built_anew_and_as_in_a_full_build(source, tmp_path):
    first = built(source, tmp_path)
    assert built(source, tmp_path) == first  # nothing changed
    nbformat.write(tiny(5), source / "notebooks/tiny.ipynb")
    second = built(source, tmp_path)
    # The index, too: its list of pages names this one.
    assert [name for name in first if first[name] == second[name]] == ["more"]
    assert len(list(tmp_path.rglob("html/_images/*"))) == 1  # not the old one, too
    built(source, tmp_path / "full")
    assert unlike(tmp_path / "_build/html", tmp_path / "full/_build/html") == []


def test_changed_heading_builds_all_pages_anew(source, tmp_path):
    first = built(source, tmp_path)
    (source / "book/more.md").write_text("# Much more\n\nText.\n", encoding="utf-8")
    second = built(source, tmp_path)
    assert [name for name in first if first[name] == second[name]] == []
    assert "Much more" in (tmp_path / "_build/html/notebooks/tiny.html").read_text()
