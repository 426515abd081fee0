"""The chapter on gradient accumulation: instruments, two ranks, checks, widget."""

import os
import re
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from traitlets import TraitError

from helpers.accumulation import grouped
from helpers.chapters.gradient_accumulation import (
    AccumulationCuts,
    check,
    ranks,
    stage,
)
from helpers.chapters.gradient_accumulation.ranks import print_from_two_ranks
from helpers.widgets.base import STATE_MIME


def tiny():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()


def samples(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return x, torch.randint(0, 3, (count,), generator=generator)


# --- instruments ---------------------------------------------------------------------


def test_gradient_of_is_that_of_backward_and_touches_nothing():
    model, (x, y) = tiny(), samples(5)
    found = stage.gradient_of(F.cross_entropy(model(x), y), model)
    assert all(p.grad is None for p in model.parameters())
    F.cross_entropy(model(x), y).backward()
    assert torch.equal(found, stage.gradient(model))


def test_factors_are_found_again():
    parts = [samples(9, seed)[0].flatten() for seed in range(4)]
    factors = torch.tensor([0.25, 0, -3, 7.5], dtype=torch.float64)
    total = sum(f * part for f, part in zip(factors, parts, strict=True))
    assert (stage.factors_in(total, parts) - factors).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("relative", "text"),
    [(1e-13, "< 1e-12"), (5e-4, "< 0.1%"), (5e-3, "< 1%"), (0.25, "25%"), (4, "400%")],
)
def test_difference_is_told_in_per_cent(relative, text):
    wanted = torch.tensor([0.0, 2.0], dtype=torch.float64)
    assert stage.difference(wanted * (1 + relative), wanted) == text


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: stage.gradient(tiny()),
            "gradient: .* 0.weight has none. Call back",
        ),
        (
            lambda: stage.gradient_of(torch.zeros(2), tiny()),
            r"gradient_of: loss must be one number, got shape \(2,\)",
        ),
        (
            lambda: stage.difference(torch.zeros(2), torch.zeros(3)),
            r"difference: .* got \(2,\) and \(3,\)",
        ),
        (
            lambda: stage.five_runs(None, 2, None, last="keep"),
            "five_runs: last must be one of mean, share, drop, leak, got 'keep'",
        ),
    ],
)
def test_misuse_of_an_instrument_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


class Plain:
    """SGD, with what a step was made of."""

    def __init__(self, parameters):
        self.parameters = list(parameters)
        self.steps.append([])

    def step(self):
        for parameter in self.parameters:
            parameter.data -= 0.1 * parameter.grad
        self.steps[-1].append(self.since)
        Plain.since = []

    def zero_grad(self):
        for parameter in self.parameters:
            parameter.grad = None


@pytest.mark.parametrize(
    ("last", "end", "again"),
    [
        ("mean", [(67, 67)], [(128, 128)]),
        ("share", [(67, 128)], [(128, 128)]),
        ("drop", [(128, 128)], [(128, 128)]),
        ("leak", [(128, 128)], [(67, 67), (128, 128)]),
    ],
)
def test_runs_treat_the_last_group_as_told(last, end, again, monkeypatch):
    monkeypatch.setattr(stage, "SEEDS", range(2))
    Plain.steps, Plain.since = [], []

    def backward(model, x, y, total):
        Plain.since.append((len(x), total))
        F.cross_entropy(model(x), y, reduction="sum").div(total).backward()

    def optimizer(parameters):
        Plain.since = []
        return Plain(parameters)

    state = torch.get_rng_state()
    runs = stage.five_runs(backward, 8, optimizer, last, epochs=2)
    an_epoch = 10 + (end != [(128, 128)])
    for steps in Plain.steps:
        assert len(steps) == 2 * an_epoch
        assert steps[an_epoch - 1] == end
        assert steps[an_epoch] == again
    assert [part.shape for part in runs[1:]] == [(2, 2), (2,), (2,), (2, 0)]
    assert torch.equal(state, torch.get_rng_state())
    assert runs.same(runs, 1e-9)


