"""Checks of the chapter on FLOPs and parameters."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers.exercises.number import Hint, NumberCheck
from helpers.exercises.verdicts import Verdict, checks_function, correct, hint, not_yet

MACS, PARAMS = 32 * 32 * 16 * 27, 16 * 27 + 16
MACS_HINTS = {
    2 * MACS: "that is FLOPs. A MAC is a multiplication and an addition together.",
    32 * 32 * 16 * 9: "each output sums over all 3 input channels.",
    32 * 32 * 27: "there are 16 output channels.",
    16 * 27: "that is for one place; the image has 32 × 32 of them.",
    30 * 30 * 16 * 27: "with padding 1 the output is as large as the input, 32 × 32.",
    MACS + 32 * 32 * 16: "leave out the bias: it is an addition without a product.",
}
PARAMS_HINTS = {
    PARAMS - 16: "each output channel has a bias, too.",
    MACS: "the weights are the same at every place of the image.",
    16 * 9 + 16: "each of the 16 kernels reaches through all 3 input channels.",
}


def conv(macs: object, params: object) -> Verdict:
    """Check MACs and parameters of a convolution from 3 to 16 channels.

    Args:
        macs: multiply-accumulates for one image of 32 × 32.
        params: weights and biases.
    """
    if any(value is ... or value is None for value in (macs, params)):
        return not_yet("put two numbers instead of the dots.")
    for name, value, right, texts in (
        ("macs", macs, MACS, MACS_HINTS),
        ("params", params, PARAMS, PARAMS_HINTS),
    ):
        hints = [Hint(number, number, text) for number, text in texts.items()]
        verdict = NumberCheck("", right, 0, "", hints)(value)
        if verdict.state != "correct":
            return hint(f"{name}: {verdict.text}")
    return correct("each weight is used at 1,024 places, each bias is only added.")


tokens_equal = NumberCheck(
    prompt="d = 768: at how many tokens do scores and mixing cost as much as the "
    "projections?",
    answer=1536,
    tolerance=0.5,
    praise="N = 2d. Below it the projections dominate, above it the square of N does.",
    hints=[
        Hint(768, 768, "at N = d, it is 4 d³ against 2 d³."),
        Hint(384, 384, "that is the wrong way round: solve 4 N d² = 2 N² d for N."),
        Hint(3072, 3072, "that is where they cost twice as much as the projections."),
    ],
)


class _Profiled(nn.Module):
    """A small model with a buffer of its own, as thop leaves it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        self.register_buffer("scale", torch.ones(1))
        self.inner = nn.ModuleList([nn.ModuleList([nn.Linear(4, 2)])])

    def forward(self, x: Tensor) -> Tensor:
        return self.inner[0][0](self.body(x)) * self.scale

    def leave_buffers(self) -> "_Profiled":
        for module in (self, self.inner, self.inner[0]):
            for name in ("total_ops", "total_params"):
                module.register_buffer(name, torch.zeros(1, dtype=torch.float64))
        return self


@checks_function(lambda fn: fn(_Profiled().leave_buffers()))
def clean(fn: Callable[[nn.Module], nn.Module]) -> Verdict:
    """Check a function that takes thop's buffers out of a model.

    Args:
        fn: takes a model, returns it cleaned.
    """
    model = _Profiled()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    result = fn(model.leave_buffers())
    if result is not model:
        return hint(f"return the model itself, got {type(result).__name__}.")
    state = model.state_dict()
    extra, missing = [k for k in state if k not in before], before.keys() - state
    if any("." in key for key in extra) and not any("." not in k for k in extra):
        return hint(f"submodules have them too: {extra[0]} is still there.")
    if extra:
        return hint(f"{extra[0]} is still in the state dict.")
    if missing:
        return hint(f"{min(missing)} is gone, and it was the model's own.")
    if any(not torch.equal(before[key], value) for key, value in state.items()):
        return hint("a value of the model has changed.")
    if not model.training:
        return hint("the model was in train() mode; leave it there.")
    fn(model)  # nothing left to remove
    return correct("the state dict is the model's own again, and loads anywhere.")
