"""What was measured once on a CUDA GPU, for readers who have none at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HELPERS = Path(__file__).parents[1]
# In the installed package, and in a clone of the repository.
FOLDERS = (HELPERS / "book_data", HELPERS.parent / "book" / "data")

MODELS = ("MLP", "ResNet-50")
NOT_SUPPORTED = "not supported"
TEXT, NUMBER, COUNT = "a text", "a positive number", "a positive integer"
NUMBER_OR_NOT = f"a positive number or {NOT_SUPPORTED!r}"
BY_MODE = {
    "fp32": NUMBER,
    "tf32": NUMBER_OR_NOT,
    "fp16": NUMBER,
    "bf16": NUMBER_OR_NOT,
}
MODES = tuple(BY_MODE)
FIELDS = {
    "hardware": TEXT,
    "driver": TEXT,
    "cuda": TEXT,
    "torch": TEXT,
    "torchvision": TEXT,
    "python": TEXT,
    "date": TEXT,
    "training_step": {
        "model": TEXT,
        "batch": COUNT,
        "pixels": COUNT,
        "memory_format": TEXT,
        "steps": COUNT,
        "repeats": COUNT,
        "time_ms": BY_MODE,
        "peak_mib": BY_MODE,
    },
    "bce_under_autocast": {"error": TEXT, "message": TEXT},
    "item_cost": {
        "steps": COUNT,
        "item_every_step_ms": dict.fromkeys(MODELS, NUMBER),
        "item_at_the_end_ms": dict.fromkeys(MODELS, NUMBER),
    },
}


def gpu_record() -> dict | None:
    """Return what ``make bench-gpu`` measured on a CUDA GPU, if it was run.

    Returns:
        ``None`` while nothing is recorded, else a dictionary:

        - ``hardware``, ``driver``, ``cuda``, ``torch``, ``torchvision``, ``python`` and
          ``date``: texts.
        - ``training_step``: of a ``model`` on ``batch`` images of ``pixels`` by
          ``pixels`` in a ``memory_format``, ``time_ms`` (of ``steps`` in a row, divided
          by their number; the median of ``repeats`` such runs) and ``peak_mib`` (MiB of
          tensors), each for ``"fp32"``, ``"tf32"``, ``"fp16"`` and ``"bf16"``. A card
          that lacks one of them has ``"not supported"`` there.
        - ``bce_under_autocast``: the ``error`` (its type) that ``BCELoss`` raises under
          CUDA autocast, and its ``message``.
        - ``item_cost``: ms for one step in a run of ``steps``, with ``loss.item()`` in
          each (``item_every_step_ms``) or the sum kept on the device and read once
          (``item_at_the_end_ms``), for an ``"MLP"`` and ``"ResNet-50"``.

    Raises:
        ValueError: if the file is damaged, or lacks a field.

    Example:
        >>> record = gpu_record()
        >>> record is None or len(record["training_step"]["time_ms"]) == 4
        True

    Source:
        ``tools/bench_gpu.py`` in the book's repository.
    """
    for folder in FOLDERS:
        path = folder / "gpu.json"
        if path.exists():
            break
    else:
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"gpu_record: {path} is damaged: {error}. {AGAIN}") from None
    check_record(record, f"gpu_record: {path}")
    return record


AGAIN = "Delete it, or run `make bench-gpu` again on a machine with a CUDA GPU."


def check_record(record: object, caller: str) -> None:
    """Raise an error unless a record has every field, and of the right kind.

    Args:
        record: what :func:`gpu_record` describes.
        caller: the beginning of the error's text.

    Raises:
        ValueError: if a field is missing, unknown, or not of its kind.

    Example:
        >>> try:
        ...     check_record({"hardware": "a card"}, "gpu.json")
        ... except ValueError as error:
        ...     print(str(error)[:40])
        gpu.json: record must have the fields ha
    """
    _check(record, FIELDS, "record", caller)
    step = record["training_step"]
    if _measured(step["time_ms"]) != _measured(step["peak_mib"]):
        raise ValueError(
            f"{caller}: record.training_step must have a time and a peak of the same "
            f"modes, got {step['time_ms']} and {step['peak_mib']}. {AGAIN}"
        )


def _check(value: object, kind: object, name: str, caller: str) -> None:
    """Compare one field, and those inside it, with its kind."""
    if isinstance(kind, dict):
        if not isinstance(value, dict) or set(value) != set(kind):
            got = ", ".join(map(str, value)) if isinstance(value, dict) else repr(value)
            raise ValueError(
                f"{caller}: {name} must have the fields {', '.join(kind)}, got "
                f"{got or 'none'}. {AGAIN}"
            )
        for key, inner in kind.items():
            _check(value[key], inner, f"{name}.{key}", caller)
        return
    if kind == NUMBER_OR_NOT and value == NOT_SUPPORTED:
        return
    types = {TEXT: str, COUNT: int}.get(kind, (int, float))
    right = isinstance(value, types) and not isinstance(value, bool)
    # Not "value <= 0": nan is no measurement either, and neither is infinity.
    if not right or (kind != TEXT and not 0 < value < float("inf")):
        raise ValueError(f"{caller}: {name} must be {kind}, got {value!r}. {AGAIN}")


def describe_gpu_record(record: dict | None = None) -> str:
    """Say in a sentence what the recorded figures were measured on, and when.

    Args:
        record: as returned by :func:`gpu_record`, which is asked if it is ``None``.

    Returns:
        Hardware, versions and date, or how to record the figures.

    Example:
        >>> describe_gpu_record().endswith(".")
        True
    """
    record = record or gpu_record()
    if record is None:
        return (
            "Not recorded yet: run `make bench-gpu` on a machine with a CUDA GPU, "
            "then `make run`."
        )
    return (
        f"Measured on {record['hardware']} (driver {record['driver']}, CUDA "
        f"{record['cuda']}), with torch {record['torch']}, torchvision "
        f"{record['torchvision']} and Python {record['python']}, on {record['date']}."
    )


def describe_mixed_precision(record: dict | None = None) -> str:
    """Say what a training step took in each mode, what BCELoss raised, and where.

    Args:
        record: as returned by :func:`gpu_record`, which is asked if it is ``None``.

    Returns:
        Sentences that can stand for the figure, or how to record it.

    Raises:
        ValueError: if the record lacks a field.

    Example:
        >>> describe_mixed_precision().endswith(".")
        True
    """
    record = record or gpu_record()
    if record is None:
        return describe_gpu_record() + " Until then this book claims no speed-up."
    check_record(record, "describe_mixed_precision")
    step = record["training_step"]
    times, peaks = step["time_ms"], step["peak_mib"]
    told = [
        f"{mode} {times[mode]:.4g} ms ({times['fp32'] / times[mode]:.2f} times the speed "
        f"of fp32) and {peaks[mode]:.4g} MiB"
        for mode in _measured(times)
    ]
    lacking = ", ".join(mode for mode in MODES if mode not in _measured(times))
    return (
        f"Time and peak memory of a training step, {step['model']}, {step['batch']} "
        f"images, {step['memory_format']}: {'; '.join(told)}."
        + (f" Not supported by this card: {lacking}." if lacking else "")
        + f" BCELoss under autocast: {record['bce_under_autocast']['error']}."
        + f" {describe_gpu_record(record)}"
    )


def _measured(values: dict) -> list[str]:
    """Return the modes that the card has."""
    return [mode for mode in MODES if values[mode] != NOT_SUPPORTED]


def plot_training_step(record: dict) -> Figure:
    """Draw time and peak memory of the recorded training step, a bar for each mode.

    A mode that the card lacks has none.

    Args:
        record: as returned by :func:`gpu_record`.

    Returns:
        A figure of two panels, for ``plots.show``.

    Raises:
        ValueError: if the record lacks a field.
    """
    check_record(record, "plot_training_step")
    from helpers.notebook import plots
    from helpers.notebook.style import color

    step = record["training_step"]
    titles = [f"ms for a step of {step['batch']} images", "peak memory in MiB"]
    figure, axes = plots.panels(titles)
    for ax, key in zip(axes, ("time_ms", "peak_mib"), strict=True):
        modes = _measured(step[key])
        colors = [
            color({"fp16": "extra", "bf16": "correct"}.get(m, "reference"))
            for m in modes
        ]
        bars = ax.bar(modes, [step[key][m] for m in modes], color=colors, label="_bars")
        ax.bar_label(bars, fmt="%.4g")
    return figure
