"""The chapter on load_state_dict: checks and widget."""

import copy
import random
import re

import pytest
import torch
from torch import nn
from traitlets import TraitError

from helpers.chapters.load_state_dict import KeyMatcher, check
from helpers.chapters.load_state_dict.widget import FILES, PLACES
from helpers.state_dicts import load_matching, load_report
from helpers.widgets.base import STATE_MIME

MODEL = [
    ["submodule.weight", [32, 64]],
    ["submodule.bias", [32]],
    ["norm.weight", [32]],
    ["norm.bias", [32]],
    ["head.weight", [10, 32]],
    ["head.bias", [10]],
]

# --- checks --------------------------------------------------------------------------


def loading(rename=lambda key: key.removeprefix("module."), key="model", strict=True):
    """Return a loader as a reader writes it."""

    def load(model, path):
        given = torch.load(path)
        given = given[key] if key else given
        state_dict = {rename(name): value for name, value in given.items()}
        model.load_state_dict(state_dict, strict=strict)
        return model

    return load


def load_in_the_wrapper(model, path):
    nn.DataParallel(model).load_state_dict(torch.load(path)["model"])


def load_and_raise(model, path):
    state_dict = {k[7:]: v for k, v in torch.load(path)["model"].items()}
    missing, unexpected = model.load_state_dict(state_dict, strict=False)
    assert not missing
    assert not unexpected


def load_a_copy(model, path):
    return loading()(copy.deepcopy(model), path)


def without(word):
    return lambda key: key.replace(word, "")


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (loading(lambda k: k, key=None, strict=False), "○ Not yet: the model still has"),
        (loading(lambda k: k, strict=False), "○ Not yet: the model still has its random"),
        (lambda model, path: None, "○ Not yet"),
        (loading(without("module."), strict=False), "✗ Hint: 4 of 6 entries are set, and sub"),
        (loading(without("module.")), "✗ Hint: on the whole file it raised RuntimeError"),
        (loading(lambda k: k, key=None), "✗ Hint: on the whole file it raised RuntimeError"),
        (loading(key="state_dict"), "✗ Hint: on the whole file it raised KeyError"),
        (lambda model: None, "✗ Hint: on the whole file it raised TypeError"),
        (loading(strict=False), "✗ Hint: the file is loaded. But from one that lacks"),
        (loading(lambda k: k.lstrip("module."), strict=False), ".* and layer.weight is not"),
        (loading(lambda k: k.lstrip("module.")), "✗ Hint: on the whole file it raised"),
        (load_a_copy, "✗ Hint: you return another model, and that one is loaded"),
        (loading(), "✓ Correct"),
        (load_in_the_wrapper, "✓ Correct"),
        (load_and_raise, "✓ Correct"),
        (lambda m, path: load_matching(m, torch.load(path)["model"]), "✓ Correct"),
    ],
)  # fmt: skip
def test_loader_tells_right_from_wrong(attempt, text):
    assert re.match(text, repr(check.loader(attempt)))


def test_loader_leaves_the_reader_s_random_numbers_alone():
    torch.manual_seed(3)
    check.loader(loading())
    after = torch.rand(1)
    torch.manual_seed(3)
    assert after == torch.rand(1)


def key_by_key(state_dict, model):
    names, repaired = model.state_dict(), {}
    for key, value in state_dict.items():
        while key not in names and "." in key:
            key = key.partition(".")[2]
        repaired[key] = value
    return repaired


def all_at_once(state_dict, model):
    while not state_dict.keys() & model.state_dict().keys():
        state_dict = {k.partition(".")[2]: v for k, v in state_dict.items()}
    return dict(state_dict)


def by_suffix(state_dict, model):
    names = model.state_dict()
    return {
        n: v for n in names for k, v in state_dict.items() if f".{k}".endswith(f".{n}")
    }


def renaming(rename):
    return lambda state_dict, model: {rename(k): v for k, v in state_dict.items()}


def by_loop(key):
    while key.startswith(("module.", "_orig_mod.", "net.")):
        key = key.partition(".")[2]
    return key


def by_replace(key):
    for prefix in ("module.", "_orig_mod.", "net."):
        key = key.replace(prefix, "")
    return key


def shuffled(state_dict, model):
    repaired = key_by_key(state_dict, model)
    return dict(zip(repaired, reversed(repaired.values()), strict=True))


def by_position(state_dict, model):
    return dict(zip(model.state_dict(), state_dict.values(), strict=True))


def by_first_key(state_dict, model):
    first, ours = next(iter(state_dict)), next(iter(model.state_dict()))
    prefix = first.removesuffix(ours)
    return {key.removeprefix(prefix): value for key, value in state_dict.items()}


