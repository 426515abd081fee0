"""Sphinx extension: builds in less time, and changes no byte of a page."""

from __future__ import annotations

import gc

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict:
    # A build makes millions of nodes that live to its end; looking through them all
    # again and again for unused ones takes a sixth of its time.
    gc.disable()
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
