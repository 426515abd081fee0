"""Load a state dict and know what was loaded: a report first, then all or nothing."""

from __future__ import annotations

import contextlib
import copy
import re
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from helpers._arguments import require, require_number, require_sizes
from helpers._torch_internals import has_loading_code, is_batch_norm, loading_hooks

PREFIXES = ("module.", "_orig_mod.")  # of (Distributed)DataParallel and torch.compile
# Words that only wrappers put into names, also in the middle: the same and FSDP's.
WRAPPERS = (
    "module",
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
)
EXTRA_STATE = "_extra_state"  # the last part of the key under which PyTorch keeps it
COUNTER = "num_batches_tracked"  # the same of batch norm's counter
CODES = " codes"  # what a note calls numbers that need a scale


def load_report(
    model: nn.Module, state_dict: Mapping[str, Tensor], prefixes: Sequence[str] = ()
) -> LoadReport:
    """Tell what of a state dict would load into a model, without loading it.

    Args:
        model: any ``nn.Module``. It is not changed: loading code of its own, such as a
            hook that knows old names, is run on a copy of it that holds no numbers, and
            only if names or shapes do not agree without. But ``model.state_dict()`` is
            run on the model itself, with whatever hooks it has.
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
    return _best_match(model, given, prefixes).report()


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
    parameters. While it runs, this costs memory for two more copies of the model, for a
    third of what the state dict shares with the model, and for two of the state dict if
    only the model's own loading code knows its names.

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
            model has lazy layers without a size. If another call would load more, such
            as with a key inside the state dict or with other prefixes, it is printed.
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
    # What lies in the memory that is written to must still be known afterwards.
    own = {_memory(t) for t in [*model.parameters(), *model.buffers()]}
    for key, value in given.items():
        given[key] = _copied(value) if _memory(value) in own else value
    with _undone_after_a_failure(model):  # the report, too: state_dict() may have hooks
        match = _best_match(model, given, prefixes)
        report = match.report()
        if report.share < min_share:
            raise ValueError(_refusal(model, given, prefixes, report, min_share))
        model.load_state_dict(_handed(match, given), strict=False)
        _require_loaded(model, match)
    return report


def _checked_arguments(
    caller: str, model: object, state_dict: object, prefixes: object
) -> dict[str, object]:
    """Return a copy of the state dict, or raise an error that names the caller."""
    fine, got = isinstance(model, nn.Module), type(model).__name__
    advice = "The model comes first, then the state dict."
    require(fine, TypeError, caller, "model must be an nn.Module", got, advice)
    require_sizes(caller, model)

    fine, got = isinstance(state_dict, Mapping), type(state_dict).__name__
    advice = "Read a file with torch.load(path); of a module take module.state_dict()."
    items = state_dict if isinstance(state_dict, (list, tuple)) else ()
    for number in [n for n, item in enumerate(items) if isinstance(item, Mapping)][:1]:
        advice = f"Pass the dict in it: state_dict[{number}]."
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
    return _plain(state_dict)


def _plain(state_dict: Mapping[str, object]) -> OrderedDict[str, object]:
    """Return a copy that keeps the layers' versions, by which they know old files."""
    given = OrderedDict(state_dict)
    versions = getattr(state_dict, "_metadata", None)
    given._metadata = versions if isinstance(versions, Mapping) else None
    return given


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


# --- the refusal -------------------------------------------------------------------------


def _refusal(model, given, prefixes, report: LoadReport, min_share: float) -> str:
    """Say what does not fit, and what to do."""
    advice = _better_calls(model, given, prefixes, report, min_share)
    advice = advice or _advice(given, report, prefixes, min_share)
    return (
        f"load_matching: state_dict fits {report.percent()} of the model, less than "
        f"min_share={min_share} ({_reasons(report)}). Nothing was loaded. {advice}"
    )


