"""What is in a checkpoint file, told without trusting it."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

from helpers._torch_internals import names_of_the_safe_loader
from helpers.checkpoints import formats
from helpers.checkpoints.contents import Contents
from helpers.checkpoints.foreign import foreign, foreign_text
from helpers.checkpoints.pickle_reader import OPCODES, Damaged
from helpers.checkpoints.report import (
    JOBLIB,
    LEGACY,
    NPY,
    NPZ,
    PICKLE,
    SAFE,
    SCRIPT,
    SHARD,
    TAR,
    WHOLE_FORMAT,
    ZIP,
    Checkpoint,
    TensorInfo,
    printable,
)


class CheckpointError(ValueError):
    """A file that cannot be described, and why."""


def describe_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """Tell what is in a checkpoint, with nothing in it executed or unpickled.

    Formats: the three that ``torch.save`` has had, TorchScript, safetensors, NumPy's
    files, plain pickles. Memory stays small, whatever the file claims. An empty
    ``refused`` is no promise: only loading with ``torch.load`` as it is proves it.

    Args:
        path: a file.

    Returns:
        A :class:`Checkpoint`; ``print`` it.

    Raises:
        TypeError: if ``path`` is not a path.
        CheckpointError: if the file is missing, unreadable, no regular file, truncated,
            damaged, contradicts itself, or is no checkpoint; a ValueError.

    Example:
        >>> import tempfile, torch
        >>> file = tempfile.NamedTemporaryFile(suffix=".pt")
        >>> torch.save({"row": torch.zeros(1000, 1000)[0]}, file.name)
        >>> found = describe_checkpoint(file.name)
        >>> found.tensors[0].shape, found.storage_bytes, found.used_bytes
        ((1000,), 4000000, 4000)

    Source: https://docs.pytorch.org/docs/stable/notes/serialization.html
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"describe_checkpoint: path must be a str or a Path, got "
            f"{type(path).__name__}. For an open file pass its name."
        )
    name = printable(os.fsdecode(path))
    try:
        with _opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            return formats.guarded(_described, name, file, size)
    except Damaged as error:
        raise CheckpointError(
            f"describe_checkpoint: {name} {printable(str(error))}."
        ) from None
    except (
        OSError,
        ValueError,
        OverflowError,
    ) as error:  # a null character in the path
        why = getattr(error, "strerror", None) or error
        raise CheckpointError(
            f"describe_checkpoint: {name} cannot be read: {why}. Check path and rights."
        ) from None


def _opened(path: str | os.PathLike) -> BinaryIO:
    """Open a regular file; a pipe or a device would wait, or do something."""
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
    }
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        kind = kinds.get(stat.S_IFMT(mode), "a device")
        raise Damaged(f"is {kind}, not a file. Pass the checkpoint's own path")
    # If it has been replaced by a pipe since, opening does not wait for a writer.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = open(os.open(path, flags), "rb")  # noqa: SIM115, the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise Damaged("is no longer a file. Pass the checkpoint's own path")
    return file


def _described(name: str, file: BinaryIO, size: int) -> Checkpoint:
    head = file.read(512)
    file.seek(0)
    if not head:
        raise Damaged("is empty: a save or a copy was stopped. Copy it again")
    legacy, tar = formats.LEGACY_MAGIC in head[:32], formats.is_tar(head)
    zipped = head[:4] in (b"PK\x03\x04", b"PK\x05\x06")
    safe = head[8:9] == b"{" and head[5:8] == b"\0\0\0"
    numpy = head[:6] == b"\x93NUMPY"
    pickled = legacy or (head[0] == 0x80 and not safe)  # a header's length may be 0x80
    if pickled + tar + zipped + safe + numpy > 1:
        raise Damaged("begins like files of two formats at once: it is hostile")
    if legacy:
        return _checkpoint(name, size, LEGACY, formats.read_legacy(file, size))
    if zipped:
        return _zip(name, file, size)
    if safe:
        return _checkpoint(name, size, SAFE, formats.read_safetensors(file, size))
    if tar:
        return _tar(name, file, size)
    if numpy:
        formats.require_whole_array(file, size)
        return Checkpoint(name, NPY, size, refused=(WHOLE_FORMAT,))
    if pickled:
        return _pickle(name, file, size)
    known = foreign(head)
    if not known:
        try:  # protocols 0 and 1 have no first byte of their own
            return _pickle(name, file, size)
        except Damaged:
            known = foreign_text(head)
    what, advice = known
    heard = f" (torch.load says: Unsupported operand {head[0]})"
    raise Damaged(f"{what}{'' if OPCODES.get(head[0]) in KNOWN else heard}. {advice}")


