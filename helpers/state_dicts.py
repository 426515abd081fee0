"""Load a state dict and know what was loaded: a report first, then all or nothing."""

from __future__ import annotations

import contextlib
import re
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from helpers._arguments import require, require_number

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
        ValueError: if a prefix is not one name and a dot, or the model has lazy layers
            without a size.

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
    given = _checked_arguments("load_report", model, state_dict, prefixes)
    return _make_report(model, given, prefixes)


def load_matching(
    model: nn.Module,
    state_dict: Mapping[str, Tensor],
    min_share: float = 1.0,
    prefixes: Sequence[str] = PREFIXES,
) -> LoadReport:
    """Load what fits, whatever wrapper's prefix it carries; or nothing, and say why.

    Either every number that the report calls loaded holds the state dict's value
    afterwards, up to rounding if dtypes differ; or loading fails, and every parameter and
    buffer is the same tensor with the same values as before, also after an interrupt.
    What the model's own loading code did to other things, such as an extra state, then
    stays done. Values are copied in place, so that an optimizer goes on with the same
    parameters. While it runs, this costs memory for two more copies of the model, and
    for a third of what the state dict shares with the model.

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
        ValueError: if less than ``min_share`` fits, an argument is out of range, or the
            model has lazy layers without a size.
        RuntimeError: if the model's own loading code fails or changes what is loaded,
            or if two entries share memory and are given different values.

    Example:
        >>> import torch
        >>> model, trained = nn.Linear(2, 1), nn.Linear(2, 1)
        >>> wrapped = {f"module.{k}": v for k, v in trained.state_dict().items()}
        >>> load_matching(model, wrapped).share, torch.equal(model.bias, trained.bias)
        (1.0, True)
    """
    caller = "load_matching"
    in_range, advice = (lambda share: 0 <= share <= 1), "Write 0.5 for one half."
    require_number(caller, "min_share", min_share, in_range, "from 0 to 1", advice)
    given = _checked_arguments(caller, model, state_dict, prefixes)
    metadata = getattr(state_dict, "_metadata", None)
    # What lies in the memory that is written to must still be known afterwards.
    own = {_memory(t) for t in [*model.parameters(), *model.buffers()]}
    given = {k: _copied(v) if _memory(v) in own else v for k, v in given.items()}
    with _undone_after_a_failure(model):  # the report, too: state_dict() may have hooks
        report = _make_report(model, given, prefixes)
        if report.share < min_share:
            hint = _hint_at_inner_state_dict(model, given, prefixes, report)
            raise ValueError(_refusal(report, min_share, hint))
        fitting = [row for row in report.rows if row.status == "loaded"]
        chosen = {row.name: given[row.source] for row in fitting}
        # Copies, since custom code may write to what it is handed.
        handed = OrderedDict((name, _copied(value)) for name, value in chosen.items())
        if isinstance(metadata, Mapping):  # versions, by which layers know old files
            handed._metadata = _renamed(metadata, fitting)
        model.load_state_dict(handed, strict=False)
        _require_loaded(model, chosen)
    return report


def _checked_arguments(
    caller: str, model: object, state_dict: object, prefixes: object
) -> dict[str, object]:
    """Return a copy of the state dict, or raise an error that names the caller."""
    fine, got = isinstance(model, nn.Module), type(model).__name__
    advice = "The model comes first, then the state dict."
    require(fine, TypeError, caller, "model must be an nn.Module", got, advice)
    sized = not any(map(is_lazy, [*model.parameters(), *model.buffers()]))
    must, got = "model must have its sizes", "a lazy layer without them"
    require(sized, ValueError, caller, must, got, "Run it once on a batch first.")

    fine, got = isinstance(state_dict, Mapping), type(state_dict).__name__
    advice = "Read a file with torch.load(path); of a module take module.state_dict()."
    require(
        fine, TypeError, caller, "state_dict must be a dict of tensors", got, advice
    )
    other = [key for key in state_dict if not isinstance(key, str)]
    must, got = "state_dict must have strings as keys", repr(other[:1])[1:-1]
    advice = "Is it the state dict itself, or something that holds one?"
    require(not other, TypeError, caller, must, got, advice)

    fine = isinstance(prefixes, Sequence) and not isinstance(prefixes, str)
    must, advice = "prefixes must be a list of strings", "Try ['module.']."
    require(fine, TypeError, caller, must, repr(prefixes), advice)
    other = [p for p in prefixes if not _is_prefix(p)]
    must, got = "prefixes must each be a name and a dot", repr(other[:1])[1:-1]
    require(not other, ValueError, caller, must, got, advice)
    return dict(state_dict)


def _is_prefix(prefix: object) -> bool:
    return isinstance(prefix, str) and bool(re.fullmatch(r"[^.]+\.", prefix))


