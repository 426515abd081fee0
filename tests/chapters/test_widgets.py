"""The Python half of the widgets: state, repr, errors."""

import pytest
from traitlets import TraitError

from helpers.chapters.bce_and_logits import BceExplorer, LogitsTraining
from helpers.chapters.cross_entropy_and_nll import SoftmaxTwice
from helpers.chapters.softmax_dim import BatchSoftmaxTraining, SoftmaxDim
from helpers.exercises.number_box import AnswerBox
from helpers.exercises.table_box import AnswerTable
from helpers.exercises.verdicts import SIGNS
from helpers.widgets.base import STATE_MIME, state_digest


def test_repr_is_the_same_sentence_every_time():
    assert repr(BceExplorer()) == "BCE explorer: run this cell to interact"


CHANGES = [
    (BceExplorer, {"target": 1}),
    (BceExplorer, {"shows": "loss"}),
    (BceExplorer, {"logit": -3.5}),
    (BceExplorer, {"guess": 0.0}),
    (LogitsTraining, {"bias": 20}),
    (LogitsTraining, {"seed": 1}),
    (SoftmaxDim, {"dim": 0}),
    (SoftmaxDim, {"samples": 1}),
    (BatchSoftmaxTraining, {"form": "layer"}),
    (BatchSoftmaxTraining, {"guess": 20}),
    (SoftmaxDim, {"logits": [[[0.0, 1.0]] * 3] * 2}),
    (SoftmaxTwice, {"rate": 1.0}),
    (SoftmaxTwice, {"classes": 2}),
    (SoftmaxTwice, {"guess": 0.0}),
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
    parts = [
        "export function slider",
        "export function sigmoid",
        "export function cliff",
    ]
    assert sorted(parts, key=text.index) == parts
    assert "--mp-correct" in BceExplorer()._css


def test_live_training_has_what_both_of_its_bases_share():
    text = LogitsTraining()._esm
    shared = ["export function plot", "export function player", "export const PAIRS"]
    assert all(text.count(part) == 1 for part in shared)
    assert text.rindex("export const PAIRS") < text.index("export function train")


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
            r"no setting 'value'. It has: guess, logit, shows, target",
        ),
        (BceExplorer, {"_esm": ""}, TypeError, "no setting '_esm'"),
        (
            SoftmaxDim,
            {"logits": [[[0, 1]] * 3, [[0, "a"]] * 3]},
            TraitError,
            r"to 20, not the \w+ 'a'",
        ),
        (
            SoftmaxDim,
            {"logits": [[[0, 1]] * 3, [[0, float("nan")]] * 3]},
            TraitError,
            "to 20, not the float nan",
        ),
        (LogitsTraining, {"seed": -1}, TraitError, "from 0 to 9999, not the int -1"),
        (
            LogitsTraining,
            {"bias": 0.5},
            TraitError,
            "from -40 to 40, not the float 0.5",
        ),
        (LogitsTraining, {"data": {}}, TraitError, "data cannot be set"),
        (BceExplorer, {"shows": "scores"}, TraitError, "shows"),
        (BceExplorer, {"guess": 101}, TraitError, r"guess.* from -100 to 100"),
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
            SoftmaxTwice,
            {"rate": 21},
            TraitError,
            r"rate.* from 0.1 to 3, not the \w+ 21",
        ),
        (SoftmaxTwice, {"classes": 3}, TraitError, "classes"),
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
