import numpy as np
from hypothesis import given, settings

from eco.strategies.baselines import (
    agreement_voting,
    budgeted_search,
    shared_threshold,
    single_tolerance,
)
from eco.strategies.tuning import for_budget, frontier
from tests.strategies.pools import ENERGY_J, POOL, make_outcomes, outcomes


@settings(deadline=None, max_examples=30)
@given(outcomes())
def test_no_published_rule_beats_the_tuned_frontier_on_its_own_samples(outcomes):
    tuned = frontier(outcomes, 10**6)
    for rule in (single_tolerance, budgeted_search):
        for point in rule(outcomes):
            best = for_budget(tuned, point.energy_j / ENERGY_J[-1], ENERGY_J[-1])
            assert best.accuracy >= point.accuracy - 1e-9


@settings(deadline=None, max_examples=30)
@given(outcomes())
def test_a_single_tolerance_is_one_threshold_for_every_model_but_the_last(outcomes):
    for point in single_tolerance(outcomes):
        assert point.strategy.models == POOL
        first, second, last = point.strategy.thresholds
        assert (first, last) == (second, 0)


def test_a_shared_threshold_goes_from_the_first_model_alone_to_all_of_them(table):
    confidence = [[0.95, 0.90, 0.99], [0.60, 0.85, 0.90], [0.92, 0.55, 0.80], [0.70, 0.60, 0.75]]
    correct = np.array([[1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]], bool)
    points = shared_threshold(make_outcomes(confidence, correct), POOL)
    assert (points[0].accuracy, points[0].energy_j) == (0.25, 1.0)
    assert (points[-1].accuracy, points[-1].energy_j) == (0.75, 111.0)
    assert (np.diff([point.energy_j for point in points]) >= 0).all()
    assert [point.strategy.thresholds[0] for point in points] == [k / 100 for k in range(101)]


@settings(deadline=None, max_examples=20)
@given(outcomes(np.array([1.0, 2.0, 4.0, 8.0])))
def test_a_budgeted_search_runs_three_models_at_most(outcomes):
    assert all(len(point.strategy.models) <= 3 for point in budgeted_search(outcomes))


def test_a_reader_can_check_the_votes():
    labels = np.array([[1, 1, 0], [1, 0, 0], [2, 1, 0]])
    points = agreement_voting(make_outcomes(np.ones((3, 3)), labels == 0, labels=labels))
    # light alone: none correct, 1 J; mid alone: 1 of 3, 10 J; heavy alone: all, 100 J. All three
    # vote: the first sample stops at mid, wrong, 11 J; the others go to heavy, correct, 111 J.
    assert [(p.strategy.models, p.accuracy, p.energy_j) for p in points] == [
        (("light",), 0, 1), (("mid",), 1 / 3, 10), (POOL, 2 / 3, 233 / 3), (("heavy",), 1, 100),
    ]  # fmt: skip
    assert all(p.strategy.kind == "agreement" for p in points)
