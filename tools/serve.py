"""Serve a folder on 127.0.0.1 and print the address: ``python tools/serve.py FOLDER``."""

from __future__ import annotations

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORTS = (*range(8000, 8010), 0)  # 0: any free one


class Handler(SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")  # a rebuilt page shows at once
        super().end_headers()

    def log_message(self, *_) -> None:
        """Say nothing of each request."""


def server(folder: Path) -> ThreadingHTTPServer:
    """Return a server of a folder on the first free port, not yet running.

    Raises:
        FileNotFoundError: if the folder holds no ``index.html``.
        OSError: if no port is free.
    """
    if not (folder / "index.html").exists():
        raise FileNotFoundError(f"serve: no index.html in {folder}. Run `make html`.")
    for port in PORTS:
        try:
            handler = partial(Handler, directory=str(folder))
            return ThreadingHTTPServer(("127.0.0.1", port), handler)
        except OSError:
            if port == PORTS[-1]:
                raise
    raise AssertionError("unreachable: the last port either binds or raises")


if __name__ == "__main__":
    with server(Path(sys.argv[1])) as running:
        print(f"The book is at http://127.0.0.1:{running.server_port}/  (Ctrl-C stops)")
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            print()
