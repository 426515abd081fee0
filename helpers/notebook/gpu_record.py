"""What was measured once on a CUDA GPU, for readers who do not have one."""

from __future__ import annotations

import json
from pathlib import Path

HELPERS = Path(__file__).parents[1]
# In the installed package, and in a clone of the repository.
FOLDERS = (HELPERS / "book_data", HELPERS.parent / "book" / "data")


def gpu_record() -> dict | None:
    """Return what ``make bench-gpu`` measured on a CUDA GPU, if it was run.

    Returns:
        The record whose fields ``benchmarks/gpu.py`` lists, or ``None``.

    Example:
        >>> record = gpu_record()
        >>> record is None or describe_gpu_record(record).startswith("Measured on")
        True
    """
    for path in (folder / "gpu.json" for folder in FOLDERS):
        if path.exists():
            return json.loads(path.read_text(encoding="utf-8"))
    return None


def describe_gpu_record(record: dict) -> str:
    """Say in a sentence what a record was measured on, and when.

    Args:
        record: as returned by :func:`gpu_record`.

    Returns:
        Hardware, versions and date.
    """
    return (
        "Measured on {hardware} (driver {driver}, CUDA {cuda}), with torch {torch}, "
        "torchvision {torchvision} and Python {python}, on {date}."
    ).format_map(record)
