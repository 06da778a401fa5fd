"""A study of predictions: what is found, and the words that its results are in."""

import json

import numpy as np
import pytest

from eco.errors import TargetError
from eco.predictions.columns import Columns, checked
from eco.predictions.division import SPLITS, divide
from eco.predictions.goals import Goals
from eco.predictions.search import tune
from eco.predictions.study import metrics, run
from eco.strategies.decisions import decide
from tests.predictions.pools import CLASSES, COSTS, MODELS, confidence_and_correct, probabilities

GOALS = Goals(max_accuracy_loss=1.0, max_loss=4.0, max_harm=4.0, settings_per_chain=200)


def parts_of(n_samples=900, costs=COSTS, kind="confidence", **columns):
    if kind == "confidence":
        confidence, correct = confidence_and_correct(n_samples)
        given = Columns(MODELS, costs, confidence, correct, **columns)
    else:
        y, p = probabilities(n_samples)
        by_model = {model: p[:, place] for place, model in enumerate(MODELS)}
        given = Columns(MODELS, costs, probabilities=by_model, y=y, classes=CLASSES, **columns)
    return divide(checked(given), SPLITS, (0.4, 0.3, 0.3), 0)


@pytest.fixture(scope="module")
def study():
    return run(parts_of(), (), GOALS, "USD")


def test_it_finds_what_tune_finds(study):
    tuning = parts_of()["tuning"].outcomes
    alone = tune(
        COSTS, confidence=tuning.confidence, correct=tuning.correct, max_accuracy_loss=1.0,
        settings_per_chain=200,
    )  # fmt: skip
    assert study.tuned.cost <= alone.cost
    assert study.tuned.accuracy_loss_points <= 1.0
    rows = {row["name"]: row for row in study.strategies}
    decisions = decide(study.tuned.strategy, study.test)
    assert rows["tuned"]["accuracy"] == decisions.correct(study.test).mean()
    assert rows["tuned"]["energy_j"] == pytest.approx(decisions.energy_j(study.test))


def test_results_are_plain_json_in_the_words_of_costs(study):
    text = json.dumps(metrics(study), allow_nan=False)
    assert "energy" not in text and "_j" not in text
    result = json.loads(text)
    assert result["unit"] == "USD"
    assert result["samples"] == {"tuning": 360, "certification": 270, "test": 270}
    assert [model["cost"] for model in result["models"].values()] == list(COSTS.values())
    assert result["tuned"]["models"] == list(study.tuned.models)
    assert result["oracle"]["accuracy"] >= result["models"]["large"]["accuracy"]
    assert {name: c["of"] for name, c in result["certificates"].items()} == {
        "certified": "loss", "certified_harm": "harm"
    }  # fmt: skip
    assert result["certified"]["cost"] <= result["certified_harm"]["cost"]
    assert {"loss_1", "against_budgeted_search"} <= set(result)


def test_rules_that_take_labels_are_left_out_where_there_are_none(study):
    assert "worst_class" not in metrics(study)["tuned"]
    assert "agreement voting" not in {row["strategy"] for row in study.points}
    labelled = run(parts_of(300, kind="probabilities"), CLASSES, GOALS)
    assert "agreement voting" in {row["strategy"] for row in labelled.points}
    assert metrics(labelled)["tuned"]["worst_class"]["class"] in CLASSES


def test_curves_and_bounds_are_drawn(study):
    drawn = {row["strategy"] for row in study.points}
    expected = {"model", "oracle", "tuned", "certified", "random mixing", "tuned frontier"}
    assert expected | {"single tolerance", "budgeted search"} <= drawn
    assert {row["model"] for row in study.shares} == set(MODELS)


def test_what_cannot_be_certified_leaves_the_rest():
    study = run(parts_of(120), (), GOALS)
    assert isinstance(study.certified["certified_harm"], TargetError)
    reason = metrics(study)["certificates"]["certified_harm"]["not_certified"]
    assert "takes 74 samples at least" in reason
    assert "certified_harm" not in {row["name"] for row in study.strategies}


def test_of_groups_the_harm_is_certified():
    study = run(parts_of(groups=np.arange(900) // 2), (), GOALS)
    assert list(study.certified) == ["certified"]
    assert study.certified["certified"].of == "harm"
    assert study.certified["certified"].n_samples == 135


def test_costs_that_vary_are_realised_sample_by_sample():
    large = np.where(confidence_and_correct(900)[0]["small"] < 0.6, 40.0, 10.0)
    study = run(parts_of(costs=COSTS | {"large": large}), (), GOALS)
    test = parts_of(costs=COSTS | {"large": large})["test"]
    ran = decide(study.tuned.strategy, test.outcomes).ran
    cost = (ran * test.cost_per_sample).sum() / len(ran)
    assert metrics(study)["tuned"]["realised_cost"] == pytest.approx(cost)
    assert metrics(study)["tuned"]["realised_cost_share"] > 0
    assert run(parts_of(300), (), GOALS).realised == {}


def test_a_pool_out_of_order_is_said():
    study = run(parts_of(300, costs=COSTS | {"mid": 0.5}), (), GOALS)
    assert study.misordered == [("small", "mid")]
