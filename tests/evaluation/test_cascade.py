import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eco.evaluation.cascade import (
    by_class,
    confusion_rows,
    evaluate_cascade,
    losing_most,
    worst_class,
)
from eco.strategies.decisions import Decisions
from eco.strategies.outcomes import Outcomes, Readings
from eco.strategies.strategy import Strategy

POOL = ("light", "mid", "heavy")


@pytest.fixture
def outcomes(table):
    readings = Readings(np.tile(table["energy_j"], (5, 1)))
    return Outcomes.from_probabilities(**table, pool=POOL, readings=readings)


def test_a_reader_can_check_the_chosen_cascade(outcomes):
    strategy = Strategy("cascade", POOL, (0.9, 0.8, 0.0))
    evaluation = evaluate_cascade(strategy, outcomes, ["shoe", "hat"], 690.0, grid_g_per_kwh=50.0)
    metrics = evaluation.metrics
    assert metrics["accuracy"] == 0.5
    assert metrics["energy_j"] == 31
    assert metrics["cascade"] == "light 0.9 -> mid 0.8 -> heavy 0"
    assert metrics["worst_class"] == {"class": "hat", "accuracy_loss_points": 50.0}
    assert metrics["footprint"]["break_even_predictions"] == 10  # 690 J at 69 J less for each
    row = evaluation.scored.to_row()
    assert (row["strategy"], row["name"], row["label"]) == ("chosen",) * 3
    assert Strategy.from_json(row) == strategy
    # Samples 2 and 3, hats, are answered by the light and the heavy one, both wrongly.
    samples = {(r["actual"], r["predicted"]): r["samples"] for r in evaluation.confusion_rows}
    assert samples == {
        ("shoe", "shoe"): 2,
        ("shoe", "hat"): 0,
        ("hat", "shoe"): 2,
        ("hat", "hat"): 0,
    }


def test_the_class_that_pays_for_the_saving_is_named():
    correct = np.array([[1, 1], [1, 1], [0, 1], [0, 1]], bool)
    outcomes = Outcomes(
        ("light", "heavy"), np.array([0, 0, 1, 1]), correct, correct, correct, np.array([1.0, 4.0])
    )
    decisions = Decisions(np.zeros(4, int), np.tile([True, False], (4, 1)))
    rows = by_class(decisions, outcomes, ["shoe", "shirt", "hat"])
    assert [row["class"] for row in rows] == ["shoe", "shirt"]
    assert worst_class(rows) == {"class": "shirt", "accuracy_loss_points": 100}
    assert rows[0]["energy_share"] == 0.25
    assert rows[0]["last_model_share"] == 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_confusion_counts_every_sample_once(pairs):
    y, labels = np.array(pairs, np.uint8).T
    rows = confusion_rows(y, labels.astype(np.int64), list("abcd"))
    assert sum(row["samples"] for row in rows) == len(pairs)
    agreeing = [row["samples"] for row in rows if row["actual"] == row["predicted"]]
    assert sum(agreeing) == (y == labels).sum()


def test_of_many_classes_those_are_shown_that_are_confused_most():
    names = [f"class {i}" for i in range(300)]
    y = np.arange(300)
    labels = np.where(y % 20 == 0, y + 1, y)  # 15 pairs
    rows = confusion_rows(y.astype(np.uint16), labels, names)
    actual = list(dict.fromkeys(row["actual"] for row in rows))
    assert actual == [names[i] for i in range(300) if i % 20 < 2]
    assert len(rows) == 30 * 30
    assert sum(row["samples"] for row in rows) == 30


def test_of_many_classes_those_have_rows_that_lose_most():
    losses = {"a": 1, "b": 3, "c": 0, "d": 2}
    rows = [{"class": name, "accuracy_loss_points": loss} for name, loss in losses.items()]
    assert [row["class"] for row in losing_most(rows, 2)] == ["b", "d"]
    assert losing_most(rows) == rows