def _pickle(name: str, file: BinaryIO, size: int) -> Checkpoint:
    found = formats.read_plain(file, size)
    joblib = any(n.startswith(formats.JOBLIB_ARRAY) for n in found.names)
    return _checkpoint(name, size, JOBLIB if joblib else PICKLE, found)


def _zip(name: str, file: BinaryIO, size: int) -> Checkpoint:
    span = formats.last_archive(file, size)
    if span.start and span.stop == size and formats.is_shard(file, span):
        return Checkpoint(name, SHARD, size, refused=(WHOLE_FORMAT,))
    with formats.open_zip(file, span) as archive:
        names = archive.namelist()
        if names and all(member.endswith(".npy") for member in names):
            return Checkpoint(name, NPZ, size, refused=(WHOLE_FORMAT,))
        root = formats.zip_root(archive)
        if f"{root}/constants.pkl" in names:
            return Checkpoint(name, SCRIPT, size, refused=(WHOLE_FORMAT,))
        found = formats.read_zip(archive, root, size)
    found.bytes_after = size - span.stop
    return _checkpoint(name, size, ZIP, found)


def _tar(name: str, file: BinaryIO, size: int) -> Checkpoint:
    if {"storages", "tensors", "pickle"} <= set(formats.tar_names(file)):
        return Checkpoint(name, TAR, size, refused=(WHOLE_FORMAT,))
    raise Damaged("is a tar archive, and no checkpoint. Unpack it with tar -xf")


def _checkpoint(name: str, size: int, kind: str, found: Contents) -> Checkpoint:
    storages = found.storages.values()
    names, instructions = _refused(found)
    whole = kind in (PICKLE, JOBLIB)
    refused = [WHOLE_FORMAT, *names] if whole else [*names, *instructions]
    return Checkpoint(
        name,
        kind,
        size,
        tensors=tuple(TensorInfo(*tensor) for tensor in found.tensors),
        storage_bytes=sum(storage.bytes for storage in storages),
        used_bytes=sum(storage.covered for storage in storages),
        values=found.values,
        devices=tuple(sorted({storage.device for storage in storages})),
        hints=found.hints,
        refused=tuple(refused),
        bytes_after=found.bytes_after,
    )


# What the safe loader's own machine knows; torch.save uses no other instruction.
KNOWN = {
    "PROTO", "STOP", "MARK", "GLOBAL", "NEWOBJ", "REDUCE", "BUILD", "APPEND", "APPENDS",
    "SETITEM", "SETITEMS", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "NONE", "NEWTRUE",
    "NEWFALSE", "EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET", "BININT",
    "BININT1", "BININT2", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING", "BINPERSID",
    "BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT", "LONG1",
}  # fmt: skip


# Refused even if the reader allows one of their names.
BLOCKED = ("sys", "os", "posix", "nt")


def _refused(found: Contents) -> tuple[list[str], list[str]]:
    """Return the names that the safe loader does not allow, and its instructions."""
    allowed = names_of_the_safe_loader()
    blocked = [n for n in found.names if n.rpartition(".")[0] in BLOCKED]
    names = [name for name in found.names if name not in {*allowed, *blocked}]
    return blocked + names, [
        f"instruction {i}" for i in sorted(found.instructions - KNOWN)
    ]
