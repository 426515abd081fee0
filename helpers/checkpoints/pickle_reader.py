"""Read a pickle's instructions without following them: no import, no call, no trust.

A pickle is a program for a small stack machine. This reader keeps the stack, and where
the real machine would look up a name or call it, it notes that down as a :class:`Node`.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from helpers._torch_internals import names_of_python_2

STEPS = 1_000_000  # instructions, about 33,000 tensors
BYTES = 256 * 2**20  # read and unpacked, for all pickles of a file
TEXTS = 16 * 2**20  # bytes of texts that are kept; in memory up to four times that
CHUNK = 2**16
ENDS = "ends in the middle of a pickle: it is truncated or damaged"
KEPT = 1_000  # characters of a text; longer ones are skipped
DIGITS = 32  # bytes of a whole number; longer ones are skipped
PACKED_FILE = b"\x80\x02\x8a\nl"  # how a legacy file of torch.save begins


class Damaged(Exception):
    """What is wrong with a file, as the end of the sentence "the file ..."."""


@dataclass(slots=True, eq=False, repr=False)  # both would recurse into hostile depths
class Node:
    """A value that the pickle would build.

    Attributes:
        kind: ``"dict"``, ``"list"``, ``"tuple"``, ``"set"``, ``"global"``, ``"call"``,
            ``"stored"`` for a persistent id, or ``"skipped"`` for a long text.
        name: of a global, or of what a call calls.
        args: of a call, the persistent id, or how a skipped text begins.
        items: the elements.
        pairs: keys and values in turn.
        state: what the object gets as its attributes.
        depth: how many tuples or frozen sets stand in one another.
    """

    kind: str
    name: str = ""
    args: object = None
    items: list | None = None
    pairs: list | None = None
    state: object = None
    depth: int = 0


class Budget:
    """How much of a file's pickles may still be read."""

    def __init__(self) -> None:
        self.steps, self.bytes, self.texts = STEPS, BYTES, TEXTS

    def spend(self, steps: int = 0, count: int = 0, text: int = 0) -> None:
        self.steps -= steps
        self.bytes -= count
        self.texts -= text
        if self.steps < 0 or self.bytes < 0 or self.texts < 0:
            raise Damaged(
                f"holds more Python objects than are read here: {STEPS:,} pickle "
                f"instructions or {BYTES // 2**20} MiB. Keep lists of numbers in tensors"
            )


class Source:
    """A stream that never reads more than it was asked for, or than there is."""

    def __init__(self, stream: BinaryIO, budget: Budget) -> None:
        self.stream, self.budget = stream, budget

    def take(self, count: int) -> bytes:
        """Return exactly ``count`` bytes, at most a few thousand."""
        self.budget.spend(count=count)
        data = self.stream.read(count)
        if len(data) < count:
            raise Damaged(ENDS)
        return data

    def number(self, code: str) -> int | float:
        return struct.unpack(code, self.take(struct.calcsize(code)))[0]

    def text(self, count: int, most: int = KEPT) -> bytes:
        """Return at most ``most`` of ``count`` bytes, and skip the rest."""
        if count < 0:
            raise Damaged(f"names a text of {count} bytes: it is damaged")
        if count > self.budget.bytes:
            self.budget.spend(count=count)  # before any of it is read
        head = self.take(min(count, most))
        if count <= most:
            self.budget.spend(text=count)
        for start in range(len(head), count, CHUNK):
            self.take(min(CHUNK, count - start))
        return head

    def line(self) -> bytes:
        """Return a line without its end; of a long one only the beginning."""
        head = part = self.stream.readline(KEPT)
        self.budget.spend(count=len(part), text=len(part))
        while part and not part.endswith(b"\n"):
            part = self.stream.readline(CHUNK)
            self.budget.spend(count=len(part))
        if not part:
            raise Damaged("holds a line without an end in a pickle: it is damaged")
        return head.removesuffix(b"\n")


FIXED = {
    "BININT": "<i", "BININT1": "<B", "BININT2": "<H", "BINFLOAT": ">d",
    "BINGET": "<B", "LONG_BINGET": "<I", "BINPUT": "<B", "LONG_BINPUT": "<I",
    "EXT1": "<B", "EXT2": "<H", "EXT4": "<i", "PROTO": "<B", "FRAME": "<Q",
}  # fmt: skip
SIZED = {
    "BINUNICODE": "<I", "SHORT_BINUNICODE": "<B", "BINUNICODE8": "<Q",
    "BINBYTES": "<I", "SHORT_BINBYTES": "<B", "BINBYTES8": "<Q", "BYTEARRAY8": "<Q",
    "BINSTRING": "<i", "SHORT_BINSTRING": "<B", "LONG1": "<B", "LONG4": "<i",
}  # fmt: skip
LINES = {"GLOBAL": 2, "INST": 2} | dict.fromkeys(
    ["PUT", "GET", "INT", "LONG", "FLOAT", "STRING", "UNICODE", "PERSID"], 1
)
OPCODES = {ord(code): op.name for code, op in pickletools.code2op.items()}