def _reasons(report: LoadReport) -> str:
    """Name what does not fit, three names of a kind at most."""
    reasons = []
    for status in ("missing", "shape", "unusable", "conflict", "unexpected"):
        rows = [row for row in report.rows if row.status == status]
        names = [row.name + (f" ({row.note})" if row.note else "") for row in rows]
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            reasons.append(f"{status}: {', '.join(names[:3])}{more}")
    return "; ".join(reasons)


def _advice(given, report: LoadReport, prefixes, min_share: float) -> str:
    """Say what to do about entries that do not fit, and how to load the others."""
    steps = _advice_on_kind(given, report.names("unusable"))
    left = (given[name] for name in report.names("unexpected"))
    if report.names("missing") and any(isinstance(value, Tensor) for value in left):
        steps.append("Rename its keys to those of model.state_dict()")
    for row in [row for row in report.rows if CODES in row.note][:1]:
        steps.append(f"Dequantise {row.source} with the library that wrote it")
        if row.status == "unusable":
            key = f"state_dict[{row.source!r}]"
            steps.append(f"Say that its numbers need no scale: {key} = {key}.float()")
    for row in [row for row in report.rows if row.status == "conflict"][:1]:
        steps.append(f"Keep one of two values: del state_dict[{row.source!r}]")
    if report.loaded:
        call = _call("model", "state_dict", prefixes, report, min_share)
        steps.append(f"Load only the {report.percent()} that fit: {call}")
    steps = steps or ["Pass a state dict that holds these entries as the model does"]
    first, *others = steps
    return "; or ".join([first, *(s[0].lower() + s[1:] for s in others)]) + "."


def _advice_on_kind(given, unusable: Sequence[str]) -> list[str]:
    """Say what to do with a dict whose values are not tensors."""
    if given.keys() >= {"state", "param_groups"}:
        return ["It is an optimizer's: optimizer.load_state_dict(state_dict)"]
    if isinstance(given.get("weight_map"), Mapping):
        files = "sorted(set(state_dict['weight_map'].values()))"
        return [f"It is an index: load each of the files {files}, and join their dicts"]
    others = [value for value in given.values() if not isinstance(value, Tensor)]
    if unusable and others and all(map(_is_array, others)):
        made = "{k: torch.as_tensor(v) for k, v in state_dict.items()}"
        return [f"Make tensors of its arrays: state_dict = {made}"]
    return []


def _is_array(value: object) -> bool:
    """Whether a value is a NumPy array, a number, or a list of numbers."""
    with contextlib.suppress(TypeError, ValueError, RuntimeError):
        return torch.as_tensor(value) is not None
    return False


def _call(part: str, path: str, prefixes, report: LoadReport, min_share: float) -> str:
    """Write a call of ``load_matching`` that loads what a report says."""
    arguments = [part, path]
    if report.share < min_share:  # rounded down, so that the call is not refused
        arguments.append(f"min_share={1000 * report.loaded // report.total / 1000}")
    if tuple(prefixes) != PREFIXES:
        arguments.append(f"prefixes={list(prefixes)}")
    return f"load_matching({', '.join(arguments)})"


def _better_calls(model, given, prefixes, report: LoadReport, min_share: float) -> str:
    """Write the calls that load most, if they load more than this one."""
    best, found = (report.loaded + 1, False), {}
    for path, part, words, trial in _trials(model, given, prefixes):
        fits = trial.share >= min_share
        rank = (trial.loaded, fits)
        if rank < best:
            continue
        if rank > best:
            best, found = rank, {}
        call = _call(_expression(part), path, words, trial, min_share)
        of_part = f" of {_expression(part)}" if part else ""
        why = "" if fits else f" ({_reasons(trial)})"
        sources = (row.source for row in trial.rows if row.status == "loaded")
        said = f"{call} loads {trial.percent()}{of_part}{why}"
        found.setdefault((path, *sources), said)  # the plainest call for the same
    if not found:
        return ""
    inside = dict.fromkeys(path for path, *_ in found if path != "state_dict")
    question = f"Is it {' or '.join([*inside][:3])} that you mean? " if inside else ""
    calls = ", or ".join([*found.values()][:3])
    return f"{question}{calls}. Here model and state_dict are what you passed."


