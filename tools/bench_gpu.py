"""Measure on a CUDA GPU what the book cannot measure on a CPU; write book/data/gpu.json.

    python tools/bench_gpu.py              # or: make bench-gpu
    python tools/bench_gpu.py --batch 16   # for a small card

1. Time and peak memory of a ResNet-50 training step in fp32, tf32, fp16 and bf16, as
   far as the card has them, in PyTorch's default memory format, channels first.
2. The error that BCELoss raises under CUDA autocast.
3. What `loss.item()` costs in every step, against a sum that stays on the device.

Random weights and random images: nothing is downloaded. The file is replaced only once
everything is measured. Without a CUDA GPU nothing is written and the exit status is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import gc
import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from run import write_whole

from helpers.notebook.gpu_record import MODES, NOT_SUPPORTED, check_record

ROOT = Path(__file__).parents[1]
PATH = ROOT / "book" / "data" / "gpu.json"
NO_GPU = "No CUDA GPU is at hand, so nothing was measured and nothing written."
SIXTEEN_BITS = {"fp16": torch.float16, "bf16": torch.bfloat16}

Pair = tuple[float, float]
Work = Callable[[], object]


@dataclass(frozen=True)
class Device:
    """Where the work is done, by which clock, and how its memory is read."""

    name: str
    time_ms: Callable[[Work], float]
    reset_peak: Callable[[], None]
    peak_mib: Callable[[], float]
    facts: Callable[[], dict[str, str]]
    supports: Callable[[str], bool]  # whether a mode is the hardware's own


@dataclass(frozen=True)
class Settings:
    """What is trained, on how many images of which size, and how often."""

    models: dict[str, Callable[[], nn.Module]]
    shapes: dict[str, tuple[int, ...]]  # of a batch, for each model
    classes: int = 1000
    warm_up: int = 10
    steps: int = 50
    repeats: int = 5


def cuda_time_ms(work: Work) -> float:
    """Return the ms from before to after some work on the GPU, by CUDA events."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    work()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def cuda_reset_peak() -> None:
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


def cuda_facts() -> dict[str, str]:
    """Return the card, its driver and the CUDA version that PyTorch was built with."""
    return {
        "hardware": torch.cuda.get_device_name(),
        "driver": driver_version(),
        "cuda": str(torch.version.cuda),
    }


