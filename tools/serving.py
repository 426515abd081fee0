"""Serve a folder to this machine, for as long as a browser needs it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing: a bar shows the progress."""


@contextmanager
def served(
    folder: Path, handler: type[SimpleHTTPRequestHandler] = Quiet
) -> Iterator[str]:
    """Serve a folder, and give its address with a slash at the end."""
    handler = partial(handler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
