"""Small checkpoints explained byte by byte, what may go in, and a run to resume."""

from __future__ import annotations

import argparse
import collections
import datetime
import io
import json
import pickle
import pickletools
import random
import struct
import zipfile

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import nn

from helpers.evaluation import evaluating
from helpers.notebook.data import digits

FORMATS = ["zip", "legacy", "safetensors"]


def objects() -> dict[str, object]:
    """Return what a reader can put into a checkpoint, by its name in the widget."""
    with torch.random.fork_rng(devices=[]):  # a widget must not move the reader's seed
        layer = nn.Linear(2, 1)
    return {
        "model.state_dict()": layer.state_dict(),
        "optimizer.state_dict()": torch.optim.Adam(layer.parameters()).state_dict(),
        "torch.get_rng_state()": torch.get_rng_state(),
        "epoch, an int": 3,
        "loss.item(), a float": 0.25,
        "random.getstate()": random.getstate(),
        "Counter": collections.Counter("a"),
        "set": {"a"},
        "frozenset": frozenset("a"),
        "np.float64": np.float64(0.25),
        "np.ndarray": np.zeros(2),
        "datetime.date": datetime.date(2020, 8, 1),
        "argparse.Namespace": argparse.Namespace(lr=0.1),
        "defaultdict(list)": collections.defaultdict(list, losses=[0.25]),
        "the whole model": layer,
    }


def verdicts() -> dict[str, list[str]]:
    """Return the names for which the safe loader refuses each object; [] if it loads it."""
    found = {}
    for name, value in objects().items():
        file = io.BytesIO()
        torch.save({"value": value}, file)
        file.seek(0)
        found[name] = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(file))
    return found


def held_by_safetensors() -> list[str]:
    """Return the names of the objects that safetensors can save."""
    held = []
    for name, value in objects().items():
        try:
            save(value if isinstance(value, dict) else {"value": value})
        except (TypeError, ValueError):  # not all tensors
            continue
        held.append(name)
    return held


def tiny_files() -> dict[str, bytes]:
    """Return the same two tensors in each format, the same bytes on every machine."""
    tensors = collections.OrderedDict(
        weight=torch.tensor([1.0, 2.0]), bias=torch.tensor([0.5])
    )
    files = {"safetensors": save(dict(tensors))}
    for name in ("zip", "legacy"):
        file = io.BytesIO()
        torch.save(tensors, file, _use_new_zipfile_serialization=name == "zip")
        files[name] = file.getvalue()
    files["legacy"] = _numbered(files["legacy"])
    return {name: files[name] for name in FORMATS}


def _numbered(data: bytes) -> bytes:
    """Return a legacy file whose storages are named 1, 2, and so on.

    ``torch.save`` names them by their addresses in memory, and sorts them by these.
    """
    ends, stream = [], io.BytesIO(data)
    for _ in range(5):
        for _ in pickletools.genops(stream):
            pass
        ends.append(stream.tell())
    blocks = {}
    for old in pickle.loads(data[ends[3] : ends[4]]):  # a list of texts, our own
        count = stream.read(8)
        blocks[old] = count + stream.read(4 * struct.unpack("<q", count)[0])
    head, keys = data[: ends[3]], sorted(blocks, key=lambda k: data.find(k.encode()))
    for number, old in enumerate(keys, 1):
        head = head.replace(_text(old), _text(str(number)))
    names = [str(number) for number in range(1, len(keys) + 1)]
    return head + pickle.dumps(names, 2) + b"".join(blocks[old] for old in keys)


def _text(text: str) -> bytes:
    """Return the pickle instruction that holds a text."""
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def regions(name: str, data: bytes) -> list[list]:
    """Return ``[start, end, what it is, role]`` for each part of a file, in order.

    Args:
        name: one of ``FORMATS``.
        data: a file of :func:`tiny_files`.
    """
    return {"zip": _zip, "legacy": _legacy, "safetensors": _safetensors}[name](data)


