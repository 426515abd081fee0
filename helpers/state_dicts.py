"""Load a state dict and know what was loaded: a report first, then all or nothing."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy

from helpers._all_or_nothing import all_or_nothing

PREFIXES = ("module.", "_orig_mod.")  # of (Distributed)DataParallel and torch.compile
EXTRA_STATE = "_extra_state"  # the last part of the key under which PyTorch keeps it


def load_report(
    model: nn.Module, state_dict: Mapping[str, Tensor], prefixes: Sequence[str] = ()
) -> LoadReport:
    """Tell what of a state dict would load into a model, without loading it.

    Args:
        model: any ``nn.Module``. Nothing that loads is run, neither custom code nor
            hooks. But ``model.state_dict()`` is, with whatever hooks it has.
        state_dict: names and tensors of any shape, dtype and device.
        prefixes: parts of names to look past, such as ``("module.", "_orig_mod.")``.
            Without them, names are compared as ``load_state_dict`` compares them.

    Returns:
        A :class:`LoadReport`.

    Raises:
        TypeError: if an argument is of the wrong kind, or a key is not a string.
        ValueError: if a prefix is not one name and a dot.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> wrapped = {f"module.{k}": v for k, v in model.state_dict().items()}
        >>> load_report(model, wrapped).share
        0.0
        >>> print(load_report(model, wrapped, prefixes=["module."]))
        status       numbers  name
        loaded             2  weight (module.*)
        loaded             1  bias (module.*)
        loaded 3 of 3 = 100.0%

    Source: `torch.nn.Module.load_state_dict
    <https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html>`_.
    """
    given = _require_arguments("load_report", model, state_dict, prefixes)
    return _make_report(model, given, prefixes)


def load_matching(
    model: nn.Module,
    state_dict: Mapping[str, Tensor],
    min_share: float = 1.0,
    prefixes: Sequence[str] = PREFIXES,
) -> LoadReport:
    """Load what fits, whatever wrapper's prefix it carries; or nothing, and say why.

    Either every number that the report calls loaded holds the state dict's value
    afterwards, up to rounding if dtypes differ, or the model is as it was, also after
    an interrupt. Values are copied in place, so that an optimizer goes on with the same
    parameters. See :func:`helpers._all_or_nothing.all_or_nothing` for what can be undone.
    Costs memory for three more copies of the model while it runs.

    Args:
        model: any ``nn.Module``.
        state_dict: names and tensors. It is not changed, except that tensors which
            are the model's own, as in ``model.state_dict()``, change with the model.
        min_share: refuse below this share of the model's numbers, from 0 to 1.
        prefixes: parts of names to look past, in the model and in the state dict.

    Returns:
        The :class:`LoadReport` of what was loaded.

    Raises:
        TypeError: if an argument is of the wrong kind, or a key is not a string.
        ValueError: if less than ``min_share`` fits, or an argument is out of range.
        RuntimeError: if the model's own loading code fails or changes what is loaded,
            or if two entries share memory and are given different values.

    Example:
        >>> import torch
        >>> model, trained = nn.Linear(2, 1), nn.Linear(2, 1)
        >>> wrapped = {f"module.{k}": v for k, v in trained.state_dict().items()}
        >>> load_matching(model, wrapped).share, torch.equal(model.bias, trained.bias)
        (1.0, True)
    """
    _require_min_share(min_share)
    given = _require_arguments("load_matching", model, state_dict, prefixes)
    metadata = getattr(state_dict, "_metadata", None)
    with all_or_nothing(model):  # the report, too, since state_dict() may have hooks
        report = _make_report(model, given, prefixes)
        if report.share < min_share:
            advice = _advice(model, given, prefixes, report)
            raise ValueError(_refusal(report, min_share, advice))
        fitting = [row for row in report.rows if row.status == "loaded"]
        # Copies, since given values may lie in the memory that is written to; and
        # copies of these, since custom code may write to what it is handed.
        chosen = {row.name: _copied(given[row.source]) for row in fitting}
        handed = OrderedDict((k, _copied(v)) for k, v in chosen.items())
        if isinstance(metadata, Mapping):  # versions, by which layers know old files
            handed._metadata = _renamed(metadata, fitting)
        model.load_state_dict(handed, strict=False)
        _require_loaded(model, chosen)
    return report


def _advice(model: nn.Module, given: Mapping, prefixes, report: LoadReport) -> str:
    """Say where inside a checkpoint a state dict lies that fits better, if one does."""
    loaded = {
        key: _make_report(model, value, prefixes).loaded
        for key, value in given.items()
        if isinstance(value, Mapping) and all(isinstance(name, str) for name in value)
    }
    best = max(loaded.values(), default=0)
    if best <= report.loaded:
        return ""
    keys = [f"state_dict[{key!r}]" for key in loaded if loaded[key] == best]
    return f"Is it {' or '.join(keys[:3])} that you mean? "


def _refusal(report: LoadReport, min_share: float, advice: str) -> str:
    """Say what does not fit, three names of a kind at most, and what to do."""
    parts = []
    for status in ("missing", "shape", "unusable", "conflict", "unexpected"):
        rows = [row for row in report.rows if row.status == status]
        why = " ({})" if status == "unusable" else ""
        names = [row.name + why.format(row.note) for row in rows]
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            parts.append(f"{status}: {', '.join(names[:3])}{more}")
    return (
        f"load_matching: state_dict fits {report.percent()} of the model, less than "
        f"min_share={min_share} ({'; '.join(parts)}). Nothing was loaded. {advice}"
        "Rename its keys, or pass a smaller min_share if that is what you want."
    )


# --- the report --------------------------------------------------------------------------


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


def _make_report(
    model: nn.Module, given: Mapping[str, object], prefixes: Sequence[str]
) -> LoadReport:
    """Judge every entry, under the pairing of names that loads most."""
    expected = model.state_dict(keep_vars=True)
    proposed = _pairings(list(expected), list(given), prefixes)
    candidates = [_rows(model, expected, given, pairs) for pairs in proposed]
    # max() keeps the first of equals: names as they stand, if they serve.
    rows = max(candidates, key=lambda rows: _counts(rows, expected)[0])
    used = {row.source for row in rows}
    rest = [key for key in given if key not in used]
    rows += [Row(key, key, _count(given[key]), "unexpected") for key in rest]
    return LoadReport(tuple(rows), *_counts(rows, expected))


def _rows(model, expected, given, pairs: dict[str, str]) -> list[Row]:
    """Return a row for each entry of the model, tied ones settled."""
    rows = []
    for name, target in expected.items():
        if name in pairs:
            source = pairs[name]
            status, note = _judge(name, target, given[source])
        else:
            kept = _may_be_kept(model, name)
            source, status, note = "", "kept" if kept else "missing", ""
        numbers = _count(given[source] if source and is_lazy(target) else target)
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
    if all(_alike(target, first, other) for other in others):
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


# --- names and single entries ------------------------------------------------------------


def _require_arguments(
    caller: str, model: object, state_dict: object, prefixes: object
) -> dict[str, object]:
    """Return a copy of the state dict, or raise an error that names the caller."""
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"{caller}: model must be an nn.Module, got {type(model).__name__}. "
            "The model comes first, then the state dict."
        )
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"{caller}: state_dict must be a dict of tensors, got "
            f"{type(state_dict).__name__}. Read a file with torch.load(path) first; "
            "of a module take module.state_dict()."
        )
    given = dict(state_dict)
    for key in given:
        if not isinstance(key, str):
            raise TypeError(
                f"{caller}: state_dict must have strings as keys, got {key!r}. "
                "Is it the state dict itself, or something that holds one?"
            )
    _require_prefixes(caller, prefixes)
    return given


def _require_prefixes(caller: str, prefixes: object) -> None:
    """Raise an error unless they are a list of names that each end in a dot."""
    if isinstance(prefixes, str) or not isinstance(prefixes, Sequence):
        raise TypeError(
            f"{caller}: prefixes must be a list of strings, got {prefixes!r}. "
            "Try ['module.']."
        )
    for prefix in prefixes:
        if (
            not isinstance(prefix, str)
            or not prefix[:-1]
            or prefix.find(".") != len(prefix) - 1
        ):
            raise ValueError(
                f"{caller}: prefixes must each be a name and a dot, got {prefix!r}. "
                "Try 'module.'; nested ones are found from their parts."
            )


def _require_min_share(min_share: object) -> None:
    """Raise an error unless it is a number from 0 to 1."""
    if isinstance(min_share, bool) or not isinstance(min_share, (int, float)):
        raise TypeError(
            f"load_matching: min_share must be a number, got {min_share!r}. Try 1.0."
        )
    if not 0 <= min_share <= 1:
        raise ValueError(
            f"load_matching: min_share must be from 0 to 1, got {min_share}. "
            "Write 0.5 for one half."
        )


def _pairings(
    expected: Sequence[str], given: Sequence[str], prefixes: Sequence[str]
) -> Iterator[dict[str, str]]:
    """Propose which key of the model belongs to which key of the state dict.

    First the keys as they stand; then without a prefix that all of them share, once,
    twice, ...; last, without any of the prefixes anywhere in either key. Parts between
    dots are compared as a whole, so that ``submodule.`` is never taken for ``module.``.
    """
    parts = {prefix[:-1] for prefix in prefixes}
    yield {key: key for key in expected if key in set(given)}
    short = {key: key for key in given}  # shortened: as given
    while short and all("." in k and k.partition(".")[0] in parts for k in short):
        heads = {key.partition(".")[0] for key in short}
        if len(heads) > 1:
            break
        short = {key.partition(".")[2]: whole for key, whole in short.items()}
        yield {key: short[key] for key in expected if key in short}
    if parts:
        ours, theirs = (_by_core(keys, parts) for keys in (expected, given))
        yield {
            names[0]: theirs[core][0]
            for core, names in ours.items()
            if len(names) == len(theirs.get(core, ())) == 1
        }


def _by_core(keys: Sequence[str], parts: set[str]) -> dict[str, list[str]]:
    """Group keys that differ in prefixes only: any two of a group are ambiguous."""
    groups = defaultdict(list)
    for key in keys:
        path, _, last = key.rpartition(".")
        core = [part for part in path.split(".") if part not in parts]
        groups[".".join([*core, last])].append(key)
    return groups


def _is_extra_state(key: str) -> bool:
    """Whether a key is that of a module's own extra state, which may be anything."""
    return key.rpartition(".")[2] == EXTRA_STATE


