"""The chapter on progress bars: clock and screen, checks, widget."""

import io
import math
import re
from itertools import cycle, zip_longest

import numpy as np
import pytest
import torch
import tqdm.notebook as notebook_bars
from tqdm import tqdm
from tqdm.std import EMA
from traitlets import TraitError

from helpers.chapters.progress_bars import EtaSmoothing, LastBatch, check, watched
from helpers.chapters.progress_bars.eta import RUNS
from helpers.chapters.progress_bars.stage import Terminal, fake_clock
from helpers.running_mean import RunningMean
from helpers.widgets.base import STATE_MIME


def mean_of(pairs, convert=float):
    mean = RunningMean()
    for value, weight in pairs:
        mean.update(convert(value), weight)
    return mean.compute()


# --- the clock and the screen --------------------------------------------------------


def test_fake_clock_gives_tqdm_s_own_back_even_after_an_error():
    from tqdm import std

    before = std.time, std.tqdm.monitor_interval
    with fake_clock() as clock:
        clock.sleep(2.5)
        assert std.time() == 2.5
    assert (std.time, std.tqdm.monitor_interval) == before
    with pytest.raises(KeyError), fake_clock():
        raise KeyError
    assert (std.time, std.tqdm.monitor_interval) == before


def test_fake_clock_stops_the_thread_that_would_mix_in_real_time():
    tqdm(range(1), file=Terminal()).close()
    assert tqdm.monitor is not None
    with fake_clock():
        list(tqdm(range(3), file=Terminal()))
        assert tqdm.monitor is None


def test_fake_clock_does_the_work_of_the_thread_by_its_own_time():
    lines = {}
    for longest in (10, 60):
        log = Terminal(interactive=False)
        with fake_clock() as clock:
            for _ in tqdm(range(691), file=log, mininterval=60, maxinterval=longest):
                clock.sleep(1 / 1.54)
            assert clock.now_s == pytest.approx(691 / 1.54)
        lines[longest] = log.getvalue().splitlines()
    # As counted in real runs of seven and a half minutes.
    assert [len(told) for told in lines.values()] == [17, 10]
    assert any("| 93/691 [01:20<" in line for line in lines[10])


def test_fake_clock_inside_another_has_no_thread_s_work_to_do():
    with fake_clock() as outer, fake_clock() as inner:
        inner.sleep(25)
        outer.sleep(25)
    assert (inner.now_s, outer.now_s) == (25, 25)


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("abc\rX", "Xbc"),
        ("abc\n\x1b[AX", "Xbc"),
        ("a\nb\x1b[A\x1b[A\rX\n\nY", "X\nb\nY"),
        ("a\n    \r\n", "a"),
        ("", ""),
        ("ab\nabc\x1b[AX", "ab X\nabc"),
    ],
)
def test_terminal_shows_what_a_terminal_shows(written, seen):
    screen = Terminal()
    screen.write(written)
    assert screen.text() == seen


def test_bar_without_a_terminal_is_silent_with_disable_none():
    for interactive in (True, False):
        screen = Terminal(interactive)
        with fake_clock():
            list(tqdm(range(3), file=screen, disable=None))
        assert bool(screen.draws) is interactive


def test_bars_left_open_elsewhere_take_up_no_line_under_the_clock():
    left = tqdm(total=3, file=Terminal())
    with fake_clock():
        list(tqdm(range(3), file=(screen := Terminal())))
    assert screen.text().count("\n") == 0
    assert left in tqdm._instances
    left.close()


def test_watched_bar_is_drawn_ten_times_a_second():
    assert watched(100, 0.01).draws == 11
    assert watched(100, 0.01, interactive=False, disable=None).draws == 0


# --- checks --------------------------------------------------------------------------


def averaged(weigh=True, divide=None, bar=tqdm):
    def epoch_mean(loader, loss_of, file):
        total, count = 0.0, 0
        for x, y in bar(loader, file=file):
            total += loss_of(x, y).item() * (len(x) if weigh else 1)
            count += len(x) if weigh else 1
        return total / (divide or count)

    return epoch_mean


def outside(loader, file):
    return (pair for _, pair in tqdm(enumerate(loader), file=file))


def by_samples(loader, loss_of, file):
    mean = RunningMean()
    with tqdm(total=len(loader.dataset), file=file) as bar:
        for x, y in loader:
            mean.update(loss_of(x, y), weight=len(x))
            bar.update(len(x))
    return mean.compute()


