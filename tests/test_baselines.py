import numpy as np
import pytest
from hypothesis import given, settings

from eco import baselines, tuning
from tests.test_tuning import ENERGY_J, pools, scored


@settings(deadline=None, max_examples=30)
@given(pools())
def test_no_published_rule_beats_the_tuned_frontier_on_its_own_samples(case):
    sure, right = case
    ours = tuning.frontier(sure, right, ENERGY_J, 10**6)
    for rule in (baselines.single_tolerance, baselines.budgeted_search):
        for theirs in rule(sure, right, ENERGY_J):
            budget = theirs.energy_j / ENERGY_J[-1]
            best = tuning.for_budget(ours, budget, ENERGY_J[-1])
            assert best.accuracy >= theirs.accuracy - 1e-9


@settings(deadline=None, max_examples=30)
@given(pools())
def test_a_single_tolerance_is_one_threshold_for_every_model_but_the_last(case):
    for setting in baselines.single_tolerance(*case, ENERGY_J):
        assert setting.chain == (0, 1, 2)
        assert setting.thresholds[0] == setting.thresholds[1]
        assert scored(setting, *case) == pytest.approx((setting.accuracy, setting.energy_j))


@settings(deadline=None, max_examples=20)
@given(pools(n_models=4))
def test_a_budgeted_search_asks_three_models_at_most(case):
    energy_j = np.array([1.0, 2.0, 4.0, 8.0])
    assert all(len(s.chain) <= 3 for s in baselines.budgeted_search(*case, energy_j))


def test_a_reader_can_check_the_votes():
    labels = np.array([[1, 1, 0], [1, 0, 0], [2, 1, 0]])
    right = labels == 0
    found = baselines.agreement_voting(labels, right, ENERGY_J)
    assert baselines.agreement(labels).tolist() == [1, 2, 2]
    # light alone: none right, 1 J; mid alone: 1 of 3, 10 J; heavy alone: all, 100 J. All three
    # vote: the first sample stops at mid, wrong, 11 J; the others go to heavy, right, 111 J.
    assert [(s.chain, s.accuracy, s.energy_j) for s in found] == [
        ((0,), 0, 1), ((1,), 1 / 3, 10), ((0, 1, 2), 2 / 3, 233 / 3), ((2,), 1, 100),
    ]  # fmt: skip
