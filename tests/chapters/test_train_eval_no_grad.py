"""The chapter on modes: its checks, and its widget against torch."""

import base64
import contextlib
import gzip
import json
import re
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from traitlets import TraitError

from helpers.chapters.train_eval_no_grad import ModeExplorer, check
from helpers.evaluation import evaluating, kept_for_backward
from helpers.exercises.table_box import AnswerTable

F64 = torch.float64

# --- 1. repair a loop ----------------------------------------------------------------


def validation(*contexts, eval_mode=True, back=True, scale=1):
    """Return a ``validate`` inside some context managers."""

    def validate(model, batches):
        was_training, total = model.training, 0
        with contextlib.ExitStack() as stack:
            for context in contexts:
                stack.enter_context(context())
            if eval_mode:
                model.eval()
            for x, y in batches:
                total += F.cross_entropy(model(x), y)
        if back:
            model.train(was_training)
        return scale * total / len(batches)

    return validate


def epoch(validate, train_each=False, train_after=False, every=10, learn=True):
    """Return a ``train_epoch`` that uses a ``validate``."""

    def train_epoch(model, batches, held_out, optimizer):
        model.train()
        history = []
        for step, (x, y) in enumerate(batches, 1):
            if train_each:
                model.train()
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            if learn:
                optimizer.step()
            if step % every == 0:
                history.append(validate(model, held_out))
                if train_after:
                    model.train()
        return history

    return train_epoch


def with_helper(model, batches):
    with evaluating(model):
        return sum(F.cross_entropy(model(x), y).item() for x, y in batches) / 3


@torch.no_grad()
def at_once(model, batches):
    with evaluating(model):
        x, y = map(torch.cat, zip(*batches, strict=True))
        return F.cross_entropy(model(x), y).item()


def listed(model, batches):
    with evaluating(model):
        return [F.cross_entropy(model(x), y).item() for x, y in batches]


def items_only(model, batches):
    model.eval()
    losses = [F.cross_entropy(model(x), y).item() for x, y in batches]
    model.train()
    return sum(losses) / len(batches)


def frozen(model, batches):
    model.requires_grad_(False)
    mean = items_only(model, batches)
    model.requires_grad_(True)
    return mean


def never_undone(model, batches):
    torch.set_grad_enabled(False)
    return items_only(model, batches)


STUB = validation(back=False)
GOOD, LEFT = validation(torch.no_grad), validation(torch.no_grad, back=False)


@pytest.mark.parametrize(
    ("validate", "train_epoch", "text"),
    [
        (
            STUB,
            epoch(STUB),
            "○ Not yet: two things are wrong",
        ),
        (
            lambda model, batches: STUB(model, batches).item(),
            epoch(lambda model, batches: STUB(model, batches).item()),
            "✗ Hint: 15 of 25 training steps run in eval mode",
        ),
        (GOOD, epoch(GOOD), "✓ Correct"),
        (LEFT, epoch(LEFT, train_after=True), "✓ Correct"),
        (LEFT, epoch(LEFT, train_each=True), "✓ Correct"),
        (
            torch.no_grad()(STUB),
            epoch(torch.no_grad()(STUB), train_after=True),
            "✓ Corr",
        ),
        (
            validation(torch.inference_mode),
            epoch(validation(torch.inference_mode)),
            "✓ Correct",
        ),
        (with_helper, epoch(with_helper), "✓ Correct"),
        (LEFT, epoch(LEFT), "✗ Hint: 15 of 25 training steps run in eval mode"),
        (
            validation(),
            epoch(validation()),
            r"✗ Hint: 6 passes of the validation are recorded. eval\(\) does not stop",
        ),
        (
            validation(torch.no_grad, eval_mode=False),
            epoch(validation(torch.no_grad, eval_mode=False)),
            "✗ Hint: a pass of the validation runs in train mode",
        ),
        (GOOD, epoch(GOOD, learn=False), "✗ Hint: train_epoch must still train"),
        (GOOD, epoch(GOOD, every=5), "✗ Hint: train_epoch must still validate after"),
        (
            validation(torch.no_grad, scale=3),
            epoch(validation(torch.no_grad, scale=3)),
            "✗ Hint: validate must return the mean loss",
        ),
        (
            GOOD,
            lambda *args: epoch(GOOD)(*args) and None,
            "✗ Hint: train_epoch must still return the list",
        ),
        (at_once, epoch(at_once), "✓ Correct"),
        (
            listed,
            epoch(listed),
            "✗ Hint: validate must return .* one number, got a list",
        ),
        (items_only, epoch(items_only), r"✗ Hint: 6 passes .*; .item\(\) drops"),
        (frozen, epoch(frozen), "✗ Hint: nothing is recorded, since the weights are"),
        (never_undone, epoch(never_undone), "✗ Hint: training records nothing after"),
        (GOOD, torch.no_grad()(epoch(GOOD)), "✗ Hint: your code raised RuntimeError"),
    ],
)
def test_repair_tells_right_from_wrong(validate, train_epoch, text):
    assert re.match(text, repr(check.repair(validate, train_epoch)))
    assert torch.is_grad_enabled()