def by_batch_size(loader, loss_of, file):
    losses = [loss_of(x, y).item() for x, y in tqdm(loader, file=file)]
    return sum(losses) * loader.batch_size / len(loader.dataset)


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (averaged(weigh=False, divide=22, bar=outside), "○ Not yet: the mean loss of"),
        (averaged(weigh=False, divide=22), "✗ Hint: that is the sum of the six batch means"),
        (averaged(), "✓ Correct"),
        (by_samples, "✓ Correct"),
        (averaged(weigh=False), "✗ Hint: that is the mean of six batches"),
        (averaged(bar=outside), "✗ Hint: the mean is right, but after 3 batches .* no total"),
        (averaged(bar=lambda it, file: it), "✗ Hint: nothing was drawn"),
        (
            averaged(bar=lambda it, file: tqdm(it, total=22, file=file)),
            "✗ Hint: after 3 of 6 batches, 12 samples",
        ),
        (by_batch_size, "✗ Hint: each batch is weighed by 4, the loader's batch_size"),
        (averaged(divide=6), "✗ Hint: each loss is weighed right, .* Divide by the 22"),
        (averaged(divide=7), "✗ Hint: the mean loss of the 22 samples is 150.5, got 473"),
        (lambda loader, loss_of, file: 1.0, "✗ Hint: walk the loader once: got 0 of 6"),
        (lambda loader, loss_of, file: None, "○ Not yet: <lambda> returned None"),
        (
            lambda loader, loss_of, file: sum(loss_of(x, y) * len(x) for x, y in loader) / 22,
            "✗ Hint: the result still holds every batch's graph",
        ),
    ],
)  # fmt: skip
def test_epoch_mean_tells_right_from_wrong(attempt, text):
    assert re.match(text, repr(check.epoch_mean(attempt)))


def paired(a, b, file):
    return tqdm(zip(a, b, strict=False), total=min(len(a), len(b)), file=file)


def by_generator(a, b, file):
    with tqdm(total=min(len(a), len(b)), file=file) as bar:
        for pair in zip(a, b, strict=False):
            yield pair
            bar.update()


def counted_at_its_start(a, b, file):
    with tqdm(total=min(len(a), len(b)), file=file) as bar:
        for pair in zip(a, b, strict=False):
            bar.update()
            yield pair


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (paired, "✓ Correct"),
        (by_generator, "✓ Correct"),
        (counted_at_its_start, "✓ Correct"),
        (lambda a, b, f: None, "○ Not yet"),
        (lambda a, b, f: zip(a, b, strict=False), "✗ Hint: nothing was drawn"),
        (
            lambda a, b, f: tqdm(zip(a, b, strict=False), file=f),
            r"✗ Hint: after 3 pairs the bar says '3it .* it has no total",
        ),
        (
            lambda a, b, f: tqdm(zip(a, b, strict=False), total=len(a), file=f),
            r"✗ Hint: after 3 of 6 pairs the bar says .*3/8.*When does zip end",
        ),
        (
            lambda a, b, f: zip(tqdm(a, file=f), b, strict=False),
            r"✗ Hint: after 3 of 6 pairs the bar says .*3/8",
        ),
        (  # one of its two bars ends at 6/8
            lambda a, b, f: zip(tqdm(a, file=f), tqdm(b, file=f), strict=False),
            r"✗ Hint: after 3 of 6 pairs the bar says .*3/8.*When does zip end",
        ),
        (
            lambda a, b, f: tqdm(list(zip(a, b, strict=False)), file=f),
            "✗ Hint: all batches were loaded before the first",
        ),
        (lambda a, b, f: tqdm(a, file=f), "✗ Hint: the loop must get 6 pairs"),
        (
            lambda a, b, f: tqdm(zip(a, cycle(b), strict=False), total=8, file=f),
            "✗ Hint: zip alone ends after 6 pairs. Yours repeats batches",
        ),
        (
            lambda a, b, f: tqdm(zip_longest(a, b), total=8, file=f),
            "✗ Hint: zip alone ends after 6 pairs. Yours fills up with None",
        ),
        (  # and this one never ends
            lambda a, b, f: tqdm(zip(cycle(a), cycle(b), strict=False), file=f),
            "✗ Hint: zip alone ends after 6 pairs. Yours repeats batches",
        ),
        (lambda a, b, f: 3, "✗ Hint: the loop raised TypeError: 'int' .* it can walk"),
        (
            lambda a, b, f: tqdm(zip(a, b, strict=True), total=6, file=f),
            r"✗ Hint: the loop raised ValueError: zip\(\) .* strict=True forbids",
        ),
        (
            lambda a, b, f: (1 / 0 for _ in tqdm(a, file=f)),
            "✗ Hint: the loop raised ZeroDivisionError: .* loaders are fine",
        ),
        (lambda a, b: a, "✗ Hint: <lambda> raised TypeError"),
    ],
)
def test_paired_tells_right_from_wrong(attempt, text):
    assert re.match(text, repr(check.paired(attempt)))


def squares(batches):
    return sum(((p - t) ** 2).sum() for p, t in batches)


