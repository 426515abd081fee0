"""The chapter on apex: stand-ins, what apex_status says, the migrated loop, checks, widget."""

import ast
import functools
import importlib
import re
import subprocess
import sys
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import clip_grad_norm_
from traitlets import TraitError

from helpers.chapters.apex import (
    ApexMigration,
    apex_status,
    check,
    loops,
    stage,
    status,
)
from helpers.chapters.apex.check import MISTAKES, _by_the_book
from helpers.chapters.apex.status import KINDS
from helpers.widgets.base import STATE_MIME

# --- stand-ins -----------------------------------------------------------------------


def state():
    ours = {name: module for name, module in sys.modules.items() if name in KEPT}
    return ours, sys.path[:], sys.meta_path[:]


KEPT = ("json", "json.decoder", "apex")


@pytest.mark.parametrize(
    "make", [lambda: stage.stand_in("json", loads=None), lambda: stage.absent("json")]
)
def test_stand_in_is_gone_afterwards_even_after_a_failure(make):
    import json

    def fail():
        assert sys.modules.get("json") is not json
        return 1 / 0

    before = state()
    with pytest.raises(ZeroDivisionError), make():
        fail()
    assert state() == before
    assert sys.modules["json"] is json


def test_stand_in_has_what_it_is_given_and_no_more():
    with stage.stand_in("apex", optimizers=3):
        module = importlib.import_module("apex")
        assert module.optimizers == 3
        assert not hasattr(module, "amp")
        assert module.__file__ == "site-packages/apex/__init__.py"


def test_absent_package_is_not_found_with_its_parts():
    for name in ("json", "json.part"):
        named = pytest.raises(ModuleNotFoundError, match="No module named 'json'")
        with stage.absent("json"), named:
            importlib.import_module(name)


# --- apex_status ---------------------------------------------------------------------

NVIDIA = ["apex/__init__.py", "apex/optimizers/__init__.py"]
OLD = [*NVIDIA, "apex/amp/__init__.py"]
INSTALLED = "apex-25.9.dist-info/METADATA"


@pytest.fixture
def place(tmp_path):
    """Make a folder of files, empty but for the text that they are given."""

    def make(files, **texts):
        texts = {f"{name}.py": text for name, text in texts.items()}
        for name in [*files, *texts]:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                "Version: 25.9\n" if name == INSTALLED else texts.get(name, "")
            )
        return [str(tmp_path)]

    return make


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ([], "absent"),
        (["apex/__init__.py", "apex/views.py"], "unrelated"),
        (["apex.py"], "unrelated"),
        (["apex/setup.py", "apex/apex/__init__.py"], "folder"),
        (NVIDIA, "without amp"),
        (OLD, "with amp"),
        (["apex/__init__.py", "apex/amp.py", "apex/normalization.py"], "with amp"),
    ],
)
def test_kind_of_apex_is_told_by_its_files(place, files, kind):
    found = apex_status(place(files))
    assert found.kind == kind
    assert str(found).startswith(f"apex: {KINDS[kind][0][:40]}")


def test_this_machine_is_asked_if_no_path_is_given(place, monkeypatch):
    monkeypatch.setattr(sys, "path", [*place(["apex.py"]), *sys.path])
    assert apex_status().kind == "unrelated"


@pytest.mark.parametrize(
    ("files", "error", "remove"),
    [
        (["apex.py"], None, "apex.py"),
        (["apex/__init__.py"], None, "apex"),
        (OLD, "ImportError: no", "apex"),
    ],
)
def test_apex_to_be_removed_is_named(place, monkeypatch, files, error, remove):
    monkeypatch.setattr(status, "_import_error", lambda path: error)
    (folder,) = place(files)
    found = apex_status([folder])
    assert found.kind == ("broken" if error else "unrelated")
    assert (f"Error: {error}" in str(found)) is bool(error)
    advice = str(found).replace("\n", " ")
    assert f"`pip uninstall apex`, or rename {folder}/{remove} if pip" in advice