def test_runs_know_their_accuracy_before_the_last_update(monkeypatch):
    monkeypatch.setattr(stage, "SEEDS", range(1))

    def backward(model, x, y, total):
        factor = 1e6 if len(x) < 128 else 1.0  # a last step that ruins all
        F.cross_entropy(model(x), y, reduction="sum").mul(factor / total).backward()

    Plain.steps, Plain.since = [], []
    dropped = stage.five_runs(backward, 8, Plain, "drop", epochs=1)
    ruined = stage.five_runs(backward, 8, Plain, "mean", epochs=1)
    assert ruined.before == dropped.accuracy != ruined.accuracy
    assert ruined.spread_before == dropped.spread
    assert re.fullmatch(r"\d+% to \d+%", ruined.spread)


# --- two ranks -----------------------------------------------------------------------


def sum_of_ranks(rank):
    total = torch.tensor(rank + 1.0)
    dist.all_reduce(total)
    print(rank, total.item(), flush=True)


def test_two_ranks_talk_to_each_other(capsys):
    before = dict(os.environ)
    print_from_two_ranks(sum_of_ranks)
    assert capsys.readouterr().out == "0 3.0\n1 3.0\n"
    assert os.environ == before


def fail_in_rank_one(rank):
    if rank:
        raise OSError("out of paper")
    time.sleep(60)


def wait_for_ever(rank):
    with open(f"{os.environ['REACHED']}{rank}", "w"):
        time.sleep(600)


@pytest.fixture
def without_torch(monkeypatch):
    """Ranks that do not talk to each other, and so start at once."""
    real = "import torch.distributed as dist\n"
    assert real in ranks.RUNNER
    mock = "from unittest.mock import MagicMock; dist = MagicMock()\n"
    monkeypatch.setattr(ranks, "RUNNER", ranks.RUNNER.replace(real, mock))


@pytest.fixture
def started(monkeypatch):
    """The processes that a call has started."""
    processes, start = [], ranks._start
    monkeypatch.setattr(
        ranks, "_start", lambda *a: processes.append(start(*a)) or processes[-1]
    )
    return processes


def test_failing_rank_is_named_and_none_is_left_behind(started, without_torch):
    with pytest.raises(
        RuntimeError, match="must not raise, got rank 1: OSError: out of"
    ):
        print_from_two_ranks(fail_in_rank_one)
    assert [process.poll() is not None for process in started] == [True, True]


def test_hanging_rank_ends_in_time_and_none_is_left_behind(
    started, without_torch, monkeypatch, tmp_path
):
    monkeypatch.setenv("REACHED", str(tmp_path / "rank"))
    start = time.monotonic()

    def clock():  # the half second is over when both ranks are at work
        both = len(list(tmp_path.iterdir())) == 2
        return start + (1 if both or time.monotonic() > start + 60 else 0)

    monkeypatch.setattr(
        ranks, "time", SimpleNamespace(monotonic=clock, sleep=time.sleep)
    )
    with pytest.raises(TimeoutError, match=r"work must end in 0\.5 s, got no end"):
        print_from_two_ranks(wait_for_ever, timeout_s=0.5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rank0", "rank1"]
    assert [process.poll() is not None for process in started] == [True, True]


def test_interrupt_leaves_none_behind(started, monkeypatch):
    def interrupt(seconds):
        raise KeyboardInterrupt

    nap = SimpleNamespace(monotonic=time.monotonic, sleep=interrupt)
    monkeypatch.setattr(ranks, "time", nap)
    with pytest.raises(KeyboardInterrupt):
        print_from_two_ranks(wait_for_ever)
    assert [process.poll() is not None for process in started] == [True, True]


def test_pytorch_without_gloo_is_told_in_a_sentence(capsys, monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_gloo_available", lambda: False)
    print_from_two_ranks(wait_for_ever)
    assert (
        "without torch.distributed or gloo: nothing was run" in capsys.readouterr().out
    )


def sourceless():
    space = {}
    exec("def work(rank): pass", space)
    return space["work"]


@pytest.mark.parametrize(
    ("work", "timeout_s", "error", "message"),
    [
        (3, 60, TypeError, "work must be a function made by def, got 3"),
        (lambda rank: None, 60, TypeError, "work must be a function made by def"),
        (sourceless(), 60, ValueError, "work must have its source in a file"),
        (wait_for_ever, "1", TypeError, "timeout_s must be a number, got '1'"),
        (wait_for_ever, 0, ValueError, "timeout_s must be positive, got 0"),
    ],
)
def test_what_two_ranks_cannot_run_is_named(work, timeout_s, error, message):
    with pytest.raises(error, match=f"print_from_two_ranks: {message}"):
        print_from_two_ranks(work, timeout_s)


# --- checks --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (1.1, "✓ Correct"),
        (1.5, "✗ Hint: that is the mean of means"),
        (3, "✗ Hint: that is the sum of the means"),
        (1.9, "✗ Hint: the weights are swapped"),
        (110, "✗ Hint: that is the sum over all tokens"),
        (0.55, "✗ Hint: the shares"),
        (1.0, "✗ Hint: 1 is too small"),
        (torch.tensor(2.0), "✗ Hint: 2 is too large"),
    ],
)
def test_loss_tells_right_from_wrong(answer, text):
    assert repr(check.loss(answer)).startswith(text)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (..., "○ Not yet"),
        ([15, 16, 17], "✓ Correct"),
        ((17, 15, 16), "✓ Correct"),
        (torch.tensor([15, 16, 17]), "✓ Correct"),
        ([16, 17], "✗ Hint: that is so if zero_grad"),
        ([15, 16], "✗ Hint: enumerate starts again"),
        ([1, 2], "✗ Hint: count on through"),
        ([15, 1, 2], "✗ Hint: count on through"),
        ([14, 15], "✗ Hint: go through it"),
        (3, "✗ Hint: write a list of numbers, got 3"),
        (["a"], "✗ Hint: write a list of numbers"),
        ([15.9, 16, 17], "✗ Hint: micro-batches have whole numbers, got [15.9"),
        ([float("inf")], "✗ Hint: micro-batches have whole numbers, got [inf]"),
        ([10**400], "✗ Hint: write a list of numbers"),
    ],
)
def test_first_update_tells_right_from_wrong(answer, text):
    assert repr(check.first_update(answer)).startswith(text)


