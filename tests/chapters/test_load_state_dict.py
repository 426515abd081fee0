"""The chapter on load_state_dict: checks and widget."""

import copy
import random
import re

import pytest
import torch
from torch import nn
from traitlets import TraitError

from helpers.chapters.load_state_dict import KeyMatcher, check
from helpers.chapters.load_state_dict.widget import HEADS, PREFIXES, REPAIRS
from helpers.state_dicts import load_report
from helpers.widgets.base import STATE_MIME

MODEL = [
    ["submodule.weight", [32, 64]],
    ["submodule.bias", [32]],
    ["hidden.weight", [16, 32]],
    ["hidden.bias", [16]],
    ["head.weight", [10, 16]],
    ["head.bias", [10]],
]

# --- checks --------------------------------------------------------------------------


def by_loop(state_dict):
    repaired = {}
    for key, value in state_dict.items():
        while key.startswith(("module.", "_orig_mod.", "net.")):
            key = key.partition(".")[2]
        repaired[key] = value
    return repaired


def renaming(rename):
    return lambda state_dict: {rename(k): v for k, v in state_dict.items()}


def by_replace(key):
    for prefix in ("module.", "_orig_mod.", "net."):
        key = key.replace(prefix, "")
    return key


def once(key):
    for prefix in ("module.", "_orig_mod.", "net."):
        key = key.removeprefix(prefix)
    return key


def shuffled(state_dict):
    repaired = by_loop(state_dict)
    return dict(zip(repaired, reversed(repaired.values()), strict=True))


def in_place(state_dict):
    repaired = by_loop(state_dict)
    state_dict.clear()
    state_dict.update(repaired)
    return repaired


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (by_loop, "✓ Correct: <All keys matched successfully>"),
        (lambda sd: None, "○ Not yet"),
        (lambda sd: list(sd), "✗ Hint: return a dict, got list"),
        (renaming(by_replace), r"✗ Hint: 'submodule.weight' is gone: there is 'subweight'"),
        (renaming(once), "✗ Hint: '_?[a-z_.]+' still has a prefix. A key may carry"),
        (lambda sd: {}, "✗ Hint: 'submodule.weight' is gone: there is nothing"),
        (lambda sd: dict.fromkeys(by_loop(sd), 0), "✗ Hint: 'submodule.weight' holds what"),
        (shuffled, "✗ Hint: 'submodule.weight' holds what belongs to another key"),
        (lambda sd: sd | by_loop(sd), "✗ Hint: 'module.submodule.weight' is still there"),
        (in_place, "✗ Hint: the dict that you were given has changed"),
        (lambda a, b: a, "✗ Hint: <lambda> raised TypeError"),
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
        {"prefix": "module._orig_mod."},
        {"repair": "replace"},
        {"head": "5 classes"},
        {"rename": True},
        {"strict": True},
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
        ({"prefix": "model."}, TraitError, "prefix"),
        ({"repair": "hope"}, TraitError, "repair"),
        ({"head": "tail"}, TraitError, "head"),
        ({"strict": "False"}, TraitError, "strict"),
        ({"keys": []}, TypeError, "no setting 'keys'. It has: head, prefix, rename"),
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
    "none": lambda key: key,
    "replace": lambda key: key.replace("module.", ""),
    "removeprefix": lambda key: key.removeprefix("module."),
    "loop": lambda key: re.sub(r"^(module\.|_orig_mod\.)+", "", key),
}


@pytest.mark.parametrize("repair", REPAIRS)
def test_key_matcher_repairs_keys_as_python_does(front_end, repair):
    rng = random.Random(1)
    parts = ["module.", "_orig_mod.", "submodule.", "fc.", "head.", "amodule."]
    keys = ["".join(rng.choices(parts, k=rng.randint(0, 4))) + "w" for _ in range(200)]
    for rename in (False, True):
        theirs = [RENAME[repair](key) for key in keys]
        if rename:
            theirs = [re.sub(r"^fc\.", "head.", key) for key in theirs]
        ours = front_end(
            KeyMatcher,
            "a[0].map((k) => m.repairedKey(k, a[1], a[2]))",
            [keys, repair, rename],
        )
        assert ours == theirs
        entries = [[key, [number]] for number, key in enumerate(keys)]
        whole = front_end(KeyMatcher, "m.repaired(...a)", [entries, repair, rename])
        kept = {key: [number] for number, key in enumerate(theirs)}
        assert [tuple(map(str, entry)) for entry in whole] == [
            (key, str(shape)) for key, shape in kept.items()
        ]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("head", HEADS)
def test_key_matcher_s_saved_model_is_a_wrapped_one(front_end, prefix, head):
    given = front_end(KeyMatcher, "m.saved(...a)", [prefix, head])
    names = [key.replace("head.", "fc.") if head == "fc" else key for key, _ in MODEL]
    assert [key for key, _ in given] == [prefix + name for name in names]
    classes = 5 if head == "5 classes" else 10
    assert given[-1][1] == [classes]
    assert given[-2][1] == [classes, 16]


def test_key_matcher_works_by_keyboard_and_says_what_happens(mount):
    page = mount(KeyMatcher())
    news = page.locator("[aria-live]")
    assert (
        "Raises nothing; only its return value says: 6 missing, 6 unexpected"
        in news.inner_text()
    )
    assert float(page.locator("meter").get_attribute("value") or 0) == 0
    page.get_by_label("removeprefix").focus()
    page.keyboard.press("ArrowDown")  # to the loop
    assert "<All keys matched successfully>" in news.inner_text()
    assert page.locator("svg path.mp-correct").count() == 6
    page.get_by_label("5 classes").check()
    assert (
        "RuntimeError: 0 missing, 0 unexpected, 2 of another shape. By then"
        in news.inner_text()
    )
    assert page.get_by_text("✗ shape").count() == 4
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 320
    page.close()