def _trials(model, given, prefixes) -> Iterator[tuple[str, str, Sequence, LoadReport]]:
    """Yield other calls with their reports: where the state dict lies, part, prefixes."""
    parts = dict(model.named_modules())
    for path, inner in _state_dicts_in(given, "state_dict"):
        inner = _plain(inner)
        for part, words in _guesses(model, inner, prefixes):
            trial = _best_match(parts[part], inner, words).report()
            as_asked = words == prefixes and not part
            if as_asked or _is_half_known(trial, bool(part)):
                yield path, part, words, trial


def _expression(path: str) -> str:
    """Write how to reach a part of the model."""
    named = all(name.isidentifier() for name in path.split("."))
    part = f"model.{path}" if named else f"model.get_submodule({path!r})"
    return part if path else "model"


def _is_half_known(report: LoadReport, is_part: bool) -> bool:
    """Whether at least half of the model's names are found: fewer may be chance.

    For a part of the model, half of the state dict's names must have a place, too.
    """
    lacking, left = (len(report.names(s)) for s in ("missing", "unexpected"))
    known = len(report.rows) - lacking - left
    return known >= lacking and (known >= left or not is_part)


def _state_dicts_in(
    value: object, path: str, levels: int = 2
) -> Iterator[tuple[str, Mapping]]:
    """Yield whatever may be a state dict, with the expression that leads to it."""
    if isinstance(value, nn.Module):
        value, path, levels = value.state_dict(), f"{path}.state_dict()", 0
    inner = {}
    if isinstance(value, Mapping):
        inner = value
        if value and all(isinstance(key, str) for key in value):
            yield path, value
    elif isinstance(value, (list, tuple)):
        inner = dict(enumerate(value))
    if levels:
        for key, held in inner.items():
            yield from _state_dicts_in(held, f"{path}[{key!r}]", levels - 1)


def _guesses(
    model: nn.Module, given: Mapping[str, object], prefixes: Sequence[str]
) -> Iterator[tuple[str, Sequence[str]]]:
    """Propose parts of the model and prefixes under which more names would agree."""
    yield "", prefixes
    names, parts = list(model.state_dict()), {"": model}
    if not isinstance(model, torch.jit.ScriptModule):  # it has no get_submodule
        parts = dict(model.named_modules())
    for words in ((), WRAPPERS):
        ours, theirs = (_without(set(words), keys) for keys in (names, given))
        used = [w for w in words if any(w in k.split(".") for k in [*names, *given])]
        for (path, prefix), _ in _shifts(ours, theirs).most_common(4):
            if path in parts and (not words or (used and not path)):
                found = [f"{w}." for w in [*used, *prefix.split(".")] if w]
                yield path, found or prefixes


def _shifts(ours: Sequence[str], theirs: Sequence[str]) -> Counter[tuple[str, str]]:
    """Count how often a key is one of the other side's behind other first parts."""
    ends = defaultdict(list)  # what a key ends with: what stands before
    for key in theirs:
        for before, end in _splits(key):
            ends[end].append(before)
    shifts = Counter()
    for name in ours:
        fits = ((path, end) for path, end in _splits(name) if end in ends)
        path, longest = next(fits, ("", ""))
        # An end that many keys have, such as "weight", says little.
        shifts.update((path, before) for before in ends[longest][:16])
    return shifts


def _splits(key: str) -> Iterator[tuple[str, str]]:
    """Yield a key's first and last parts, split at every dot, the longest end first."""
    parts = key.split(".")
    for at in range(len(parts)):
        yield ".".join(parts[:at]), ".".join(parts[at:])


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


