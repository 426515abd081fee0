"""Measure on a CUDA GPU what the book cannot measure on a CPU; write book/data/gpu.json.

    python benchmarks/gpu.py              # or: make bench-gpu
    python benchmarks/gpu.py --batch 16   # for a small card

1. Time and peak memory of a ResNet-50 training step in fp32, tf32, fp16 and bf16, as
   far as the card has them, in PyTorch's default memory format, channels first.
2. The error that BCELoss raises under CUDA autocast.
3. What `loss.item()` costs in every step, against a sum that stays on the device.

Needs nothing but torch 2.6 or newer and torchvision. Weights and images are random:
nothing is downloaded. The file is replaced only once everything is measured and checked.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import json
import math
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

PATH = Path(__file__).parents[1] / "book" / "data" / "gpu.json"
DEVICE = "cuda"
WARM_UP, STEPS, REPEATS = 10, 50, 5
MODES = ("fp32", "tf32", "fp16", "bf16")
SIXTEEN_BITS = {"fp16": torch.float16, "bf16": torch.bfloat16}


def mlp() -> nn.Module:
    """A model so small that the GPU waits for the CPU, not the other way round."""
    layers = nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 1000)
    return nn.Sequential(nn.Flatten(), *layers)


MODELS = {"MLP": mlp, "ResNet-50": torchvision.models.resnet50}


# --- the record ----------------------------------------------------------------------

BY_MODE, BY_MODEL = dict.fromkeys(MODES, float), dict.fromkeys(MODELS, float)
FIELDS = {
    "hardware": str,
    "driver": str,
    "cuda": str,
    "torch": str,
    "torchvision": str,
    "python": str,
    "date": str,
    "training_step": {
        "model": str,
        "batch": int,
        "pixels": int,
        "memory_format": str,
        "steps": int,  # in a row, whose time is divided by their number
        "repeats": int,  # of which the median counts
        "time_ms": BY_MODE,
        "peak_mib": BY_MODE,  # of tensors
    },
    "bce_under_autocast": {"error": str, "message": str},
    "item_cost": {  # ms for one step
        "steps": int,
        "item_every_step_ms": BY_MODEL,
        "item_at_the_end_ms": BY_MODEL,
    },
}
OPTIONAL = {"tf32", "bf16"}  # older cards, such as a T4, lack them


def faults(value: object, kind: object, name: str = "record") -> Iterator[str]:
    """Say what is wrong in a record, or in a part of it."""
    if isinstance(kind, dict):
        if not kind.keys() - OPTIONAL <= value.keys() <= kind.keys():
            fields, got = ", ".join(kind), ", ".join(value) or "none"
            yield f"{name} must have the fields {fields}, got {got}"
            return
        for key in value:
            yield from faults(value[key], kind[key], f"{name}.{key}")
    elif type(value) is not kind or value == "":
        yield f"{name} must be of type {kind.__name__} and not empty, got {value!r}"
    # Not "value <= 0": nan is not a measurement either, nor is infinity.
    elif kind is not str and not 0 < value < math.inf:
        yield f"{name} must be positive and finite, got {value!r}"


def write(record: dict) -> None:
    """Check a record and put it in place in one step: the old file or the new.

    Raises:
        ValueError: if a field is missing or holds no measurement; nothing is written.
    """
    if found := list(faults(record, FIELDS)):
        raise ValueError(f"benchmarks/gpu.py: {'; '.join(found)}. Nothing was written.")
    part = PATH.with_suffix(".part")
    part.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    part.replace(PATH)


# --- measuring -----------------------------------------------------------------------


def time_ms(work: Callable[[], object]) -> float:
    """Return the ms until the GPU has done some work."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1e3


