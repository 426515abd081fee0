"""The Python half of the widgets: state, repr, errors."""

import pytest
from traitlets import TraitError

from helpers.chapters.bce_and_logits import BceExplorer
from helpers.chapters.cross_entropy_and_nll import CrossEntropyMargin
from helpers.chapters.softmax_dim import SoftmaxDim
from helpers.exercises.number_box import AnswerBox
from helpers.exercises.table_box import AnswerTable
from helpers.exercises.verdicts import SIGNS
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


@pytest.mark.parametrize("box", [AnswerBox, AnswerTable])
def test_what_the_boxes_share_stands_between_core_and_their_own(box):
    text = box()._esm
    parts = ["export function slider", "function checker", "export function verdict"]
    assert sorted(parts, key=text.index) == parts
    assert all(sign in text for sign in SIGNS.values())


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
            "values.* a list of length 2, not the list",
        ),
        (
            BceExplorer,
            {"values": [[1, 2, 3], [1, 2, 99]]},
            TraitError,
            r"from -60 to 60, not the \w+ 99",
        ),
        (
            BceExplorer,
            {"values": [[1, 2, 3], [1, 2, "a"]]},
            TraitError,
            r"from -60 to 60, not the \w+ 'a'",
        ),
        (
            BceExplorer,
            {"values": [[1, 2, 3], [1, 2, float("nan")]]},
            TraitError,
            "to 60, not the float nan",
        ),
        (
            BceExplorer,
            {"targets": [[0, 1, 1], [0, 0, 2]]},
            TraitError,
            "from 0 to 1, not the int 2",
        ),
        (BceExplorer, {"kind": "scores"}, TraitError, "kind"),
        (
            SoftmaxDim,
            {"logits": [[[0.0]]]},
            TraitError,
            "logits.* a list of length 2, not the list",
        ),
        (
            SoftmaxDim,
            {"logits": [[[0, 1]] * 3, [[0, 99]] * 3]},
            TraitError,
            "to 20, not the int 99",
        ),
        (SoftmaxDim, {"dim": 3}, TraitError, "dim"),
        (
            CrossEntropyMargin,
            {"margin": 21},
            TraitError,
            r"from -20 to 20, not the \w+ 21",
        ),
        (CrossEntropyMargin, {"pairing": "mse"}, TraitError, "pairing"),
        (
            BceExplorer,
            {"logit": 101},
            TraitError,
            r"logit.* from -100 to 100, not the \w+ 101",
        ),
    ],
)
def test_bad_setting_is_named(widget, settings, error, message):
    with pytest.raises(error, match=message):
        widget(**settings)
