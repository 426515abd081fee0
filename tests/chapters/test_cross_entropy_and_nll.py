"""The chapter on cross-entropy: its checks, and its widget against torch."""

import base64
import gzip
import json
import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.chapters.cross_entropy_and_nll import SoftmaxTwice
from helpers.chapters.cross_entropy_and_nll import check as nll

# --- the exercises -------------------------------------------------------------------


def net(end):
    """Return a class of models, from what its ``forward`` makes of ten logits."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(64, 10)

        def forward(self, x):
            return end(self.fc(x))

    return Net


def as_it_is(logits):
    return logits


def ends_in_softmax(logits):
    return logits.softmax(dim=1)


def with_classes(model, x, y):
    return nn.CrossEntropyLoss()(model(x), y.squeeze(1).long())


def unchanged(model, x, y):
    return nn.CrossEntropyLoss()(model(x), y)


def read(model, x):
    return model(x).softmax(dim=1).max(dim=1).values


def largest(model, x):
    return model(x).max(dim=1).values


REPAIRS = [
    (
        ends_in_softmax,
        unchanged,
        largest,
        "○ Not yet: all outputs lie from 0 to 1, and each row has the sum 1:",
    ),
    (ends_in_softmax, with_classes, largest, "○ Not yet: all outputs"),
    (
        torch.sigmoid,
        with_classes,
        largest,
        "○ Not yet: all outputs lie from 0 to 1, and each row has a sum of",
    ),
    (torch.relu, with_classes, read, "✗ Hint: no output is below 0"),
    (
        as_it_is,
        unchanged,
        read,
        "✗ Hint: loss_of raised “0D or 1D target tensor expected",
    ),
    (
        as_it_is,
        lambda m, x, y: nn.CrossEntropyLoss()(m(x), y.squeeze(1)),
        read,
        "✗ Hint: loss_of raised “expected target dtype",
    ),
    (
        as_it_is,
        lambda m, x, y: nn.CrossEntropyLoss()(m(x), y.long()),
        read,
        "✗ Hint: loss_of raised “0D or 1D target tensor expected",
    ),
    (
        as_it_is,
        with_classes,
        lambda m, x: m(x).softmax(dim=1).max(dim=1),
        "✗ Hint: confidence must return a tensor, got max. Take its .values.",
    ),
    (
        as_it_is,
        lambda m, x, y: nn.CrossEntropyLoss()(m(x).softmax(1), y[:, 0].long()),
        read,
        "✗ Hint: sure and right 16 times, the loss is",
    ),
    (
        as_it_is,
        lambda m, x, y: nn.NLLLoss()(m(x), y[:, 0].long()),
        read,
        "✗ Hint: sure and right 16 times, the loss is",
    ),
    (
        as_it_is,
        lambda m, x, y: F.cross_entropy(m(x), y[:, 0].long(), reduction="none"),
        read,
        "✗ Hint: return the mean loss, one number, got shape (16,)",
    ),
    (
        as_it_is,
        lambda m, x, y: F.cross_entropy(m(x), y[:, 0].long(), reduction="sum"),
        read,
        "✗ Hint: that is the sum over 16 samples. Return their mean.",
    ),
    (
        as_it_is,
        lambda m, x, y: F.cross_entropy(m(x), y[:, 0].long(), reduction="sum") / len(y),
        read,
        "✓ Correct",
    ),
    (as_it_is, with_classes, largest, "✗ Hint: the loss is right, but confidence says"),
    (
        as_it_is,
        lambda m, x, y: nn.CrossEntropyLoss()(m(x), y.argmax(1)),
        read,
        "✗ Hint: that is the loss if every class is 0",
    ),
    (
        as_it_is,
        lambda m, x, y: nn.CrossEntropyLoss()(m(x), y.squeeze().long()),
        read,
        "✗ Hint: right for 16 samples, but a last batch of one raises",
    ),
    (
        as_it_is,
        with_classes,
        lambda m, x: 1.0,
        "✗ Hint: confidence must return a tensor, got float.",
    ),
    (
        as_it_is,
        with_classes,
        lambda m, x: read(m, x).detach().numpy(),
        "✗ Hint: confidence must return a tensor, got ndarray.",
    ),
    (
        as_it_is,
        with_classes,
        lambda m, x: m(x).softmax(dim=1),
        "✗ Hint: confidence must return one probability for each sample, (N,), got (16,",
    ),
    (
        as_it_is,
        with_classes,
        lambda m, x: m(x).argmax(dim=1),
        "✗ Hint: confidence must return probabilities, got torch.int64",
    ),
    (
        as_it_is,
        with_classes,
        lambda m, x: m(x).softmax(0).max(dim=1).values,
        "✗ Hint: the loss is right, but confidence says",
    ),
    (
        as_it_is,
        lambda m, x, y: F.nll_loss(m(x).softmax(1).log(), y.squeeze(1).long()),
        read,
        "✗ Hint: sure and wrong 16 times, the loss is inf",
    ),
    (lambda z: z[:, :2], with_classes, read, "✗ Hint: keep ten outputs per sample"),
    (as_it_is, with_classes, read, "✓ Correct"),
    (
        as_it_is,
        lambda m, x, y: F.cross_entropy(m(x).double(), y[:, 0].long()),
        lambda m, x: m(x).double().softmax(1).amax(1),
        "✓ Correct",
    ),
    (lambda z: z.log_softmax(1), with_classes, read, "✓ Correct"),
    (
        lambda z: z.log_softmax(1),
        lambda m, x, y: nn.NLLLoss()(m(x), y.flatten().long()),
        lambda m, x: m(x).exp().amax(1),
        "✓ Correct",
    ),
    (
        as_it_is,
        lambda m, x, y: F.cross_entropy(m(x), F.one_hot(y[:, 0].long(), 10).float()),
        read,
        "✓ Correct",
    ),
]


@pytest.mark.parametrize(("end", "loss_of", "confidence", "text"), REPAIRS)
def test_repair_tells_right_from_wrong(end, loss_of, confidence, text):
    assert repr(nll.repair(net(end), loss_of, confidence)).startswith(text)


def test_repair_refuses_a_softmax_in_eval_mode_alone():
    class Net(net(as_it_is)):
        def forward(self, x):
            z = super().forward(x)
            return z if self.training else z.softmax(dim=1)

    text = "✗ Hint: in eval() mode the model still returns probabilities"
    assert repr(nll.repair(Net, with_classes, read)).startswith(text)


def test_repair_tells_a_sigmoid_from_a_probability():
    def sigmoid(model, x):
        return model(x).sigmoid().amax(dim=1)

    text = repr(nll.repair(net(as_it_is), with_classes, sigmoid))
    says, is_ = re.search(
        r"says (\S+) where the probability is (\S+)\. ", text
    ).groups()
    assert abs(float(says) - float(is_)) > 0.01


@pytest.mark.parametrize(
    ("end", "cure"),
    [
        (
            as_it_is,
            "The model returns logits now: take their softmax over the classes.",
        ),
        (
            lambda z: z.log_softmax(1),
            "The model returns log-probabilities: their exp() is the probability.",
        ),
    ],
)
def test_repair_says_what_the_model_returns(end, cure):
    assert repr(nll.repair(net(end), with_classes, largest)).endswith(cure)


def test_repair_leaves_the_reader_s_random_numbers_alone():
    torch.manual_seed(3)
    nll.repair(net(as_it_is), with_classes, read)
    after = torch.rand(1)
    torch.manual_seed(3)
    assert after == torch.rand(1)


RIGHT_LOGS = {name: letter for name, (letter, _) in nll.LOGS.items()}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (RIGHT_LOGS, "✓ Correct"),
        (RIGHT_LOGS | {"right": "c "}, "✓ Correct"),
        (RIGHT_LOGS | {"right": ...}, "○ Not yet"),
        (..., "○ Not yet"),
        (RIGHT_LOGS | {"right": "A"}, "✗ Hint: right: it begins near ln 2"),
        (
            RIGHT_LOGS | {"logits, then NLLLoss": 3},
            "✗ Hint: logits, then NLLLoss: nothing",
        ),
        ("CABD", "✗ Hint: keep the dict with its four names"),
    ],
)
def test_logs_tells_right_from_wrong(answer, text):
    assert repr(nll.logs(answer)).startswith(text)


def shifted(z):
    largest = z.max(dim=-1, keepdim=True).values
    return (z - largest).exp().sum(dim=-1).log() + largest.squeeze(-1)


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (shifted, "✓ Correct"),
        (lambda z: torch.logsumexp(z, dim=-1), "✓ Correct"),  # as the exercise says
        (lambda z: z - torch.log_softmax(z, -1), "✗ Hint: return shape (2, 4), got"),
        (lambda z: (z - torch.log_softmax(z, -1))[..., 0], "✓ Correct"),
        (
            lambda z: (z - z.amax(1, True)).exp().sum(1).log() + z.amax(1),
            "✗ Hint: for (B, T, C) that is dimension 1",
        ),
        (lambda z: z.exp().sum(1).log(), "✗ Hint: for (B, T, C) that is dimension 1"),
        (lambda z: z.exp().sum(0).log(), "✗ Hint: return shape (2, 4), got (4, 4)"),
        (
            lambda z: z.exp().sum(-1).log(),
            "✗ Hint: right for small logits, but for the row [1000.0, 1000.0] it is 1000.69",
        ),
        (
            lambda z: shifted(z).sum(),
            "✗ Hint: return shape (2, 4), got ()",
        ),
        (
            lambda z: shifted(z).tolist(),
            "✗ Hint: return a tensor, got list",
        ),
        (lambda z: z.sum(-1), "✗ Hint: for small logits:"),
        (
            lambda z: (z - z.amax(-1, True)).exp().sum(-1).log(),
            "✗ Hint: add the row's largest logit again",
        ),
        (lambda z: None, "○ Not yet"),
        (
            lambda z: (z - z.mean(-1, True)).exp().sum(-1).log() + z.mean(-1),
            "✗ Hint: right for small logits, but for the row [1000.0, -1000.0] it is",
        ),
        (
            lambda z: (
                (z - z.amax(-1, True)).exp().sum(-1).log() + z.amax(-1, True).squeeze()
            ),
            "✗ Hint: right for (2, 4, 4), but (4, 1, 2) must become (4, 1), got (4, 4)",
        ),
        (
            lambda z: (z - z[..., :1]).exp().sum(-1).log() + z[..., 0],
            "✗ Hint: right for small logits, but for the row [-1000.0, 1000.0] it is",
        ),
        (
            lambda z: (z - z.max()).exp().sum(-1).log() + z.max(),
            "✗ Hint: right for small logits, but for the row [-1000.0, -1000.0] it is",
        ),
    ],
)
def test_log_sum_exp_tells_right_from_wrong(attempt, text):
    assert repr(nll.log_sum_exp(attempt)).startswith(text)


# --- the widget ----------------------------------------------------------------------


def twice(logits, y):
    return F.cross_entropy(logits.softmax(dim=1), y)


LOSSES = [twice, F.cross_entropy]  # in the order of training.js
TRAIN = """(() => {
  const data = m.scans(a.data, "train", a.classes);
  return m.LOSSES.map((lossOf) => {
    const layers = m.start(a.seed, a.classes);
    const weights = () => layers.flatMap(({ weight, bias }) => [...weight, ...bias]);
    const steps = [[weights(), null]];
    for (let i = 0; i < 50; i++) {
      const loss = m.train(layers, data, a.classes, a.rate, lossOf);
      steps.push([weights(), loss]);
    }
    return steps;
  });
})()"""


@pytest.mark.parametrize(("classes", "rate"), [(10, 0.5), (2, 0.5), (10, 3), (2, 3)])
def test_50_live_steps_are_torch_s(front_end, classes, rate):
    data = SoftmaxTwice().data
    x = torch.tensor([*map(float, data["train_pixels"].split())]).double()
    x = x.reshape(-1, 64) / 16
    y = torch.tensor([*map(int, data["train_labels"].split())]) % classes
    settings = {"data": data, "seed": 1, "classes": classes, "rate": rate}
    for ours, loss_fn in zip(
        front_end(SoftmaxTwice, TRAIN, settings), LOSSES, strict=True
    ):
        (start, _), *steps = ours
        layer = nn.Linear(64, classes, dtype=torch.float64)
        nn.utils.vector_to_parameters(
            torch.tensor(start, dtype=torch.float64), layer.parameters()
        )
        optimizer = torch.optim.SGD(layer.parameters(), lr=rate)
        for weights, told in steps:
            loss = loss_fn(layer(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            assert told == pytest.approx(loss.item(), abs=1e-6)
            theirs = nn.utils.parameters_to_vector(layer.parameters()).detach().numpy()
            np.testing.assert_allclose(weights, theirs, rtol=1e-6, atol=1e-6)


def test_answers_are_counted(front_end):
    logits = [1, 0, 0, 3, 2, 1, 0, 0, 5]  # answers 0, 0 and 2
    count = "m.neverAnswered(Float64Array.from(a), 3)"
    assert front_end(SoftmaxTwice, count, logits) == 1
    assert front_end(SoftmaxTwice, count, [*logits, 0, 9, 0]) == 0


@pytest.mark.parametrize("classes", [2, 10])
def test_floor_is_torch_s_loss_of_perfect_probabilities(front_end, classes):
    perfect = torch.eye(classes).double()[:1]
    best = F.cross_entropy(perfect, torch.tensor([0])).item()
    assert front_end(SoftmaxTwice, "m.floor(a)", classes) == pytest.approx(best)
    assert best == pytest.approx(math.log(math.e + classes - 1) - 1)


def test_data_of_the_live_training_are_light():
    text = json.dumps(SoftmaxTwice().data)
    assert len(base64.b64encode(gzip.compress(text.encode()))) <= 30_000


def test_live_training_makes_60_steps_a_second(front_end):
    """The two models together, and the accuracies that the page shows."""
    timed = """(() => {
      const [data, asked] = ["train", "test"].map((part) => m.scans(a, part, 10));
      const runs = m.LOSSES.map((lossOf) => ({ lossOf, layers: m.start(0, 10) }));
      return Array.from({ length: 50 }, () => {
        const started = performance.now();
        for (const { lossOf, layers } of runs) {
          m.train(layers, data, 10, 0.5, lossOf);
          m.accuracy(m.trace(layers, asked.x).at(-1), asked.y, 10);
        }
        return performance.now() - started;
      });
    })()"""
    steps = front_end(SoftmaxTwice, timed, SoftmaxTwice().data)
    assert min(steps) < 1000 / 60  # other programs slow some of them


def test_live_training_shows_nothing_before_the_guess(mount):
    page = mount(SoftmaxTwice())
    text = page.locator(".mp").inner_text
    page.get_by_role("button", name="One step").click()
    assert "Step 1 of 300" in text()
    assert "The curves stay hidden until you guess" in text()
    assert "1.461" not in text()
    assert page.locator("path.mp-curve").count() == 1  # the reader's line alone
    assert set(page.locator("tbody td").all_inner_texts()) == {"–"}
    page.get_by_label("Dotted line, as a number").fill("0.5")
    page.get_by_role("button", name="Lock my guess").click()
    assert "Your guess: 0.50. With a softmax first, the floor is 1.461" in text()
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.body.innerText.includes('Step 300 of 300')")
    (twice_loss, loss), (_, right), never = [
        row.locator("td").all_inner_texts() for row in page.locator("tbody tr").all()
    ]
    assert float(loss) < 1.461 < float(twice_loss)
    assert int(right.rstrip("%")) >= 85
    assert never == ["1 of 10", "0 of 10"]
    page.get_by_label("2, odd or even").check()
    assert "2 classes: how low" in text()
    assert page.evaluate("window.state.guess") is None


def test_dotted_line_is_dragged_on_the_plot(mount):
    page = mount(SoftmaxTwice())
    axes = page.locator(".mp-axis").bounding_box()
    middle = axes["x"] + axes["width"] / 2
    page.mouse.move(middle, axes["y"] + axes["height"])
    page.mouse.down()
    page.mouse.move(middle, axes["y"] + axes["height"] / 2)
    page.mouse.up()
    assert page.evaluate("window.state.line") == pytest.approx(1.25, abs=0.05)
