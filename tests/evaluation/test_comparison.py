import numpy as np
import pytest

from eco.evaluation import comparison
from eco.evaluation.scoring import ScoredStrategy, score
from eco.strategies.decisions import decide
from eco.strategies.outcomes import Outcomes, Readings
from eco.strategies.strategy import Strategy

POOL = ("light", "mid", "heavy")


@pytest.fixture
def outcomes(table):
    readings = Readings(np.tile(table["energy_j"], (5, 1)))
    return Outcomes.from_probabilities(**table, pool=POOL, readings=readings)


def row_of(name, outcomes):
    strategy = Strategy("cascade", POOL, (0.9, 0.8, 0.0))
    result = score(decide(strategy, outcomes), outcomes)
    return ScoredStrategy("preset", name, strategy, result, name).to_row()


def test_all_that_is_compared_is_drawn_and_the_models_are_metrics(outcomes):
    curve = {"strategy": "tuned frontier", "name": "", "accuracy": 0.5, "energy_share": 0.1}
    rule = row_of("rule", outcomes) | {"strategy": "a rule"}
    compared = comparison.compare(outcomes, [row_of("one", outcomes), rule], [curve])
    names = [row["name"] for row in compared.point_rows if row["name"]]
    assert names == [*POOL, "one", "oracle: last", "oracle: cheapest"]
    assert curve in compared.point_rows
    assert {row["point"] for row in compared.share_rows} == {*names} - {*POOL}
    assert {name: row["accuracy"] for name, row in compared.models.items()} == {
        "light": 0.25, "mid": 0.5, "heavy": 0.75
    }  # fmt: skip
    assert compared.oracle["none_correct_share"] == 0.25


def test_the_first_point_has_whatever_any_point_has(outcomes):
    """DVC draws rows only if that holds."""
    more = {"accuracy_loss_points": 0.1, "accuracy": 0.5, "energy_share": 0.1, "name": ""}
    curve = [more | {"strategy": "tuned frontier"}]
    first, *others = comparison.compare(outcomes, [row_of("one", outcomes)], curve).point_rows
    assert set().union(*others) <= first.keys()


def test_models_alone(outcomes):
    rows = comparison.model_rows(outcomes)
    assert [row["name"] for row in rows] == list(POOL)
    assert [row["accuracy"] for row in rows] == [0.25, 0.5, 0.75]
    assert [row["energy_share"] for row in rows] == [0.01, 0.1, 1.0]


def test_the_oracle_under_either_rule(outcomes):
    rows = comparison.oracle_rows(outcomes)
    metrics = comparison.oracle_metrics(rows, outcomes)
    # Samples 0 to 2 take light, mid and heavy; sample 3, that none gets right, heavy or light.
    assert metrics == {
        "accuracy": 0.75,
        "none_correct_share": 0.25,
        "energy_share": {"last": 211 / 400, "cheapest": 112 / 400},
    }
    assert [row["name"] for row in rows] == ["oracle: last", "oracle: cheapest"]


def test_points_that_coincide_share_a_label(outcomes):
    rows = [row_of("one", outcomes), row_of("two", outcomes), *comparison.model_rows(outcomes)]
    points = comparison.point_rows(rows, outcomes)
    assert [point["label"] for point in points[:5]] == ["one = two", "", *POOL]
    assert {"accuracy_low", "accuracy_high", "energy_share_low"} <= points[0].keys()


def test_what_has_no_label_adds_none(outcomes):
    rows = [row_of("one", outcomes), row_of("two", outcomes) | {"label": ""}]
    assert [p["label"] for p in comparison.point_rows(rows, outcomes)[:2]] == ["one", ""]


def test_random_mixing_runs_from_the_cheapest_model_to_the_best(outcomes):
    points = comparison.point_rows(comparison.model_rows(outcomes), outcomes)
    mixing = [point for point in points if point["strategy"] == "random mixing"]
    ends = [(point["energy_share"], point["accuracy"]) for point in (mixing[0], mixing[-1])]
    assert ends == [(0.01, 0.25), (1.0, 0.75)]


def test_shares_of_a_strategy_sum_to_1(outcomes):
    rows = comparison.share_rows([row_of("one", outcomes)], POOL)
    assert [row["model"] for row in rows] == list(POOL)
    assert [row["place"] for row in rows] == [0, 1, 2]
    assert sum(row["share"] for row in rows) == 1
    assert [row["accuracy"] for row in rows] == [0.5, 1.0, 0.0]
