"""Batches as loaders yield them, and what models return for them: told apart, joined."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass

import torch
from torch import Tensor, nn

from helpers._arguments import require, require_shape

TARGETS = ("labels", "label", "targets", "target", "y")  # their name in a dict


def parted(
    where: str, batch: object, whole: str, advice: str
) -> tuple[list, dict, object]:
    """Return a batch's inputs by place, its inputs by name, and its targets.

    Args:
        whole: what yields or holds batches, in words.
    """
    names = [name for name in TARGETS if isinstance(batch, Mapping) and name in batch]
    several = isinstance(batch, (tuple, list)) and len(batch) > 1
    must = f"what {whole} must be (x, ..., y), or a dict with y under the name labels"
    got = type(batch).__name__
    if isinstance(batch, Mapping):
        got = f"a dict of {', '.join(map(str, batch))}"
    elif isinstance(batch, (tuple, list)):
        got = f"a {got} of {len(batch)}"
    require(several or len(names) == 1, TypeError, where, must, got, advice)
    if names:
        return [], {k: v for k, v in batch.items() if k != names[0]}, batch[names[0]]
    return list(batch[:-1]), {}, batch[-1]


def require_fitting(
    where: str, model: nn.Module, inputs: list, named: dict, advice: str
) -> None:
    """Raise an error if a model is to get more inputs than its ``forward`` takes."""
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):  # a compiled one may have none
        return
    try:
        signature.bind(*inputs, **named)
    except TypeError as error:
        too_many = "missing" not in str(error)  # of too few, Python tells the name
        must = "a batch must be what the model's forward takes, then y"
        got = str(error).removeprefix("got ")
        require(not too_many, TypeError, where, must, got, advice)


def moved(part: object, device: torch.device | None) -> object:
    """Return tensors, in whatever nest, on a device; leave what cannot be moved."""
    if hasattr(part, "to") and device is not None:
        return part.to(device)
    if isinstance(part, Mapping):
        return {key: moved(value, device) for key, value in part.items()}
    if isinstance(part, (tuple, list)):
        return _alike(part, [moved(value, device) for value in part])
    return part


def joined(where: str, name: str, parts: Sequence) -> object:
    """Join what a model returned for batch after batch into what it is for all of them.

    Tensors are put together along their first dimension, in tuples, dicts and objects
    too; a tensor without dimensions becomes one number for each batch. None stays None,
    and of anything else there is a list, with one entry for each batch.
    """
    first = parts[0]
    if isinstance(first, Tensor):
        return _one_tensor(where, name, parts)
    if isinstance(first, Mapping):
        whole = copy.copy(first)
        for key in first:
            whole[key] = joined(where, f"{name}[{key!r}]", [p[key] for p in parts])
        return whole
    if isinstance(first, (tuple, list)):
        same, must = {len(part) for part in parts} == {len(first)}, "of one length"
        advice = "Let forward return what loss_fn and score use, and nothing else."
        got = f"{sorted({len(part) for part in parts})} entries"
        require(same, ValueError, where, f"{name} must be {must}", got, advice)
        columns = enumerate(zip(*parts, strict=True))
        return _alike(first, [joined(where, f"{name}[{i}]", c) for i, c in columns])
    return _one_object(where, name, parts)


def way_to_logits(output: object) -> str:
    """Return what to write behind a model's output to get the first tensor in it."""
    if isinstance(output, Mapping):
        return f"[{'logits' if 'logits' in output else next(iter(output), 'logits')!r}]"
    if isinstance(output, (tuple, list)):
        return "[0]"
    found = [k for k in _attributes(output) if isinstance(getattr(output, k), Tensor)]
    return f".{'logits' if 'logits' in found else found[0] if found else 'logits'}"


def _one_tensor(where: str, name: str, parts: Sequence[Tensor]) -> Tensor:
    if not parts[0].ndim:
        return torch.stack(tuple(parts))
    shape = ", ".join(map(str, ("B", *parts[0].shape[1:])))
    must = f"({shape}) in every batch, as in the first"
    advice = "Pad it to one size, or leave it out of what forward returns."
    for part in parts:
        alike = part.shape[1:] == parts[0].shape[1:]
        require_shape(where, name, part, alike, must, advice)
    return torch.cat(parts)


def _one_object(where: str, name: str, parts: Sequence) -> object:
    first, names = parts[0], _attributes(parts[0])
    if not names:
        return None if first is None else list(parts)
    whole = copy.copy(first)
    for key in names:
        value = joined(where, f"{name}.{key}", [getattr(part, key) for part in parts])
        object.__setattr__(whole, key, value)  # a dataclass may be frozen
    return whole


def _attributes(value: object) -> list[str]:
    if is_dataclass(value):
        return [field.name for field in fields(value)]
    return [] if isinstance(value, type) else list(getattr(value, "__dict__", {}))


def _alike(nest: Sequence, parts: list) -> Sequence:
    """Return parts as a list or tuple of the kind of ``nest``."""
    return type(nest)(*parts) if hasattr(nest, "_fields") else type(nest)(parts)
