"""What :func:`helpers.describe_checkpoint` returns, and its text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

LISTED = 12  # tensors in the text
KEY = 66  # characters of a key or a name, so that no line looks like two
ZIP = "PyTorch zip archive (torch.save since 1.6)"
LEGACY = "PyTorch legacy pickle (torch.save before 1.6)"
TAR = "PyTorch tar archive (torch.save before 0.1.10)"
SCRIPT = "TorchScript archive (torch.jit.save)"
SAFE = "safetensors"
PICKLE = "Python pickle (not by torch.save)"
JOBLIB = "joblib file (joblib.dump)"
SHARD = "shard of a distributed checkpoint (torch.distributed.checkpoint)"
NPY, NPZ = "NumPy array (.npy)", "NumPy archive (.npz)"

LOADERS = {
    SAFE: "safetensors.torch.load_file",
    SCRIPT: "torch.jit.load, which runs its code",
    TAR: "torch.load(path, weights_only=False), which runs its code",
    PICKLE: "pickle.load, which runs its code",
    JOBLIB: "joblib.load, which runs its code",
    SHARD: "torch.distributed.checkpoint.format_utils.dcp_to_torch_save(folder, path)",
    NPY: "numpy.load(path, allow_pickle=False)",
    NPZ: "numpy.load(path, allow_pickle=False)",
}
WHOLE_FORMAT = "the whole format"


@dataclass(frozen=True)
class TensorInfo:
    """A tensor of a checkpoint: its key, shape and type, such as ``"float32"``."""

    key: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Checkpoint:
    """What :func:`describe_checkpoint` found.

    Attributes:
        path: the file.
        format: what wrote it, in words.
        file_bytes: its size.
        tensors: in the order of the file. Of TorchScript, NumPy and tar, none are read.
        storage_bytes: what the tensors' numbers take in the file.
        used_bytes: how much of that the tensors cover. Far less than ``storage_bytes``
            means that views were saved with all that they are a view of.
        values: how many other values there are, such as numbers and texts. A state dict
            of a module brings one for each of its modules, the version.
        devices: where the tensors were when they were saved.
        hints: what the file says of its writer, such as ``{"byteorder": "little"}``.
        refused: what ``torch.load(path)`` refuses in it: names that it does not
            allow, pickle instructions that it does not know, or the whole format.
        bytes_after: bytes after the end, which the loader does not read.
    """

    path: str
    format: str
    file_bytes: int
    tensors: tuple[TensorInfo, ...] = ()
    storage_bytes: int = 0
    used_bytes: int = 0
    values: int = 0
    devices: tuple[str, ...] = ()
    hints: dict[str, str] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    bytes_after: int = 0

    def __str__(self) -> str:
        return "\n".join(printable(_short(line)) for line in _lines(self))


def _short(line: str, most: int = 250) -> str:
    return line if len(line) <= most else f"{line[: most - 1]}…"


def printable(text: str) -> str:
    """Return a line that no terminal takes for a command."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _lines(found: Checkpoint) -> Iterator[str]:
    yield f"{found.path[-180:]}: {found.file_bytes:,} bytes"
    yield f"  {found.format}"
    if found.hints:
        told = [f"{name} {value}" for name, value in found.hints.items()]
        yield f"  {', '.join(told)[:200]}"
    if found.format not in (NPY, NPZ, TAR, SCRIPT, JOBLIB, SHARD):
        yield from _content_lines(found)
    if found.bytes_after:
        yield f"  bytes after its end, which its loader does not read: {found.bytes_after:,}"
    names = [name for name in found.refused if name != WHOLE_FORMAT]
    if found.format in LOADERS:
        yield f"  load it with {LOADERS[found.format]}"
        yield from ["  names in it that torch.load refuses:"] if names else []
    else:
        yield f"  torch.load refuses {'these' if names else 'no name in it'}"
    yield from (f"    {_short(name, KEY)}" for name in names[:LISTED])
    yield from [f"    ... and {len(names) - LISTED:,} more"] if names[LISTED:] else []


def _content_lines(found: Checkpoint) -> Iterator[str]:
    elsewhere = [device for device in found.devices if device != "cpu"]
    where = f", saved from {', '.join(elsewhere)[:100]}" if elsewhere else ""
    yield (
        f"  tensors: {len(found.tensors):,}, with {found.storage_bytes:,} bytes{where}; "
        f"other values: {found.values:,}"
    )
    if found.storage_bytes > found.file_bytes:
        yield (
            f"  packed: the {found.file_bytes:,} bytes of the file become "
            f"{found.storage_bytes:,} in memory"
        )
    keys = [_short(tensor.key, KEY) for tensor in found.tensors[:LISTED]]
    width = min(max(map(len, keys), default=0), 40)
    for key, tensor in zip(keys, found.tensors, strict=False):
        yield f"    {key:{width}}  {_short(str(tensor.shape), KEY)}  {tensor.dtype}"
    if len(found.tensors) > LISTED:
        yield f"    ... and {len(found.tensors) - LISTED:,} more"
    if found.used_bytes < found.storage_bytes / 2:
        yield f"  of these bytes the tensors use {found.used_bytes:,}: clone views"
