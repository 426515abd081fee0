"""The chapter on the dimension of softmax: its checks, and its widgets against torch."""

import base64
import copy
import gzip
import itertools
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.chapters.softmax_dim import BatchSoftmaxTraining, SoftmaxDim
from helpers.chapters.softmax_dim import check as softmax

# --- the exercises -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (..., "○ Not yet"),
        ([2, 3, 1, 2, 1], "✓ Correct"),
        ([-1, -1, 1, -1, -2], "✓ Correct"),
        (torch.tensor([2, 3, 1, 2, 1]), "✓ Correct"),
        ([1, 3, 1, 2, 1], "✗ Hint: (T, B, C): one decision for each time and sentence"),
        (
            [2, 1, 1, 2, 1],
            "✗ Hint: (B, H, W, C): one decision for each image and place",
        ),
        ([2, 3, -1, 2, 1], "✗ Hint: (B, C, D, H, W)"),
        ([2, 3, 1, 0, 1], "✗ Hint: (B, T, experts): the experts compete"),
        ([2, 3, 1, 2, 2], "✗ Hint: (B, T_key, T_query): each query"),
        ([2, 3, 1, 2, 3], "✗ Hint: (B, T_key, T_query) has no dimension 3"),
        ([1, 1], "✗ Hint: write five numbers, one for each shape, got 2"),
        ("last", "✗ Hint: write a list of five numbers, got 'last'"),
        ("23121", "✗ Hint: write a list of five numbers, got '23121'"),
    ],
)
def test_dims_tells_right_from_wrong(answer, text):
    assert repr(softmax.dims(answer)).startswith(text)


def policy(end):
    """Return a class of models, from what its ``forward`` makes of two logits."""

    class Policy(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 2)

        def forward(self, state):
            return end(self.linear(state))

    return Policy


def over(dim):
    return lambda logits: logits.softmax(dim)


def unsqueezed(logits):
    return logits.reshape(-1, 2).softmax(1).reshape(logits.shape)


def last(model, state):
    return model(state).argmax(dim=-1)


REPAIRS = [
    (over(0), lambda m, s: m(s).argmax(), "○ Not yet: in a batch of 16 the two prob"),
    (over(0), last, "○ Not yet: in a batch of 16"),
    (
        over(1),
        last,
        "✗ Hint: for one state, of shape (4,), the model raised: Dimension out of range",
    ),
    (lambda z: z, last, "✗ Hint: for one state the two probabilities sum to"),
    (
        lambda z: z[..., :1],
        last,
        "✗ Hint: one state has two probabilities, got shape (1,)",
    ),
    (lambda z: z.sigmoid(), last, "✗ Hint: for one state the two probabilities sum to"),
    (
        lambda z: (z - z.mean(0) if z.ndim == 2 else z).softmax(-1),
        last,
        "✗ Hint: each state sums to 1, but gets other probabilities than alone",
    ),
    (
        lambda z: z.softmax(-1) if z.ndim == 1 else z.softmax(-1).mean(0),
        last,
        "✗ Hint: 16 states return shape (16, 2), got (2,)",
    ),
    (over(-1), lambda m, s: m(s).argmax(), "✗ Hint: in a batch: act must return one"),
    (over(-1), lambda m, s: m(s).argmax(dim=0), "✗ Hint: in a batch: act must return"),
    (over(-1), lambda m, s: m(s).argmin(-1), "✗ Hint: for one state: act does not"),
    (
        over(-1),
        lambda m, s: m(s).argmax(dim=1),
        "✗ Hint: for one state act raised: Dim",
    ),
    (over(1), lambda m, s: m(s.reshape(-1, 4)).argmax(1), "✗ Hint: for one state, of"),
    (
        lambda z: z.reshape(-1, 2).softmax(1).squeeze(),
        last,
        "✗ Hint: a batch of one state, (1, 4), returns shape (1, 2), got (2,)",
    ),
    (
        over(-1),
        lambda m, s: m(s).argmax(-1).squeeze(),
        "✗ Hint: in a batch of one: act must return one action a state, got shape ()",
    ),
    (
        over(-1),
        lambda m, s: m(s),
        "✗ Hint: for one state: act must return one action, got shape (2,)",
    ),
    (
        over(-1),
        lambda m, s: m(s).argmax(-1, keepdim=True),
        "✗ Hint: for one state: act must return one action, got shape (1,)",
    ),
    (
        over(-1),
        lambda m, s: m(s).argmax(-1).item(),
        "✗ Hint: in a batch act raised: a Tensor with 16 elements",
    ),
    (nn.Softmax(), last, "✗ Hint: the softmax has no dim, so PyTorch guesses one"),
    (over(-1), last, "✓ Correct"),
    (unsqueezed, last, "✓ Correct"),
    (lambda z: z.log_softmax(-1).exp(), last, "✓ Correct"),
    (over(-1), lambda m, s: m(s).max(dim=-1).indices, "✓ Correct"),
    (over(-1), lambda m, s: (m(s)[..., 1] > 0.5).long(), "✓ Correct"),
]


