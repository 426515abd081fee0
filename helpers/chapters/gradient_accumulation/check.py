"""Checks of the chapter on gradient accumulation."""

import itertools
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.chapters.gradient_accumulation.stage import as_vector
from helpers.exercises.number import Hint, NumberCheck
from helpers.exercises.verdicts import (
    Verdict,
    checks_function,
    correct,
    hint,
    not_yet,
)

# --- 1. the loss of two micro-batches -------------------------------------------------

loss = NumberCheck(
    prompt="10 tokens with a mean loss of 2.0, and 90 with 1.0: what is the loss of all?",
    answer=1.1,
    tolerance=0.001,
    praise="(10 · 2.0 + 90 · 1.0) / 100. The mean of the two means is 1.5.",
    hints=[
        Hint(1.5, 1.5, "that is the mean of means: a rare token would count 9 times."),
        Hint(3, 3, "that is the sum of the means, of a loop that divides nothing."),
        Hint(1.9, 1.9, "the weights are swapped: the 90 tokens have the loss 1.0."),
        Hint(110, 110, "that is the sum over all tokens. Divide by how many they are."),
        Hint(1, 1, "that is the loss of the 90 tokens. The other 10 count, too."),
        Hint(0.55, 0.55, "the shares 10 / 100 and 90 / 100 sum to 1: no further k."),
    ],
)


# --- 2. repair a loop over padded tokens ----------------------------------------------

K = 2
TOKENS = [(4, 6), (4, 1), (4, 5), (4, 0), (4, 1)]  # of each batch: rows, labels a row


