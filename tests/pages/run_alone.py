"""Run a script as a file of its own, in a process that has not imported the tests."""

import os
import runpy
import warnings
from pathlib import Path


def run(script: Path) -> None:
    """Run a script in its folder, as `python script.py` does, with warnings as errors."""
    os.chdir(script.parent)
    warnings.simplefilter("error")
    runpy.run_path(str(script), run_name="__main__")
