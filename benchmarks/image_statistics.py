"""Measure dataset_mean_std against the notes' code, a naive loop, and a plain sum. Prints only.

50,000 images of 3 x 32 x 32, uint8 and float32, random. Each way runs in a process of its
own, so that its peak memory is its own; times are the best of a few runs, on one thread.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
SHAPE = (50_000, 3, 32, 32)


def make(dtype: str):
    """Return the images: uint8 from 0 to 255, or float32 from 0 to 1."""
    import torch

    torch.manual_seed(0)
    if dtype == "uint8":
        return torch.randint(0, 256, SHAPE, dtype=torch.uint8)
    return torch.rand(SHAPE)


def notes(images) -> None:
    """The notes' get_mean_std, made to run, over all images instead of 1%."""
    import numpy as np
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(images), batch_size=len(images), shuffle=True)
    train = next(iter(loader))[0].float().numpy()
    np.mean(train, axis=(0, 2, 3)), np.std(train, axis=(0, 2, 3))


def loop(images) -> None:
    """Sum, and sum of squares, image by image."""
    total = total_square = 0
    for image in images:
        pixels = image.double()
        total = total + pixels.sum(dim=(1, 2))
        total_square = total_square + pixels.square().sum(dim=(1, 2))


def one_pass(images) -> None:
    from helpers.image_statistics import dataset_mean_std

    dataset_mean_std(images)


def one_pass_dataset(images) -> None:
    from torch.utils.data import TensorDataset

    one_pass(TensorDataset(images))


def torch_sum(images) -> None:
    images.sum()


def numpy_sum(images) -> None:
    images.numpy().sum()


WAYS = {
    "the notes' code, full pass": (notes, 1),
    "naive loop over images": (loop, 2),
    "dataset_mean_std, tensor": (one_pass, 7),
    "dataset_mean_std, data set": (one_pass_dataset, 3),
    "plain sum, torch": (torch_sum, 7),
    "plain sum, NumPy": (numpy_sum, 7),
}


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(name: str, dtype: str) -> None:
    """Print best time in ms and the memory on top of the images in MiB, as JSON."""
    import torch

    torch.set_num_threads(1)
    way, runs = WAYS[name]
    images = make(dtype)
    way(images[:64])  # imports, and what is made once
    before_mib, times = peak_mib(), []
    for _ in range(runs):
        start = time.perf_counter()
        way(images)
        times.append((time.perf_counter() - start) * 1e3)
    print(json.dumps([min(times), peak_mib() - before_mib]))


def main() -> None:
    for dtype in ("uint8", "float32"):
        measured = {}
        print(f"mean and std of {SHAPE[0]:,} x 3 x 32 x 32 {dtype}:")
        for name in WAYS:
            command = [sys.executable, __file__, name, dtype]
            time_ms, memory_mib = json.loads(subprocess.check_output(command))
            measured[name] = time_ms
            print(f"  {name:28} {time_ms:7.0f} ms, {memory_mib:5.0f} MiB more")
        ours = measured["dataset_mean_std, tensor"]
        floor = min(measured["plain sum, torch"], measured["plain sum, NumPy"])
        print(
            f"  {measured['naive loop over images'] / ours:.1f} times as fast as the "
            f"loop, {ours / floor:.1f} times the time of the faster sum"
        )


if __name__ == "__main__":
    measure(*sys.argv[1:]) if len(sys.argv) > 1 else main()
