"""The bytes of a checkpoint, format by format, read with nothing executed."""

from __future__ import annotations

import codecs
import io
import json
import math
import os
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from helpers.checkpoints.contents import (
    Contents,
    Storage,
    parts,
    read_values,
    whole_numbers,
)
from helpers.checkpoints.foreign import foreign_zip
from helpers.checkpoints.pickle_reader import Budget, Damaged, Machine, Node, Source

JOBLIB_ARRAY = "joblib.numpy_pickle.NumpyArrayWrapper"
LEGACY_MAGIC = bytes.fromhex("6cfc9c46f9206aa85019")
HEADER_BYTES = 4 * 2**20  # of a safetensors file: about 40,000 tensors
BRACKETS = 200_000  # in that header; a tensor has three
HINTS = 20
KINDS = {"F": "float", "I": "int", "U": "uint"}
DIRECTORY_BYTES = 8 * 2**20  # of a zip archive
MEMBERS = 50_000
EXTRA = 200  # bytes beside a member's name in the directory; PyTorch has 28 at most
LOOKED_PAST = 2**16 - 1  # bytes after a zip archive, as PyTorch's reader does
codecs.lookup("cp437")  # for members' names; imported here, not when a file asks for it
SAFETENSORS = {"BOOL": "bool", "BF16": "bfloat16", "C64": "complex64"}
SAFETENSORS |= {f"{k}{n}": f"{v}{n}" for k, v in KINDS.items() for n in (8, 16, 32, 64)}
SAFETENSORS |= {"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}
SAFETENSORS |= {"F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz"}
SAFETENSORS |= {"F8_E8M0": "float8_e8m0fnu", "F4": "float4"}


# --- pickles, one after the other: torch.save before 1.6, and plain ones ---


def read_legacy(file: BinaryIO, size: int) -> Contents:
    """Read five pickles, then each storage's length and bytes."""
    source, machine, contents = Source(file, Budget()), Machine(), Contents()
    magic, protocol, system, root, keys = (machine.load(source) for _ in range(5))
    if (magic, protocol) != (int.from_bytes(LEGACY_MAGIC, "little"), 1001):
        raise Damaged("has a protocol other than 1001, the only one: it is damaged")
    contents.hints = {k[:40]: str(v)[:40] for k, v in _plain_pairs(system)}
    read_values(root, machine, contents)
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
    contents.bytes_after = size - file.tell()
    return contents


def _plain_pairs(node: object) -> Iterator[tuple]:
    pairs = (node.pairs or [])[: 2 * HINTS] if isinstance(node, Node) else []
    for key, value in zip(pairs[::2], pairs[1::2], strict=False):
        if isinstance(key, str) and isinstance(value, (str, int)):
            yield key, value


def read_plain(file: BinaryIO, size: int) -> Contents:
    """Read one pickle that torch.save has not written; what follows is only counted.

    ``joblib.dump`` writes arrays between a pickle's instructions. Its names come first.
    """
    machine, contents = Machine(), Contents()
    try:
        root = machine.load(Source(file, Budget()))
    except Damaged:
        if not any(name.startswith(JOBLIB_ARRAY) for name in machine.names):
            raise
        contents.names = list(machine.names)
        return contents
    if root == int.from_bytes(LEGACY_MAGIC, "little"):
        raise Damaged("hides that it is a legacy file of PyTorch: it is hostile")
    read_values(root, machine, contents)
    contents.bytes_after = size - file.tell()
    return contents


def guarded(read: Callable[..., Contents], *args: object) -> Contents:
    """Call a reader; what Python's own readers raise becomes :class:`Damaged`."""
    try:
        return read(*args)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise Damaged(f"is damaged: {str(error)[:200]}") from error
    except MemoryError as error:
        raise Damaged("needs more memory than is left. Close other programs") from error
    except RecursionError as error:
        raise Damaged("nests its values too deep: it is hostile") from error
    except struct.error as error:  # fewer bytes than a number has
        raise Damaged("ends too early: it is truncated") from error
    except (ValueError, OverflowError) as error:
        raise Damaged(f"is damaged: {type(error).__name__}") from error


# --- NumPy ---

# The header of an array of plain numbers, as numpy.save writes it.
NPY_HEADER = re.compile(
    rb"\{'descr': '[<>|][a-zA-Z](\d{1,3})', 'fortran_order': (?:True|False), "
    rb"'shape': \(([\d, ]*)\), \}\s*"
)


def require_whole_array(file: BinaryIO, size: int) -> None:
    """Raise :class:`Damaged` if a .npy file holds fewer numbers than its header says."""
    head = file.read(12)
    wide = head[6:7] != b"\1"  # the first version has a length of two bytes
    start = 12 if wide else 10
    (length,) = struct.unpack_from("<I" if wide else "<H", head, 8)
    file.seek(start)
    if plain := NPY_HEADER.fullmatch(file.read(min(length, 2**16))):
        numbers = math.prod(int(n) for n in plain[2].split(b",") if n.strip())
        if (missing := start + length + numbers * int(plain[1]) - size) > 0:
            raise Damaged(f"ends {missing:,} bytes too early: it is truncated")


# --- tar: torch.save before 0.1.10 ---


def is_tar(head: bytes) -> bool:
    """Tell whether tarfile, and so torch.load, would open what begins so."""
    try:
        tarfile.TarInfo.frombuf(head[:512], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


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
    text = file.read(length).decode("utf-8")
    if text.count("{") + text.count("[") > BRACKETS:
        raise Damaged("has a header of more parts than are read here")
    header = json.loads(text, object_pairs_hook=_once)
    if not isinstance(header, dict):
        raise Damaged("has a safetensors header that is no object: it is damaged")
    contents, spans = Contents(), []
    metadata = header.pop("__metadata__", {})
    told = list(metadata.items())[:HINTS] if isinstance(metadata, dict) else ()
    for key, value in told:
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
    if span[1] - span[0] != storage.bytes:
        raise Damaged(
            "gives a tensor fewer or more bytes than its shape: it is damaged"
        )
    return span


# --- zip archives of torch.save since 1.6, as PyTorch's own reader sees them -------------


class Span(NamedTuple):
    """Where in a file an archive begins, its directory lies, and it ends."""

    start: int
    directory: int
    length: int  # of the directory
    stop: int


def last_archive(file: BinaryIO, size: int, looked_past: int = LOOKED_PAST) -> Span:
    """Find the archive that ends a file, or that only some other bytes follow."""
    file.seek(max(0, size - looked_past - 98))
    tail = file.read(min(size, looked_past + 98))
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        raise Damaged(
            "has no zip directory at its end: it is truncated, as by a stopped download "
            "or a full disk. Copy it again"
        )
    length, offset = struct.unpack_from("<II", tail, at + 12)
    stop = size - len(tail) + at + 22
    end = stop - 22
    if tail[:at][-20:-16] == b"PK\x06\x07":  # torch.save always writes it
        (claimed,) = struct.unpack_from("<Q", tail, at - 12)
        if tail[:at][-76:-72] != b"PK\x06\x06":
            raise Damaged("has two places for its zip directory: damaged or hostile")
        length, offset = struct.unpack_from("<QQ", tail, at - 36)
        if claimed != offset + length:
            raise Damaged("has two places for its zip directory: damaged or hostile")
        end = stop - 98
    if end < length + offset:
        raise Damaged("has bytes around its zip archive: it is damaged or hostile")
    return Span(end - length - offset, end - length, length, stop)


def is_shard(file: BinaryIO, last: Span) -> bool:
    """Tell whether archives follow one another from the first byte to the last one."""
    try:
        while last.start > 0:
            stop = last.start
            last = last_archive(file, stop, looked_past=0)
            if last.stop != stop:
                return False
    except Damaged:
        return False
    return last.start == 0


def open_zip(file: BinaryIO, span: Span) -> zipfile.ZipFile:
    """Open an archive that every reader takes for the same, and whose directory is short.

    PyTorch's reader and Python's differ in where they look for the directory, and in
    which of two members they take. What they could read differently is refused.
    """
    if span.start != 0:
        raise Damaged("has bytes around its zip archive: it is damaged or hostile")
    if span.length > DIRECTORY_BYTES:
        raise Damaged(f"has a zip directory of {span.length:,} bytes: too many members")
    file.seek(span.directory)
    _require_short(file.read(span.length))
    archive = zipfile.ZipFile(file)
    _require_plain_names(archive.infolist())
    return archive


def _require_short(directory: bytes) -> None:
    """Raise an error for more members, or more beside their names, than are normal."""
    at = count = 0
    while at + 46 <= len(directory):
        name, extra, comment = struct.unpack_from("<HHH", directory, at + 28)
        at, count = at + 46 + name + extra + comment, count + 1
        if name > 1000 or extra + comment > EXTRA or count > MEMBERS:
            raise Damaged(
                f"has more than {MEMBERS:,} members, or one with a name or notes of "
                "unusual length: none of PyTorch's writers makes that"
            )


def _require_plain_names(members: list[zipfile.ZipInfo]) -> None:
    """Raise an error for names of which two readers could see different ones."""
    names = [member.filename for member in members]
    if len({name.lower() for name in names}) < len(names):  # PyTorch ignores case
        raise Damaged("has two members of one name: it is damaged or hostile")
    if names != [member.orig_filename for member in members]:
        raise Damaged("has a member with two names: it is damaged or hostile")


def read_zip(archive: zipfile.ZipFile, root: str, size: int) -> Contents:
    """Read data.pkl, and compare each storage with its member."""
    machine, contents = Machine(), Contents()
    members = {info.filename: info for info in archive.infolist()}
    if not any(info.CRC for info in members.values()):  # set_crc32_options(False)
        for info in members.values():
            del info.CRC  # there is none, and none is compared
    with _member(archive, f"{root}/data.pkl") as stream:
        source = Source(stream, Budget())
        value = machine.load(source)
        while stream.read1(2**16):  # to the end, where the checksum is compared
            source.budget.spend(count=2**16)
    read_values(value, machine, contents)
    for key, storage in contents.storages.items():
        info = members.get(f"{root}/data/{key}")
        if info is None:
            raise Damaged(f"has no member data/{key[:40]}: it is damaged")
        if info.file_size != storage.bytes:
            raise Damaged(
                f"has {info.file_size:,} bytes in data/{key[:40]}, and its tensors say "
                f"{storage.bytes:,}: it is damaged"
            )
        if info.compress_type == zipfile.ZIP_STORED and info.compress_size > size:
            raise Damaged(
                f"has a member data/{key[:40]} larger than itself: it is damaged"
            )
    for name in ("version", "byteorder", ".format_version", ".storage_alignment"):
        if f"{root}/{name}" in members:
            with _member(archive, f"{root}/{name}") as stream:
                text = stream.read(20).decode("ascii", "replace")
            contents.hints[name] = text.strip()
    return contents


def _member(archive: zipfile.ZipFile, name: str) -> BinaryIO:
    info = archive.getinfo(name)
    if info.flag_bits & 1 or info.compress_type not in (0, zipfile.ZIP_DEFLATED):
        raise Damaged(f"has a member {name[:66]} packed as PyTorch never does")
    return io.BufferedReader(archive.open(info), 2**16)  # by itself slow, byte by byte


def zip_root(archive: zipfile.ZipFile) -> str:
    """Return the folder of data.pkl, or say what the archive is instead."""
    names = archive.namelist()
    root = names[0].partition("/")[0] if names else ""  # PyTorch takes the first one's
    if f"{root}/data.pkl" not in names:
        raise Damaged(". ".join(foreign_zip(names)))
    if not all(name.startswith(f"{root}/") for name in names):
        raise Damaged("has members outside its folder: it is damaged or hostile")
    return root
