"""Checks of the chapter on softmax and its dimension."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers.exercises.number import Hint, NumberCheck
from helpers.exercises.verdicts import Verdict, checks_function, correct, hint, not_yet

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


first_loss = NumberCheck(
    prompt="1,000 classes, batches of 256: how large should a new model's first loss be?",
    answer=math.log(1000),
    tolerance=0.02,
    praise="ln 1000 = 6.908: an even spread over the classes. The batch has no part in it.",
    hints=[
        Hint(
            5.5, 5.6, "that is ln 256, the batch: it is what the wrong softmax gives."
        ),
        Hint(2.9, 3.1, "use the natural logarithm, as PyTorch does."),
        Hint(9.9, 10.0, "use the natural logarithm, as PyTorch does."),
    ],
)


class _OverBatch(nn.Module):
    """A softmax over the batch behind a linear layer: what the reader must catch."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.linear(x), 0)  # no nn.Softmax to look for


@checks_function(lambda fn: fn(nn.Linear(3, 4), torch.zeros(2, 3)))
def depends_on_batch(fn: Callable[[nn.Module, Tensor], bool]) -> Verdict:
    """Check a test that finds models whose outputs depend on the rest of the batch.

    Args:
        fn: takes a model and a batch ``(B, 3)``, returns a bool.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 3, generator=generator)
    over_classes = nn.Sequential(nn.Linear(3, 4), nn.Softmax(dim=1))
    normalised = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout())
    cases = [
        (_OverBatch(), True, "a softmax over dim=0"),
        (_OverBatch().eval(), True, "a model that was in eval() mode"),
        (over_classes, False, "a softmax over dim=1"),
        (normalised, False, "batch norm and dropout, which are harmless in eval()"),
    ]
    for model, expected, name in cases:
        modes = [module.training for module in model.modules()]
        before = {key: value.clone() for key, value in model.state_dict().items()}
        answer = fn(model, x)
        if bool(answer) is not expected:
            return hint(f"for {name} the answer is {expected}, got {answer}.")
        if modes != [module.training for module in model.modules()]:
            return hint(f"for {name}: give the model back in the mode you got it in.")
        if any(not torch.equal(before[k], v) for k, v in model.state_dict().items()):
            return hint(f"for {name}: the running statistics moved. Use eval().")
    return correct("it finds the softmax over the batch, and leaves the model alone.")
