"""What of a state dict would load into a model: rows, totals, and a table of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from helpers import load_checks
from helpers.load_checks import count


class Row(NamedTuple):
    """One entry of the model, or one of the state dict that fits none of them.

    Attributes:
        name: its key in the model, or for ``"unexpected"`` in the state dict.
        source: its key in the state dict, ``""`` if there is none.
        numbers: how many numbers it holds.
        status: ``"loaded"``; ``"tied"`` (loaded under the name of another entry);
            ``"kept"`` (a counter of batches that nothing reads); ``"missing"``;
            ``"unexpected"``; ``"shape"``; ``"unusable"``; ``"conflict"`` (two values
            for one tensor).
        note: shapes, dtypes or reasons, ``""`` if there is nothing to say.
    """

    name: str
    source: str
    numbers: int
    status: str
    note: str = ""


def _before(row: Row) -> str:
    """Return where a row comes from, short if it is its own name after a prefix."""
    prefix = row.source.removesuffix(row.name)
    return f"{prefix}*" if prefix != row.source else f"from {row.source}"


@dataclass(frozen=True)
class LoadReport:
    """What :func:`load_report` returns; ``print`` shows it as a table.

    Attributes:
        rows: a :class:`Row` for each entry of the model, then the unexpected ones.
        loaded: numbers of the model (parameters and buffers) that the state dict sets.
        total: all of them; tied ones once, an extra state or unknown shape as one.
    """

    rows: tuple[Row, ...]
    loaded: int
    total: int

    @property
    def share(self) -> float:
        """Loaded numbers over all, from 0 to 1; 1 for a model that has none."""
        return self.loaded / self.total if self.total else 1.0

    def names(self, status: str) -> list[str]:
        """Return the names of all rows with a status."""
        return [row.name for row in self.rows if row.status == status]

    def __str__(self) -> str:
        lines = [f"{'status':10} {'numbers':>9}  name"]
        for row in self.rows:
            origin = _before(row) if row.source not in ("", row.name) else ""
            told = "; ".join(part for part in (origin, row.note) if part)
            told = f" ({told})" if told else ""
            lines.append(f"{row.status:10} {row.numbers:9,}  {row.name}{told}")
        lines.append(f"loaded {self.loaded:,} of {self.total:,} = {self.percent()}")
        return "\n".join(lines)

    def percent(self) -> str:
        """Return the share in per cent, rounded down: 99.99% is not 100.0%."""
        return f"{1000 * self.loaded // self.total / 10 if self.total else 100.0}%"


def make_report(
    model: nn.Module, given: Mapping[str, object], prefixes: Sequence[str]
) -> LoadReport:
    """Judge every entry, under the pairing of names that loads most."""
    expected = model.state_dict(keep_vars=True)
    proposed = load_checks.pairings(list(expected), list(given), prefixes)
    candidates = [_rows(model, expected, given, pairs) for pairs in proposed]
    # max() keeps the first of equals: names as they stand, if they serve.
    rows = max(candidates, key=lambda rows: _counts(rows, expected)[0])
    used = {row.source for row in rows}
    rest = [key for key in given if key not in used]
    rows += [Row(key, key, count(given[key]), "unexpected") for key in rest]
    return LoadReport(tuple(rows), *_counts(rows, expected))


def _rows(model, expected, given, pairs: dict[str, str]) -> list[Row]:
    """Return a row for each entry of the model, tied ones settled."""
    rows = []
    for name, target in expected.items():
        if name in pairs:
            source = pairs[name]
            status, note = load_checks.judge(name, target, given[source])
        else:
            kept = load_checks.may_be_kept(model, name)
            source, status, note = "", "kept" if kept else "missing", ""
        numbers = count(given[source] if source and is_lazy(target) else target)
        rows.append(Row(name, source, numbers, status, note))
    loaded = defaultdict(list)
    for row in rows:
        if row.status == "loaded":
            loaded[id(expected[row.name])].append(row)
    return [_settled(r, loaded[id(expected[r.name])], expected, given) for r in rows]


def _settled(row: Row, loaded: list[Row], expected, given) -> Row:
    """Return the row of a tensor with several names as the loaded ones decide."""
    target = expected[row.name]
    if not isinstance(target, Tensor) or not loaded:
        return row
    if row.status == "missing":
        return row._replace(status="tied", note=f"is {loaded[0].name}")
    first, *others = (given[r.source] for r in loaded)
    if all(load_checks.alike(target, first, other) for other in others):
        return row
    names = ", ".join(r.name for r in loaded)
    return row._replace(status="conflict", note=f"one tensor, two values: {names}")


def _counts(rows: Sequence[Row], expected) -> tuple[int, int]:
    """Return how many numbers of the model are loaded, and how many there are."""
    loaded, total = {}, {}  # by tensor: one that has two names is counted once
    for row in rows:
        target = expected.get(row.name)
        if row.status in ("unexpected", "kept"):
            continue
        tied = id(target) if isinstance(target, Tensor) else row.name
        total[tied] = max(1, row.numbers)
        if row.status == "loaded":
            loaded[tied] = max(1, row.numbers)
    return sum(loaded.values()), sum(total.values())