def roots(batches):
    return [((p - t) ** 2).mean().sqrt().item() for p, t in batches]


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (lambda b: (squares(b).item() / 9) ** 0.5, "✓ Correct"),
        (lambda b: (squares(b).detach() / 9).sqrt(), "✓ Correct"),
        (lambda b: None, "○ Not yet"),
        (lambda b: (squares(b) / 9).sqrt(), "✗ Hint: the result still holds every"),
        (lambda b: sum(roots(b)) / 3, "✗ Hint: that is the mean of the three batches'"),
        (lambda b: mean_of(zip(roots(b), (4, 4, 1), strict=True)), "✗ Hint: that weighs the"),
        (lambda b: sum((p - t).abs().sum().item() for p, t in b) / 9, "✗ Hint: .* absolute errors"),
        (lambda b: sum(squares([p]).item() ** 0.5 for p in b) / 9, "✗ Hint: .* one root, last"),
        (
            lambda b: (sum((p - t).sum().item() ** 2 for p, t in b) / 9) ** 0.5,
            "✗ Hint: that squares a batch's sum",
        ),
        (lambda b: squares(b).item() / 9, "✗ Hint: that is the mean square error"),
        (lambda b: (sum(r * r for r in roots(b)) / 3) ** 0.5, "✗ Hint: the last batch has 1"),
        (lambda b: (squares(b).item() / len(b)) ** 0.5, "✗ Hint: that divides by the 3"),
        (lambda b: torch.cat([p - t for p, t in b]).std().item(), "✗ Hint: that divides by 8"),
        (
            lambda b: (sum(r * r for r in roots(b)) * 4 / 9) ** 0.5,
            "✗ Hint: the last batch has 1 sample, and is weighed by 4",
        ),
        (lambda b: 7.0, "✗ Hint: the 9 squared errors .* mean is 2.494, got 7.0000"),
        (lambda b: torch.zeros(3), r"✗ Hint: return one number, got shape \(3,\)"),
        (lambda b: "many", "✗ Hint: return one number, got str"),
    ],
)  # fmt: skip
def test_epoch_rmse_tells_right_from_wrong(attempt, text):
    assert re.match(text, repr(check.epoch_rmse(attempt)))


# --- widget --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change", [{"run": "slow start"}, {"smoothing": 0.0}, {"batch": 7}]
)
def test_eta_smoothing_s_digest_changes_with_whatever_is_shown(change):
    states = [
        w._repr_mimebundle_()[0][STATE_MIME]
        for w in (EtaSmoothing(), EtaSmoothing(**change))
    ]
    assert states[0] != states[1]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"run": "fast"}, TraitError, "run"),
        ({"smoothing": 1.1}, TraitError, r"smoothing.* from 0 to 1, not the \w+ 1.1"),
        (
            {"smoothing": math.nan},
            TraitError,
            r"smoothing.* from 0 to 1, not the \w+ nan",
        ),
        ({"batch": 0}, TraitError, r"batch.* from 1 to 299, not the \w+ 0"),
        ({"batch": 300}, TraitError, r"batch.* from 1 to 299, not the \w+ 300"),
        ({"alpha": 1}, TypeError, "no setting 'alpha'. It has: batch, run, smoothing"),
    ],
)
def test_bad_setting_of_eta_smoothing_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        EtaSmoothing(**settings)


def by_tqdm(seconds, smoothing):
    """What tqdm itself says after each batch."""
    rows = []
    with (
        fake_clock() as clock,
        tqdm(seconds, file=Terminal(), smoothing=smoothing) as bar,
    ):
        for s in seconds:
            clock.sleep(s)
            bar.update()
            now = bar.format_dict
            rate = now["rate"] or now["n"] / now["elapsed"]
            left = (now["total"] - now["n"]) / rate
            rows.append([now["n"], now["elapsed"], rate, left])
    return np.array(rows)


@pytest.mark.parametrize("smoothing", [0, 0.05, 0.3, 0.75, 1])
@pytest.mark.parametrize("run", RUNS)
def test_eta_smoothing_says_and_draws_what_tqdm_does(front_end, run, smoothing):
    seconds = front_end(EtaSmoothing, "m.durations(a)", run)
    assert len(seconds) == 300
    rows = by_tqdm(seconds, smoothing)
    code = "m.follow_run(...a)"
    ours = front_end(EtaSmoothing, code, [seconds, smoothing])
    table = [[row[k] for k in ("n", "elapsed", "rate", "eta")] for row in ours]
    np.testing.assert_allclose(table, rows, rtol=1e-6)
    left = seconds[::-1]
    truth = [*np.cumsum(left)[::-1][1:], 0]
    np.testing.assert_allclose([row["truth"] for row in ours], truth, atol=1e-6)
    error = front_end(EtaSmoothing, f"m.meanError({code})", [seconds, smoothing])
    assert error == pytest.approx(np.abs(rows[:, 3] - truth).mean())
    bars = front_end(
        EtaSmoothing, f"{code}.map((row) => m.meter(row, 300))", [seconds, smoothing]
    )
    assert bars == [
        tqdm.format_meter(row["n"], 300, row["elapsed"], rate=row["rate"], ascii=True)
        for row in ours
    ]


