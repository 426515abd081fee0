"""The stack machine that keeps a pickle's values as notes: see :mod:`pickle_steps`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch._utils import IMPORT_MAPPING, NAME_MAPPING  # names of Python 2

from helpers.pickle_steps import SIZED, Damaged, Node, Source, instruction

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
            packed = Node(PACKED[name], items=self._marked())  # changes self.stack
            self.stack.append(packed)
        elif name in TUPLES:
            parts = [self.stack.pop() for _ in range(TUPLES[name])][::-1]
            self.stack.append(Node("tuple", items=parts))
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
        new = (IMPORT_MAPPING.get(module, module), name)
        full = ".".join(NAME_MAPPING.get((module, name), new))
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