def reordered(state_dict, model):
    repaired = key_by_key(state_dict, model)
    return {name: repaired[name] for name in model.state_dict()}


def in_place(state_dict, model):
    repaired = key_by_key(state_dict, model)
    state_dict.clear()
    state_dict.update(repaired)
    return repaired


MODULE = "✗ Hint: for a file with 'module.' before each key: "


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (key_by_key, "✓ Correct: <All keys matched successfully>"),
        (all_at_once, "✓ Correct"),
        (by_suffix, "✓ Correct"),
        (reordered, "✓ Correct"),
        (by_position, ".* 'net.' .* in another order: 'submodule.weight' holds .* Go by names"),
        (by_first_key, ".* 'net.' .* in another order: 'net.submodule.weight' still has"),
        (lambda sd, model: None, "○ Not yet"),
        (lambda sd, model: list(sd), MODULE + "return a dict, got list"),
        (renaming(by_replace), MODULE + "'submodule.weight' is gone: there is 'subweight'"),
        (renaming(by_loop), MODULE + "'net.0.weight' is gone: there is .* Compare with"),
        (renaming(lambda k: k.removeprefix("module.")), ".*'_orig_mod.module.submodule.we"),
        (renaming(lambda k: k[7:]), ".*before each key: 'od.module.submodule.weight' still has"),
        (lambda sd, model: {}, MODULE + "'submodule.weight' is gone: there is nothing"),
        (lambda sd, m: dict.fromkeys(key_by_key(sd, m), 0), MODULE + "'submodule.weight' holds"),
        (shuffled, MODULE + "'submodule.weight' holds what belongs to another key"),
        (lambda sd, m: sd | key_by_key(sd, m), MODULE + "'module.submodule.weight' is still"),
        (in_place, "✗ Hint: the dict that you were given has changed"),
        (lambda sd: sd, "✗ Hint: <lambda> raised TypeError"),
    ],
)  # fmt: skip
def test_repair_tells_right_from_wrong(attempt, text):
    assert re.match(text, repr(check.repair(attempt)))


def numbers(tensors):
    return sum(t.numel() for t in tensors)


def share_of(model, state_dict, names_only=False, of=None):
    ours = model.state_dict()
    fit = [
        v
        for k, v in ours.items()
        if k in state_dict and (names_only or state_dict[k].shape == v.shape)
    ]
    return numbers(fit) / numbers((of or ours).values())


def by_keys(model, state_dict):
    ours = model.state_dict()
    return len([k for k in ours if k in state_dict]) / len(ours)


def by_bytes(model, state_dict):
    ours = model.state_dict()
    fit = [
        v for k, v in ours.items() if k in state_dict and state_dict[k].shape == v.shape
    ]
    return sum(v.nbytes for v in fit) / sum(v.nbytes for v in ours.values())


def of_parameters(model, state_dict):
    ours = dict(model.named_parameters())
    fit = [
        v for k, v in ours.items() if k in state_dict and state_dict[k].shape == v.shape
    ]
    return numbers(fit) / numbers(ours.values())


def by_missing_keys(model, state_dict):
    ours = copy.deepcopy(model).state_dict()
    fit = {
        k: v for k, v in state_dict.items() if k in ours and ours[k].shape == v.shape
    }
    missing, _ = copy.deepcopy(model).load_state_dict(fit, strict=False)
    return 1 - numbers(ours[k] for k in missing) / numbers(ours.values())


def by_counts(model, state_dict):
    ours = model.state_dict()
    fit = [
        v
        for k, v in ours.items()
        if k in state_dict and state_dict[k].numel() == v.numel()
    ]
    return numbers(fit) / numbers(ours.values())


def by_loading(model, state_dict):
    result = share_of(model, state_dict)
    model.load_state_dict(state_dict, strict=False)
    return result


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (share_of, "✓ Correct"),
        (lambda m, sd: load_report(m, sd).share, "✓ Correct"),
        (lambda m, sd: None, "○ Not yet"),
        (lambda m, sd: 100 * share_of(m, sd), ".* fits: return a share from 0 to 1, not"),
        (lambda m, sd: share_of(m, sd, names_only=True), ".* another shape does not load"),
        (by_counts, ".* weight is transposed: a tensor of another shape does not load"),
        (by_bytes, ".* lacks the last layer: count numbers, not bytes"),
        (by_keys, ".* lacks the last layer: count numbers, not keys"),
        (lambda m, sd: share_of(m, sd, of=sd), ".* divide by the model's numbers"),
        (by_loading, ".* fits: the model has changed. Compare, do not load"),
        (lambda m, sd: 0.5, r".* 37 of 37 numbers fit: a share of 1.0000.* Got 0.5000"),
        (lambda m, sd: round(share_of(m, sd), 3), r".* 0.729730, not rounded. Got 0.730000"),
        (of_parameters, ".* lacks the last layer: buffers are numbers of the model, too"),
        (by_missing_keys, "✓ Correct"),
        (lambda m, sd: "all", ".* return one number, got str"),
    ],
)  # fmt: skip
def test_share_tells_right_from_wrong(attempt, text):
    assert re.match(text, repr(check.share(attempt)))