@pytest.mark.parametrize("smoothing", [0.01, 0.3, 1])
def test_eta_smoothing_s_average_is_tqdm_s(front_end, smoothing):
    values = np.random.default_rng(0).uniform(0, 50, 200).tolist()
    average = EMA(smoothing)
    theirs = [average(value) for value in values]
    ours = front_end(EtaSmoothing, "m.ema(...a)", [values, smoothing])
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("seconds", [0, 59.9, 60, 3599, 3600, 86399.5])
def test_eta_smoothing_writes_time_as_tqdm_does(front_end, seconds):
    ours = front_end(EtaSmoothing, "m.interval(a)", seconds)
    assert ours == tqdm.format_interval(seconds)


def test_bar_is_not_blamed_for_a_stall_that_is_still_to_come(mount):
    page = mount(EtaSmoothing(batch=50))
    assert "still to come" in page.inner_text("[aria-live]")
    page.get_by_label("after batch, as a number").fill("100")
    assert "is 28.4 times the truth" in page.inner_text("[aria-live]")


def test_eta_smoothing_tells_the_mean_error_of_both(mount):
    page = mount(EtaSmoothing())
    assert "wrong by 59 s; with smoothing 0 by 45 s." in page.inner_text(".mp")
    page.get_by_label("smoothing, as a number").fill("0")
    assert "wrong by 45 s." in page.inner_text(".mp")


def test_disable_none_hides_a_plain_bar_in_a_notebook_and_not_its_widget():
    settings = {"disable": None, "file": io.StringIO()}  # a notebook's is no terminal
    assert tqdm(range(3), **settings).disable
    assert not notebook_bars.tqdm(range(3), display=False, **settings).disable


# --- the last batch ------------------------------------------------------------------


@pytest.mark.parametrize("full", [1, 7, 70])
@pytest.mark.parametrize(("size", "wrong"), [(1, 0), (1, 3), (2, 1), (64, 3)])
def test_means_of_the_page_are_those_of_running_mean(front_end, size, wrong, full):
    parts = [(61 / 64, 64)] * full + [((size - min(wrong, size)) / size, size)]
    ours = front_end(LastBatch, "m.means(...a)", [size, wrong, full])
    by_batch = mean_of((share, 1) for share, _ in parts)
    assert ours["batches"] == pytest.approx(100 * by_batch, abs=1e-9)
    assert ours["samples"] == pytest.approx(100 * mean_of(parts), abs=1e-9)


def test_what_the_chapter_says_of_the_last_batch_holds(front_end):
    cases = [[size, 1, 20] for size in range(1, 65)] + [[1, 0, 20], [1, 0, 70]]
    found = front_end(LastBatch, "a.map((v) => m.means(...v))", cases)
    *low, some, many = [each["samples"] - each["batches"] for each in found]
    assert 4 < low[0] < 5
    assert next(size for size, gap in enumerate(low, 1) if gap < 1) == 4
    assert max(low[3:]) < 1
    assert -some == pytest.approx(0.2, abs=0.03)
    assert -many < 0.1


def test_last_batch_shows_no_mean_before_the_guess(mount):
    page = mount(LastBatch(), width=400)
    assert page.locator("tbody td").all_inner_texts() == ["–", "–", "–"]
    assert not page.locator(".mp-curve").count()
    height = page.locator(".mp").bounding_box()["height"]
    page.get_by_label("Your guess, in %, as a number").fill("92.5")
    page.get_by_role("button", name="Lock my guess").press("Enter")
    assert page.locator("tbody td").all_inner_texts() == ["90.8%", "95.2%", "92.5%"]
    assert page.locator(".mp-curve").count() == 3
    assert "You guessed 92.5%" in page.inner_text("[aria-live]")
    assert page.locator(".mp").bounding_box()["height"] == height
    page.get_by_label("Last batch, as a number").fill("64")
    assert page.evaluate("window.state.size") == 64
    page.get_by_role("button", name="Reset").click()
    assert page.evaluate("window.state.guess") is None
    assert page.locator("tbody td").all_inner_texts() == ["–", "–", "–"]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"size": 0}, TraitError, r"size.* from 1 to 64, not the \w+ 0"),
        ({"wrong": 4}, TraitError, r"wrong.* from 0 to 3, not the \w+ 4"),
        ({"guess": 101.0}, TraitError, r"guess.* from 0 to 100"),
        ({"n": 1}, TypeError, "no setting 'n'. It has: full, guess, size, wrong"),
    ],
)
def test_bad_setting_of_the_last_batch_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        LastBatch(**settings)
