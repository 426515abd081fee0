"""Checks of the chapter on FLOPs and parameters."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers._torch_internals import has_forward_hooks
from helpers.exercises.number import Hint, NumberCheck
from helpers.exercises.verdicts import Verdict, checks_code, correct, hint, not_yet

MACS, PARAMS = 32 * 32 * 16 * 27, 16 * 27 + 16
MACS_HINTS = {
    2 * MACS: "that is FLOPs. A MAC is a multiplication and an addition together.",
    32 * 32 * 16 * 9: "each output sums over all 3 input channels.",
    32 * 32 * 27: "there are 16 output channels.",
    16 * 27: "that is for one place; the image has 32 × 32 of them.",
    PARAMS: "that is the number of parameters. Each weight is used at 32 × 32 places.",
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
    tolerance=0,
    praise="N = 2d. Below it the projections dominate, above it the square of N does.",
    hints=[
        Hint(768, 768, "at N = d, it is 4 d³ against 2 d³."),
        Hint(384, 384, "that is the wrong way round: solve 4 N d² = 2 N² d for N."),
        Hint(3072, 3072, "that is where they cost twice as much as the projections."),
    ],
)


# --- repair a counter ----------------------------------------------------------------


class _Small(nn.Module):
    """A convolution and its BatchNorm, whose statistics a forward in train mode moves."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean(dim=(2, 3)))


IMAGE_MACS = 6 * 6 * 4 * 27 + 4 * 2  # of one image of 8 x 8
NORM = 4 * 36 * 4  # what thop adds for the BatchNorm of one image


@checks_code
def macs_per_image(fn: Callable[[nn.Module, Tensor], float]) -> Verdict:
    """Check a function that counts the MACs of one image, and leaves the model alone.

    Args:
        fn: takes a model and a batch of images; returns MACs per image.
    """
    model, images = _Small(), torch.zeros(5, 3, 8, 8)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    result = fn(model, images)
    if result is None:
        return not_yet("macs_per_image returned None.")
    try:
        macs = float(result)
    except (TypeError, ValueError):
        got = type(result).__name__
        return hint(f"macs_per_image should return one number, got a {got}.")
    if macs == 5 * (IMAGE_MACS + NORM):
        return not_yet("that is for a batch of five, with thop's work for BatchNorm.")
    wrong = {
        5 * IMAGE_MACS: "that is a batch of five. Divide by the number of images.",
        10 * IMAGE_MACS: "those are the FLOPs of a batch of five.",
        2 * IMAGE_MACS: "those are FLOPs: two for each multiply-accumulate.",
        IMAGE_MACS + NORM: "thop adds element-wise work of the BatchNorm.",
    }
    if macs in wrong:
        return hint(wrong[macs])
    if macs != IMAGE_MACS:
        return hint(f"one image takes {IMAGE_MACS:,} MACs, got {macs:,.10g}.")
    state = model.state_dict()
    extra = [key for key in state if key not in before]
    if extra:
        return hint(f"the count is right, but {extra[0]} is left in the state dict.")
    if has_forward_hooks(model):
        return hint("the count is right, but hooks are left on the model.")
    if not all(p.requires_grad for p in model.parameters()):
        return hint("the count is right, but parameters no longer take gradients.")
    if any(not torch.equal(before[key], value) for key, value in state.items()):
        return hint("the count is right, but BatchNorm's statistics have moved.")
    if not all(module.training for module in model.modules()):
        return hint("the count is right, but the model came in train() mode.")
    model.eval()
    fn(model, images)
    if any(module.training for module in model.modules()):
        return hint("a model that comes in eval() mode should stay in it.")
    model.train()
    model.body[1].eval()  # a frozen BatchNorm
    fn(model, images)
    if not model.training or model.body[1].training:
        return hint(
            "a frozen BatchNorm that came in eval() mode is now in train() mode: "
            "model.train() sets all layers. Count on a copy."
        )
    return correct("MACs of one image, and the model is as it was.")
