"""Checks of the chapter on train(), eval() and no_grad()."""

from collections.abc import Callable

import torch
from torch import nn

from helpers.exercises.table import TableCheck
from helpers.exercises.verdicts import (
    Verdict,
    checks_code,
    checks_function,
    correct,
    hint,
    not_yet,
)

# --- 1. repair a loop ----------------------------------------------------------------

HELD_OUT, TRAINED = 5, 8  # samples in a batch: a pass of 8 is a training step


@checks_code
def repair(validate: Callable, train_epoch: Callable) -> Verdict:
    """Check a training loop that validates inside the epoch.

    Args:
        validate: takes a model and batches, returns their mean loss.
        train_epoch: takes a model, batches, held-out batches and an optimizer; trains on
            each of the batches, calls ``validate`` after every tenth, returns its results.
    """
    with torch.enable_grad():  # afterwards the switch is again as it was
        return _repaired(validate, train_epoch)


def _batches(count: int, size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(torch.randn(size, 4), torch.randint(0, 3, (size,))) for _ in range(count)]


def _repaired(validate, train_epoch) -> Verdict:
    hidden = nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout()
    model = nn.Sequential(*hidden, nn.Linear(6, 3))
    loader, held_out = _batches(25, TRAINED), _batches(3, HELD_OUT)
    steps, tests = [], []

    def note(module, inputs, output):
        modes, rows = {part.training for part in module.modules()}, len(inputs[0])
        grad = output.requires_grad, torch.is_grad_enabled()
        (steps if rows == TRAINED else tests).append((rows, modes, *grad))

    model.register_forward_hook(note)
    before = model[0].weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    try:
        history = train_epoch(model, loader, held_out, optimizer)
    except RuntimeError:
        if torch.is_grad_enabled():
            raise
        return hint(
            "training records nothing after the first validation: "
            "set_grad_enabled(False) holds until it is undone. Use a with block."
        )
    left_on = sum(modes != {True} for _, modes, *_ in steps)
    recorded = sum(grad for *_, grad, _ in tests)
    results = history if isinstance(history, list) else []
    as_given = not model.training and all(
        getattr(result, "requires_grad", False) for result in results
    )
    if left_on and recorded and as_given:
        return not_yet("two things are wrong, and no message says so.")
    if len(steps) != 25 or torch.equal(before, model[0].weight):
        return hint("train_epoch must still train, once on each batch.")
    if (
        sum(rows for rows, *_ in tests) != 2 * 3 * HELD_OUT
    ):  # one by one, or all at once
        return hint("train_epoch must still validate after every tenth batch.")
    if any(modes != {False} for _, modes, *_ in tests):
        return hint("a pass of the validation runs in train mode.")
    if left_on:
        return hint(
            f"{left_on} of 25 training steps run in eval mode. Who calls train() after "
            "the first validation?"
        )
    if recorded:
        return hint(
            f"{recorded} passes of the validation are recorded. eval() does not stop "
            "that; .item() drops a graph only once it is built."
        )
    if any(enabled for *_, enabled in tests):
        return hint(
            "nothing is recorded, since the weights are frozen. To make them trainable "
            "again frees those too that were frozen on purpose: leave requires_grad alone."
        )
    return _values(model, validate, history, held_out)


def _values(model, validate, history, held_out) -> Verdict:
    """Check what is returned, once the modes are right."""
    if not isinstance(history, list) or len(history) != 2:
        return hint("train_epoch must still return the list of both results.")
    found = validate(model, held_out)
    if isinstance(found, torch.Tensor):
        found = found.detach()
    try:
        number = float(found)
    except (TypeError, ValueError, RuntimeError):  # a list, None, several losses
        kind = type(found).__name__
        return hint(f"validate must return the mean loss, one number, got a {kind}.")
    model.eval()
    with torch.no_grad():
        losses = [nn.functional.cross_entropy(model(x), y) for x, y in held_out]
    right = torch.stack(losses).mean().item()
    if abs(number - right) > 1e-4:
        return hint(
            f"validate must return the mean loss, {right:.4f}, got {number:.4f}."
        )
    return correct("every training step in train mode, no validation recorded.")


# --- 2. six combinations -------------------------------------------------------------

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


# --- 3. frozen norms ------------------------------------------------------------------


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
    for model in (_nested(), _nested().eval(), nn.BatchNorm2d(1)):
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