class _Tagger(nn.Module):
    """Logits ``(B, T, 5)`` for tokens ``(B, T)``."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(9, 8, dtype=torch.float64)
        self.head = nn.Linear(8, 5, dtype=torch.float64)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.words(ids))


def _case() -> tuple[nn.Module, torch.optim.Optimizer, list, int]:
    """Return a model with old gradients, its optimizer, batches, and k."""
    generator = torch.Generator().manual_seed(0)
    model = _Tagger()
    for parameter in model.parameters():
        start = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        # So that clipping shortens some gradients and spares others: else it would
        # hide what they were divided by.
        parameter.data = 0.8 * start
        parameter.grad = torch.ones_like(parameter)
    batches = []
    for rows, count in TOKENS:
        ids = torch.randint(0, 9, (rows, 6), generator=generator)
        labels = torch.randint(0, 5, (rows, 6), generator=generator)
        labels[:, count:] = -100
        batches.append((ids, labels))
    return model, torch.optim.SGD(model.parameters(), lr=1.0), batches, K


def _total_loss(model: nn.Module, ids: Tensor, labels: Tensor) -> Tensor:
    """Return the sum over the tokens that have a label."""
    logits = model(ids).flatten(0, 1)
    return F.cross_entropy(logits, labels.flatten(), reduction="sum")


def _labels(group: list) -> int:
    return sum((labels != -100).sum().item() for _, labels in group)


# What the summed loss of a micro-batch is multiplied by. `own` are its labels, `both` those
# of its group, and `size` is how many micro-batches the group has.
RULES = {
    "right": lambda own, both, size: size / K / both,
    "full step": lambda own, both, size: 1 / both,
    "by k again": lambda own, both, size: 1 / K / both,
    "sum of means": lambda own, both, size: 1 / max(own, 1),
    "mean of means": lambda own, both, size: 1 / (max(own, 1) * size),
    "means by k": lambda own, both, size: 1 / (max(own, 1) * K),
    "sum": lambda own, both, size: 1,
    "padding too": lambda own, both, size: 1 / (24 * K),
}


def _weights_after(
    rule: str = "right", clip: str = "update", rest: str = "step", stale: bool = False
) -> Tensor:
    """Return the weights after an epoch, done right or with one mistake."""
    model, optimizer, batches, k = _case()
    if not stale:
        optimizer.zero_grad()
    for start in range(0, len(batches), k):
        group = batches[start : start + k]
        if len(group) < k and rest == "lost":
            continue
        for ids, labels in group:
            own = _labels([(ids, labels)])
            factor = RULES[rule](own, _labels(group), len(group))
            if clip == "before the share":
                factor *= k / len(group)
            (factor * _total_loss(model, ids, labels)).backward()
            if clip == "micro-batch":
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if clip in ("update", "before the share"):
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if clip == "before the share":
            for parameter in model.parameters():
                parameter.grad *= len(group) / k
        optimizer.step()
        optimizer.zero_grad()
    return as_vector(model.parameters())


def _same(a: Tensor, b: Tensor) -> bool:
    """Compare weights, to more than the 1e-6 that clip_grad_norm_ adds to a norm."""
    return torch.allclose(a, b, rtol=0, atol=1e-5)


MEANS = (
    "a label counts more where a micro-batch has few. What should each be divided by?"
)
MISTAKES = [
    ({"rest": "lost"}, "one micro-batch is left over at the end, and in no update."),
    ({"stale": True}, "the model came with old gradients, and they are in the update."),
    ({"clip": "none"}, "each update needs its gradient clipped to norm 1."),
    ({"clip": "micro-batch"}, "what is clipped in the inner loop is not yet the sum."),
    (
        {"clip": "before the share"},
        "the share of the last group must be in its gradient before you clip.",
    ),
    (
        {"rule": "full step"},
        "the last group has one of two micro-batches, and its loss should count by that "
        "share.",
    ),
    (
        {"rule": "by k again"},
        "the labels of the whole group are counted, and yet you divide by k again.",
    ),
    ({"rule": "sum of means"}, f"nothing is divided by the group, and {MEANS}"),
    ({"rule": "mean of means"}, MEANS),
    ({"rule": "means by k"}, MEANS),
    ({"rule": "sum"}, "this is the sum over labels. Divide by how many the group has."),
    ({"rule": "padding too"}, "padding is counted: its label is -100."),
]


def _mistakes_together() -> Iterator[tuple[dict, list[str]]]:
    """Give each mistake, then each pair that one loop can make, and so on."""
    for count in range(1, 5):
        for some in itertools.combinations(MISTAKES, count):
            changes = {
                key: value for change, _ in some for key, value in change.items()
            }
            if len(changes) == count:
                yield changes, [text for _, text in some]


@checks_function(lambda fn: (fn(*_case()),))  # a repaired loop returns nothing
def train_epoch(fn: Callable[..., None]) -> Verdict:
    """Check one epoch of accumulation over padded token labels.

    Args:
        fn: takes model, optimizer, batches of ``(ids, labels)`` and k, and trains.
    """
    model, optimizer, batches, k = _case()
    before = as_vector(model.parameters())
    rows = []  # of each forward pass
    model.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    backwards = []
    last = [*model.parameters()][-1]
    last.register_post_accumulate_grad_hook(lambda _: backwards.append(1))
    fn(model, optimizer, batches, k)
    found = as_vector(model.parameters())
    if torch.equal(found, before):
        return not_yet("after the epoch the weights are those of before.")
    if _same(found, _weights_after("means by k", "micro-batch", "lost", stale=True)):
        return not_yet("the loop runs, and none of the four rules holds.")
    if _same(found, _weights_after()):
        largest = max(len(ids) for ids, _ in batches)
        if max(rows) > largest:
            return hint(
                f"the weights are right, but the model got {max(rows)} texts at once, "
                f"where a batch has at most {largest}: that is what does not fit."
            )
        if len(backwards) <= -(-len(batches) // k):
            return hint(
                "the weights are right, but there is one backward() for a whole group: "
                "until then the graphs of all its micro-batches are kept."
            )
        return correct("each label weighs the same, in whichever micro-batch it comes.")
    for changes, texts in _mistakes_together():
        if _same(found, _weights_after(**changes)):
            return hint(" And ".join(texts))
    return hint("the weights after the epoch are others. Follow one group by hand.")
