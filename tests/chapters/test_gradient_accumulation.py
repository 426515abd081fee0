"""The chapter on gradient accumulation: its instruments, checks, and widgets against torch."""

import base64
import gzip
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.accumulation import grouped
from helpers.chapters.gradient_accumulation import (
    AccumulationCut,
    AccumulationTraining,
    check,
    stage,
)
from helpers.notebook import starts

# --- instruments ---------------------------------------------------------------------


def tiny():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()


def samples(count):
    return torch.randn(count, 3).double(), torch.randint(0, 3, (count,))


@pytest.mark.parametrize("frozen", [False, True])
def test_loss_gradient_is_that_of_backward_and_touches_nothing(frozen):
    model, (x, y) = tiny(), samples(5)
    model[0].requires_grad_(not frozen)
    found = stage.loss_gradient(F.cross_entropy(model(x), y), model)
    assert all(p.grad is None for p in model.parameters())
    F.cross_entropy(model(x), y).backward()
    assert torch.equal(found, stage.gradient(model))


def test_a_parameter_that_no_loss_has_reached_counts_as_zeros():
    model, (x, y) = tiny(), samples(5)
    model.append(nn.Linear(3, 1))  # nobody uses it
    found = stage.loss_gradient(F.cross_entropy(model[:3](x), y), model)
    F.cross_entropy(model[:3](x), y).backward()
    assert torch.equal(found, stage.gradient(model))
    assert not found[-4:].any()


def test_factors_are_found_again():
    parts = [torch.randn(27).double() for _ in range(4)]
    factors = torch.tensor([0.25, 0, -3, 7.5], dtype=torch.float64)
    total = sum(f * part for f, part in zip(factors, parts, strict=True))
    assert (stage.find_factors(total, parts) - factors).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("relative", "text"),
    [
        (1e-13, "< 1e-12"),
        (5e-4, "< 0.1%"),
        (5e-3, "< 1%"),
        (0.25, "25%"),
        (0.875 - 1e-15, "88%"),
        (4, "400%"),
    ],
)
def test_how_far_off_is_given_in_per_cent(relative, text):
    wanted = torch.tensor([0.0, 2.0], dtype=torch.float64)
    assert stage.how_far_off(wanted * (1 + relative), wanted) == text


def test_each_of_the_twenty_networks_learns_as_it_would_alone():
    networks = starts.TwentyNetworks()
    x, y = torch.rand(7, 64).double(), torch.randint(0, 10, (7,))
    starts.mean_losses(networks, x, y).sum().backward()
    alone = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)).double()
    with torch.no_grad():
        alone[0].weight.copy_(networks.first_weight[3].T)
        alone[0].bias.copy_(networks.first_bias[3, 0])
        alone[2].weight.copy_(networks.second_weight[3].T)
        alone[2].bias.copy_(networks.second_bias[3, 0])
    loss = F.cross_entropy(alone(x), y)
    loss.backward()
    torch.testing.assert_close(starts.mean_losses(networks, x, y)[3], loss)
    torch.testing.assert_close(networks.first_weight.grad[3].T, alone[0].weight.grad)
    right = 100 * (alone(x).argmax(dim=1) == y).double().mean()
    assert starts.accuracies(networks, x, y)[3] == right


def test_clipped_sgd_clips_each_network_as_if_alone():
    gradients = torch.tensor([[3.0, 4.0], [0.3, 0.4]])  # of length 5 and 0.5
    weight, bias = (nn.Parameter(torch.zeros(2, *shape)) for shape in ((1, 2), (1,)))
    weight.grad, bias.grad = gradients[:, None].clone(), torch.zeros(2, 1)
    stage.ClippedSGD([weight, bias], lr=1.0).step()
    torch.testing.assert_close(
        weight.data[:, 0], -torch.tensor([[0.6, 0.8], [0.3, 0.4]])
    )
    assert torch.equal(bias.data, torch.zeros(2, 1))


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
        (1.0, "✗ Hint: that is the loss of the 90 tokens"),
        (0.9, "✗ Hint: 0.9 is too small"),
        (torch.tensor(2.0), "✗ Hint: 2 is too large"),
    ],
)
def test_loss_tells_right_from_wrong(answer, text):
    assert repr(check.loss(answer)).startswith(text)