class _Match(NamedTuple):
    """One way to pair the entries of a model with those of a state dict."""

    rows: list[Row]
    loaded: int
    total: int
    view: Mapping[
        str, str
    ]  # a key as the model is to see it: the key in the state dict
    values: Mapping[str, object]  # what each name of the model is to hold

    def report(self) -> LoadReport:
        return LoadReport(tuple(self.rows), self.loaded, self.total)


def _best_match(
    model: nn.Module, given: OrderedDict[str, object], prefixes: Sequence[str]
) -> _Match:
    """Return the pairing of names that loads most, the plainest of equals."""
    expected = model.state_dict(keep_vars=True)
    views = list(_views(list(expected), list(given), prefixes))
    found = ({n: (v[n], given[v[n]]) for n in expected if n in v} for v in views)
    matches = [
        _match(model, expected, given, view, pairs)
        for view, pairs in zip(views, found, strict=True)
    ]
    best = max(matches, key=lambda match: match.loaded)
    if best.loaded < best.total and has_loading_code(model):
        for view in views:
            pairs, unread = _as_loading_code_reads(model, expected, given, view)
            match = _match(model, expected, given, view, pairs, unread)
            # What is made of several keys can only be left out with all of them.
            wrong = {row.status for row in match.rows if not row.source}
            if wrong <= {"loaded", "missing", "tied", "kept"}:
                best = max(best, match, key=lambda match: match.loaded)
    return best


def _match(model, expected, given, view, pairs, unread=None) -> _Match:
    """Pair entries: ``pairs`` has, by name in the model, a key and the value to load."""
    rows = _entries_of_model(model, expected, pairs)
    loaded, total = _loaded_and_total(rows, expected)
    used = {row.source for row in rows}
    consumed = set() if unread is None else set(view.values()) - unread
    rest = [key for key in given if key not in used | consumed]
    rows += [
        Row(key, key, _size(given[key]), "unexpected", _note_on_rest(given[key]))
        for key in rest
    ]
    return _Match(rows, loaded, total, view, {n: pairs[n][1] for n in pairs})


def _entries_of_model(model, expected, pairs) -> list[Row]:
    """Return a row for each entry of the model, given what belongs to which."""
    rows = []
    for name, target in expected.items():
        source, status, note = "", "missing", ""
        if name in pairs:
            source, value = pairs[name]
            status, note = _status_and_note(name, target, value)
        elif _is_unread_counter(model, name):
            status = "kept"
        rows.append(Row(name, source, _size(target), status, note))
    loaded = defaultdict(list)
    for row in rows:
        if row.status == "loaded":
            loaded[id(expected[row.name])].append(row)
    return [_with_ties(r, loaded[id(expected[r.name])], expected, pairs) for r in rows]


def _with_ties(row: Row, loaded: list[Row], expected, pairs) -> Row:
    """Return a row as the loaded rows of the same tensor, under any name, decide."""
    target = expected[row.name]
    if not isinstance(target, Tensor) or not loaded:
        return row
    if row.status == "missing":
        return row._replace(status="tied", note=f"is {loaded[0].name}")
    first, *others = (pairs[r.name][1] for r in loaded)
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


# --- names -------------------------------------------------------------------------------


def _views(
    expected: Sequence[str], given: Sequence[str], prefixes: Sequence[str]
) -> Iterator[dict[str, str]]:
    """Propose how the model is to see the state dict's keys: new key, given key.

    First the keys as they stand; then without a prefix that all of them share, once,
    twice, ...; last, without any of the prefixes anywhere in either key. Parts between
    dots are compared as a whole, so that ``submodule.`` is never taken for ``module.``.
    """
    wrappers = {prefix[:-1] for prefix in prefixes}
    short = {key: key for key in given}  # shortened: as given
    yield short
    while short and all("." in k and k.partition(".")[0] in wrappers for k in short):
        heads = {key.partition(".")[0] for key in short}
        if len(heads) > 1:
            break
        short = {key.partition(".")[2]: whole for key, whole in short.items()}
        yield short
    if wrappers:
        ours, theirs = (_without(wrappers, keys) for keys in (expected, given))
        yield {
            ours.get(short, [short])[0]: keys[0]
            for short, keys in theirs.items()
            if len(keys) == len(ours.get(short, [short])) == 1
        }


