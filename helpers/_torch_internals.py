"""What the helpers take from PyTorch that has no public name, and what it is for.

Here, so that the next version of PyTorch can break one place; only what counts operators
looks at them in ``flops.py``. Each name has been there, with this meaning, from PyTorch
2.6 to 2.15.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    import torch
    from torch import nn


def tensors_without_data() -> AbstractContextManager:
    """Return the mode in which tensors have shape, type and device, and no kernel runs."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    return FakeTensorMode()


def names_of_the_safe_loader() -> set[str]:
    """Return what ``torch.load`` looks up in a file: PyTorch's own names and allowed ones."""
    from torch import _weights_only_unpickler as loader

    return {*loader._get_allowed_globals(), *loader._get_user_allowed_globals()}


def names_of_python_2() -> tuple[Mapping, Mapping]:
    """Return what a pickle of Python 2 calls modules, and names in them, today."""
    from torch._utils import IMPORT_MAPPING, NAME_MAPPING

    return IMPORT_MAPPING, NAME_MAPPING


def is_batch_norm(module: nn.Module) -> bool:
    """Whether a module is one of the layers that count their batches."""
    from torch.nn.modules.batchnorm import _NormBase

    return isinstance(module, _NormBase)


def has_forward_hooks(model: nn.Module) -> bool:
    """Whether somebody listens to what a model or a part of it takes or returns."""
    return any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def loading_hooks(model: nn.Module) -> Iterator[Callable]:
    """Yield the functions that see a state dict before a module's own part is loaded."""
    for module in model.modules():
        for hook in module._load_state_dict_pre_hooks.values():
            yield hook.hook


def has_loading_code(model: nn.Module) -> bool:
    """Whether a model has code of its own that may rename or make what is loaded."""
    from torch import nn
    from torch.nn.modules.batchnorm import _NormBase

    plain = (nn.Module._load_from_state_dict, _NormBase._load_from_state_dict)
    own = any(type(m)._load_from_state_dict not in plain for m in model.modules())
    return own or any(loading_hooks(model))


def has_scaled(scaler: torch.amp.GradScaler) -> bool:
    """Whether a gradient scaler has multiplied anything yet: its first call sets this."""
    return scaler._scale is not None
