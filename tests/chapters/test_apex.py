"""The chapter on apex: stand-ins, what apex_status says, the migrated loop, checks, widget."""

import ast
import dataclasses
import functools
import importlib.metadata
import os
import re
import subprocess
import sys
from importlib.machinery import PathFinder
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import clip_grad_norm_
from traitlets import TraitError

from helpers.chapters.apex import ApexMigration, check, loops, stage, status
from helpers.chapters.apex.check import MISTAKES, _by_the_book
from helpers.chapters.apex.status import CUDA, KINDS, Probes, apex_status
from helpers.widgets.base import STATE_MIME

# --- stand-ins -----------------------------------------------------------------------


def state():
    ours = {name: module for name, module in sys.modules.items() if name in KEPT}
    return ours, sys.path[:], sys.meta_path[:]


KEPT = ("json", "json.decoder", "apex")


@pytest.mark.parametrize(
    "make",
    [
        lambda: stage.stand_in("json", loads=None),
        lambda: stage.absent("json"),
        lambda: stage.only_on_path(["json/__init__.py", "apex/__init__.py"]),
    ],
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
    with stage.absent("json"):
        for name in ("json", "json.decoder"):
            with pytest.raises(ModuleNotFoundError, match="No module named 'json'"):
                importlib.import_module(name)


def test_folder_is_the_only_place_to_import_from():
    with stage.only_on_path(["apex/__init__.py"]) as folder:
        assert importlib.import_module("apex").__file__.startswith(str(folder))
        # Not by importlib.util, which finds what another test has imported already.
        assert PathFinder.find_spec("torchvision") is None
    assert not folder.exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: stage.stand_in("a.b"), "stand_in: name must be .* got 'a.b'"),
        (lambda: stage.absent(3), "absent: name must be a module's name .* got 3"),
        (lambda: stage.only_on_path(["../a.py"]), "folder, got '../a.py'. Write"),
        (
            lambda: stage.only_on_path(["/a.py"]),
            "must lie in the folder, got '/a.py'",
        ),
    ],
)
def test_bad_stand_in_is_named(make, message):
    with pytest.raises(ValueError, match=message), make():
        pass


# --- apex_status: the package --------------------------------------------------------

NVIDIA = ["apex/__init__.py", "apex/optimizers/__init__.py"]
OLD = [*NVIDIA, "apex/amp/__init__.py"]


def machine(version="0.1", **change):
    """Probes of a machine on which all is well, but for a change."""
    good = {"nvcc": "12.8", "torch_cuda": "12.8", "import_error": None}
    answers = {name: (lambda a=answer: a) for name, answer in (good | change).items()}
    return Probes(version=lambda name: version, **answers)


@pytest.mark.parametrize(
    ("files", "change", "kind"),
    [
        ([], {}, "absent"),
        (["apex/__init__.py", "apex/views.py"], {}, "unrelated"),
        (["apex.py"], {}, "unrelated"),
        (["apex/setup.py", "apex/apex/__init__.py"], {}, "folder"),
        (NVIDIA, {}, "without amp"),
        (OLD, {}, "with amp"),
        (["apex/__init__.py", "apex/amp.py", "apex/normalization.py"], {}, "with amp"),
        (OLD, {"import_error": "ImportError: no"}, "broken"),
        (["apex/__init__.py"], {"import_error": "is not asked"}, "unrelated"),
    ],
)
def test_kind_of_apex_is_told_by_its_files(files, change, kind):
    with stage.only_on_path(files):
        status = apex_status(machine(**change))
    assert status.kind == kind
    assert status.details[0] == f"apex{' 0.1' if files else ''}: {KINDS[kind][0]}"
    assert status.advice == KINDS[kind][1].format(remove="Run `pip uninstall apex`")
    assert "{" not in status.advice


