"""Checks of the chapter on train(), eval() and no_grad()."""

from collections.abc import Callable

import torch
from torch import nn

from helpers.exercises.number import Hint, NumberCheck
from helpers.exercises.table import TableCheck
from helpers.exercises.verdicts import Verdict, checks_function, correct, hint

cells = TableCheck(
    prompt="A frozen body with batch normalisation, F.dropout(h) in forward(), a head that "
    "is trained. What happens in each combination?",
    columns={"D": "units drop", "M": "mean moves", "K": "bytes kept"},
    answer={
        "train, recorded": "DMK",
        "train, no_grad": "DM",
        "train, inference_mode": "DM",
        "eval, recorded": "DK",
        "eval, no_grad": "D",
        "eval, inference_mode": "D",
    },
    praise="two independent switches, and neither reaches F.dropout. requires_grad is a "
    "third: it freezes weights, not statistics.",
    hints={
        "D": "read the call. Who tells F.dropout in which mode the model is?",
        "M": "statistics follow the mode of the layer. Which switch sets it, and is "
        "requires_grad a part of it?",
        "K": "something is kept if gradients are recorded and some weight needs one. The "
        "head does.",
    },
)


steps = NumberCheck(
    prompt="Momentum 0.1: after how many batches is the running mean within 1% of the "
    "true one?",
    answer=44,
    tolerance=0,
    praise="0.9⁴⁴ = 0.0097, while 0.9⁴³ = 0.0108. With momentum 0.01 it takes 459.",
    hints=[
        Hint(43, 43.99, "nearly. After 43 batches 1.08% are missing."),
        Hint(10, 10, "0.1 · 10 is 1, but each step takes a tenth of what is left."),
        Hint(
            2, 2.01, "that is momentum 0.9. Here the old value keeps 0.9 of its weight."
        ),
        Hint(459, 459, "that is momentum 0.01."),
        Hint(
            100, 100, "each step leaves 0.9 of the distance. When is 0.9ⁿ at most 0.01?"
        ),
    ],
)


def _nested() -> nn.Module:
    body = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU())
    head = nn.Sequential(
        nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4), nn.Dropout()
    )
    return nn.Sequential(body, head)


NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def _wrong_mode(model: nn.Module) -> str | None:
    """Return a hint on the first layer that is in the wrong mode."""
    for name, module in model.named_modules():
        kind, mode = type(module).__name__, "train" if module.training else "eval"
        if module.training == isinstance(module, NORMS):
            deep = f"{kind} at {name!r}" if name else f"the model itself ({kind})"
            return f"{deep} is in {mode}() mode."
    return None


def _first_call(fn: Callable) -> object:
    """Call a reader's function; one that works but returns nothing is not a stub."""
    model = _nested()
    model[0].eval()
    before = [module.training for module in model.modules()]
    result = fn(model)
    worked = before != [module.training for module in model.modules()]
    return model if worked else result


@checks_function(_first_call)
def train_with_frozen_norms(fn: Callable[[nn.Module], nn.Module]) -> Verdict:
    """Check a function that trains all but the statistics of batch normalisation.

    Args:
        fn: takes a model of any depth and mode, sets its modes, and returns it.
    """
    for model in (_nested(), _nested().eval()):
        before = {name: b.clone() for name, b in model.named_buffers()}
        result = fn(model)
        if result is None:
            return hint("the modes are set, but nothing is returned: return the model.")
        if result is not model:
            return hint(f"return the model that you got, got {type(result).__name__}.")
        wrong = _wrong_mode(model)
        if wrong:
            return hint(wrong)
        if not all(p.requires_grad for p in model.parameters()):
            return hint("leave requires_grad alone: scale and shift are to be trained.")
        if not all(
            n.track_running_stats for n in model.modules() if isinstance(n, NORMS)
        ):
            return hint("keep track_running_stats: eval() without them uses the batch.")
        model(torch.randn(8, 1, 4, 4, generator=torch.Generator().manual_seed(0)))
        if any(not torch.equal(before[n], b) for n, b in model.named_buffers()):
            return hint("the statistics are not the ones that the model came with.")
    return correct(
        "dropout drops, weights learn, statistics stay. Call it in every epoch."
    )