def use_tf32(allowed: bool) -> None:
    """Allow or forbid TF32; by default, convolutions use it and products do not."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def supports(mode: str) -> bool:
    """Say whether the card computes in a mode itself.

    Older cards emulate bfloat16 slowly, and take TF32 for float32.
    """
    if mode == "bf16":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return mode != "tf32" or torch.cuda.get_device_capability() >= (8, 0)


def training(name: str, batch: int, mode: str) -> Callable[[], Tensor]:
    """Return a function that does one training step and returns the loss."""
    use_tf32(mode == "tf32")
    torch.manual_seed(0)
    model = MODELS[name]().to(DEVICE)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    shape = (64, 1, 8, 8) if name == "MLP" else (batch, 3, 224, 224)
    images = torch.randn(shape, device=DEVICE)
    labels = torch.randint(1000, shape[:1], device=DEVICE)
    dtype = SIXTEEN_BITS.get(mode)
    scaler = torch.amp.GradScaler(DEVICE, enabled=mode == "fp16")

    def step() -> Tensor:
        optimizer.zero_grad()
        with torch.autocast(DEVICE, dtype=dtype, enabled=dtype is not None):
            loss = nn.functional.cross_entropy(model(images), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss.detach()

    return step


def repeat(work: Callable[[], object], times: int) -> None:
    for _ in range(times):
        work()


def step_cost(batch: int, mode: str) -> tuple[float, float]:
    """Return the time in ms and the peak memory in MiB of a ResNet-50 training step.

    Many steps are timed in one go, as in a training: a GPU that is idle before each of
    them would wait for its first kernels. Of several such runs the median counts.
    """
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    step = training("ResNet-50", batch, mode)
    repeat(step, WARM_UP)
    times = [time_ms(lambda: repeat(step, STEPS)) for _ in range(REPEATS)]
    return statistics.median(times) / STEPS, torch.cuda.max_memory_allocated() / 2**20


def item_cost(name: str, batch: int) -> tuple[float, float]:
    """Return the ms of a step with `.item()` in each, and with one at the end."""
    step = training(name, batch, "fp32")

    def every_step() -> float:
        return sum(step().item() for _ in range(STEPS))

    def at_the_end() -> float:
        return sum(step() for _ in range(STEPS)).item()

    every_step(), at_the_end()  # warm-up
    pairs = [(time_ms(every_step), time_ms(at_the_end)) for _ in range(REPEATS)]
    every, end = (statistics.median(times) for times in zip(*pairs, strict=True))
    return every / STEPS, end / STEPS


def bce_under_autocast() -> dict[str, str]:
    """Return type and text of the error that BCELoss raises under autocast."""
    probabilities = torch.full((3,), 0.5, device=DEVICE)
    try:
        with torch.autocast(DEVICE, dtype=torch.float16):
            nn.BCELoss()(probabilities, probabilities)
    except RuntimeError as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {"error": "none", "message": "BCELoss raised no error."}


def driver_version() -> str:
    """Return what nvidia-smi says, or "unknown": it is missing on some machines."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.check_output(command, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return told.partition("\n")[0].strip() or "unknown"


def facts() -> dict[str, str]:
    """Return on what is measured, with which versions, and when."""
    return {
        "hardware": torch.cuda.get_device_name(),
        "driver": driver_version(),
        "cuda": str(torch.version.cuda),
        "torch": str(torch.__version__),
        "torchvision": torchvision.__version__,
        "python": platform.python_version(),
        "date": datetime.date.today().isoformat(),
    }


def columns(keys: Iterable[str], rows: dict[str, tuple[float, float]]) -> dict:
    """Turn pairs by name into a dictionary for each key, in four significant digits."""
    return {
        key: {name: float(f"{row[at]:.4g}") for name, row in rows.items()}
        for at, key in enumerate(keys)
    }


def measure(batch: int) -> dict:
    """Measure everything, and return the record."""
    record = facts()  # first: what fails here should not cost the measurements
    steps = {mode: step_cost(batch, mode) for mode in MODES if supports(mode)}
    items = {name: item_cost(name, batch) for name in MODELS}
    return record | {
        "training_step": {
            "model": "ResNet-50",
            "batch": batch,
            "pixels": 224,
            "memory_format": "channels first",
            "steps": STEPS,
            "repeats": REPEATS,
            **columns(("time_ms", "peak_mib"), steps),
        },
        "bce_under_autocast": bce_under_autocast(),
        "item_cost": {
            "steps": STEPS,
            **columns(("item_every_step_ms", "item_at_the_end_ms"), items),
        },
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64, help="images in a step")
    batch = parser.parse_args(arguments).batch
    if not torch.cuda.is_available():
        print("No CUDA GPU was found: nothing measured or written.", file=sys.stderr)
        return 1
    try:
        record = measure(batch)
    except torch.OutOfMemoryError:
        smaller = f"Try: python benchmarks/gpu.py --batch {max(batch // 2, 1)}"
        print(f"{batch} images do not fit on this GPU. {smaller}", file=sys.stderr)
        return 1
    write(record)
    print(PATH.read_text(encoding="utf-8"))
    print(f"Written to {PATH}. What comes next: book/data/README.md.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