# --- widget --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"file": "both"},
        {"place": "anywhere"},
        {"word": "net."},
        {"by": "head."},
        {"strict": True},
        {"guess": 0},
    ],
)
def test_key_matcher_s_digest_changes_with_whatever_is_shown(change):
    states = [
        w._repr_mimebundle_()[0][STATE_MIME]
        for w in (KeyMatcher(), KeyMatcher(**change))
    ]
    assert states[0] != states[1]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"file": "model."}, TraitError, "file"),
        ({"place": "hope"}, TraitError, "place"),
        ({"word": 3}, TraitError, "word"),
        ({"guess": 7}, TraitError, "guess"),
        ({"strict": "False"}, TraitError, "strict"),
        ({"keys": []}, TypeError, "no setting 'keys'. It has: by, file, guess, place"),
    ],
)
def test_bad_setting_of_key_matcher_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        KeyMatcher(**settings)


def build(entries, fill):
    """Return a module with parameters of these names and shapes."""
    root = nn.Module()
    for key, shape in entries:
        *path, last = key.split(".")
        module = root
        for part in path:
            if part not in module._modules:
                module.add_module(part, nn.Module())
            module = module._modules[part]
        module.register_parameter(last, nn.Parameter(torch.full(shape, fill)))
    return root


def random_entries(rng, count):
    """Return names of layers and shapes; some names begin like others."""
    layers = ["a", "b", "a.c", "b.module", "module.a", "submodule", "a.c.fc"]
    shapes = [(), (1,), (2,), (2, 3), (3, 2), (1, 1)]
    keys = [f"{layer}.{last}" for layer in layers for last in ("weight", "bias")]
    return [[key, list(rng.choice(shapes))] for key in rng.sample(keys, count)]


def torch_matches(model_entries, given, strict):
    """Return what load_state_dict did, read off the model and the error."""
    model = build(model_entries, 0.0)
    state_dict = {key: torch.ones(shape) for key, shape in given}
    names = [key for key, _ in model_entries]
    raised = ""
    try:
        result = model.load_state_dict(state_dict, strict=strict)
        missing, unexpected = result
    except RuntimeError as error:
        raised = str(error)
        missing = [k for k in names if k not in state_dict]
        unexpected = [k for k in state_dict if k not in names]
        if strict:  # then the message names them all
            assert all(f'"{key}"' in raised for key in missing + unexpected)
    now = model.state_dict()
    return {
        "loaded": sorted(k for k in names if (now[k] == 1).all()),
        "clash": sorted(re.findall(r"size mismatch for ([\w.]+):", raised)),
        "missing": sorted(missing),
        "unexpected": sorted(unexpected),
        "overwritten": int(sum(value.sum() for value in now.values())),
        "total": numbers(now.values()),
        "raises": bool(raised),
    }


def test_key_matcher_agrees_with_torch(front_end):
    rng, cases, expected = random.Random(0), [], []
    for number in range(300):
        model, given = (random_entries(rng, rng.randint(0, 9)) for _ in range(2))
        if number % 3 == 0:  # mostly the same names
            given = [list(entry) for entry in model] + given[:1]
        given = list(dict(map(tuple, [(k, tuple(s)) for k, s in given])).items())
        strict = rng.random() < 0.5
        cases.append([model, given, strict])
        expected.append(torch_matches(model, given, strict))
    found = front_end(KeyMatcher, "a.map((c) => m.match(...c))", cases)
    for ours, theirs in zip(found, expected, strict=True):
        for part in ("loaded", "clash", "missing", "unexpected"):
            ours[part] = sorted(ours[part])
        assert ours == theirs


RENAME = {
    "nowhere": lambda key, word, by: key,
    "anywhere": lambda key, word, by: key.replace(word, by) if word else key,
    "beginning": lambda key, word, by: (
        by + key.removeprefix(word) if key.startswith(word) else key
    ),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("word", "by"), [("module.", ""), ("fc.", "head."), ("", "x")])
