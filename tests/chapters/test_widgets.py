"""The Python half of the widgets: state, repr, errors."""

import pytest
from traitlets import TraitError

from helpers.chapters.bce_and_logits import BceExplorer
from helpers.chapters.cross_entropy_and_nll import CrossEntropyMargin
from helpers.chapters.softmax_dim import SoftmaxDim
from helpers.exercises.answer_box import AnswerBox
from helpers.widgets.base import STATE_MIME, state_digest


def test_repr_is_the_same_sentence_every_time():
    assert repr(BceExplorer()) == "BCE explorer: run this cell to interact"


CHANGES = [
    (BceExplorer, {"values": [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]}),
    (BceExplorer, {"targets": [[1, 1, 1], [0, 0, 1]]}),
    (BceExplorer, {"kind": "logits"}),
    (BceExplorer, {"target": 1}),
    (BceExplorer, {"logit": -3.5}),
    (SoftmaxDim, {"dim": 0}),
    (SoftmaxDim, {"logits": [[[0.0, 1.0]] * 3] * 2}),
    (CrossEntropyMargin, {"margin": 1.0}),
    (CrossEntropyMargin, {"classes": 2}),
    (CrossEntropyMargin, {"pairing": "nll_logits"}),
    (AnswerBox, {"answer": 2.0}),
    (AnswerBox, {"hints": [[1, 2, "text"]]}),
]


@pytest.mark.parametrize(("widget", "change"), CHANGES)
def test_digest_changes_with_whatever_is_shown(widget, change):
    plain, changed = widget(), widget(**change)
    digests = [w._repr_mimebundle_()[0][STATE_MIME]["state"] for w in (plain, changed)]
    assert digests[0] == state_digest(widget().get_state())
    assert digests[0] != digests[1]


def test_front_end_is_core_and_then_its_own():
    text = BceExplorer()._esm
    assert text.index("export function slider") < text.index("export function sigmoid")
    assert "--mp-correct" in BceExplorer()._css


@pytest.mark.parametrize(
    ("widget", "settings", "error", "message"),
    [
        (
            BceExplorer,
            {"value": 3},
            TypeError,
            r"no setting 'value'. It has: kind, logit, target",
        ),
        (BceExplorer, {"_esm": ""}, TypeError, "no setting '_esm'"),
        (
            BceExplorer,
            {"values": [[1.0, 2.0]]},
            TraitError,
            r"values must be 2 rows of 3, got \[\[",
        ),
        (
            BceExplorer,
            {"values": [[1, 2, 3], [1, 2, 99]]},
            TraitError,
            "from -60 to 60, got 99",
        ),
        (
            BceExplorer,
            {"values": [[1, 2, 3], [1, 2, "a"]]},
            TraitError,
            "from -60 to 60, got 'a'",
        ),
        (
            BceExplorer,
            {"values": [[1, 2, 3], [1, 2, float("nan")]]},
            TraitError,
            "to 60, got nan",
        ),
        (
            BceExplorer,
            {"targets": [[0, 1, 1], [0, 0, 2]]},
            TraitError,
            "must be 0 or 1, got 2",
        ),
        (BceExplorer, {"kind": "scores"}, TraitError, "kind"),
        (
            SoftmaxDim,
            {"logits": [[[0.0]]]},
            TraitError,
            "must be 2 samples of 3 rows of 2",
        ),
        (SoftmaxDim, {"logits": [[[0, 1]] * 3, [[0, 99]] * 3]}, TraitError, "got 99"),
        (SoftmaxDim, {"dim": 3}, TraitError, "dim"),
        (CrossEntropyMargin, {"margin": 21}, TraitError, "from -20 to 20, got 21"),
        (CrossEntropyMargin, {"pairing": "mse"}, TraitError, "pairing"),
        (
            BceExplorer,
            {"logit": 101},
            TraitError,
            "logit must be from -100 to 100, got 101",
        ),
    ],
)
def test_bad_setting_is_named(widget, settings, error, message):
    with pytest.raises(error, match=message):
        widget(**settings)