def _count(value: object) -> int:
    """Return how many numbers an entry holds; 1 if it is no tensor or has no shape."""
    return value.numel() if isinstance(value, Tensor) and not is_lazy(value) else 1


def _may_be_kept(model: nn.Module, key: str) -> bool:
    """Whether a key is a counter of batches that its layer never reads."""
    path, _, last = key.rpartition(".")
    if last != "num_batches_tracked":
        return False
    try:
        owner = model.get_submodule(path)
    except AttributeError:  # a hook of the model has made up the name
        return False
    return isinstance(owner, _NormBase) and owner.momentum is not None


def _judge(key: str, target: object, value: object) -> tuple[str, str]:
    """Return the status of one entry, were it loaded, and a note on it.

    Args:
        key: its name in the model.
        target: the model's parameter, buffer or extra state.
        value: what the state dict holds for it, whatever that is.
    """
    if _is_extra_state(key):
        return "loaded", "extra state"
    if not isinstance(value, Tensor):
        return "unusable", f"{type(value).__name__}, not a tensor"
    if not isinstance(target, Tensor):
        return "unusable", f"{type(target).__name__} in the model, not a tensor"
    if is_lazy(value) or value.is_meta:
        return "unusable", "the state dict's tensor has no numbers in it"
    if target.is_meta:
        return "unusable", "the model is on the meta device; see nn.Module.to_empty"
    if not is_lazy(target) and _as_loaded(target, value).shape != target.shape:
        return "shape", f"{tuple(value.shape)} given, not {tuple(target.shape)}"
    if not is_lazy(target) and _overlaps(target):
        return "unusable", "expanded in the model: its numbers share one place"
    if (value.dtype, value.layout) == (target.dtype, target.layout):
        return "loaded", ""
    return _judge_cast(value, target)


