"""The zip archives of torch.save since 1.6, as PyTorch's own reader sees them."""

from __future__ import annotations

import codecs
import io
import struct
import zipfile
from typing import BinaryIO

from helpers.checkpoint_values import Contents, read_values
from helpers.pickle_machine import Machine
from helpers.pickle_steps import Budget, Damaged, Source

DIRECTORY_BYTES = 8 * 2**20  # of a zip archive
MEMBERS = 50_000
EXTRA = 200  # bytes beside a member's name in the directory; PyTorch has 28 at most
codecs.lookup("cp437")  # for members' names; imported here, not when a file asks for it


def open_zip(file: BinaryIO, size: int) -> zipfile.ZipFile:
    """Open an archive that every reader takes for the same, and whose directory is short.

    PyTorch's reader and Python's differ in where they look for the directory, and in
    which of two members they take. What they could read differently is refused.
    """
    file.seek(max(0, size - 98))
    tail = file.read(98)
    if tail[-22:-18] != b"PK\x05\x06" or len(tail) < 22:
        raise Damaged(
            "has no zip directory at its end: it is truncated, as by a stopped download "
            "or a full disk. Copy it again"
        )
    length, offset = struct.unpack("<II", tail[-10:-2])
    end = size - 22
    if tail[-42:-38] == b"PK\x06\x07":  # torch.save always writes it
        (end,) = struct.unpack("<Q", tail[-34:-26])
        if end != size - 98 or tail[:4] != b"PK\x06\x06":
            raise Damaged("has two places for its zip directory: damaged or hostile")
        length, offset = struct.unpack("<QQ", tail[40:56])
    if offset + length != end:
        raise Damaged("has bytes around its zip archive: it is damaged or hostile")
    if length > DIRECTORY_BYTES:
        raise Damaged(f"has a zip directory of {length:,} bytes: too many members")
    file.seek(offset)
    _require_short(file.read(length))
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
        if info is None or info.file_size < storage.bytes:
            raise Damaged(
                f"has no member data/{key[:40]} of {storage.bytes:,} bytes: damaged"
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
    if not names:
        raise Damaged("is an empty zip archive")
    root = names[0].partition("/")[0]  # PyTorch takes the first member's
    if f"{root}/data.pkl" not in names:
        raise Damaged(
            f"is a zip archive with no data.pkl beside its first member, "
            f"{names[0][:66]!r}. Unpack it first"
        )
    if not all(name.startswith(f"{root}/") for name in names):
        raise Damaged("has members outside its folder: it is damaged or hostile")
    return root
