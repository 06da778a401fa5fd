"""`eco.tune` and `eco.certify` by metrics other than accuracy, and with limits for each class."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score

from eco import certify, tune
from eco.errors import DataError, EcoError, TargetError
from eco.predictions.study import metrics, run
from tests.predictions.pools import CLASSES, COSTS, MODELS, confidence_and_correct, probabilities
from tests.predictions.test_study import GOALS, Goals, parts_of

Y, P = probabilities(2000)
GIVEN = {
    "probabilities": {m: pd.DataFrame(P[:, i], columns=CLASSES) for i, m in enumerate(MODELS)},
    "y": Y,
    "settings_per_chain": 200,
}
#: To take an emu for a dog is dear.
EMU = {"cat": {"cat": 0, "dog": 1, "emu": 1}, "dog": {"cat": 1, "dog": 0, "emu": 1},
       "emu": {"cat": 1, "dog": 5, "emu": 0}}  # fmt: skip


def answers(found, p=P):
    """What a cascade answers, model by model as its thresholds say."""
    confidence = pd.DataFrame(p.max(axis=2), columns=MODELS)
    places = [MODELS.index(model) for model in found.answered_by(confidence)]
    return np.array(CLASSES)[p.argmax(axis=2)[np.arange(len(p)), places]]


def mean_cost(y, labels):
    return np.mean([EMU[true][answer] for true, answer in zip(y, labels, strict=True)]) / 5


@pytest.mark.parametrize(
    ("options", "score"),
    [
        ({"metric": "balanced_accuracy"}, balanced_accuracy_score),
        ({"metric": "f1", "pos_label": "emu"}, lambda y, a: f1_score(y == "emu", a == "emu")),
        ({"metric": "f1_macro"}, lambda y, a: f1_score(y, a, average="macro")),
        ({"cost_matrix": EMU}, lambda y, a: 1 - mean_cost(y, a)),
    ],
)
def test_a_cascade_keeps_its_limit_in_the_metric_it_is_tuned_for(options, score):
    tuned = tune(COSTS, max_metric_loss=2.0, **options, **GIVEN)
    last = np.array(CLASSES)[P[:, -1].argmax(axis=1)]
    assert tuned.metric == options.get("metric", "cost_matrix")
    assert tuned.metric_value == pytest.approx(score(Y, answers(tuned)))
    assert tuned.metric_loss_points == pytest.approx(100 * (score(Y, last) - tuned.metric_value))
    assert tuned.metric_loss_points <= 2.0
    assert tuned.accuracy == pytest.approx((answers(tuned) == Y).mean())
    assert tuned.cost < COSTS["large"]


def test_accuracy_is_a_metric_as_before():
    plain = tune(COSTS, max_accuracy_loss=1.0, **GIVEN)
    assert plain.metric_value == plain.accuracy
    assert plain.metric_loss_points == pytest.approx(plain.accuracy_loss_points)
    matrix = tune(COSTS, cost_matrix=1 - np.eye(3), max_metric_loss=1.0, **GIVEN)
    assert matrix.strategy == plain.strategy
    assert matrix.frontier == plain.frontier


def test_no_class_loses_more_than_its_limit():
    wide, strict = (
        tune(COSTS, max_accuracy_loss=20.0, max_class_loss=limit, margin_se=0, **GIVEN)
        for limit in (99.0, 1.0)
    )
    last = np.array(CLASSES)[P[:, -1].argmax(axis=1)]

    def lost(found):
        recalls = [
            np.diag(confusion_matrix(Y, labels, normalize="true"))
            for labels in (last, answers(found))
        ]
        return 100 * (recalls[0] - recalls[1])

    assert lost(wide).max() > 1.0
    assert lost(strict).max() <= 1.0 + 1e-9
    assert strict.cost > wide.cost


def test_one_sample_in_a_hundred_is_not_given_up_for_balanced_accuracy():
    """A model that always says no is right in 99 of 100, and blind."""
    random = np.random.default_rng(0)
    y = np.where(np.arange(4000) % 100, "no", "yes")
    dummy = np.tile([0.99, 0.01], (4000, 1))
    score = np.clip(np.where(y == "yes", 0.9, 0.02) + 0.08 * random.standard_normal(4000), 0, 1)
    given = {"dummy": dummy, "forest": np.column_stack([1 - score, score])}
    given = {name: pd.DataFrame(p, columns=["no", "yes"]) for name, p in given.items()}
    by_accuracy = tune({"dummy": 1, "forest": 50}, probabilities=given, y=y, max_accuracy_loss=2)
    assert by_accuracy.models == ("dummy",)
    for options in (
        {"metric": "balanced_accuracy"},
        {"metric": "f1", "pos_label": "yes"},
        {"max_accuracy_loss": 1, "max_class_loss": 5.0},
        {"cost_matrix": [[0, 1], [20, 0]]},
    ):
        found = tune({"dummy": 1, "forest": 50}, probabilities=given, y=y, **options)
        assert "forest" in found.models, options
    with pytest.raises(TargetError, match=r"of every class; got \d\d of class yes"):
        certify({"dummy": 1, "forest": 50}, probabilities=given, y=y, max_class_loss=2.0)


@pytest.mark.parametrize(
    "options",
    [
        {"metric": "balanced_accuracy", "max_loss": 4.0},
        {"metric": "balanced_accuracy", "max_harm": 4.0},
        {"cost_matrix": EMU, "max_loss": 2.0},
        {"max_loss": 4.0, "max_class_loss": 6.0},
    ],
)
def test_a_certificate_keeps_its_limits_where_it_was_shown(options):
    split = np.where(np.arange(2000) % 2, "tuning", "certification")
    found = certify(COSTS, split=split, **options, **GIVEN)
    shown = split == "certification"
    y, labels, last = Y[shown], answers(found)[shown], P[shown, -1].argmax(axis=1)
    assert found.settings_certified > 1
    assert 0 <= found.on_certification <= found.max_points / 100
    recalls = [
        np.diag(confusion_matrix(y, each, normalize="true"))
        for each in (np.array(CLASSES)[last], labels)
    ]
    lost = 100 * (recalls[0] - recalls[1])
    if found.metric == "balanced_accuracy" and found.of == "loss":
        assert 100 * found.on_certification == pytest.approx(lost.mean())
    elif found.metric == "cost_matrix":
        more = mean_cost(y, labels) - mean_cost(y, np.array(CLASSES)[last])
        assert found.on_certification == pytest.approx(more)
    if found.max_class_loss is not None:
        assert lost.max() <= found.max_class_loss


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_class_loss": 1.0}, "takes, with probability 0.95, 356 samples at least that took "
         "part in no tuning of every class; got 3.. of class .*, or certify 1.[01]"),
        ({"metric": "f1_macro"}, "f1_macro can't be certified: it is no mean of losses of single"),
        ({"metric": "balanced_accuracy", "groups": np.arange(2000), "max_harm": 5.0},
         "can't be certified where samples come in groups"),
    ],
)  # fmt: skip
def test_what_cannot_be_certified_is_refused(options, message):
    with pytest.raises(TargetError, match=message):
        certify(COSTS, **options, **GIVEN)


def test_what_takes_labels_is_refused_without():
    confidence, correct = confidence_and_correct(100)
    for options, name in (
        ({"metric": "f1_macro"}, "the metric f1_macro"),
        ({"cost_matrix": EMU}, "cost_matrix"),
        ({"max_class_loss": 2.0}, "max_class_loss"),
    ):
        with pytest.raises(DataError, match=f"{name} takes labels: there must be probabilities"):
            tune(COSTS, confidence=confidence, correct=correct, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "f1_macro", "max_accuracy_loss": 2}, "Give max_metric_loss"),
        ({"max_metric_loss": 2}, "max_metric_loss doesn't count with metric 'accuracy'; got 2. "
         "Give max_accuracy_loss"),
        ({"metric": "auc"}, "must be one of accuracy, balanced_accuracy, f1, f1_macro; got 'auc'"),
        ({"max_class_loss": 0}, "max_class_loss must be points above 0 and below 100; got 0"),
    ],
)  # fmt: skip
def test_goals_that_contradict_are_refused(options, message):
    with pytest.raises(EcoError, match=message):
        tune(COSTS, **options, **GIVEN)


def test_a_study_says_which_metric_its_figures_are_of():
    goals = Goals(metric="balanced_accuracy", max_metric_loss=1.0, max_loss=8.0, max_harm=8.0,
                  max_class_loss=9.0, settings_per_chain=100)  # fmt: skip
    study = run(parts_of(kind="probabilities"), CLASSES, goals)
    found = metrics(study)
    for row in (found["models"]["large"], found["tuned"], found["certified"]):
        assert row["balanced_accuracy"] <= 1
        assert row["most_lost_class"]["class"] in CLASSES
    assert found["models"]["large"]["balanced_accuracy_loss_points"] == 0
    assert found["certificates"]["certified"]["metric"] == "balanced_accuracy"
    assert found["certificates"]["certified"]["max_class_loss"] == 9.0
    assert "most_lost_class" not in metrics(run(parts_of(300), (), GOALS))["tuned"]


def test_a_study_by_f1_says_that_nothing_certifies_it():
    goals = Goals(metric="f1_macro", settings_per_chain=50)
    study = run(parts_of(300, kind="probabilities"), CLASSES, goals)
    found = metrics(study)
    assert "no mean of losses" in found["certificates"]["certified"]["not_certified"]
    assert found["tuned"]["f1_macro"] > 0