@pytest.mark.parametrize(
    ("files", "error"), [(["apex.py"], None), (OLD, "ImportError: no")]
)
def test_apex_that_nobody_installed_is_to_be_renamed(files, error):
    def not_installed(name):
        raise importlib.metadata.PackageNotFoundError(name)

    probes = machine(import_error=error)
    probes = dataclasses.replace(probes, version=not_installed)
    with stage.only_on_path(files) as folder:
        status = apex_status(probes)
        place = folder / ("apex.py" if error is None else "apex")
    assert status.advice == f"Rename {place}, then port the loop to PyTorch."


@pytest.mark.parametrize(
    ("error", "blamed"),
    [("ImportError: a.so: undefined symbol: x", True), ("ImportError: no", False)],
)
def test_other_pytorch_is_blamed_for_an_undefined_symbol_only(error, blamed):
    with stage.only_on_path(OLD):
        status = apex_status(machine(import_error=error))
    assert f"Error: {error}" in status.details
    assert ("built against another PyTorch" in str(status)) is blamed


@pytest.mark.parametrize(
    ("extra", "compiled"),
    [
        ([], False),
        (["amp_C.py"], True),
        (["apex/_extensions/_amp_C.abi3.so"], True),
        (["apex/_amp_C.cp312-win_amd64.pyd"], True),
        (["apex/_extensions/amp_C.py"], False),
    ],
)
def test_compiled_extensions_are_found_beside_the_package_or_in_it(extra, compiled):
    with stage.only_on_path([*OLD, *extra]):
        status = apex_status(machine())
    assert status.extensions is compiled
    assert f"Extensions: {'compiled' if compiled else 'none'}." in str(status)


@pytest.mark.parametrize("error", [ImportError("half"), ValueError("no __spec__")])
def test_spec_that_cannot_be_had_is_broken_and_says_why(error):
    def find_spec(name):
        raise error

    probes = Probes(find_spec, nvcc=lambda: None, torch_cuda=lambda: "12.8")
    status = apex_status(probes)
    assert status.kind == "broken"
    assert f"Error: {type(error).__name__}: {error}" in status.details


def test_module_without_a_spec_is_broken_too():
    with stage.stand_in("apex"):
        sys.modules["apex"].__spec__ = None
        assert apex_status(machine()).kind == "broken"


def test_nothing_of_apex_is_imported():
    with stage.only_on_path(OLD) as folder:
        (folder / "apex/__init__.py").write_text("raise SystemExit('imported')")
        assert apex_status(machine()).kind == "with amp"
        assert "apex" not in sys.modules


@pytest.mark.parametrize(
    ("version", "told"), [("25.09", "apex 25.09: "), (None, "apex: ")]
)
def test_version_is_told_if_there_is_one(version, told):
    def find(name):
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    probes = Probes(version=find, nvcc=lambda: None, import_error=lambda: None)
    with stage.only_on_path(OLD):
        status = apex_status(probes)
    assert status.version == version
    assert status.details[0].startswith(told)


def test_wrong_probes_are_named():
    with pytest.raises(TypeError, match="apex_status: probes must be Probes, got dict"):
        apex_status({})


@pytest.mark.parametrize("name", ["find_spec", "version", "nvcc", "torch_cuda"])
def test_probe_that_is_no_function_is_named(name):
    message = (
        f"Probes: {name} must be a function, got '12.4'. Write {name}=lambda: '12.4'"
    )
    with pytest.raises(TypeError, match=message):
        Probes(**{name: "12.4"})


# --- apex_status: the compiler -------------------------------------------------------