def driver_version() -> str:
    """Return what nvidia-smi says, or "unknown": it is missing on some machines."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.check_output(command, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return told.partition("\n")[0].strip() or "unknown"


def cuda_supports(mode: str) -> bool:
    """Say whether the card computes in a mode itself.

    Older cards, such as a T4, emulate bfloat16 slowly, and take TF32 for float32.
    """
    if mode == "bf16":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return mode != "tf32" or torch.cuda.get_device_capability() >= (8, 0)


CUDA = Device(
    "cuda",
    cuda_time_ms,
    cuda_reset_peak,
    lambda: torch.cuda.max_memory_allocated() / 2**20,
    cuda_facts,
    cuda_supports,
)


def mlp() -> nn.Module:
    """A model so small that the GPU waits for the CPU, not the other way round."""
    layers = nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 1000)
    return nn.Sequential(nn.Flatten(), *layers)


def book_settings(batch: int) -> Settings:
    """Return what the book records, for a batch of so many images."""
    return Settings(
        models={"MLP": mlp, "ResNet-50": torchvision.models.resnet50},
        shapes={"MLP": (64, 1, 8, 8), "ResNet-50": (batch, 3, 224, 224)},
    )


@contextlib.contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Allow or forbid TF32 in matrix products and convolutions, for a while."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        matmul.allow_tf32 = cudnn.allow_tf32 = allowed
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def training(device: Device, settings: Settings, name: str, mode: str) -> Work:
    """Return a function that does one training step and returns the loss."""
    torch.manual_seed(0)
    model = settings.models[name]().to(device.name)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    shape = settings.shapes[name]
    images = torch.randn(shape, device=device.name)
    labels = torch.randint(settings.classes, shape[:1], device=device.name)
    dtype = SIXTEEN_BITS.get(mode)
    scaler = torch.amp.GradScaler(device.name, enabled=mode == "fp16")

    def step() -> Tensor:
        optimizer.zero_grad()
        with torch.autocast(device.name, dtype=dtype, enabled=dtype is not None):
            loss = nn.functional.cross_entropy(model(images), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss.detach()

    return step


def measure_step(device: Device, settings: Settings, name: str, mode: str) -> Pair:
    """Return the time in ms and the peak memory in MiB of a training step.

    Many steps are timed in one go, as in a training: a GPU that is idle before each of
    them would wait for its first kernels. Of several such runs the median counts.
    """
    with tf32(mode == "tf32"):
        device.reset_peak()
        step = training(device, settings, name, mode)

        def run() -> None:
            for _ in range(settings.steps):
                step()

        for _ in range(settings.warm_up):
            step()
        times = [device.time_ms(run) for _ in range(settings.repeats)]
        return statistics.median(times) / settings.steps, device.peak_mib()


def item_cost(device: Device, settings: Settings, name: str) -> Pair:
    """Return the ms of a step with `.item()` in each, and with one at the end."""
    step = training(device, settings, name, "fp32")

    def every_step() -> float:
        return sum(step().item() for _ in range(settings.steps))

    def at_the_end() -> float:
        total = torch.zeros((), device=device.name)
        for _ in range(settings.steps):
            total += step()
        return total.item()

    with tf32(False):  # by default, convolutions use it
        every_step(), at_the_end()  # warm-up
        pairs = [
            (device.time_ms(every_step), device.time_ms(at_the_end))
            for _ in range(settings.repeats)
        ]
    every, end = (statistics.median(times) for times in zip(*pairs, strict=True))
    return every / settings.steps, end / settings.steps


def bce_under_autocast(device: Device) -> dict[str, str]:
    """Return type and text of the error that BCELoss raises under autocast."""
    probabilities = torch.full((3,), 0.5, device=device.name)
    try:
        with torch.autocast(device.name, dtype=torch.float16):
            nn.BCELoss()(probabilities, probabilities)
    except RuntimeError as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {"error": "none", "message": "BCELoss raised no error."}


def measure(device: Device, settings: Settings) -> dict:
    """Measure everything, and return the record that helpers.notebook.gpu_record describes."""
    name = "ResNet-50"
    batch, _, pixels, _ = settings.shapes[name]
    facts = device.facts()  # first: what fails here should not cost the measurements
    steps = {
        mode: measure_step(device, settings, name, mode)
        if device.supports(mode)
        else None
        for mode in MODES
    }
    items = {model: item_cost(device, settings, model) for model in settings.models}
    record = facts | {
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "training_step": {
            "model": name,
            "batch": batch,
            "pixels": pixels,
            "memory_format": "channels first",
            "steps": settings.steps,
            "repeats": settings.repeats,
            "time_ms": _column(steps, 0),
            "peak_mib": _column(steps, 1),
        },
        "bce_under_autocast": bce_under_autocast(device),
        "item_cost": {
            "steps": settings.steps,
            "item_every_step_ms": _column(items, 0),
            "item_at_the_end_ms": _column(items, 1),
        },
    }
    check_record(record, "bench_gpu")
    return record


def _column(pairs: dict[str, Pair | None], at: int) -> dict[str, float | str]:
    """Return the first or second of each pair, in four significant digits."""
    return {
        name: float(f"{pair[at]:.4g}") if pair else NOT_SUPPORTED
        for name, pair in pairs.items()
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64, help="images in a step")
    batch = parser.parse_args(arguments).batch
    if not torch.cuda.is_available():
        print(NO_GPU, file=sys.stderr)
        return 1
    try:
        record = measure(CUDA, book_settings(batch))
    except torch.OutOfMemoryError:
        smaller = f"Try: python tools/bench_gpu.py --batch {max(batch // 2, 1)}"
        print(f"{batch} images do not fit on this GPU. {smaller}", file=sys.stderr)
        return 1
    write_whole(PATH, json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))
    print(f"Written to {PATH.relative_to(ROOT)}. Now: make run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
