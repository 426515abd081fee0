"""The set-up cell: the same in every notebook, written there by tools/run.py."""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def set_up_code() -> str:
    """Return the set-up cell, with the address and branch of _config.yml."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    place = "{url}@{branch}".format(**config["repository"])
    return r"""# @title Set-up: the book's helpers, a seed, the figure style
try:
    import helpers
except ModuleNotFoundError:  # one notebook opened alone, as in Colab
    from subprocess import getstatusoutput
    from sys import executable as python

    url = "git+PLACE"
    pip = f'"{python}" -m pip install "measured-pytorch[notebooks] @ {url}"'
    failed, log = getstatusoutput(pip)
    assert not failed, f"{log}\nIs there a network? Does {url} exist?"
    import helpers
assert hasattr(helpers, "start"), (
    f"{helpers} is not this book's, or too old. Is there a file or folder "
    "helpers beside this notebook? Rename it. If not, run %pip uninstall -y "
    "helpers measured-pytorch. Then restart the kernel."
)
helpers.start(seed=0)""".replace("PLACE", place)
