"""Work and parameters of a model, counted by two tools, and where the two disagree."""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib
import inspect
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from helpers._arguments import require, require_module, require_sizes


class Layer(NamedTuple):
    """What one module does itself, without its children.

    Attributes:
        name: its path, as in ``model.named_modules()``; ``""`` is the model itself.
        kind: its class.
        thop_ops: what thop counts; None if thop failed.
        macs: multiply-accumulates: half of FlopCounterMode's FLOPs.
        thop_params: parameters that thop counts; None if thop failed.
        params: parameters that it has, shared ones at their first owner.
        why: the reason if the tools disagree, else ``""``.
    """

    name: str
    kind: str
    thop_ops: float | None
    macs: float
    thop_params: int | None
    params: int
    why: str


@dataclass(frozen=True)
class Count:
    """What :func:`count_macs` returns; ``print`` shows it as a table.

    Attributes:
        layers: a :class:`Layer` for every module, in the model's order.
        per_sample: whether operations are divided by the batch size.
        uncounted: operators that do products and have no formula, and how often each
            ran: with them, the true total is larger. Give one a formula by
            ``torch.utils.flop_counter.register_flop_formula``, and it is counted. What
            is not PyTorch's operator, such as code in NumPy, is not seen at all.
        thop_failed: the reason if thop, but not the model, failed, else ``""``.
    """

    layers: tuple[Layer, ...]
    per_sample: bool
    uncounted: dict[str, int]
    thop_failed: str

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
    def thop_ops(self) -> float | None:
        """What thop calls MACs: it adds element-wise work, and misses some products."""
        return None if self.thop_failed else sum(x.thop_ops for x in self.layers)

    @property
    def thop_params(self) -> int | None:
        """Parameters of the modules for which thop has a rule, and which ran."""
        return None if self.thop_failed else sum(x.thop_params for x in self.layers)

    @property
    def disagreements(self) -> tuple[Layer, ...]:
        """The modules for which the two tools give different numbers."""
        return tuple(layer for layer in self.layers if layer.why)

    def __str__(self) -> str:
        unit = " per sample" if self.per_sample else ""
        work = f"MACs{unit}, at least" if self.uncounted else f"MACs{unit}"
        wide = max(20, len(work))
        thop = [self.thop_ops, self.thop_params]
        ops, params = ["-" if number is None else f"{number:,}" for number in thop]
        rows = [
            f"{'':{wide}}{'thop':>19}{'FlopCounterMode':>19}",
            f"{work:{wide}}{ops:>19}{self.macs:19,}",
            f"{'parameters':{wide}}{params:>19}{self.params:19,}",
        ]
        if self.uncounted:
            rows.append("Not counted, as no formula is known (operator: calls):")
            rows += [f"  {name}: {calls}" for name, calls in self.uncounted.items()]
        if self.thop_failed:
            return "\n".join([*rows, f"thop failed: {self.thop_failed}"])
        return "\n".join([*rows, *self._comparison()])

    def _comparison(self) -> Iterator[str]:
        groups: dict[tuple[str, str], list[Layer]] = {}
        for layer in self.disagreements:
            groups.setdefault((layer.kind, layer.why), []).append(layer)
        yield f"They disagree in {len(self.disagreements)} of {len(self.layers)} modules:"
        for (kind, reason), layers in groups.items():
            extra = sum(layer.thop_ops - layer.macs for layer in layers)
            missed = sum(layer.thop_params - layer.params for layer in layers)
            yield f"  {len(layers)} {kind}, first: {layers[0].name or 'the model itself'}"
            yield f"    {reason}"
            yield f"    thop's MACs {extra:+,}, its parameters {missed:+,}"

    def table(self) -> str:
        """Return a line for each module about which the tools disagree."""
        rows = [
            f"{'module':28}{'thop':>14}{'macs':>14}{'thop_params':>14}{'params':>14}"
        ]
        for name, _, *numbers, _ in self.disagreements:
            rows.append(f"{name:28}" + "".join(f"{number:14,}" for number in numbers))
        return "\n".join(rows)


