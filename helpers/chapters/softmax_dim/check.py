"""Checks of the chapter on softmax and its dimension."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers.exercises.verdicts import (
    Verdict,
    advice_on,
    checks_code,
    checks_function,
    correct,
    hint,
    not_yet,
)

# --- 1. which dimension --------------------------------------------------------------

# shape: (its softmax dimension, what to think of)
DIMS = {
    "(T, B, C)": (2, "one decision for each time and sentence: (T, B) must be left."),
    "(B, H, W, C)": (
        3,
        "one decision for each image and place: (B, H, W) must be left.",
    ),
    "(B, C, D, H, W)": (1, "one decision for each place: (B, D, H, W) must be left."),
    "(B, T, experts)": (2, "the experts compete for each token."),
    "(B, T_key, T_query)": (1, "each query shares its attention out among the keys."),
}


def dims(answer: object) -> Verdict:
    """Check the softmax dimensions of five shapes.

    Args:
        answer: five integers, counted from the front or (negative) from the back.
    """
    if answer is ... or answer is None:
        return not_yet("put a list of five numbers instead of the dots.")
    try:
        if isinstance(answer, str):  # "23121" would be read digit by digit
            raise TypeError
        given = [int(dim) for dim in answer]
    except (TypeError, ValueError):
        return hint(f"write a list of five numbers, got {answer!r}.")
    if len(given) != len(DIMS):
        return hint(f"write five numbers, one for each shape, got {len(given)}.")
    for dim, (shape, (right, text)) in zip(given, DIMS.items(), strict=True):
        rank = shape.count(",") + 1
        if not -rank <= dim < rank:
            return hint(f"{shape} has no dimension {dim}.")
        if dim % rank != right:
            return hint(f"{shape}: {text}")
    return correct("in each case the sums read 'one distribution for each decision'.")


# --- 2. repair a policy --------------------------------------------------------------


@checks_code
def repair(
    policy: type[nn.Module], act: Callable[[nn.Module, Tensor], Tensor]
) -> Verdict:
    """Check a policy that must treat one state and a batch of states alike.

    Args:
        policy: a class of models from states ``(4,)`` or ``(N, 4)`` to the probabilities
            of two actions.
        act: takes a model and states; returns the most probable action of each.
    """
    with torch.no_grad(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = policy()
        verdict = _repaired(model.eval(), act)
        guessed = any("Implicit dimension" in str(each.message) for each in caught)
        if verdict.state == "correct" and guessed:
            return hint(
                "the softmax has no dim, so PyTorch guesses one from the number of "
                "dimensions. Name it."
            )
        if verdict.state == "correct":  # it learns in train mode
            together = model.train()(5 * torch.randn(16, 4))
            if together.shape != (16, 2) or not _distributions(together):
                return hint(
                    "in eval() each state sums to 1, after train() it does not: the "
                    "policy learns in train mode, so keep the softmax there too."
                )
        return verdict


def _repaired(model: nn.Module, act: Callable) -> Verdict:
    states = 5 * torch.randn(16, 4)
    try:
        one = torch.stack([model(state) for state in states])
    except IndexError as error:
        return hint(f"for one state, of shape (4,), the model raised: {error}")
    if one.shape != (16, 2):
        return hint(
            f"one state has two probabilities, got shape {tuple(one.shape[1:])}."
        )
    if not _distributions(one):
        sums = one.sum(dim=-1)
        return hint(
            f"for one state the two probabilities sum to {sums.min():.2f} to "
            f"{sums.max():.2f}, not to 1. Keep a softmax over the actions."
        )
    together = model(states)
    if together.shape != (16, 2):
        return hint(f"16 states return shape (16, 2), got {tuple(together.shape)}.")
    if not _distributions(together):
        sums = together.sum(dim=-1)
        return not_yet(
            f"in a batch of 16 the two probabilities of a state sum to {sums.min():.2f} "
            f"to {sums.max():.2f}."
        )
    if not torch.allclose(together, one, atol=1e-5):
        return hint("each state sums to 1, but gets other probabilities than alone.")
    single = tuple(model(states[:1]).shape)
    if single != (1, 2):
        return hint(
            f"a batch of one state, (1, 4), returns shape (1, 2), got {single}."
        )
    best = one.argmax(dim=1)
    for given, right, where in (
        (
            lambda: torch.stack([torch.as_tensor(act(model, s)) for s in states]),
            best,
            "for one state",
        ),
        (lambda: torch.as_tensor(act(model, states)), best, "in a batch"),
        (
            lambda: torch.as_tensor(act(model, states[:1])),
            best[:1],
            "in a batch of one",
        ),
    ):
        try:
            actions = given()
        except (IndexError, RuntimeError) as error:
            return hint(f"{where} act raised: {error}")
        if actions.shape != right.shape:
            got = tuple(actions.shape)
            if where == "for one state":  # 16 of them, each alone
                got = got[1:]
                return hint(f"{where}: act must return one action, got shape {got}.")
            return hint(
                f"{where}: act must return one action a state, got shape {got}."
            )
        if not torch.equal(actions.long(), right):
            return hint(f"{where}: act does not return the most probable action.")
    return correct("alone or in a batch, a state gets the same answer.")


def _distributions(p: Tensor) -> bool:
    """Whether each row is positive and sums to 1."""
    return bool((p >= 0).all()) and torch.allclose(p.sum(-1), torch.ones(len(p)))


# --- 3. a test for any model ---------------------------------------------------------


class _Mixing(nn.Module):
    """What the reader must catch: a mixing of samples that no layer's name tells."""

    def __init__(self, mix: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.linear, self.mix, self.grads = nn.Linear(3, 4), mix, False

    def forward(self, x: Tensor) -> Tensor:
        self.grads |= torch.is_grad_enabled()
        return self.mix(self.linear(x))


def _mix_ends(out: Tensor) -> Tensor:
    """Add the last sample to the first, and the first to the last."""
    return torch.cat([out[:1] + out[-1:], out[1:-1], out[-1:] + out[:1]])[: len(out)]


def _with_frozen_norm() -> nn.Module:
    """Return a model in train mode whose normalisation layer was frozen in eval mode."""
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout())
    model[1].eval()
    return model