def _without(wrappers: set[str], keys: Sequence[str]) -> dict[str, list[str]]:
    """Return keys by what is left of them: those that share it are ambiguous."""
    groups = defaultdict(list)
    for key in keys:
        *path, last = key.split(".")
        kept = [part for part in path if part not in wrappers]
        groups[".".join([*kept, last])].append(key)
    return groups


# --- the model's own loading code --------------------------------------------------------


def _reaches_out(model: nn.Module) -> bool:
    """Whether a hook holds a module or tensor that a copy of the model would share."""
    cells = [
        c for h in loading_hooks(model) for c in getattr(h, "__closure__", None) or ()
    ]
    return any(isinstance(cell.cell_contents, (nn.Module, Tensor)) for cell in cells)


def _as_loading_code_reads(
    model: nn.Module, expected: Mapping, given: OrderedDict, view: Mapping[str, str]
) -> tuple[dict[str, tuple[str, object]], set[str]]:
    """Return what ``load_state_dict`` would load: name, key and value; and unread keys.

    The key is "" for a value that the model's code makes. It runs on a copy of the model
    without numbers, and on copies of the tensors, since it may write to either.
    """
    handed = OrderedDict((name, _copied(given[key])) for name, key in view.items())
    handed._metadata = _renamed(given._metadata, view)
    keys = {id(value): view[name] for name, value in handed.items()}
    seen = {}

    def note(module, state_dict, prefix, *rest):
        own = [
            k
            for k in state_dict
            if k in expected and k.rpartition(".")[0] == prefix[:-1]
        ]
        seen.update((key, state_dict.pop(key)) for key in own)  # so nothing is copied

    nothing = {}, set(view.values())
    try:
        if _reaches_out(model):
            return nothing
        stand_in = _without_numbers(model)
        for module in stand_in.modules():
            module.register_load_state_dict_pre_hook(note)  # behind the module's own
            module._load_state_dict_post_hooks.clear()
        unread = stand_in.load_state_dict(handed, strict=False).unexpected_keys
    except Exception:  # code that does not run on a copy tells nothing
        return nothing
    pairs = {name: (keys.get(id(value), ""), value) for name, value in seen.items()}
    # Batch norm makes a counter for old files, out of the one that it has.
    counters = [n for n in pairs if n.endswith(COUNTER) and not pairs[n][0]]
    for name in counters:
        del pairs[name]
    return pairs, {view[name] for name in unread if name in view}


def _without_numbers(model: nn.Module) -> nn.Module:
    """Return a copy of a model with all of its tensors on the meta device."""
    made = {}
    for module in model.modules():
        held = (module._parameters, module._buffers, vars(module))
        for tensor in (t for place in held for t in place.values()):
            if isinstance(tensor, Tensor):
                empty = tensor.detach().to("meta")
                is_parameter = isinstance(tensor, nn.Parameter)
                made[id(tensor)] = nn.Parameter(empty) if is_parameter else empty
    return copy.deepcopy(model, made)


def _handed(match: _Match, given: OrderedDict) -> OrderedDict[str, object]:
    """Return what ``load_state_dict`` is to get: the entries that will be loaded."""
    known = {row.source for row in match.rows}
    # Of what has no row, the model's own code makes others; it must find it as it was.
    view = {name: key for name, key in match.view.items() if key not in known}
    view |= {r.name: r.source for r in match.rows if r.status == "loaded" and r.source}
    # Copies, since custom code may write to what it is handed.
    handed = OrderedDict((name, _copied(given[key])) for name, key in view.items())
    handed._metadata = _renamed(given._metadata, view)
    return handed