@pytest.mark.parametrize(("end", "act", "text"), REPAIRS)
def test_repair_tells_right_from_wrong(end, act, text):
    assert repr(softmax.repair(policy(end), act)).startswith(text)


@pytest.mark.parametrize(
    ("in_train", "text"),
    [
        (lambda z: z, "✗ Hint: in eval() each state sums to 1, after train() it does"),
        (over(0), "✗ Hint: in eval() each state sums to 1, after train() it does not"),
        (lambda z: F.dropout(z).softmax(-1), "✓ Correct"),
    ],
)
def test_repair_wants_the_softmax_in_train_mode_too(in_train, text):
    class Policy(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 2)

        def forward(self, state):
            logits = self.linear(state)
            return in_train(logits) if self.training else logits.softmax(-1)

    assert repr(softmax.repair(Policy, last)).startswith(text)


def test_repair_leaves_the_reader_s_random_numbers_alone():
    torch.manual_seed(3)
    softmax.repair(policy(over(-1)), last)
    after = torch.rand(1)
    torch.manual_seed(3)
    assert after == torch.rand(1)


def alone_and_together(model, x, ends=(0, -1)):
    with torch.no_grad():
        alone = torch.cat([model(x[end][None]) for end in ends])
        return not torch.allclose(alone, model(x)[[*ends]], atol=1e-5)


def first_alone(model, x):
    return alone_and_together(copy.deepcopy(model).eval(), x, ends=(0,))


def last_alone(model, x):
    return alone_and_together(copy.deepcopy(model).eval(), x, ends=(-1,))


def with_much_tolerance(model, x):
    model = copy.deepcopy(model).eval()
    alone = torch.cat([model(x[:1]), model(x[-1:])])
    return not torch.allclose(alone, model(x)[[0, -1]], atol=1e-2)


def true_for_every_distribution(model, x):
    with torch.no_grad():
        sums = copy.deepcopy(model).eval()(x).sum(1)
    return on_a_copy(model, x) or torch.allclose(sums, torch.ones(len(x)))


def true_for_some_frozen_layer(model, x):
    return on_a_copy(model, x) or len({m.training for m in model.modules()}) == 2


def a_copy_with_gradients(model, x):
    model = copy.deepcopy(model).eval()
    alone = torch.cat([model(x[:1]), model(x[-1:])])
    return not torch.allclose(alone, model(x)[[0, -1]], atol=1e-5)


def each_mode(model, x):
    modes = {module: module.training for module in model.modules()}
    answer = alone_and_together(model.eval(), x)
    for module, mode in modes.items():
        module.training = mode
    return answer


def on_a_copy(model, x):
    return alone_and_together(copy.deepcopy(model).eval(), x)


def middle_alone(model, x):
    changed = x.clone()
    changed[1:-1] += 1
    model = copy.deepcopy(model).eval()
    return not torch.allclose(model(x)[[0, -1]], model(changed)[[0, -1]], atol=1e-6)


def other_neighbours(model, x):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    after, before = x.clone(), x.clone()
    after[1:] += 1
    before[:-1] += 1
    with torch.inference_mode():
        first = model(x)[0] - model(after)[0]
        last = model(x)[-1] - model(before)[-1]
        moved = max(first.abs().max().item(), last.abs().max().item()) > 1e-6
    for module, mode in reversed(modes):
        module.train(mode) if not list(module.children()) else None
        module.training = mode
    return moved