def test_key_matcher_repairs_keys_as_python_does(front_end, place, word, by):
    rng = random.Random(1)
    parts = ["module.", "_orig_mod.", "submodule.", "fc.", "head.", "amodule."]
    keys = ["".join(rng.choices(parts, k=rng.randint(0, 4))) + "w" for _ in range(200)]
    entries = [[key, [number]] for number, key in enumerate(keys)]
    theirs = [RENAME[place](key, word, by) for key in keys]
    call = "a.entries.map(([key]) => m.repairedKey(key, ...a.rule))"
    settings = {"entries": entries, "rule": [place, word, by]}
    assert front_end(KeyMatcher, call, settings) == theirs
    kept = {key: [number] for number, key in enumerate(theirs)}
    whole = front_end(KeyMatcher, "m.repaired(a.entries, ...a.rule)", settings)
    assert whole == [list(entry) for entry in kept.items()]
    shown = "a.entries.map(([key]) => m.pieces(key, ...a.rule).filter((p) => !p[2]))"
    pieces = front_end(KeyMatcher, shown, settings)
    assert ["".join(text for text, *_ in parts) for parts in pieces] == keys


def chapter_s_model(classes=10, head="head"):
    """Return the model of the chapter, whose keys the widget shows."""
    layers = {"submodule": nn.Linear(64, 32), "norm": nn.LayerNorm(32)}
    return nn.ModuleDict(layers | {head: nn.Linear(32, classes)})


def test_key_matcher_s_files_are_those_of_torch(front_end):
    wrapped = nn.DataParallel(chapter_s_model())
    files = {
        "plain": chapter_s_model().state_dict(),
        "module": wrapped.state_dict(),
        "both": torch.compile(wrapped).state_dict(),
        "fc": chapter_s_model(head="fc").state_dict(),
        "5 classes": chapter_s_model(classes=5).state_dict(),
    }
    for file, state_dict in files.items():
        given = front_end(KeyMatcher, "m.saved(a)", file)
        assert given == [[key, list(value.shape)] for key, value in state_dict.items()]
    assert front_end(KeyMatcher, "m.MODEL", 0) == MODEL
    assert [*files, "checkpoint"] == FILES
    nested = front_end(KeyMatcher, "m.saved(a)", "checkpoint")
    assert [key for key, _ in nested] == ["epoch", "model", "optimizer"]


ANSWERS = [
    (
        {"place": "anywhere"},
        4,
        "Raises nothing; only what it returns says 2 missing, 2",
    ),
    ({"file": "both", "place": "beginning"}, 0, "6 missing, 6 unexpected"),
    (
        {"file": "both", "place": "beginning", "word": "_orig_mod.module."},
        6,
        "✓ Returns <All keys matched successfully>",
    ),
    (
        {"file": "5 classes"},
        4,
        "0 missing, 0 unexpected, 2 shapes. The model is now a",
    ),
    (
        {"file": "fc", "place": "beginning", "word": "fc.", "by": "head."},
        6,
        "✓ Returns",
    ),
    (
        {"file": "checkpoint"},
        0,
        "Raises nothing; only what it returns says 6 missing, 3",
    ),
    (
        {"file": "checkpoint", "strict": True},
        0,
        "RuntimeError: 6 missing, 3 unexpected, 0 shapes. The model is as it was",
    ),
]


@pytest.mark.parametrize(("settings", "loaded", "text"), ANSWERS)
def test_key_matcher_answers_once_the_reader_has_guessed(mount, settings, loaded, text):
    page = mount(KeyMatcher(**settings))
    shown = page.locator(".mp").inner_text
    assert "✓" not in shown()
    assert "missing" not in shown()
    page.get_by_label("3", exact=True).check()
    assert f"Your guess: 3. Set: {loaded} of 6" in shown()
    assert text in shown()
    assert page.get_by_text("✓ loaded").count() == 2 * loaded
    assert page.locator("svg path.mp-correct").count() == loaded
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_another_case_asks_for_another_guess(mount):
    page = mount(KeyMatcher(guess=0))
    page.get_by_label("compiled DataParallel").check()
    assert page.evaluate("state.guess") is None
    page.get_by_label("2", exact=True).check()
    page.get_by_label("Replace").press("End")
    page.keyboard.press("x")
    assert page.evaluate("[state.guess, state.word]") == [None, "module.x"]
    assert page.evaluate("document.activeElement.value") == "module.x"
    page.get_by_label("6", exact=True).focus()
    page.keyboard.press("Space")
    assert page.evaluate("state.guess") == 6
    page.get_by_label("True").check()  # what is set stays the same
    assert page.evaluate("state.guess") == 6
