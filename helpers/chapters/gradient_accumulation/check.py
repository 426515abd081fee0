"""Checks of the chapter on gradient accumulation."""

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

loss = NumberCheck(
    prompt="10 tokens with a mean loss of 2.0, and 90 with 1.0: what is the loss of all?",
    answer=1.1,
    tolerance=0.001,
    praise="(10 · 2.0 + 90 · 1.0) / 100. The mean of the two means is 1.5.",
    hints=[
        Hint(1.5, 1.5, "that is the mean of means: a rare token would count 9 times."),
        Hint(3, 3, "that is the sum of the means, as the notes' loop has it."),
        Hint(1.9, 1.9, "the weights are swapped: the 90 tokens have the loss 1.0."),
        Hint(110, 110, "that is the sum over all tokens. Divide by how many they are."),
        Hint(0.55, 0.55, "the shares 10 / 100 and 90 / 100 sum to 1: no further K."),
    ],
)


def first_update(answer: object) -> Verdict:
    """Check which micro-batches are in the first update of the second epoch.

    Args:
        answer: their numbers, counted from 1 through both epochs.
    """
    if answer is ... or answer is None:
        return not_yet("put a list of numbers instead of the dots.")
    try:
        given = sorted(float(number) for number in answer)
    except (TypeError, ValueError, OverflowError):
        return hint(f"write a list of numbers, got {answer!r}.")
    if not all(number.is_integer() for number in given):
        return hint(f"micro-batches have whole numbers, got {answer!r}.")
    if given == [15, 16, 17]:
        return correct("three instead of two, and number 15 was seen by older weights.")
    texts = {
        (16, 17): "that is so if zero_grad() comes again. What does .grad still hold?",
        (
            15,
            16,
        ): "enumerate starts again: after 16 the index is 0, and no step is due.",
        (1, 2): "count on through the second epoch: its first micro-batch is 16.",
        (1, 2, 15): "count on through the second epoch: its first micro-batch is 16.",
    }
    return hint(texts.get(tuple(given), "go through it: when is a step due, and why?"))


# --- the third exercise --------------------------------------------------------------

K = 2
TOKENS = [(4, 6), (4, 1), (4, 5), (4, 0), (4, 3)]  # of each batch: rows, labels a row


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
        parameter.data = 0.85 * start
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


RULES = {
    "right": lambda own, all_, k: 1 / all_,
    "sum of means": lambda own, all_, k: 1 / max(own, 1),
    "mean of means": lambda own, all_, k: 1 / (max(own, 1) * k),
    "means by k": lambda own, all_, k: 1 / (max(own, 1) * K),
    "sum": lambda own, all_, k: 1,
    "by all tokens, padding too": lambda own, all_, k: 1 / (24 * k),
}


def _weights_after(
    rule: str = "right", clip: str = "update", flush: bool = True, stale: bool = False
) -> Tensor:
    """Return the weights after an epoch, done right or with one mistake."""
    model, optimizer, batches, k = _case()
    if not stale:
        optimizer.zero_grad()
    for group in _groups(batches, k, flush):
        for ids, labels in group:
            own = _labels([(ids, labels)])
            factor = RULES[rule](own, _labels(group), len(group))
            (factor * _total_loss(model, ids, labels)).backward()
            if clip == "micro-batch":
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if clip == "update":
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return as_vector(model.parameters())


def _groups(batches: list, k: int, flush: bool) -> Iterator[list]:
    for start in range(0, len(batches), k):
        group = batches[start : start + k]
        if flush or len(group) == k:
            yield group


def _same(a: Tensor, b: Tensor) -> bool:
    """Compare weights, to more than the 1e-6 that clip_grad_norm_ adds to a norm."""
    return torch.allclose(a, b, rtol=0, atol=1e-5)


MISTAKES = [
    (
        {"flush": False},
        "one micro-batch is left over at the end, and not in any update.",
    ),
    ({"stale": True}, "the model came with old gradients. Begin with zero_grad()."),
    ({"clip": "none"}, "each update needs its gradient clipped to norm 1."),
    ({"clip": "micro-batch"}, "clip once an update, before step(), not in the loop."),
    ({"rule": "sum of means"}, "divide: this is the sum of the micro-batches' means."),
    ({"rule": "mean of means"}, "this is the mean of means. Who has more labels?"),
    (
        {"rule": "means by k"},
        "this is the mean of means, divided by k even where the group is shorter. Who "
        "has more labels?",
    ),
    (
        {"rule": "mean of means", "flush": False},
        "this is the mean of means, and one micro-batch is in no update at all.",
    ),
    ({"rule": "sum"}, "this is the sum over tokens. Divide by the group's labels."),
    (
        {"rule": "by all tokens, padding too"},
        "padding has no label: count labels that are not -100.",
    ),
]


@checks_function(lambda fn: fn(*_case()))
def train_epoch(fn: Callable[..., int]) -> Verdict:
    """Check one epoch of accumulation over padded token labels.

    Args:
        fn: takes model, optimizer, batches of ``(ids, labels)`` and k; trains, and
            returns how many updates it made.
    """
    model, optimizer, batches, k = _case()
    updates = fn(model, optimizer, batches, k)
    if isinstance(updates, bool) or not isinstance(updates, int):
        return hint(f"return how many updates you made, got {updates!r}.")
    found = as_vector(model.parameters())
    if not _same(found, _weights_after()):
        for change, text in MISTAKES:
            if _same(found, _weights_after(**change)):
                return hint(text)
        return hint("the weights after the epoch are others. Follow one group by hand.")
    if updates != 3:
        return hint(f"5 micro-batches with k = 2 make 3 updates, got {updates}.")
    return correct("each label weighs the same, in whichever micro-batch it comes.")