def _judge_cast(value: Tensor, target: Tensor) -> tuple[str, str]:
    """Return the status and a note for a tensor of another dtype or layout."""
    given, wanted = _kind(value), _kind(target)
    quantized = value.is_quantized or target.is_quantized
    known = value.layout == target.layout and not quantized
    if not known or not torch.can_cast(value.dtype, target.dtype):
        return "unusable", f"{given} does not become {wanted}"
    lost = _lost(value, target.dtype)
    return ("unusable", lost) if lost else ("loaded", f"{given} to {wanted}")


def _kind(tensor: Tensor) -> str:
    layout = "" if tensor.layout == torch.strided else f" {tensor.layout}"
    return f"{tensor.dtype}{layout}".replace("torch.", "")


def _overlaps(target: Tensor) -> bool:
    """Whether a tensor is expanded, so that PyTorch refuses to write into it."""
    if target.layout != torch.strided:
        return False
    steps = zip(target.shape, target.stride(), strict=True)
    return any(size > 1 and stride == 0 for size, stride in steps)


def _lost(value: Tensor, dtype: torch.dtype) -> str:
    """Say which number a cast does more to than to round it; "" if there is none."""
    wide = torch.complex128 if dtype.is_complex else torch.float64
    floating = dtype.is_floating_point or dtype.is_complex
    info = torch.finfo(dtype) if floating else None
    eps, tiny = (info.eps, info.tiny) if info else (0, 0)
    dense = value.detach() if value.layout == torch.strided else value.to_dense()
    for part in dense.cpu().flatten().split(1 << 20):  # to need little memory
        given, cast = part.to(wide), part.to(dtype).to(wide)
        rounded = (cast - given).abs() <= eps * given.abs() + tiny
        lost = (given.isfinite() & ~rounded).nonzero()
        if len(lost):
            first = lost[0].item()
            made = f"{given[first].item():g} becomes {cast[first].item():g}"
            return f"{made} as {dtype}".replace("torch.", "")
    return ""