def test_repair_leaves_the_reader_s_random_numbers_alone():
    torch.manual_seed(3)
    check.repair(GOOD, epoch(GOOD))
    after = torch.rand(1)
    torch.manual_seed(3)
    assert after == torch.rand(1)


# --- 2. and 3. the modes -------------------------------------------------------------
RIGHT = ["DMK", "DM", "DM", "DK", "D", "D"]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (..., "○ Not yet"),
        (None, "○ Not yet"),
        (RIGHT, "✓ Correct: two independent switches"),
        (["kmd", "md", "DM", "KD", "d", "D"], "✓ Correct"),
        (["D M K", "D, M", " DM", "D K", "D ", "D"], "✓ Correct"),
        (["DMK", ..., *RIGHT[2:]], "○ Not yet: train, no_grad: put a string"),
        (
            [*RIGHT[:3], "K", "", ""],
            "✗ Hint: eval, recorded, units drop: read the call",
        ),
        (
            ["DK", *RIGHT[1:]],
            "✗ Hint: train, recorded, mean moves: .* requires_grad",
        ),
        (
            ["DM", *RIGHT[1:]],
            "✗ Hint: train, recorded, bytes kept: .* The head does",
        ),
        (
            ["DMX", *RIGHT[1:]],
            "✗ Hint: train, recorded: write .* of D, M, K, got 'DMX'",
        ),
        ([3, *RIGHT[1:]], "✗ Hint: train, recorded: write .* got 3"),
        (RIGHT[:5], "✗ Hint: write a list of 6 strings"),
        ("DMK", "✗ Hint: write a list of 6 strings"),
    ],
)
def test_cells_tells_right_from_wrong(answer, text):
    assert re.match(text, repr(check.cells(answer)))


