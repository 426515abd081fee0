"""Real checkpoints of every format, and thousands of damaged versions of them."""

from __future__ import annotations

import collections
import functools
import io
import pickle
import random
import tempfile
import warnings
import zipfile
from pathlib import Path

import joblib
import numpy as np
import torch
import torch.distributed.checkpoint
from safetensors.torch import save
from torch import nn


def saved(value: object, **options) -> bytes:
    """Return what torch.save writes."""
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def numpy_file(write, *args, **kwargs) -> bytes:
    file = io.BytesIO()
    write(file, *args, **kwargs)
    return file.getvalue()


def zipped(pickle_bytes: bytes, root: str = "a", method: int = 0, **members) -> bytes:
    """Return a zip checkpoint with a given data.pkl, its checksum right."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(f"{root}/data.pkl", pickle_bytes)
        for name, data in members.items():
            archive.writestr(f"{root}/data/{name.strip('_')}", data)
    return file.getvalue()


def shard(state: dict) -> bytes:
    """Return the only shard of a distributed checkpoint."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of there being one process
        torch.distributed.checkpoint.save(state, checkpoint_id=folder)
        return next(Path(folder).glob("*.distcp")).read_bytes()


@functools.cache
def real_files() -> dict[str, bytes]:
    """Return tiny real files, written here and now by the libraries themselves."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Linear(2, 1)
    full = {
        "model": model.state_dict(),
        "optimizer": torch.optim.Adam(model.parameters()).state_dict(),
        "loss": np.float64(0.5),
        "tags": [("a", b"b"), {1}, collections.Counter("c")],
    }
    script = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated; its files are not
        torch.jit.save(torch.jit.trace(model, torch.zeros(1, 2)), script)
    old = {"_use_new_zipfile_serialization": False}
    return {
        "zip": saved(full),
        "zip of a model": saved(model),
        "zip, protocol 4": saved(full, pickle_protocol=4),
        "legacy": saved(full, **old),
        "legacy of a model": saved(model, **old),
        "legacy, protocol 4": saved(full, pickle_protocol=4, **old),
        "TorchScript": script.getvalue(),
        "safetensors": save(model.state_dict(), {"format": "pt"}),
        "pickle": pickle.dumps(full["tags"], 4),
        "pickle, protocol 0": pickle.dumps(full["tags"], 0),
        "pickle of a state dict": pickle.dumps(model.state_dict()),
        "joblib": numpy_file(lambda file, x: joblib.dump(x, file), {"a": np.zeros(2)}),
        "shard": shard(model.state_dict()),
        "npy": numpy_file(np.save, np.zeros(2)),
        "npz": numpy_file(np.savez, a=np.zeros(2)),
    }


EVIL = [b"\xff", b"\0", b"\x7f" + b"\xff" * 7, b"\xff" * 8, b"(", b".", b"c", b"\x93"]


def mutate(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Return a damaged copy: cut, flipped, overwritten, spliced, shortened, or noise."""
    kind, at = rng.randrange(6), rng.randrange(len(data))
    damaged = bytearray(data)
    if kind == 0:
        del damaged[at:]
    elif kind == 1:
        for _ in range(rng.choice([1, 1, 2, 5, 20])):
            damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        evil = rng.choice([*EVIL, rng.randbytes(4)])
        damaged[at : at + len(evil)] = evil
    elif kind == 3:
        other = rng.choice(others)
        start = rng.randrange(len(other))
        damaged[at:at] = other[start : start + rng.randrange(1, 200)]
    elif kind == 4:
        del damaged[at : at + rng.randrange(1, 50)]
    else:
        damaged[at:] = rng.randbytes(rng.randrange(100))
    return bytes(damaged)


FEW = ["TorchScript", "npy", "npz"]  # told by their first bytes


def case(number: int, seed: int, files: dict[str, bytes]) -> tuple[str, bytes]:
    """Return the name and the bytes of one damaged file.

    A zip archive protects its data.pkl by a checksum, so that is damaged by itself too,
    and put into a fresh archive.
    """
    rng = random.Random(f"{seed} {number}")
    others = list(files.values())
    many = [name for name in files if name not in FEW]
    name = FEW[number // 20] if number < 20 * len(FEW) else rng.choice(many)
    data = files[name]
    if name.startswith("zip") and rng.random() < 0.6:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            inner = archive.read("archive/data.pkl")
            count = len([n for n in archive.namelist() if "/data/" in n])
            parts = {f"_{i}": archive.read(f"archive/data/{i}") for i in range(count)}
        return f"{name}, data.pkl", zipped(mutate(rng, inner, others), **parts)
    return name, mutate(rng, data, others)
