"""Small checkpoints in three formats, what each of their bytes is, and what may go in."""

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

FORMATS = ["zip", "legacy", "safetensors"]


def objects() -> dict[str, object]:
    """Return what a reader may put into a checkpoint, by its name in the widget."""
    import numpy as np
    import torch
    from torch import nn

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
    """Return the names for which the safe loader refuses each object; none if it takes it."""
    import torch

    found = {}
    for name, value in objects().items():
        file = io.BytesIO()
        torch.save({"value": value}, file)
        file.seek(0)
        found[name] = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(file))
    return found


def held_by_safetensors() -> list[str]:
    """Return the names of the objects that safetensors can save."""
    from safetensors.torch import save

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
    import torch
    from safetensors.torch import save

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
    """Return a legacy file with 1, 2, ... for its storages' names.

    ``torch.save`` calls them by their addresses in memory, and sorts them by these.
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
    """Return a pickle's instruction for a text."""
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