@checks_function(lambda fn: fn(nn.Linear(3, 4), torch.zeros(2, 3)))
def depends_on_batch(fn: Callable[[nn.Module, Tensor], bool]) -> Verdict:
    """Check a test that finds models whose outputs depend on the rest of the batch.

    Args:
        fn: takes a model and a batch ``(B, 3)``, returns a bool.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 3, generator=generator)
    columns = _Mixing(lambda out: torch.softmax(out, 0))
    rows = _Mixing(lambda out: torch.softmax(out, 1))
    centred = _Mixing(lambda out: out - out.mean(0))
    summed = _Mixing(lambda out: out.cumsum(0))  # as a recurrent net over the batch
    backwards = _Mixing(lambda out: out.flip(0).cumsum(0).flip(0))
    weak = _Mixing(lambda out: out + 2e-3 * out.sum(0))
    norm = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout())
    rounding = (
        " Compare outputs, alone and together, with a small tolerance for rounding."
    )
    cases = [
        (columns, True, "a softmax over dim=0", ""),
        (centred, True, "outputs from which the batch's mean was subtracted", ""),
        (
            summed,
            True,
            "outputs to which those of the samples before were added",
            " Test the last sample too.",
        ),
        (
            backwards,
            True,
            "outputs to which those of the samples after were added",
            " Test the first sample too.",
        ),
        (
            _Mixing(_mix_ends),
            True,
            "outputs whose first and last sample are added to each other",
            " Leave out, or change, all other samples.",
        ),
        (
            weak,
            True,
            "outputs to which 0.2% of the batch's sum was added",
            " Compare more closely.",
        ),
        (
            _Mixing(lambda out: out).eval(),
            False,
            "a model that was in eval() mode",
            rounding,
        ),
        (rows, False, "a softmax over dim=1", rounding),
        (
            norm,
            False,
            "batch normalisation and dropout, which are harmless in eval()",
            " Work in eval() mode, and compare with a small tolerance.",
        ),
        (
            _with_frozen_norm(),
            False,
            "a model in train mode with a normalisation layer frozen in eval",
            rounding,
        ),
    ]
    for model, expected, name, tip in cases:
        modes = [module.training for module in model.modules()]
        before = {key: value.clone() for key, value in model.state_dict().items()}
        with advice_on({"Expected more than 1 value": "Work in eval() mode."}):
            answer = fn(model, x)
        if bool(answer) is not expected:
            return hint(f"for {name} the answer is {expected}, got {answer}.{tip}")
        if modes != [module.training for module in model.modules()]:
            return hint(f"for {name}: give each module its own mode back.")
        if any(not torch.equal(before[k], v) for k, v in model.state_dict().items()):
            return hint(f"for {name}: the running statistics moved. Use eval().")
        if getattr(model, "grads", False):
            return hint("the model ran with gradients. Use torch.no_grad().")
    return correct("it finds what mixes samples, and leaves each module as it was.")