def count_macs(
    model: nn.Module, /, *inputs: object, per_sample: bool = False, **keywords: object
) -> Count:
    """Count work and parameters by thop and by PyTorch's own FlopCounterMode.

    A copy of the model runs, twice, in ``eval()`` mode, and on copies of the inputs. So
    the model stays as it was: modes, hooks, attributes, buffers and gradients. The copy
    shares the model's parameters, and needs no memory for them, except for a part out
    of ``torch.jit``. PyTorch's random number generators are given back, too. On the
    ``meta`` device nothing is computed.

    It runs without gradients, or with them if it fails without: then the work of its
    derivatives is counted, too. A model out of ``torch.compile`` runs as it was before.

    Args:
        model: counted as it is. Parameters that its forward writes to stay changed, and
            so does what a copy does not reach: global variables, and modules that a
            function assigned to ``forward`` uses.
        inputs: what the model is called with, such as images ``(B, C, H, W)``.
        per_sample: divide operations by B, the first size of every tensor in the
            inputs; also those that are done once for the whole batch. It never reaches
            the model: pass an argument of that name by position.
        keywords: what the model is called with by name, such as a tokenizer's batch:
            ``count_macs(model, **batch)``.

    Returns:
        A :class:`Count`: totals, a row for every module, the disagreements, and what
        could not be counted.

    Raises:
        TypeError: if ``model`` is not a module, ``per_sample`` is not a bool, or
            ``copy.deepcopy`` fails on the model or on the inputs.
        ValueError: if the model fails on the inputs, they are on another device, a lazy
            layer has no size yet, or B is not one positive number.

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
    tensors = _tensors_in((inputs, keywords))
    _require_countable(model, tensors, per_sample)
    batch = _batch_size(tensors) if per_sample else 1
    call = model, inputs, keywords
    grad, ran = False, None
    with contextlib.suppress(ValueError):
        ran = _by_flop_counter(*call, grad)
    if ran is None:  # its forward may take derivatives, as of an energy for forces
        grad, ran = True, _by_flop_counter(*call, grad=True)
    thop, thop_failed = _by_thop(*call, grad)
    owners = Counter(m for _, m in model.named_modules(remove_duplicate=False))
    layers, seen = [], set()
    for name, module in _named_modules(model):
        own = set(module.parameters(recurse=False))
        params = sum(p.numel() for p in own - seen)
        ops, thop_params = thop.get(name, (None, None))
        layer = Layer(
            name, type(module).__name__, ops, ran.macs[name], thop_params, params, ""
        )
        shared = owners[module] > 1 or bool(own & seen)
        seen |= own
        layers.append(
            layer._replace(
                thop_ops=None if thop_failed else _divided(ops, batch),
                macs=_divided(layer.macs, batch),
                why=_reason_to_disagree(layer, module, ran.calls[name], shared),
            )
        )
    return Count(tuple(layers), per_sample, dict(ran.uncounted), thop_failed)


# --- what can be counted -------------------------------------------------------------


def _require_countable(
    model: object, tensors: list[Tensor], per_sample: object
) -> None:
    """Raise an error that says what to do, unless the model can be run on the inputs."""
    caller = "count_macs"
    require_module(caller, model)
    fine, got = isinstance(per_sample, bool), type(per_sample).__name__
    advice = "Pass the model's own per_sample by position."
    require(fine, TypeError, caller, "per_sample must be a bool", got, advice)
    require_sizes(caller, model)
    held = [*model.parameters(), *model.buffers()]
    homes = sorted({str(tensor.device) for tensor in held})
    # A number, which has no dimensions, may be on the CPU.
    away = sorted({str(t.device) for t in tensors if t.ndim} - set(homes))
    home, got = "".join(homes[:1]), "".join(away[:1])
    must, advice = f"inputs must be on the model's device {home}", f"x.to({home!r})"
    fine = not homes or not away
    require(fine, ValueError, caller, must, got, f"Move them: {advice}.")
    must, got = "no input may be a nested tensor", "one"
    advice = "Count them padded: torch.nested.to_padded_tensor(x, 0.0)."
    fine = not any(t.is_nested for t in tensors)
    require(fine, ValueError, caller, must, got, advice)


def _batch_size(tensors: list[Tensor]) -> int:
    """Return the first size that all inputs share."""
    sizes = {tuple(t.shape[:1]) for t in tensors}
    fine = len(sizes) == 1 and not sizes <= {(), (0,)}
    must = "with per_sample, inputs must share a first size of 1 or more"
    advice = "Divide by your batch size yourself."
    require(fine, ValueError, "count_macs", must, f"shapes {_shapes(tensors)}", advice)
    return sizes.pop()[0]


def _tensors_in(held: object) -> list[Tensor]:
    """Return the tensors in inputs of any kind."""
    return list(_found_in(held, Tensor, {}))


def _found_in(held: object, kind: type, seen: dict[int, object]) -> Iterator:
    """Yield objects of a kind in containers, in attributes, and so on inwards."""
    if isinstance(held, kind):
        yield held
    elif id(held) not in seen and not isinstance(held, (str, type, ModuleType)):
        seen[id(held)] = held
        if isinstance(held, Mapping):
            parts = held.values()
        elif isinstance(held, (tuple, list, set, frozenset)):
            parts = held
        else:
            slots = getattr(type(held), "__slots__", ())
            parts = [*getattr(held, "__dict__", {}).values()]
            parts += [getattr(held, name, None) for name in slots]
        for part in parts:
            yield from _found_in(part, kind, seen)


def _shapes(tensors: list[Tensor]) -> str:
    return ", ".join(str(tuple(t.shape)) for t in tensors)


def _named_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield paths and modules, without the wrappers of ``torch.compile``."""
    for path, module in model.named_modules():
        if "_orig_mod" not in module._modules:
            yield ".".join(x for x in path.split(".") if x != "_orig_mod"), module