def total(model, ids, labels):
    logits = model(ids).transpose(1, 2)
    return F.cross_entropy(logits, labels, reduction="sum")


def stub(model, optimizer, batches, k):
    """The broken code of the exercise."""
    for i, (ids, labels) in enumerate(batches):
        loss = F.cross_entropy(model(ids).transpose(1, 2), labels) / k
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if (i + 1) % k == 0:
            optimizer.step()
            optimizer.zero_grad()


def by_hand(model, optimizer, batches, k, share=True, clip=nn.utils.clip_grad_norm_):
    optimizer.zero_grad()
    for group in grouped(batches, k):
        count = sum((labels != -100).sum() for _, labels in group)
        factor = len(group) / k if share else 1
        for ids, labels in group:
            (factor * total(model, ids, labels) / count).backward()
        clip(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


def divides_the_gradient(model, optimizer, batches, k):
    optimizer.zero_grad()
    count = 0
    for i, (ids, labels) in enumerate(batches, 1):
        total(model, ids, labels).backward()
        count += (labels != -100).sum()
        if i % k == 0 or i == len(batches):
            for parameter in model.parameters():
                parameter.grad *= ((i - 1) % k + 1) / k / count
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            count = 0


def all_at_once(model, optimizer, batches, k):
    for start in range(0, len(batches), k):
        group = batches[start : start + k]
        ids, labels = (torch.cat(part) for part in zip(*group, strict=True))
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids).flatten(0, 1), labels.flatten())
        (loss * len(group) / k).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def one_backward(model, optimizer, batches, k):
    optimizer.zero_grad()
    for group in grouped(batches, k):
        count = sum((labels != -100).sum() for _, labels in group)
        loss = sum(total(model, ids, labels) for ids, labels in group) / count
        (loss * len(group) / k).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


def clipped_by_hand(parameters, most):
    parameters = list(parameters)
    norm = stage.as_vector(p.grad for p in parameters).norm()
    for parameter in parameters:
        parameter.grad /= max(norm, most)


def with_mistake(**change):
    """An epoch that ends with the weights of one mistake."""

    def epoch(model, *_):
        weights = check._weights_after(**change)
        nn.utils.vector_to_parameters(weights, model.parameters())

    return epoch


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (by_hand, "✓ Correct"),
        (divides_the_gradient, "✓ Correct"),
        (lambda *a: by_hand(*a, clip=clipped_by_hand), "✓ Correct"),
        (all_at_once, "✗ Hint: the weights are right, but the model got"),
        (one_backward, "✗ Hint: the weights are right, but there is one backward()"),
        (stub, "○ Not yet: the loop runs, and none"),
        (lambda *a: None, "○ Not yet: after the epoch the weights"),
        (lambda *a: by_hand(*a, share=False), "✗ Hint: the last group has one of two"),
        (lambda m, *a: m.head.bias.data.add_(1), "✗ Hint: the weights after the epoch"),
        (lambda m: 3, "✗ Hint: <lambda> raised TypeError"),
        *((with_mistake(**change), f"✗ Hint: {t}") for change, t in check.MISTAKES),
    ],
)
def test_train_epoch_tells_right_from_wrong(attempt, text):
    assert repr(check.train_epoch(attempt)).startswith(text)


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        (
            {"rest": "lost", "clip": "micro-batch", "stale": True},
            ["left over", "not yet"],
        ),
        ({"rule": "means by k", "rest": "lost"}, ["left over", "counts more where"]),
        (
            {"rule": "means by k", "clip": "micro-batch", "stale": True},
            ["old", "clipped"],
        ),
    ],
)
def test_half_repair_hears_what_is_left(change, texts):
    said = repr(check.train_epoch(with_mistake(**change)))
    assert all(text in said for text in texts)


def test_every_mistake_that_train_epoch_knows_gives_other_weights():
    found = [check._weights_after(**change) for change, _ in check.MISTAKES]
    found.append(check._weights_after())
    for i, a in enumerate(found):
        assert not any(torch.allclose(a, b, rtol=0, atol=0.003) for b in found[:i])


