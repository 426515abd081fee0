"""thop and FlopCounterMode, asked for what each module does itself, and why they differ."""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn


def by_flop_counter(model: nn.Module, inputs: tuple):
    """Return each module's own MACs and its number of calls, by FlopCounterMode."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    macs, calls = _watch(model, counter.get_total_flops)
    try:
        with _countable_kernels(model), counter:
            model(*_copies(inputs))
    except Exception as error:
        shapes = ", ".join(str(tuple(t.shape)) for t in tensors_in(inputs))
        raise ValueError(
            f"count_macs: {type(model).__name__} failed on inputs of shape {shapes}: "
            f"{type(error).__name__}: {error}. Pass what its forward takes."
        ) from error
    return macs, calls


def _watch(model: nn.Module, total_flops: Callable[[], int]):
    """Hook every module; return the counters of own MACs and calls that they fill."""
    macs, calls, running = Counter(), Counter(), []

    def enter(module, _):
        running.append([module, total_flops(), 0])

    def leave(module, *_):
        while running:  # a forward that catches a child's exception leaves it here
            ended, before, inside = running.pop()
            if ended is module:
                break
        flops = total_flops() - before
        macs[module] += share(flops - inside, 2)
        calls[module] += 1
        if running:
            running[-1][2] += flops

    for module in model.modules():
        module.register_forward_pre_hook(enter, prepend=True)
        module.register_forward_hook(leave)
    return macs, calls


@contextlib.contextmanager
def _countable_kernels(model: nn.Module) -> Iterator[None]:
    """Keep PyTorch from fusing products into kernels that FlopCounterMode counts as 0."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import flop_registry

    mha = torch.backends.mha
    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    with contextlib.ExitStack() as stack:
        stack.callback(mha.set_fastpath_enabled, mha.get_fastpath_enabled())
        mha.set_fastpath_enabled(False)
        if any(isinstance(module, nn.RNNBase) for module in model.modules()):
            with warnings.catch_warnings():  # of TF32, which is not touched here
                warnings.simplefilter("ignore")
                stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
                stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        if fused not in flop_registry:  # an older PyTorch
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        yield


def by_thop(model: nn.Module, inputs: tuple) -> dict:
    """Return each module's own [operations, parameters] by thop."""
    try:
        with warnings.catch_warnings():
            # thop warns about its own functions.
            warnings.filterwarnings("ignore", message="This API is being deprecated")
            *total, tree = _thop().profile(
                model, inputs=_copies(inputs), verbose=False, ret_layer_info=True
            )
    except Exception as error:
        raise RuntimeError(
            f"count_macs: thop cannot count {type(model).__name__}: "
            f"{type(error).__name__}: {error}. Use FlopCounterMode alone for it."
        ) from error
    at = dict(model.named_modules(remove_duplicate=False))
    own = {module: [0, 0] for module in at.values()}

    def walk(path: str, ops: float, params: float, children: dict) -> None:
        for name, (child_ops, child_params, below) in children.items():
            ops, params = ops - child_ops, params - child_params
            walk(f"{path}.{name}".lstrip("."), child_ops, child_params, below)
        own[at[path]][0] += round(ops)
        own[at[path]][1] += round(params)

    walk("", *total, tree)
    return own


def _thop():
    """Import the module thop.profile, whose name its function hides, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it uses distutils
        return importlib.import_module("thop.profile")


def why(module, numbers, calls: int, shared: bool, lone: bool) -> str:
    """Say in a few words why the tools disagree about a module, or return ''."""
    thop_ops, macs, thop_params, params = numbers
    if (thop_ops, thop_params) == (macs, params):
        return ""
    if type(module) not in _thop().register_hooks:
        return "thop has no rule for it"
    if not calls:
        return "never called in eval(), and thop counts only what is"
    if shared:
        return "shared: thop counts it again for each owner"
    if isinstance(module, nn.modules.conv._ConvTransposeNd) and thop_ops != macs:
        return "thop takes a transposed convolution for a plain one"
    if macs == 0 or isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        return "element-wise work, which only thop counts"
    if lone and thop_params == 0:
        return "thop drops the parameters of a lone layer"
    return "thop's rule for it gives another number"


def tensors_in(inputs: object) -> Iterator[Tensor]:
    """Yield the tensors in nested tuples, lists and dicts."""
    if isinstance(inputs, Tensor):
        yield inputs
    elif isinstance(inputs, (tuple, list, dict)):
        for item in inputs.values() if isinstance(inputs, dict) else inputs:
            yield from tensors_in(item)


def _copies(inputs: object) -> object:
    """Copy tensors in nested tuples, lists and dicts: a forward may change its input."""
    if isinstance(inputs, Tensor):
        return inputs.detach().clone()
    if type(inputs) in (tuple, list):
        return type(inputs)(_copies(item) for item in inputs)
    if type(inputs) is dict:
        return {key: _copies(item) for key, item in inputs.items()}
    return inputs


def share(total: float, parts: int) -> float:
    """Divide, and stay with a whole number where there is one."""
    return total // parts if total % parts == 0 else total / parts