# Warnings of thop's own functions, of operators that the table names, and of
# torch.compile switched off.
_OF_THE_COUNT_ITSELF = (
    "This API is being deprecated",
    "FlopCounterMode does not have",
    "flex_attention called without",
)


@contextlib.contextmanager
def _copied(model: nn.Module, call: tuple, grad: bool) -> Iterator[tuple]:
    """Provide a copy of model and inputs, to be run without any traces."""
    parameters = list(model.parameters())
    held = [call, *(vars(module) for module in model.modules())]
    advice = "Set the attribute that holds it to None or a stand-in while you count."
    with _explained(TypeError, f"cannot copy {type(model).__name__}", advice):
        # deepcopy refuses tensors computed from others, as in old weight_norm, ...
        computed = (tensor for tensor in _tensors_in(held) if not tensor.is_leaf)
        memo = {id(x): x.detach().requires_grad_().clone() for x in computed}
        # ... and functions out of torch.jit.
        shared = [*parameters, *_found_in(held, torch.jit.ScriptFunction, {})]
        memo |= {id(one): one for one in shared}
        for module in reversed([*model.modules()]):
            if "_orig_mod" in module._modules:  # what torch.compile has wrapped
                memo[id(module)] = copy.deepcopy(module._orig_mod, memo)
        model, call = copy.deepcopy((model, call), memo)
    cuda = {t.device for t in [*parameters, *_tensors_in(call)] if t.is_cuda}
    grads = [parameter.grad for parameter in parameters]
    try:
        for parameter in parameters:
            parameter.grad = None
        with (
            torch.random.fork_rng(devices=list(cuda)),
            torch.set_grad_enabled(grad),
            torch.compiler.set_stance("force_eager"),
            warnings.catch_warnings(),
        ):
            for said in _OF_THE_COUNT_ITSELF:
                warnings.filterwarnings("ignore", message=said)
            yield model.eval(), *call
    finally:
        for parameter, before in zip(parameters, grads, strict=True):
            parameter.grad = before


@contextlib.contextmanager
def _explained(kind: type[Exception], what: str, advice: str) -> Iterator[None]:
    """Turn any error into one that says what failed and what to do."""
    try:
        yield
    except Exception as error:
        cause = _first_line(error)
        raise kind(f"count_macs: {what}: {cause}. {advice}") from error


def _first_line(error: Exception) -> str:
    """Return an error's class and first line: some go on with all of PyTorch's backends."""
    return f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(".: ")


# --- FlopCounterMode -----------------------------------------------------------------