def instruction(source: Source) -> tuple[str, object]:
    """Return the next instruction's name and its argument."""
    source.budget.spend(1, 1)
    byte = source.stream.read(1)
    if not byte:
        raise Damaged(ENDS)
    code = byte[0]
    name = OPCODES.get(code)
    if name is None:
        raise Damaged(f"holds byte {code:#04x} where a pickle instruction should stand")
    if name in FIXED:
        return name, source.number(FIXED[name])
    if name in LINES:
        code = "raw-unicode-escape" if name == "UNICODE" else "utf-8"
        lines = [source.line().decode(code, "replace") for _ in range(LINES[name])]
        return name, lines if len(lines) > 1 else _number(name, lines[0])
    if name not in SIZED:
        return name, None
    most, count = (
        DIGITS if name.startswith("LONG") else KEPT,
        source.number(SIZED[name]),
    )
    data = source.text(count, most)
    if name.startswith("LONG"):
        value = int.from_bytes(data, "little", signed=True)
    else:
        value = data if "BYTE" in name else data.decode("utf-8", "replace")
    if count > most:
        # A whole file may be packed inside; its beginning tells the type of its numbers.
        packed = data.startswith((PACKED_FILE, PACKED_FILE.decode("latin1").encode()))
        return name, Node("skipped", args=value if packed else None)
    return name, value


def _number(name: str, text: str) -> object:
    """Return what a line of text stands for; only whole numbers matter here."""
    if name not in ("INT", "LONG", "PUT", "GET"):
        return text
    digits = text.rstrip("L").lstrip("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 19):
        raise Damaged("holds a number in a pickle that cannot be read: it is damaged")
    return int(text.rstrip("L"))


# --- the stack ---------------------------------------------------------------------------


CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY = {
    "EMPTY_DICT": "dict",
    "EMPTY_LIST": "list",
    "EMPTY_SET": "set",
    "EMPTY_TUPLE": "tuple",
}
PACKED = {"LIST": "list", "TUPLE": "tuple", "FROZENSET": "set"}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
PUSHED = {*SIZED, "BININT", "BININT1", "BININT2", "BINFLOAT"}
PUSHED |= {"INT", "LONG", "FLOAT", "STRING", "UNICODE"}
IGNORED = {"PROTO", "FRAME", "READONLY_BUFFER"}
PATH = 200  # characters of a key
DEPTH = 1_000  # of values in values
NAMES = 2_000  # different globals; a whole model asks for some dozens


class Machine:
    """Keeps what a pickle would build, and the names it would import.

    Attributes:
        names: every global it asks for, in order, each once.
        stored: every persistent id, wherever it stands, each once.
        instructions: the names of all instructions met.
    """

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        self.stored: dict[int, Node] = {}
        self.instructions: set[str] = set()

    def load(self, source: Source) -> object:
        """Return the value of the next pickle in a stream."""
        self.stack, self.below, self.memo = [], [], {}
        while True:
            name, argument = instruction(source)
            self.instructions.add(name)
            if name == "STOP":
                break
            try:
                self._step(name, argument)
            except (IndexError, KeyError):
                raise Damaged(
                    f"holds a pickle whose {name} has nothing to work on: it is damaged"
                ) from None
        if not self.stack:
            raise Damaged("holds a pickle that ends without a value: it is damaged")
        return self.stack[-1]

    def _step(self, name: str, argument: object) -> None:
        if name in PUSHED:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in EMPTY:
            self.stack.append(Node(EMPTY[name]))
        elif name in PACKED:
            packed = _packed(PACKED[name], self._marked())  # this changes self.stack
            self.stack.append(packed)
        elif name in TUPLES:
            parts = [self.stack.pop() for _ in range(TUPLES[name])][::-1]
            self.stack.append(_packed("tuple", parts))
        elif name not in IGNORED:
            getattr(self, f"_{name.lower()}", self._rare)(name, argument)

    def _marked(self) -> list:
        """Return what lies above the last mark, and take the mark away."""
        above, self.stack = self.stack, self.below.pop()
        return above

    def _mark(self, name: str, argument: object) -> None:
        self.below.append(self.stack)
        self.stack = []

    def _pop(self, name: str, argument: object) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self._marked()

    def _pop_mark(self, name: str, argument: object) -> None:
        self._marked()

    def _dup(self, name: str, argument: object) -> None:
        self.stack.append(self.stack[-1])

    # --- containers ---

    def _dict(self, name: str, argument: object) -> None:
        packed = Node("dict", pairs=self._marked())  # this changes self.stack
        self.stack.append(packed)

    def _grow(self, items: list, pairs: bool) -> None:
        target = self.stack[-1]
        if not isinstance(target, Node):
            raise Damaged("holds a pickle that adds to no container: it is damaged")
        if pairs:
            target.pairs = target.pairs or []
            target.pairs += items
        else:
            target.items = target.items or []
            target.items += items

    def _append(self, name: str, argument: object) -> None:
        self._grow([self.stack.pop()], pairs=False)

    def _setitem(self, name: str, argument: object) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._grow([key, value], pairs=True)

    def _appends(self, name: str, argument: object) -> None:
        self._grow(self._marked(), pairs=name == "SETITEMS")

    _setitems = _additems = _appends

    # --- names, calls, attributes: noted, never followed ---

    def _named(self, module: object, name: object) -> Node:
        module, name = (p if isinstance(p, str) else "?" for p in (module, name))
        modules, names = names_of_python_2()
        new = (modules.get(module, module), name)
        full = ".".join(names.get((module, name), new))
        self._note(full)
        return Node("global", full)

    def _note(self, name: str) -> None:
        self.names[name] = None
        if len(self.names) > NAMES:
            raise Damaged(f"asks for more than {NAMES:,} names: it is hostile")

    def _global(self, name: str, argument: list) -> None:
        self.stack.append(self._named(*argument))

    def _stack_global(self, name: str, argument: object) -> None:
        last, module = self.stack.pop(), self.stack.pop()
        self.stack.append(self._named(module, last))

    def _call(self, target: object, args: object) -> None:
        called = target.name if isinstance(target, Node) else "?"
        self.stack.append(Node("call", called, args))

    def _reduce(self, name: str, argument: object) -> None:
        if name == "NEWOBJ_EX":
            self.stack.pop()  # keyword arguments
        args, target = self.stack.pop(), self.stack.pop()
        self._call(target, args)

    _newobj = _newobj_ex = _reduce

    def _inst(self, name: str, argument: list) -> None:
        args = Node("tuple", items=self._marked())
        self._call(self._named(*argument), args)

    def _obj(self, name: str, argument: object) -> None:
        parts = self._marked()
        self._call(parts[0], Node("tuple", items=parts[1:]))

    def _build(self, name: str, argument: object) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Node):
            self.stack[-1].state = state

    def _binpersid(self, name: str, argument: object) -> None:
        args = self.stack[-1]
        if not isinstance(args, Node):
            raise Damaged("names a storage in a way that is not PyTorch's: damaged")
        new = Node("stored", args=args)  # keeps args alive, and so its id
        self.stack[-1] = self.stored.setdefault(id(args), new)

    # --- memory ---

    def _put(self, name: str, argument: int) -> None:
        self.memo[argument] = self.stack[-1]

    _binput = _long_binput = _put

    def _memoize(self, name: str, argument: object) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _get(self, name: str, argument: int) -> None:
        self.stack.append(self.memo[argument])

    _binget = _long_binget = _get

    def _rare(self, name: str, argument: object) -> None:
        """EXT1 and the like: what they stand for lies outside the file."""
        self._note(f"({name} {argument})")
        self.stack.append(Node("skipped"))


