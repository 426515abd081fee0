"""Work and parameters of a model, counted by two tools, and where the two disagree."""

from __future__ import annotations

import contextlib
import copy
import importlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from helpers._arguments import require, require_module


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

    A copy of the model runs, twice, in ``eval()`` mode without gradients, and on copies
    of the inputs. So the model stays as it was: modes, hooks, attributes and buffers.
    The copy shares the model's parameters, and needs no memory for them. PyTorch's
    random number generators are given back, too. On the ``meta`` device nothing is
    computed.

    Args:
        model: counted as it is. Parameters that its forward writes to stay changed, and
            so does what a copy does not reach: global variables, and modules that a
            function assigned to ``forward`` uses.
        inputs: what the model is called with, such as images ``(B, C, H, W)``.
        per_sample: divide operations by B, the first size of every tensor in inputs;
            also those that are done once for the whole batch.

    Returns:
        A :class:`Count`: totals, a row for every module, and the disagreements.

    Raises:
        TypeError: if ``model`` is not a plain module, or ``copy.deepcopy`` fails on it
            or on the inputs, or ``inputs`` hold no tensor.
        ValueError: if the model fails on the inputs, they are on another device, a lazy
            layer has no size yet, or B is not one positive number.
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
    with _copied(model, inputs) as copies:
        macs, calls = _by_flop_counter(*copies)
    with _copied(model, inputs) as copies:
        thop = _by_thop(*copies)
    owners = Counter(m for _, m in model.named_modules(remove_duplicate=False))
    layers, seen = [], set()
    for name, module in model.named_modules():
        own = set(module.parameters(recurse=False))
        params = sum(p.numel() for p in own - seen)
        ops, thop_params = thop[name]
        layer = Layer(
            name, type(module).__name__, ops, macs[name], thop_params, params, why=""
        )
        shared = owners[module] > 1 or bool(own & seen)
        seen |= own
        layers.append(
            layer._replace(
                thop_ops=_divided(ops, batch),
                macs=_divided(layer.macs, batch),
                why=_reason_to_disagree(layer, module, calls[name], shared),
            )
        )
    return Count(tuple(layers), per_sample)


# --- what can be counted -------------------------------------------------------------


def _require_countable(model: object, inputs: tuple, tensors: list[Tensor]) -> None:
    """Raise an error that says what to do, unless the model can be run on the inputs."""
    caller = "count_macs"
    require_module(caller, model)
    scripted = [m for m in model.modules() if isinstance(m, torch.jit.ScriptModule)]
    must, got = "model must be made of plain modules", "one of torch.jit"
    advice = "Pass the model as it was before torch.jit."
    require(not scripted, TypeError, caller, must, got, advice)
    advice = "Pass data, not its shape: count_macs(model, torch.zeros(1, 3, 224, 224))."
    require(
        bool(tensors), TypeError, caller, "inputs must hold a tensor", inputs, advice
    )
    held = [*model.parameters(), *model.buffers()]
    sized = not any(map(nn.parameter.is_lazy, held))
    must, got = "model must have its sizes", "a lazy layer without them"
    require(sized, ValueError, caller, must, got, "Run it once on a batch first.")
    homes = sorted({str(tensor.device) for tensor in held})
    # A number, which has no dimensions, may be on the CPU.
    away = sorted({str(t.device) for t in tensors if t.ndim} - set(homes))
    home, got = "".join(homes[:1]), "".join(away[:1])
    must, advice = f"inputs must be on the model's device {home}", f"x.to({home!r})"
    fine = not homes or not away
    require(fine, ValueError, caller, must, got, f"Move them: {advice}.")


def _batch_size(tensors: list[Tensor]) -> int:
    """Return the first size that all inputs share."""
    sizes = {tuple(t.shape[:1]) for t in tensors}
    fine = len(sizes) == 1 and not sizes <= {(), (0,)}
    must = "with per_sample, inputs must share a first size of 1 or more"
    advice = "Divide by your batch size yourself."
    require(fine, ValueError, "count_macs", must, f"shapes {_shapes(tensors)}", advice)
    return sizes.pop()[0]


def _tensors_in(inputs: object) -> Iterator[Tensor]:
    """Yield the tensors in nested tuples, lists and dicts."""
    if isinstance(inputs, Tensor):
        yield inputs
    elif isinstance(inputs, (tuple, list, dict)):
        for item in inputs.values() if isinstance(inputs, dict) else inputs:
            yield from _tensors_in(item)


def _shapes(tensors: Iterator[Tensor] | list[Tensor]) -> str:
    return ", ".join(str(tuple(t.shape)) for t in tensors)


