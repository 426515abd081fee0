"""What ``helpers.loading`` asks of its arguments, of names and of single entries."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy

PREFIXES = ("module.", "_orig_mod.")  # of (Distributed)DataParallel and torch.compile
EXTRA_STATE = "_extra_state"  # the last part of the key under which PyTorch keeps it


def require_arguments(
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


def require_min_share(min_share: object) -> None:
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


def pairings(
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


def is_extra_state(key: str) -> bool:
    """Whether a key is that of a module's own extra state, which may be anything."""
    return key.rpartition(".")[2] == EXTRA_STATE


def count(value: object) -> int:
    """Return how many numbers an entry holds; 1 if it is no tensor or has no shape."""
    return value.numel() if isinstance(value, Tensor) and not is_lazy(value) else 1


def may_be_kept(model: nn.Module, key: str) -> bool:
    """Whether a key is a counter of batches that its layer never reads."""
    path, _, last = key.rpartition(".")
    if last != "num_batches_tracked":
        return False
    try:
        owner = model.get_submodule(path)
    except AttributeError:  # a hook of the model has made up the name
        return False
    return isinstance(owner, _NormBase) and owner.momentum is not None


def judge(key: str, target: object, value: object) -> tuple[str, str]:
    """Return the status of one entry, were it loaded, and a note on it.

    Args:
        key: its name in the model.
        target: the model's parameter, buffer or extra state.
        value: what the state dict holds for it, whatever that is.
    """
    if is_extra_state(key):
        return "loaded", "extra state"
    if not isinstance(value, Tensor):
        return "unusable", f"{type(value).__name__}, not a tensor"
    if not isinstance(target, Tensor):
        return "unusable", f"{type(target).__name__} in the model, not a tensor"
    if is_lazy(value) or value.is_meta:
        return "unusable", "the state dict's tensor has no numbers in it"
    if target.is_meta:
        return "unusable", "the model is on the meta device; see nn.Module.to_empty"
    if not is_lazy(target) and as_loaded(target, value).shape != target.shape:
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


def copied(value: object) -> object:
    """Return a copy of a tensor, in memory of its own; anything else as it is."""
    return value.detach().clone() if isinstance(value, Tensor) else value


def as_loaded(target: Tensor, value: Tensor) -> Tensor:
    """Return a scalar for one number in a list, as PyTorch does for old files."""
    scalar = not is_lazy(target) and target.ndim == 0 and value.shape == (1,)
    return value[0] if scalar else value


def alike(target: Tensor, *values: Tensor) -> bool:
    """Whether values become the same numbers in a tensor of the model, nan included."""
    first, second = (
        as_loaded(target, v).detach().to(target.device, target.dtype) for v in values
    )
    if first.layout != torch.strided:
        first, second = first.to_dense(), second.to_dense()
    return first.shape == second.shape and bool(
        ((first == second) | ((first != first) & (second != second))).all()
    )


def renamed(metadata: Mapping, rows: Sequence) -> OrderedDict:
    """Return the layers' versions under the names that they have in the model."""
    versions = {path: dict(version) for path, version in metadata.items()}
    for row in rows:
        path, source = (key.rpartition(".")[0] for key in (row.name, row.source))
        if source in metadata:
            versions[path] = dict(metadata[source])
    return OrderedDict(versions)


def require_loaded(model: nn.Module, chosen: Mapping[str, object]) -> None:
    """Raise an error unless the model holds what was to be loaded."""
    now = model.state_dict(keep_vars=True)
    for name, value in chosen.items():
        if is_extra_state(name):
            continue  # only the module knows what it has made of it
        if not isinstance(now.get(name), Tensor) or not alike(
            now[name], now[name], value
        ):
            raise RuntimeError(
                f"load_matching: {name} does not hold what state_dict holds: code of the "
                "model's own has changed it, or another entry lies in the same memory. "
                "The model is as it was. Use model.load_state_dict, which does not check."
            )
