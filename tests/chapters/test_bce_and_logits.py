"""The chapter on binary cross-entropy: its checks, and its widgets against torch."""

import base64
import gzip
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.chapters.bce_and_logits import BceExplorer, LogitsTraining
from helpers.chapters.bce_and_logits import check as bce

# --- the exercises -------------------------------------------------------------------


def net(forward):
    """Return a class of models, from what its ``forward`` makes of the last layer's output."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(30, 1)

        def forward(self, x):
            return forward(self.fc(x))

    return Net


def squeezed(out):
    return out.squeeze(1)


def ends_in_sigmoid(out):
    return out.sigmoid().squeeze(1)


def on_logits(model, x, y):
    return nn.BCEWithLogitsLoss()(model(x).reshape(-1), y.float())


def on_probabilities(model, x, y):
    return nn.BCELoss()(model(x), y.float())


def positive(model, x):
    return model(x) > 0


def rounded(model, x):
    return model(x).round()


REPAIRS = [
    (ends_in_sigmoid, on_probabilities, rounded, "○ Not yet: sure of 32 mistakes"),
    (ends_in_sigmoid, on_logits, rounded, "✗ Hint: the loss takes logits now, but"),
    (
        lambda out: out.sigmoid().clamp(1e-6, 1 - 1e-6).squeeze(1),
        on_logits,
        positive,
        "✗ Hint: the loss takes logits now, but",
    ),
    (squeezed, on_probabilities, positive, "✗ Hint: your code raised RuntimeError"),
    (
        squeezed,
        on_logits,
        rounded,
        "✗ Hint: the loss is right, but predict says -1 for",
    ),
    (squeezed, on_logits, lambda model, x: model(x) > 0.5, "✗ Hint: the loss is right"),
    (squeezed, on_logits, lambda model, x: 1, "✗ Hint: predict must return a tensor"),
    (
        squeezed,
        lambda model, x, y: nn.BCELoss()(model(x).sigmoid(), y.float()),
        positive,
        "✗ Hint: sure mistakes send no gradient. Is a sigmoid left in loss_of?",
    ),
    (
        squeezed,
        lambda model, x, y: nn.BCEWithLogitsLoss()(model(x).sigmoid(), y.float()),
        positive,
        "✗ Hint: sure mistakes send no gradient. Is a sigmoid left in loss_of?",
    ),
    (
        squeezed,
        lambda model, x, y: F.softplus(model(x)).mean(),
        positive,
        "✗ Hint: loss_of is not the mean binary cross-entropy",
    ),
    (
        lambda out: out.clamp(-15, 15).squeeze(1),
        on_logits,
        positive,
        "✗ Hint: the loss is right, but the model sends no gradient of it",
    ),
    (
        squeezed,
        lambda model, x, y: nn.BCEWithLogitsLoss()(model(x), y),
        positive,
        "✗ Hint: your code raised RuntimeError: result type Float",
    ),
    (
        squeezed,
        lambda model, x, y: F.binary_cross_entropy_with_logits(
            model(x), y.float(), reduction="sum"
        ),
        positive,
        "✗ Hint: that is the sum of 32 terms",
    ),
    (
        squeezed,
        lambda model, x, y: nn.L1Loss()(model(x), y.float()),
        positive,
        "✗ Hint: right for sure mistakes, but for logits near 0",
    ),
    (
        squeezed,
        lambda model, x, y: F.relu(-(2 * y - 1) * model(x)).mean(),
        positive,
        "✗ Hint: right for sure mistakes, but for logits near 0",
    ),
    (
        lambda out: out.relu().squeeze(1),
        on_logits,
        positive,
        "✗ Hint: no output is below 0",
    ),
    (
        lambda out: F.logsigmoid(out).squeeze(1),
        on_logits,
        positive,
        "✗ Hint: no output is above 0",
    ),
    (lambda out: out.expand(-1, 2), on_logits, positive, "✗ Hint: keep one output"),
    (squeezed, on_logits, positive, "✓ Correct"),
    (lambda out: out, on_logits, positive, "✓ Correct"),
    (squeezed, on_logits, lambda model, x: model(x).sigmoid().round(), "✓ Correct"),
    (squeezed, on_logits, lambda model, x: (model(x) > 0).long(), "✓ Correct"),
    (
        squeezed,
        lambda model, x, y: (F.softplus(model(x)) - model(x) * y).mean(),
        positive,
        "✓ Correct",
    ),
    (
        squeezed,
        lambda model, x, y: F.binary_cross_entropy_with_logits(model(x), y.double()),
        positive,
        "✓ Correct",
    ),
]


@pytest.mark.parametrize(("forward", "loss_of", "predict", "text"), REPAIRS)
def test_repair_tells_right_from_wrong(forward, loss_of, predict, text):
    assert repr(bce.repair(net(forward), loss_of, predict)).startswith(text)


def test_repair_leaves_the_reader_s_random_numbers_alone():
    torch.manual_seed(3)
    bce.repair(net(squeezed), on_logits, positive)
    after = torch.rand(1)
    torch.manual_seed(3)
    assert after == torch.rand(1)


def with_abs(x, y):
    return x.clamp(min=0) - x * y + torch.log1p(torch.exp(-x.abs()))


def stable(x, y):
    return torch.logaddexp(torch.zeros_like(x), x) - x * y


def of_signs(x, y):  # right for targets of 0 and 1 only
    return F.softplus(x * (1 - 2 * y))


STABLE_BCE = [
    (
        of_signs,
        "✗ Hint: at logit 2, target 0.25 the term is 1.6269, got 1.3133. A target may lie",
    ),
    (stable, "✓ Correct"),
    (lambda x, y: F.softplus(x) - x * y, "✓ Correct"),
    (lambda x, y: -y * F.logsigmoid(x) - (1 - y) * F.logsigmoid(-x), "✓ Correct"),
    (
        lambda x, y: (
            torch.maximum(x, torch.zeros_like(x))
            - x * y
            + torch.log1p(torch.exp(-x.abs()))
        ),
        "✓ Correct",
    ),
    (
        with_abs,
        "✗ Hint: all values are right, but at logit 0, target 1 the gradient is -0.5",
    ),
    (
        lambda x, y: F.relu(x) - x * y + torch.log1p(torch.exp(-x.abs())),
        "✗ Hint: all values are right, but at logit 0, target 1 the gradient is -0.5",
    ),
    (
        lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="none"),
        "✗ Hint: that is PyTorch's own loss",
    ),
    (
        lambda x, y: nn.BCEWithLogitsLoss(reduction="none")(x, y),
        "✗ Hint: that is PyTorch's own loss",
    ),
    (lambda x, y: stable(x, y).mean(), "✗ Hint: return shape (8,), got ()"),
    (lambda x, y: stable(x, 1 - y), "✗ Hint: at logit -3, target 0 the term is 0.0486"),
    (
        lambda x, y: x - x * y + torch.log1p(torch.exp(-x)),
        "✗ Hint: right for small logits, but at logit -200, target 1 the term is 200, got "
        "inf: exp of a large number overflows",
    ),
    (
        lambda x, y: -(y * x.sigmoid().log() + (1 - y) * (1 - x.sigmoid()).log()),
        "✗ Hint: right for small logits, but at logit -200, target 1 the term is 200, got "
        "inf: a probability has become 0 or 1",
    ),
    (
        lambda x, y: torch.where(x > 20, x, torch.log1p(torch.exp(x))) - x * y,
        "✗ Hint: the values are right, but at logit 200, target 0 the gradient is 1, got nan",
    ),
    (lambda x, y: torch.log1p(torch.exp(x)) - x * y, "✗ Hint: right for small logits"),
    (
        lambda x, y: F.binary_cross_entropy(x.sigmoid(), y, reduction="none"),
        "✗ Hint: right for small logits, but at logit -200, target 1 the term is 200, got "
        "100: a probability has become 0 or 1",
    ),
    (
        lambda x, y: F.binary_cross_entropy(
            x.sigmoid().clamp(1e-7, 1 - 1e-7), y, reduction="none"
        ),
        "✗ Hint: right for small logits, but at logit -200, target 1 the term is 200, got "
        "16.1181: a probability has become 0 or 1",
    ),
    (lambda x, y: stable(x, y).detach(), "✗ Hint: the result has no gradient"),
    (
        lambda x, y: stable(x.double(), y),
        "✗ Hint: keep the input's dtype torch.float32",
    ),
    (lambda x, y: stable(x.detach(), y) + 0 * x, "✗ Hint: the values are right, but"),
    (lambda x, y: stable(x, y).tolist(), "✗ Hint: return a tensor, got list"),
]


@pytest.mark.parametrize(("attempt", "text"), STABLE_BCE)
def test_stable_bce_tells_right_from_wrong(attempt, text):
    attempt.__name__ = "stable_bce"
    assert repr(bce.stable_bce(attempt)).startswith(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0695, "✓ Correct"),
        (0.07, "✓ Correct"),
        (0.881, "✗ Hint: that is sigmoid(2), with the weight still in it"),
        (0.0089, "✗ Hint: divide the odds"),
        (0.9986, "✗ Hint: take the weight out"),
        (6.95, "✗ Hint: that is in per cent"),
        (-2.595, "✗ Hint: that is the logit"),
        (0.0747, "✗ Hint: those are the odds"),
        (0.5, "✗ Hint: 0.5 is too large"),
    ],
)
def test_unweighted_tells_right_from_wrong(value, text):
    assert repr(bce.unweighted(value)).startswith(text)


def test_unweighted_praises_with_the_number_that_the_solution_prints():
    assert f"{bce.unweighted.answer:.4f}." in repr(bce.unweighted(0.0695))


# --- the widgets ---------------------------------------------------------------------


def sigmoid_bce(logits, targets, reduction="none"):
    return F.binary_cross_entropy(logits.sigmoid(), targets, reduction=reduction)


def with_logits(logits, targets, reduction="none"):
    return F.binary_cross_entropy_with_logits(logits, targets, reduction=reduction)


LOSSES = [sigmoid_bce, with_logits]  # in the order of PAIRS in losses.js


def random_logits(count=2000, span=100):
    generator = torch.Generator().manual_seed(0)
    logits = (torch.rand(count, generator=generator) - 0.5) * 2 * span
    targets = torch.randint(0, 2, (count,), generator=generator).float()
    return logits.requires_grad_(), targets


@pytest.mark.parametrize("span", [5, 20, 100])
@pytest.mark.parametrize("pair", [0, 1])
def test_loss_and_gradient_in_the_page_are_torch_s(front_end, pair, span):
    logits, targets = random_logits(span=span)
    terms = LOSSES[pair](logits, targets)
    terms.sum().backward()
    cases = torch.stack([logits.detach().double(), targets.double()], dim=1).tolist()
    both = f"[m.PAIRS[{pair}].loss(x, y), m.PAIRS[{pair}].gradient(x, y)]"
    ours = front_end(BceExplorer, f"a.map(([x, y]) => {both})", cases)
    theirs = torch.stack([terms.detach(), logits.grad], dim=1).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_sigmoid_of_the_page_is_1_where_torch_s_is(front_end):
    near = torch.linspace(16.6, 16.7, 1001)
    ours = front_end(BceExplorer, "a.map((x) => m.sigmoid(x) === 1)", near.tolist())
    assert ours == (torch.sigmoid(near) == 1).tolist()


@pytest.mark.parametrize("target", [0, 1])
def test_half_of_torch_s_gradient_is_gone_at_the_answer_of_the_explorer(
    front_end, target
):
    answer = front_end(BceExplorer, "m.cliff(a)", target)
    away = 0.01 if target == 0 else -0.01
    logits = torch.tensor([answer - away, answer + away], requires_grad=True)
    sigmoid_bce(logits, torch.full((2,), float(target))).sum().backward()
    before, after = logits.grad.abs().tolist()
    assert after < 0.5 < before


TRAIN = """(() => {
  const data = m.tumours(a.data);
  return m.PAIRS.map((pair) => {
    const layer = m.start(a.seed, a.bias);
    const seen = () => [...layer.weight, ...layer.bias, m.measure(layer, data, pair).loss];
    const steps = [seen()];
    for (let i = 0; i < 50; i++) { m.train(layer, data, pair); steps.push(seen()); }
    return steps;
  });
})()"""


@pytest.mark.parametrize(("seed", "bias"), [(0, 0), (1, 20), (2, -30), (3, 12)])
def test_50_live_steps_are_torch_s(front_end, seed, bias):
    data = LogitsTraining().data
    x, y = (torch.tensor([*map(float, data[k].split())]) for k in ("tenths", "labels"))
    x = x.double().reshape(-1, 10) / 10
    settings = {"data": data, "seed": seed, "bias": bias}
    for ours, loss_fn in zip(
        front_end(LogitsTraining, TRAIN, settings), LOSSES, strict=True
    ):
        layer = nn.Linear(10, 1, dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([ours[0][:10]]))
            layer.bias.copy_(torch.tensor(ours[0][10:11]))
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
        for step in ours:
            loss = loss_fn(layer(x).squeeze(1).float(), y).double().mean()
            theirs = [*layer.weight[0].tolist(), layer.bias.item(), loss.item()]
            np.testing.assert_allclose(step, theirs, rtol=1e-6, atol=1e-6)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def test_layer_in_the_page_starts_as_torch_s(front_end):
    start = "(() => { const l = m.linear(25, 40, m.generator(a)); return [...l.weight]; })()"
    first, second = (front_end(LogitsTraining, start, seed) for seed in (0, 1))
    bound = nn.Linear(25, 40).weight.abs().max().item()
    assert max(map(abs, first)) == pytest.approx(bound, rel=0.01)
    assert abs(np.mean(first)) < 0.01
    assert first != second


def test_dense_layer_of_several_outputs_is_torch_s(front_end):
    """What other chapters train with: this one has a single output."""
    layer, x = nn.Linear(3, 2, dtype=torch.float64), torch.randn(5, 3).double()
    slopes = torch.randn(5, 2).double()
    settings = {
        "weight": layer.weight.flatten().tolist(),
        "bias": layer.bias.tolist(),
        "x": x.flatten().tolist(),
        "slopes": slopes.flatten().tolist(),
    }
    step = """(() => {
      const layer = { inputs: 3, outputs: 2, weight: a.weight, bias: a.bias };
      const out = m.forward(layer, a.x);
      m.descend(layer, m.backward(layer, a.x, a.slopes), 0.1);
      return [...out, ...layer.weight, ...layer.bias];
    })()"""
    ours = front_end(LogitsTraining, step, settings)
    out = layer(x)
    out.backward(slopes)
    torch.optim.SGD(layer.parameters(), lr=0.1).step()
    theirs = torch.cat([out.flatten(), layer.weight.flatten(), layer.bias]).detach()
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-12)


def test_data_of_the_live_training_are_light():
    text = json.dumps(LogitsTraining().data)
    assert len(base64.b64encode(gzip.compress(text.encode()))) <= 30_000


def test_live_training_shows_one_stuck_and_one_recovering(mount):
    page = mount(LogitsTraining(bias=20))
    rows = page.locator("tbody tr")
    assert "Step 0 of 200" in page.locator(".mp").inner_text()
    page.get_by_role("button", name="One step").click()
    assert "Step 1 of 200" in page.locator(".mp").inner_text()
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.body.innerText.includes('Step 200 of 200')")
    assert page.get_by_role("button", name="Play").is_visible()
    cells = [row.locator("td").all_inner_texts() for row in rows.all()]
    stuck, recovered = zip(*cells, strict=True)
    assert stuck == ("37.32", "37.32", "63%", "159")
    assert recovered[-1] == "0"
    assert int(recovered[-2].rstrip("%")) >= 90
    page.get_by_role("button", name="Reset").click()
    assert "Step 0 of 200" in page.locator(".mp").inner_text()


@pytest.mark.parametrize(("bias", "ticks"), [(20, "0 20 40"), (-20, "0 7 14")])
def test_loss_axis_of_the_live_training_has_even_ticks(mount, bias, ticks):
    page = mount(LogitsTraining(bias=bias))
    texts = page.locator("svg text").all_text_contents()
    assert ticks in " ".join(texts)


def test_live_training_moves_only_while_it_plays(mount):
    page = mount(LogitsTraining())
    text = page.locator(".mp").inner_text()
    page.wait_for_timeout(200)
    assert page.locator(".mp").inner_text() == text
    page.get_by_role("button", name="Play").click()
    page.wait_for_timeout(200)
    page.get_by_role("button", name="Pause").click()
    paused = page.locator(".mp").inner_text()
    assert "Step 0 of" not in paused
    page.wait_for_timeout(200)
    assert page.locator(".mp").inner_text() == paused
    page.get_by_label("Seed").fill("7")
    assert "Step 0 of 200" in page.locator(".mp").inner_text()
    assert page.evaluate("window.state.seed") == 7


def test_live_training_makes_60_steps_a_second(front_end):
    """The two models together, as the page trains and measures them."""
    timed = TRAIN.replace("(() => {", "(() => { const t = performance.now();", 1)
    timed = timed.replace("return m.PAIRS.map", "m.PAIRS.map").replace(
        "})()", "; return (performance.now() - t) / 50; })()"
    )
    settings = {"data": LogitsTraining().data, "seed": 0, "bias": 20}
    assert front_end(LogitsTraining, timed, settings) < 1000 / 60
