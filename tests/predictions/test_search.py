"""`eco.tune` and `eco.certify`: arrays and frames in, cascades out."""

import numpy as np
import pandas as pd
import pytest

from eco import certify, tune
from eco.errors import DataError, EcoError, TargetError
from tests.predictions.pools import CLASSES, COSTS, MODELS, confidence_and_correct, probabilities

CONFIDENCE, CORRECT = confidence_and_correct(2000)
TABLES = {"confidence": CONFIDENCE, "correct": CORRECT}
#: Fewer settings than by default, for the sake of time.
QUICK = {"settings_per_chain": 400}
PREDICTIONS = TABLES | QUICK


def test_a_tuned_cascade_keeps_its_target_where_it_was_found():
    loose, strict = (tune(COSTS, max_accuracy_loss=loss, **PREDICTIONS) for loss in (2.0, 0.0))
    assert loose.cost < strict.cost <= COSTS["large"]
    assert loose.accuracy_loss_points <= 2.0
    assert loose.accuracy == pytest.approx(
        CORRECT["large"].mean() - loose.accuracy_loss_points / 100
    )
    budget = tune(COSTS, cost_budget=0.3, **PREDICTIONS)
    assert budget.cost_share <= 0.3
    assert budget.accuracy >= max(p.accuracy for p in budget.frontier if p.energy_j < 0.25 * 20)


def test_frames_mappings_and_arrays_are_the_same():
    frames = tune(COSTS, **PREDICTIONS)
    arrays = {name: frame.to_numpy() for name, frame in TABLES.items()}
    assert tune(COSTS, **arrays, **QUICK) == frames
    mappings = {name: dict(frame.items()) for name, frame in TABLES.items()}
    assert tune(pd.Series(COSTS), **mappings, **QUICK) == frames
    unnamed = tune(list(COSTS.values()), **arrays, **QUICK)
    assert unnamed.thresholds == frames.thresholds
    assert set(unnamed.models) <= {"model 0", "model 1", "model 2"}


def test_probabilities_and_labels_in_any_form_are_the_same():
    y, p = probabilities(2000)
    expected = tune(COSTS, **PREDICTIONS)
    numbers = [CLASSES.index(label) for label in y]
    assert tune(COSTS, probabilities=p, y=numbers, **QUICK) == expected
    frames = {m: pd.DataFrame(p[:, i], columns=CLASSES) for i, m in enumerate(MODELS)}
    assert tune(COSTS, probabilities=frames, y=pd.Series(y), **QUICK) == expected


def test_costs_choose_the_pool_and_its_order():
    tuned = tune({"mid": 1.0, "large": 5.0}, **PREDICTIONS)
    assert set(tuned.models) <= {"mid", "large"}
    assert list(tuned.costs) == ["mid", "large"]


def test_a_cascade_is_scored_and_answers_as_its_thresholds_say():
    tuned = tune(COSTS, max_accuracy_loss=1.0, **PREDICTIONS)
    score = tuned.score(**TABLES)
    assert score.accuracy.value == pytest.approx(tuned.accuracy)
    assert score.energy_j.value == pytest.approx(tuned.cost)
    assert score.accuracy.low < tuned.accuracy < score.accuracy.high
    answered = tuned.answered_by(CONFIDENCE)
    first, threshold = tuned.models[0], tuned.thresholds[0]
    np.testing.assert_array_equal(answered == first, CONFIDENCE[first].round(4) >= threshold)
    correct = [CORRECT[model][row] for row, model in enumerate(answered)]
    assert np.mean(correct) == pytest.approx(tuned.accuracy)


def test_a_certificate_holds_where_it_was_shown_and_a_looser_bound_is_cheaper():
    split = np.where(np.arange(2000) % 2, "tuning", "certification")
    strict, loose = (certify(COSTS, split=split, max_harm=h, **PREDICTIONS) for h in (1.0, 5.0))
    loss = certify(COSTS, split=split, max_loss=1.0, **PREDICTIONS)
    assert (loss.of, strict.of) == ("loss", "harm")
    assert loss.cost <= strict.cost
    assert loose.cost < strict.cost
    assert strict.n_samples == 1000
    answered = strict.answered_by(CONFIDENCE)
    right = np.array([CORRECT[model][row] for row, model in enumerate(answered)])
    harmed = (CORRECT["large"].to_numpy() & ~right)[split == "certification"]
    assert strict.on_certification == pytest.approx(harmed.mean())
    assert strict.on_certification <= 0.01


