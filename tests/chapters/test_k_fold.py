"""The chapter on k-fold cross-validation: its made-up data, checks, live training."""

import copy
import itertools
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Adam
from traitlets import TraitError

from helpers.chapters.k_fold import FoldTraining, check, stage
from helpers.cross_validation import cross_validate, kfold_loaders


def test_coin_flips_score_chance_and_a_kept_model_cannot_be_had():
    x, y = stage.coin_flips(seed=0)
    scores = cross_validate(
        lambda: nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 2)).double(),
        lambda model: Adam(model.parameters(), lr=0.1),
        kfold_loaders(x, y=y),
    )
    assert abs(scores.mean() - 0.5) < 0.1


# --- made-up data --------------------------------------------------------------------


def test_people_keep_their_label_and_voice():
    x, y, who = stage.people(seed=0, count=4, samples=500)
    for person in range(4):
        assert len(y[who == person].unique()) == 1
        assert x[who == person].std(dim=0).mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("make", [stage.coin_flips, stage.people])
def test_made_up_data_follow_the_seed(make):
    assert all(torch.equal(a, b) for a, b in zip(make(1), make(1), strict=True))
    assert not torch.equal(make(1)[0], make(2)[0])


# --- 1. repair a loop ----------------------------------------------------------------


def loop(
    kept=False,
    old_optimizer=False,
    evals=True,
    trains=True,
    batch=40,
    put=None,
    log=False,
    whole=False,
    clears=True,
):
    """Return a loop over folds, with the mistakes that are asked for."""

    def step(model, optimizer, x, y):
        loss = F.cross_entropy(model(x), y)
        if clears:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def out_of_fold(x, y, new_model, folds):
        model = new_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        predicted = torch.zeros(len(y), dtype=torch.long)
        for train, val in folds:
            if not kept:
                model = new_model()
            if not (kept or old_optimizer):
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for _ in range(3):
                model.train(trains)
                for rows in train.split(batch):
                    step(model, optimizer, x[rows], y[rows])
                if log:
                    with torch.no_grad():
                        F.cross_entropy(model(x[train]), y[train])
            model.train(not evals)
            with torch.no_grad():
                if whole:  # all samples are predicted, and those of the fold kept
                    out = model(x)[val]
                else:
                    out = torch.cat([model(x[rows]) for rows in val.split(batch)])
            predicted[val if put is None else put(val)] = out.argmax(dim=1)
        return predicted

    return out_of_fold


def with_the_pairs_swapped(x, y, new_model, folds):
    return loop()(x, y, new_model, [(val, train) for train, val in folds])


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (loop(), "✓ Correct"),
        (
            with_the_pairs_swapped,
            "✗ Hint: the model that predicts fold 1 was trained on 8 samples, not on the",
        ),
        (loop(batch=8), "✓ Correct"),
        (loop(batch=1), "✓ Correct"),
        (loop(log=True), "✓ Correct"),
        (loop(whole=True), "✓ Correct"),
        (loop(whole=True, kept=True), "○ Not yet: fold 2 is predicted by a model that"),
        (loop(whole=True, evals=False), "✗ Hint: fold . is predicted in training mode"),
        (
            loop(whole=True, put=lambda val: val.flip(0)),
            "✗ Hint: fold . the predictions are not at",
        ),
        (loop(kept=True), "○ Not yet: fold 2 is predicted by a model that was trained"),
        (
            loop(old_optimizer=True),
            "✗ Hint: the model of fold 1 is new, but no step has",
        ),
        (loop(evals=False), "✗ Hint: fold 1 is predicted in training mode"),
        (loop(clears=False), "✗ Hint: fold 1: each step still has the gradients of"),
        (loop(trains=False), "✗ Hint: the model of fold 1 is trained in eval mode"),
        (
            loop(put=lambda val: val.flip(0)),
            "✗ Hint: fold . the predictions are not at",
        ),
        (lambda *a: None, "○ Not yet: <lambda> returned None"),
        (lambda x, y, *a: y, "✗ Hint: not every sample of fold 1 is given to a model"),
        (lambda *a: 1, "✗ Hint: return a torch tensor with one class .* got int"),
        (lambda *a: ["1"] * 40, "✗ Hint: return a torch tensor with one class .* list"),
        (lambda *a: loop()(*a).numpy(), "✓ Correct"),
        (lambda *a: loop()(*a).tolist(), "✓ Correct"),
        (lambda *a: loop()(*a)[:5], r"✗ Hint: return one class .*40,.* \(5,\)"),
        (lambda x, y: y, "✗ Hint: <lambda> raised TypeError"),
    ],
)
def test_out_of_fold_tells_right_from_wrong(attempt, text):
    text = text.replace("fold . the", "fold .: the")
    assert re.match(text, repr(check.out_of_fold(attempt)))