def test_nothing_of_apex_is_imported(place):
    (folder,) = place(OLD)
    with open(f"{folder}/apex/__init__.py", "w") as file:
        file.write("raise SystemExit('imported')")
    assert apex_status([folder]).error == "imported"  # in the other process
    assert "apex" not in sys.modules


@pytest.mark.parametrize(
    ("files", "version", "told"),
    [([*OLD, INSTALLED], "25.9", "apex 25.9: "), (OLD, None, "apex: ")],
)
def test_version_is_told_if_there_is_one(place, files, version, told):
    found = apex_status(place(files))
    assert found.version == version
    assert str(found).startswith(told)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [None, "ImportError: " + "long " * 30])
def test_every_answer_fits_into_72_columns(kind, error):
    text = str(status.ApexStatus(kind, "25.9", "site-packages/apex", error))
    assert max(map(len, text.splitlines())) <= 72
    assert text.count("Do: ") == 1
    assert "{" not in text


@pytest.mark.parametrize(
    ("code", "stderr", "told"),
    [
        (0, "a warning", None),
        (1, "Traceback\n  in line 3\nImportError: no\n", "ImportError: no"),
        (-11, "", "Python ended with status -11"),
    ],
)
def test_import_in_another_process_tells_how_it_failed(
    place, monkeypatch, code, stderr, told
):
    def run(command, **settings):
        assert command[:2] == [sys.executable, "-c"]
        return subprocess.CompletedProcess(command, code, "", stderr)

    monkeypatch.setattr(status.subprocess, "run", run)
    found = apex_status(place(OLD))
    assert (found.kind, found.error) == ("broken" if told else "with amp", told)


@pytest.mark.parametrize("extension", ["amp_C", "fused_layer_norm_cuda"])
def test_extension_that_does_not_load_is_seen_though_apex_hides_it(place, extension):
    path = place(NVIDIA, **{extension: "raise ImportError('undefined symbol: x')"})
    (folder,) = path
    with open(f"{folder}/apex/__init__.py", "w") as file:
        file.write("try:\n    import amp_C\nexcept ImportError:\n    pass\n")
    assert apex_status(path).error == "ImportError: undefined symbol: x"


def test_import_that_hangs_is_given_up(place, monkeypatch):
    def run(command, timeout, **settings):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(status.subprocess, "run", run)
    assert apex_status(place(OLD)).error == "the import took more than two minutes"


# --- the migrated loop ---------------------------------------------------------------


def test_new_loop_runs_and_trains(tmp_path):
    def make_model(norm):
        return nn.Sequential(nn.Linear(8, 32), norm(32), nn.ReLU(), nn.Linear(32, 3))

    x = torch.randn(40, 64, 8)
    loader = list(zip(x, x[..., :3].argmax(dim=-1), strict=True))
    names = {"torch": torch, "F": F, "clip_grad_norm_": clip_grad_norm_}
    names |= {"device": "cpu", "make_model": make_model, "loader": loader}
    names |= {"path": tmp_path / "a.pt"}
    exec(loops.new_loop(), names)
    predicted = names["model"](x[0]).argmax(dim=1)
    assert (predicted == loader[0][1]).double().mean() > 0.8
    assert {p.dtype for p in names["model"].parameters()} == {torch.float32}
    saved = torch.load(tmp_path / "a.pt")
    assert saved["scaler"]["scale"] == 2**16
    assert saved["model"].keys() == names["model"].state_dict().keys()


def test_every_line_of_the_old_loop_has_its_replacement():
    ast.parse(loops.old_loop())
    assert "apex" not in loops.new_loop()
    assert not re.search(
        r"\bamp\.(?!import)", loops.new_loop().replace("torch.amp", "")
    )
    for line in loops.LOOP:
        of_apex = re.search(r"apex|\bamp\b|Fused|scaled_loss|\.cuda\(", line.old)
        assert line.fate != "stays" or not of_apex, line
        assert line.why.endswith(".")
        assert max(map(len, line.new.split("\n"))) <= 88
    assert len({line.old for line in loops.LOOP}) == len(loops.LOOP)


