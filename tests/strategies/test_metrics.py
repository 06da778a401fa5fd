"""Metrics other than accuracy: gains of samples, frontiers, and limits for each class."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import balanced_accuracy_score, f1_score

from eco.errors import EcoError
from eco.strategies import tuning
from eco.strategies.decisions import decide
from eco.strategies.metrics import (
    Metric,
    class_losses,
    frontier,
    make_metric,
    search,
    undominated,
)
from eco.strategies.outcomes import Outcomes
from eco.strategies.strategy import always
from tests.strategies.pools import ENERGY_J, POOL, make_outcomes
from tests.strategies.test_tuning import every_setting, figures

COSTS = [[0, 1, 4], [2, 0, 4], [8, 8, 0]]
MEANS = [make_metric("balanced_accuracy", "abc"), make_metric("accuracy", "abc", COSTS)]
RATIOS = [make_metric("f1", "abc", pos_label="c"), make_metric("f1_macro", "abc")]


def of_labels(confidence, labels, y):
    outcomes = make_outcomes(confidence, labels == y[:, None], labels=labels)
    return Outcomes(**vars(outcomes) | {"y": y})


@st.composite
def labelled(draw, most=20, n_classes=3, per_class=None):
    """Outcomes with labels of three classes; of `per_class` samples of each, if that is given."""
    n = draw(st.integers(2, most)) if per_class is None else n_classes * per_class
    y = draw(arrays(np.int64, n, elements=st.integers(0, n_classes - 1)))
    if per_class is not None:
        y = np.repeat(np.arange(n_classes), per_class)
    labels = draw(arrays(np.int64, (n, 3), elements=st.integers(0, n_classes - 1)))
    tenths = st.integers(0, 10).map(lambda k: k / 10)
    return of_labels(draw(arrays(np.float64, (n, 3), elements=tenths)), labels, y)


def answers(strategy, outcomes):
    return outcomes.labels[np.arange(len(outcomes)), decide(strategy, outcomes).answered_by]


#: Three samples of class 0, one of class 1; by model what is answered.
ANSWERS = np.array([[0, 0, 0], [0, 0, 0], [0, 1, 0], [0, 1, 1]])
TABLE = of_labels(np.full((4, 3), 0.5), ANSWERS, np.array([0, 0, 0, 1]))


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (Metric(), (3 / 4, 3 / 4, 1)),
        (make_metric("balanced_accuracy", (0, 1)), ((1 + 0) / 2, (2 / 3 + 1) / 2, 1)),
        # A missed 1 costs all, a false one a tenth of it.
        (make_metric("accuracy", (0, 1), [[0, 1], [10, 0]]), (1 - 1 / 4, 1 - 0.1 / 4, 1)),
        (make_metric("f1", (0, 1)), (0, 2 / 3, 1)),
        (make_metric("f1", (0, 1), pos_label=0), (6 / 7, 4 / 5, 1)),
        (make_metric("f1_macro", (0, 1)), (3 / 7, (2 / 3 + 4 / 5) / 2, 1)),
    ],
)
def test_a_table_has_the_metrics_that_one_counts_by_hand(metric, expected):
    found = [metric.evaluate(always(model), TABLE).accuracy for model in POOL]
    assert found == pytest.approx(expected)


@settings(deadline=None, max_examples=25)
@given(labelled(), st.data())
@pytest.mark.filterwarnings("ignore:A single label was found")
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_metrics_are_those_of_scikit_learn(outcomes, data):
    strategy = data.draw(st.sampled_from(list(every_setting(outcomes))[:40]))
    y, given_labels = outcomes.y, answers(strategy, outcomes)
    balanced, costs = (metric.evaluate(strategy, outcomes).accuracy for metric in MEANS)
    occur = np.unique(y)
    assert balanced == pytest.approx(balanced_accuracy_score(y, given_labels))
    assert costs == pytest.approx(1 - np.mean(np.array(COSTS)[y, given_labels]) / 8)
    f1, macro = (metric.evaluate(strategy, outcomes).accuracy for metric in RATIOS)
    assert f1 == pytest.approx(f1_score(y == 2, given_labels == 2, zero_division=0))
    expected = f1_score(y, given_labels, labels=occur, average="macro", zero_division=0)
    assert macro == pytest.approx(expected)


@settings(deadline=None, max_examples=25)
@given(labelled())
def test_accuracy_and_a_matrix_of_zeros_and_ones_are_the_frontier_of_accuracy(outcomes):
    expected = tuning.frontier(outcomes, 50)
    assert frontier(outcomes, Metric(), 50) == expected
    assert frontier(outcomes, make_metric("accuracy", "abc", 1 - np.eye(3)), 50) == expected
    assert frontier(outcomes, make_metric("accuracy", "abc", 7 - 7 * np.eye(3)), 50) == expected


@settings(deadline=None, max_examples=25)
@given(labelled(per_class=4))
def test_classes_of_one_size_have_the_accuracy_as_their_balanced_accuracy(outcomes):
    assert frontier(outcomes, MEANS[0], 50) == tuning.frontier(outcomes, 50)


@settings(deadline=None, max_examples=25)
@given(labelled(), st.sampled_from(MEANS))
def test_it_finds_what_trying_every_setting_finds(outcomes, metric):
    best = undominated(metric.evaluate(each, outcomes) for each in every_setting(outcomes))
    points = frontier(outcomes, metric, 10_000)
    assert np.array(figures(points)) == pytest.approx(np.array(figures(best)))


@settings(deadline=None, max_examples=25)
@given(labelled(), st.sampled_from([0.0, 0.1, 0.4]))
def test_of_f1_the_cheapest_setting_within_a_loss_is_among_the_candidates(outcomes, loss):
    metric = RATIOS[0]
    least = metric.evaluate(always("heavy"), outcomes).accuracy - loss - 1e-9
    tried = [metric.evaluate(each, outcomes) for each in every_setting(outcomes)]
    points = frontier(outcomes, metric, 10_000, max_loss=loss)
    cheapest = min(point.energy_j for point in tried if point.accuracy >= least)
    assert min(p.energy_j for p in points if p.accuracy >= least) == pytest.approx(cheapest)


@settings(deadline=None, max_examples=25)
@given(labelled(most=60), st.sampled_from(MEANS + RATIOS), st.sampled_from([1, 9, 100]))
def test_a_coarse_grid_gives_settings_that_do_what_they_say(outcomes, metric, size):
    points = frontier(outcomes, metric, size)
    for found in points:
        evaluated = metric.evaluate(found.strategy, outcomes)
        assert figures([found])[0] == pytest.approx(figures([evaluated])[0])
    assert (np.diff(figures(points), axis=0) > 0).all()


def test_a_grid_is_densest_where_a_model_loses():
    """A rare class, missed with confidences that no other sample has."""
    random = np.random.default_rng(0)
    y = (np.arange(2000) % 100 == 0).astype(int)
    labels = np.column_stack([np.zeros_like(y), y, y])
    confidence = np.column_stack([np.where(y, 0.6, random.random(2000)), random.random((2000, 2))])
    outcomes = of_labels(confidence, labels, y)
    points = search(MEANS[0].weighed(outcomes), settings_per_chain=4, longest=2)
    assert max(point.accuracy for point in points if point.energy_j < ENERGY_J[1]) == 1


@settings(deadline=None, max_examples=25)
@given(labelled(), st.floats(0, 60), st.sampled_from([0.0, 1.0]))
def test_no_class_loses_more_than_its_limit(outcomes, limit, margin_se):
    points = frontier(outcomes, Metric(), 100, max_class_loss=limit, margin_se=margin_se)
    for point in points:
        labels, losses, _ = class_losses(point.strategy, outcomes)
        correct = answers(point.strategy, outcomes) == outcomes.y
        for label, loss in zip(labels, losses, strict=True):
            of_class = outcomes.y == label
            lost = outcomes.correct[of_class, -1].mean() - correct[of_class].mean()
            assert loss == pytest.approx(lost)
            assert lost <= limit / 100 + 1e-9
    looser = frontier(outcomes, Metric(), 100, max_class_loss=limit + 20)
    assert looser[-1].accuracy >= points[-1].accuracy
    assert points[-1].accuracy >= outcomes.reference_accuracy - 1e-9


def test_a_cost_matrix_comes_by_position_or_by_name():
    frame = pd.DataFrame(COSTS, index=list("abc"), columns=list("abc"))
    turned = frame.loc[list("cab"), list("bca")]
    mapping = {true: dict(row) for true, row in frame.iterrows()}
    for given_costs in (COSTS, frame, turned, mapping):
        costs = make_metric("accuracy", "abc", given_costs).costs
        assert (costs == np.array(COSTS) / 8).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("recall", "ab"),
            "must be one of accuracy, balanced_accuracy, f1, f1_macro; got 'recall",
        ),
        (("f1", "ab"), r"pos_label must be one of the classes \(a, b\), 1 by default; got 1"),
        (("f1_macro", "ab", None, "a"), "pos_label must be None unless the metric is f1; got 'a'"),
        (("f1", "ab", COSTS), "either a metric or a cost_matrix; got 'f1' and a matrix"),
        (("accuracy", "ab", COSTS), r"true \(row\) and answered class, \(2, 2\); got \(3, 3\)"),
        (("accuracy", "ab", [[0, -1], [1, 0]]), "0 or more and not all 0; got"),
        (("accuracy", "ab", [[0, 0], [0, 0]]), "0 or more and not all 0; got"),
        (("accuracy", "ab", "cheap"), "as numbers; got 'cheap'"),
        (("accuracy", "ab", {"a": {"a": 0, "b": 1}}), "a, b; got none for b"),
    ],
)
def test_a_metric_that_the_classes_do_not_have_is_refused(arguments, message):
    with pytest.raises(EcoError, match=message):
        make_metric(*arguments)