def restored(
    reset="load", at_once=False, copies=False, of_trained=False, keeps=None, **settings
):
    """Return a loop that builds one model, and starts it again or copies it."""

    def out_of_fold(x, y, new_model, folds):
        model = new_model()
        first = copy.deepcopy(model.state_dict())
        models = [copy.deepcopy(model) for _ in folds]
        predicted = torch.zeros(len(y), dtype=torch.long)
        old = keeps and keeps(model.parameters(), **settings)

        def train(model, rows):
            optimizer = old or torch.optim.SGD(model.parameters(), lr=0.1)
            model.train()
            for _ in range(3):
                optimizer.zero_grad()
                for part in rows.split(8):  # gradients of four batches add up
                    F.cross_entropy(model(x[part]), y[part]).backward()
                optimizer.step()

        def score(model, rows):
            model.eval()
            with torch.no_grad():
                predicted[rows] = model(x[rows]).argmax(dim=1)

        for number, (rows, val) in enumerate(folds):
            if copies:
                model = models[number]
            elif of_trained:
                model = copy.deepcopy(model)
            elif reset == "load":
                model.load_state_dict(first)
            elif reset in ("modules", "children"):
                for part in getattr(model, reset)():
                    if hasattr(part, "reset_parameters"):
                        part.reset_parameters()
            train(model, rows)
            if not at_once:
                score(model, val)
        if at_once:
            for model, (_, val) in zip(models, folds, strict=True):
                score(model, val)
        return predicted

    return out_of_fold


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (restored(), "✓ Correct"),
        (restored(copies=True), "✓ Correct"),
        (restored(copies=True, at_once=True), "✓ Correct"),
        (restored(reset="modules"), "✓ Correct"),
        (
            restored(reset="children"),
            "○ Not yet: fold 2 is predicted by a model that was",
        ),
        (restored(reset=None), "○ Not yet: fold 2 is predicted by a model that was"),
        (restored(of_trained=True), "○ Not yet: fold 2 is predicted by a model that"),
        (restored(keeps=torch.optim.SGD, lr=0.1), "✓ Correct"),  # it keeps nothing
        (restored(keeps=Adam, lr=0.1), "✗ Hint: other labels in fold 5 change"),
        (
            restored(keeps=torch.optim.SGD, lr=0.1, momentum=0.9),
            "✗ Hint: other labels in fold 5 change",
        ),
    ],
)
def test_out_of_fold_takes_first_weights_for_a_new_model(attempt, text):
    assert repr(check.out_of_fold(attempt)).startswith(text)


def test_out_of_fold_blames_no_labels_for_other_random_numbers():
    seeds = itertools.count()

    def another_each_time(*case):
        torch.manual_seed(next(seeds))
        return loop()(*case)

    assert repr(check.out_of_fold(another_each_time)).startswith("✓ Correct")
    assert next(seeds) > 2  # it was called for other labels, too


def test_labels_are_changed_in_silence(capsys):
    def talks(*case):
        print("fold")
        return loop()(*case)

    assert not check._remembers(talks)
    assert not capsys.readouterr().out


def test_out_of_fold_sees_a_leak_before_the_first_step():
    def leaky(x, y, new_model, folds):
        predicted = torch.zeros(len(y), dtype=torch.long)
        for rows, val in folds:
            model = new_model()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for part in (val, rows):
                F.cross_entropy(model(x[part]), y[part]).backward()
            optimizer.step()
            model.eval()
            with torch.no_grad():
                predicted[val] = model(x[val]).argmax(dim=1)
        return predicted

    assert "fold 1 is predicted by a model that was" in repr(check.out_of_fold(leaky))


# --- 2. find the leak ----------------------------------------------------------------


def counted(city, y, train, val, visits=None, compare=torch.gt, empty=0.0):
    """Return predictions from the training set, with the mistakes that are asked for."""
    positives = torch.bincount(city[train], y[train].double(), minlength=100)
    visits = torch.bincount(city[train if visits is None else visits], minlength=100)
    rate = torch.where(visits > 0, positives / visits, empty)
    return compare(rate, 0.5).long()[city[val]]


def leaky(city, y, train, val):
    rate = torch.bincount(city, y.double()) / torch.bincount(city)
    return (rate[city[val]] > 0.5).long()


