"""The folder that a workshop hands out: complete, or not there."""

import re
import zipfile

import contents
import pytest

pytestmark = pytest.mark.workshop  # needs requirements-workshop.txt
CHAPTERS = contents.notebooks()[:2]


def fake_handout(folder, built, paths):
    folder.mkdir()
    for name in ("recipes.pdf", "book.pdf"):
        (folder / name).write_bytes(b"%PDF")


@pytest.fixture
def kit(book, tmp_path, monkeypatch):
    """Write a workshop of two chapters; the handout has tests of its own."""
    import workshop

    monkeypatch.setattr(workshop.handout, "write", fake_handout)
    workshop.write(tmp_path / "kit", book, CHAPTERS, [3.5])
    return tmp_path / "kit"


def test_stick_holds_what_the_folder_holds(kit):
    with zipfile.ZipFile(kit / "room.zip") as room:
        names = {name for name in room.namelist() if not name.endswith("/")}
    files = {str(p.relative_to(kit)) for p in kit.rglob("*") if p.is_file()}
    assert names == files - {"room.zip"}
    assert {"index.html", "book/index.html", "slides/index.html"} <= names
    assert {n for n in names if n.endswith(".ipynb") and "student" in n} == {
        f"student/notebooks/{path.name}" for path in CHAPTERS
    }


def test_links_of_its_own_pages_lead_somewhere(kit):
    for name in ("index.html", "timetable.html", "slides/index.html"):
        page = kit / name
        for target in re.findall(r'(?:href|src)="([^"]+)"', page.read_text("utf-8")):
            assert (page.parent / target).exists(), (name, target)


def test_timetable_is_of_the_chosen_chapters(kit):
    text = (kit / "timetable.html").read_text("utf-8")
    # Of each title the longest part that is not code.
    titles = [
        max(contents.title_and_times(p)[0].split("`")[::2], key=len)
        for p in contents.notebooks()
    ]
    assert [t in text for t in titles] == [True, True] + [False] * (len(titles) - 2)
    assert "a guess" in text


def test_interruption_leaves_the_old_folder(kit, book, monkeypatch):
    import workshop

    def interrupted(*_):
        raise KeyboardInterrupt

    before = sorted(kit.parent.rglob("*"))
    monkeypatch.setattr(workshop.handout, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        workshop.write(kit, book, CHAPTERS[:1], [8])
    assert sorted(kit.parent.rglob("*")) == before
