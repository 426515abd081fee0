"""Work and parameters of a model, counted by two tools, and where the two disagree."""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from helpers._unharmed import unharmed


class Layer(NamedTuple):
    """What one module does itself, without its children.

    Attributes:
        name: its path, as in ``model.named_modules()``; ``""`` is the model itself.
        kind: its class.
        thop_ops: what thop counts.
        macs: multiply-accumulates: half of FlopCounterMode's FLOPs.
        thop_params: parameters that thop counts.
        params: parameters that it has, shared ones at their first owner.
        why: the reason if the tools disagree, else ``""``.
    """

    name: str
    kind: str
    thop_ops: float
    macs: float
    thop_params: int
    params: int
    why: str


@dataclass(frozen=True)
class Count:
    """What :func:`count_macs` returns; ``print`` shows it as a table.

    Attributes:
        layers: a :class:`Layer` for every module, in the model's order.
        per_sample: whether operations are divided by the batch size.
    """

    layers: tuple[Layer, ...]
    per_sample: bool

    @property
    def macs(self) -> float:
        """Multiply-accumulates of all matrix products and convolutions."""
        return sum(layer.macs for layer in self.layers)

    @property
    def flops(self) -> float:
        """FlopCounterMode's FLOPs: two for each multiply-accumulate."""
        return 2 * self.macs

    @property
    def params(self) -> int:
        """All parameters, shared ones once."""
        return sum(layer.params for layer in self.layers)

    @property
    def thop_ops(self) -> float:
        """What thop calls MACs: it adds element-wise work, and misses some products."""
        return sum(layer.thop_ops for layer in self.layers)

    @property
    def thop_params(self) -> int:
        """Parameters of the modules for which thop has a rule, and which ran."""
        return sum(layer.thop_params for layer in self.layers)

    @property
    def disagreements(self) -> tuple[Layer, ...]:
        """The modules for which the two tools give different numbers."""
        return tuple(layer for layer in self.layers if layer.why)

    def __str__(self) -> str:
        groups: dict[tuple[str, str], list[Layer]] = {}
        for layer in self.disagreements:
            groups.setdefault((layer.kind, layer.why), []).append(layer)
        unit = " per sample" if self.per_sample else ""
        rows = [
            f"{'':20}{'thop':>19}{'FlopCounterMode':>19}",
            f"{'MACs' + unit:20}{self.thop_ops:19,}{self.macs:19,}",
            f"{'parameters':20}{self.thop_params:19,}{self.params:19,}",
            f"They disagree in {len(self.disagreements)} of {len(self.layers)} modules:",
        ]
        for (kind, reason), layers in groups.items():
            extra = sum(layer.thop_ops - layer.macs for layer in layers)
            missed = sum(layer.thop_params - layer.params for layer in layers)
            name = layers[0].name or "the model itself"
            rows += [
                f"  {len(layers)} {kind}, first: {name}",
                f"    {reason}",
                f"    thop's MACs {extra:+,}, its parameters {missed:+,}",
            ]
        return "\n".join(rows)

    def table(self) -> str:
        """Return a line for each module about which the tools disagree."""
        rows = [
            f"{'module':28}{'thop':>14}{'macs':>14}{'thop_params':>14}{'params':>14}"
        ]
        for name, _, *numbers, _ in self.disagreements:
            rows.append(f"{name:28}" + "".join(f"{number:14,}" for number in numbers))
        return "\n".join(rows)


def count_macs(model: nn.Module, *inputs: object, per_sample: bool = False) -> Count:
    """Count work and parameters by thop and by PyTorch's own FlopCounterMode.

    The model runs twice in ``eval()`` mode without gradients. It gets back each
    submodule's mode, hooks, attributes and buffers, also after an exception; the random
    number generators do, too. Model and inputs on the ``meta`` device cost no memory.

    Args:
        model: counted as it is; parameters that its own forward changes stay changed.
        inputs: what the model is called with, such as images ``(B, C, H, W)``.
        per_sample: divide operations by B, the first size of every tensor in inputs;
            also those that are done once for the whole batch.

    Returns:
        A :class:`Count`: totals, a row for every module, and the disagreements.

    Raises:
        TypeError: if ``model`` is no plain module, or ``inputs`` hold no tensor.
        ValueError: if there are no inputs, the model fails on them, they are on another
            device, a lazy layer has no size yet, or B is not one positive number.
        RuntimeError: if thop, but not the model, fails.

    Example:
        >>> model = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4))
        >>> count = count_macs(model, torch.zeros(2, 8))
        >>> count.macs, count.flops, count.params
        (64, 128, 44)
        >>> [(layer.name, layer.thop_ops) for layer in count.disagreements]
        [('1', 32)]

    Source: https://github.com/Lyken17/pytorch-OpCounter and
    https://docs.pytorch.org/docs/stable/utils.html (torch.utils.flop_counter)
    """
    tensors = list(_tensors_in(inputs))
    _require_countable(model, inputs, tensors)
    batch = _batch_size(tensors) if per_sample else 1
    with unharmed(model), torch.no_grad():
        model.eval()
        macs, calls = _by_flop_counter(model, inputs)
    with unharmed(model), torch.no_grad():
        thop = _by_thop(model, inputs)
    owners = Counter(m for _, m in model.named_modules(remove_duplicate=False))
    layers, seen = [], set()
    for name, module in model.named_modules():
        own = [p for p in module._parameters.values() if p is not None]
        params = sum(p.numel() for p in own if p not in seen)
        shared = owners[module] > 1 or any(p in seen for p in own)
        seen |= set(own)
        numbers = (thop[module][0], macs[module], thop[module][1], params)
        reason = _why(module, numbers, calls[module], shared, lone=module is model)
        shares = (_share(number, batch) for number in numbers[:2])
        layers.append(Layer(name, type(module).__name__, *shares, *numbers[2:], reason))
    return Count(tuple(layers), per_sample)


