"""Write a deck of slides for each chapter: they need a browser and nothing else.

    python tools/workshop/slides.py                       # all chapters
    python tools/workshop/slides.py k_fold                # some
    python tools/workshop/slides.py --solutions k_fold    # with the exercises' solutions

They are written to _workshop/slides; open index.html there.
"""

from __future__ import annotations

import argparse
import html
import json
import shutil
import sys
from pathlib import Path

from tqdm import tqdm

# The palette needs no more of the helpers than is here, where they are not installed.
sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
import chosen
import contents
import markup
from deck import Column, Slide, deck
from whole_file import whole_folder

from helpers.notebook import style

HERE = Path(__file__).parent
STATE = "application/vnd.jupyter.widget-state+json"
SHARED = [
    *(HERE / "reveal").iterdir(),
    HERE / "slides.css",
    HERE / "slides.js",
    contents.ROOT / "book/assets/widgets.js",
]
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<title>{title}</title>
<link rel="stylesheet" href="shared/reset.css" />
<link rel="stylesheet" href="shared/reveal.css" />
<style>{palette}</style>
<link rel="stylesheet" href="shared/slides.css" />
<script>
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
document.documentElement.dataset.theme = dark ? "dark" : "light";
</script>
</head>
<body>
{body}
</body>
</html>
"""
DECK = """<main><div class="reveal"><div class="slides">
{slides}
</div></div></main>
<script type="{mime}">{state}</script>
<script src="shared/reveal.js"></script>
<script src="shared/notes.js"></script>
<script src="shared/slides.js"></script>
<script src="shared/widgets.js"></script>"""


def page(path: Path, solutions: bool = False) -> str:
    """Return a chapter's deck as one page; its scripts lie in the folder shared."""
    body = DECK.format(
        slides="\n".join(map(column, deck(path, solutions))),
        mime=STATE,
        state=state(path),
    )
    return whole_page(contents.title_and_times(path)[0], body)


def whole_page(title: str, body: str) -> str:
    plain = html.escape(title.replace("`", ""))
    return PAGE.format(title=plain, palette=style.css(), body=body)


def column(slides: Column) -> str:
    inside = "\n".join(map(section, slides))
    return inside if len(slides) == 1 else f"<section>\n{inside}\n</section>"


def section(slide: Slide) -> str:
    notes = f'<aside class="notes">{slide.notes}</aside>' if slide.notes else ""
    return f'<section><div class="fit">{slide.body}</div>{notes}</section>'


def state(path: Path) -> str:
    """Return the stored state of the widgets that the slides show."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    stored = notebook["metadata"].get("widgets", {}).get(STATE, {}).get("state", {})
    code = [cell for cell in contents.cells(path) if cell["cell_type"] == "code"]
    shown = [model for cell in code for model in markup.models(cell)]
    # So that no text in it can end the script.
    return json.dumps({"state": {m: stored[m] for m in shown}}).replace("<", r"\u003c")


def contents_page(paths: list[Path]) -> str:
    """Return the page that leads to the decks."""
    links = "\n".join(
        f'<li><a href="{path.stem}.html">'
        f"{markup.inline(contents.title_and_times(path)[0])}</a></li>"
        for path in paths
    )
    body = f'<main class="contents"><h1>Slides</h1>\n<ol>\n{links}\n</ol></main>'
    return whole_page("Slides", body)


def write(folder: Path, paths: list[Path], solutions: bool = False) -> None:
    """Write the decks of some chapters, the page that leads to them, what they share."""
    with whole_folder(folder) as new:
        (new / "shared").mkdir()
        for each in SHARED:
            shutil.copy(each, new / "shared")
        for path in tqdm(paths, unit="deck", leave=False):
            text = page(path, solutions)
            (new / f"{path.stem}.html").write_text(text, encoding="utf-8")
        (new / "index.html").write_text(contents_page(paths), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapters", nargs="*", help="default: all")
    parser.add_argument("--solutions", action="store_true", help="show them too")
    options = parser.parse_args()
    try:
        paths = chosen.chapters(options.chapters)
        write(chosen.OUTPUT / "slides", paths, options.solutions)
        print(f"{len(paths)} decks: {chosen.OUTPUT / 'slides' / 'index.html'}")
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