@contextlib.contextmanager
def _copied(model: nn.Module, inputs: tuple) -> Iterator[tuple[nn.Module, tuple]]:
    """Provide a copy of model and inputs, to be run without any traces."""
    held = [inputs, *(vars(module) for module in model.modules())]
    advice = "Set the attribute that holds it to None or a stand-in while you count."
    with _explained(TypeError, f"cannot copy {type(model).__name__}", advice):
        # Tensors computed from others, which deepcopy refuses: old weight_norm has some.
        computed = (tensor for tensor in _tensors_in(held) if not tensor.is_leaf)
        memo = {id(tensor): tensor.detach().clone() for tensor in computed}
        memo |= {id(parameter): parameter for parameter in model.parameters()}
        model, inputs = copy.deepcopy((model, inputs), memo)
    cuda = {t.device for t in [*model.parameters(), *_tensors_in(inputs)] if t.is_cuda}
    with torch.random.fork_rng(devices=list(cuda)), torch.no_grad():
        model.eval()
        yield model, inputs


@contextlib.contextmanager
def _explained(kind: type[Exception], what: str, advice: str) -> Iterator[None]:
    """Turn any error into one that says what failed and what to do."""
    try:
        yield
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
        raise kind(f"count_macs: {what}: {cause}. {advice}") from error


# --- the two tools -----------------------------------------------------------------------


def _by_flop_counter(model: nn.Module, inputs: tuple):
    """Return each module's own MACs and its number of calls, by FlopCounterMode."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    macs, calls = _hook_every_module(model, counter.get_total_flops)
    shapes = _shapes(_tensors_in(inputs))
    failed = f"{type(model).__name__} failed on inputs of shape {shapes}"
    explained = _explained(ValueError, failed, "Pass what its forward takes.")
    with explained, _countable_kernels(model), counter:
        model(*inputs)
    return macs, calls


def _hook_every_module(model: nn.Module, total_flops: Callable[[], int]):
    """Return counters, by module name, of own MACs and calls that a forward fills."""
    macs, calls, running = Counter(), Counter(), []
    names = {module: name for name, module in model.named_modules()}

    def enter(module, _):
        running.append([module, total_flops(), 0])

    def leave(module, *_):
        while running:  # a forward that catches a child's exception leaves it here
            ended, before, inside = running.pop()
            if ended is module:
                break
        flops = total_flops() - before
        macs[names[module]] += _divided(flops - inside, 2)
        calls[names[module]] += 1
        if running:
            running[-1][2] += flops

    for module in names:
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


def _by_thop(model: nn.Module, inputs: tuple) -> dict[str, list[int]]:
    """Return each module's own [operations, parameters] by thop, by module name."""
    failed = f"thop cannot count {type(model).__name__}"
    explained = _explained(RuntimeError, failed, "Use FlopCounterMode alone for it.")
    with explained, warnings.catch_warnings():
        # thop warns about its own functions.
        warnings.filterwarnings("ignore", message="This API is being deprecated")
        *total, tree = _thop_profile().profile(
            model, inputs=inputs, verbose=False, ret_layer_info=True
        )
    names = {module: name for name, module in model.named_modules()}
    modules = dict(model.named_modules(remove_duplicate=False))
    own = {name: [0, 0] for name in names.values()}

    def subtract_children(path: str, ops: float, params: float, children: dict) -> None:
        for child, (child_ops, child_params, below) in children.items():
            ops, params = ops - child_ops, params - child_params
            inner = f"{path}.{child}".lstrip(".")
            subtract_children(inner, child_ops, child_params, below)
        numbers = own[names[modules[path]]]  # of one module at all its paths
        numbers[0] += round(ops)
        numbers[1] += round(params)

    subtract_children("", *total, tree)
    return own


def _thop_profile():
    """Import the module thop.profile, whose name its function hides, without a warning.

    It is internal, and so are its register_hooks and the layout of ret_layer_info.
    Checked against thop 0.1.1 and PyTorch 2.6.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it uses distutils
        return importlib.import_module("thop.profile")


def _reason_to_disagree(
    layer: Layer, module: nn.Module, calls: int, shared: bool
) -> str:
    """Say in a few words why the tools disagree about a module, or return ''."""
    if (layer.thop_ops, layer.thop_params) == (layer.macs, layer.params):
        return ""
    if type(module) not in _thop_profile().register_hooks:
        return "thop has no rule for it"
    if not calls:
        return "never called in eval(), and thop counts only what is"
    if shared:
        return "shared: thop counts it again for each owner"
    transposed = nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d
    if isinstance(module, transposed) and layer.thop_ops != layer.macs:
        return "thop takes a transposed convolution for a plain one"
    if layer.macs == 0 or isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        return "element-wise work, which only thop counts"
    if layer.name == "" and layer.thop_params == 0:
        return "thop drops the parameters of a lone layer"
    return "thop's rule for it gives another number"


def _divided(total: float, parts: int) -> float:
    """Divide, and stay with a whole number where there is one."""
    return total // parts if total % parts == 0 else total / parts
