"""The board of a room: how many learners are where, by exercise. No names, nothing on disk.

It is started by the hub (jupyterhub_config.py), which tells it in the environment where to
listen, and how many seats there are.
"""

from __future__ import annotations

import contextlib
import html
import json
import os
import re
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
import chosen
import contents
import lesson

from helpers.notebook import style

STATES = ("not yet", "hint", "correct")
LONGEST = 300  # bytes of a report
SEAT = re.compile(r"[0-9a-f]{16}")
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<title>The room</title>
<style>{palette}
body {{ max-width: 60rem; margin: 2rem auto; padding: 0 1rem; background: var(--mp-page);
  color: var(--mp-ink); font: 18px/1.5 "Source Sans 3", "Liberation Sans", Arial, sans-serif; }}
table {{ width: 100%; border-collapse: collapse; }}
th, td {{ padding: 0.3rem 0.5rem; border-bottom: 1px solid var(--mp-line); text-align: right; }}
th:first-child {{ text-align: left; font-weight: 400; }}
tr.chapter th {{ padding-top: 1.2rem; font-weight: 700; }}
td {{ font-variant-numeric: tabular-nums; }}
</style>
<script>
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
document.documentElement.dataset.theme = dark ? "dark" : "light";
async function show() {{
  const counts = await (await fetch("counts")).json();
  for (const [key, numbers] of Object.entries(counts))
    document.getElementById(key).querySelectorAll("td").forEach((cell, i) => {{
      cell.textContent = numbers[i] || "";
    }});
}}
setInterval(show, 2000);
addEventListener("load", show);
</script>
</head>
<body>
<main>
<h1>The room</h1>
<p>How many learners got which answer last. There are no names here, and nothing is kept.</p>
<table>
<thead><tr><th>Exercise</th><th>○ Not yet</th><th>✗ Hint</th><th>✓ Correct</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</main>
</body>
</html>
"""


class Board:
    """What each seat's last answer to each exercise was; once correct stays correct.

    Args:
        exercises: the names ``"chapter.check"`` that a report may have.
        seats: how many learners there are.
    """

    def __init__(self, exercises: list[str], seats: int) -> None:
        self._states: dict[str, dict[str, str]] = {name: {} for name in exercises}
        self._seats: set[str] = set()
        self._most, self._lock = seats, threading.Lock()

    def take(self, report: object) -> bool:
        """Take a report, and return whether it is one."""
        if not isinstance(report, dict) or set(report) != {"seat", "exercise", "state"}:
            return False
        seat, name, state = (report[key] for key in ("seat", "exercise", "state"))
        known = isinstance(name, str) and name in self._states and state in STATES
        if not known or not isinstance(seat, str) or not SEAT.fullmatch(seat):
            return False
        with self._lock:
            if len(self._seats | {seat}) > self._most:
                return False
            self._seats.add(seat)
            if self._states[name].get(seat) != "correct":
                self._states[name][seat] = state
        return True

    def counts(self) -> dict[str, list[int]]:
        """Return how many seats are in each of the three states, by exercise."""
        with self._lock:
            found = {name: Counter(by.values()) for name, by in self._states.items()}
        return {
            name: [count[state] for state in STATES] for name, count in found.items()
        }


def rows(paths: list[Path]) -> tuple[list[str], str]:
    """Return the names of all exercises, and the lines of the board's table."""
    names, lines = [], []
    for path in paths:
        title = html.escape(contents.title_and_times(path)[0].replace("`", ""))
        lines.append(
            f'<tr class="chapter"><th colspan="4" scope="rowgroup">{title}</th></tr>'
        )
        for exercise in lesson.exercises(path):
            name = f"{path.stem}.{exercise.check}"
            names.append(name)
            what = html.escape(exercise.title.replace("`", ""))
            cells = "<td></td>" * len(STATES)
            lines.append(f'<tr id="{name}"><th scope="row">{what}</th>{cells}</tr>')
    return names, "\n".join(lines)


class Server(ThreadingHTTPServer):
    """A whole room may press a key at once."""

    request_queue_size = 256


def server(address: tuple[str, int], prefix: str, paths: list[Path], seats: int):
    """Return a server of the board, not yet started.

    Args:
        address: host and port.
        prefix: the path that the hub gives the board, with a slash at both ends.
        paths: the chapters of the room.
        seats: how many learners there are.
    """
    names, table = rows(paths)
    board = Board(names, seats)
    page = PAGE.format(palette=style.css(), rows=table).encode()

    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            if self.path == prefix:
                self._answer(200, page, "text/html; charset=utf-8")
            elif self.path == f"{prefix}counts":
                counts = json.dumps(board.counts()).encode()
                self._answer(200, counts, "application/json")
            else:
                self._answer(404)

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > LONGEST:
                return self._answer(413)
            try:
                report = json.loads(self.rfile.read(int(length)))
            except ValueError:
                return self._answer(400)
            return self._answer(204 if board.take(report) else 400)

        def _answer(
            self, status: int, body: bytes = b"", kind: str = "text/plain"
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write down nothing."""

    return Server(address, Handler)


if __name__ == "__main__":
    place = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    with contextlib.suppress(KeyboardInterrupt):  # so the hub ends it
        server(
            (place.hostname, place.port),
            os.environ["JUPYTERHUB_SERVICE_PREFIX"],
            chosen.chapters(os.environ["ROOM_CHAPTERS"].split()),
            int(os.environ["ROOM_LEARNERS"]),
        ).serve_forever()