def epoch(model, optimizer, batches, k, rule="right", told=None, **change):
    """An epoch written with the check's own parts, with one mistake."""
    weights = check._weights_after(rule, **change)
    at = 0
    for parameter in model.parameters():
        parameter.data = weights[at : at + parameter.numel()].view_as(parameter)
        at += parameter.numel()
    return 3 if told is None else told


def by_hand(model, optimizer, batches, k, own_clip=False, mean=False):
    optimizer.zero_grad()
    groups = list(grouped(batches, k))
    for group in groups:
        count = sum((labels != -100).sum() for _, labels in group)
        for ids, labels in group:
            logits = model(ids).transpose(1, 2)
            if mean:
                (F.cross_entropy(logits, labels) / k).backward()
            else:
                (F.cross_entropy(logits, labels, reduction="sum") / count).backward()
        if own_clip:
            norm = stage.gradient(model).norm()
            for parameter in model.parameters():
                parameter.grad /= max(norm, 1.0)
        else:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return len(groups)


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (by_hand, "✓ Correct"),
        (lambda *a: by_hand(*a, own_clip=True), "✓ Correct"),
        (
            lambda *a: by_hand(*a, mean=True),
            "✗ Hint: this is the mean of means, divided by k even where",
        ),
        (
            lambda *a: epoch(*a, "mean of means", flush=False),
            "✗ Hint: this is the mean of means, and one micro-batch is in no",
        ),
        (lambda *a: None, "○ Not yet"),
        (lambda *a: "3", "✗ Hint: return how many updates you made, got '3'"),
        (lambda *a: 3, "✗ Hint: the weights after the epoch are others"),
        (lambda *a: epoch(*a, told=5), "✗ Hint: 5 micro-batches with k = 2 make 3"),
        (lambda *a: epoch(*a, flush=False), "✗ Hint: one micro-batch is left over"),
        (lambda *a: epoch(*a, stale=True), "✗ Hint: the model came with old gradients"),
        (
            lambda *a: epoch(*a, clip="none"),
            "✗ Hint: each update needs its gradient cl",
        ),
        (lambda *a: epoch(*a, clip="micro-batch"), "✗ Hint: clip once an update"),
        (
            lambda *a: epoch(*a, "sum of means"),
            "✗ Hint: divide: this is the sum of the",
        ),
        (lambda *a: epoch(*a, "mean of means"), "✗ Hint: this is the mean of means."),
        (lambda *a: epoch(*a, "sum"), "✗ Hint: this is the sum over tokens"),
        (
            lambda *a: epoch(*a, "by all tokens, padding too"),
            "✗ Hint: padding has no lab",
        ),
        (lambda m: 3, "✗ Hint: <lambda> raised TypeError"),
    ],
)
def test_train_epoch_tells_right_from_wrong(attempt, text):
    assert repr(check.train_epoch(attempt)).startswith(text)