# --- checks --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (_by_the_book, "✓ Correct: weights and scale"),
        (lambda m, b: None, "○ Not yet"),
        (lambda m, b: m, "✗ Hint: return the scaler, got Sequential"),
        (lambda m, b: torch.amp.GradScaler("cpu"), "✗ Hint: the model has not changed"),
        (lambda m, b: 1 / 0, "✗ Hint: .* raised ZeroDivisionError"),
        (lambda m: m, "✗ Hint: <lambda> raised TypeError"),
        (3, "✗ Hint: pass the function itself, got int"),
        *[
            (
                lambda m, b, c=change: _by_the_book(m, b, **c),
                f"✗ Hint: {re.escape(text)}",
            )
            for change, text in MISTAKES
        ],
        (
            lambda m, b: _by_the_book(m, b[:6]),
            "✗ Hint: the weights are not those of the old loop",
        ),
    ],
)
def test_train_tells_right_from_wrong(attempt, text):
    assert re.match(text, repr(check.train(attempt)))


def halved(model, batches):
    model.half()
    return torch.amp.GradScaler("cpu")


def stepping_by_hand(model, batches):
    scaler = torch.amp.GradScaler("cpu")
    for p in model.parameters():
        p.data.fill_(float("nan"))
    return scaler


def updating_twice(model, batches):
    scaler = _by_the_book(model, batches)
    scaler.update(new_scale=7.0)
    return scaler


def never_clearing(model, batches):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu")
    for i, (x, y) in enumerate(batches):
        with torch.amp.autocast("cpu", dtype=torch.float16):
            loss = F.cross_entropy(model(x), y) / 2
        scaler.scale(loss).backward()
        if i % 2 == 1:
            scaler.unscale_(optimizer)
            clip_grad_norm_(model.parameters(), 0.5)
            scaler.step(optimizer)
            scaler.update()
    return scaler


def fused_sgd(model, batches):
    made = functools.partial(torch.optim.SGD, fused=True)
    with mock.patch("torch.optim.SGD", made):
        return _by_the_book(model, batches)


def forgetting_update(model, batches):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    for x, y in batches:
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        scaler.unscale_(optimizer)
    return scaler


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (halved, "the weights must stay in float32"),
        (stepping_by_hand, "the weights are nan. One step overflows"),
        (
            never_clearing,
            "the model has not changed.* or are the gradients never cleared",
        ),
        (fused_sgd, "leave fused=True away: where the first step is left out"),
        (updating_twice, "the weights are right, but the scale ends at 7"),
        (
            forgetting_update,
            "forgetting_update raised RuntimeError: unscale_.. has already",
        ),
    ],
)
def test_train_has_a_hint_for(attempt, text):
    assert re.match(f"✗ Hint: {text}", repr(check.train(attempt)))


def test_exercise_s_batches_make_one_step_overflow():
    scaler = _by_the_book(check._model(), check._batches())
    assert scaler.get_scale() < 2**16


RIGHT = {"session": "C", "symbol": "D", "nvcc": "B", "fused": "A", "state": "E"}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (..., "○ Not yet: put a letter"),
        (RIGHT | {"nvcc": ...}, "○ Not yet: put a letter"),
        (RIGHT, "✓ Correct: PyTorch's own parts"),
        (RIGHT | {"fused": "d"}, "✓ Correct: PyTorch's own parts"),
        ({name: letter.lower() for name, letter in RIGHT.items()}, "✓ Correct"),
        (
            {"session": "C"},
            "✗ Hint: keep the dict with its five names: session, symbol",
        ),
        *[(RIGHT | {name: "F"}, f"✗ Hint: {name}: ") for name in RIGHT],
    ],
)
def test_causes_tells_right_from_wrong(answer, text):
    assert repr(check.causes(answer)).startswith(text)


# --- widget --------------------------------------------------------------------------

LINES = ApexMigration().lines


def test_apex_migration_s_digest_changes_with_the_line():
    states = [
        w._repr_mimebundle_()[0][STATE_MIME]
        for w in (ApexMigration(), ApexMigration(line=3))
    ]
    assert states[0] != states[1]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"line": 15}, TraitError, r"line.* from 0 to 14, not the \w+ 15"),
        ({"line": -1}, TraitError, r"line.* from 0 to 14, not the \w+ -1"),
        ({"line": "a"}, TraitError, "line"),
        ({"lines": []}, TraitError, "lines cannot be set: the widget makes it"),
        ({"loop": 1}, TypeError, "no setting 'loop'. It has: line, lines"),
    ],
)
def test_bad_setting_of_apex_migration_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        ApexMigration(**settings)