class _Ran(NamedTuple):
    """What FlopCounterMode saw: MACs and calls by module name, operators by theirs."""

    macs: Counter[str]
    calls: Counter[str]
    uncounted: Counter[str]


def _by_flop_counter(
    model: nn.Module, inputs: tuple, keywords: dict, grad: bool
) -> _Ran:
    """Run the model once under FlopCounterMode, and attribute each module's own MACs."""
    from torch.utils.flop_counter import FlopCounterMode

    # Without it, PyTorch refuses operators such as map and scan, which take functions.
    lenient = "skip_unsupported" in inspect.signature(FlopCounterMode).parameters
    options = {"skip_unsupported": True} if lenient else {}
    counter = FlopCounterMode(display=False, custom_mapping=_formulas(), **options)
    counter.mod_tracker = _Untracked()
    operators = _Operators(counter.flop_registry)
    call = inputs, keywords
    shapes = _shapes(_tensors_in(call))
    failed = f"{type(model).__name__} failed on inputs "
    failed += f"of shape {shapes}" if shapes else "without a tensor"
    data = "Pass data, not its shape: count_macs(model, torch.zeros(1, 3, 224, 224))."
    takes = "Pass what its forward takes."
    if any(t.is_meta for t in [*_tensors_in(call), *model.parameters()]):
        takes += " Or, if it reads values, build the model on the CPU."
    advice = takes if shapes else data
    with _copied(model, call, grad) as (model, inputs, keywords):
        ran = _hook_every_module(model, counter.get_total_flops)
        explained = _explained(ValueError, failed, advice)
        with explained, _countable_kernels(model), operators, counter:
            model(*inputs, **keywords)
    if lenient:
        operators.uncounted += counter.get_unsupported_ops()
    return _Ran(*ran, operators.uncounted + _fused_by_jit(model))


class _Untracked(contextlib.nullcontext):
    """Takes the place of FlopCounterMode's own hooks, which a view of a parameter stops."""

    parents = frozenset({"Global"})


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

    for module in names:  # by nn.Module's own methods: a scripted module hides its own
        nn.Module.register_forward_pre_hook(module, enter, prepend=True)
        nn.Module.register_forward_hook(module, leave)
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
        recurrent = nn.RNNBase, torch.jit.ScriptModule  # one may hide in the other
        if any(isinstance(module, recurrent) for module in model.modules()):
            with warnings.catch_warnings():  # of TF32, which is not touched here
                warnings.simplefilter("ignore")
                stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
                stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        if fused not in flop_registry:  # an older PyTorch
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        yield


# --- operators -----------------------------------------------------------------------

# Parts of the names of operators that multiply matrices or vectors, or do what takes as
# much work: not "cummax", "convert", "resolve_conj", "upsample_bilinear2d", or the cells
# of an LSTM whose products have been done before.
_PRODUCT = re.compile(
    r"(mm|mv|dot|matmul|addr)(?![a-z])|conv(?!ert)|linear(?!\dd)|attention|transformer"
    r"|(?<!fused_)(?<!differentiable_)(rnn|lstm|gru)(?!_flatten)|[cp]dist|euclidean"
    r"|(?<![a-z])fft_[cr]2|linalg_(?!_powsum|check|cross|diagonal|vector_norm)|cholesky"
    r"|(?<!re)solve|geqrf|orgqr|ormqr|lstsq|matrix_exp"
)
# Of other libraries' operators no name says what they do.
_NAMES_SAY_IT = {"aten", "prim", "prims", "torchvision", "onednn", "mkldnn", "c10d"}
_NAMES_SAY_IT |= {"quantized", "quantized_decomposed", "profiler", "_c10d_functional"}
_SPARSE = {torch.sparse_coo, torch.sparse_csr, torch.sparse_csc}
_SPARSE |= {torch.sparse_bsr, torch.sparse_bsc}
# Matrix products, and at which of its arguments each has its two factors.
_FACTORS_AT = dict.fromkeys(("mm", "bmm", "mv", "dot", "vdot", "_int_mm", "hspmm"), 0)
_FACTORS_AT |= dict.fromkeys(("_grouped_mm", "_scaled_grouped_mm"), 0)
_FACTORS_AT |= dict.fromkeys(("addmm", "addmv", "addbmm", "baddbmm"), 1)
_FACTORS_AT |= dict.fromkeys(("_addmm_activation", "_sparse_addmm"), 1)


