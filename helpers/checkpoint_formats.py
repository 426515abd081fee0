"""The bytes of a checkpoint, format by format, read with nothing executed."""

from __future__ import annotations

import json
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from helpers.checkpoint_values import (
    Contents,
    Storage,
    item_bytes,
    parts,
    read_values,
    whole_numbers,
)
from helpers.pickle_machine import Machine
from helpers.pickle_steps import Budget, Damaged, Node, Source

LEGACY_MAGIC = bytes.fromhex("6cfc9c46f9206aa85019")
DIRECTORY_BYTES = 8 * 2**20  # of a zip archive: about 100,000 members
HEADER_BYTES = 4 * 2**20  # of a safetensors file: about 40,000 tensors
KINDS = {"F": "float", "I": "int", "U": "uint"}
SAFETENSORS = {"BOOL": "bool", "BF16": "bfloat16", "C64": "complex64"}
SAFETENSORS |= {f"{k}{n}": f"{v}{n}" for k, v in KINDS.items() for n in (8, 16, 32, 64)}
SAFETENSORS |= {"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}


# --- pickles, one after the other: torch.save before 1.6, and plain ones ---


def read_legacy(file: BinaryIO, size: int) -> Contents:
    """Read five pickles, then each storage's length and bytes."""
    source, machine, contents = Source(file, Budget()), Machine(), Contents()
    _, protocol, system, root, keys = (machine.load(source) for _ in range(5))
    if protocol != 1001:
        raise Damaged("has a protocol other than 1001, the only one: it is damaged")
    contents.names, contents.instructions = list(machine.names), machine.instructions
    contents.hints = {str(k): str(v) for k, v in _plain_pairs(system)}
    read_values(root, contents)
    for key in parts(keys, len(contents.storages)):
        storage = contents.storages.get(key) if isinstance(key, str) else None
        (count,) = struct.unpack("<q", Source(file, Budget()).take(8))
        if storage is None or count != storage.count:
            raise Damaged("holds numbers that fit none of its tensors: it is damaged")
        file.seek(storage.bytes, os.SEEK_CUR)
        if file.tell() > size:
            raise Damaged(
                f"ends {file.tell() - size:,} bytes too early: it is truncated"
            )
    return contents


def _plain_pairs(node: object) -> Iterator[tuple]:
    pairs = (node.pairs or []) if isinstance(node, Node) else []
    for key, value in zip(pairs[::2], pairs[1::2], strict=False):
        if isinstance(key, str) and isinstance(value, (str, int)):
            yield key, value


def read_plain(file: BinaryIO, size: int) -> Contents:
    """Read one pickle that torch.save has not written."""
    machine, contents = Machine(), Contents()
    root = machine.load(Source(file, Budget()))
    contents.names, contents.instructions = list(machine.names), machine.instructions
    read_values(root, contents)
    return contents


# --- zip: torch.save since 1.6, TorchScript, NumPy ---


def open_zip(file: BinaryIO, size: int) -> zipfile.ZipFile:
    """Open an archive whose directory is short and lies where every reader looks."""
    file.seek(max(0, size - 42))
    tail = file.read(42)
    if tail[-22:-18] != b"PK\x05\x06" or len(tail) < 22:
        raise Damaged(
            "has no zip directory at its end: it is truncated, as by a stopped download "
            "or a full disk. Copy it again"
        )
    length, offset = struct.unpack("<II", tail[-10:-2])
    end = size - 22
    if len(tail) == 42 and tail[:4] == b"PK\x06\x07":  # torch.save always writes it
        (end,) = struct.unpack("<Q", tail[8:16])
        file.seek(end)
        record = file.read(56).ljust(56, b"\0")
        length, offset = struct.unpack("<QQ", record[40:56])
    if offset + length != end:
        raise Damaged("has bytes around its zip archive: it is damaged or hostile")
    if length > DIRECTORY_BYTES:
        raise Damaged(f"has a zip directory of {length:,} bytes: too many members")
    archive = zipfile.ZipFile(file)
    if len(set(archive.namelist())) < len(archive.namelist()):
        raise Damaged("has two members of one name: it is damaged or hostile")
    return archive


def read_zip(archive: zipfile.ZipFile, root: str, size: int) -> Contents:
    """Read data.pkl, and compare each storage with its member."""
    machine, contents = Machine(), Contents()
    with _member(archive, f"{root}/data.pkl") as stream:
        source = Source(stream, Budget())
        value = machine.load(source)
        while stream.read1(2**16):  # to the end, where the checksum is compared
            source.budget.spend(count=2**16)
    contents.names, contents.instructions = list(machine.names), machine.instructions
    read_values(value, contents)
    members = {info.filename: info for info in archive.infolist()}
    for key, storage in contents.storages.items():
        info = members.get(f"{root}/data/{key}")
        if info is None or info.file_size < storage.bytes:
            raise Damaged(
                f"has no member data/{key} of {storage.bytes:,} bytes: damaged"
            )
        if info.compress_type == zipfile.ZIP_STORED and info.compress_size > size:
            raise Damaged(f"has a member data/{key} larger than itself: it is damaged")
    for name in ("version", "byteorder", ".format_version", ".storage_alignment"):
        if f"{root}/{name}" in members:
            with _member(archive, f"{root}/{name}") as stream:
                contents.hints[name] = (
                    stream.read(20).decode("ascii", "replace").strip()
                )
    return contents


def _member(archive: zipfile.ZipFile, name: str) -> BinaryIO:
    info = archive.getinfo(name)
    if info.flag_bits & 1 or info.compress_type not in (0, zipfile.ZIP_DEFLATED):
        raise Damaged(f"has a member {name} packed as PyTorch never does")
    return archive.open(info)


def zip_root(archive: zipfile.ZipFile) -> str:
    """Return the folder of data.pkl, or say what the archive is instead."""
    names = archive.namelist()
    roots = [n[: -len("/data.pkl")] for n in names if n.endswith("/data.pkl")]
    roots = [root for root in roots if "/" not in root]
    if len(roots) != 1:
        raise Damaged(
            f"is a zip archive with {len(roots)} data.pkl, where a checkpoint has 1. "
            f"Its first member is {names[0]!r}. Unpack it first"
            if names
            else "is an empty zip archive"
        )
    return roots[0]


def guarded(read: Callable[..., Contents], *args: object) -> Contents:
    """Call a reader; what Python's own readers raise becomes :class:`Damaged`."""
    try:
        return read(*args)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise Damaged(f"is damaged: {error}") from error
    except (ValueError, OverflowError, struct.error, RecursionError) as error:
        raise Damaged(f"is damaged: {type(error).__name__}") from error


# --- tar: torch.save before 0.1.10 ---


def tar_names(file: BinaryIO) -> list[str]:
    """Return the names of a tar archive's first members."""
    names, at = [], 0
    while len(names) < 20:
        file.seek(at)
        block = file.read(512)
        digits = block[124:136].strip(b" \0")
        if len(block) < 512 or not block[0] or not digits.isdigit():
            break
        names.append(block[:100].rstrip(b"\0").decode("utf-8", "replace"))
        at += 512 + -(-int(digits, 8) // 512) * 512
    return names


# --- safetensors ---


def read_safetensors(file: BinaryIO, size: int) -> Contents:
    """Read the header, and check that its tensors fill the rest without a gap."""
    (length,) = struct.unpack("<Q", file.read(8))
    if length > size - 8:
        raise Damaged(
            f"says that its header has {length:,} bytes, and {size - 8:,} follow: it is "
            "truncated, or not safetensors"
        )
    if length > HEADER_BYTES:
        raise Damaged(f"has a header of {length:,} bytes, more than are read here")
    # From bytes, json would guess other encodings, and load them.
    header = json.loads(file.read(length).decode("utf-8"), object_pairs_hook=_once)
    if not isinstance(header, dict):
        raise Damaged("has a safetensors header that is no object: it is damaged")
    contents, spans = Contents(), []
    metadata = header.pop("__metadata__", {})
    for key, value in metadata.items() if isinstance(metadata, dict) else ():
        contents.hints[key[:40]] = str(value)[:40]
    for key, entry in header.items():
        spans.append(_entry(key, entry, contents))
    _require_filled(spans, size - 8 - length)
    return contents


def _require_filled(spans: list[tuple[int, int]], count: int) -> None:
    """Raise an error unless the tensors fill ``count`` bytes without a gap."""
    end = 0
    for begin, stop in sorted(spans):
        if begin != end:
            raise Damaged("has tensors with a gap or an overlap: it is damaged")
        end = stop
    if end != count:
        raise Damaged(
            f"holds {count:,} bytes of numbers, and its header names {end:,}: it is "
            "truncated or damaged"
        )


def _once(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Damaged("names a tensor twice: it is damaged or hostile")
    return found


def _entry(key: str, entry: object, contents: Contents) -> tuple[int, int]:
    fields = entry if isinstance(entry, dict) else {}
    dtype = SAFETENSORS.get(str(fields.get("dtype")))
    shape = whole_numbers(fields.get("shape"))
    span = whole_numbers(fields.get("data_offsets"))
    if dtype is None or len(span) != 2:
        raise Damaged("describes a tensor in a way that is not safetensors'")
    storage = Storage(math.prod(shape), dtype)
    contents.storages[key] = storage
    contents.add(key, shape, dtype, storage)
    if span[1] - span[0] != math.prod(shape) * item_bytes(dtype):
        raise Damaged(
            "gives a tensor fewer or more bytes than its shape: it is damaged"
        )
    return span