def one_mode(model, x):
    mode = model.training
    answer = alone_and_together(model.eval(), x)
    model.train(mode)
    return answer


def stays_in_eval(model, x):
    return alone_and_together(model.eval(), x)


def with_gradients(model, x):
    modes = {module: module.training for module in model.modules()}
    model.eval()
    answer = not torch.allclose(model(x[:1]), model(x)[:1], atol=1e-5)
    for module, mode in modes.items():
        module.training = mode
    return answer


def sums_of_columns(model, x):
    with torch.no_grad():
        out = copy.deepcopy(model).eval()(x)
    return torch.allclose(out.sum(0), torch.ones(out.shape[1]))


def looks_for_the_layer(model, x):
    return any(isinstance(m, nn.Softmax) and m.dim == 0 for m in model.modules())


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (each_mode, "✓ Correct"),
        (on_a_copy, "✓ Correct"),
        (a_copy_with_gradients, "✓ Correct"),
        (
            first_alone,
            "✗ Hint: for outputs to which those of the samples before were added the "
            "answer is True, got False. Test the last sample too.",
        ),
        (
            last_alone,
            "✗ Hint: for outputs to which those of the samples after were added the "
            "answer is True, got False. Test the first sample too.",
        ),
        (
            true_for_every_distribution,
            "✗ Hint: for a softmax over dim=1 the answer is False, got True. "
            "Compare outputs, alone and together",
        ),
        (
            true_for_some_frozen_layer,
            "✗ Hint: for a model in train mode with a normalisation layer frozen in eval "
            "the answer is False, got True. Compare outputs, alone and together",
        ),
        (
            middle_alone,
            "✗ Hint: for outputs whose first and last sample are added to each other the "
            "answer is True, got False. Leave out, or change, all other samples.",
        ),
        (with_much_tolerance, "✗ Hint: for outputs to which 0.2% of the batch's sum"),
        (other_neighbours, "✓ Correct"),
        (
            lambda m, x: True,
            "✗ Hint: for a model that was in eval() mode the answer is False, got True. "
            "Compare outputs, alone and together",
        ),
        (lambda m, x: False, "✗ Hint: for a softmax over dim=0 the answer is True"),
        (looks_for_the_layer, "✗ Hint: for a softmax over dim=0 the answer is True"),
        (
            sums_of_columns,
            "✗ Hint: for outputs from which the batch's mean was subtracted the answer is",
        ),
        (alone_and_together, "✗ Hint: alone_and_together raised ValueError: Expected"),
        (with_gradients, "✗ Hint: the model ran with gradients"),
        (
            stays_in_eval,
            "✗ Hint: for a softmax over dim=0: give each module its own mode back",
        ),
        (
            one_mode,
            "✗ Hint: for a model in train mode with a normalisation layer frozen in eval: give",
        ),
    ],
)
def test_depends_on_batch_tells_right_from_wrong(attempt, text):
    assert repr(softmax.depends_on_batch(attempt)).startswith(text)


def test_one_sample_in_train_mode_leads_to_eval():
    assert "Work in eval() mode." in repr(softmax.depends_on_batch(alone_and_together))