# --- what can be counted -------------------------------------------------------------


def _require_countable(model: object, inputs: tuple, tensors: list[Tensor]) -> None:
    """Raise an error that says what to do, unless the model can be run on the inputs."""
    if not isinstance(model, nn.Module) or isinstance(model, torch.jit.ScriptModule):
        raise TypeError(
            f"count_macs: model must be a plain nn.Module, got {type(model).__name__}. "
            "Pass the model itself, before torch.jit."
        )
    if not inputs:
        raise ValueError(
            "count_macs: inputs must hold what the model takes, got none. "
            "Call count_macs(model, torch.zeros(1, 3, 224, 224))."
        )
    if not tensors:
        raise TypeError(
            f"count_macs: inputs must hold a tensor, got {inputs[0]!r}. "
            "Pass data, not its shape: torch.zeros(1, 3, 224, 224)."
        )
    held = [*model.parameters(), *model.buffers()]
    if any(torch.nn.parameter.is_lazy(tensor) for tensor in held):
        raise ValueError(
            "count_macs: model must have its sizes, got a lazy layer without them. "
            "Run it once on a batch first."
        )
    _require_one_place({tensor.device for tensor in held}, tensors)


def _require_one_place(homes: set[torch.device], tensors: list[Tensor]) -> None:
    """Raise an error that names both devices, unless the inputs are where the model is."""
    away = {t.device for t in tensors if t.ndim} - homes
    if homes and away:
        home, other = sorted(map(str, homes))[0], sorted(map(str, away))[0]
        raise ValueError(
            f"count_macs: inputs must be on the model's device {home}, got {other}. "
            f"Move them: x.to('{home}')."
        )


def _batch_size(tensors: list[Tensor]) -> int:
    """Return the first size that all inputs share."""
    sizes = {tuple(t.shape[:1]) for t in tensors}
    if len(sizes) > 1 or sizes <= {(), (0,)}:
        shapes = ", ".join(str(tuple(t.shape)) for t in tensors)
        raise ValueError(
            "count_macs: with per_sample, inputs must share a first size of 1 or more, "
            f"got shapes {shapes}. Divide by your batch size yourself."
        )
    return sizes.pop()[0]


# --- the two tools -----------------------------------------------------------------------


def _by_flop_counter(model: nn.Module, inputs: tuple):
    """Return each module's own MACs and its number of calls, by FlopCounterMode."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    macs, calls = _watch(model, counter.get_total_flops)
    try:
        with _countable_kernels(model), counter:
            model(*_copies(inputs))
    except Exception as error:
        shapes = ", ".join(str(tuple(t.shape)) for t in _tensors_in(inputs))
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
        macs[module] += _share(flops - inside, 2)
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


def _by_thop(model: nn.Module, inputs: tuple) -> dict:
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


def _why(module, numbers, calls: int, shared: bool, lone: bool) -> str:
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


def _tensors_in(inputs: object) -> Iterator[Tensor]:
    """Yield the tensors in nested tuples, lists and dicts."""
    if isinstance(inputs, Tensor):
        yield inputs
    elif isinstance(inputs, (tuple, list, dict)):
        for item in inputs.values() if isinstance(inputs, dict) else inputs:
            yield from _tensors_in(item)


def _copies(inputs: object) -> object:
    """Copy tensors in nested tuples, lists and dicts: a forward may change its input."""
    if isinstance(inputs, Tensor):
        return inputs.detach().clone()
    if type(inputs) in (tuple, list):
        return type(inputs)(_copies(item) for item in inputs)
    if type(inputs) is dict:
        return {key: _copies(item) for key, item in inputs.items()}
    return inputs


def _share(total: float, parts: int) -> float:
    """Divide, and stay with a whole number where there is one."""
    return total // parts if total % parts == 0 else total / parts