def _zip(data: bytes) -> list[list]:
    found, end = [], 0
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            name = info.filename.partition("/")[2]
            lengths = struct.unpack_from("<HH", data, info.header_offset + 26)
            start = info.header_offset + 30 + sum(lengths)
            what, role = _member(name)
            found.append([end, start, f"zip header and padding of {name}", "frame"])
            end = start + info.file_size
            found.append([start, end, f"{name}: {what}", role])
        directory = archive.start_dir
    return [
        *found,
        [end, directory, "zip checksum of the last member", "frame"],
        [directory, len(data), "zip directory: where each member begins", "frame"],
    ]


def _member(name: str) -> tuple[str, str]:
    if name == "data.pkl":
        return "a pickle, the only part that can run code", "program"
    if name.startswith("data/"):
        return "numbers of one tensor", "numbers"
    return "a short text about the format", "frame"


def _legacy(data: bytes) -> list[list]:
    names = [
        ("pickle 1: PyTorch's magic number", "program"),
        ("pickle 2: protocol 1001", "program"),
        ("pickle 3: byte order and sizes of the machine", "program"),
        ("pickle 4: the objects, which can run code", "program"),
        ("pickle 5: the order of the tensors' numbers", "program"),
    ]
    stream, found = io.BytesIO(data), []
    for name, role in names:
        start = stream.tell()
        for _ in pickletools.genops(stream):
            pass
        found.append([start, stream.tell(), name, role])
    while stream.tell() < len(data):
        start = stream.tell()
        (count,) = struct.unpack("<q", stream.read(8))
        found.append([start, start + 8, "how many numbers follow", "frame"])
        stream.seek(4 * count, 1)
        found.append([start + 8, stream.tell(), "numbers of one tensor", "numbers"])
    return found


def _safetensors(data: bytes) -> list[list]:
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    found = [
        [0, 8, "length of the header", "frame"],
        [8, 8 + length, "header: JSON with names, types, shapes, places", "frame"],
    ]
    for key, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        found.append([begin, end, f"numbers of {key}", "numbers"])
    return found


class DigitsRun:
    """A network on scikit-learn's digits, with everything that a checkpoint must hold.

    Args:
        seed: of the split, the weights, and all random numbers from then on.

    Attributes:
        model: 64 → 32 → 10 in float64, with dropout.
        optimizer: AdamW at a learning rate of 0.01.
        scheduler: StepLR, times 0.3 every third epoch.
        scaler: a GradScaler on the CPU, from 1024, doubled every 50 steps.
        epoch: how many are done.
        rates: the learning rate of each epoch trained here.

    Example:
        >>> run = DigitsRun(seed=0)
        >>> round(run.train_epoch(), 2), run.epoch
        (1.92, 1)
    """

    def __init__(self, seed: int) -> None:
        self.data = digits(seed, torch.float64)
        torch.manual_seed(seed)
        layers = nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 10)
        self.model = nn.Sequential(*layers).double()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.01)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 3, gamma=0.3)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=1024, growth_interval=50)
        self.epoch, self.rates = 0, []

    def train_epoch(self) -> float:
        """Train on shuffled batches of 64, and return the mean training loss."""
        x, y, total = self.data.x_train, self.data.y_train, 0.0
        self.rates.append(self.optimizer.param_groups[0]["lr"])
        for rows in torch.randperm(len(y)).split(64):
            loss = F.cross_entropy(self.model(x[rows]), y[rows])
            self.optimizer.zero_grad()
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
            total += loss.item() * len(rows)
        self.scheduler.step()
        self.epoch += 1
        return total / len(y)

    def accuracy(self) -> float:
        """Return the share of the test set that is right."""
        with evaluating(self.model):
            guesses = self.model(self.data.x_test).argmax(dim=1)
        return (guesses == self.data.y_test).double().mean().item()
