"""The tensors, storages and other values of what a checkpoint's pickle would build."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field

from helpers.checkpoints.pickle_reader import (
    Budget,
    Damaged,
    Machine,
    Node,
    Source,
    walk,
)

TENSORS = 50_000
FROM_BYTES = "torch.storage._load_from_bytes"
# Bits of a number. A table, since looking into torch by a file's words imports modules.
BITS = {
    "bool": 8, "int8": 8, "int16": 16, "int32": 32, "int64": 64, "uint8": 8,
    "uint16": 16, "uint32": 32, "uint64": 64, "float16": 16, "bfloat16": 16,
    "float32": 32, "float64": 64, "complex32": 32, "bcomplex32": 32, "complex64": 64,
    "complex128": 128,
    "float8_e4m3fn": 8, "float8_e5m2": 8, "float8_e4m3fnuz": 8, "float8_e5m2fnuz": 8,
    "float8_e8m0fnu": 8, "float4_e2m1fn_x2": 8, "float4": 4, "qint8": 8, "quint8": 8,
    "qint32": 32, "quint4x2": 8, "quint2x4": 8, "bits8": 8, "bits16": 16,
    "bits1x8": 8, "bits2x4": 8, "bits4x2": 8,
}  # fmt: skip
BITS |= {f"{u}int{n}": 8 for u in ("", "u") for n in range(1, 8)}
REBUILD_V3 = "torch._utils._rebuild_tensor_v3"
REBUILD_META = "torch._utils._rebuild_meta_tensor_no_storage"
REBUILD_TYPE = "torch._tensor._rebuild_from_type_v2"
REBUILD = {f"torch._utils._rebuild_{n}" for n in ("tensor", "tensor_v2", "qtensor")}
REBUILD |= {REBUILD_V3, REBUILD_META, REBUILD_TYPE}
STORAGES = {
    "Float": "float32", "Double": "float64", "Half": "float16", "BFloat16": "bfloat16",
    "Long": "int64", "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8",
    "Bool": "bool", "ComplexFloat": "complex64", "ComplexDouble": "complex128",
    "QInt8": "qint8", "QUInt8": "quint8", "QInt32": "qint32", "QUInt4x2": "quint4x2",
    "QUInt2x4": "quint2x4", "Untyped": "uint8",
}  # fmt: skip


@dataclass
class Storage:
    """One block of numbers in the file, which several tensors may share."""

    count: int
    dtype: str
    device: str = "cpu"
    used: int | None = None  # bytes that its tensors cover, if none overlap

    @property
    def bytes(self) -> int:
        return byte_count(self.count, self.dtype)

    @property
    def covered(self) -> int:
        """What the tensors use; all of it where none is listed, as in an attribute."""
        return self.bytes if self.used is None else self.used


@dataclass
class Contents:
    """What a reader of one format found."""

    tensors: list[tuple[str, tuple[int, ...], str]] = field(default_factory=list)
    storages: dict[str, Storage] = field(default_factory=dict)
    values: int = 0
    names: list[str] = field(default_factory=list)
    instructions: set[str] = field(default_factory=set)
    hints: dict[str, str] = field(default_factory=dict)
    bytes_after: int = 0
    packed: dict[int, Storage] = field(default_factory=dict)  # by their node's id

    def add(self, key: str, shape: tuple, dtype: str, storage: Storage | None) -> None:
        """Note a tensor, and what it covers of its storage."""
        if len(self.tensors) == TENSORS:
            raise Damaged(f"holds more tensors than are listed here, {TENSORS:,}")
        self.tensors.append((key, shape, dtype))
        if storage:
            covered = (storage.used or 0) + byte_count(math.prod(shape), dtype)
            storage.used = min(storage.bytes, covered)


def byte_count(count: int, dtype: str) -> int:
    """Return the size of some numbers of a type, given without "torch."."""
    if dtype not in BITS:
        raise Damaged(f"names a type of numbers that is not known here: {dtype[:40]}")
    return -(-count * BITS[dtype] // 8)


def whole_numbers(values: object) -> tuple[int, ...]:
    """Return a shape or strides, or say that they are none."""
    if isinstance(values, Node) and values.kind == "call":  # torch.Size([...])
        (values,) = parts(values.args, 1)[:1]
    items = parts(values, 0) if isinstance(values, Node) else values
    good = isinstance(items, list) and len(items) <= 64
    if not good or not all(type(n) is int and 0 <= n < 2**63 for n in items):
        raise Damaged("gives a tensor a shape that is not one: it is damaged")
    return tuple(items)


def parts(node: object, least: int) -> list:
    """Return the elements of a tuple or list, or say that they are too few."""
    items = (node.items or []) if isinstance(node, Node) else []
    if len(items) < least:
        raise Damaged("describes a tensor with too few parts: it is damaged")
    return items


def read_values(root: object, machine: Machine, contents: Contents) -> None:
    """Note the tensors, and count the other values, of what a pickle would build."""
    contents.names, contents.instructions = list(machine.names), machine.instructions
    for node in machine.stored.values():
        _storage(node, contents)
    for key, value in walk(root, lambda node: node.kind == "stored" or is_tensor(node)):
        if not isinstance(value, Node) or value.kind == "skipped":
            contents.values += 1
        elif is_tensor(value):
            _tensor(key, value, contents)


def is_tensor(node: Node) -> bool:
    """Tell whether a node is the call that makes a tensor of one storage."""
    if node.kind != "call" or node.name not in REBUILD:
        return False
    if node.name != REBUILD_TYPE:
        return True
    function = (parts(node.args, 0) or [None])[0]  # a subclass may have its own
    return isinstance(function, Node) and function.name in REBUILD - {REBUILD_TYPE}


def _storage(node: object, contents: Contents) -> Storage | None:
    """Return the storage that a persistent id names; None for a class with its code."""
    if isinstance(node, Node) and node.name == FROM_BYTES:
        return _packed_storage(node, contents)
    if not isinstance(node, Node) or node.kind != "stored":
        raise Damaged("holds a tensor without a storage: it is damaged")
    kind, made_by, key, *rest = [*parts(node.args, 2), None][:5]
    if kind == "module":
        return None
    good = isinstance(made_by, Node) and isinstance(key, str) and len(rest) == 2
    good = good and isinstance(rest[0], str)
    if kind != "storage" or not good:
        raise Damaged("names a storage in a way that is not PyTorch's: it is damaged")
    name = made_by.name.rpartition(".")[2].removesuffix("Storage")
    (count,) = whole_numbers([rest[1]])
    storage = Storage(count, STORAGES.get(name, name), rest[0][:40])
    known = contents.storages.setdefault(key, storage)
    if (known.count, known.dtype) != (count, storage.dtype):
        raise Damaged(f"gives storage {key[:40]} two lengths or types: it is damaged")
    return known


def _packed_storage(node: Node, contents: Contents) -> Storage:
    """Return the storage in a file of torch.save's that ``pickle.dump`` packs into its own.

    Its beginning is enough: what kind of numbers, and how many.
    """
    if id(node) not in contents.packed:  # tensors that share it share the node
        data = parts(node.args, 1)[0]
        if (
            isinstance(data, Node) and data.kind == "call"
        ):  # codecs.encode(text, "latin1")
            data = parts(data.args, 1)[0]
        if isinstance(data, Node):
            data = data.args
        if isinstance(data, str):
            data = data.encode("latin1", "replace")
        elif not isinstance(data, bytes):
            raise Damaged("holds a tensor without a storage: it is damaged")
        machine, source = Machine(), Source(io.BytesIO(data), Budget())
        root = [machine.load(source) for _ in range(4)][3]
        if not isinstance(root, Node) or root.kind != "stored":
            raise Damaged("holds a tensor without a storage: it is damaged")
        storage = _storage(root, Contents())
        contents.packed[id(node)] = contents.storages[f"packed {id(node)}"] = storage
    return contents.packed[id(node)]


def _tensor(key: str, node: Node, contents: Contents) -> None:
    name, args = node.name, node.args
    if name == REBUILD_TYPE:  # a subclass, or a tensor with attributes
        function, _, args = parts(args, 3)[:3]
        name = function.name if isinstance(function, Node) else "?"
    if name == REBUILD_META:
        dtype, size = parts(args, 2)[:2]
        contents.add(key, whole_numbers(size), _dtype(dtype), None)
        return
    stored, offset, size, stride, *rest = parts(args, 4)
    storage = _storage(stored, contents)
    if name not in REBUILD or storage is None:
        raise Damaged(
            f"makes {key[:66] or 'a tensor'} by {name[:66]}, which makes none"
        )
    dtype = (
        _dtype([*rest, None, None, None][2]) if name == REBUILD_V3 else storage.dtype
    )
    shape, steps = whole_numbers(size), whole_numbers(stride)
    reach = _reach(whole_numbers([offset])[0], shape, steps)
    if byte_count(reach, dtype) > storage.bytes:
        raise Damaged(
            f"says that {key[:66] or 'its tensor'} needs {reach:,} elements, where its storage "
            f"has {storage.bytes * 8 // BITS[dtype]:,}: it is damaged"
        )
    contents.add(key, shape, dtype, storage)


def _reach(offset: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> int:
    """Return how many elements of its storage a tensor needs, from the first on."""
    if len(shape) != len(steps):
        raise Damaged("gives a tensor strides that do not fit its shape: it is damaged")
    if 0 in shape:
        return 0
    return offset + 1 + sum((n - 1) * s for n, s in zip(shape, steps, strict=True))


def _dtype(node: object) -> str:
    dtype = node.name.removeprefix("torch.") if isinstance(node, Node) else "?"
    byte_count(0, dtype)  # known?
    return dtype