def _renamed(metadata: Mapping | None, view: Mapping[str, str]) -> OrderedDict | None:
    """Return the layers' versions under the names that they have in the model."""
    if metadata is None:
        return None
    versions = {path: dict(version) for path, version in metadata.items()}
    for path, source in view.items():
        while path and path.rpartition(".")[2] == source.rpartition(".")[2]:
            path, source = (key.rpartition(".")[0] for key in (path, source))
            if source in metadata:
                versions[path] = dict(metadata[source])
    return OrderedDict(versions)


# --- single entries ----------------------------------------------------------------------


def _is_extra_state(key: str) -> bool:
    """Whether a key is that of a module's own extra state, which may be anything."""
    return key.rpartition(".")[2] == EXTRA_STATE


def _size(value: object) -> int:
    """Return how many numbers an entry holds; 1 if it is no tensor or has no shape."""
    return value.numel() if isinstance(value, Tensor) and not is_lazy(value) else 1


def _is_unread_counter(model: nn.Module, key: str) -> bool:
    """Whether a key is a counter of batches that its layer never reads."""
    path, _, last = key.rpartition(".")
    if last != COUNTER:
        return False
    owner = dict(model.named_modules(remove_duplicate=False)).get(path)
    return is_batch_norm(owner) and owner.momentum is not None


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
    if _needs_scale(value, target):
        given, wanted = _dtype_and_layout(value), _dtype_and_layout(target)
        return "unusable", f"{given}{CODES}, not {wanted} numbers"
    if _in_shape_of(target, value).shape != target.shape:
        return "shape", f"given {tuple(value.shape)}, model {tuple(target.shape)}"
    if _is_expanded(target):
        return "unusable", "expanded in the model: its numbers share one place"
    if (value.dtype, value.layout) == (target.dtype, target.layout):
        return "loaded", ""
    return _status_of_cast(value, target)


def _needs_scale(value: Tensor, target: Tensor) -> bool:
    """Whether numbers must be multiplied by a scale first: those of 8 bits, and integers.

    A buffer may count in integers of more bits, or be a mask, so these are its numbers.
    """
    if value.is_quantized or _is_integer(target) or value.dtype == target.dtype:
        return False
    if target.dtype.itemsize > 1 and _is_byte(value):
        return True
    return isinstance(target, nn.Parameter) and _is_integer(value)


def _is_integer(tensor: Tensor) -> bool:
    return not (tensor.dtype.is_floating_point or tensor.dtype.is_complex)


def _is_byte(tensor: Tensor) -> bool:
    return tensor.dtype.itemsize == 1 and tensor.dtype != torch.bool


def _note_on_rest(value: object) -> str:
    """Say of an entry without a place if it looks like a quantised weight."""
    if not isinstance(value, Tensor) or value.ndim < 2:
        return ""
    packed = _is_byte(value) or value.dtype == torch.int32
    return f"{_dtype_and_layout(value)}{CODES}" if packed else ""


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


def _require_loaded(model: nn.Module, match: _Match) -> None:
    """Raise an error unless the model holds what was to be loaded."""
    now = model.state_dict(keep_vars=True)
    advice = (
        "Code of the model's own has changed it, or another entry lies in the same "
        "memory. Nothing was loaded. Use model.load_state_dict, which does not check."
    )
    for name in (row.name for row in match.rows if row.status == "loaded"):
        if _is_extra_state(name):
            continue  # only the module knows what it has made of it
        held, value = now.get(name), match.values[name]
        fine = isinstance(held, Tensor) and _same_once_loaded(held, held, value)
        must, got = f"{name} must hold what state_dict holds", "something else"
        require(fine, RuntimeError, "load_matching", must, got, advice)
