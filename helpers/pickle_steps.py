"""Read a pickle's instructions without following them: no import, no call, no trust.

A pickle is a program for a small stack machine. This reader keeps the stack, and where
the real machine would look up a name or call it, it notes that down as a :class:`Node`.
"""

from __future__ import annotations

import pickletools
import struct
from dataclasses import dataclass
from typing import BinaryIO

STEPS = 1_000_000  # instructions, about 33,000 tensors
BYTES = 256 * 2**20  # read and unpacked, for all pickles of a file
TEXTS = 16 * 2**20  # bytes of texts that are kept; in memory up to four times that
CHUNK = 2**16
ENDS = "ends in the middle of a pickle: it is truncated or damaged"
KEPT = 1_000  # characters of a text; longer ones are skipped
DIGITS = 32  # bytes of a whole number; longer ones are skipped


class Damaged(Exception):
    """What is wrong with a file, as the end of the sentence "the file ..."."""


@dataclass(slots=True, eq=False, repr=False)  # both would recurse into hostile depths
class Node:
    """A value that the pickle would build.

    Attributes:
        kind: ``"dict"``, ``"list"``, ``"tuple"``, ``"set"``, ``"global"``, ``"call"``,
            ``"stored"`` for a persistent id, or ``"skipped"`` for a long text.
        name: of a global, or of what a call calls.
        args: of a call, or the persistent id.
        items: the elements.
        pairs: keys and values in turn.
        state: what the object gets as its attributes.
    """

    kind: str
    name: str = ""
    args: object = None
    items: list | None = None
    pairs: list | None = None
    state: object = None


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

    def text(self, count: int, most: int = KEPT) -> bytes | None:
        """Return ``count`` bytes, or skip them and return None if more than ``most``."""
        if count < 0:
            raise Damaged(f"names a text of {count} bytes: it is damaged")
        if count <= most:
            self.budget.spend(text=count)
            return self.take(count)
        self.budget.spend(count=count)  # before any of it is read
        self.budget.bytes += count
        for start in range(0, count, CHUNK):
            self.take(min(CHUNK, count - start))
        return None

    def line(self) -> bytes:
        data = self.stream.readline(KEPT)
        self.budget.spend(count=len(data), text=len(data))
        if not data.endswith(b"\n"):
            raise Damaged("holds a line without an end in a pickle: it is damaged")
        return data[:-1]


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
NAMES = {ord(code): op.name for code, op in pickletools.code2op.items()}


def instruction(source: Source) -> tuple[str, object]:
    """Return the next instruction's name and its argument."""
    source.budget.spend(1, 1)
    byte = source.stream.read(1)
    if not byte:
        raise Damaged(ENDS)
    code = byte[0]
    name = NAMES.get(code)
    if name is None:
        raise Damaged(f"holds byte {code:#04x} where a pickle instruction should stand")
    if name in FIXED:
        return name, source.number(FIXED[name])
    if name in LINES:
        lines = [source.line().decode("utf-8", "replace") for _ in range(LINES[name])]
        return name, lines if len(lines) > 1 else _number(name, lines[0])
    if name not in SIZED:
        return name, None
    most = DIGITS if name.startswith("LONG") else KEPT
    data = source.text(source.number(SIZED[name]), most)
    if data is None:
        return name, Node("skipped")
    if name.startswith("LONG"):
        return name, int.from_bytes(data, "little", signed=True)
    if "BYTE" in name:
        return name, data
    return name, data.decode("utf-8", "replace")


def _number(name: str, text: str) -> object:
    """Return what a line of text stands for; only whole numbers matter here."""
    if name not in ("INT", "LONG", "PUT", "GET"):
        return text
    digits = text.rstrip("L").lstrip("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 19):
        raise Damaged("holds a number in a pickle that cannot be read: it is damaged")
    return int(text.rstrip("L"))