def test_a_certificate_counts_groups():
    groups = [f"g{i // 4}" for i in range(2000)]
    certified = certify(COSTS, groups=groups, max_harm=5.0, **PREDICTIONS)
    assert certified.n_samples == 250
    with pytest.raises(EcoError, match="for groups only harm can be certified"):
        certify(COSTS, groups=groups, **PREDICTIONS)
    with pytest.raises(EcoError, match=r"max_loss or max_harm must be None.*got 0\.5 and 5"):
        certify(COSTS, max_loss=0.5, max_harm=5.0, **PREDICTIONS)
    with pytest.raises(TargetError, match=r"takes 299 groups at least .*; got 250.* certify 1\.20"):
        certify(COSTS, groups=groups, max_harm=1.0, **PREDICTIONS)


def test_what_cannot_be_met_is_named_with_what_can():
    with pytest.raises(TargetError, match=r"least that can be met is 0\.05") as caught:
        tune(COSTS, cost_budget=0.01, **PREDICTIONS)
    tune(COSTS, cost_budget=caught.value.attainable, **PREDICTIONS)
    with pytest.raises(TargetError, match=r"takes 2,995 samples at least .*; got 1,000") as caught:
        certify(COSTS, max_harm=0.1, **PREDICTIONS)
    certify(COSTS, max_harm=caught.value.attainable, **PREDICTIONS)
    with pytest.raises(TargetError, match=r"loss of at most 0\.1 points .*; got 1,000") as caught:
        certify(COSTS, max_loss=0.1, **PREDICTIONS)
    certify(COSTS, max_loss=caught.value.attainable, **PREDICTIONS)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"correct": None}, "either confidence and correct, or probabilities and y"),
        ({"correct": CORRECT[1:]}, "confidence and correct must have the same index"),
        ({"correct": CORRECT.to_numpy()[1:]}, "correct:small: must hold 2000 samples"),
        ({"correct": CORRECT.to_numpy()[:, :2]}, "correct must have 2 axes, samples first, then "),
        ({"confidence": CONFIDENCE * 3}, "confidence:small, row 0: must lie from 0 to 1"),
        ({"confidence": CONFIDENCE.drop(columns="mid")}, "confidence:mid: must be there for every"),
        ({"costs": COSTS | {"mid": -1}}, "cost:mid: must be from 0 to 1e+100; got -1"),
        ({"costs": COSTS | {"mid": None}}, "cost:mid: must be a number; got None"),
        ({"costs": [1.0, 2.0]}, "costs must hold a number for each model; got 2 for 3 models"),
        ({"costs": {"large": 1.0}}, "models: must be two at least; got large"),
        ({"costs": COSTS | {"": 1.0}}, "models: must have names of 1 to 60 printable characters"),
    ],
)
def test_bad_predictions_are_found(changed, message):
    with pytest.raises(DataError) as caught:
        tune(**({"costs": COSTS} | PREDICTIONS | changed))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("goal", "value"),
    [
        ("max_accuracy_loss", None),
        ("max_accuracy_loss", -1),
        ("cost_budget", 1.5),
        ("margin_se", -0.5),
        ("longest_chain", 0),
    ],
)
def test_goals_out_of_range_are_refused(goal, value):
    with pytest.raises(EcoError, match=f"{goal} must be .*; got {value}"):
        tune(COSTS, **PREDICTIONS, **{goal: value})


def test_answers_take_the_confidences_of_every_model():
    tuned = tune(COSTS, **PREDICTIONS)
    with pytest.raises(DataError, match="confidence must hold every model; mid is missing"):
        tuned.answered_by(CONFIDENCE.drop(columns="mid"))


def test_the_later_half_certifies_where_times_are_known():
    order = np.random.default_rng(0).permutation(2000)
    by_time = certify(COSTS, time=order, max_loss=3.0, **PREDICTIONS)
    split = np.where(order < 1000, "tuning", "certification")
    assert by_time == certify(COSTS, split=split, max_loss=3.0, **PREDICTIONS)
    assert by_time != certify(COSTS, time=-order, max_loss=3.0, **PREDICTIONS)