def _packed(kind: str, items: list) -> Node:
    """Return a container of items, unless they are nested deeper than is read here.

    As the key of a dict it would be hashed: such a file ends the process of torch.load.
    """
    depth = 1 + max((n.depth for n in items if isinstance(n, Node)), default=0)
    if depth > DEPTH:
        raise Damaged(
            f"nests its values more than {DEPTH:,} deep: torch.load may crash"
        )
    return Node(kind, items=items, depth=depth)


def walk(root: object, whole: Callable[[Node], bool]) -> Iterator[tuple[str, object]]:
    """Yield every value inside a value; a node with its key, as ``"state.0.step"``.

    What holds others comes before them, and is entered once, wherever it occurs.

    Args:
        root: a result of :meth:`Machine.load`.
        whole: tells whether a node shall not be entered at all.
    """
    yield "", root
    if not isinstance(root, Node) or whole(root):
        return
    seen, entered = {id(root)}, [("", _children(root))]
    while entered:  # a path is joined only for what is entered, or may be a tensor
        path, children = entered[-1]
        for key, value in children:
            if not isinstance(value, Node):
                yield "", value
                continue
            inside = _joined(path, key)
            yield inside, value
            if id(value) not in seen:
                seen.add(id(value))
                if not whole(value):
                    entered.append((inside, _children(value)))
                    break
        else:
            entered.pop()
        if len(entered) > DEPTH:
            raise Damaged(f"nests its values more than {DEPTH:,} deep")


def _children(node: Node) -> Iterator[tuple[object, object]]:
    args = node.args
    if node.name.startswith("torch._utils._rebuild_parameter") and isinstance(
        args, Node
    ):
        args = (args.items or [None])[0]  # a parameter has its tensor's key
    yield from (("", args),) if isinstance(args, Node) else ()
    yield from enumerate(node.items or ())
    pairs = node.pairs or []
    yield from zip(pairs[::2], pairs[1::2], strict=False)
    yield from (("", node.state),) if isinstance(node.state, Node) else ()


def _joined(path: str, key: object) -> str:
    key = str(key) if isinstance(key, (str, int)) and key != "" else ""
    joined = f"{path}.{key}" if path and key else path or key
    return joined if len(joined) <= PATH else joined[: PATH - 1] + "…"