@contextlib.contextmanager
def _undone_after_a_failure(model: nn.Module) -> Iterator[None]:
    """Give a model its tensors with their values back if the block does not end well."""
    kinds = (nn.Module.named_parameters, nn.Module.named_buffers)
    places = [
        (module, *named)
        for module in model.modules()
        for kind in kinds
        for named in kind(module, recurse=False, remove_duplicate=False)
    ]
    tensors = {id(tensor): tensor for *_, tensor in places}.values()
    saved = [(t, t.data, None if _is_expanded(t) else _copied(t)) for t in tensors]
    try:
        yield
    except BaseException:  # an interrupt must not leave a half, either
        for module, name, tensor in places:
            setattr(module, name, tensor)
        for tensor, memory, values in saved:
            tensor.data = memory
            if values is not None:  # PyTorch does not write to expanded ones
                with torch.inference_mode():  # as tensors made in that mode demand
                    memory.copy_(values)
        raise


def _hint_at_inner_state_dict(
    model: nn.Module, given: Mapping, prefixes: Sequence[str], report: LoadReport
) -> str:
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


def _refusal(report: LoadReport, min_share: float, hint: str) -> str:
    """Say what does not fit, three names of a kind at most, and what to do."""
    reasons = []
    for status in ("missing", "shape", "unusable", "conflict", "unexpected"):
        rows = [row for row in report.rows if row.status == status]
        why = " ({})" if status == "unusable" else ""
        names = [row.name + why.format(row.note) for row in rows]
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            reasons.append(f"{status}: {', '.join(names[:3])}{more}")
    return (
        f"load_matching: state_dict fits {report.percent()} of the model, less than "
        f"min_share={min_share} ({'; '.join(reasons)}). Nothing was loaded. {hint}"
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


def _origin(row: Row) -> str:
    """Say which key a row is loaded from: only the prefix if the rest is its own name."""
    if row.source in ("", row.name):
        return ""
    prefix = row.source.removesuffix(row.name)
    return f"{prefix}*" if prefix != row.source else f"from {row.source}"


@dataclass(frozen=True)
class LoadReport:
    """What :func:`load_report` returns; ``print`` shows it as a table.

    Attributes:
        rows: a :class:`Row` for each entry of the model, then the unexpected ones.
        loaded: numbers of the model (parameters and buffers) that the state dict sets.
        total: all of them; tied ones once, an extra state as one.
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
            remarks = "; ".join(filter(None, (_origin(row), row.note)))
            remarks = f" ({remarks})" if remarks else ""
            lines.append(f"{row.status:10} {row.numbers:9,}  {row.name}{remarks}")
        lines.append(f"loaded {self.loaded:,} of {self.total:,} = {self.percent()}")
        return "\n".join(lines)

    def percent(self) -> str:
        """Return the share in per cent, rounded down: 99.99% is not 100.0%."""
        return f"{1000 * self.loaded // self.total / 10 if self.total else 100.0}%"


def _make_report(
    model: nn.Module, given: Mapping[str, object], prefixes: Sequence[str]
) -> LoadReport:
    """Report on every entry, under the pairing of names that loads most."""
    expected = model.state_dict(keep_vars=True)
    pairings = _pairings(list(expected), list(given), prefixes)
    candidates = [
        _entries_of_model(model, expected, given, pairs) for pairs in pairings
    ]
    # max() keeps the first of equals: names as they stand, if they serve.
    rows = max(candidates, key=lambda rows: _loaded_and_total(rows, expected)[0])
    used = {row.source for row in rows}
    rest = [key for key in given if key not in used]
    rows += [Row(key, key, _size(given[key]), "unexpected") for key in rest]
    return LoadReport(tuple(rows), *_loaded_and_total(rows, expected))


def _entries_of_model(model, expected, given, pairs: dict[str, str]) -> list[Row]:
    """Return a row for each entry of the model, given which key belongs to which."""
    rows = []
    for name, target in expected.items():
        source, status, note = pairs.get(name, ""), "missing", ""
        if name in pairs:
            status, note = _status_and_note(name, target, given[source])
        elif _is_unread_counter(model, name):
            status = "kept"
        rows.append(Row(name, source, _size(target), status, note))
    loaded = defaultdict(list)
    for row in rows:
        if row.status == "loaded":
            loaded[id(expected[row.name])].append(row)
    return [_with_ties(r, loaded[id(expected[r.name])], expected, given) for r in rows]


def _with_ties(row: Row, loaded: list[Row], expected, given) -> Row:
    """Return a row as the loaded rows of the same tensor, under any name, decide."""
    target = expected[row.name]
    if not isinstance(target, Tensor) or not loaded:
        return row
    if row.status == "missing":
        return row._replace(status="tied", note=f"is {loaded[0].name}")
    first, *others = (given[r.source] for r in loaded)
    if all(_same_once_loaded(target, first, other) for other in others):
        return row
    names = ", ".join(r.name for r in loaded)
    return row._replace(status="conflict", note=f"one tensor, two values: {names}")


def _loaded_and_total(rows: Sequence[Row], expected) -> tuple[int, int]:
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


def _pairings(
    expected: Sequence[str], given: Sequence[str], prefixes: Sequence[str]
) -> Iterator[dict[str, str]]:
    """Propose which key of the model belongs to which key of the state dict.

    First the keys as they stand; then without a prefix that all of them share, once,
    twice, ...; last, without any of the prefixes anywhere in either key. Parts between
    dots are compared as a whole, so that ``submodule.`` is never taken for ``module.``.
    """
    wrappers = {prefix[:-1] for prefix in prefixes}
    yield {key: key for key in expected if key in set(given)}
    short = {key: key for key in given}  # shortened: as given
    while short and all("." in k and k.partition(".")[0] in wrappers for k in short):
        heads = {key.partition(".")[0] for key in short}
        if len(heads) > 1:
            break
        short = {key.partition(".")[2]: whole for key, whole in short.items()}
        yield {key: short[key] for key in expected if key in short}
    if wrappers:
        ours, theirs = (_without(wrappers, keys) for keys in (expected, given))
        yield {
            names[0]: theirs[short][0]
            for short, names in ours.items()
            if len(names) == len(theirs.get(short, ())) == 1
        }


def _without(wrappers: set[str], keys: Sequence[str]) -> dict[str, list[str]]:
    """Return keys by what is left of them: those that share it are ambiguous."""
    groups = defaultdict(list)
    for key in keys:
        path, _, last = key.rpartition(".")
        kept = [part for part in path.split(".") if part not in wrappers]
        groups[".".join([*kept, last])].append(key)
    return groups


def _is_extra_state(key: str) -> bool:
    """Whether a key is that of a module's own extra state, which may be anything."""
    return key.rpartition(".")[2] == EXTRA_STATE


def _size(value: object) -> int:
    """Return how many numbers an entry holds; 1 if it is no tensor or has no shape."""
    return value.numel() if isinstance(value, Tensor) and not is_lazy(value) else 1


def _is_unread_counter(model: nn.Module, key: str) -> bool:
    """Whether a key is a counter of batches that its layer never reads."""
    path, _, last = key.rpartition(".")
    if last != "num_batches_tracked":
        return False
    try:
        owner = model.get_submodule(path)
    except AttributeError:  # a hook of the model has made up the name
        return False
    # The base of all batch norms is internal. Checked against PyTorch 2.6.
    norm = nn.modules.batchnorm._NormBase
    return isinstance(owner, norm) and owner.momentum is not None


def _status_and_note(key: str, target: object, value: object) -> tuple[str, str]:
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
    if _in_shape_of(target, value).shape != target.shape:
        return "shape", f"{tuple(value.shape)} given, not {tuple(target.shape)}"
    if _is_expanded(target):
        return "unusable", "expanded in the model: its numbers share one place"
    if (value.dtype, value.layout) == (target.dtype, target.layout):
        return "loaded", ""
    return _status_of_cast(value, target)


def _status_of_cast(value: Tensor, target: Tensor) -> tuple[str, str]:
    """Return the status and a note for a tensor of another dtype or layout."""
    given, wanted = _dtype_and_layout(value), _dtype_and_layout(target)
    quantized = value.is_quantized or target.is_quantized
    known = value.layout == target.layout and not quantized
    if not known or not torch.can_cast(value.dtype, target.dtype):
        return "unusable", f"{given} does not become {wanted}"
    lost = _destroyed_by_cast(value, target.dtype)
    return ("unusable", lost) if lost else ("loaded", f"{given} to {wanted}")


def _dtype_and_layout(tensor: Tensor) -> str:
    layout = "" if tensor.layout == torch.strided else f" {tensor.layout}"
    return f"{tensor.dtype}{layout}".replace("torch.", "")


def _is_expanded(target: Tensor) -> bool:
    """Whether a tensor is expanded, so that PyTorch refuses to write into it."""
    if target.layout != torch.strided:
        return False
    steps = zip(target.shape, target.stride(), strict=True)
    return any(size > 1 and stride == 0 for size, stride in steps)


def _destroyed_by_cast(value: Tensor, dtype: torch.dtype) -> str:
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
    has_numbers = isinstance(value, Tensor) and not is_lazy(value)
    return value.detach().clone() if has_numbers else value


def _memory(value: object) -> int | None:
    """Return where a tensor's memory begins; None if it has none of its own."""
    if not isinstance(value, Tensor) or is_lazy(value):
        return None
    try:
        return value.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):  # sparse, or made of other tensors
        return None


def _in_shape_of(target: Tensor, value: Tensor) -> Tensor:
    """Return a scalar for one number in a list, as PyTorch does for old files."""
    return value[0] if target.ndim == 0 and value.shape == (1,) else value


def _same_once_loaded(target: Tensor, *values: Tensor) -> bool:
    """Whether values become the same numbers in a tensor of the model, nan included."""
    first, second = (
        _in_shape_of(target, v).detach().to(target.device, target.dtype) for v in values
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
    advice = (
        "Code of the model's own has changed it, or another entry lies in the same "
        "memory. Nothing was loaded. Use model.load_state_dict, which does not check."
    )
    for name, value in chosen.items():
        if _is_extra_state(name):
            continue  # only the module knows what it has made of it
        held = now.get(name)
        fine = isinstance(held, Tensor) and _same_once_loaded(held, held, value)
        must, got = f"{name} must hold what state_dict holds", "something else"
        require(fine, RuntimeError, "load_matching", must, got, advice)