def _fused_by_jit(model: nn.Module) -> Counter[str]:
    """Name the products that ``torch.jit.optimize_for_inference`` hides from a mode."""
    scripted = [m for m in model.modules() if isinstance(m, torch.jit.ScriptModule)]
    graphs = " ".join(str(getattr(m, "inlined_graph", "")) for m in scripted)
    names = re.findall(r"\bprim::(\w+)", graphs)
    return Counter(f"prim.{name}" for name in names if _PRODUCT.search(name))


class _Operators(TorchDispatchMode):
    """Names the operators that do products and that no formula counts."""

    supports_higher_order_operators = True  # FlopCounterMode names those itself

    def __init__(self, formulas: Mapping) -> None:
        super().__init__()
        self.formulas, self.uncounted = formulas, Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        packet = getattr(func, "_overloadpacket", None)
        library, _, name = str(packet).partition(".")
        sparse = [x for x in args if isinstance(x, Tensor) and x.layout in _SPARSE]
        if packet in self.formulas:
            if len(sparse) > 1:
                self.uncounted[f"{packet} (sparse)"] += 1
        elif packet and (library not in _NAMES_SAY_IT or _PRODUCT.search(name)):
            self.uncounted[str(packet)] += 1
        return func(*args, **(kwargs or {}))


def _formulas() -> dict:
    """Return formulas that FlopCounterMode lacks, or that take a sparse matrix for full."""

    def product(at, *args, out_val, **_):
        return 2 * _macs_of_product(*args[at : at + 2])

    def sampled(places, a, *_, out_val, **__):
        return 2 * _stored(places) * a.shape[-1]

    def conv_tbc(x, weight, *_, out_val, **__):
        return 2 * out_val.numel() * weight[..., 0].numel()

    def distances(a, b, *, out_val):  # -2ab, without the squares of each
        return 2 * out_val.numel() * a.shape[-1]

    found = {name: functools.partial(product, at) for name, at in _FACTORS_AT.items()}
    found |= {"sparse_sampled_addmm": sampled, "conv_tbc": conv_tbc}
    found["_euclidean_dist"] = distances
    for formula in found.values():
        formula._get_raw = True  # tensors, not their shapes
    aten = torch.ops.aten
    return {getattr(aten, k): v for k, v in found.items() if hasattr(aten, k)}


def _macs_of_product(a: Tensor, b: Tensor) -> int:
    """Return the MACs of a @ b, for vectors, matrices, batches and groups of them."""
    rows = a.shape[-2] if a.ndim > 1 else 1
    columns = b.shape[-1] if b.ndim > 1 else 1
    if a.layout in _SPARSE and b.layout in _SPARSE:
        return 0  # it depends on where their numbers meet; _Operators names it
    if b.layout in _SPARSE or a.ndim > b.ndim > 1:  # or each column in one group alone
        return rows * _stored(b)
    return _stored(a) * columns


def _stored(x: Tensor) -> int:
    """Return how many numbers a tensor holds, without a sparse one's zeros."""
    if x.layout not in _SPARSE:
        return x.numel()
    return (x._values() if x.layout is torch.sparse_coo else x.values()).numel()


# --- thop ----------------------------------------------------------------------------


def _by_thop(model: nn.Module, inputs: tuple, keywords: dict, grad: bool):
    """Return each module's own [operations, parameters] by thop, or why it failed."""
    try:
        with _copied(model, (inputs, keywords), grad) as (model, inputs, keywords):
            # thop passes no keywords, and switches gradients off.
            forward = functools.partial(model.forward, **keywords)
            model.forward = torch.enable_grad()(forward) if grad else forward
            with _countable_kernels(model):
                return _profiled(model, inputs), ""
    except Exception as error:
        return {}, _first_line(error)


def _profiled(model: nn.Module, inputs: tuple) -> dict[str, list[int]]:
    """Run thop.profile, and take each module's children from its numbers."""
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
    thop = layer.thop_ops, layer.thop_params
    if thop in ((None, None), (layer.macs, layer.params)):
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