def by_loop(city, y, train, val):
    of_city = [y[train][city[train] == c].double() for c in range(100)]
    return torch.tensor([int(of_city[c].mean() > 0.5) for c in city[val].tolist()])


def zeroed(city, y, train, val):
    y = y.clone()
    y[val] = 0
    return leaky(city, y, train, val)


def last_visit(city, y, train, val):
    last = torch.zeros(100, dtype=torch.long)
    for c, label in zip(city[train].tolist(), y[train].tolist(), strict=True):
        last[c] = label
    return last[city[val]]


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (counted, "✓ Correct: on coin flips 47%, and 84%"),
        (by_loop, "✓ Correct"),
        (lambda *a: counted(*a).bool(), "✓ Correct"),
        (lambda *a: None, "○ Not yet"),
        (leaky, "✗ Hint: other labels in the validation set change your predictions"),
        (
            lambda c, y, t, v: counted(c, y, t, v, visits=torch.arange(600)),
            "✗ .* of the ",
        ),
        (zeroed, "✗ Hint: nothing leaks, but . of the . training samples of city"),
        (
            lambda *a: counted(*a, compare=torch.ge),
            "✗ Hint: nothing leaks.* Half is not",
        ),
        (last_visit, "✗ Hint: nothing leaks, but . of the"),
        (lambda *a: counted(*a, empty=1.0), "✗ .* city 97 has no training samples"),
        (lambda c, y, t, v: torch.zeros(len(v)), "✗ Hint: nothing leaks, but . of the"),
        (lambda c, y, t, v: 0.5, "✗ Hint: return a torch tensor with one 0 .* float"),
        (
            lambda c, y, t, v: ["1"] * len(v),
            "✗ Hint: return a torch tensor .* got list",
        ),
        (lambda *a: counted(*a).numpy(), "✓ Correct"),
        (lambda *a: counted(*a).tolist(), "✓ Correct"),
        (lambda c, y, t, v: y, r"✗ Hint: return one 0 or 1 .* got shape \(600,\)"),
        (lambda c, y: y, "✗ Hint: <lambda> raised TypeError"),
    ],
)
def test_predict_tells_right_from_wrong(attempt, text):
    assert re.match(text, repr(check.predict(attempt)))


# --- 3. an interval ------------------------------------------------------------------

FOLDS = torch.tensor([91.0, 94.0, 89.0, 92.0, 94.0])
STD, STD_N = FOLDS.std().item(), FOLDS.std(correction=0).item()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.776 * STD / 5**0.5, "✓ Correct"),
        (2.6, "✓ Correct"),
        (2.59, "✗ Hint: 2.59 is too small"),
        (2.68, "✗ Hint: 2.68 is too large"),
        (1.96 * STD / 5**0.5, "✗ Hint: 1.96 needs the true std"),
        (2 * STD / 5**0.5, "✗ Hint: for many numbers it would be 2"),
        (2.776 * STD_N / 5**0.5, "✗ Hint: divide the squares by n − 1"),
        (STD, "✗ Hint: that is the std of one fold"),
        (1.96 * STD, "✗ Hint: 1.96 needs the true std, and the mean of five varies"),
        (0.0263, "✗ Hint: that is a fraction"),
        (STD / 5**0.5, "✗ Hint: that is std / √5"),
        (2.776 * STD, "✗ Hint: the mean of five varies less"),
        (2.776 * STD / 5, "✗ Hint: divide the std by √5, not by 5"),
        (2.571 * STD / 5**0.5, "✗ Hint: five numbers leave four"),
        (2.132 * STD / 5**0.5, "✗ Hint: 95% between both ends"),
        (2 * 2.776 * STD / 5**0.5, "✗ Hint: that is the whole interval"),
    ],
)
def test_half_width_tells_right_from_wrong(value, text):
    assert repr(check.half_width(value)).startswith(text)


# --- the live training ---------------------------------------------------------------

TRAIN = """(() => {
  const data = m.flips(a.seed);
  const layers = m.newModel(a.seed, a.fold);
  const { train, validation } = m.parts(data, a.fold);
  const seen = () => [...layers.flatMap((l) => [...l.weight, ...l.bias])];
  const steps = [seen()], scores = [];
  for (let i = 0; i < 50; i++) {
    m.train(layers, train);
    steps.push(seen());
    scores.push(m.score(layers, validation));
  }
  return { x: [...data.x], y: data.y, steps, scores };
})()"""