def test_loops_of_the_page_are_those_that_are_tested(front_end):
    assert front_end(ApexMigration, "m.loop(a, 0)", LINES) == loops.old_loop()
    assert front_end(ApexMigration, "m.loop(a, 1)", LINES) == loops.new_loop()


def test_page_counts_and_names_what_happens_to_lines(front_end):
    fates = [line.fate for line in loops.LOOP]
    counted = front_end(ApexMigration, "m.tally(a)", LINES)
    assert counted == {fate: fates.count(fate) for fate in ("stays", "changes", "goes")}
    assert front_end(ApexMigration, "m.headline(a, 0)", LINES).startswith("Choose")
    told = front_end(ApexMigration, "a.map((_, i) => m.headline(a, i + 1))", LINES)
    assert told == [f"Line {i} {fate}." for i, fate in enumerate(fates, 1)]


@pytest.fixture(scope="module")
def opened(mount):
    return mount(ApexMigration())


@pytest.fixture
def page(opened):
    """The widget as it begins, in one page for all tests."""
    opened.get_by_role("button", name="Start again").click()
    return opened


def said(page):
    return page.locator("[aria-live]").inner_text()


def details(page):
    """Return the texts of the details that can be seen."""
    return page.locator(".apex-detail:visible").all_inner_texts()


def test_click_opens_the_replacement_and_the_reason_below_the_line(page):
    assert said(page) == "Choose a line of the loop for apex. Seen: 0 of 14."
    assert details(page) == []
    button = page.get_by_role("button", name="amp.master_params")
    button.click()
    line = loops.LOOP[11]
    (shown,) = details(page)
    assert shown.split("\n") == [
        *(f"+ {text}" for text in line.new.split("\n")),
        "",
        line.why,
    ]
    assert said(page) == "Line 12 changes. Seen: 1 of 14."
    assert button.get_attribute("aria-expanded") == "true"
    page.get_by_role("button", name="zero_grad").click()
    assert details(page) == ["=     optimizer.zero_grad()\n\nIt stays."]
    page.get_by_role("button", name="zero_grad").click()  # a second time closes it
    assert details(page) == []


def test_line_that_goes_has_a_reason_and_no_replacement(page):
    page.get_by_role("button", name="with amp.scale_loss").click()
    assert details(page) == [loops.LOOP[9].why]
    assert said(page).startswith("Line 10 goes.")


def test_loop_is_walked_by_keyboard(page):
    page.locator(".apex-line").first.focus()
    page.keyboard.press("Enter")
    for _ in loops.LOOP:  # once more than there are lines to go down
        page.keyboard.press("ArrowDown")
    assert page.evaluate("state.line") == len(loops.LOOP)
    assert said(page) == ("Line 14 changes. Seen: 14 of 14. 2 stay, 11 change, 1 goes.")
    signs = page.locator(".apex-line > span").all_inner_texts()
    expected = {"stays": "=", "changes": "~", "goes": "−"}
    assert signs == [expected[line.fate] for line in loops.LOOP]
    for key, line in (("Home", 1), ("ArrowUp", 1), ("End", 14)):
        page.keyboard.press(key)
        assert page.evaluate("state.line") == line
    page.get_by_role("button", name="Start again").click()
    assert said(page) == "Choose a line of the loop for apex. Seen: 0 of 14."


def test_whole_loop_is_the_one_that_is_tested_and_fits_a_narrow_phone(page):
    page.get_by_text("The whole loop for PyTorch").click()
    shown = page.locator("details code")
    assert shown.text_content() == loops.new_loop()
    spaces = "(node) => getComputedStyle(node).whiteSpace"
    assert shown.evaluate(spaces) == "pre-wrap"
    page.locator(".apex-line").last.click()
    wide = (
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    assert page.evaluate(wide)