def test_every_mistake_that_train_epoch_knows_gives_other_weights():
    found = [check._weights_after(**change) for change, _ in check.MISTAKES]
    found.append(check._weights_after())
    for i, a in enumerate(found):
        assert not any(torch.allclose(a, b, rtol=0, atol=0.01) for b in found[:i])


# --- widget --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"first": 3},
        {"second": 40},
        {"third": 50},
        {"rule": "mean"},
        {"left_over": True},
        {"gradients": [[1.0, 2.0]] * 53},
    ],
)
def test_accumulation_cuts_digest_changes_with_whatever_is_shown(change):
    plain, changed = AccumulationCuts(), AccumulationCuts(**change)
    states = [w._repr_mimebundle_()[0][STATE_MIME]["state"] for w in (plain, changed)]
    assert states[0] != states[1]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"first": 51}, TraitError, r"first.* from 0 to 50, not the \w+ 51"),
        ({"third": -1}, TraitError, r"third.* from 0 to 50, not the \w+ -1"),
        ({"second": 2.5}, TraitError, "second"),
        ({"rule": "n"}, TraitError, "rule"),
        ({"gradients": [[1, 2]]}, TraitError, "a list of length 53, not the list"),
        (
            {"gradients": [[1, 2, 3]] * 53},
            TraitError,
            "a list of length 2, not the list",
        ),
        (
            {"gradients": [[1, "a"]] * 53},
            TraitError,
            r"from -100 to 100, not the \w+ 'a'",
        ),
        ({"gradients": [[1, float("nan")]] * 53}, TraitError, "not the float nan"),
        (
            {"cuts": 3},
            TypeError,
            "no setting 'cuts'. It has: first, gradients, left_over",
        ),
    ],
)
def test_bad_setting_of_accumulation_cuts_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        AccumulationCuts(**settings)


@pytest.mark.parametrize(
    ("cuts", "sizes"),
    [
        ([16, 32, 48], [16, 16, 16, 2]),
        ([48, 16, 32], [16, 16, 16, 2]),
        ([25, 25, 50], [25, 25]),
        ([0, 0, 0], [50]),
        ([1, 2, 3], [1, 1, 1, 47]),
    ],
)
@pytest.mark.parametrize("left_over", [False, True])
@pytest.mark.parametrize("rule", ["sum", "mean", "size"])
def test_accumulation_cuts_agrees_with_backward(
    front_end, cuts, sizes, rule, left_over
):
    each = torch.randn(53, 2, dtype=torch.float64)
    assert front_end(AccumulationCuts, "m.sizes(a)", cuts) == sizes
    ours = front_end(
        AccumulationCuts,
        "m.combine(a[3], m.weights(m.sizes(a[0]), a[1], a[2]))",
        [cuts, rule, left_over, each.tolist()],
    )
    w = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    parts = list((each[:50] @ w).split(sizes)) + [each[50:] @ w] * left_over
    for part in parts:
        factor = {"sum": 1, "mean": 1 / len(sizes), "size": len(part) / 50}[rule]
        (factor * part.mean()).backward(retain_graph=True)
    np.testing.assert_allclose(ours, w.grad, rtol=1e-6, atol=1e-9)


def test_accumulation_cuts_compares_arrows_as_torch_does(front_end):
    for found, wanted in torch.randn(20, 2, 2, dtype=torch.float64):
        argument = [found.tolist(), wanted.tolist()]
        ours = front_end(AccumulationCuts, "m.compare(...a)", argument)
        cosine = F.cosine_similarity(found, wanted, dim=0)
        expected = [
            (found.norm() / wanted.norm()).item(),
            cosine.acos().rad2deg().item(),
            ((found - wanted).norm() / wanted.norm()).item(),
        ]
        np.testing.assert_allclose([*ours.values()], expected, rtol=1e-6)