# --- the widgets ---------------------------------------------------------------------


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_softmax_dim_agrees_with_torch(front_end, dim):
    generator = torch.Generator().manual_seed(dim)
    for _ in range(50):
        logits = (torch.rand(2, 3, 2, generator=generator) - 0.5) * 40
        ours = front_end(SoftmaxDim, "m.softmax(...a)", [logits.double().tolist(), dim])
        theirs = torch.softmax(logits, dim)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)
        sums = front_end(SoftmaxDim, "m.sums(...a)", [theirs.double().tolist(), dim])
        np.testing.assert_allclose(sums, np.ones(12 // (2, 3, 2)[dim]), atol=1e-6)


def test_softmax_dim_counts_what_changed(front_end):
    before = torch.rand(2, 3, 2)
    after = before.clone()
    after[1, :2] += 0.1
    argument = [before.double().tolist(), after.double().tolist()]
    ours = front_end(SoftmaxDim, "[0, 1].map((i) => m.changed(...a, i))", argument)
    assert ours == [0, 4]


def test_softmax_dim_wins_as_argmax_does(front_end):
    blocks = torch.randint(0, 3, (40, 3, 2)).double()  # with equal ones among them
    ours = front_end(
        SoftmaxDim, "a.map((b) => [0, 1].map((k) => m.winner(b, k)))", blocks.tolist()
    )
    assert ours == blocks.argmax(dim=1).tolist()


def test_the_same_added_to_all_that_compete_changes_nothing(mount):
    page = mount(SoftmaxDim())
    news = page.locator(".softmax-news")
    for i, count in enumerate([3, 3, 0]):
        logit = page.get_by_role(
            "slider", name=f"logit, sample 1, class {i}, position 0"
        )
        before = float(logit.get_attribute("aria-valuenow"))
        while float(logit.get_attribute("aria-valuenow")) < before + 2:
            logit.press("ArrowUp")
        assert news.inner_text().endswith(
            f"0 of 6 in sample 0, {count} of 6 in sample 1"
        )


def test_one_sample_alone_gets_all_ones_over_the_batch(mount):
    page = mount(SoftmaxDim(dim=0))
    page.get_by_label("1", exact=True).check()
    sliders = page.locator("[role=slider]:visible")
    texts = [s.get_attribute("aria-valuetext") for s in sliders.all()]
    assert {text.split()[-1] for text in texts} == {"1.0000"}
    assert len(texts) == 6
    assert "position 0: class 0 wins" in page.locator("svg:visible").inner_html()


def test_a_logit_is_dragged_or_stepped_and_the_dashed_lines_stay(mount):
    page = mount(SoftmaxDim())
    logit = page.get_by_role("slider", name="logit, sample 1, class 0, position 0")
    box = logit.locator(".softmax-hit").bounding_box()
    x, top = box["x"] + box["width"] / 2, box["y"]
    page.mouse.move(x, top + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(x, top - 50)
    page.mouse.up()
    assert logit.get_attribute("aria-valuenow") == "6"  # the picture's end
    news = page.locator(".softmax-news")
    assert news.inner_text().endswith("0 of 6 in sample 0, 3 of 6 in sample 1")
    logit.press("ArrowDown")
    logit.press("ArrowDown")
    assert logit.get_attribute("aria-valuenow") == "5"
    page.get_by_role("button", name="Reset").click()
    assert news.inner_text().endswith("0 of 6 in sample 0, 0 of 6 in sample 1")
    page.get_by_label("0, the samples").check()
    logit.press("ArrowUp")
    assert news.inner_text().endswith("1 of 6 in sample 0, 1 of 6 in sample 1")


LOSSES = {
    "predict": F.cross_entropy,
    "train": lambda logits, y: F.nll_loss(F.log_softmax(logits, dim=0), y),
    "layer": lambda logits, y: F.cross_entropy(logits.softmax(dim=0), y),
}
TRAIN = """(() => {
  const [data, layers] = [m.scans(a.data, "train"), m.start(a.seed)];
  const weights = () => layers.flatMap(({ weight, bias }) => [...weight, ...bias]);
  const steps = [{ weights: weights() }];
  for (let i = 0; i < 50; i++) {
    const loss = m.train(layers, data, i, m.LOSSES[a.form]);
    steps.push({ loss, weights: weights() });
  }
  const asked = m.scans(a.data, "test");
  const raised = m.trace(layers, asked.x).at(-1).map(Math.exp);
  const right = [64, 32, 7, 1].map((n) => m.rightInBatches(raised, asked.y, 10, n));
  return { steps, right };
})()"""


def pixels(data, part):
    x = torch.tensor([*map(float, data[f"{part}_pixels"].split())]).double()
    y = torch.tensor([*map(int, data[f"{part}_labels"].split())])
    return x.reshape(-1, 64) / 16, y


@pytest.mark.parametrize(("form", "seed"), [("predict", 0), ("train", 1), ("layer", 2)])
def test_50_live_steps_are_torch_s(front_end, form, seed):
    data = BatchSoftmaxTraining().data
    ours = front_end(
        BatchSoftmaxTraining, TRAIN, {"data": data, "seed": seed, "form": form}
    )
    sizes = [64, 20, 10]
    layers = [nn.Linear(a, b).double() for a, b in itertools.pairwise(sizes)]
    net = nn.Sequential(layers[0], nn.ReLU(), layers[1])
    nn.utils.vector_to_parameters(
        torch.tensor(ours["steps"][0]["weights"], dtype=torch.float64), net.parameters()
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    x, y = pixels(data, "train")
    for i, step in enumerate(ours["steps"][1:]):
        rows = slice(i * 20 % 300, i * 20 % 300 + 20)
        loss = LOSSES[form](net(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert step["loss"] == pytest.approx(loss.item(), abs=1e-6)
        theirs = nn.utils.parameters_to_vector(net.parameters()).detach().numpy()
        np.testing.assert_allclose(step["weights"], theirs, rtol=1e-6, atol=1e-6)
    x, y = pixels(data, "test")
    for size, share in zip([64, 32, 7, 1], ours["right"], strict=True):
        classes = [net(some).softmax(0).argmax(1) for some in x.split(size)]
        assert share == pytest.approx((torch.cat(classes) == y).double().mean().item())


def test_data_of_the_live_training_are_light():
    text = json.dumps(BatchSoftmaxTraining().data)
    assert len(base64.b64encode(gzip.compress(text.encode()))) <= 30_000


def test_live_training_makes_60_steps_a_second(front_end):
    """The two models together, and all that the page draws of them."""
    timed = """(() => {
      const [data, asked] = [m.scans(a, "train"), m.scans(a, "test")];
      const runs = [m.start(0), m.start(0)];
      return Array.from({ length: 50 }, (_, i) => {
        const started = performance.now();
        const [raised] = runs.map((layers) => {
          m.train(layers, data, i, m.LOSSES.layer);
          return m.trace(layers, asked.x).at(-1).map(Math.exp);
        });
        for (let n = 1; n <= 64; n++) m.rightInBatches(raised, asked.y, 10, n);
        return performance.now() - started;
      });
    })()"""
    data = BatchSoftmaxTraining().data
    steps = front_end(BatchSoftmaxTraining, timed, data)
    assert min(steps) < 1000 / 60  # other programs slow some of them


def test_live_training_hides_what_the_reader_shall_guess(mount):
    page = mount(BatchSoftmaxTraining(size=1))
    lock = page.get_by_role("button", name="Lock my guess")
    assert lock.is_disabled()
    assert "is less than half right?" in page.locator(".mp").inner_text()
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.body.innerText.includes('Step 300 of 300')")
    rows = page.locator("tbody tr")
    assert rows.nth(2).locator("td").all_inner_texts() == ["–", "–"]
    assert page.locator("path.mp-curve").count() == 0
    lock.click()
    batch, classes = rows.nth(2).locator("td").all_inner_texts()
    assert batch == "10%"
    assert int(classes.rstrip("%")) >= 90
    assert page.locator("path.mp-curve").count() == 2
    box = page.locator("input").last
    for size in range(2, 65):  # only one digit alone is less than half right
        box.fill(str(size))
        box.press("Tab")
        batch, _ = rows.nth(2).locator("td").all_inner_texts()
        assert int(batch.rstrip("%")) > 50
    start, now = (rows.nth(i).locator("td").all_inner_texts() for i in (0, 1))
    assert start[0] == start[1]  # the same model, only predicted otherwise
    assert now[0] == now[1]
    page.get_by_label("Softmax layer").check()  # asks for a loss: nothing to hide
    assert page.locator("path.mp-curve").count() == 2
    assert "Step 0 of 300" in page.locator(".mp").inner_text()
    assert "where does the loss end?" in page.locator(".mp").inner_text()
    assert not page.get_by_role("button", name="Lock my guess").is_visible()
    page.get_by_label("predicting only").check()
    assert page.locator("path.mp-curve").count() == 0
    assert page.get_by_role("button", name="Lock my guess").is_visible()