@pytest.mark.parametrize(
    ("nvcc", "of_torch", "cuda", "told"),
    [
        ("12.8", "12.8", "match", "nvcc 12.8 matches PyTorch's CUDA 12.8."),
        ("12.4", "12.8", "mismatch", "nvcc 12.4, but PyTorch's CUDA is 12.8; install"),
        ("11.8", "12.8", "mismatch", "does not match the version used to compile"),
        ("12.8", "12.8.1", "match", "matches"),
        ("1.28", "12.8", "mismatch", "nvcc 1.28, but"),
        (
            None,
            "12.8",
            "no compiler",
            "--cuda_ext was requested, but nvcc was not found",
        ),
        ("12.8", None, "no CUDA", "this PyTorch is built without CUDA"),
        (None, None, "no CUDA", "this PyTorch is built without CUDA"),
    ],
)
def test_compiler_is_compared_by_the_rule_of_apex_s_build(nvcc, of_torch, cuda, told):
    with stage.only_on_path([]):
        status = apex_status(machine(nvcc=nvcc, torch_cuda=of_torch))
    assert status.cuda == cuda
    assert told in re.sub(r"\s+", " ", str(status))


def test_every_answer_fits_into_72_columns_and_no_key_is_unused():
    seen = set()
    for files in ([], ["apex.py"], ["apex/setup.py"], NVIDIA, OLD):
        for nvcc, of_torch in [
            ("12.4", "12.8"),
            (None, "12.8"),
            ("1.0", None),
            ("1.0",) * 2,
        ]:
            for error in (None, "ImportError: " + "long " * 30):
                with stage.only_on_path(files):
                    status = apex_status(
                        machine(nvcc=nvcc, torch_cuda=of_torch, import_error=error)
                    )
                seen |= {status.kind, status.cuda}
                assert max(map(len, str(status).splitlines())) <= 72
                assert str(status).count("Do: ") == 1
    assert seen == set(KINDS) | set(CUDA)


# --- the probes themselves -----------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "version"),
    [("Cuda compilation tools, release 12.8, V12.8.93", "12.8"), ("nonsense", None)],
)
def test_version_of_the_compiler_is_read(tmp_path, monkeypatch, says, version):
    compiler = tmp_path / "bin" / "nvcc"
    compiler.parent.mkdir()
    compiler.write_text(f"#!/bin/sh\necho '{says}'\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert status.nvcc_version() == version


def test_no_compiler_anywhere_is_none(monkeypatch):
    monkeypatch.setenv("CUDA_HOME", os.devnull)
    monkeypatch.setattr(status.shutil, "which", lambda place: None)
    assert status.nvcc_version() is None


def test_cuda_of_torch_is_torch_s_own_word():
    assert status.torch_cuda() == torch.version.cuda


@pytest.mark.parametrize(
    ("code", "stderr", "told"),
    [
        (0, "a warning", None),
        (1, "Traceback\n  in line 3\nImportError: no\n", "ImportError: no"),
        (-11, "", "Python ended with status -11"),
    ],
)
def test_import_in_another_process_tells_how_it_failed(monkeypatch, code, stderr, told):
    def run(command, **settings):
        assert command[:2] == [sys.executable, "-c"]
        return subprocess.CompletedProcess(command, code, "", stderr)

    monkeypatch.setattr(status.subprocess, "run", run)
    assert status.import_error() == told


@pytest.mark.parametrize(
    ("extension", "told"),
    [
        ("", None),
        ("amp_C", "ImportError: undefined symbol: x"),
        ("fused_layer_norm_cuda", "ImportError: undefined symbol: x"),
    ],
)
def test_extension_that_does_not_load_is_seen_though_apex_hides_it(
    tmp_path, monkeypatch, extension, told
):
    (tmp_path / "torch.py").touch()  # the real one takes a second
    hides = "try:\n    import amp_C\nexcept ImportError:\n    pass\n"
    (tmp_path / "apex.py").write_text(hides)
    if extension:
        (tmp_path / f"{extension}.py").write_text(
            "raise ImportError('undefined symbol: x')"
        )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert status.import_error() == told


def test_import_that_hangs_is_given_up(monkeypatch):
    def run(command, timeout, **settings):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(status.subprocess, "run", run)
    assert status.import_error() == "the import took more than two minutes"


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