# --- the explorer --------------------------------------------------------------------


def pixels_of(data, name):
    x = torch.tensor([*map(float, data[f"{name}_pixels"].split())]).double()
    y = torch.tensor([*map(int, data[f"{name}_labels"].split())])
    return x.view(-1, 64) / 16, y


def dense(weight, bias):
    layer = nn.Linear(len(weight) // len(bias), len(bias)).double()
    with torch.no_grad():
        layer.weight.view(-1).copy_(torch.tensor(weight, dtype=torch.float64))
        layer.bias.copy_(torch.tensor(bias, dtype=torch.float64))
    return layer


def test_errors_of_the_explorer_are_those_of_backward(front_end):
    data = AccumulationCut().data
    start = "(() => { const l = m.linear(64, 10, m.generator(3));"
    weight, bias = front_end(
        AccumulationCut, f"{start} return [[...l.weight], [...l.bias]]; }})()", None
    )
    ours = front_end(AccumulationCut, "m.errors(m.digits(a), 3)", data)
    model = dense(weight, bias)
    x, y = pixels_of(data, "train")
    wanted = stage.loss_gradient(F.cross_entropy(model(x), y), model)
    for cut, found in enumerate(ours, 1):
        for error, rule in zip(found, (1, 0.5, None), strict=True):
            model.zero_grad()
            for a, b in zip(
                x.split([cut, 50 - cut]), y.split([cut, 50 - cut]), strict=True
            ):
                factor = len(b) / 50 if rule is None else rule
                (factor * F.cross_entropy(model(a), b)).backward()
            off = (stage.gradient(model) - wanted).norm() / wanted.norm()
            assert error == pytest.approx(off.item(), abs=1e-9)


def test_explorer_hides_its_curves_until_a_guess(mount, front_end):
    page = mount(AccumulationCut())
    assert page.locator("path.mp-curve").count() == 0
    assert "%" not in page.locator("table").inner_text()
    page.get_by_label("First micro-batch, as a number").fill("40")
    page.get_by_role("button", name="Lock my guess").click()
    assert page.locator("path.mp-curve").count() == 3
    key = page.locator(".mp-key.mp-extra")  # dashed and dotted, as its curve
    assert "gradient" in key.evaluate("e => getComputedStyle(e).backgroundImage")
    answer = front_end(
        AccumulationCut, "m.answer(m.errors(m.digits(a), 0))", AccumulationCut().data
    )
    assert f"It happens at {answer}." in page.locator("p").first.inner_text()
    page.get_by_label("First micro-batch, as a number").fill("45")
    assert "0.56 | 5.00" in page.locator("table").inner_text()  # nine times
    page.get_by_label("First micro-batch, as a number").fill("1")
    frame = page.locator("svg.mp-pick").bounding_box()
    dots = page.locator("svg.mp-pick circle").all()
    assert len(dots) >= 3
    for dot in dots:  # one of 451% is not above the plot
        assert dot.bounding_box()["y"] > frame["y"]
    page.get_by_role("button", name="Reset").click()
    assert page.locator("path.mp-curve").count() == 0


# --- the live training ---------------------------------------------------------------

TRAIN = """(() => {
  const data = m.digits(a.data);
  return m.RUNS.map((run) => {
    const layers = m.start(a.seed);
    const seen = () => [layers.map((l) => [[...l.weight], [...l.bias]]),
                        m.measure(layers, data.test).loss];
    const steps = [seen()];
    for (let i = 0; i < 50; i++) {
      m.step(layers, data.train, i, a.rate, run);
      steps.push(seen());
    }
    return steps;
  });
})()"""


@pytest.mark.parametrize(("seed", "rate"), [(0, 0.2), (1, 0.05), (2, 1.0)])
def test_50_live_steps_are_torch_s(front_end, seed, rate):
    data = AccumulationTraining().data
    (x, y), test = pixels_of(data, "train"), pixels_of(data, "test")
    settings = {"data": data, "seed": seed, "rate": rate}
    runs = front_end(AccumulationTraining, TRAIN, settings)
    for ours, (size, factor) in zip(
        runs, [(128, 1), (16, 1 / 8), (16, 1)], strict=True
    ):
        first, second = (dense(*layer) for layer in ours[0][0])
        model = nn.Sequential(first, nn.ReLU(), second)
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        for i, (layers, loss) in enumerate(ours):
            flat = np.concatenate(
                [np.array(v).ravel() for pair in layers for v in pair]
            )
            theirs = stage.as_vector(model.parameters()).numpy()
            np.testing.assert_allclose(flat, theirs, rtol=1e-6, atol=1e-6)
            with torch.no_grad():
                expected = F.cross_entropy(model(test[0]), test[1])
            np.testing.assert_allclose(loss, expected, rtol=1e-6, atol=1e-6)
            rows = torch.arange(128) + 128 * i % 512
            for part in rows.split(size):
                (factor * F.cross_entropy(model(x[part]), y[part])).backward()
            optimizer.step()
            optimizer.zero_grad()


def test_data_of_the_live_training_are_light():
    text = json.dumps(AccumulationTraining().data)
    assert len(base64.b64encode(gzip.compress(text.encode()))) <= 30_000


TIME = """(() => {
  const data = m.digits(a);
  const models = m.RUNS.map(() => m.start(0));
  return Array.from({ length: 50 }, (_, i) => {
    const from = performance.now();
    m.RUNS.forEach((run, j) => {
      m.step(models[j], data.train, i, 0.2, run);
      m.measure(models[j], data.test);
      m.apart(models[j], models[0]);
    });
    return performance.now() - from;
  });
})()"""


def test_live_training_makes_60_steps_a_second(front_end):
    """The three models together; the fastest step, since the machine may be busy."""
    milliseconds = front_end(AccumulationTraining, TIME, AccumulationTraining().data)
    assert min(milliseconds) < 1000 / 60


def test_live_training_shows_that_divided_micro_batches_are_the_whole_batch(mount):
    page = mount(AccumulationTraining(rate=0.5))
    page.get_by_role("button", name="One step").click()
    assert "Step 1 of 100" in page.locator(".mp").inner_text()
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.body.innerText.includes('Step 100 of 100')")
    rows = page.locator("tbody tr").all()
    cells = [row.locator("td").all_inner_texts() for row in rows]
    assert cells[0][:2] == cells[1][:2]
    assert cells[1][2] == "0"
    assert float(cells[2][2]) > 0.1
    page.get_by_role("button", name="Reset").click()
    assert "Step 0 of 100" in page.locator(".mp").inner_text()


ENDS = """[0, 2].map((run) => a.rates.map((rate) => {
  const [data, layers, losses] = [m.digits(a.data), m.start(0), []];
  for (let i = 0; i < 100; i++) {
    m.step(layers, data.train, i, rate, m.RUNS[run]);
    losses.push(m.measure(layers, data.test).loss);
  }
  return losses;
}))"""


def test_live_training_does_what_the_text_below_it_says(front_end):
    rates = [0.1, 0.15, 0.2, 0.5, 1]
    arguments = {"data": AccumulationTraining().data, "rates": rates}
    at_once, undivided = front_end(AccumulationTraining, ENDS, arguments)
    last = [losses[-1] for losses in undivided]
    assert max(last[:2]) < 0.3
    assert min(last[2:]) > 1.5
    assert all(u < a[-1] for u, a in zip(last[:2], at_once[:2], strict=True))
    ends = [losses[-1] for losses in at_once]
    assert ends == sorted(ends, reverse=True)


FIRST = """a.seeds.map((seed) => m.RUNS.map((run) => {
  const [data, layers] = [m.digits(a.data), m.start(seed)];
  m.step(layers, data.train, 0, 0.5, run);
  return m.measure(layers, data.test).loss;
}))"""


def test_one_live_step_leaves_the_losses_close_together_from_any_seed(front_end):
    arguments = {"data": AccumulationTraining().data, "seeds": [*range(10)]}
    for losses in front_end(AccumulationTraining, FIRST, arguments):
        assert max(losses) - min(losses) < 0.15