def _copied(value: object) -> object:
    """Return a copy of a tensor, in memory of its own; anything else as it is."""
    return value.detach().clone() if isinstance(value, Tensor) else value


def _as_loaded(target: Tensor, value: Tensor) -> Tensor:
    """Return a scalar for one number in a list, as PyTorch does for old files."""
    scalar = not is_lazy(target) and target.ndim == 0 and value.shape == (1,)
    return value[0] if scalar else value


def _alike(target: Tensor, *values: Tensor) -> bool:
    """Whether values become the same numbers in a tensor of the model, nan included."""
    first, second = (
        _as_loaded(target, v).detach().to(target.device, target.dtype) for v in values
    )
    if first.layout != torch.strided:
        first, second = first.to_dense(), second.to_dense()
    return first.shape == second.shape and bool(
        ((first == second) | ((first != first) & (second != second))).all()
    )


def _renamed(metadata: Mapping, rows: Sequence) -> OrderedDict:
    """Return the layers' versions under the names that they have in the model."""
    versions = {path: dict(version) for path, version in metadata.items()}
    for row in rows:
        path, source = (key.rpartition(".")[0] for key in (row.name, row.source))
        if source in metadata:
            versions[path] = dict(metadata[source])
    return OrderedDict(versions)


def _require_loaded(model: nn.Module, chosen: Mapping[str, object]) -> None:
    """Raise an error unless the model holds what was to be loaded."""
    now = model.state_dict(keep_vars=True)
    for name, value in chosen.items():
        if _is_extra_state(name):
            continue  # only the module knows what it has made of it
        if not isinstance(now.get(name), Tensor) or not _alike(
            now[name], now[name], value
        ):
            raise RuntimeError(
                f"load_matching: {name} does not hold what state_dict holds: code of the "
                "model's own has changed it, or another entry lies in the same memory. "
                "The model is as it was. Use model.load_state_dict, which does not check."
            )