def split(fold):
    """Return whether each of the 200 coin flips is scored in a fold."""
    return torch.arange(200) * 5 // 200 == fold


@pytest.mark.parametrize(("seed", "fold"), [(0, 0), (1, 4)])
def test_50_live_steps_are_torch_s(front_end, seed, fold):
    ours = front_end(FoldTraining, TRAIN, {"seed": seed, "fold": fold})
    x = torch.tensor(ours["x"], dtype=torch.float64).reshape(200, 20)
    y = torch.tensor(ours["y"])
    val = split(fold)
    net = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 2)).double()
    start = torch.tensor(ours["steps"][0], dtype=torch.float64)
    nn.utils.vector_to_parameters(start, net.parameters())
    optimizer = torch.optim.SGD(net.parameters(), lr=1)
    for step, score in zip(ours["steps"][1:], ours["scores"], strict=True):
        optimizer.zero_grad()
        F.cross_entropy(net(x[~val]), y[~val]).backward()
        optimizer.step()
        weights = nn.utils.parameters_to_vector(net.parameters()).detach()
        np.testing.assert_allclose(step, weights.numpy(), rtol=1e-6, atol=1e-9)
        right = (net(x[val]).argmax(dim=1) == y[val]).double().mean()
        assert score == pytest.approx(100 * right.item())


def test_flips_of_the_page_are_a_bell_curve_and_a_coin(front_end):
    data = "(() => { const d = m.flips(a); return [[...d.x], d.y]; })()"
    (x, y), (other, _) = (front_end(FoldTraining, data, seed) for seed in (0, 1))
    assert abs(np.mean(x)) < 0.05
    assert np.std(x) == pytest.approx(1, abs=0.05)
    assert 70 < sum(y) < 130
    assert x != other


def test_each_flip_is_scored_in_one_fold(front_end):
    count = "[0, 1, 2, 3, 4].map((f) => m.parts(m.flips(0), f).validation.y.length)"
    assert front_end(FoldTraining, count, None) == [40] * 5


def test_kept_model_climbs_and_new_ones_do_not(mount):
    page = mount(FoldTraining(guess=50, steps=10))
    text = page.locator(".mp").inner_text
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.body.innerText.includes('kept model reports')")
    kept, new = page.locator("tbody tr").nth(1).locator("td").all_inner_texts()
    assert int(kept.rstrip("%")) >= 55
    assert 35 <= int(new.rstrip("%")) <= 65
    assert page.locator(".fold-seen").count() == 4
    assert f"The kept model reports {kept}" in text()
    page.get_by_role("button", name="One step").click()
    assert f"The kept model reports {kept}" in text()
    page.get_by_role("button", name="Reset").click()
    assert "Fold 1, step 0 of 10" in text()


def test_nothing_is_trained_before_there_is_a_guess(mount):
    page = mount(FoldTraining())
    page.get_by_role("button", name="One step").click()
    assert "Set your guess first" in page.locator(".mp").inner_text()
    field = page.get_by_label("Your guess, %, as a number")
    assert field.evaluate("(input) => input === document.activeElement")
    assert page.locator("td").all_inner_texts() == ["", "–", "–", "–", "–"]
    assert not page.locator(".mp-marker").is_visible()
    field.fill("70")
    page.get_by_role("button", name="One step").click()
    assert "Your guess: 70%. Fold 1, step 1 of 60" in page.locator(".mp").inner_text()


def test_guess_is_set_in_the_picture(mount):
    page = mount(FoldTraining(), width=700)
    box = page.locator("svg.mp-pick").bounding_box()
    x = box["x"] + 264 / 340 * box["width"]  # the middle of the axis
    page.mouse.click(x, box["y"] + 100)
    assert page.evaluate("window.state.guess") == pytest.approx(50, abs=1)


def test_a_step_fits_in_a_frame(front_end):
    timed = TRAIN.replace("const steps", "const t = performance.now(); const steps")
    timed = re.sub(r"return \{ x.*?;", "return (performance.now() - t) / 25;", timed)
    milliseconds = front_end(FoldTraining, timed, {"seed": 0, "fold": 0})
    assert milliseconds < 1000 / 60  # 25: a frame trains two models


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"steps": 5}, TraitError, "a whole number from 10 to 200"),
        ({"guess": 101}, TraitError, "a number from 0 to 100"),
        ({"folds": 3}, TypeError, "no setting 'folds'. It has: guess, seed, steps"),
    ],
)
def test_bad_setting_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        FoldTraining(**settings)