class Frozen(nn.Module):
    """Exercise 1's model."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU())
        self.body.requires_grad_(False)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        self.dropped = nn.functional.dropout(self.body(x) + 1, 0.5)
        return self.head(self.dropped)


def test_cells_answer_is_what_the_model_does():
    contexts = {"recorded": torch.enable_grad, "no_grad": torch.no_grad}
    contexts["inference_mode"] = torch.inference_mode
    for row, letters in check.cells.answer.items():
        mode, grad = row.split(", ")
        model = Frozen().train(mode == "train")
        before = model.body[1].running_mean.clone()
        with contexts[grad](), kept_for_backward(model) as kept_bytes:
            output = model(torch.rand(8, 64))
        found = "D" * bool((model.dropped == 0).any())
        found += "M" * (not torch.equal(before, model.body[1].running_mean))
        found += "K" * (kept_bytes() > 0)
        assert (row, found) == (row, letters)
        assert output.requires_grad == (grad == "recorded")


def setting(*kinds, train=True):
    def set_modes(model):
        model.train(train)
        for module in model.modules():
            if isinstance(module, kinds):
                module.eval()
        return model

    return set_modes


def eval_if_norm(module):
    if isinstance(module, check.NORMS):
        module.eval()


def top_level_only(model):
    model.train()
    for child in model:
        if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
            child.eval()
    return model


def by_children(model):
    """Set the modes from layer to layer; a model that is one norm has no children."""

    def freeze(parent):
        for child in parent.children():
            child.eval() if isinstance(child, check.NORMS) else freeze(child)

    freeze(model.train())
    return model


def changed_after(change):
    def set_modes(model):
        setting(nn.BatchNorm1d, nn.BatchNorm2d)(model)
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                change(module)
        return model

    return set_modes


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (setting(nn.BatchNorm1d, nn.BatchNorm2d), "✓ Correct: dropout drops"),
        (lambda model: None, "○ Not yet"),
        (
            lambda model: setting(*check.NORMS)(model) and None,
            "✗ Hint: .* return the model",
        ),
        (lambda model: model.train() and None, "✗ Hint: .* return the model"),
        (lambda model: model.eval() and None, "✗ Hint: .* return the model"),
        (setting(), r"✗ Hint: BatchNorm2d at '0.1' is in train\(\) mode"),
        (by_children, r"✗ Hint: the model itself \(BatchNorm2d\) is in train\(\)"),
        (lambda model: setting()(model).apply(eval_if_norm), "✓ Correct"),
        (top_level_only, r"✗ Hint: BatchNorm2d at '0.1' is in train\(\)"),
        (setting(nn.BatchNorm2d), r"✗ Hint: BatchNorm1d at '1.2' is in train\(\)"),
        (
            setting(nn.BatchNorm1d, nn.BatchNorm2d, train=False),
            r"✗ Hint: the model itself \(Sequential\) is in eval\(\) mode",
        ),
        (
            setting(nn.BatchNorm1d, nn.BatchNorm2d, nn.Dropout),
            r"✗ Hint: Dropout at '1.3' is in eval\(\)",
        ),
        (lambda model: "done", "✗ Hint: return the model that you got, got str"),
        (
            changed_after(lambda m: m.requires_grad_(False)),
            "✗ Hint: leave requires_grad",
        ),
        (
            changed_after(lambda m: setattr(m, "track_running_stats", False)),
            "✗ Hint: keep track_running_stats",
        ),
        (
            changed_after(lambda m: m.reset_running_stats() or m.running_mean.add_(1)),
            "✗ Hint: the statistics are not the ones",
        ),
        (lambda model, x: model, "✗ Hint: <lambda> raised TypeError"),
        (nn.Linear(1, 1), "✗ Hint: your function raised"),
        ("train", "✗ Hint: pass the function itself, got str"),
    ],
)
def test_frozen_norms_tells_right_from_wrong(attempt, text):
    assert re.match(text, repr(check.train_with_frozen_norms(attempt)))


# --- the widget ----------------------------------------------------------------------

TRAIN = """(() => {
  const data = m.digits(a.data), net = m.start(a.seed), steps = [];
  const seen = () => [
    net.first.weight, net.first.bias, net.norm.weight, net.norm.bias,
    net.last.weight, net.last.bias, net.norm.mean, net.norm.variance,
  ].map((part) => [...part]);
  const start = seen();
  for (let i = 0; i < 50; i++) {
    const { x, y, mask } = m.draw(net, data);
    const loss = m.learn(net, x, y, mask);
    steps.push({ x: [...x], y, mask: [...mask], loss, seen: seen() });
  }
  return { start, steps };
})()"""


class Masked(nn.Module):
    """Dropout by a mask that is given."""

    def forward(self, x):
        return x * self.mask if self.training else x


def torch_s_network(numbers):
    layers = nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), Masked()
    net = nn.Sequential(*layers, nn.Linear(32, 10)).double()
    for part, values in zip(parts(net), numbers, strict=True):
        part.data.copy_(torch.tensor(values, dtype=F64).reshape(part.shape))
    return net


def parts(net):
    return [*net.parameters(), net[1].running_mean, net[1].running_var]


@pytest.mark.parametrize("seed", [0, 1])
def test_50_live_steps_are_torch_s(front_end, seed):
    ours = front_end(ModeExplorer, TRAIN, {"data": ModeExplorer().data, "seed": seed})
    net = torch_s_network(ours["start"])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    for step in ours["steps"]:
        net[3].mask = torch.tensor(step["mask"], dtype=F64).reshape(-1, 32)
        x = torch.tensor(step["x"], dtype=F64).reshape(-1, 64)
        loss = F.cross_entropy(net(x), torch.tensor(step["y"]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert step["loss"] == pytest.approx(loss.item(), abs=1e-6)
        for mine, theirs in zip(step["seen"], parts(net), strict=True):
            flat = theirs.detach().flatten().numpy()
            np.testing.assert_allclose(mine, flat, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_network_in_the_page_is_tested_as_torch_s(front_end, mode):
    tested = """(() => {
      const data = m.digits(a.data), net = m.start(0);
      for (let i = 0; i < 30; i++) {
        const { x, y, mask } = m.draw(net, data);
        m.learn(net, x, y, mask);
      }
      const { x } = m.draw(net, data), mask = m.drop(net.random, 32);
      const parts = [
        net.first.weight, net.first.bias, net.norm.weight, net.norm.bias,
        net.last.weight, net.last.bias, net.norm.mean, net.norm.variance,
      ].map((part) => [...part]);
      const logits = [...m.run(net, x, a.mode === "train" ? mask : null).logits];
      return { parts, x: [...x], mask: [...mask], logits };
    })()"""
    ours = front_end(ModeExplorer, tested, {"data": ModeExplorer().data, "mode": mode})
    net = torch_s_network(ours["parts"]).train(mode == "train")
    net[3].mask = torch.tensor(ours["mask"], dtype=F64).reshape(-1, 32)
    theirs = net(torch.tensor(ours["x"], dtype=F64).reshape(-1, 64)).detach()
    np.testing.assert_allclose(ours["logits"], theirs.flatten().numpy(), rtol=1e-9)


def test_a_fifth_of_the_units_drops(front_end):
    mask = front_end(ModeExplorer, "[...m.drop(m.generator(a), 500)]", 0)
    assert set(mask) == {0, 1.25}
    assert np.mean(np.equal(mask, 0)) == pytest.approx(0.2, abs=0.02)


FOUND = """(() => {
  const data = m.digits(a), net = m.start(0);
  for (let i = 0; i < 150; i++) {
    const { x, y, mask } = m.draw(net, data);
    m.learn(net, x, y, mask);
  }
  const before = [...net.norm.mean];
  const cells = ["train", "eval"].map((mode) => [2, 8, 64].map((size) => {
    const dots = m.strip(net, data, mode, size, 1);
    return [m.score(net, data, mode, size, 1), Math.max(...dots) - Math.min(...dots)];
  }));
  return { cells, same: before.every((v, i) => v === net.norm.mean[i]) };
})()"""


def test_what_the_chapter_says_of_the_explorer_holds(front_end):
    found = front_end(ModeExplorer, FOUND, ModeExplorer().data)
    train, evaluated = np.array(found["cells"])
    assert (np.abs(train[:, 0] - [0.5, 0.8, 0.9]) < [0.06, 0.06, 0.05]).all()
    assert (train[:, 1] > 0.05).all()  # train(): the dots differ, with 64 too
    assert len(set(evaluated[:, 0])) == 1
    assert (evaluated[:, 1] == 0).all()
    assert found["same"]


def test_data_of_the_explorer_are_light():
    text = json.dumps(ModeExplorer().data)
    assert len(base64.b64encode(gzip.compress(text.encode()))) <= 30_000


def test_explorer_makes_60_steps_a_second(front_end):
    """By the median step, since the machine may be busy."""
    timed = """(() => {
      const data = m.digits(a), net = m.start(0);
      const times = Array.from({ length: 51 }, () => {
        const begin = performance.now();
        const { x, y, mask } = m.draw(net, data);
        m.learn(net, x, y, mask);
        return performance.now() - begin;
      });
      return times.sort((p, q) => p - q)[25];
    })()"""
    assert front_end(ModeExplorer, timed, ModeExplorer().data) < 1000 / 60


def test_explorer_tests_what_is_trained_and_guessed_and_keeps_all_six(mount):
    page = mount(ModeExplorer(), width=400)
    test = page.get_by_role("button", name="Test", exact=True)
    guess = page.get_by_label("Right, in % (your guess)")
    assert set(page.locator("tbody td").all_inner_texts()) == {"–"}
    assert page.locator(".mp-dot").count() == 0
    assert guess.input_value() == ""
    height = page.locator(".mp").bounding_box()["height"]
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.body.innerText.includes('150: now guess')")
    assert test.is_disabled()
    guess.fill("101")
    assert test.is_disabled()
    guess.fill("70")
    assert page.evaluate("window.state.guess") == 70
    for mode in ("train()", "eval()"):
        page.get_by_role("radio", name=mode).check()
        for size in ("2", "8", "64"):
            page.get_by_role("radio", name=size, exact=True).check()
            test.click()
    assert page.locator(".mp-dot").count() == 72
    signs = [name.inner_text()[0] for name in page.locator("tbody th").all()]
    assert signs == ["○", "●"] * 3  # as the dots: hollow, filled
    left = [float(dot.get_attribute("cx")) for dot in page.locator(".mp-dot").all()]
    assert min(b - a for a, b in pairwise(sorted(left))) > 3  # equal ones show, too
    assert page.locator(".mp").bounding_box()["height"] == height
    rows = [
        row.locator("td").all_inner_texts() for row in page.locator("tbody tr").all()
    ]
    assert [row[0] for row in rows] == ["70%"] * 6
    right = [int(row[1].rstrip("%")) for row in rows]
    assert right[0] < 65 < right[2] < right[4]  # in train(), as the batches grow
    assert len(set(right[1::2])) == 1
    assert all(row[2].startswith("always") for row in rows[1::2])
    assert not any(row[2].startswith("always") for row in rows[::2])
    page.get_by_role("button", name="Reset").click()
    assert page.locator(".mp-dot").count() == 0
    assert test.is_disabled()  # it is not trained


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"mode": "test"}, TraitError, "mode"),
        ({"size": 3}, TraitError, "size"),
        ({"guess": 101}, TraitError, r"guess.* from 0 to 100, not the \w+ 101"),
        ({"data": {}}, TraitError, "data cannot be set"),
        (
            {"model": 1},
            TypeError,
            "no setting 'model'. It has: data, guess, mode, seed",
        ),
    ],
)
def test_bad_setting_of_the_explorer_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        ModeExplorer(**settings)


# --- the table of exercise 2 ---------------------------------------------------------

TICKS = [[letter in row for letter in "DMK"] for row in RIGHT]


def test_answer_table_gives_the_verdict_of_the_check(front_end):
    box = check.cells(...)
    assert isinstance(box, AnswerTable)
    names = ("rows", "columns", "answer", "praise", "hints")
    spec = {name: getattr(box, name) for name in names}
    assert box.answer == TICKS
    attempts = [TICKS, [[False] * 3] * 6, [[True] * 3] * 6]
    for i in range(6):
        for j in range(3):
            attempt = [list(row) for row in TICKS]
            attempt[i][j] = not attempt[i][j]
            attempts.append(attempt)
    argument = [attempts, spec]
    ours = front_end(AnswerTable, "a[0].map((t) => m.verdict(t, a[1]))", argument)
    letters = [
        ["".join(c for c, on in zip("DMK", row, strict=True) if on) for row in attempt]
        for attempt in attempts
    ]
    assert ours == [list(check.cells(answer)) for answer in letters]


def test_answer_table_is_ticked_by_name(mount):
    page = mount(check.cells(...), width=400)
    page.get_by_role("button", name="Check").click()
    assert "✗ Hint: train, recorded, units drop" in page.inner_text("[aria-live]")
    for row, letters in check.cells.answer.items():
        for letter, column in check.cells.columns.items():
            page.get_by_label(f"{row}: {column}").set_checked(letter in letters)
    page.get_by_role("button", name="Check").press("Enter")
    assert "✓ Correct" in page.inner_text("[aria-live]")
