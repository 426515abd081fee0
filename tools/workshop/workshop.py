"""Write all that a workshop hands out, and one zip file of it for a memory stick.

    python tools/workshop/workshop.py                                # every chapter, one day
    python tools/workshop/workshop.py --hours 2 k_fold apex          # two of them, half a morning
    python tools/workshop/workshop.py --hours "8 8"                  # two days

Needs the built book (`make html`). The folder _workshop takes the place of the old one only
once everything in it is complete.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
import chosen
import handout
import markup
import schedule
import set_address
import slides
import student
import teach
from whole_file import whole_folder

START = """<main class="contents"><h1>Measured PyTorch: the workshop</h1>
<ul>
<li><a href="book/index.html">The book</a>, with live widgets: a browser is enough</li>
<li><a href="slides/index.html">The slides</a></li>
<li><a href="timetable.html">The timetable</a></li>
<li><a href="handout/recipes.pdf">The recipes</a>, to print, and
<a href="handout/book.pdf">the whole book as a PDF</a></li>
<li>The notebooks: the folder <code>student/notebooks</code>, to open in JupyterLab on a
machine that has the book's helpers and PyTorch</li>
</ul></main>"""
GUESS = (
    f"Talk is planned as {schedule.TALK_FACTOR} times the minutes to read. This is a guess: "
    "nobody has measured it yet. Note the times that your room takes."
)


def page(title: str, body: str) -> str:
    """Return a page of the workshop's own; its style lies with the slides."""
    text = slides.whole_page(title, body)
    return text.replace('href="shared/', 'href="slides/shared/')


def write(folder: Path, built: Path, paths: list[Path], hours: list[float]) -> None:
    """Write the workshop's folder, with room.zip in it."""
    table = "\n".join(teach.timetable(paths, hours))  # first: it may refuse the hours
    body = f"<h1>Timetable</h1>\n{markup.prose(table)}<p>{GUESS}</p>"
    with whole_folder(folder) as new:
        room = new / "room"
        _step("notebooks for learners", student.write, room / "student", paths)
        _step("slides", slides.write, room / "slides", paths)
        _step("handout, a minute or two", handout.write, room / "handout", built, paths)
        _step("the built book", shutil.copytree, built, room / "book")
        pages = {"index": START, "timetable": f'<main class="contents">{body}</main>'}
        for name, text in pages.items():
            html = page("Measured PyTorch: the workshop", text)
            (room / f"{name}.html").write_text(html, encoding="utf-8")
        _step("room.zip", shutil.make_archive, str(new / "room"), "zip", room)
        for each in room.iterdir():
            each.rename(new / each.name)
        room.rmdir()


def _step(name: str, do, *arguments: object) -> None:
    """Say what is being written, and write it."""
    print(f"Writing {name} ...", flush=True)
    do(*arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapters", nargs="*", help="default: all")
    parser.add_argument(
        "--hours", default="8", help="of each day, such as '3.5' or '8 8'"
    )
    options = parser.parse_args()
    try:
        hours = schedule.hours_of_days(options.hours)
        paths = chosen.chapters(options.chapters)
        write(chosen.OUTPUT, handout.BUILT, paths, hours)
    except ValueError as error:
        sys.exit(str(error))
    size = (chosen.OUTPUT / "room.zip").stat().st_size / 1e6
    print(f"Open {chosen.OUTPUT / 'index.html'}. For a stick: room.zip, {size:.0f} MB.")
    if set_address.is_placeholder(chosen.contents.ROOT):
        print(
            "This copy has no address yet, so learners cannot install the helpers by it: "
            "publish the repository, and run make address URL=https://..."
        )


if __name__ == "__main__":
    main()
